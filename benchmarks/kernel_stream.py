"""What it costs to stream the kernels of many rows to disk, against computing them and writing as much, each alone.

PROTOCOL. n rows of d = 784 standard Gaussian numbers, depth 3 with ReLU, weight_std 1.4, bias_std 0.1, both kernels,
float32, one set: `tiled_kernel(x, path=…)` into a temporary folder, compilation included, which ends when the last
chunk is on the disk. Then, in the same process:

* tiles alone: `network.kernel` of one tile off the diagonal and of one on it, jitted and warm, median of `repeats`,
  times the number of such tiles: the same computation with nothing kept.
* disk alone: one tile of bytes written to one file and synced, median of `repeats`, times the number of bytes.

The ratio is the stream's seconds over the sum of both, so that 1 is a stream which waits for nothing else. Peak memory
is that of the process at the end of the stream, and beside it what the rows and the imports took before it began; both
matrices would take 8 n² bytes. Accuracy: the largest deviation of random entries, a fifth of them on the diagonal, from
the arc-cosine recursion written out in NumPy and float64, relative to the diagonal.

Nothing is asserted. Numbers are of one run on a shared machine; the record has device, dtype and versions.

    python -m benchmarks.kernel_stream                  # 20 GB of disk; writes benchmarks/results/kernel_stream.json
    python -m benchmarks.kernel_stream --num-rows 3000 --memory 32e6
"""

from __future__ import annotations

import dataclasses
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tyro

from benchmarks.kernel_speed import BIAS_STD, WEIGHT_STD, network, seconds
from benchmarks.leaving import leave
from dyntheory.kernels import tiled_kernel
from dyntheory.kernels.tiling import Tiles, plan_tiles


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes, and where the temporary folder is made (default: where the system makes them)."""

    num_rows: int = 50_000
    num_features: int = 784
    depth: int = 3
    memory: float = 2**30
    num_entries: int = 200
    repeats: int = 3
    folder: Path | None = None
    seed: int = 0


def peak_memory() -> int:
    """Return the most bytes that this process has had in memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def written(folder: Path) -> int:
    """Return the bytes of all files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def median(call: Callable[[], Any], repeats: int) -> float:
    """Return the median time of a warm call."""
    seconds(call)
    return float(np.median([seconds(call) for _ in range(repeats)]))


def tiles_alone(x: np.ndarray, tiles: Tiles, settings: Settings) -> float:
    """Return the time of all tiles when nothing is kept of them."""
    kernel = jax.jit(network("relu", settings.depth).kernel)
    first, second = x[: tiles.size], x[-tiles.size :].copy()
    num_diagonal = -(-tiles.num1 // tiles.size)
    on, off = (median(call, settings.repeats) for call in (lambda: kernel(first), lambda: kernel(first, second)))
    return num_diagonal * on + (len(tiles) - num_diagonal) * off


def disk_alone(folder: Path, size: int, settings: Settings) -> float:
    """Return the bytes a second at which one tile reaches the disk as one file."""
    tile = np.random.default_rng(0).bytes(4 * size**2)

    def write() -> None:
        with (folder / "raw").open("wb") as file:
            file.write(tile)
            os.fsync(file.fileno())

    rate = len(tile) / median(write, settings.repeats)
    (folder / "raw").unlink()
    return rate


def by_hand(x: np.ndarray, y: np.ndarray, depth: int) -> tuple[np.ndarray, np.ndarray]:
    """Return both kernels of pairs of rows, from the recursion for arc-cosine kernels (`cho2009kernel`) in float64."""
    square, bias = WEIGHT_STD**2, BIAS_STD**2
    left, right, cov = (square * np.mean(a * b, axis=1) + bias for a, b in ((x, x), (y, y), (x, y)))
    ntk = cov
    for _ in range(depth):
        scale = np.sqrt(left * right)
        angle = np.arccos(np.clip(cov / scale, -1, 1))
        slope = (np.pi - angle) / (2 * np.pi)
        cov = square * (scale * np.sin(angle) / (2 * np.pi) + slope * cov) + bias
        left, right = (square * side / 2 + bias for side in (left, right))
        ntk = cov + square * slope * ntk
    return cov, ntk


def errors(group: Any, x: np.ndarray, settings: Settings) -> dict[str, float]:
    """Return the largest deviation of random entries, on the diagonal and off it, relative to the diagonal."""
    rows, columns = np.random.default_rng(settings.seed + 1).integers(len(x), size=(2, settings.num_entries))
    columns[: settings.num_entries // 5] = rows[: settings.num_entries // 5]
    first, second = (np.asarray(x[index], np.float64) for index in (rows, columns))
    found = {}
    for name, exact, one, two in zip(
        ("nngp", "ntk"),
        by_hand(first, second, settings.depth),
        by_hand(first, first, settings.depth),
        by_hand(second, second, settings.depth),
        strict=True,
    ):
        deviation = np.abs(group[name].vindex[rows, columns] - exact) / np.sqrt(one * two)
        same = rows == columns
        found[f"{name}, diagonal"] = float(deviation[same].max())
        found[f"{name}, off the diagonal"] = float(deviation[~same].max())
    return found


def main(settings: Settings) -> None:
    """Run the protocol, print the numbers, write the record."""
    n = settings.num_rows
    tiles = plan_tiles(n, n, symmetric=True, memory=settings.memory, itemsize=4)
    x = np.random.default_rng(settings.seed).standard_normal((n, settings.num_features), np.float32)
    with tempfile.TemporaryDirectory(dir=settings.folder) as name:
        folder, before = Path(name), peak_memory()
        started = time.perf_counter()
        group = tiled_kernel(network("relu", settings.depth), x, memory=settings.memory, path=folder / "kernels")
        streamed, after = time.perf_counter() - started, peak_memory()
        num_bytes = written(folder)
        compute, rate = tiles_alone(x, tiles, settings), disk_alone(folder, tiles.size, settings)
        accuracy = errors(group, x, settings)
    numbers: dict[str, Any] = {
        "seconds": {"stream": streamed, "tiles alone": compute, "disk alone": num_bytes / rate},
        "ratio_to_both_alone": streamed / (compute + num_bytes / rate),
        "bytes": {
            "written": num_bytes,
            "peak memory": after,
            "peak memory before": before,
            "both matrices": 8 * n**2,
        },
        "disk_bytes_a_second": rate,
        "tiles": {"number": len(tiles), "rows": tiles.size, "rows of a chunk": tiles.chunk},
        "largest_error": accuracy,
    }
    chosen = {key: value for key, value in dataclasses.asdict(settings).items() if key != "folder"}
    leave("kernel_stream", __doc__, settings=chosen, numbers=numbers, dtype="float32")


if __name__ == "__main__":
    main(tyro.cli(Settings))
