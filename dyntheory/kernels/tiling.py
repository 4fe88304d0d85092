"""Kernels of many rows: tile by tile to a memory budget, over devices, to memory or to disk.

A tile is a square block of rows by rows; all have one shape, so that one computation is compiled. Of a set with
itself only the tiles on and above the diagonal are computed, the others are their transposes. No more than one tile
is on the devices at a time, and with `path` no more than one is in memory.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, TypeAlias

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from dyntheory.ground.arrays import Array, ArrayLike, Progress
from dyntheory.ground.checks import check_positive
from dyntheory.ground.identity.fingerprint import fingerprint
from dyntheory.ground.identity.versions import versions
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.precision import double_precision, full_products
from dyntheory.ground.resources import check_progress, silent
from dyntheory.kernels.kernel_pair import Kernels
from dyntheory.kernels.layer import Layer, check_inputs, labelled_kernel, warn_left_out
from dyntheory.kernels.stream import Stream, kernel_stream

LIVE_ARRAYS = 8
ROWS_OF_A_CHUNK = 1024  # 4 MiB in single precision

Rows: TypeAlias = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Tiles:
    """How a matrix is cut: `size` rows by `size` rows, the last ones filled up.

    Args:
        num1: rows of the first set.
        num2: rows of the second.
        size: of a tile.
        symmetric: only tiles on and above the diagonal.
        chunk: of what is on disk, a divisor of `size`.
    """

    num1: int
    num2: int
    size: int
    symmetric: bool
    chunk: int

    def __iter__(self) -> Iterator[tuple[slice, slice]]:
        """Yield the rows and columns of every tile to compute."""
        for first in range(0, self.num1, self.size):
            for second in range(first if self.symmetric else 0, self.num2, self.size):
                yield slice(first, min(first + self.size, self.num1)), slice(second, min(second + self.size, self.num2))

    def parts(self, tile: tuple[slice, slice]) -> list[tuple[slice, slice]]:
        """Return the parts of the matrix that a tile fills: itself, and its transpose where only a triangle is made."""
        first, second = tile
        return [tile, (second, first)] if self.symmetric and first != second else [tile]

    def __len__(self) -> int:
        rows, columns = (math.ceil(num / self.size) for num in (self.num1, self.num2))
        return rows * (rows + 1) // 2 if self.symmetric else rows * columns


def plan_tiles(num1: int, num2: int, *, symmetric: bool, memory: float, itemsize: int, multiple: int = 1) -> Tiles:
    """Choose tiles, all of one size and as few as a memory budget permits, and the chunks they consist of.

    Args:
        num1: rows of the first set.
        num2: rows of the second.
        symmetric: whether the sets are one.
        memory: bytes for all arrays of one tile together.
        itemsize: bytes of a number.
        multiple: a tile's rows are a multiple of this (the number of devices).

    Raises:
        ValueError: not even one row by one row fits.
    """
    check_positive("memory", memory)
    largest = math.isqrt(int(memory // (LIVE_ARRAYS * itemsize))) // multiple  # from here in units of `multiple` rows
    if largest < 1:
        raise ValueError(f"`memory` must hold {LIVE_ARRAYS} numbers for each of {multiple} rows, got {memory} bytes.")
    most = max(ROWS_OF_A_CHUNK // multiple, 1)
    largest -= largest % math.ceil(largest / most)
    total = math.ceil(max(num1, num2) / multiple)
    even = math.ceil(total / math.ceil(total / largest))
    pieces = math.ceil(even / most)
    chunk = math.ceil(even / pieces)
    return Tiles(num1, num2, chunk * pieces * multiple, symmetric, chunk * multiple)


def tiled_kernel(
    network: Layer,
    x1: ArrayLike,
    x2: ArrayLike | None = None,
    *,
    memory: float = 2**30,
    mesh: Mesh | None = None,
    path: str | Path | None = None,
    resume: bool = False,
    from_differences: bool = False,
    progress: bool | Progress = True,
) -> Any:
    """Return both kernels of a network between many rows, computed in tiles.

    With `path` every tile is saved before the next is begun. A run that is killed loses no more than the tile at hand;
    the same call with `resume=True` goes on from there, to the same bits. Nothing larger than a tile is then held in
    memory. The arrays are not compressed. They have the precision of the rows: float32 stays, all others are float64.

    Args:
        network: an architecture whose kernel is a matrix (it ends without positions).
        x1: (n1, d) or (n1, *S, d); stays on the host.
        x2: (n2, d) or (n2, *S, d); default `x1` itself, of which one triangle is computed.
        memory: bytes that the arrays of one tile may take; default 1 GiB.
        mesh: devices with one named axis, over which the rows of a tile are spread; default one device.
        path: a folder, new or empty, for "kernels.zarr", a Zarr group with the arrays "nngp" and "ntk", and what is
            needed to go on. Needs `pip install dyntheory[kernels]`.
        resume: go on from what `path` holds. It must come from the same rows, network, precision, tile size, devices
            and versions.
        from_differences: see `Layer.kernel`.
        progress: show a bar on a terminal, or a function called with (fraction done, what is being done) after each
            tile.

    Returns:
        `Kernels` of NumPy arrays (n1, n2); with `path` the Zarr group.

    Raises:
        TypeError: rows that are not real numbers, a `progress` that cannot be called.
        ValueError: bad shapes, NaN or infinity, a network that keeps positions, or `resume` without `path`.
        CheckpointError: `path` holds something already and `resume` is False, holds another computation, is damaged,
            or another process writes into it.
        ImportError: Zarr is not installed.
        OSError: the disk is too small.

    Example:
        >>> import numpy as np
        >>> from dyntheory import kernels as k
        >>> network = k.serial(k.dense(1), k.relu(), k.dense(1))
        >>> tiled_kernel(network, np.eye(5), memory=300.0).ntk.shape
        (5, 5)
    """
    check_arguments(tiled_kernel, locals())
    check_progress(None if isinstance(progress, bool) else progress)
    first, second = _sets(network, x1, x2)
    symmetric = second is first
    devices = 1 if mesh is None else mesh.devices.size
    sizes = {"symmetric": symmetric, "memory": memory, "itemsize": first.dtype.itemsize, "multiple": devices}
    tiles = plan_tiles(first.shape[0], second.shape[0], **sizes)
    compute = _compiled(network, mesh, symmetric, from_differences)
    if path is None:
        if resume:
            raise ValueError("`resume` needs `path`, the folder to go on from.")
        arrays = Arrays(tiles, first.dtype)
        _fill(arrays, tiles, compute, (first, second), progress=progress)
        return Kernels(**arrays.kernels)
    identity = {
        "network": fingerprint(network),
        "x1": fingerprint(first),
        "x2": "x1" if symmetric else fingerprint(second),
        "dtype": str(first.dtype),
        "rows_per_tile": tiles.size,
        "from_differences": from_differences,
        "num_devices": devices,
        "device": jax.devices()[0].device_kind,
        **versions(),
    }
    where = {"shape": (tiles.num1, tiles.num2), "chunk": tiles.chunk, "dtype": first.dtype}
    with kernel_stream(path, identity, **where, resume=resume) as stream:
        stream.check(map(tiles.parts, tiles))
        _fill(stream, tiles, compute, (first, second), progress=progress)
    return stream.group


def _sets(network: Layer, x1: ArrayLike, x2: ArrayLike | None) -> tuple[np.ndarray, np.ndarray]:
    """Check the rows and return them on the host, the second set as the same object when it is the first."""
    first = _on_host("x1", x1)
    second = first if x2 is None or x2 is x1 else _on_host("x2", x2)
    if second.dtype != first.dtype:
        first, second = first.astype(np.float64), second.astype(np.float64)
    if first.shape[1:] != second.shape[1:]:
        raise ValueError(f"`x1` and `x2` must hold inputs of one shape, got {first.shape[1:]}, {second.shape[1:]}.")
    if len(network.output_shape(first.shape[1:])) != 1:
        raise ValueError("The network keeps positions of `x1`: end it with `flatten` or a global pool to get a matrix.")
    return first, second


class Arrays:
    """Both kernels in memory; the same face as `Stream`."""

    def __init__(self, tiles: Tiles, dtype: np.dtype[Any]) -> None:
        self.kernels: dict[str, Any] = {name: np.empty((tiles.num1, tiles.num2), dtype) for name in Kernels._fields}
        self.done, self.left_out = 0, 0.0

    def write(self, name: str, rows: slice, columns: slice, values: np.ndarray) -> None:
        """Write a part of one kernel."""
        self.kernels[name][rows, columns] = values

    def count(self, left_out: float) -> None:
        """Count one more tile."""
        self.done, self.left_out = self.done + 1, left_out


def _on_host(name: str, value: ArrayLike) -> np.ndarray:
    check_inputs(name, value)
    array = np.asarray(value)
    return array.astype(array.dtype if array.dtype in (np.float16, np.float32) else np.float64, copy=False)


def _compiled(network: Layer, mesh: Mesh | None, symmetric: bool, from_differences: bool) -> Callable[..., Any]:
    """Return the kernel of one tile; rows carry labels, so that tiles on the diagonal know which are the same.

    On one device those on the diagonal compute one triangle, too.
    """

    def tile(x1: Array, rows1: Array, x2: Array, rows2: Array) -> tuple[Kernels, Array]:
        rows = (rows1, rows2) if symmetric else None
        return labelled_kernel(network, x1, x2, rows, from_differences=from_differences)

    def diagonal(x: Array, rows: Array) -> tuple[Kernels, Array]:
        return labelled_kernel(network, x, x, (rows, rows), symmetric=True, from_differences=from_differences)

    if mesh is None:
        across, within = jax.jit(tile), jax.jit(diagonal)
        return lambda first, second: within(*first) if second is first else across(*first, *second)
    spread = PartitionSpec(mesh.axis_names)
    specs = (spread, spread, PartitionSpec(), PartitionSpec())
    local = jax.jit(
        jax.shard_map(
            lambda *arguments: _agreed(tile(*arguments), mesh.axis_names),
            mesh=mesh,
            in_specs=specs,
            out_specs=(spread, PartitionSpec()),
            check_vma=False,
        )
    )

    def spread_out(first: Rows, second: Rows) -> tuple[Kernels, Array]:
        arguments = zip((*first, *second), specs, strict=True)
        placed = [jax.device_put(array, NamedSharding(mesh, spec)) for array, spec in arguments]
        return local(*placed)

    return spread_out


def _agreed(found: tuple[Kernels, Array], axes: tuple[str, ...]) -> tuple[Kernels, Array]:
    """Return the part of one device, and what quadrature left out on any."""
    return found[0], jax.lax.pmax(found[1], axes)


def _rows(x: np.ndarray, rows: slice, size: int) -> Rows:
    """Return one tile's rows, the last repeated to fill it, with their labels (−1 for what fills)."""
    index = np.arange(rows.start, rows.start + size)
    inside = index < rows.stop
    return x[np.minimum(index, rows.stop - 1)], np.where(inside, index, -1)


def _fill(
    target: Arrays | Stream,
    tiles: Tiles,
    compute: Callable[..., Any],
    sets: tuple[np.ndarray, np.ndarray],
    *,
    progress: bool | Progress,
) -> None:
    """Compute the tiles that are not there yet; write each where it belongs, and its transpose."""
    with _reporter(progress) as report:
        for first, second in itertools.islice(tiles, target.done, None):
            on_diagonal = tiles.symmetric and first == second
            left = _rows(sets[0], first, tiles.size)
            right = left if on_diagonal else _rows(sets[1], second, tiles.size)
            with double_precision() if sets[0].dtype == np.float64 else full_products():
                found, left_out = compute(left, right)
            for name, tile in zip(Kernels._fields, found, strict=True):
                values = np.asarray(tile)[: first.stop - first.start, : second.stop - second.start]
                target.write(name, first, second, values)
                if tiles.symmetric and not on_diagonal:
                    target.write(name, second, first, values.T)
            target.count(max(target.left_out, float(left_out)))
            report(target.done / len(tiles), f"tile {target.done} of {len(tiles)}")
    warn_left_out(np.asarray(target.left_out, sets[0].dtype))


def _reporter(progress: bool | Progress) -> AbstractContextManager[Progress]:
    from dyntheory.ground.progress import progress_bar

    if progress is True:
        return progress_bar("kernels")
    return nullcontext(progress or silent)
