"""Options that several subcommands share, made from the fields of `RunConfig` and `LandscapeConfig`."""

import argparse
from typing import get_args

from pydantic.fields import FieldInfo

from qhn_core.config import LandscapeConfig, RunConfig


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object and nothing else on standard output"
    )


def add_worker_options(parser: argparse.ArgumentParser) -> None:
    """Add `--scheduler` and `--workers`, for `choose_workers`."""
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="address of a Dask scheduler, tcp://host:8786"
    )
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="number of local processes (default: cores - 1, but 2 at least)",
    )


def comma_list(text: str) -> tuple[str, ...]:
    """Split the values of an option at commas.

    >>> comma_list("gaussian, moons")
    ('gaussian', 'moons')
    """
    return tuple(part.strip() for part in text.split(","))


def add_config_options(parser: argparse.ArgumentParser, several: bool = False, **defaults: str) -> None:
    """Add an option for each field of a run.

    several: an option takes values separated by commas. defaults: where the command has its own.
    """
    for name, field in RunConfig.model_fields.items():
        metavar = ("N|exact" if name == "shots" else _metavar(field)) + (",..." if several else "")
        text = _help(field, defaults.get(name, field.default))
        parser.add_argument("--" + name.replace("_", "-"), metavar=metavar, help=text)


def add_plane_options(parser: argparse.ArgumentParser, **defaults: str) -> None:
    """Add an option for each field of a plane; defaults: where the command has its own."""
    for name, field in LandscapeConfig.model_fields.items():
        if name != "gates":
            option = "--plane-seed" if name == "seed" else "--" + name
            text = _help(field, defaults.get(name, field.default))
            parser.add_argument(option, dest=f"plane_{name}", metavar=_metavar(field), help=text)


def given_config(arguments: argparse.Namespace) -> RunConfig:
    """Make the config of the options that were used."""
    return RunConfig(**{name: _value(name, text) for name, text in _given(arguments).items()})


def given_grid(arguments: argparse.Namespace, **defaults: str) -> dict[str, list[str | None]]:
    """Collect the values of each config option that was used or has a default here, for `sweep.grid`."""
    return {
        name: [_value(name, part) for part in text.split(",")]
        for name, text in (defaults | _given(arguments)).items()
    }


def given_plane(arguments: argparse.Namespace, **defaults: str) -> LandscapeConfig:
    """Make the config of a plane from the options that were used, and from defaults for the others."""
    given = {name: getattr(arguments, f"plane_{name}", None) for name in LandscapeConfig.model_fields}
    return LandscapeConfig(
        **{**defaults, **{name: text for name, text in given.items() if text is not None}}
    )


def _given(arguments: argparse.Namespace) -> dict[str, str]:
    """Collect the config options that were used, as text."""
    texts = {name: getattr(arguments, name) for name in RunConfig.model_fields}
    return {name: text for name, text in texts.items() if text is not None}


def _value(name: str, text: str) -> str | None:
    return None if (name, text) == ("shots", "exact") else text


def _metavar(field: FieldInfo) -> str:
    names = [str(choice) for choice in get_args(field.annotation) if isinstance(choice, str)]
    if names:
        return "{" + ",".join(names) + "}"
    return "N" if field.annotation in (int, int | None) else "X"


def _help(field: FieldInfo, default: object) -> str:
    text = (field.description or "").replace("%", "%%")
    shown = round(default, 4) if isinstance(default, float) else default
    return text if default is None else f"{text} (default: {shown})"
