"""Everything that defines a run or a landscape: validated, frozen, identified by a hash of its content."""

import hashlib
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

FlatDatasetName = Literal["gaussian", "moons", "rings"]
"""Data with two coordinates, which can be drawn."""
DatasetName = Literal["gaussian", "moons", "rings", "digits"]
SimulatorName = Literal["auto", "numba", "qsim", "cirq", "qsim-cuda", "qsim-custatevec"]
EntanglerName = Literal["brickwork", "none"]
ObjectiveName = Literal["mle", "elbo", "selbo"]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0), AfterValidator(abs)]  # -0.0 is 0.0, and hashes like it
Share = Annotated[float, Field(ge=0, lt=1), AfterValidator(abs)]
Count = Annotated[int, Field(ge=1)]
NEWER_FIELDS = (
    "annealing",
    "initial_angles",
    "optimizer",
    "beta_1",
    "beta_2",
    "perturbation",
    "damping",
    "plateau",
    "entangler",
)
"""Fields that came after the first stored runs."""
Gate = tuple[Annotated[int, Field(ge=0)], Literal[0, 1], Annotated[int, Field(ge=0)]]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @property
    def hash(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of the JSON form: equal configs, equal hash."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


class RunConfig(_Config):
    """One experiment: data, network, ansatz, objective, optimiser and randomness.

    >>> RunConfig(objective="elbo", n_hidden=3).n_qubits
    14
    >>> RunConfig(bandwidth=-1)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    pydantic_core._pydantic_core.ValidationError: 1 validation error for RunConfig
    bandwidth
      Input should be greater than 0 [type=greater_than, input_value=-1, input_type=int]
    ...
    """

    dataset: DatasetName = Field("gaussian", description="training and test data")
    dataset_seed: Seed = Field(0, description="seed of the data")
    n_train_per_class: Count = Field(150, description="training points of each class")
    n_test_per_class: Count = Field(100, description="test points of each class")
    dataset_noise: NonNegative | None = Field(
        None, description="standard deviation of the data's noise; default: the dataset's own"
    )
    dataset_scale: Positive | None = Field(
        None, description="factor on all coordinates; default: the dataset's own"
    )
    n_hidden: Count = Field(3, description="hidden neurons; 3 gives 14 qubits")
    n_layers: Count = Field(1, description="layers L of the ansatz, eq. (8)")
    entangler: EntanglerName = Field(
        "brickwork", description="CX gates of each layer: eq. (8), or none, which gives independent bits"
    )
    objective: ObjectiveName = Field("selbo", description="what is maximised: eq. (11), (18) or (22)")
    regularization: NonNegative = Field(1.0, description="λ, the weight of KL or MMD²")
    bandwidth: Positive | None = Field(
        None, description="h of the RBF kernel, eq. (20); default: n_qubits / 4"
    )
    likelihood: Literal["sum", "mean"] = Field(
        "sum", description="log-likelihood summed or averaged over the training set"
    )
    shots: Count | None = Field(100, description="N_qc, samples of each circuit, or exact")
    gradient: Literal["chain-rule", "algorithm-1"] = Field(
        "chain-rule", description="the true gradient, or Algorithm 1 as printed"
    )
    optimizer: Literal["gradient-ascent", "adam", "spsa", "natural-gradient", "rotosolve"] = Field(
        "gradient-ascent", description="how a run steps uphill; see training/optimizers.py"
    )
    beta_1: Share = Field(0.9, description="Adam: how much of the mean gradient an epoch keeps")
    beta_2: Share = Field(0.999, description="Adam: how much of the mean squared gradient an epoch keeps")
    perturbation: Positive = Field(0.1, description="SPSA: shift of all angles, radians")
    damping: Positive = Field(0.01, description="natural gradient: added to the Fisher information")
    epochs: Count = Field(200, description="steps of the optimiser")
    learning_rate: Positive = Field(1.0, description="η, the first learning rate")
    patience: Count = Field(3, description="epochs without improvement before η decays")
    plateau: Literal["best-so-far", "previous-epoch", "none"] = Field(
        "best-so-far", description="what an epoch must improve on, or η decays; none: η never decays"
    )
    min_delta: NonNegative = Field(1e-4, description="least gain that counts as an improvement")
    decay_factor: Annotated[float, Field(gt=0, lt=1)] = Field(0.5, description="factor of the decay of η")
    n_seeds: Count = Field(1, description="independent initialisations")
    seed: Seed = Field(0, description="seed of the angles and of the samples")
    simulator: SimulatorName = Field("auto", description="where circuits run; see `qhn simulators`")
    annealing: Literal["constant", "linear", "exponential", "cyclical"] = Field(
        "constant", description="how λ changes during training: not at all, or from λ down to 0"
    )
    initial_angles: tuple[float, ...] | None = Field(
        None, description="radians, the same for all seeds, flat (L, 2, n); default: random for each"
    )

    @field_validator("initial_angles", mode="before")
    @classmethod
    def _angles_from_text(cls, value: Any) -> Any:
        return value.split(",") if isinstance(value, str) else value

    @model_validator(mode="after")
    def _initial_angles_fit(self) -> Self:
        needed = 2 * self.n_layers * self.n_qubits
        if self.initial_angles is not None and len(self.initial_angles) != needed:
            raise ValueError(
                f"initial_angles: {len(self.initial_angles)} numbers; a circuit of {self.n_layers} layers "
                f"and {self.n_qubits} qubits needs {needed}"
            )
        return self

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out newer fields at their default, so that older runs keep their hash."""
        fields: dict[str, Any] = handler(self)
        for name in NEWER_FIELDS:
            if getattr(self, name) == type(self).model_fields[name].default:
                fields.pop(name, None)
        return fields

    @model_validator(mode="after")
    def _estimators_have_enough_shots(self) -> Self:
        if self.objective == "selbo" and self.shots is not None and self.shots < 2:
            raise ValueError(
                f"shots={self.shots}: the MMD² estimator, eq. (21), needs at least 2 shots (or exact)"
            )
        return self

    @model_validator(mode="after")
    def _fisher_information_is_known(self) -> Self:
        if self.optimizer == "natural-gradient" and not self.has_closed_form:
            raise ValueError(
                f"optimizer='natural-gradient': n_layers={self.n_layers}, simulator={self.simulator!r}; "
                "only closed forms have the Fisher information (allowed: 1 <= n_layers <= 2, or "
                "entangler='none'; not on cirq)"
            )
        return self

    @property
    def n_inputs(self) -> int:
        """Coordinates of a data point."""
        return 64 if self.dataset == "digits" else 2

    @property
    def n_qubits(self) -> int:
        """One qubit per bit of the network: weights, biases and the activation choice."""
        return self.n_hidden * (self.n_inputs + 2) + 2

    @property
    def h(self) -> float:
        """The kernel bandwidth h that is used: `bandwidth`, or n_qubits / 4 (Section IV)."""
        return self.n_qubits / 4 if self.bandwidth is None else self.bandwidth

    @property
    def likelihood_divisor(self) -> int:
        """What the log-likelihood of all training points is divided by: 1, or their number for the mean."""
        return 1 if self.likelihood == "sum" else 2 * self.n_train_per_class

    @property
    def angle_shape(self) -> tuple[int, int, int]:
        """(n_layers, 2, n_qubits)."""
        return (self.n_layers, 2, self.n_qubits)

    @property
    def has_closed_form(self) -> bool:
        """Whether circuits are computed without 2**n numbers: with 1 or 2 layers, or without CX gates.

        On Cirq, which is the reference, no circuit is.
        """
        return (self.n_layers <= 2 or self.entangler == "none") and self.simulator != "cirq"

    def in_words(self) -> str:
        """Describe this run in one line.

        >>> RunConfig(n_seeds=8).in_words()
        'gaussian, SELBO λ=1 h=3.5, chain-rule, 100 shots, summed likelihood, L=1, 14 qubits, 8 seeds'
        """
        falling = "" if self.annealing == "constant" else f" {self.annealing}"
        strength = "" if self.objective == "mle" else f" λ={self.regularization:g}{falling}"
        width = f" h={self.h:g}" if self.objective == "selbo" else ""
        return ", ".join(
            [
                self.dataset,
                f"{self.objective.upper()}{strength}{width}",
                self.gradient,
                "exact" if self.shots is None else f"{self.shots} shots",
                "summed likelihood" if self.likelihood == "sum" else "mean likelihood",
                f"L={self.n_layers}" + (" without CX" if self.entangler == "none" else ""),
                f"{self.n_qubits} qubits",
                f"{self.n_seeds} seed{'s' if self.n_seeds > 1 else ''}",
                *([self.optimizer] if self.optimizer != "gradient-ascent" else []),
                *([f"plateau {self.plateau}"] if self.plateau != "best-so-far" else []),
                *(["from given angles"] if self.initial_angles else []),
            ]
        )


class LandscapeConfig(_Config):
    """A square grid on a plane through theta*: which plane, how wide, how fine."""

    plane: Literal["random", "random-ry", "gates", "principal", "hessian", "gradient", "optima"] = Field(
        "random", description="how the two directions are chosen; see `planes`"
    )
    gates: tuple[Gate, Gate] = Field(
        ((0, 0, 0), (0, 0, 1)), description="for plane='gates': (layer, 0 = RY or 1 = RZ, qubit), from 0"
    )
    seed: Seed = Field(0, description="seed of random directions")
    radius: Annotated[float, Field(gt=0, le=100)] = Field(
        2 * np.pi, description="half the side of the plane: distance in angle space, radians"
    )
    resolution: Annotated[int, Field(ge=11, le=101)] = Field(41, description="grid points along a side")


def allowed_range(name: str) -> str:
    """Say which values a numeric field of a config may have; an empty string where there is no limit.

    >>> allowed_range("decay_factor"), allowed_range("epochs"), allowed_range("dataset")
    ('allowed: 0 < decay_factor < 1', 'allowed: 1 <= epochs', '')
    """
    for config in (RunConfig, LandscapeConfig):
        schema = config.model_json_schema()["properties"].get(name, {})
        for part in (schema, *schema.get("anyOf", [])):
            low = [(part[k], s) for k, s in (("minimum", "<="), ("exclusiveMinimum", "<")) if k in part]
            high = [(part[k], s) for k, s in (("maximum", "<="), ("exclusiveMaximum", "<")) if k in part]
            if low:
                left, right = f"{low[0][0]:g} {low[0][1]} ", f" {high[0][1]} {high[0][0]:g}" if high else ""
                return f"allowed: {left}{name}{right}"
    return ""


def explain(error: ValueError) -> str:
    """Write a validation error as lines 'field=value: what is wrong (which values are allowed)'.

    >>> try:
    ...     RunConfig(epochs=0)
    ... except ValidationError as e:
    ...     print(explain(e))
    epochs=0: should be greater than or equal to 1 (allowed: 1 <= epochs)
    """
    if not isinstance(error, ValidationError):
        return str(error)
    lines = []
    for item in error.errors():
        field = ".".join(str(part) for part in item["loc"][:1])
        text = item["msg"].removeprefix("Value error, ").removeprefix("Input ")
        bounds = f" ({allowed_range(field)})" if allowed_range(field) else ""
        lines.append(f"{field}={item['input']!r}: {text}{bounds}" if field else text)
    return "\n".join(dict.fromkeys(lines))
