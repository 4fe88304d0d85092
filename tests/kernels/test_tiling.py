"""Tiles and devices change nothing but the memory."""

import math
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from dyntheory import kernels as k
from dyntheory.kernels import tiling
from dyntheory.kernels.layer import labelled_kernel
from dyntheory.kernels.tiling import LIVE_ARRAYS, ROWS_OF_A_CHUNK, plan_tiles
from tests import ROOT

NETWORK = k.serial(k.dense(1, weight_std=1.4, bias_std=0.2), k.relu(), k.dense(1))
X = np.random.default_rng(0).standard_normal((13, 4)).astype(np.float32)


@pytest.mark.parametrize("symmetric", [True, False])
def test_tiles_give_the_same_kernels(symmetric: bool) -> None:
    other = None if symmetric else X[:7] + 1
    whole = NETWORK.kernel(X, other)
    for one, two in zip(whole, k.tiled_kernel(NETWORK, X, other, memory=8 * 4 * 5**2), strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-5)


def test_a_triangle_is_computed_and_every_entry_is_covered_once() -> None:
    tiles = plan_tiles(13, 13, symmetric=True, memory=8 * 4 * 5**2, itemsize=4)
    assert tiles.size == 5 and len(tiles) == len(list(tiles)) == 6
    covered = np.zeros((13, 13), int)
    for first, second in tiles:
        covered[first, second] += 1
        if first != second:
            covered[second, first] += 1
    assert np.all(covered == 1)
    assert plan_tiles(13, 7, symmetric=False, memory=1e9, itemsize=4, multiple=4).size == 16


@pytest.mark.parametrize("num_rows", [1, 13, 1025, 5793, 50_000, 9 * 5792])
@pytest.mark.parametrize("multiple", [1, 3, 8])
@pytest.mark.parametrize("side", [64, 1025, 5792])
def test_tiles_are_even_and_of_whole_chunks(num_rows: int, multiple: int, side: int) -> None:
    """No more tiles than the budget asks for, hardly any row that only fills up, and chunks that can be read alone."""
    memory = LIVE_ARRAYS * 4 * side**2
    tiles = plan_tiles(num_rows, num_rows, symmetric=False, memory=memory, itemsize=4, multiple=multiple)
    assert tiles.size <= side and tiles.size % tiles.chunk == 0 and tiles.chunk % multiple == 0
    assert tiles.chunk <= ROWS_OF_A_CHUNK
    per_side, pieces = math.isqrt(len(tiles)), tiles.size // tiles.chunk
    assert per_side == math.ceil(num_rows / tiles.size)
    assert per_side <= math.ceil(num_rows / (side - multiple * (pieces + 1)))
    assert per_side * tiles.size - num_rows < (per_side * (pieces + 1)) * multiple


def test_tiles_on_the_diagonal_compute_one_triangle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two programs are traced, the one for the diagonal with one set of rows; the values are those of the other."""
    seen: list[bool] = []

    def spy(*arguments: Any, symmetric: bool = False, **more: Any) -> Any:
        seen.append(symmetric)
        return labelled_kernel(*arguments, symmetric=symmetric, **more)

    monkeypatch.setattr(tiling, "labelled_kernel", spy)
    monkeypatch.setattr("dyntheory.kernels.blocks.NUMBERS_IN_A_BLOCK", 2)
    found = k.tiled_kernel(NETWORK, X, memory=8 * 4 * 5**2)
    assert sorted(seen) == [False, True]
    assert np.array_equal(found.ntk, found.ntk.T)
    seen.clear()
    other = k.tiled_kernel(NETWORK, X, X.copy(), memory=8 * 4 * 5**2)
    assert seen == [False]
    off = ~np.eye(13, dtype=bool)
    np.testing.assert_allclose(found.ntk[off], other.ntk[off], rtol=1e-5)


def test_the_diagonal_of_tiles_is_exact() -> None:
    """Rows carry labels: a tile on the diagonal knows that they are the same, so no angle is 3e-4."""
    shifted = X + np.float32(10.0)
    found = k.tiled_kernel(NETWORK, shifted, memory=8 * 4 * 5**2)
    exact = np.diag(np.asarray(NETWORK.kernel(shifted).ntk))
    np.testing.assert_allclose(np.diag(found.ntk), exact, rtol=1e-6)
    unlabelled = np.diag(np.asarray(NETWORK.kernel(shifted, shifted.copy()).ntk))
    assert np.max(np.abs(unlabelled / exact - 1)) > 1e-5  # negative control: two sets, angles from inner products


def test_rows_are_spread_over_devices() -> None:
    code = (
        "import jax, numpy as np; from dyntheory import kernels as k; assert len(jax.devices()) == 2\n"
        "n = k.serial(k.dense(1), k.relu(), k.dense(1)); x = np.sin(np.arange(36, dtype=np.float32)).reshape(9, 4)\n"
        "mesh = jax.make_mesh((2,), ('rows',))\n"
        "tiled = k.tiled_kernel(n, x, mesh=mesh, memory=8 * 4 * 4**2)\n"
        "np.testing.assert_allclose(tiled.ntk, n.kernel(x).ntk, rtol=1e-5)\n"
    )
    environment = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu", "PYTHONPATH": "."}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env={**os.environ, **environment})


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="memory"):
        k.tiled_kernel(NETWORK, X, memory=3.0)
    with pytest.raises(ValueError, match="keeps positions"):
        k.tiled_kernel(k.conv(2, 3), np.ones((2, 5, 1)))
    with pytest.raises(ValueError, match="one shape"):
        k.tiled_kernel(NETWORK, X, X[:, :2])
    with pytest.raises(TypeError, match="numbers"):
        k.tiled_kernel(NETWORK, X.astype(complex))
