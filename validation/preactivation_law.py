"""Claim: a row of X W^t/√d, the preactivations of one training sample, follows the predicted limit law.

This is the first main theorem of `han2025precise`, checked on the samples that `preactivations(step)` returns: each
unit's law, all second moments E[h hᵀ], and the joint law with the label through E[h y].

PASS RULE. Every distance between the finite rows and the law, of each unit, of each second moment and of each moment
with the label, is within the tolerance of `validation.law_distances`: sampling error at 1 % for all distances
together, plus the distance between two independent node sets, plus 10/d of the scale for the finite size.

NEGATIVE CONTROL. The same rule applied to the limit without its memory (Onsager) term must fail; if the control
passes, the rule has no power, and the script fails as well (exit status 1).

    python -m validation.preactivation_law             # a minute; writes validation/results/preactivation_law.*
    python -m validation.preactivation_law --quick     # small sizes; writes nothing unless --results is given
"""

from __future__ import annotations

import dataclasses
import sys
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
import tyro
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import dyntheory as dt
from dyntheory.gaussian.nodes import draw_nodes
from dyntheory.matrix.limit import num_dimensions
from dyntheory.population import num_test_dimensions
from dyntheory.trajectory import Preactivations
from validation.law_distances import Distance, Size, judge
from validation.record import RESULTS, Outcome, Record

CLAIM = "Rows of the first-layer preactivations follow the predicted limit law, jointly with the labels."
PASS_RULE = (
    "Every distance (Wasserstein-1 of each unit's law, every entry of E[h h^T] and E[h y]) is within sampling error at "
    "1 % over all distances, plus the distance between two node sets, plus 10/d of its scale; and the limit without "
    "the memory term is not."
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run.

    Args:
        steps: numbers of updates after which the law is checked.
        num_features: d.
        num_runs: R, even.
        num_nodes: nodes of the limit law.
        num_units: k.
        learning_rate: of both layers.
        samples_per_feature: n/d.
        link: mean of the labels given the teacher.
        noise_std: of the labels.
        seed: decides the upper layer, the nodes and the data.
    """

    steps: tuple[int, ...] = (1, 4, 12)
    num_features: int = 1000
    num_runs: int = 100
    num_nodes: int = 2**16
    num_units: int = 2
    learning_rate: float = 0.5
    samples_per_feature: float = 1.0
    link: str = "sin_mixture"
    noise_std: float = 0.3
    seed: int = 0


QUICK = Settings(steps=(1, 8), num_features=200, num_runs=20, num_nodes=2**13)


class Laws(NamedTuple):
    """Samples of the limit law at every step: on two node sets, and without memory on the first of them."""

    first: list[Preactivations]
    second: list[Preactivations]
    control: list[Preactivations]


def problem(settings: Settings) -> tuple[dt.TeacherStudent, dt.GeneralFirstOrderMethod]:
    """Return the law and the method."""
    law = dt.TeacherStudent(settings.samples_per_feature, link=settings.link, noise_std=settings.noise_std)
    network = dt.MLP(hidden=(settings.num_units,), activation="tanh")
    return law, dt.gradient_descent(network, optax.sgd, learning_rate=settings.learning_rate)


def limit_laws(settings: Settings) -> tuple[Laws, Any]:
    """Return samples of the limit laws, and the head they start from."""
    law, method = problem(settings)
    key, num_steps = jax.random.key(settings.seed), max(settings.steps)
    options: dict[str, Any] = {
        "num_steps": num_steps,
        "num_nodes": settings.num_nodes,
        "keep_preactivations": True,
    }
    first = dt.predict(law, method, key=key, **options)
    head = jax.tree.map(lambda leaf: leaf[0], first.head)
    second = dt.predict(law, method, key=jax.random.fold_in(key, 1), head=head, **options)
    return (
        Laws(
            [first.preactivations(step) for step in settings.steps],
            [second.preactivations(step) for step in settings.steps],
            without_memory(settings, head),
        ),
        head,
    )


def without_memory(settings: Settings, head: Any) -> list[Preactivations]:
    """Return samples of the "limit" that forgets what X has already revealed: wrong, the control of the rule."""
    law, method = problem(settings)
    num_steps, r = max(settings.steps), law.num_teacher_units
    dimensions = num_dimensions(num_steps, method.num_units, r, law.num_outputs)
    draw = partial(draw_nodes, settings.num_nodes, num_heavy=r, seed=settings.seed)
    nodes, test_nodes = draw(dimensions), draw(num_test_dimensions(law, method))
    solve = jax.jit(partial(dt.state_evolution, num_steps=num_steps, keep_preactivations=True, memory=False))
    with jax.enable_x64(True):
        solved = solve(law, method, head, np.eye(r + method.num_units), nodes, test_nodes)
    values, labels = np.asarray(solved.records.preactivations), np.asarray(solved.records.labels)
    return [Preactivations(values[step], labels, np.asarray(nodes.weights)) for step in settings.steps]


def simulated_rows(settings: Settings, head: Any) -> list[Preactivations]:
    """Return the rows of all runs, run after run, at every step."""
    law, method = problem(settings)
    runs = dt.simulate(
        law,
        method,
        num_steps=max(settings.steps),
        num_features=settings.num_features,
        num_runs=settings.num_runs,
        key=jax.random.fold_in(jax.random.key(settings.seed), 2),
        head=head,
        keep_preactivations=True,
    )
    return [runs.preactivations(step) for step in settings.steps]


def print_table(claim: list[Distance], control: list[Distance]) -> None:
    """Print one line per distance, the control's beside it."""
    print(f"{'step':>4}  {'compared':<12} {'distance':>9} {'sampling':>9} {'allowed':>9} {'ratio':>6}   without memory")
    for one, wrong in zip(claim, control, strict=True):
        print(
            f"{one.step:>4}  {one.name:<12} {one.value:>9.5f} {one.sampling:>9.5f} {one.tolerance:>9.5f} "
            f"{one.ratio:>6.2f}   {wrong.value:>9.5f} {wrong.ratio:>6.2f}"
        )


def draw(laws: Laws, rows: list[Preactivations], claim: list[Distance], settings: Settings) -> Figure:
    """Draw quantiles of the finite rows against quantiles of the law: a row of panels per unit, a column per step."""
    columns = len(settings.steps)
    figure = Figure(figsize=(2.5 * columns + 0.3, 2.5 * settings.num_units + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(settings.num_units, columns, squeeze=False)
    distance = {(one.step, one.name): one for one in claim}
    for column, step in enumerate(settings.steps):
        for unit, axes in enumerate(panels[:, column]):
            _draw_panel(axes, laws.first[column], laws.control[column], rows[column], unit)
            one = distance[step, f"law of h_{unit + 1}"]
            text = f"$W_1$ = {one.value:.4f}\nallowed {one.tolerance:.4f}"
            axes.text(0.04, 0.96, text, transform=axes.transAxes, va="top", fontsize="small")
            axes.set_title(f"unit {unit + 1}, $t = {step}$", fontsize="medium")
            if column == 0:
                axes.set_ylabel("quantile of the rows")
            if unit == settings.num_units - 1:
                axes.set_xlabel("quantile of the law")
    handles = panels[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _draw_panel(axes: Axes, law: Preactivations, control: Preactivations, rows: Preactivations, unit: int) -> None:
    at = np.concatenate([[0.001, 0.003], np.linspace(0.01, 0.99, 41), [0.997, 0.999]])
    observed = np.quantile(rows.values[:, unit], at)
    expected, wrong = (_quantiles(one, unit, at) for one in (law, control))
    ends = observed[[0, -1]] * 1.08
    axes.plot(ends, ends, color="0.55", lw=0.9, zorder=1)
    axes.plot(wrong, observed, "x", color="#e8743b", ms=4, mew=0.9, label="without memory (control)", zorder=2)
    axes.plot(expected, observed, "o", color="#0b3c78", mfc="white", ms=3.6, mew=0.9, label="predicted law", zorder=3)
    axes.set(xlim=ends, ylim=ends, aspect="equal")
    axes.spines[["top", "right"]].set_visible(False)


def _quantiles(samples: Preactivations, unit: int, at: np.ndarray) -> np.ndarray:
    """Return weighted quantiles, each sample standing at the middle of its weight."""
    order = np.argsort(samples.values[:, unit])
    weights = samples.weights[order]
    return np.interp(at, np.cumsum(weights) - weights / 2, samples.values[order, unit])


def numbers(claim: list[Distance], control: list[Distance]) -> dict[str, Any]:
    """Return what the record keeps."""
    return {
        "largest_ratio": max(one.ratio for one in claim),
        "largest_ratio_of_control": max(one.ratio for one in control),
        "distances": [dataclasses.asdict(one) | {"ratio": one.ratio} for one in claim],
        "distances_of_control": [dataclasses.asdict(one) | {"ratio": one.ratio} for one in control],
    }


def main(settings: Settings | None = None, *, quick: bool = False, results: Path | None = None) -> int:
    """Check the claim and its control, and return the exit status.

    Args:
        settings: what is run; default the settings of the claim, or smaller ones with `quick`.
        quick: small sizes; nothing is written unless `results` is given.
        results: where the record and the figure go; default validation/results.
    """
    settings = settings or (QUICK if quick else Settings())
    laws, head = limit_laws(settings)
    rows, size = simulated_rows(settings, head), Size(settings.num_runs, settings.num_features)
    claim = judge(settings.steps, laws.first, laws.second, rows, size=size)
    control = judge(settings.steps, laws.control, laws.control, rows, size=size)
    holds, has_power = (max(one.ratio for one in claim) <= 1, max(one.ratio for one in control) > 1)
    outcome = Outcome.PASSED if holds and has_power else Outcome.FAILED
    print_table(claim, control)
    print(
        f"claim {'agrees' if holds else 'DISAGREES'}, control {'fails as it must' if has_power else 'PASSES: no power'}"
    )
    print(f"{outcome.value}: {CLAIM}")
    directory = results or (None if quick else RESULTS)
    if directory is not None:
        record = Record(
            "preactivation_law", CLAIM, PASS_RULE, dataclasses.asdict(settings), numbers(claim, control), outcome
        )
        record.write(directory)
        dt.plot.save_figure(draw(laws, rows, claim, settings), directory / "preactivation_law.png", force=True)
    return outcome.exit_status


def command(*, quick: bool = False, results: Path | None = None) -> int:
    """Check the limit law of first-layer preactivations, and that it needs its memory term.

    Args:
        quick: small sizes, seconds; nothing is written unless a directory is given.
        results: directory for the record and the figure.
    """
    return main(quick=quick, results=results)


if __name__ == "__main__":
    sys.exit(tyro.cli(command))
