"""Outcomes that carry their own explanation, and what a result rests on."""

from __future__ import annotations

import dataclasses
import enum
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


class DyntheoryWarning(UserWarning):
    """A result is returned but should not be trusted blindly; the text says why."""


@contextmanager
def quiet() -> Iterator[None]:
    """Leave out the library's warnings, where the status of every result is read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DyntheoryWarning)
        yield


class Outcome(enum.StrEnum):
    """The ways in which a computation can end; each is equal to its name."""

    OK = "ok"
    HEAVY_TAIL = "heavy_tail"
    UNRESOLVED = "unresolved"
    DIVERGED = "diverged"


@contextmanager
def overheard() -> Iterator[list[str]]:
    """Yield a list that holds the texts of the library's warnings, each once, when the block is over."""
    texts: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DyntheoryWarning)
        yield texts
    for warning in caught:
        if isinstance(warning.message, DyntheoryWarning):
            texts.append(str(warning.message))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    texts[:] = dict.fromkeys(texts)


@dataclasses.dataclass(frozen=True)
class Status:
    """How a computation ended.

    Args:
        code: an `Outcome`, or its name: "ok", "heavy_tail", "unresolved" or "diverged".
        message: what happened and which argument to change; empty when nothing has to be said.
        step: the first step concerned, or None.
    """

    code: str = Outcome.OK
    message: str = ""
    step: int | None = None

    def __post_init__(self) -> None:
        if self.code not in tuple(Outcome):
            raise ValueError(f"`code` is not a known outcome: {self.code!r}.")
        object.__setattr__(self, "code", Outcome(self.code))

    @property
    def ok(self) -> bool:
        """Whether it ended well."""
        return self.code == Outcome.OK

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
