"""Claim: One run, the prediction without data and the estimate from the run's own rows lie on one curve.

Two, three and five layers of three tanh units on Gaussian rows, n = 2 d, labels z + ½ sin 2z + noise. Three series: the
error of the run on fresh rows (population error of its weights), `predict`, which sees no data, and `estimate`, which
sees the training rows only. One run is drawn; means over runs are judged.

PASS RULE, for every depth and at every step: |mean estimate − mean truth| and |prediction − mean estimate| stay below
5 % of the truth plus 3 standard errors, where a standard error at the last step must be below 4 %.

NEGATIVE CONTROL. The training error misses the truth by more than 5 % plus 3 standard errors at the last step.

    python -m validation.estimate_series [--quick]    # writes validation/results/estimate_series.*
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
from dyntheory.plot.style import new_figure
from validation.claim import Claim, Verdict
from validation.record import Outcome, joint_outcome

BOUND, LARGEST_ERROR = 0.05, 0.04


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is trained on what."""

    depths: tuple[int, ...] = (2, 3, 5)
    num_units: int = 3
    num_features: int = 300
    num_runs: int = 24
    num_steps: int = 30
    learning_rate: float = 0.3
    noise_std: float = 0.3
    num_tested: int = 6000


def measure(depth: int, settings: Settings) -> dict[str, Any]:
    """Return the three series of one depth, every run and its mean."""
    d, n = settings.num_features, 2 * settings.num_features
    network = dt.MLP((settings.num_units,) * (depth - 1), "tanh")
    method = dt.gradient_descent(network, optax.sgd, learning_rate=settings.learning_rate)
    head = network.init_head(jax.random.key(1))
    law = dt.TeacherStudent(n / d, link="sin_mixture", noise_std=settings.noise_std)
    theory = dt.predict(law, method, num_steps=settings.num_steps, key=jax.random.key(0), head=head)
    runs: dict[str, list[np.ndarray]] = {"train": [], "truth": [], "estimate": [], "bar": []}
    for run in range(settings.num_runs):
        random = np.random.default_rng(run)
        rows = random.standard_normal((n + settings.num_tested, d))
        z = rows @ random.standard_normal(d) / np.sqrt(d)
        labels = z + 0.5 * np.sin(2 * z) + settings.noise_std * random.standard_normal(len(z))
        test_data = (rows[n:], labels[n:])
        options: dict[str, Any] = {"num_steps": settings.num_steps, "key": jax.random.key(run), "head": head}
        live = dt.estimate(rows[:n], labels[:n], method, test_data=test_data, **options)
        assert live.standard_error is not None
        found = (live.train_error, live.held_out_error, live.test_error, live.standard_error.test_error)
        for name, curve in zip(runs, found, strict=True):
            runs[name].append(np.asarray(curve))
    every = {name: np.stack(curves) for name, curves in runs.items()}
    root = np.sqrt(settings.num_runs)
    return {
        "prediction": theory.test_error,
        "prediction_train": theory.train_error,
        "one_run": {name: curves[0] for name, curves in every.items()},
        "mean": {name: curves.mean(axis=0) for name, curves in every.items()},
        "error": {name: curves.std(axis=0, ddof=1) / root for name, curves in every.items()},
        "error_of_difference": (every["estimate"] - every["truth"]).std(axis=0, ddof=1) / root,
    }


def outcome_of(numbers: dict[str, Any]) -> Outcome:
    """Return whether the three series are one, and the training error is not."""
    mean, error, truth = numbers["mean"], numbers["error"], numbers["mean"]["truth"]
    if max(numbers["error_of_difference"][-1], error["estimate"][-1]) > LARGEST_ERROR * truth[-1]:
        return Outcome.UNRESOLVED
    to_truth = np.abs(mean["estimate"] - truth) < BOUND * truth + 3 * numbers["error_of_difference"]
    to_theory = np.abs(mean["estimate"] - numbers["prediction"]) < BOUND * truth + 3 * error["estimate"]
    misses = truth[-1] - mean["train"][-1] > BOUND * truth[-1] + 3 * error["train"][-1]
    return Outcome.PASSED if np.all(to_truth) and np.all(to_theory) and misses else Outcome.FAILED


def judge(numbers: dict[str, Any], settings: Settings) -> Verdict:
    """Apply the pass rule to every depth."""
    return joint_outcome(map(outcome_of, numbers.values())), numbers


def table(numbers: dict[str, Any], settings: Settings) -> Iterator[str]:
    """Yield the series of every depth at the last step."""
    for name, one in numbers.items():
        last = {key: f"{curve[-1]:.4f}" for key, curve in one["mean"].items()}
        yield f"{name} {last} prediction {one['prediction'][-1]:.4f} {outcome_of(one).value}"


def draw(numbers: dict[str, Any], settings: Settings) -> Figure:
    """Draw one run, the prediction, and the estimate from that run's rows; the mean over runs below."""
    figure = new_figure(3.6 * len(numbers), 5.6)
    axes = figure.subplots(2, len(numbers), squeeze=False, sharex=True, sharey="col")
    for column, (name, one) in enumerate(numbers.items()):
        for row, which in enumerate(("one_run", "mean")):
            ax, found = axes[row, column], one[which]
            ax.plot(one["prediction"], "-", color="C0", label="fresh rows, predict")
            ax.plot(one["prediction_train"], "-", color="0.6", label="training rows, predict")
            ax.plot(found["truth"], "k.", ms=5, label="fresh rows, the run")
            ax.plot(found["estimate"], "x", color="C1", ms=5, label="fresh rows, estimate")
            ax.plot(found["train"], "+", color="0.4", ms=5, label="training rows, the run")
            where = "one run" if row == 0 else f"mean of {settings.num_runs} runs"
            ax.set_title(f"{name}, {where}", fontsize=9)
            if column == 0:
                ax.set_ylabel("error")
            if row == 1:
                ax.set_xlabel("step")
    axes[0, 0].legend(fontsize=7)
    return figure


CLAIM = Claim(
    "estimate_series",
    __doc__,
    pass_rule="See the docstring: within 5 % + 3 s.e. at every step, s.e. below 4 %; the training error misses.",
    settings=Settings,
    quick=Settings(depths=(2,), num_features=100, num_runs=60, num_steps=8),
    measure=lambda settings: {f"{depth} layers": measure(depth, settings) for depth in settings.depths},
    judge=judge,
    table=table,
    draw=draw,
)


if __name__ == "__main__":
    raise SystemExit(CLAIM.command())
