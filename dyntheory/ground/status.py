"""Outcomes that carry their own explanation, and what a result rests on."""

from __future__ import annotations

import dataclasses


class DyntheoryWarning(UserWarning):
    """A result is returned but should not be trusted blindly; the text says why."""


@dataclasses.dataclass(frozen=True)
class Status:
    """How a computation ended.

    Args:
        code: "ok", "heavy_tail", "unresolved" or "diverged".
        message: what happened and which argument to change, empty when ok.
        step: the first step concerned, or None.
    """

    code: str = "ok"
    message: str = ""
    step: int | None = None

    def __post_init__(self) -> None:
        if self.code not in ("ok", "heavy_tail", "unresolved", "diverged"):
            raise ValueError(f"`code` is not a known outcome: {self.code!r}.")

    @property
    def ok(self) -> bool:
        """Whether nothing has to be said."""
        return self.code == "ok"

    def __str__(self) -> str:
        return self.code if not self.message else f"{self.code}: {self.message}"


@dataclasses.dataclass(frozen=True)
class Assumptions:
    """What the result rests on.

    Args:
        level: "theorem" (published, smooth maps, Gaussian or sub-Gaussian independent entries), "simulation-verified"
            (agrees with simulation in our validation, outside the theorem) or "heuristic".
        reason: why this level and not a higher one.
    """

    level: str
    reason: str
