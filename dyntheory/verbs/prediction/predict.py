"""The verb `predict`: learning curves in the limit n, d → ∞, with their numerical error. Nothing is trained."""

from __future__ import annotations

import math
import warnings
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple

import jax
from jax.sharding import Mesh

from dyntheory.gaussian.node_count import choose_num_nodes
from dyntheory.gaussian.nodes import NUM_BLOCKS
from dyntheory.ground.arrays import Key, Progress, PyTree
from dyntheory.ground.checks import check_count, check_nonnegative, check_positive, check_scalar
from dyntheory.ground.devices import NETS, NodeSharding, node_groups
from dyntheory.ground.fingerprint import fingerprint
from dyntheory.ground.memory import available_memory
from dyntheory.ground.precision import double_precision
from dyntheory.ground.schedule import Store
from dyntheory.ground.status import DyntheoryWarning
from dyntheory.ground.version import __version__
from dyntheory.problem.laws.first_layer import FirstLayer
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.methods.method import GeneralFirstOrderMethod, feature_map_is_linear
from dyntheory.problem.prepared import PreparedProblem, check_problem, prepare
from dyntheory.problem.shape import Shape
from dyntheory.results.outcome import finish, relative_errors
from dyntheory.results.trajectory import Trajectory
from dyntheory.verbs.prediction.cost import Cost, prediction_cost
from dyntheory.verbs.prediction.on_nodes import SUB_NET_DROPPING, solve_on_nodes
from dyntheory.verbs.prediction.store import solution_store

LEAST_NODES_PER_COLUMN = 2
CONVERGENCE_RATE = 0.6


def predict(
    law: TeacherStudent,
    method: GeneralFirstOrderMethod,
    *,
    num_steps: int,
    key: Key,
    head: PyTree = None,
    first_layer: FirstLayer | None = None,
    rtol: float | None = None,
    num_nodes: int | None = None,
    num_heads: int = 1,
    keep_preactivations: bool | None = None,
    max_nodes: int = 2**18,
    max_memory: int | None = None,
    drop_below: float = 0.0,
    mesh: Mesh | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> Trajectory:
    """Predict the learning curves of `method` on `law` without training.

    Computes in float64 whatever the global flag and returns NumPy arrays.

    Args:
        law: what the data are.
        method: what the algorithm is. Linear feature maps (SGD, momentum, Nesterov, weight decay, schedules) are
            exact on the feature side; all others (Adam, sign descent, clipping) take nodes there too.
        num_steps: T, zero or more; T + 1 states are reported.
        key: `jax.random.key(seed)`; decides the head and the node set.
        head: the initial head; default one draw from `key`, the same in `simulate`.
        first_layer: moments of the initial first layer, or a given draw; default independent standard entries.
        rtol: accuracy wanted for train and test error at every step, relative to the larger of the value and 1e-3 of
            its initial value; nodes are doubled until the reported error meets it or `max_nodes` is reached. More
            nodes do not mend what `drop_below` costs.
        num_nodes: N, a power of two; default 2^14 or what the number of steps and units asks for.
        num_heads: average the curves over that many draws of the head.
        keep_preactivations: keep samples of the limit law of preactivations; default while they are below 64 MB.
        max_nodes: budget for `rtol`.
        max_memory: bytes that may be used, over all devices of `mesh`; default most of what is free. A prediction that
            needs more is refused before it starts; `dt.prediction_cost` tells what it takes.
        drop_below: directions are dropped when the root mean square of what is new in them is below this (entries are
            O(1)); 1e-4 makes long runs several times cheaper. The sub-nets drop ten times larger ones, so the bars
            contain what dropping costs. Zero drops what rounding drops.
        mesh: devices, a `jax.sharding.Mesh`: along its axis "nodes" the nodes are cut, along "nets" the node set and
            its sub-nets (and several heads) are solved beside each other; either or both; default one device.
        checkpoint: folder for the state of a long run, saved every two minutes; one process at a time.
        resume: go on from what the folder holds; the same computation to the last bit.
        progress: called with (fraction done, what is being done).

    Returns:
        Curves with `standard_error` (numerical, one sigma), `status`, `assumptions`, `provenance`.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: a number outside its range, a method that this engine cannot predict, too little memory, or a
            checkpoint of another computation.

    Example:
        >>> import jax, optax, dyntheory as dt
        >>> method = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=0.3)
        >>> theory = dt.predict(dt.TeacherStudent(2.0, noise_std=0.3), method, num_steps=5, key=jax.random.key(0))
        >>> round(float(theory.test_error[0]), 6)
        2.09

    Reference: `han2025precise`.
    """
    check_problem(law, method, first_layer, num_steps, key, num_heads)
    if rtol is not None:
        check_scalar("rtol", rtol)
        check_positive("rtol", rtol)
    check_count("max_nodes", max_nodes)
    check_scalar("drop_below", drop_below)
    check_nonnegative("drop_below", drop_below)
    if resume and checkpoint is None:
        raise ValueError("`resume` needs `checkpoint`: the folder to go on from.")
    if checkpoint is not None and mesh is not None and NETS in mesh.axis_names:
        raise ValueError(f'`checkpoint` is for a mesh without the axis "{NETS}": leave one of them out.')
    report, groups = progress or (lambda fraction, text: None), node_groups(mesh)
    with double_precision():
        problem = prepare(law, method, key, head=head, first_layer=first_layer, num_heads=num_heads)
        on_nodes = not feature_map_is_linear(problem.method, problem.heads[0], num_steps=num_steps)
        dropping = drop_below > 0
        memory = available_memory() if max_memory is None else max_memory
        budget = _Budget(problem, num_steps, dropping, on_nodes, max_nodes, int(memory / _beside(groups, num_heads)))
        size = _first_size(problem, num_steps, num_nodes, dropping=dropping)
        budget.check(size)
        while True:
            with _store(
                checkpoint, problem, key, num_steps, size, drop_below, keep_preactivations, resume=resume
            ) as store:
                result = solve_on_nodes(
                    problem,
                    key,
                    num_steps,
                    size,
                    keep_preactivations,
                    report,
                    drop_below=drop_below,
                    has_feature_nodes=on_nodes,
                    store=store,
                    groups=groups,
                )
            larger = _next_size(size, float(relative_errors(result).max()), rtol, budget.largest())
            if larger is None:
                break
            size = larger
    result = finish(result, rtol)
    if not result.status.ok:
        warnings.warn(str(result.status), DyntheoryWarning, stacklevel=2)
    return result


class _Budget(NamedTuple):
    """What may be spent on a prediction."""

    problem: PreparedProblem
    num_steps: int
    is_dropping: bool
    has_feature_nodes: bool
    max_nodes: int
    max_memory: int

    def cost(self, num_nodes: int) -> Cost:
        """Return what a prediction on that many nodes takes."""
        law, method = self.problem.law, self.problem.method
        return prediction_cost(
            law,
            method,
            num_steps=self.num_steps,
            num_nodes=num_nodes,
            drops=self.is_dropping,
            has_feature_nodes=self.has_feature_nodes,
        )

    def check(self, num_nodes: int) -> None:
        """Refuse what does not fit."""
        needed = self.cost(num_nodes)
        if needed.memory > self.max_memory:
            raise ValueError(
                f"This prediction needs about {needed.memory / 1e9:.3g} GB ({num_nodes} nodes × {needed.num_columns} "
                f"directions) and {self.max_memory / 1e9:.3g} GB may be used: lower `num_nodes` or num_steps × "
                "num_units, spread the nodes over more devices with `mesh`, or raise `max_memory`."
            )

    def largest(self) -> int:
        """Return the largest number of nodes that `max_nodes` and the memory allow."""
        size = 2 ** math.floor(math.log2(self.max_nodes))
        while size > 1 and self.cost(size).memory > self.max_memory:
            size //= 2
        return size


def _beside(groups: list[NodeSharding] | None, num_heads: int) -> float:
    """Return how many solutions, in units of all nodes and one sub-net, are there at the same time."""
    count = 1 if groups is None else len(groups)
    return min(count, num_heads) + max(0, count - num_heads) / NUM_BLOCKS


def _store(
    folder: str | Path | None,
    problem: PreparedProblem,
    key: Key,
    num_steps: int,
    num_nodes: int,
    drop_below: float,
    keep_preactivations: bool | None,
    *,
    resume: bool,
) -> AbstractContextManager[Store | None]:
    """Return the checkpoint of one computation; every number of nodes has a folder of its own."""
    if folder is None:
        return nullcontext()
    identity = {
        "problem": fingerprint(tuple(problem)),
        "key": fingerprint(key),
        "num_steps": num_steps,
        "num_nodes": num_nodes,
        "drop_below": drop_below,
        "sub_nets_drop": SUB_NET_DROPPING * drop_below,
        "keep_preactivations": keep_preactivations,
        "dyntheory": __version__,
        "jax": jax.__version__,
        "dtype": "float64",
    }
    return solution_store(Path(folder) / f"nodes_{num_nodes}", identity, resume=resume)


def _first_size(problem: PreparedProblem, num_steps: int, num_nodes: int | None, *, dropping: bool) -> int:
    columns = Shape.of(problem.law, problem.method, num_steps).columns
    return choose_num_nodes(num_nodes, columns, least_per_column=0 if dropping else LEAST_NODES_PER_COLUMN)


def _next_size(size: int, reached: float, rtol: float | None, max_nodes: int) -> int | None:
    """Return the next number of nodes, or None when the accuracy or the budget is reached."""
    if rtol is None or reached <= rtol or 2 * size > max_nodes or not math.isfinite(reached):
        return None
    doublings = max(1, math.ceil(math.log2(reached / rtol) / CONVERGENCE_RATE))
    return min(max_nodes, size * 2**doublings)
