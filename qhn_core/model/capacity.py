"""What fits into memory: whether a run looks all 2**n networks up in tables, and how large these are."""

import numpy as np
import psutil

from qhn_core.config import RunConfig

BYTES_PER_NETWORK = 128
"""Peak memory of a run, per basis state: four tables of scores, and as much again for states."""
MOST_TABLE_BITS = 22
"""With more qubits, a run that can do without tables does."""


def check_memory(config: RunConfig) -> None:
    """Raise ValueError where tables and states of 2**n numbers do not fit this machine's memory."""
    present = psutil.virtual_memory().total
    bits_present = (present // BYTES_PER_NETWORK).bit_length() - 1
    if config.n_qubits > bits_present:
        raise ValueError(
            f"n_hidden={config.n_hidden} makes {config.n_qubits} qubits, and all networks need "
            f"{tables_gb(config.n_qubits)} GB of memory; this machine has {present / 1e9:,.0f} GB: "
            f"{largest_network(config, bits_present)}{way_out(config)}"
        )


def tables_gb(n_qubits: int) -> str:
    """Say how many GB a run with tables needs, for any number of qubits.

    >>> tables_gb(22), tables_gb(134)
    ('0.5', '10^33')
    """
    exponent = n_qubits + np.log2(BYTES_PER_NETWORK) - np.log2(1e9)
    if exponent >= 60:
        return f"10^{exponent * np.log10(2):.0f}"
    return f"{2.0**exponent:,.{0 if exponent > 3 else 1}f}"


def largest_network(config: RunConfig, most_qubits: int) -> str:
    """Say which networks on a config's data have at most so many bits.

    >>> largest_network(RunConfig(), 22), largest_network(RunConfig(dataset="digits"), 22)
    ('n_hidden may be 1 to 5', 'no network on digits fits')
    """
    most = (most_qubits - 2) // (config.n_inputs + 2)
    return f"n_hidden may be 1 to {most}" if most > 0 else f"no network on {config.dataset} fits"


def way_out(config: RunConfig) -> str:
    """Say what to change in a config so that its run needs no tables of 2**n."""
    if without_tables(config):
        return ", since every network is looked at; only training from samples works with more qubits"
    changes = {
        f"n_layers={config.n_layers} by 1 or 2": config.n_layers > 2 and config.entangler != "none",
        "exact expectations by shots": config.shots is None,
        "simulator='cirq' by 'auto'": config.simulator == "cirq",
    }
    replace = " and ".join(text for text, needed in changes.items() if needed)
    return f"; or replace {replace}, and it can be trained from samples, without 2**n"


def without_tables(config: RunConfig) -> bool:
    """Whether a run never needs all 2**n networks: it has a closed form and finite shots."""
    return config.has_closed_form and config.shots is not None


def has_tables(config: RunConfig) -> bool:
    """Whether a run looks its networks up in tables: they are small, or it cannot do without them."""
    return config.n_qubits <= MOST_TABLE_BITS or not without_tables(config)
