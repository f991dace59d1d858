"""The few loops that dominate a run, compiled with numba.

Every kernel is deterministic, works on one block of arrays and releases the GIL, so callers may run
several in threads. Each has a numpy, scipy or Cirq oracle in `tests/unit/test_kernels*.py`. Bit 0
is the most significant bit of an index (Cirq's order).

- `philox`: random numbers by counter, and uniform bitstrings.
- `transforms`: linear maps of arrays with 2**n entries, and sums over them.
- `words`: Hamming distances between packed bitstrings.
- `sampling`: bitstrings from a product distribution or from a table of probabilities.
- `product`: the circuits of one layer, whose distribution is a product.
- `states`: state vectors, layer by layer; `adjoint`: exact gradients by one backward pass.
- `cones`: samples of all shifted circuits from one state.
"""
