"""Claim: One-pass SGD of two-layer networks follows the flow of its order parameters, the better the larger d.

Two students with a trained head learn from samples that are used once: three teachers of erf units, three of rectifiers
(closed forms), and a link that is no sum of units, by tanh (nodes). Runs store their weights, draw their inputs, and
start with the prescribed overlaps.

PASS RULE.

1. theory and runs: for the excess error, all overlaps and the head, at every time but the first and at every d, mean
   over runs and prediction differ by at most 4.5 standard errors of both plus 10/d of the quantity's largest value;
2. resolution: standard errors of the excess error at the largest d are below 5 % of it, else unresolved;
3. size: single runs spread around their mean as d^s with s between −.65 and −.35 (mean over curves, rms over times).

NEGATIVE CONTROL. The flow without its term in η² (a batch of 10⁹) must miss the runs at the largest d by more than 10
standard errors in the excess error, for every problem.

    python -m validation.one_pass [--quick]    # some minutes; writes validation/results/one_pass.{json,png}

Reference: `saad1995exact`; `goldt2019dynamics`.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure

import dyntheory as dt
from dyntheory.plot.one_pass_figure import COLORS, MARKERS, TIME
from dyntheory.plot.style import WIDTH, finish, new_figure
from validation.claim import Claim, Verdict
from validation.online_cases import cases
from validation.record import Outcome, joint_outcome

MOST_Z, SHARE, MOST_ERROR, CONTROL_Z, SLOPES, HUGE = 4.5, 10.0, 0.05, 10.0, (-0.65, -0.35), 10**9
NAMES = ("excess_error", "weight_overlap", "teacher_overlap", "head")


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes."""

    sizes: tuple[int, ...] = (500, 1000, 2000, 4000)
    num_runs: int = 20
    time: float = 10.0
    num_times: int = 11
    num_nodes: int = 2**13
    seed: int = 3


class Found(NamedTuple):
    """Of one problem: the prediction, that without η², and runs by d."""

    theory: dt.online.OnlineTrajectory
    control: dt.online.OnlineTrajectory
    runs: dict[int, dt.online.OnlineTrajectory]


def measure(settings: Settings) -> dict[str, Found]:
    """Predict and train all problems."""
    found, key = {}, jax.random.key(settings.seed)
    for name, one in cases(settings.time, settings.num_times).items():
        nodes = {} if name in ("erf", "relu") else {"num_nodes": settings.num_nodes}
        theory = dt.online.predict(one.law, one.network, key=key, **one.options, **nodes)
        control = dt.online.predict(one.law, one.network, key=key, batch_size=HUGE, **one.options, **nodes)
        runs = {}
        for d in settings.sizes:
            runs[d] = dt.online.simulate(
                one.law, one.network, num_features=d, num_runs=settings.num_runs, key=key, **one.options
            )
            print(f"{name}: d = {d} done", flush=True)
        found[name] = Found(theory, control, runs)
    return found


def misses(theory: dt.online.OnlineTrajectory, runs: dt.online.OnlineTrajectory, d: int) -> float:
    """Return the largest difference over what is allowed."""
    worst = 0.0
    for name in NAMES:
        predicted = getattr(theory, name)
        bars = np.hypot(getattr(theory.standard_error, name), getattr(runs.standard_error, name))
        allowed = MOST_Z * bars + SHARE / d * np.abs(predicted).max()
        worst = max(worst, float(np.max((np.abs(getattr(runs, name) - predicted) / allowed)[1:])))
    return worst


def spread(runs: dt.online.OnlineTrajectory) -> float:
    """Return by how much single runs are off their mean, relative, rms over times."""
    curves = runs.per_run.excess_error[:, 1:]
    return float(np.sqrt(np.mean(curves.var(axis=0, ddof=1) / curves.mean(axis=0) ** 2)))


def judge(found: dict[str, Found], settings: Settings) -> Verdict:
    """Apply the pass rule."""
    numbers: dict[str, Any] = {}
    outcomes, last, slopes = [], settings.sizes[-1], []
    for name, one in found.items():
        off = {d: misses(one.theory, runs, d) for d, runs in one.runs.items()}
        largest = one.runs[last]
        bars = largest.standard_error.excess_error[1:]
        without = np.abs((largest.excess_error - one.control.excess_error)[1:] / bars).max()
        error = float((bars / largest.excess_error[1:]).max())
        widths = [spread(runs) for runs in one.runs.values()]
        slopes.append(float(np.polyfit(np.log(settings.sizes), np.log(widths), 1)[0]))
        numbers[name] = {
            "largest miss over what is allowed by d": off,
            "largest z by d": {
                d: {n: float(np.abs(z[1:]).max()) for n, z in runs.z_scores(one.theory).items() if n != "test_error"}
                for d, runs in one.runs.items()
            },
            "standard error of the error at the largest d": error,
            "standard errors by which the control misses": float(without),
            "spread of runs by d": widths,
            "numerical error of the prediction": float(
                (one.theory.standard_error.excess_error / one.theory.excess_error).max()
            ),
        }
        outcomes.append(Outcome.PASSED if max(off.values()) <= 1 and without > CONTROL_Z else Outcome.FAILED)
        outcomes.append(Outcome.PASSED if error <= MOST_ERROR else Outcome.UNRESOLVED)
    slope = float(np.mean(slopes))
    numbers["exponent of the spread in d"] = slope
    outcomes.append(Outcome.PASSED if SLOPES[0] <= slope <= SLOPES[1] else Outcome.FAILED)
    return joint_outcome(outcomes), numbers


def draw(found: dict[str, Found], settings: Settings) -> Figure:
    """Draw errors with the control, one panel a problem, and overlaps below."""
    figure = new_figure(10.6, 6.0)
    panels = figure.subplots(2, len(found), sharex=True, squeeze=False)
    shown = (settings.sizes[0], settings.sizes[-1])
    for column, (name, one) in enumerate(found.items()):
        top, bottom = panels[:, column]
        top.plot(one.theory.times, one.theory.excess_error, color=COLORS[0], label="flow")
        top.plot(one.control.times, one.control.excess_error, color="0.6", ls="--", label="without η²")
        for number, d in enumerate(shown):
            runs = one.runs[d]
            bars = WIDTH * runs.standard_error.excess_error
            style: dict[str, Any] = {"fmt": MARKERS[number], "ms": 3.5, "mfc": "white", "lw": 0.9}
            top.errorbar(runs.times, runs.excess_error, bars, color=COLORS[1 + number], label=f"d = {d}", **style)
        runs = one.runs[shown[-1]]
        for i in range(2):
            for m in range(one.theory.teacher_overlap.shape[2]):
                label = f"R with student {i + 1}" if m == 0 else None
                bottom.plot(one.theory.times, one.theory.teacher_overlap[:, i, m], color=COLORS[i], label=label)
                bottom.plot(runs.times, runs.teacher_overlap[:, i, m], MARKERS[1], color=COLORS[i], mfc="white", ms=3.5)
        bottom.plot(one.theory.times, one.theory.head, color="0.4", ls=":", label=None)
        bottom.plot(runs.times, runs.head, MARKERS[1], color="0.4", ms=2.5)
        bottom.plot([], [], color="0.4", ls=":", label="head")
        finish(top, "", r"excess error" if column == 0 else "", name)
        finish(bottom, TIME, "overlaps, head" if column == 0 else "")
    panels[0, 0].legend(frameon=False, fontsize="small")
    panels[1, 0].legend(frameon=False, fontsize="small")
    return figure


CLAIM = Claim(
    "one_pass",
    __doc__,
    pass_rule="See the docstring: runs within 4.5 s.e. plus 10/d, spread as d^(-1/2), the flow without η² misses.",
    settings=Settings,
    quick=Settings(sizes=(100, 400), num_runs=20, time=6.0, num_times=4, num_nodes=2**11),
    measure=measure,
    judge=judge,
    draw=draw,
)


if __name__ == "__main__":
    raise SystemExit(CLAIM.command())
