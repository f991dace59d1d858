"""Random numbers by counter, against their authors' answers and statistics."""

import numpy as np
import pytest
import scipy.stats

from qhn_core.bits import words_to_bits
from qhn_core.kernels import philox

KNOWN_ANSWERS = [  # of the authors' library Random123, philox4x32 with 10 rounds
    ((0, 0, 0, 0, 0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 6, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]
KEY = np.array([123456789, 987654321], dtype=np.uint64)


@pytest.mark.parametrize(("given", "expected"), KNOWN_ANSWERS)
def test_philox_gives_its_authors_answers(given, expected):
    assert philox.philox(*(np.uint64(x) for x in given)) == expected


def uniforms(count=1000, key=KEY, epoch=3, stream=5, part=0):
    out = np.empty(count)
    philox.fill_uniform(out, key, epoch, stream, part)
    return out


@pytest.mark.parametrize("count", [1, 2, 7, 100_000])
def test_uniforms_are_uniform(count):
    u = uniforms(count)
    assert u.min() >= 0
    assert u.max() < 1
    assert len(np.unique(u)) == count
    if count > 1000:
        assert scipy.stats.kstest(u, "uniform").pvalue > 1e-3
        assert abs(np.corrcoef(u[: count // 2], u[count // 2 :])[0, 1]) < 4 / np.sqrt(count / 2)


def test_every_key_epoch_stream_and_part_is_a_stream_of_its_own():
    others = [
        {"key": KEY[::-1].copy()},
        {"key": KEY + np.uint64(1)},
        {"epoch": 4},
        {"stream": 6},
        {"part": 1},
    ]
    mine = uniforms()
    np.testing.assert_array_equal(mine, uniforms())
    for other in others:
        theirs = uniforms(**other)
        assert not np.isin(theirs, mine).any(), other
        assert abs(np.corrcoef(mine, theirs)[0, 1]) < 0.12


@pytest.mark.parametrize("n_bits", [1, 14, 63, 64, 130])
def test_uniform_words_have_fair_independent_bits(n_bits):
    keys = np.array([KEY, KEY + np.uint64(1)])
    packed = philox.uniform_words(n_bits, 4000, keys, 1, 0)
    bits = words_to_bits(packed, n_bits).reshape(-1, n_bits)
    assert packed.min() >= 0
    assert abs(bits.mean(axis=0) - 0.5).max() < 4.5 * 0.5 / np.sqrt(8000)
    if n_bits > 1:
        assert abs(np.corrcoef(bits.T) - np.eye(n_bits)).max() < 5.5 / np.sqrt(8000)
    np.testing.assert_array_equal(philox.uniform_words(n_bits, 4000, keys[1:], 1, 0)[0], packed[1])
