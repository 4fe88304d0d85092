"""Claim: The law of the first-layer preactivations on the training samples is the predicted one, memory included.

PASS RULE. At each chosen step t > 0, with R simulated runs at d features,

1. Wasserstein: for every unit the distance between the limit law and all simulated rows is at most the median distance
   between two random halves of the runs (about twice what sampling alone gives) plus 10/d of the unit's spread;
2. moments: every entry of E[h hᵀ] and E[h y] agrees as in `dyntheory.compare`: |difference| ≤ c · s.e. + 10/d of the
   spread, c Student's quantile at 1 % for all entries and steps together.

NEGATIVE CONTROL. The limit without the memory (Onsager) term must fail rule 1 and rule 2. Exit status 1 when the claim
fails or the control passes.

    python -m validation.preactivation_law [--quick]    # about a minute; writes validation/results/preactivation_law.*

Reference: `han2025precise`, first main theorem.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import optax
from matplotlib.figure import Figure
from scipy.stats import wasserstein_distance

import dyntheory as dt
from dyntheory.gaussian import draw_nodes
from dyntheory.ground.precision import double_precision
from dyntheory.plot.style import new_figure
from dyntheory.problem.prepared import prepare
from dyntheory.problem.shape import Shape
from dyntheory.results.agreement import corrected_threshold
from dyntheory.results.trajectory import Preactivations
from validation.claim import Claim, Verdict
from validation.record import Outcome

NUM_SPLITS = 20


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run: the problem, the sizes, the steps at which laws are compared."""

    steps: tuple[int, ...] = (2, 5, 10)
    num_features: int = 500
    num_runs: int = 60
    num_units: int = 3
    learning_rate: float = 0.5
    samples_per_feature: float = 1.0
    noise_std: float = 0.3
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Check:
    """One law against the rows: Wasserstein distances and moment differences over what is allowed (≤ 1 passes)."""

    distance: np.ndarray
    moments: np.ndarray

    @property
    def passes(self) -> bool:
        """Whether both rules hold at every step."""
        return bool(self.distance.max() <= 1 and self.moments.max() <= 1)

    @property
    def fails_both(self) -> bool:
        """Whether both rules are broken somewhere."""
        return bool(self.distance.max() > 1 and self.moments.max() > 1)


Found = tuple[dict[str, list[Preactivations]], dt.Trajectory, dict[str, Check]]  # laws, runs, and checks of the laws


def problem(settings: Settings) -> tuple[dt.TeacherStudent, dt.GeneralFirstOrderMethod]:
    """Return a problem in which memory matters: few samples, large steps."""
    law = dt.TeacherStudent(settings.samples_per_feature, link="sin_mixture", noise_std=settings.noise_std)
    network = dt.MLP(hidden=(settings.num_units,), activation="tanh")
    return law, dt.gradient_descent(network, optax.sgd, learning_rate=settings.learning_rate)


def law_without_memory(settings: Settings, num_nodes: int = 2**14) -> list[Preactivations]:
    """Return the wrong limit law at the chosen steps: the Onsager term dropped."""
    law, method = problem(settings)
    key, num_steps = jax.random.key(settings.seed), max(settings.steps)
    with double_precision():
        ready = prepare(law, method, key, head=None, first_layer=None, num_heads=1)
        sizes = Shape(num_steps, method.num_units, 1).sample_dimensions, Shape.of(law, method, 0).test_dimensions
        nodes, test_nodes = (draw_nodes(num_nodes, size, num_heavy=1, seed=settings.seed) for size in sizes)
        solve = jax.jit(dt.state_evolution, static_argnames=("num_steps", "keep_preactivations", "memory"))
        options: dict[str, Any] = {"num_steps": num_steps, "keep_preactivations": True, "memory": False}
        records = solve(
            ready.law, ready.method, ready.heads[0], ready.joint_second_moment, nodes, test_nodes, **options
        ).records
    rows, labels = np.asarray(records.recorded["preactivations"]), np.asarray(records.labels)
    return [Preactivations(rows[step], labels, np.asarray(nodes.weights)) for step in settings.steps]


def check(laws: list[Preactivations], runs: dt.Trajectory, settings: Settings) -> Check:
    """Apply both rules at every step."""
    samples = [runs.preactivations(step) for step in settings.steps]
    num_entries = len(samples) * (settings.num_units**2 + settings.num_units)
    threshold = corrected_threshold(0.01, num_entries, settings.num_runs - 1)
    return Check(
        np.stack([_distances(law, rows, settings) for law, rows in zip(laws, samples, strict=True)]),
        np.stack([_moments(law, rows, settings, threshold) for law, rows in zip(laws, samples, strict=True)]),
    )


def _distances(law: Preactivations, rows: Preactivations, settings: Settings) -> np.ndarray:
    """Return, per unit, the distance between law and rows over what rule 1 allows."""
    by_run = rows.values.reshape(settings.num_runs, -1, settings.num_units)
    random = np.random.default_rng(settings.seed)
    halves = [np.array_split(random.permutation(settings.num_runs), 2) for _ in range(NUM_SPLITS)]
    ratios = []
    for unit in range(settings.num_units):
        found = wasserstein_distance(law.values[:, unit], rows.values[:, unit], law.weights)
        sampling = [wasserstein_distance(*(by_run[half, :, unit].ravel() for half in pair)) for pair in halves]
        allowed = np.median(sampling) + 10 / settings.num_features * rows.values[:, unit].std()
        ratios.append(found / allowed)
    return np.array(ratios)


def _moments(law: Preactivations, rows: Preactivations, settings: Settings, threshold: float) -> np.ndarray:
    """Return, per entry of E[h hᵀ] and E[h y], the difference over what rule 2 allows."""

    def products(sample: Preactivations) -> np.ndarray:
        beside = np.concatenate([sample.values, sample.labels[:, None]], axis=1)
        return (sample.values[:, :, None] * beside[:, None, :]).reshape(len(beside), -1)

    predicted = law.weights @ products(law)
    means = products(rows).reshape(settings.num_runs, -1, len(predicted)).mean(axis=1)
    error = means.std(axis=0, ddof=1) / np.sqrt(settings.num_runs)
    spread = rows.values.std() * max(rows.values.std(), rows.labels.std())
    return np.abs(means.mean(axis=0) - predicted) / (threshold * error + 10 / settings.num_features * spread)


def run(settings: Settings) -> Found:
    """Return the two laws, the simulated rows, and how they compare."""
    law, method = problem(settings)
    options: dict[str, Any] = {"num_steps": max(settings.steps), "key": jax.random.key(settings.seed)}
    theory = dt.predict(law, method, keep_preactivations=True, **options)
    sizes: dict[str, Any] = {"num_features": settings.num_features, "num_runs": settings.num_runs}
    runs = dt.simulate(law, method, keep_preactivations=True, **sizes, **options)
    laws = {
        "with memory": [theory.preactivations(step) for step in settings.steps],
        "without memory": law_without_memory(settings),
    }
    return laws, runs, {name: check(points, runs, settings) for name, points in laws.items()}


def judge(found: Found, settings: Settings) -> Verdict:
    """Ask the law to pass and the control to fail both rules."""
    *_, checks = found
    passed = checks["with memory"].passes and checks["without memory"].fails_both
    kept = {name: dataclasses.asdict(one) for name, one in checks.items()}
    return (Outcome.PASSED if passed else Outcome.FAILED), kept


def table(found: Found, settings: Settings) -> Iterator[str]:
    """Yield one line for each law."""
    *_, checks = found
    for name, one in checks.items():
        worst = f"largest distance {one.distance.max():6.2f}, moment {one.moments.max():6.2f}"
        yield f"limit {name:<15} {worst} of what is allowed"


def draw(found: Found, settings: Settings) -> Figure:
    """Draw QQ plots of the rows against the two laws at the last step, one panel per unit."""
    laws, runs, _ = found
    figure = new_figure(3.2 * settings.num_units, 3.4)
    panels = figure.subplots(1, settings.num_units, squeeze=False)[0]
    probabilities = (np.arange(60) + 0.5) / 60
    rows = runs.preactivations(settings.steps[-1]).values
    styles = {"with memory": ("o", "#0b3c7d"), "without memory": ("x", "#e8743b")}
    for unit, axes in enumerate(panels):
        simulated = np.quantile(rows[:, unit], probabilities)
        for name, (marker, colour) in styles.items():
            law = laws[name][-1]
            order = np.argsort(law.values[:, unit])
            limit = np.interp(probabilities, np.cumsum(law.weights[order]), law.values[order, unit])
            axes.plot(limit, simulated, marker, color=colour, ms=4, mfc="none", label=f"limit {name}")
        axes.axline((0, 0), slope=1, color="0.5", lw=0.8)
        axes.set(xlabel="quantiles of the limit law", title=f"unit {unit + 1}, step {settings.steps[-1]}")
    panels[0].set_ylabel(f"quantiles of the rows, d = {settings.num_features}")
    panels[0].legend(frameon=False, fontsize="small")
    return figure


CLAIM = Claim(
    "preactivation_law",
    __doc__,
    pass_rule=(
        "See the docstring: Wasserstein distances within sampling plus 10/d, moments as in compare; control fails."
    ),
    settings=Settings,
    quick=Settings(steps=(2, 8), num_features=200, num_runs=30, num_units=2),
    measure=run,
    judge=judge,
    table=table,
    draw=draw,
)


if __name__ == "__main__":
    raise SystemExit(CLAIM.command())
