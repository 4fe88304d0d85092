"""What `best_rates` returns, the minimum of a curve with few points, and whether that minimum should transfer."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from dyntheory.ground.status import Outcome
from dyntheory.ground.storage.marks import Axes, Coordinate
from dyntheory.ground.storage.saved import Saved

FLAT = 0.1
SIGMAS = 2.0
FACTOR = 2.0
NEAR_EDGE = 1.5
MOST_UNCERTAIN = 0.25


@dataclasses.dataclass(frozen=True)
class BestRates(Saved):
    """Predicted training loss over learning rates, where it is least, and whether that rate holds at other widths.

    Args:
        rates: η, (R,), in the limit of infinite width.
        loss: training loss after `num_steps` steps, (R,), NaN where the prediction diverged.
        loss_error: (R,) numerical error of it, one sigma.
        outcomes: "ok", "unresolved" or "diverged", R of them.
        best_rate: minimum of a parabola in log η through the lowest resolved loss and its neighbours.
        best_rate_error: one sigma of it, from the errors of the losses, taken as independent, and half a step of the
            grid, which is about what a parabola misses beside an edge; infinite where the lowest loss has no resolved
            neighbours on both sides.
        should_transfer: whether networks of any width should have their best rate there.
        verdict: the same in words, with the reason.
        num_steps: T.
        widths: N of the standard parametrisation, (W,), None where none were asked for.
        standard_rates: η N of the standard parametrisation, (S,); a script has η.
        standard_loss: (W, S).
        standard_loss_error: (W, S).
        standard_outcomes: W rows of S.
        standard_best: (W,) best rates η of scripts, in which N is divided out.
        standard_best_error: (W,) one sigma of them.
        provenance: network, method, versions, key.
    """

    rates: Annotated[np.ndarray, Coordinate("rate")]
    loss: Annotated[np.ndarray, Axes("rate")]
    loss_error: Annotated[np.ndarray, Axes("rate")]
    outcomes: tuple[str, ...]
    best_rate: float
    best_rate_error: float
    should_transfer: bool
    verdict: str
    num_steps: int
    widths: Annotated[np.ndarray | None, Coordinate("width")] = None
    standard_rates: Annotated[np.ndarray | None, Coordinate("standard_rate")] = None
    standard_loss: Annotated[np.ndarray | None, Axes("width", "standard_rate")] = None
    standard_loss_error: Annotated[np.ndarray | None, Axes("width", "standard_rate")] = None
    standard_outcomes: tuple[tuple[str, ...], ...] = ()
    standard_best: Annotated[np.ndarray | None, Axes("width")] = None
    standard_best_error: Annotated[np.ndarray | None, Axes("width")] = None
    provenance: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        lines = [self.verdict]
        if self.widths is not None and self.standard_best is not None and self.standard_best_error is not None:
            every = zip(self.widths, self.standard_best, self.standard_best_error, strict=True)
            told = [f"{rate:.3g} ± {error:.2g} at width {width}" for width, rate, error in every]
            lines.append(f"Standard parametrisation: best rates {', '.join(told)}")
        return "\n".join(lines)


class Curve(NamedTuple):
    """Losses over rates, how sure they are, and which of them ended well."""

    rates: Float[np.ndarray, " rates"]
    loss: Float[np.ndarray, " rates"]
    error: Float[np.ndarray, " rates"]
    outcomes: tuple[str, ...]

    @property
    def resolved(self) -> np.ndarray:
        """Whether a prediction ended well, (R,)."""
        return np.array([code == Outcome.OK for code in self.outcomes]) & np.isfinite(self.loss)

    @property
    def lowest(self) -> int:
        """Which resolved loss is least; the curve must have one."""
        return int(np.argmin(np.where(self.resolved, self.loss, np.inf)))


class Minimum(NamedTuple):
    """Where a curve is least: the rate, its error from those of the losses, and half a step of the grid there."""

    rate: float
    from_losses: float
    from_grid: float

    @property
    def error(self) -> float:
        """One sigma of the rate."""
        return float(np.hypot(self.from_losses, self.from_grid))


def minimum(curve: Curve) -> Minimum:
    """Return the minimum of a parabola in log η through the lowest loss and its neighbours.

    It is the lowest point with infinite errors where a neighbour is missing or not resolved, NaN where nothing is.
    """
    if not curve.resolved.any():
        return Minimum(np.nan, np.inf, np.inf)
    lowest = curve.lowest
    around, at = slice(lowest - 1, lowest + 2), float(curve.rates[lowest])
    if lowest in (0, len(curve.rates) - 1) or not curve.resolved[around].all():
        return Minimum(at, np.inf, np.inf)
    x, y = np.log(curve.rates[around] / at), curve.loss[around]
    step = float(max(-x[0], x[2]))
    upper, lower = np.roll(x, -1) ** 2 - np.roll(x, -2) ** 2, 2 * (np.roll(x, -1) - np.roll(x, -2))
    bend = y @ lower
    if bend == 0:
        return Minimum(at, np.inf, at * step / 2)
    place = y @ upper / bend
    rate = float(at * np.exp(place))
    return Minimum(
        rate, float(rate * np.linalg.norm((upper - place * lower) / bend * curve.error[around])), rate * step / 2
    )


def judge(curve: Curve, num_steps: int) -> tuple[bool, str]:
    """Return whether the best rate should be the same at all widths, and why."""
    least = minimum(curve)
    obstacle = _obstacle(curve, least)
    if not curve.resolved.any():
        return False, f"The best rate is not known: {obstacle}"
    found = f"the predicted training loss after {num_steps} steps is {curve.loss[curve.lowest]:.3g}"
    if obstacle:
        return False, f"The best rate need not transfer between widths: {obstacle} (at the lowest point {found})."
    told = f"its only minimum is at {least.rate:.3g} ± {least.error:.2g} and predictions around it are resolved"
    return True, f"The best rate should transfer between widths: {told} ({found})."


def _obstacle(curve: Curve, least: Minimum) -> str:
    """Return what speaks against one best rate for all widths, "" if nothing does."""
    if not curve.resolved.any():
        return "no prediction is resolved; lower `rates` or raise `num_nodes`."
    rates, lowest = curve.rates, curve.lowest
    alike = _alike(curve)
    if lowest in (0, len(rates) - 1) or alike[0] or alike[-1]:
        end = rates[0] if lowest == 0 or (alike[0] and lowest != len(rates) - 1) else rates[-1]
        return f"the loss is lowest, or nearly so, at the end {end:.4g} of `rates`; extend them beyond it"
    distance = np.abs(np.log(rates / least.rate))
    near = (np.abs(np.arange(len(rates)) - lowest) == 1) | (distance <= np.log(NEAR_EDGE))
    lost = np.flatnonzero(near & ~curve.resolved)
    if lost.size:
        worst = lost[np.argmin(distance[lost])]
        told = f"at {rates[worst]:.3g}, next to the lowest loss at {rates[lowest]:.3g}, the prediction is"
        return (
            f"{told} {curve.outcomes[worst]}: the best rate is at the edge of stability, where small differences "
            "between networks grow; raise `num_nodes`, or tune below the edge"
        )
    return _not_unique(curve, alike) or _uncertain(least)


def _alike(curve: Curve) -> np.ndarray:
    """Return which resolved losses are as low as the lowest: within 10 %, or within two errors."""
    lowest = curve.lowest
    with np.errstate(invalid="ignore"):
        excess = curve.loss - curve.loss[lowest]
        allowed = np.maximum(FLAT * curve.loss[lowest], SIGMAS * np.hypot(curve.error, curve.error[lowest]))
        return curve.resolved & (excess <= allowed)


def _not_unique(curve: Curve, alike: np.ndarray) -> str:
    places = np.flatnonzero(alike)
    first, last = curve.rates[places[0]], curve.rates[places[-1]]
    if len(places) <= places[-1] - places[0]:
        return (
            f"there are two minima of nearly the same loss, at {first:.4g} and {last:.4g}; which of them is lower is "
            "decided by effects of finite width"
        )
    if last / first >= FACTOR:
        return f"the minimum is flat: from {first:.4g} to {last:.4g} all rates do as well, so little depends on it"
    return ""


def _uncertain(least: Minimum) -> str:
    if least.from_losses <= MOST_UNCERTAIN * least.rate:
        return ""
    told = f"errors of the losses leave the minimum at {least.rate:.3g} uncertain by {least.from_losses:.2g}"
    return f"{told}; raise `num_nodes`"
