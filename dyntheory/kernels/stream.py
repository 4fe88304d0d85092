"""Kernels on disk: a Zarr group in a folder of its own, which a killed run goes on filling.

Tiles are written in a fixed order, each of whole chunks, each chunk whole or not at all. Only when a tile is on the
disk is it counted, so that a run taken up again computes at most one tile twice and ends with the same bits.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from dyntheory.ground.claimed_folder import IDENTITY, claimed_folder
from dyntheory.ground.files import replacing, sync_directory, sync_file
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
        array = self.group[name]
        array[rows, columns] = values
        first, second = (
            range(side.start // chunk, math.ceil(side.stop / chunk))
            for side, chunk in zip((rows, columns), array.chunks, strict=True)
        )
        root = self.folder / GROUP / name
        self._unsynced += [root / array.metadata.encode_chunk_key((i, j)) for i in first for j in second]

    def count(self, left_out: float) -> None:
        """Count one more tile, after it has reached the disk."""
        written = [path for path in self._unsynced if path.exists()]  # Zarr leaves out chunks of zeros
        with ThreadPoolExecutor(SYNCED_AT_ONCE) as pool:
            list(pool.map(sync_file, written))
        for directory in {path.parent for path in written}:
            sync_directory(directory)
        self._unsynced = []
        self.done, self.left_out = self.done + 1, left_out
        with replacing(self.folder / COUNT, force=True) as beside:
            beside.write_text(json.dumps({"tiles": self.done, "left_out": left_out}))


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
        CheckpointError: the folder is in use, holds another computation, or holds one and `resume` is False.
        ImportError: Zarr is not installed.
        OSError: the disk is too small.
    """
    try:
        import zarr
    except ImportError as error:
        raise ImportError("Writing kernels to disk needs Zarr: `pip install dyntheory[kernels]`.") from error
    with claimed_folder(path, identity, resume=resume) as folder:
        place = folder / GROUP
        if (folder / COUNT).exists():
            before = json.loads((folder / COUNT).read_text())
            for leftover in place.rglob("*.partial"):  # a chunk that Zarr was writing when it was killed
                leftover.unlink()
            yield Stream(folder, zarr.open_group(str(place), mode="r+"), before["tiles"], before["left_out"])
            return
        try:
            _check_space(folder, len(Kernels._fields) * math.prod(shape) * dtype.itemsize)
        except OSError:
            (folder / IDENTITY).unlink()  # nothing was begun: fewer rows may have the folder
            raise
        group = zarr.open_group(str(place), mode="w")
        for name in Kernels._fields:  # not compressed: the last digits of a kernel are noise
            group.create_array(
                name, shape=shape, chunks=(min(chunk, shape[0]), min(chunk, shape[1])), dtype=dtype, compressors=None
            )
        yield Stream(folder, group, 0, 0.0)


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            errno.ENOSPC,
            f"The kernels need {needed / 1e9:.3g} GB of disk, {free / 1e9:.3g} GB are free: choose another disk, "
            "fewer rows, or float32",
            str(folder),
        )
