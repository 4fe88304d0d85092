"""Claim: Nonlinear optimizers, mini-batches, classification and message passing are predicted as they run.

Twelve methods of the library, each predicted in the limit and simulated on a revealed Gaussian matrix at d and 2d; for
each the figure shows train and test error, prediction as lines, simulation at 2d as points.

PASS RULE, for every method: `compare` of the prediction with the runs at d, at 2d and extrapolated does not say
"disagree", and at 2d it says "agree". Two negative controls: Adam without the memory term of the limit, and LASSO-AMP
without its Onsager term, must each miss the runs by more than 10 standard errors somewhere. One broken rule fails the
claim.

    python -m validation.first_order_methods [--quick]    # some minutes; writes results/first_order_methods.{json,png}

Reference: `celentano2021high`; `bayati2011dynamics`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

import dyntheory as dt
from dyntheory.gaussian.nodes import draw_nodes
from dyntheory.ground.precision import double_precision
from dyntheory.plot.style import new_figure
from dyntheory.problem.shape import Shape
from validation.claim import Claim, Verdict
from validation.record import Outcome

COLORS = {"train_error": "#0072B2", "test_error": "#D55E00"}
CONTROL_ERRORS = 10.0


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes: steps, features of the smaller runs, runs of each size, nodes."""

    num_steps: int = 16
    num_features: int = 1000
    num_runs: int = 24
    num_nodes: int = 2**14
    seed: int = 0


Case = tuple[dt.TeacherStudent, dt.GeneralFirstOrderMethod]


def cases() -> dict[str, Callable[[], Case]]:
    """Return the problems by name."""
    sin = dt.TeacherStudent(2.0, "sin", 0.3)
    sparse = dt.priors.bernoulli_gauss(0.1)
    signal = dt.TeacherStudent(0.6, "linear", 0.1, teacher_prior=sparse)
    signs = dt.TeacherStudent(0.8, "linear", 0.5, teacher_prior=dt.priors.rademacher())
    three = dt.TeacherStudent(3.0, "argmax", teacher_second_moment=np.eye(3))
    network = dt.MLP((2,), "tanh")
    plain = dt.gradient_descent(network, optax.sgd, learning_rate=0.5)

    def trained(optimizer: Any, **numbers: Any) -> Callable[[], Case]:
        return lambda: (sin, dt.gradient_descent(network, optimizer, **numbers))

    return {
        "Adam": trained(optax.adam, learning_rate=0.1),
        "AdamW, cosine schedule": trained(
            optax.adamw, learning_rate=optax.cosine_decay_schedule(0.15, 16), weight_decay=0.1
        ),
        "Lion": trained(optax.lion, learning_rate=0.05),
        "SGD clipped by value": trained(optax.chain(optax.clip(0.5), optax.sgd(0.5))),
        "mini-batches of 1/4": lambda: (sin, dt.mini_batches(plain, 0.25, replacement=False)),
        "dropout, label noise": lambda: (sin, dt.label_noise(dt.dropout(plain, 0.2), 0.3)),
        "softmax, 3 classes": lambda: (
            three,
            dt.gradient_descent(dt.MLP((4,), num_outputs=3), optax.sgd, loss="cross_entropy", learning_rate=1.0),
        ),
        "logistic loss, clouds": lambda: (
            dt.gaussian_mixture(2.0, 1.5, balance=0.4),
            dt.gradient_descent(network, optax.adam, loss="logistic", learning_rate=0.1),
        ),
        "FISTA": lambda: (signal, dt.proximal_gradient(0.2, 0.03)),
        "LASSO-AMP": lambda: (signal, dt.lasso_amp(1.3)),
        "Bayes-AMP, signs": lambda: (signs, dt.bayes_amp(dt.priors.rademacher())),
        "AMP, logistic channel": lambda: (dt.TeacherStudent(3.0, "logistic"), dt.generalized_amp("logistic")),
    }


@dataclasses.dataclass(frozen=True)
class Result:
    """One method: the prediction, the larger runs, and the verdicts."""

    theory: dt.Trajectory
    runs: dt.Trajectory
    verdicts: dict[str, str]
    worst: float


Found = tuple[dict[str, Result], dict[str, float]]  # of every method; of the controls


def solve(case: Case, settings: Settings) -> Result:
    """Predict and simulate one method."""
    (law, method), key = case, jax.random.key(settings.seed)
    options: dict[str, Any] = {"num_steps": settings.num_steps, "key": key, "keep_preactivations": False}
    theory = dt.predict(law, method, num_nodes=settings.num_nodes, **options)
    small, large = (
        dt.simulate(law, method, num_features=d, num_runs=settings.num_runs, matrix="revealed", **options)
        for d in (settings.num_features, 2 * settings.num_features)
    )
    reports = {
        "d": dt.compare(theory, small),
        "2d": dt.compare(theory, large),
        "extrapolated": dt.compare(theory, large, small),
    }
    worst = max(float(np.max(np.abs(z[np.isfinite(z)]))) for z in reports["2d"].z.values())
    return Result(theory, large, {name: report.verdict for name, report in reports.items()}, worst)


def without_memory(settings: Settings) -> np.ndarray:
    """Return the train error of Adam in a limit that has no memory term (wrong)."""
    law, method = cases()["Adam"]()
    steps = settings.num_steps
    with double_precision():
        head = jax.tree.map(lambda a: jnp.asarray(a, float), method.init_head(jax.random.key(settings.seed)))
        nodes = (
            draw_nodes(2**12, Shape(steps, 2, 1).sample_dimensions, num_heavy=1, seed=0),
            draw_nodes(2**12, Shape.of(law, method, 0).test_dimensions, num_heavy=1, seed=1),
            draw_nodes(2**12, Shape(steps, 2, 1).feature_dimensions, num_heavy=0, seed=2),
        )

        @jax.jit
        def run(samples: Any, test: Any, features: Any) -> jax.Array:
            start = (law, method, head, jnp.eye(3), samples, test)
            return dt.state_evolution(*start, feature_nodes=features, num_steps=steps, memory=False).records.train_error

        return np.asarray(run(*nodes))


def controls(results: dict[str, Result], settings: Settings) -> dict[str, float]:
    """Return by how many standard errors the two wrong algorithms miss."""
    adam = results["Adam"].runs
    law, method = cases()["LASSO-AMP"]()
    wrong = dt.simulate(
        law,
        dataclasses.replace(method, after_features=lambda shared, stats: shared),
        num_steps=settings.num_steps,
        num_features=2 * settings.num_features,
        num_runs=settings.num_runs,
        matrix="revealed",
        key=jax.random.key(settings.seed),
    )
    theory = results["LASSO-AMP"].theory
    return {
        "Adam without memory": _misses(without_memory(settings), adam.train_error, adam.standard_error, "train_error"),
        "AMP without Onsager term": _misses(theory.test_error, wrong.test_error, wrong.standard_error, "test_error"),
    }


def _misses(expected: Any, found: Any, errors: Any, name: str) -> float:
    bars = np.maximum(getattr(errors, name), 1e-12)
    return float(np.max(np.abs(np.asarray(expected) - found)[1:] / bars[1:]))


def run(settings: Settings) -> Found:
    """Predict and simulate every method, and both controls."""
    results = {}
    for name, case in cases().items():
        results[name] = solve(case(), settings)
        print(f"{name} solved", flush=True)
    return results, controls(results, settings)


def judge(found: Found, settings: Settings) -> Verdict:
    """Apply the pass rule."""
    results, missed = found
    numbers = {"methods": {name: _numbers(one) for name, one in results.items()}, "controls": missed}
    verdicts = [verdict for result in results.values() for verdict in result.verdicts.values()]
    if "disagree" in verdicts:
        return Outcome.FAILED, numbers
    sees = min(missed.values()) >= CONTROL_ERRORS  # what does not tell the controls apart says nothing of the others
    agrees = all(result.verdicts["2d"] == "agree" for result in results.values())
    return (Outcome.PASSED if agrees and sees else Outcome.UNRESOLVED), numbers


def _numbers(result: Result) -> dict[str, Any]:
    last = {"predicted": result.theory.test_error, "simulated": result.runs.test_error}
    return {**result.verdicts, "worst_z": result.worst, **{name: curve[-1] for name, curve in last.items()}}


def table(found: Found, settings: Settings) -> Iterator[str]:
    """Yield one line for every method and every control."""
    results, missed = found
    yield from (f"{name:24s} {one.verdicts}  worst z at 2d {one.worst:.1f}" for name, one in results.items())
    yield from (f"{name}: off by {value:.0f} standard errors" for name, value in missed.items())


def draw(found: Found, settings: Settings) -> Figure:
    """Draw every method: prediction as lines, runs as points."""
    results, _ = found
    figure = new_figure(11, 8)
    for axes, (name, result) in zip(figure.subplots(3, 4).flat, results.items(), strict=True):
        for field, color in COLORS.items():
            label = field.replace("_", " ")
            axes.plot(result.theory.steps, getattr(result.theory, field), color=color, lw=1.4, label=label)
            bars = getattr(result.runs.standard_error, field)
            axes.errorbar(
                result.runs.steps, getattr(result.runs, field), 2 * bars, fmt="o", ms=3, mfc="white", color=color
            )
        axes.set_title(name, fontsize=9)
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    figure.supxlabel("step")
    figure.axes[0].legend(frameon=False, fontsize=8)
    figure.suptitle("Prediction (lines) and simulation at 2d (points, two standard errors)", fontsize=11)
    return figure


CLAIM = Claim(
    "first_order_methods",
    __doc__,
    pass_rule="See the docstring: no disagreement at d, 2d, extrapolated; agreement at 2d; two controls must miss.",
    settings=Settings,
    quick=Settings(num_steps=4, num_features=200, num_runs=8, num_nodes=2**11),
    measure=run,
    judge=judge,
    table=table,
    draw=draw,
)


if __name__ == "__main__":
    raise SystemExit(CLAIM.command())
