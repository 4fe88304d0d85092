"""What every validation script and benchmark leaves behind: one JSON file that says what was claimed and what came out.

A record holds the claim, its pass rule, the settings, the numbers and where they come from. It names no path, host or
user, and its numbers keep seven significant digits, so that the same run gives the same file.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import math
import os
import platform
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np

import dyntheory
from dyntheory.ground.files import replacing

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("jax", "jaxlib", "numpy", "optax", "scipy")
SIGNIFICANT_DIGITS = 7


class Outcome(enum.Enum):
    """How a claim fared; exit statuses are those of the command line."""

    PASSED = "passed"
    FAILED = "failed"
    UNRESOLVED = "unresolved"

    @property
    def exit_status(self) -> int:
        """0 when the claim passed, 1 when it failed, 3 when the errors are too large to say."""
        return {"passed": 0, "failed": 1, "unresolved": 3}[self.value]


VERDICTS = {"agree": Outcome.PASSED, "disagree": Outcome.FAILED, "unresolved": Outcome.UNRESOLVED}  # of `compare`


def joint_outcome(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the outcome of a claim that needs all of its parts: one failure fails it."""
    found = set(outcomes)
    for worst in (Outcome.FAILED, Outcome.UNRESOLVED):
        if worst in found:
            return worst
    return Outcome.PASSED


@dataclasses.dataclass(frozen=True)
class Record:
    """One claim and what came out.

    Args:
        name: of the files, without suffix.
        claim: one sentence that can be wrong.
        pass_rule: what decides, stated before anything was run; the protocol for a benchmark.
        settings: everything that was chosen.
        numbers: everything that was measured.
        outcome: None for a benchmark, which claims nothing.
        provenance: see `provenance`.
    """

    name: str
    claim: str
    pass_rule: str
    settings: Mapping[str, Any]
    numbers: Mapping[str, Any]
    outcome: Outcome | None = None
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=lambda: provenance())

    def write(self, directory: Path) -> Path:
        """Write `name`.json into `directory`, whole or not at all, in place of an older one."""
        directory.mkdir(parents=True, exist_ok=True)
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        fields["outcome"] = None if self.outcome is None else self.outcome.value
        path = directory / f"{self.name}.json"
        with replacing(path, force=True) as beside:
            text = json.dumps(plain(fields), indent=1, ensure_ascii=False, allow_nan=False)
            beside.write_text(text + "\n", encoding="utf-8")
        return path

    @property
    def exit_status(self) -> int:
        """That of the outcome; 0 for a benchmark."""
        return 0 if self.outcome is None else self.outcome.exit_status


def last_record(name: str, directory: Path = RESULTS) -> dict[str, Any] | None:
    """Return what `Record.write` left of a claim, None where nothing is."""
    path = directory / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def revision_date(revision: str | None) -> str | None:
    """Return the day of a commit, "+" after it or not; None where the repository does not have it."""
    return _git("show", "--no-patch", "--format=%cs", revision.rstrip("+")) if revision else None


def aligned(numbers: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line for each number."""
    width = max(map(len, numbers), default=0)
    return (f"{name:<{width}}  {value}" for name, value in numbers.items())


def provenance(*, dtype: str = "float64") -> dict[str, Any]:
    """Return versions, revision, kind of device, precision."""
    device = jax.devices()[0]
    return {
        "versions": {
            "python": platform.python_version(),
            "dyntheory": dyntheory.__version__,  # of the code that runs, installed or not
            **{name: version(name) for name in PACKAGES},
        },
        "revision": _revision(),
        "device": {"platform": device.platform, "kind": device.device_kind, "cpu_cores": os.cpu_count()},
        "dtype": dtype,
    }


def plain(value: Any) -> Any:
    """Return JSON values: lists for arrays, seven significant digits, None for what is not finite."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.{SIGNIFICANT_DIGITS}g}") if math.isfinite(value) else None
    return value


def _revision() -> str | None:
    """Return the commit of the code, "+" after it when files differ; None outside a repository."""
    return _git("describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+")


def _git(*arguments: str) -> str | None:
    """Return what git answers about this repository; None outside of one."""
    try:
        answer = subprocess.run(
            ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip() or None
