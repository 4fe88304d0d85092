"""Claim: Means approach the prediction as c/d, runs scatter as 1/√d, and the extrapolated means meet the prediction.

PASS RULE. For each network, `dyntheory.finite_size` at `sizes` features:

1. limits of train and test error at all steps, extrapolated by limit + c/d, "agree" with the prediction at level 1 %
   for all points, with an allowance of 0.5 % for the next order;
2. χ² of the fit is not significant at level 1 % for all steps and both curves (Bonferroni);
3. the exponent of the standard deviation of one run lies within 0.1 of −1/2 at every step, its own standard error
   below 0.05 (the next order of a standard deviation is relative 1/d, so an exponent at finite d is not exactly −1/2);
4. the exponent of mean − prediction is within four of its standard errors of −1 wherever that error is below 0.25, and
   there is such a step.

One failure fails the claim (exit status 1); verdicts that say "unresolved" do not pass it (3).

The problem: tanh, two units in every hidden layer, n/d = 2, labels sin_mixture(z) + 0.3 ξ, learning rate 0.8, the
upper layers drawn from one fixed seed. The prediction takes 2^17 nodes, so that its own error is below that of the
extrapolation; the population test error of a run takes 2^14 (2^11 would be off by 1e-3 to 3e-3 at every size).

    python -m validation.finite_size [--quick]    # some minutes; writes validation/results/finite_size.{json,png}
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import optax
from matplotlib.figure import Figure

import dyntheory as dt
from dyntheory.plot.style import STYLES, new_figure
from validation.claim import Claim, Verdict
from validation.record import VERDICTS, Outcome, joint_outcome

METRICS = ("train_error", "test_error")
ALLOWANCE, LEVEL, SPREAD_TOLERANCE, SPREAD_ERROR, BIAS_ERROR, BIAS_SCORES = 0.005, 0.01, 0.1, 0.05, 0.25, 4.0


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run.

    Args:
        num_steps: T.
        sizes: numbers of features.
        num_runs: at each size.
        depths: numbers of layers.
        num_nodes: of the prediction.
        seed: decides upper layers, nodes and data.
    """

    num_steps: int = 6
    sizes: tuple[int, ...] = (16, 32, 64, 128)
    num_runs: int = 10_000
    depths: tuple[int, ...] = (2, 3)
    num_nodes: int = 2**17
    seed: int = 0


def study(depth: int, settings: Settings) -> dt.FiniteSize:
    """Predict and simulate one network at all sizes."""
    law = dt.TeacherStudent(2.0, link="sin_mixture", noise_std=0.3)
    method = dt.gradient_descent(dt.MLP((2,) * (depth - 1), "tanh"), optax.sgd, learning_rate=0.8)
    common: dict[str, Any] = {"num_steps": settings.num_steps, "key": jax.random.key(settings.seed)}
    theory = dt.predict(law, method, num_nodes=settings.num_nodes, keep_preactivations=False, **common)
    sizes = {"sizes": settings.sizes, "num_runs": settings.num_runs, "allowance": ALLOWANCE}
    return dt.finite_size(law, method, theory=theory, **sizes, **common)


def checks(report: dt.FiniteSize) -> dict[str, Outcome]:
    """Return the outcome of every part of the rule."""
    p_values = np.concatenate([report.limit[name].p_value for name in METRICS])
    spreads = [report.fluctuation[name] for name in METRICS]
    exponents, errors = (np.concatenate([getattr(fit, field) for fit in spreads]) for field in ("exponent", "error"))
    biases = [report.bias[name] for name in METRICS]
    bias, bias_error = (np.concatenate([getattr(fit, field) for fit in biases]) for field in ("exponent", "error"))
    known = bias_error < BIAS_ERROR
    scores = np.abs(bias[known] + 1) / bias_error[known]

    def passed(holds: Any) -> Outcome:
        return Outcome.PASSED if bool(holds) else Outcome.FAILED

    return {
        "extrapolated": VERDICTS[report.agreement.verdict],
        "limit + c/d fits": passed(p_values.min() > LEVEL / p_values.size),
        "spread": passed(np.all(np.abs(exponents + 0.5) < SPREAD_TOLERANCE) and errors.max() < SPREAD_ERROR),
        "bias": passed(scores.max() < BIAS_SCORES) if known.any() else Outcome.UNRESOLVED,
    }


def numbers(report: dt.FiniteSize) -> dict[str, Any]:
    """Return what the record keeps of one network."""
    fits = {"limit": report.limit, "fluctuation": report.fluctuation, "bias": report.bias}
    return {
        "outcomes": {name: outcome.value for name, outcome in checks(report).items()},
        "worst": report.agreement.worst._asdict(),
        "allowance": report.agreement.allowance,
        "matrix": [run.provenance["matrix"] for run in report.runs],
        **{name: {metric: fit[metric]._asdict() for metric in METRICS} for name, fit in fits.items()},
        "prediction": {name: getattr(report.theory, name) for name in METRICS},
    }


def judge(reports: dict[int, dt.FiniteSize], settings: Settings) -> Verdict:
    """Apply every part of the rule to every depth."""
    outcomes = [outcome for report in reports.values() for outcome in checks(report).values()]
    return joint_outcome(outcomes), {f"{depth} layers": numbers(report) for depth, report in reports.items()}


def table(reports: dict[int, dt.FiniteSize], settings: Settings) -> Iterator[str]:
    """Yield the outcomes and the table of every depth."""
    for depth, report in reports.items():
        found = ", ".join(f"{name} {outcome.value}" for name, outcome in checks(report).items())
        yield f"{depth} layers: {found}\n{report.table()}"


def draw(reports: dict[int, dt.FiniteSize], settings: Settings) -> Figure:
    """Draw, for each network, extrapolated minus predicted values and both exponents at every step."""
    figure = new_figure(4.2 * len(reports), 6.6)
    rows = figure.subplots(3, len(reports), sharex=True, sharey="row", squeeze=False)
    for (depth, report), (above, middle, below) in zip(reports.items(), rows.T, strict=True):
        for name in METRICS:
            look = STYLES[name]
            fit = report.limit[name]
            shown: dict[str, Any] = {
                "ms": 4,
                "lw": 0.8,
                "capsize": 2.0,
                "fmt": look.markers[0],
                "color": look.color,
                "mfc": "white",
            }
            steps, predicted = report.theory.steps, getattr(report.theory, name)
            label = name.replace("_", " ")
            above.errorbar(steps, fit.limit / predicted - 1, yerr=2 * fit.limit_error / predicted, label=label, **shown)
            for axes, power in ((middle, report.bias[name]), (below, report.fluctuation[name])):
                known = power.error < (BIAS_ERROR if axes is middle else np.inf)
                axes.errorbar(steps[known], power.exponent[known], yerr=2 * power.error[known], **shown)
        above.set_title(f"{depth} layers, d = {', '.join(map(str, settings.sizes))}", fontsize="medium")
        for axes, level in ((above, 0.0), (middle, -1.0), (below, -0.5)):
            axes.axhline(level, color="0.5", lw=0.8, ls=":")
        below.set_xlabel("step $t$")
    for axes, label in zip(
        rows[:, 0], ("extrapolated/predicted − 1", "exponent of bias", "exponent of spread"), strict=True
    ):
        axes.set_ylabel(label, fontsize="small")
    rows[0, 0].legend(frameon=False, fontsize="small", title="bars: ±2 s.e.", title_fontsize="small")
    return figure


CLAIM = Claim(
    "finite_size",
    __doc__,
    pass_rule=(
        "Extrapolated curves agree with the prediction; limit + c/d fits (χ² at 1 %); the exponent of the spread is "
        "within 0.1 of -1/2 at every step, that of the bias within four standard errors of -1 where it is known to "
        "0.25."
    ),
    settings=Settings,
    quick=Settings(num_steps=2, sizes=(16, 32, 64), num_runs=1500, depths=(2,), num_nodes=2**14),
    measure=lambda settings: {depth: study(depth, settings) for depth in settings.depths},
    judge=judge,
    table=table,
    draw=draw,
)


if __name__ == "__main__":
    raise SystemExit(CLAIM.command())
