"""A wide table of numbers, stored before a change of the code and compared to the last bit after it.

    python -m benchmarks.number_table before.npz                      # on the revision before
    python -m benchmarks.number_table after.npz --against before.npz  # on the one after, on the same machine

Every verb, one row of the registry for every method, law, network and loss, kernels, closed forms. Only public names
are called, so the table outlives every move inside the package.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import jax
import numpy as np

from benchmarks.number_entries import entries

UNSTABLE = ("provenance", "seconds", "ratio", "text")  # versions and times, and words about the memory that is free


def leaves(value: Any, path: str) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the numbers of a result with their names, in containers and dataclasses of any depth."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    elif hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        for name, one in value.items():
            if name not in UNSTABLE:
                yield from leaves(one, f"{path}/{name}")
    elif isinstance(value, list | tuple):
        for index, one in enumerate(value):
            yield from leaves(one, f"{path}/{index}")
    elif isinstance(value, str | Fraction):
        yield path, np.asarray(str(value))
    elif value is not None and not callable(value):
        array = np.asarray(value)
        if array.dtype != object:
            yield path, array


def table(only: str) -> dict[str, np.ndarray]:
    """Return all numbers by name; an entry that raises is a row that says so."""
    found: dict[str, np.ndarray] = {}
    for name, call in entries().items():
        if only not in name:
            continue
        begin = time.perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found |= dict(leaves(call(), name))
        except Exception as error:  # a refusal is a result too
            found[name] = np.asarray(f"{type(error).__name__}: {error}")
            print(f"{name}: {found[name]}", file=sys.stderr)
        jax.clear_caches()  # each program holds memory maps, of which there are only so many
        print(f"{time.perf_counter() - begin:6.1f} s  {name}", file=sys.stderr, flush=True)
    return found


def difference(one: np.ndarray, other: np.ndarray) -> str | None:
    """Return how two values differ, or None."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return f"{one.dtype}{one.shape} is now {other.dtype}{other.shape}"
    is_number = one.dtype.kind in "fc"
    if np.array_equal(one, other, equal_nan=is_number):
        return None
    if not is_number:
        return f"{one} is now {other}"
    scale = np.nanmax(np.abs(one), initial=1e-300)
    return f"differs by {np.nanmax(np.abs(one - other), initial=0.0) / scale:.1e} of {scale:.3g}"


def main() -> int:
    """Write the table; with `--against`, tell what differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--only", default="", help="entries whose names contain this")
    given = parser.parse_args()
    found = table(given.only)
    np.savez(given.out, **{name.replace("/", "|"): value for name, value in found.items()})
    print(f"{len(found)} numbers or arrays")
    if given.against is None:
        return 0
    with np.load(given.against) as file:
        before = {name.replace("|", "/"): file[name] for name in file.files}
    told = {name: difference(before[name], found[name]) for name in before if name in found}
    changed = {name: text for name, text in told.items() if text is not None}
    missing = sorted(name for name in before if given.only in name and name not in found)
    for name, text in changed.items():
        print(f"{name}: {text}")
    print(f"{len(told)} compared, {len(changed)} differ; {len(missing)} missing: {missing[:9]}")
    return int(bool(changed or missing))


if __name__ == "__main__":
    sys.exit(main())
