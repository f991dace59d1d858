from xml.etree import ElementTree

import cirq
import pytest

from qhn_core.figures.circuit import circuit_svg
from tests.unit import oracles

SVG = "{http://www.w3.org/2000/svg}"
SIZES = pytest.mark.parametrize(("n", "layers"), [(2, 1), (6, 1), (6, 3), (14, 2)])


def drawing(n, layers):
    return ElementTree.fromstring(circuit_svg(n, layers))


def test_without_an_entangler_the_drawing_has_the_same_rotations_and_no_cx():
    svg, other = (ElementTree.fromstring(circuit_svg(6, 3, e)) for e in ("none", "brickwork"))
    assert not list(svg.iter(f"{SVG}circle"))
    own, others = ([box.get("data-gate") for box in x.iter(f"{SVG}rect")] for x in (svg, other))
    assert own == others


def wires(svg):
    """{height of a wire: qubit, 0-based}, by the names at their left ends."""
    names = [t for t in svg.iter(f"{SVG}text") if t.text.startswith("q")]
    lines = [line for line in svg.findall(f"{SVG}line")]
    assert [t.text for t in names] == [f"q{j + 1}" for j in range(len(lines))]
    return {float(line.get("y1")): j for j, line in enumerate(lines)}


def gates(svg):
    """[(x, name, qubits)] as drawn, from left to right."""
    row, found = wires(svg), []
    for box in svg.iter(f"{SVG}rect"):
        if box.get("data-gate"):
            middle = float(box.get("x")) + float(box.get("width")) / 2
            qubit = row[float(box.get("y")) + float(box.get("height")) / 2]
            [label] = [
                t.text
                for t in svg.findall(f"{SVG}text")
                if float(t.get("x")) == middle and 0 <= float(t.get("y")) - float(box.get("y")) <= 12
            ]
            found.append((middle, label, (qubit,)))
    for group in svg.findall(f"{SVG}g"):
        dot, ring = sorted(group.findall(f"{SVG}circle"), key=lambda c: float(c.get("r")))
        assert ring.get("fill") == "none"
        found.append((float(dot.get("cx")), "CX", tuple(row[float(c.get("cy"))] for c in (dot, ring))))
    return sorted(found)


@SIZES
def test_the_drawing_shows_the_gates_of_eq_8_in_their_order(n, layers):
    angles = oracles.random_angles(0, layers, 2, n)
    moments = {cirq.Rz: "RZ", cirq.Ry: "RY"}
    expected = [
        (moments.get(type(op.gate), "CX"), tuple(q.x for q in op.qubits))
        for op in oracles.circuit(angles).all_operations()
        if not isinstance(op.gate, cirq.IdentityGate)
    ]
    drawn = [(name, qubits) for _, name, qubits in gates(drawing(n, layers))]

    def of_qubit(circuit, j):
        return [gate for gate in circuit if j in gate[1]]

    assert len(drawn) == len(expected)
    for j in range(n):  # gates on different qubits commute: the order along each wire is the circuit
        assert of_qubit(drawn, j) == of_qubit(expected, j)


@SIZES
def test_each_rotation_carries_the_place_of_its_angle(n, layers):
    svg = drawing(n, layers)
    row = wires(svg)
    boxes = [box for box in svg.iter(f"{SVG}rect") if box.get("data-gate")]
    places = [tuple(map(int, box.get("data-gate").split("-"))) for box in boxes]
    assert sorted(places) == [(k, a, j) for k in range(layers) for a in (0, 1) for j in range(n)]
    for box, (layer, a, qubit) in zip(boxes, places, strict=True):
        assert row[float(box.get("y")) + float(box.get("height")) / 2] == qubit
        title = box.find(f"{SVG}title").text
        assert title == f"{('RY', 'RZ')[a]}, qubit {qubit + 1}, layer {layer + 1}"


@SIZES
def test_everything_is_inside_the_picture(n, layers):
    svg = drawing(n, layers)
    left, top, width, height = map(float, svg.get("viewBox").split())
    assert (left, top) == (0, 0)
    for box in svg.iter(f"{SVG}rect"):
        assert float(box.get("x")) >= 0
        assert float(box.get("x")) + float(box.get("width")) <= width
        assert 0 <= float(box.get("y")) <= height - float(box.get("height"))
    for ring in svg.iter(f"{SVG}circle"):
        assert float(ring.get("cx")) + float(ring.get("r")) <= width
        assert float(ring.get("cy")) + float(ring.get("r")) <= height


def test_a_reader_who_does_not_see_it_is_told_what_it_is():
    svg = drawing(6, 3)
    assert svg.get("role") == "img"
    assert svg.get("aria-label") == "circuit of 6 qubits and 3 layers"
