"""The ansatz of eq. (8): layers of RZ, RY and a brickwork of CX gates."""

import cirq
import numpy as np
import sympy

from qhn_core.bits import Bits, Complex, Float, Index
from qhn_core.config import EntanglerName
from qhn_core.kernels import states


def cx_pairs(n_qubits: int, layer: int, entangler: EntanglerName = "brickwork") -> list[tuple[int, int]]:
    """List (control, target) of the CX gates of layer `layer` (1-based); qubits are 0-based.

    There are none where the entangler is "none".

    Eq. (8): m = 1 + (layer mod 2), step 2, m <= N - 1, with the paper's 1-based qubits.

    >>> cx_pairs(5, layer=1), cx_pairs(5, layer=2)
    ([(1, 2), (3, 4)], [(0, 1), (2, 3)])
    """
    return [] if entangler == "none" else [(m, m + 1) for m in range(layer % 2, n_qubits - 1, 2)]


def brickwork_circuit(n_qubits: int, n_layers: int, entangler: EntanglerName = "brickwork") -> cirq.Circuit:
    """Build eq. (8) as a circuit with symbols `theta_{a}_{j}_{k}`, as the paper writes them.

    a = 0 for RY and 1 for RZ, qubit j and layer k count from 1. Resolve it with
    `parameter_resolver`. entangler: "none" leaves the CX gates out.

    >>> print(brickwork_circuit(2, 1).to_text_diagram(transpose=True).splitlines()[0].split())
    ['0', '1']
    """
    if n_qubits < 1 or n_layers < 1:
        raise ValueError(
            f"n_qubits={n_qubits}, n_layers={n_layers}: a circuit needs at least 1 qubit and 1 layer"
        )
    qubits = cirq.LineQubit.range(n_qubits)
    circuit = cirq.Circuit()
    for k in range(1, n_layers + 1):
        for a, rotation in ((1, cirq.rz), (0, cirq.ry)):
            circuit.append(
                cirq.Moment(
                    rotation(sympy.Symbol(f"theta_{a}_{j + 1}_{k}"))(qubits[j]) for j in range(n_qubits)
                )
            )
        pairs = cx_pairs(n_qubits, k, entangler)
        circuit.append(cirq.Moment(cirq.CX(qubits[c], qubits[t]) for c, t in pairs))
    return circuit


def parameter_resolver(angles: Float) -> cirq.ParamResolver:
    """Bind the symbols of `brickwork_circuit` to angles (n_layers, 2, n_qubits), in radians."""
    return cirq.ParamResolver(
        {f"theta_{a}_{j + 1}_{k + 1}": float(value) for (k, a, j), value in np.ndenumerate(angles)}
    )


def check_angles(angles: Float) -> Float:
    """Return `angles` as a contiguous float64 array (B, n_layers, 2, n_qubits).

    Raises ValueError for another shape, and for NaN or infinity.
    """
    array = np.ascontiguousarray(angles, dtype=np.float64)
    if array.ndim != 4 or array.shape[2] != 2 or 0 in array.shape[1:]:
        raise ValueError(
            f"angles has shape {array.shape}; it must be (batch, n_layers, 2, n_qubits), "
            "with index 0 = RY and 1 = RZ on the third axis"
        )
    if not np.isfinite(array).all():
        raise ValueError("angles holds NaN or infinity; every angle must be a finite number of radians")
    return array


def bit_probabilities(first_layer: Float) -> Float:
    """Compute the probability that each qubit is 1 after the rotations of layer 1, before its CX: (..., n).

    RZ acts on |0> as a phase, so only the RY angles `first_layer[..., 0, :]` count.
    """
    return np.sin(first_layer[..., 0, :] / 2) ** 2


def entangle_indices(index: Index, n_qubits: int, layer: int) -> Index:
    """Apply the CX gates of a layer (1-based) to basis states `index` (any shape); twice undoes it.

    >>> entangle_indices(np.arange(4), 2, layer=2)
    array([0, 1, 3, 2])
    """
    return states.entangled.py_func(index, states.control_bits(n_qubits, layer % 2))


def entangle_bits(bits: Bits, layer: int) -> Bits:
    """Apply the CX gates of a layer (1-based) to bitstrings (B, n) of any length.

    >>> entangle_bits(np.array([[1, 0, 1]], dtype=np.uint8), layer=2)
    array([[1, 1, 1]], dtype=uint8)
    """
    controls, targets = np.reshape(cx_pairs(bits.shape[1], layer), (-1, 2)).astype(int).T
    out = bits.copy()
    out[:, targets] ^= bits[:, controls]
    return out


def bit_amplitudes(angles: Float) -> Complex:
    """Compute the amplitudes (B, n, 2) of 0 and 1 of each qubit, angles (B, L, 2, n), up to a global phase.

    >>> abs(bit_amplitudes(np.full((1, 1, 2, 1), np.pi / 2))) ** 2
    array([[[0.5, 0.5]]])
    """
    half = angles / 2
    zero, one = np.cos(half[:, 0, 0]) + 0j, np.sin(half[:, 0, 0]) + 0j  # the RZ of layer 1 act on |0>
    for layer in range(1, angles.shape[1]):
        turn = np.exp(1j * half[:, layer, 1])
        c, s = np.cos(half[:, layer, 0]), np.sin(half[:, layer, 0])
        zero, one = zero * turn.conj(), one * turn
        zero, one = c * zero - s * one, s * zero + c * one
    return np.stack([zero, one], axis=-1)


def product_of_qubits(factors: Complex) -> Complex:
    """Multiply out amplitudes (B, n, 2) of the 0 and the 1 of each qubit: (B, 2**n), without CX gates.

    >>> product_of_qubits(np.array([[[0.5j, 0.5], [1.0, 0.0]]]))
    array([[0. +0.5j, 0. +0.j , 0.5+0.j , 0. +0.j ]])
    """
    out = np.ones((len(factors), 1), dtype=np.complex128)
    for j in range(factors.shape[1]):
        out = (out[:, :, None] * factors[:, j, None]).reshape(len(factors), -1)
    return out


def product_probabilities(first_layer: Float) -> Float:
    """Compute the exact q (B, 2**n) of one layer, angles (B, 2, n): a product, then the CX gates."""
    ones = bit_probabilities(first_layer)
    return states.first_layer(np.stack([1 - ones, ones], axis=-1))


def product_state(first_layer: Float) -> Float:
    """Compute the state (B, 2**n) after layer 1, angles (B, 2, n), up to a global phase: it is real."""
    half = first_layer[:, 0, :] / 2
    return states.first_layer(np.stack([np.cos(half), np.sin(half)], axis=-1))
