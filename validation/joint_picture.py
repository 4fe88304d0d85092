"""Claim: Infinitely wide networks on drawn data and proportional limits of ever more units meet in one limit.

One problem: n = 2d Gaussian inputs of d features, labels sin(z) + σ ξ of a teacher, two layers of erf,
F = (1/k) Σ_i A_i φ(h_i), h_i = w_i·x/√d, A and w normal at the start, both trained by plain steps on half the squared
error, W at rate kη and a = A/k at rate η/k. Three theories see it:

(i)   n, d → ∞ at k units: `dyntheory.predict`. Its errors approach a limit in 1/k.
(ii)  k → ∞ on given data: `dyntheory.wide.predict`, γ₀ = 1. Its errors, averaged over data, approach a limit in 1/d.
(iii) the tangent kernel at the start on given data, `dyntheory.kernels`: no features are learned.

(i) is extrapolated by a parabola in 1/k through the last three k; its error is how far a line through the last two ends
from there, and the numerical one. (ii) is extrapolated by a weighted line in 1/d. Draws of data are few and their
errors scatter, so (ii) is the mean over them of its difference to (iii) on the same data, plus the mean of (iii) over
many more draws.

PASS RULE.

1. At every step but the first, train and test error of (i) and (ii), both extrapolated, differ by at most 3.5 standard
   errors of both; after the last step these are below 4 % of the test error, else unresolved.
2. The limit is one of many units: at the smallest k the test error of (i) after the last step is more than 10 % from
   its limit.

NEGATIVE CONTROL. On the same data, at the largest d, the test error of (iii) after the last step must exceed that of
(ii) by more than 5 % and by more than 5 standard errors of the mean difference; extrapolated in 1/d it must miss that
of (i) by more than 5 %.

    python -m validation.joint_picture [--quick]    # 10 minutes of processor time; writes results/joint_picture.*

Reference: `bordelon2022self`; `han2025precise`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dyntheory.plot.style import STEP, WIDTH, finish, new_figure
from validation.claim import Claim, Verdict
from validation.joint_cases import NAMES, Errors, Settings, draw_data, lazily, of_units, on_data
from validation.record import Outcome, joint_outcome
from validation.wide_cases import extrapolated

MOST_Z, MOST_ERROR, LAZY_Z, LAZY_OFF, UNITS_OFF, TEST = 3.5, 0.04, 5.0, 0.05, 0.1, 1
OTHERS = 10_000  # number of the first of the draws that only the kernel sees
UNITS, DATA, KERNEL = "#e8743b", "#0b3c78", "0.45"


class Curve(NamedTuple):
    """Train and test error at all steps, (2, T+1), and their standard errors."""

    value: Errors
    error: Errors

    def last(self) -> tuple[float, float]:
        """Return the test error after the last step, and its standard error."""
        return float(self.value[TEST, -1]), float(self.error[TEST, -1])


class Found(NamedTuple):
    """Curves by k, by d, and by d of the kernel; their limits under None. `gap` is (ii) − (iii) at the largest d."""

    units: dict[int | None, Curve]
    data: dict[int | None, Curve]
    lazy: dict[int | None, Curve]
    gap: Curve


def measure(settings: Settings) -> Found:
    """Ask all three theories."""
    units: dict[int | None, Curve] = {}
    for k in settings.widths:
        units[k] = Curve(*of_units(settings, k))
        print(f"k = {k} done", flush=True)
    units[None] = limit_of_units(settings.widths[-3:], [units[k] for k in settings.widths[-3:]])
    lazy: dict[int | None, Curve] = {}
    for d in {*settings.sizes, *settings.lazy_sizes}:
        others = range(OTHERS, OTHERS + settings.num_lazy_draws)
        lazy[d] = mean_of([lazily(settings, draw_data(settings, d, number)) for number in others])
    lazy = dict(sorted(lazy.items(), key=lambda item: item[0] or 0))
    data: dict[int | None, Curve] = {}
    beside = lazy[settings.sizes[-1]]
    for d, count in zip(settings.sizes, settings.num_draws, strict=True):
        beside = mean_of([_over_the_kernel(settings, d, number) for number in range(count)])
        data[d] = Curve(beside.value + lazy[d].value, np.hypot(beside.error, lazy[d].error))
        print(f"d = {d} done", flush=True)
    data[None] = limit_of_sizes(data)
    lazy[None] = limit_of_sizes({d: lazy[d] for d in settings.lazy_sizes})
    return Found(units, data, lazy, beside)


def _over_the_kernel(settings: Settings, num_features: int, number: int) -> Errors:
    data = draw_data(settings, num_features, number)
    return on_data(settings, data, number) - lazily(settings, data)


def mean_of(several: list[Errors]) -> Curve:
    """Return mean and standard error."""
    every = np.stack(several)
    return Curve(every.mean(axis=0), every.std(axis=0, ddof=1) / np.sqrt(len(every)))


def limit_of_units(widths: tuple[int, ...], curves: list[Curve]) -> Curve:
    """Extrapolate three curves by a parabola in 1/k; what a line through two gives instead says how well."""
    places = 1.0 / np.array(widths, float)
    parabola = np.linalg.inv(np.vander(places, 3, increasing=True))[0]
    line = np.array([0.0, -widths[1], widths[2]]) / (widths[2] - widths[1])
    values, errors = (np.stack([getattr(curve, name) for curve in curves]) for name in ("value", "error"))
    numerical = np.sqrt(np.tensordot(parabola**2, errors**2, axes=1))
    value = np.tensordot(parabola, values, axes=1)
    return Curve(value, np.hypot(numerical, value - np.tensordot(line, values, axes=1)))


def limit_of_sizes(curves: dict[Any, Curve]) -> Curve:
    """Extrapolate by a weighted line in 1/d."""
    sizes = np.array(list(curves), float)
    values, errors = (np.stack([getattr(one, name) for one in curves.values()]) for name in ("value", "error"))
    value, error = np.empty_like(values[0]), np.empty_like(values[0])
    for index in np.ndindex(value.shape):
        where = (slice(None), *index)
        value[index], error[index], _ = extrapolated(sizes, values[where], np.maximum(errors[where], 1e-9))
    return Curve(value, error)


def judge(found: Found, settings: Settings) -> Verdict:
    """Apply the rules and the control."""
    units, data, lazy = found.units[None], found.data[None], found.lazy[None]
    z = ((data.value - units.value) / np.hypot(data.error, units.error))[:, 1:]
    few = abs(found.units[settings.widths[0]].last()[0] / units.last()[0] - 1.0)
    error = float(np.hypot(data.last()[1], units.last()[1])) / units.last()[0]
    gap, its_error = found.gap.last()
    off, missed, beside = abs(lazy.last()[0] / units.last()[0] - 1.0), -gap / its_error, -gap / data.last()[0]
    holds = float(np.abs(z).max()) <= MOST_Z and few > UNITS_OFF and min(off, beside) > LAZY_OFF and missed > LAZY_Z
    outcomes = [
        Outcome.PASSED if holds else Outcome.FAILED,
        Outcome.PASSED if error <= MOST_ERROR else Outcome.UNRESOLVED,
    ]
    numbers: dict[str, Any] = {
        "largest |z|": float(np.abs(z).max()),
        "rms z": float(np.sqrt(np.mean(z**2))),
        "z": dict(zip(NAMES, z, strict=True)),
        "relative error of the limits": error,
        "fewest units off by": few,
        "control: kernel off by": off,
        "control: on the same data by": beside,
        "control: in standard errors": missed,
    }
    for name, curves in (("units", found.units), ("data", found.data), ("kernel", found.lazy)):
        numbers[name] = {"limit" if size is None else str(size): one._asdict() for size, one in curves.items()}
    return joint_outcome(outcomes), numbers


def table(found: Found, settings: Settings) -> Iterator[str]:
    """Yield train and test error after the last step, one line for every size, and the totals."""
    for title, letter, curves in (
        ("(i) units", "k", found.units),
        ("(ii) wide, on data", "d", found.data),
        ("(iii) kernel, on data", "d", found.lazy),
    ):
        for size, one in curves.items():
            cells = [f"{one.value[place, -1]:.4f} ± {one.error[place, -1]:.4f}" for place in range(2)]
            yield f"{title:<22} {letter} = {size or '∞':<4} train {cells[0]}, test {cells[1]}"
    _, numbers = judge(found, settings)
    kernel = [numbers[f"control: {name}"] for name in ("kernel off by", "on the same data by", "in standard errors")]
    yield (
        f"largest |z| {numbers['largest |z|']:.2f}, rms {numbers['rms z']:.2f}; fewest units off by "
        f"{numbers['fewest units off by']:.1%}; kernel off by {kernel[0]:.1%}, beside (ii) by {kernel[1]:.1%}, "
        f"{kernel[2]:.1f} standard errors"
    )


def draw(found: Found, settings: Settings) -> Figure:
    """Draw curves of the limits, and the test error after the last step against 1/k and 1/d."""
    figure = new_figure(10.2, 3.9)
    left, middle, right = figure.subplots(1, 3)
    for axes, place, title in ((left, 0, "(a) train error"), (middle, 1, "(b) test error")):
        _curves(axes, found, settings, place)
        finish(axes, STEP, "mean squared error", title)
    _approach(right, found, settings)
    label = f"{settings.widths[0]}/k of (i), {settings.sizes[0]}/d of (ii) and (iii)"
    finish(right, label, "test error after the last step", "(c) approach to the limits (filled)")
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize="small")
    return figure


def _curves(axes: Axes, found: Found, settings: Settings, place: int) -> None:
    steps = np.arange(settings.num_steps + 1)
    few = settings.widths[0]
    axes.plot(steps, found.units[few].value[place], color=UNITS, lw=1.0, ls=":", label=f"(i) {few} units")
    axes.plot(steps, found.units[None].value[place], color=UNITS, lw=1.4, label="(i) units, k → ∞")
    lazy = found.lazy[None]
    axes.plot(steps, lazy.value[place], color=KERNEL, lw=1.2, ls="--", label="(iii) kernel, d → ∞")
    small = settings.sizes[0]
    look: dict[str, Any] = {"ms": 4.5, "lw": 0.9, "color": DATA}
    one = found.data[small]
    label = f"(ii) wide, d = {small}"
    axes.errorbar(steps, one.value[place], WIDTH * one.error[place], fmt="s", mfc="none", label=label, **look)
    one = found.data[None]
    axes.errorbar(steps, one.value[place], WIDTH * one.error[place], fmt="o", label="(ii) wide, d → ∞", **look)


def _approach(axes: Axes, found: Found, settings: Settings) -> None:
    """Draw test errors against the inverse size, in units of the smallest; limits stand at zero."""
    for curves, smallest, color, marker, shift in (
        (found.units, settings.widths[0], UNITS, "^", -0.015),
        (found.data, settings.sizes[0], DATA, "o", 0.015),
        (found.lazy, settings.sizes[0], KERNEL, "D", 0.0),
    ):
        for size, one in curves.items():
            value, error = one.last()
            look: dict[str, Any] = {"fmt": marker, "ms": 4.5, "mfc": "none" if size else color, "lw": 0.9}
            axes.errorbar(smallest / size if size else shift, value, WIDTH * error, color=color, **look)
    axes.axhline(found.units[None].last()[0], color=UNITS, lw=0.8, ls=":")


CLAIM = Claim(
    "joint_picture",
    __doc__,
    pass_rule=(
        "At every step train and test error of k units in the proportional limit, extrapolated in 1/k, and of "
        "infinitely wide networks on drawn data, extrapolated in 1/d, differ by at most 3.5 standard errors (below 4 % "
        "at the end); the smallest k is 10 % off its limit; the tangent kernel is 5 % off, and on the same data by "
        "5 standard errors."
    ),
    settings=Settings,
    quick=Settings(
        widths=(4, 8, 16),
        unit_nodes=2**13,
        sizes=(8, 16),
        num_draws=(16, 8),
        lazy_sizes=(32, 64),
        num_lazy_draws=400,
        num_nodes=2**12,
    ),
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)


if __name__ == "__main__":
    raise SystemExit(CLAIM.command())
