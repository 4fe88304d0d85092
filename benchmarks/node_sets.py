"""Which node set is most accurate at equal N, and what it costs to make: the choice behind `dyntheory.gaussian.nodes`.

PROTOCOL. Problems of `tests/problems.py`; every node set stands for the training samples in turn, N nodes, the same
seeds; the test error is integrated on one and the same large tilted set, so that only the training nodes differ. Beside
the accuracy (root mean square of the true error over steps and seeds, relative to the larger of the value and 1e-3 of
its initial value) stands the time to make the nodes, the shortest over the seeds. The solver receives arrays of one
shape: its time is the same for all sets (recorded once per problem, shortest over sets and seeds, compilation
excluded), so equal N is equal time up to the making. Errors below about three times the recorded error of the truth are
not resolved.

* sobol tilted: scrambled Sobol (`owen1998scrambling`), teacher coordinates on midpoints of a heavier law, with weights.
* sobol plain: the same without the heavier law.
* sobol, innovations reversed; sobol, teacher last: other orders of the Sobol dimensions, tilted.
* lattice tilted, lattice plain: rank-1 Korobov lattice, randomly shifted (`sloan1994lattice`); the generator is the
  best of 64 under P_2 with product weights 1/j².
* antithetic tilted: N/2 Sobol nodes and their mirror images.
* monte carlo tilted, monte carlo plain.

Moment matching is not compared: the solver projects and normalises whatever nodes it is given (theory: without it
linear problems are not exact), so a set that is matched beforehand gives the same numbers.

    python -m benchmarks.node_sets            # writes benchmarks/results/node_sets.json
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import tyro
from scipy.special import ndtr, ndtri

from benchmarks.leaving import leave
from dyntheory.dynamics.state_evolution import state_evolution
from dyntheory.gaussian.nodes import NodeSet, draw_nodes, heavy_quantile, heavy_weights
from dyntheory.ground.precision import double_precision, to_numpy
from dyntheory.problem.prepared import prepare
from dyntheory.problem.shape import Shape
from tests.problems import NAMES, Problem

NUM_CANDIDATES = 64
Draw = Callable[[int, int, int, int], NodeSet]


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes, seeds and problems."""

    num_nodes: int = 2**13
    num_seeds: int = 4
    first_seed: int = 500
    problems: tuple[str, ...] = (
        "two_layers_sin_mixture",
        "two_layers_sign",
        "two_layers_cubic",
        "two_layers_exp_heavy",
        "committee_tanh",
        "hard_cubic",
    )


def from_uniforms(uniforms: np.ndarray, num_heavy: int) -> NodeSet:
    """Return nodes from uniforms (N, dimensions), the first coordinates from the heavier law with its weights."""
    coordinates = ndtri(uniforms.T)
    coordinates[:num_heavy] = heavy_quantile(uniforms.T[:num_heavy])
    return NodeSet(coordinates, heavy_weights(coordinates[:num_heavy]))


def monte_carlo(size: int, dimensions: int, num_heavy: int, seed: int) -> NodeSet:
    """Return independent nodes."""
    return from_uniforms(np.random.default_rng(seed).random((size, dimensions)), num_heavy)


def lattice(size: int, dimensions: int, num_heavy: int, seed: int) -> NodeSet:
    """Return a randomly shifted Korobov lattice, points {i (1, a, a², …)/N + Δ}."""
    random = np.random.default_rng(seed)
    generator = min(random.choice(np.arange(3, size, 2), NUM_CANDIDATES), key=lambda a: _p2(int(a), size, dimensions))
    points = _korobov(int(generator), size, dimensions) + random.random(dimensions)
    inside = np.clip(points % 1.0, 1e-12, 1 - 1e-12)
    return from_uniforms(inside, num_heavy)


def _korobov(generator: int, size: int, dimensions: int) -> np.ndarray:
    powers = np.array([pow(generator, j, size) for j in range(dimensions)])
    return (np.arange(size)[:, None] * powers % size) / size


def _p2(generator: int, size: int, dimensions: int) -> float:
    """Return P_2 = −1 + N⁻¹ Σ_i Π_j (1 + 2π² γ_j B_2(x_ij)), B_2(x) = x² − x + 1/6, γ_j = 1/j²."""
    points = _korobov(generator, size, dimensions)
    kernel = 2 * np.pi**2 * (points**2 - points + 1 / 6) / np.arange(1, dimensions + 1) ** 2
    return float(np.prod(1 + kernel, axis=1).mean() - 1)


def sobol(size: int, dimensions: int, num_heavy: int, seed: int) -> NodeSet:
    """Return the package's node set."""
    return draw_nodes(size, dimensions, num_heavy=num_heavy, seed=seed)


def antithetic(size: int, dimensions: int, num_heavy: int, seed: int) -> NodeSet:
    """Return N/2 Sobol nodes and their mirror images."""
    half = sobol(size // 2, dimensions, num_heavy, seed)
    coordinates = np.asarray(half.coordinates)
    return NodeSet(np.concatenate([coordinates, -coordinates], axis=1), np.tile(np.asarray(half.weights), 2) / 2)


def _reordered(size: int, dimensions: int, num_heavy: int, seed: int, *, teacher_last: bool) -> NodeSet:
    """Return tilted Sobol nodes with another assignment of Sobol dimensions to coordinates."""
    plain = sobol(size, dimensions, 0, seed)
    fixed = 0 if teacher_last else num_heavy
    order = [*range(fixed), *reversed(range(fixed, dimensions))]
    uniforms = ndtr(np.asarray(plain.coordinates)[order]).T
    uniforms[:, :num_heavy] = (np.floor(uniforms[:, :num_heavy] * size) + 0.5) / size
    return from_uniforms(uniforms, num_heavy)


SETS: dict[str, Draw] = {
    "sobol tilted": sobol,
    "sobol plain": lambda size, dimensions, heavy, seed: sobol(size, dimensions, 0, seed),
    "sobol, innovations reversed": lambda *sizes: _reordered(*sizes, teacher_last=False),
    "sobol, teacher last": lambda *sizes: _reordered(*sizes, teacher_last=True),
    "antithetic tilted": antithetic,
    "lattice tilted": lattice,
    "lattice plain": lambda size, dimensions, heavy, seed: lattice(size, dimensions, 0, seed),
    "monte carlo tilted": monte_carlo,
    "monte carlo plain": lambda size, dimensions, heavy, seed: monte_carlo(size, dimensions, 0, seed),
}


def compare(problem: Problem, settings: Settings) -> dict[str, Any]:
    """Return errors and times of every node set on one problem."""
    law, method, r = problem.law, problem.method, problem.law.num_teacher_units
    truth, scales = problem.truth, {}
    for name in ("train_error", "test_error"):
        scales[name] = np.maximum(truth.values[name], 1e-3 * truth.values[name][0])
    dimensions = Shape(problem.num_steps, method.num_units, r, law.num_outputs).sample_dimensions
    test_nodes = draw_nodes(2**15, Shape.of(law, method, 0).test_dimensions, num_heavy=r, seed=1)
    with double_precision():
        options = {"head": problem.head or None, "first_layer": problem.first_layer, "num_heads": 1}
        prepared = prepare(law, method, jax.random.key(0), **options)
        arguments = (prepared.law, prepared.method, prepared.heads[0], prepared.joint_second_moment)
        solve = jax.jit(lambda *all_of_it: state_evolution(*all_of_it, num_steps=problem.num_steps))
        jax.block_until_ready(solve(*arguments, SETS["sobol tilted"](settings.num_nodes, dimensions, r, 0), test_nodes))
        found, solving = {}, []
        for kind, draw in SETS.items():
            making, errors = [], {name: [] for name in scales}
            for seed in range(settings.first_seed, settings.first_seed + settings.num_seeds):
                started = time.perf_counter()
                nodes = draw(settings.num_nodes, dimensions, r, seed)
                making.append(time.perf_counter() - started)
                started = time.perf_counter()
                curves = to_numpy(solve(*arguments, nodes, test_nodes))
                solving.append(time.perf_counter() - started)
                for name, values in (("train_error", curves.records.train_error), ("test_error", curves.test_error)):
                    errors[name].append((values[truth.steps] - truth.values[name]) / scales[name])
            found[kind] = {name: _rms(values) for name, values in errors.items()} | {"seconds_to_make": min(making)}
    doubt = {name: _rms(truth.standard_error[name] / scales[name]) for name in scales}
    return {"sets": found, "seconds_to_solve": min(solving), "error_of_the_truth": doubt, "dimensions": dimensions}


def _rms(values: Any) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def main(settings: Settings) -> None:
    """Run the protocol, print a table, write the record."""
    numbers: dict[str, Any] = {}
    for name in settings.problems:
        numbers[name] = compare(NAMES[name], settings)
        print(f"{name}: truth {numbers[name]['error_of_the_truth']}, solve {numbers[name]['seconds_to_solve']:.2f} s")
        for kind, row in numbers[name]["sets"].items():
            print(
                f"  {kind:<28} {row['train_error']:.1e} {row['test_error']:.1e} {row['seconds_to_make']:.3f} s",
                flush=True,
            )
    best = {
        kind: {
            error: float(np.exp(np.mean([np.log(_ratio(numbers[name], kind, error)) for name in numbers])))
            for error in ("train_error", "test_error")
        }
        for kind in SETS
    }
    values = {"problems": numbers, "geometric_mean_of_error_over_that_of_sobol_tilted": best}
    leave("node_sets", __doc__, settings=settings, numbers=values, quiet=True)
    for kind, row in best.items():
        print(f"{kind:<28} {row['train_error']:6.2f} {row['test_error']:6.2f}")


def _ratio(problem: dict[str, Any], kind: str, error: str) -> float:
    return problem["sets"][kind][error] / problem["sets"]["sobol tilted"][error]


if __name__ == "__main__":
    main(tyro.cli(Settings))
