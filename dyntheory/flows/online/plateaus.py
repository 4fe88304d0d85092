"""Plateaus: where the error waits before units take a share of the teacher each, and when it leaves."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from dyntheory.flows.online.results import OnlineTrajectory
from dyntheory.ground.checks import check_positive, check_scalar
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.storage.marks import Axes

SLOWER = 4.0
NOTHING = 1e-9
FEW_TIMES = 5


class Plateau(NamedTuple):
    """One plateau of the excess error.

    Args:
        start: α at which the error came within the width of its level.
        end: α at which it left, below.
        level: the excess error where it fell most slowly, without ½.
    """

    start: float
    end: float
    level: float

    @property
    def length(self) -> float:
        """In units of α."""
        return self.end - self.start


class EscapeTimes(NamedTuple):
    """When runs fall below a level: α of every run, infinite for those that do not; of a prediction one number."""

    times: Annotated[np.ndarray, Axes("run")]
    level: float


def find_plateaus(found: OnlineTrajectory, *, width: float = 0.1) -> tuple[Plateau, ...]:
    """Return the plateaus of a predicted excess error, each with its start, end and level.

    A plateau is where −d ln(error)/dα has a minimum that is at least four times below its maxima on both sides; it
    begins and ends where the error is (1 ± width) times its level. The approach to a final error is none: nothing
    follows it.

    Args:
        found: a prediction on a grid that is fine beside the plateau; means over runs are smeared, see `escape_times`.
        width: relative, between 0 and 1.

    Raises:
        ValueError: a width outside its range, or fewer than five times.

    Example:
        >>> import numpy as np, dyntheory as dt
        >>> times = np.linspace(0.0, 100.0, 2001)
        >>> error = 0.1 + 0.9 * np.exp(-times) - 0.1 / (1 + np.exp(50.0 - times)) + 1e-6
        >>> (one,) = dt.online.find_plateaus(dt.online.OnlineTrajectory(times, excess_error=error))
        >>> round(one.level, 3), round(one.start, 1), round(one.end, 1)
        (0.1, 4.5, 47.8)

    Reference: `saad1995line`.
    """
    check_arguments(find_plateaus, locals())
    check_scalar("width", width)
    check_positive("width", width)
    if width >= 1:
        raise ValueError(f"`width` must be below 1, got {width!r}.")
    times, error = found.times, _curve(found)
    finite = np.isfinite(error) & (error > 0)
    times, error = times[finite], error[finite]
    if len(times) < FEW_TIMES:
        raise ValueError(f"`found` must have {FEW_TIMES} times or more with a positive error, got {len(times)}.")
    decay = -np.gradient(np.log(error), times)
    return tuple(_around(times, error, place, width) for place in _slow_places(decay))


def _slow_places(decay: np.ndarray) -> list[int]:
    """Return minima of the decay rate that stand `SLOWER` times below what is on both sides of them."""
    places: list[int] = []
    highest, lowest, is_slow = decay[0], 0, False
    for place, rate in enumerate(decay):
        if not is_slow:
            highest = max(highest, rate)
            is_slow, lowest = bool(SLOWER * rate < highest), place
        elif rate < decay[lowest]:
            lowest = place
        elif rate > SLOWER * max(decay[lowest], NOTHING * highest):
            places.append(lowest)
            highest, is_slow = rate, False
    return places


def _around(times: np.ndarray, error: np.ndarray, place: int, width: float) -> Plateau:
    level = float(error[place])
    before = np.flatnonzero(error[:place] > (1.0 + width) * level)
    after = place + np.flatnonzero(error[place:] < (1.0 - width) * level)
    start = _crossing(times, error, int(before[-1]), (1.0 + width) * level) if before.size else float(times[0])
    end = _crossing(times, error, int(after[0]) - 1, (1.0 - width) * level) if after.size else np.inf
    return Plateau(start, end, level)


def _crossing(times: np.ndarray, error: np.ndarray, place: int, level: float) -> float:
    """Return where a curve that falls through a level between two times does so, its logarithm interpolated."""
    high, low = np.log(error[place]), np.log(error[place + 1])
    part = (high - np.log(level)) / (high - low) if high > low else 1.0
    return float(times[place] + min(max(part, 0.0), 1.0) * (times[place + 1] - times[place]))


def escape_times(found: OnlineTrajectory, *, level: float) -> EscapeTimes:
    """Return when the excess error first falls below a level: of single runs or starts, where there are any.

    Args:
        found: a simulation, whose runs are looked at one by one, or a prediction.
        level: of the excess error, positive; half of a plateau's, say.

    Raises:
        ValueError: a level that is not positive.

    Example:
        >>> import numpy as np, dyntheory as dt
        >>> times = np.linspace(0.0, 4.0, 5)
        >>> found = dt.online.OnlineTrajectory(times, excess_error=np.exp(-times))
        >>> dt.online.escape_times(found, level=np.exp(-2.5)).times.round(6).tolist()
        [2.5]

    Reference: `saad1995line`.
    """
    check_arguments(escape_times, locals())
    check_scalar("level", level)
    check_positive("level", level)
    curves = _curve(found)[None] if found.per_run is None else _curve(found.per_run)
    times = []
    for curve in curves:
        below = np.flatnonzero(curve < level)
        first = int(below[0]) if below.size else -1
        if first <= 0:
            times.append(np.inf if first < 0 else float(found.times[0]))
        else:
            times.append(_crossing(found.times, curve, first - 1, level))
    return EscapeTimes(np.asarray(times), float(level))


def _curve(found: OnlineTrajectory) -> np.ndarray:
    if found.excess_error is None:
        raise ValueError("`found` must have an excess error.")
    return np.asarray(found.excess_error, dtype=float)
