"""Kernels of many rows: tile by tile to a memory budget, over devices, to memory or to disk.

A tile is a square block of rows by rows; all have one shape, so that one computation is compiled. Of a set with
itself only the tiles on and above the diagonal are computed, the others are their transposes. No more than one tile
is on the devices at a time, and with `path` no more than one is in memory.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from dyntheory._checks import check_positive
from dyntheory._typing import Array, ArrayLike
from dyntheory.kernels.kernels import Kernels
from dyntheory.kernels.layer import Layer, labelled_kernel, warn_left_out

LIVE_ARRAYS = 8


@dataclasses.dataclass(frozen=True)
class Tiles:
    """How a matrix is cut: `size` rows by `size` rows, the last ones filled up.

    Args:
        num1: rows of the first set.
        num2: rows of the second.
        size: of a tile.
        symmetric: only tiles on and above the diagonal.
    """

    num1: int
    num2: int
    size: int
    symmetric: bool

    def __iter__(self) -> Iterator[tuple[slice, slice]]:
        """Yield the rows and columns of every tile to compute."""
        for first in range(0, self.num1, self.size):
            for second in range(first if self.symmetric else 0, self.num2, self.size):
                yield slice(first, min(first + self.size, self.num1)), slice(second, min(second + self.size, self.num2))

    def __len__(self) -> int:
        rows, columns = (math.ceil(num / self.size) for num in (self.num1, self.num2))
        return rows * (rows + 1) // 2 if self.symmetric else rows * columns


def plan_tiles(num1: int, num2: int, *, symmetric: bool, memory: float, itemsize: int, multiple: int = 1) -> Tiles:
    """Choose the largest tiles within a memory budget.

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
    side = math.isqrt(int(memory // (LIVE_ARRAYS * itemsize)))
    largest = side // multiple * multiple
    if largest < 1:
        raise ValueError(f"`memory` must hold {LIVE_ARRAYS} numbers for each of {multiple} rows, got {memory} bytes.")
    return Tiles(num1, num2, min(largest, math.ceil(max(num1, num2) / multiple) * multiple), symmetric)


def tiled_kernel(
    network: Layer,
    x1: ArrayLike,
    x2: ArrayLike | None = None,
    *,
    memory: float = 2**30,
    mesh: Mesh | None = None,
    path: str | Path | None = None,
    from_differences: bool = False,
    progress: bool = True,
) -> Any:
    """Return both kernels of a network between many rows, computed in tiles.

    Args:
        network: an architecture whose kernel is a matrix (it ends without positions).
        x1: (n1, d) or (n1, *S, d); stays on the host.
        x2: (n2, d) or (n2, *S, d); default `x1` itself, of which one triangle is computed.
        memory: bytes that the arrays of one tile may take; default 1 GiB.
        mesh: devices with one named axis, over which the rows of a tile are spread; default one device.
        path: a new directory for a Zarr group with the arrays "nngp" and "ntk", in chunks of a tile. Nothing larger
            than a tile is then held in memory. Needs `pip install dyntheory[kernels]`.
        from_differences: see `Layer.kernel`.
        progress: show a bar on a terminal.

    Returns:
        `Kernels` of NumPy arrays (n1, n2); with `path` the Zarr group.

    Raises:
        ValueError: bad shapes, or a network that keeps positions.
        FileExistsError: there is something at `path` already.
        ImportError: Zarr is not installed.

    Example:
        >>> import numpy as np
        >>> from dyntheory import kernels as k
        >>> network = k.serial(k.dense(1), k.relu(), k.dense(1))
        >>> tiled_kernel(network, np.eye(5), memory=300.0).ntk.shape
        (5, 5)
    """
    first = _on_host("x1", x1)
    second = first if x2 is None else _on_host("x2", x2)
    if first.shape[1:] != second.shape[1:]:
        raise ValueError(f"`x1` and `x2` must hold inputs of one shape, got {first.shape[1:]}, {second.shape[1:]}.")
    if len(network.output_shape(first.shape[1:])) != 1:
        raise ValueError("The network keeps positions: end it with `flatten` or a global pool to get a matrix.")
    symmetric = x2 is None or x2 is x1
    devices = 1 if mesh is None else mesh.devices.size
    sizes = {"symmetric": symmetric, "memory": memory, "itemsize": first.dtype.itemsize, "multiple": devices}
    tiles = plan_tiles(first.shape[0], second.shape[0], **sizes)
    target = _in_memory(tiles, first.dtype) if path is None else _on_disk(Path(path), tiles, first.dtype)
    compute = _compiled(network, mesh, symmetric, from_differences)
    _fill(target, tiles, compute, (first, second), progress=progress)
    return Kernels(**target) if path is None else target


def _on_host(name: str, value: ArrayLike) -> np.ndarray:
    array = np.asarray(value)
    if array.ndim < 2 or 0 in array.shape or array.dtype.kind not in "fiu":
        raise ValueError(
            f"`{name}` must be numbers (rows, d) or (rows, *positions, d), got {array.dtype} {array.shape}."
        )
    return array.astype(jax.dtypes.canonicalize_dtype(array.dtype if array.dtype.kind == "f" else float), copy=False)


def _compiled(network: Layer, mesh: Mesh | None, symmetric: bool, from_differences: bool) -> Callable[..., Any]:
    """Return the kernel of one tile; rows carry labels, so that tiles on the diagonal know which are the same."""

    def tile(x1: Array, x2: Array, rows1: Array, rows2: Array) -> tuple[Kernels, Array]:
        rows = (rows1, rows2) if symmetric else None
        return labelled_kernel(network, x1, x2, rows, from_differences=from_differences)

    if mesh is None:
        return jax.jit(tile)
    spread = PartitionSpec(mesh.axis_names)
    specs = (spread, PartitionSpec(), spread, PartitionSpec())
    local = jax.jit(
        jax.shard_map(
            lambda *arguments: _agreed(tile(*arguments), mesh.axis_names),
            mesh=mesh,
            in_specs=specs,
            out_specs=(spread, PartitionSpec()),
            check_vma=False,
        )
    )

    def spread_out(*arguments: np.ndarray) -> tuple[Kernels, Array]:
        placed = [jax.device_put(a, NamedSharding(mesh, spec)) for a, spec in zip(arguments, specs, strict=True)]
        return local(*placed)

    return spread_out


def _agreed(found: tuple[Kernels, Array], axes: tuple[str, ...]) -> tuple[Kernels, Array]:
    """Return the part of one device, and what quadrature left out on any."""
    return found[0], jax.lax.pmax(found[1], axes)


def _in_memory(tiles: Tiles, dtype: np.dtype[Any]) -> dict[str, Any]:
    return {name: np.empty((tiles.num1, tiles.num2), dtype) for name in Kernels._fields}


def _on_disk(path: Path, tiles: Tiles, dtype: np.dtype[Any]) -> Any:
    try:
        import zarr
    except ImportError as error:
        raise ImportError("Writing kernels to disk needs Zarr: `pip install dyntheory[kernels]`.") from error
    if path.exists():
        raise FileExistsError(f"There is something at {path.name!r} already: choose a new `path`, or remove it.")
    group = zarr.open_group(str(path), mode="w")
    chunk = (min(tiles.size, tiles.num1), min(tiles.size, tiles.num2))
    for name in Kernels._fields:
        group.create_array(name, shape=(tiles.num1, tiles.num2), chunks=chunk, dtype=dtype)
    return group


def _rows(x: np.ndarray, rows: slice, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return one tile's rows, the last repeated to fill it, with their labels (−1 for what fills)."""
    index = np.arange(rows.start, rows.start + size)
    inside = index < rows.stop
    return x[np.minimum(index, rows.stop - 1)], np.where(inside, index, -1)


def _fill(
    target: Any, tiles: Tiles, compute: Callable[..., Any], sets: tuple[np.ndarray, np.ndarray], *, progress: bool
) -> None:
    """Compute every tile and write it where it belongs, and its transpose."""
    worst = 0.0
    with _bar(progress) as report:
        for number, (first, second) in enumerate(tiles):
            (x1, rows1), (x2, rows2) = (
                _rows(x, rows, tiles.size) for x, rows in zip(sets, (first, second), strict=True)
            )
            found, left_out = compute(x1, x2, rows1, rows2)
            worst = max(worst, float(left_out))
            for name, tile in zip(Kernels._fields, found, strict=True):
                values = np.asarray(tile)[: first.stop - first.start, : second.stop - second.start]
                target[name][first, second] = values
                if tiles.symmetric and first != second:
                    target[name][second, first] = values.T
            report((number + 1) / len(tiles), f"tile {number + 1} of {len(tiles)}")
    warn_left_out(jnp.asarray(worst, sets[0].dtype))


def _bar(progress: bool) -> Any:
    from contextlib import nullcontext

    from dyntheory.progress import progress_bar

    return progress_bar("kernels") if progress else nullcontext(lambda fraction, text: None)
