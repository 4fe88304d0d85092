"""Kernels on disk: a Zarr group in a folder of its own, which a killed run goes on filling.

Tiles are written in a fixed order, each of whole chunks, each chunk whole or not at all. Only when a tile is on the
disk is it counted, so that a run taken up again computes at most one tile twice and ends with the same bits. Every
chunk ends with its CRC-32C, which is checked whenever it is read; a chunk that is not there reads as NaN.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import math
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from dyntheory.ground.claimed_folder import claimed_folder
from dyntheory.ground.files import sync_directory, sync_file
from dyntheory.ground.sealed_files import CheckpointError, read_json, write_json
from dyntheory.kernels.kernel_pair import Kernels

GROUP, COUNT = "kernels.zarr", "tiles.json"
SYNCED_AT_ONCE = 8


class Stream:
    """Both kernels on disk, and how many tiles of them are there.

    Args:
        folder: claimed for this computation.
        group: the Zarr group, with one array for each kernel.
        done: number of tiles written.
        left_out: the largest fraction of a second moment that quadrature left out in them.
    """

    def __init__(self, folder: Path, group: Any, done: int, left_out: float) -> None:
        self.folder, self.group, self.done, self.left_out = folder, group, done, left_out
        self._unsynced: list[Path] = []

    def write(self, name: str, rows: slice, columns: slice, values: np.ndarray) -> None:
        """Write a part of one kernel, which begins and ends with a chunk."""
        self.group[name][rows, columns] = values
        self._unsynced += [path for path, _ in self._chunks(name, rows, columns)]

    def _chunks(self, name: str, rows: slice, columns: slice) -> Iterator[tuple[Path, tuple[slice, slice]]]:
        """Yield the file of every chunk of a part, and where in the kernel it is."""
        array = self.group[name]
        first, second = (
            [slice(start, min(start + chunk, side.stop)) for start in range(side.start, side.stop, chunk)]
            for side, chunk in zip((rows, columns), array.chunks, strict=True)
        )
        for place in itertools.product(first, second):
            index = tuple(side.start // chunk for side, chunk in zip(place, array.chunks, strict=True))
            yield self.folder / GROUP / name / array.metadata.encode_chunk_key(index), place

    def check(self, tiles: Iterable[Iterable[tuple[slice, slice]]]) -> None:
        """Read what was counted; from the first tile on of which a chunk is missing everything is computed again.

        Args:
            tiles: the parts of the kernels that each tile fills, in order.

        Raises:
            CheckpointError: a chunk is damaged.
        """
        for number, parts in zip(range(self.done), tiles, strict=False):
            for name, part in itertools.product(Kernels._fields, parts):
                for path, place in self._chunks(name, *part):
                    if not path.is_file():
                        self.done = number
                        return
                    self._check_chunk(path, name, place)

    def _check_chunk(self, path: Path, name: str, place: tuple[slice, slice]) -> None:
        try:
            self.group[name][place]
        except OSError:
            raise
        except Exception as error:  # whatever comes first in Zarr
            raise CheckpointError(
                f"'{path}' is damaged: remove it and resume, and from its tile on the kernels are computed again."
            ) from error

    def count(self, left_out: float) -> None:
        """Count one more tile, after it has reached the disk."""
        with ThreadPoolExecutor(SYNCED_AT_ONCE) as pool:
            list(pool.map(sync_file, self._unsynced))
        for directory in {path.parent for path in self._unsynced}:
            sync_directory(directory)
        self._unsynced = []
        self.done, self.left_out = self.done + 1, left_out
        write_json(self.folder / COUNT, {"tiles": self.done, "left_out": left_out})


@contextlib.contextmanager
def kernel_stream(
    path: str | Path,
    identity: dict[str, Any],
    *,
    shape: tuple[int, int],
    chunk: int,
    dtype: np.dtype[Any],
    resume: bool,
) -> Iterator[Stream]:
    """Yield the kernels on disk of one computation, locked while the block runs.

    Args:
        path: a folder, made if it is not there.
        identity: what the computation is; see `claimed_folder`.
        shape: of a kernel.
        chunk: rows and columns of a chunk.
        dtype: of a kernel.
        resume: whether to go on from what the folder holds.

    Raises:
        CheckpointError: the folder is in use, is damaged, holds another computation, or holds one and `resume` is
            False.
        ImportError: Zarr is not installed.
        OSError: the disk is too small.
    """
    try:
        import zarr
        from zarr.codecs import Crc32cCodec
    except ImportError as error:
        raise ImportError("Writing kernels to disk needs Zarr: `pip install dyntheory[kernels]`.") from error
    form: dict[str, Any] = {
        "shape": shape,
        "chunks": (min(chunk, shape[0]), min(chunk, shape[1])),
        "dtype": dtype,
        "fill_value": math.nan,
    }
    with claimed_folder(path, identity, resume=resume) as folder:
        place = folder / GROUP
        if (folder / COUNT).exists():
            remedy = f"remove '{folder}' and begin anew"
            before = read_json(folder / COUNT, remedy=remedy)
            for leftover in place.rglob("*.partial"):  # a chunk that Zarr was writing when it was killed
                leftover.unlink()
            yield Stream(folder, _opened(place, form, remedy), before["tiles"], before["left_out"])
            return
        _check_space(folder, len(Kernels._fields) * math.prod(shape) * dtype.itemsize)
        group = zarr.open_group(str(place), mode="w")
        for name in Kernels._fields:  # not compressed: the last digits of a kernel are noise
            group.create_array(name, **form, compressors=Crc32cCodec())
        yield Stream(folder, group, 0, 0.0)


def _opened(place: Path, form: dict[str, Any], remedy: str) -> Any:
    """Return the group of a folder; its arrays must be as they were made."""
    import zarr
    from zarr.codecs import Crc32cCodec

    try:
        group: Any = zarr.open_group(str(place), mode="r+")
        arrays = [group[name] for name in Kernels._fields]
        is_ours = all(
            array.shape == form["shape"]
            and array.chunks == form["chunks"]
            and array.dtype == form["dtype"]
            and array.compressors == (Crc32cCodec(),)
            and math.isnan(array.fill_value)
            for array in arrays
        )
    except PermissionError:
        raise
    except Exception as error:  # whatever comes first in Zarr
        raise CheckpointError(f"'{place}' is damaged ({error}): {remedy}.") from error
    if not is_ours:
        raise CheckpointError(f"'{place}' is damaged: its arrays have another form; {remedy}.")
    return group


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            errno.ENOSPC,
            f"The kernels need {needed / 1e9:.3g} GB of disk, {free / 1e9:.3g} GB are free: choose another disk, "
            "fewer rows, or float32",
            str(folder),
        )
