"""Every control of the sidebar, in one table: label, help, range, and name in the address."""

from typing import get_args

from pages.sidebar.kinds import Choice, Control, Menu, Number, Slider, Switch
from qhn_core.config import DatasetName, ObjectiveName, RunConfig

MOST_HIDDEN = 8
"""Hidden neurons on offer."""
DECADE = (1.0, 1.25, 1.6, 2.0, 2.5, 3.2, 4.0, 5.0, 6.3, 8.0)
STRENGTHS = (0.0, *(float(f"{m}e{p}") for p in range(-3, 3) for m in DECADE), 1000.0)
QUARTERS = {
    RunConfig(dataset=dataset, n_hidden=n).n_qubits / 4
    for dataset in get_args(DatasetName)
    for n in range(1, MOST_HIDDEN + 1)
}
"""n/4 of every network on offer."""
BANDWIDTHS = tuple(sorted({*(0.25 * k for k in range(1, 25)), 7.0, 8.0, 10.0, 12.0, 14.0, 20.0, *QUARTERS}))

MAIN: tuple[Control, ...] = (
    Choice(field="dataset", label="Dataset", options=get_args(DatasetName), hide_label=True),
    Choice(
        field="objective",
        label="Objective",
        options=get_args(ObjectiveName),
        help="MLE only fits the data; the ELBO also pays λ KL(q‖p), and the SELBO λ MMD²(q, p).",
    ),
    Slider(
        field="regularization",
        label="Regularisation λ",
        stops=STRENGTHS,
        help="The weight of the regulariser: a larger λ keeps the bitstrings random for longer.",
    ),
    Slider(
        field="bandwidth",
        label="Bandwidth h",
        stops=BANDWIDTHS,
        help="The width of k(x, y) = exp(−‖x−y‖²/h²): a small h sees fine correlations, a large one only "
        "single bits.",
    ),
    Number(
        field="n_seeds",
        label="Seeds",
        start=8,  # enough for a band
        low=1,
        high=100,
        help="Independent initial angles; the curves show their mean and standard deviation.",
    ),
)
ADVANCED: tuple[Control, ...] = (
    Number(
        field="n_layers",
        label="Layers L",
        low=1,
        high=6,
        help="Blocks of RZ, RY and CX in eq. (8); with 1 or 2, networks beyond 22 bits can be trained too.",
    ),
    Number(
        field="n_hidden",
        label="Hidden neurons",
        low=1,
        high=MOST_HIDDEN,
        help="The network is 2-H-1 and needs 4H + 2 qubits; for digits it is 64-H-1 and needs 66H + 2.",
    ),
    Switch(
        field="exact",
        label="Exact expectations",
        help="Use the true probabilities instead of N_qc shots.",
    ),
    Number(
        field="shots",
        label="Shots N_qc",
        low=1,
        high=10_000,
        help="Bitstrings measured from each circuit: fewer shots make every estimate noisier.",
    ),
    Choice(
        field="gradient",
        label="Gradient",
        options=("chain-rule", "algorithm-1"),
        help="chain-rule is the true gradient; algorithm-1 shifts the whole objective, as printed.",
    ),
    Menu(
        field="optimizer",
        label="Optimiser",
        options=("gradient-ascent", "adam", "spsa", "natural-gradient", "rotosolve"),
        help="How a run steps uphill: by η times the gradient, as printed; Adam scales each angle's steps.",
    ),
    Choice(
        field="plateau",
        label="η decays after epochs no better than",
        options=("best-so-far", "previous-epoch", "none"),
        help="The literal reading of Section IV is the previous epoch; with none η stays as it is.",
    ),
    Choice(
        field="entangler",
        label="Entangler",
        options=("brickwork", "none"),
        help="The CX gates of eq. (8), or none: then the bits are independent.",
    ),
    Choice(
        field="likelihood",
        label="Log-likelihood",
        options=("sum", "mean"),
        help="Summed or averaged over the training set; this scale acts as a step size.",
    ),
    Number(field="epochs", label="Epochs", low=1, high=2000, help="Steps of gradient ascent."),
)
LEFT: tuple[Control, ...] = (
    Number(field="learning_rate", label="Rate η", help="The learning rate of the first epoch."),
    Number(
        field="patience", label="Patience", low=1, high=1000, help="Epochs without a gain before η decays."
    ),
    Number(
        field="seed", label="Seed", low=0, high=2**31, help="Fixes the random initial angles and the shots."
    ),
)
RIGHT: tuple[Control, ...] = (
    Number(field="decay_factor", label="Decay", help="Multiplies η when the objective no longer gains."),
    Number(field="min_delta", label="Min δ", help="The least gain that counts as an improvement."),
    Number(
        field="dataset_seed",
        label="Data seed",
        low=0,
        high=2**31,
        help="Fixes the random points of the data.",
    ),
)
CONTROLS: dict[str, Control] = {control.field: control for control in (*MAIN, *ADVANCED, *LEFT, *RIGHT)}
