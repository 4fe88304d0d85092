"""How a command ends, as the number that scripts read."""

from __future__ import annotations

from dyntheory.ground.status import Outcome, Status

DONE, DISAGREES, BAD_INPUT, UNRESOLVED, FAULT, INTERRUPTED = 0, 1, 2, 3, 4, 130


def of_verdict(verdict: str) -> int:
    """Return the number for "agree", "disagree" or "unresolved"."""
    return {"agree": DONE, "disagree": DISAGREES}.get(verdict, UNRESOLVED)


def of_status(status: Status) -> int:
    """Return the number for what a prediction, a simulation or an estimate says of itself."""
    return UNRESOLVED if status.code in (Outcome.DIVERGED, Outcome.UNRESOLVED) else DONE
