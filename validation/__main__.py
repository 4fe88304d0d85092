"""All claims from one place: list them with what came out last, or check some or all of them.

python -m validation                         # the list
python -m validation layers honesty --quick  # these two at small sizes
python -m validation --all                   # hours
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import tyro

from validation import CLAIMS, FOLDER
from validation.record import Outcome, joint_outcome, last_record, revision_date


def listed(name: str) -> str:
    """Return name, last recorded outcome with its revision, its day and device, and sentence of a claim."""
    record = last_record(name)
    if record is None:
        return f"{name}: never recorded\n    {CLAIMS.text(name)}"
    origin = record["provenance"]
    day = revision_date(origin["revision"])
    revision = f"{origin['revision']} of {day}" if day else origin["revision"]
    return f"{name}: {record['outcome']} at {revision} on {origin['device']['kind']}\n    {CLAIMS.text(name)}"


def checked(name: str, options: list[str]) -> Outcome:
    """Check a claim in a process of its own, so that its memory and its compiled programs are its own as well."""
    print(f"== {name}", flush=True)
    status = subprocess.run([sys.executable, "-m", f"validation.{name}", *options], cwd=FOLDER.parent).returncode
    return next((outcome for outcome in Outcome if outcome.exit_status == status), Outcome.FAILED)


def command(
    names: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="NAME ...")] = (),
    *,
    all: bool = False,
    quick: bool = False,
    results: Path | None = None,
) -> int:
    """List the claims, or check some of them.

    Args:
        names: what is checked; nothing lists the claims.
        all: check every claim.
        quick: small sizes; nothing is written unless a directory is given.
        results: directory for records and figures; default validation/results.
    """
    if unknown := [name for name in names if name not in CLAIMS]:
        raise SystemExit(f"There is no claim named {', '.join(unknown)}; there are {', '.join(CLAIMS)}.")
    options = ["--quick"] * quick + (["--results", str(results.absolute())] if results else [])
    outcomes = {name: checked(name, options) for name in (CLAIMS if all else names)}
    print("\n".join(f"{name}: {outcome.value}" for name, outcome in outcomes.items()) or "\n".join(map(listed, CLAIMS)))
    return joint_outcome(outcomes.values()).exit_status


if __name__ == "__main__":
    raise SystemExit(tyro.cli(command, prog="python -m validation"))
