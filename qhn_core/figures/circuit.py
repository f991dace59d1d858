"""The ansatz of eq. (8) as an SVG whose gates can be shaded one by one."""

from qhn_core.circuits.ansatz import cx_pairs
from qhn_core.config import EntanglerName

STEP, ROW, BOX = 30, 15, 12
"""Pixels between columns, between wires, and the side of a gate."""
GATES = ((1, "RZ"), (0, "RY"))
"""Rotations in the order of application; the number is the gate's place in the angle array."""
MOST_WIRES, WIRES_OF_MANY = 22, 12
"""The most qubits of a circuit that is drawn in full, and how many are drawn of a larger one."""


def circuit_svg(n_qubits: int, n_layers: int, entangler: EntanglerName = "brickwork") -> str:
    """Draw the circuit as SVG text; entangler: "none" has no CX gates.

    Each rotation has the attribute data-gate="layer-a-qubit"; all three are counted from 0, a = 0 is RY
    and a = 1 is RZ. Of more than MOST_WIRES qubits, the first WIRES_OF_MANY are drawn, and a line says
    how many are left out.

    >>> circuit_svg(2, 1).count("data-gate")
    4
    """
    parts: list[str] = []
    x = 34
    drawn = n_qubits if n_qubits <= MOST_WIRES else WIRES_OF_MANY
    for k in range(n_layers):
        for a, name in GATES:
            parts += [_gate(k, a, name, j, x) for j in range(drawn)]
            x += STEP
        pairs = cx_pairs(drawn, k + 1, entangler)
        parts += [_cx(c, t, x) for c, t in pairs]
        x += STEP if pairs else 0
    width, height = x, ROW * (drawn + (drawn < n_qubits))
    wires = [_wire(j, width) for j in range(drawn)]
    if drawn < n_qubits:
        wires.append(
            f'<text x="2" y="{_center(drawn) + 3}" opacity="0.6">⋮ {n_qubits - drawn} more qubits</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="circuit of {n_qubits} qubits and {n_layers} layers" '
        'font-family="sans-serif" font-size="8" fill="currentColor" stroke="none">'
        + "".join(wires + parts)
        + "</svg>"
    )


def _center(qubit: int) -> float:
    return ROW * (qubit + 0.5)


def _wire(qubit: int, width: int) -> str:
    y = _center(qubit)
    return (
        f'<text x="2" y="{y + 3}" opacity="0.6">q{qubit + 1}</text>'
        f'<line x1="20" x2="{width}" y1="{y}" y2="{y}" stroke="currentColor" stroke-opacity="0.3"/>'
    )


def _gate(layer: int, a: int, name: str, qubit: int, x: int) -> str:
    place = f'x="{x - BOX}" y="{_center(qubit) - BOX / 2}" width="{2 * BOX}" height="{BOX}" rx="2"'
    return (
        f'<rect {place} fill="var(--st-background-color, white)"/>'
        f'<rect {place} data-gate="{layer}-{a}-{qubit}" fill="var(--gate-color, #B5399B)" '
        'fill-opacity="0.06" stroke="currentColor" stroke-opacity="0.5">'
        f"<title>{name}, qubit {qubit + 1}, layer {layer + 1}</title></rect>"
        f'<text x="{x}" y="{_center(qubit) + 3}" text-anchor="middle" pointer-events="none">{name}</text>'
    )


def _cx(control: int, target: int, x: int) -> str:
    top, bottom = _center(control), _center(target)
    return (
        f'<g stroke="currentColor" stroke-width="1"><line x1="{x}" x2="{x}" y1="{top}" y2="{bottom + 4}"/>'
        f'<circle cx="{x}" cy="{top}" r="2.2" fill="currentColor"/>'
        f'<circle cx="{x}" cy="{bottom}" r="4" fill="none"/>'
        f'<line x1="{x - 4}" x2="{x + 4}" y1="{bottom}" y2="{bottom}"/></g>'
    )
