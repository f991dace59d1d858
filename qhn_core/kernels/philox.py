"""Random numbers that are a function of a key and a counter, so that no draw depends on another.

Philox4x32-10: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3",
SC'11, doi:10.1145/2063384.2063405. The key is a seed's own; the counter is (number, stream,
epoch, part), so each circuit of each epoch has a stream to itself.
"""

import numpy as np
from numba import njit

from qhn_core.kernels.hamming import WORD_BITS

LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
WEYL = (np.uint64(0x9E3779B9), np.uint64(0xBB67AE85))
UNIT = 2.0**-53


@njit(cache=True, nogil=True, inline="always")
def philox(c0, c1, c2, c3, k0, k1):
    """Four random 32-bit numbers, as uint64, from four counters and two keys below 2**32."""
    for _ in range(10):
        a = MULTIPLIERS[0] * c0
        b = MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (b >> HALF) ^ c1 ^ k0, b & LOW, (a >> HALF) ^ c3 ^ k1, a & LOW
        k0 = (k0 + WEYL[0]) & LOW
        k1 = (k1 + WEYL[1]) & LOW
    return c0, c1, c2, c3


@njit(cache=True, nogil=True)
def _unit(high, low):
    return np.float64(np.int64(((high << HALF) | low) >> np.uint64(11))) * UNIT


@njit(cache=True, nogil=True)
def fill_uniform(out, key, epoch, stream, part):
    """Fill `out` (count,) with uniform numbers in [0, 1) of 53 bits; key (2,) uint64 below 2**32."""
    half = out.size // 2
    low = out[:half]
    high = out[half : 2 * half]
    s = np.uint64(stream)
    e = np.uint64(epoch)
    p = np.uint64(part)
    for i in range(half):
        a, b, c, d = philox(np.uint64(i), s, e, p, key[0], key[1])
        low[i] = _unit(a, b)
        high[i] = _unit(c, d)
    if out.size > 2 * half:
        a, b, c, d = philox(np.uint64(half), s, e, p, key[0], key[1])
        out[2 * half] = _unit(a, b)


@njit(cache=True, nogil=True)
def uniform_words(n_bits, shots, keys, epoch, stream):
    """Uniform bitstrings of every seed, keys (S, 2): packed words (S, W, shots)."""
    n_words = (n_bits + WORD_BITS - 1) // WORD_BITS
    out = np.empty((len(keys), n_words, shots), dtype=np.int64)
    for row in range(len(keys)):
        for w in range(n_words):
            unused = np.uint64(64 - min(WORD_BITS, n_bits - w * WORD_BITS))
            for i in range(shots):
                a, b, _, _ = philox(
                    np.uint64(i),
                    np.uint64(stream),
                    np.uint64(epoch),
                    np.uint64(w),
                    keys[row, 0],
                    keys[row, 1],
                )
                out[row, w, i] = np.int64(((a << HALF) | b) >> unused)
    return out
