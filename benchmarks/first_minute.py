"""What a newcomer waits for: imports, help texts and first calls, in fresh processes without compiled programs.

PROTOCOL. Every scene is a process of its own, `repeats` times in turn; numbers are CPU seconds, all threads of the
process together, as medians with their range. First calls import and compile; "again" is a second call with other
numbers.

* import: `import jax`, `import dyntheory` (which loads nothing), `dyntheory --help` and `dyntheory predict --help`.
* predict: two layers, three units, tanh, 20 steps, default nodes; another architecture in the same process (four units,
  erf); and all of it in a process that finds the programs of an earlier one.
* simulate: the same problem, d = 400, 10 runs. estimate: 500 rows, 50 columns, 30 steps.
* kernel: 6 images of 8 × 8 × 3 through convolutions, ReLU and a global average; imports apart.

Ratios are to `import jax`; that of the second prediction is also to a product of two 1500 × 1500 matrices in the same
process. Nothing is asserted.

    python -m benchmarks.first_minute    # some minutes; writes benchmarks/results/first_minute.json
"""

from __future__ import annotations

import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import tyro

from benchmarks.first_minute_scenes import SCENES
from benchmarks.leaving import leave

ROOT = Path(__file__).parent.parent


@dataclasses.dataclass(frozen=True)
class Settings:
    """How often."""

    repeats: int = 3


def seconds_of(scene: str, cache: str) -> dict[str, float]:
    """Run a scene in a process of its own and return its seconds by name."""
    environment = {**os.environ, "DYNTHEORY_COMPILATION_CACHE": cache}
    for name in ("XLA_FLAGS", "JAX_COMPILATION_CACHE_DIR"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "benchmarks.first_minute_scenes", scene]
    done = subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main(settings: Settings) -> None:
    """Run all scenes in turn, print a table, write the record."""
    found: dict[str, dict[str, list[float]]] = {scene: {} for scene in SCENES}
    with tempfile.TemporaryDirectory() as cache:
        seconds_of("predict, programs kept", cache)  # fills it
        for _ in range(settings.repeats):
            for scene, lists in found.items():
                for name, value in seconds_of(scene, cache if scene.endswith("kept") else "off").items():
                    lists.setdefault(name, []).append(value)
    unit = statistics.median(found["import jax"]["first"])
    numbers: dict[str, Any] = {}
    for scene, lists in found.items():
        for name, values in lists.items():
            middle = statistics.median(values)
            row = {"median": middle, "min": min(values), "max": max(values), "ratio_to_import_jax": middle / unit}
            numbers[scene if name == "first" else f"{scene}, {name}"] = row
    again = numbers["predict, again"]
    again["ratio_to_product"] = again["median"] / numbers["predict, product"]["median"]
    leave("first_minute", __doc__, settings=settings, numbers=numbers)


if __name__ == "__main__":
    main(tyro.cli(Settings))
