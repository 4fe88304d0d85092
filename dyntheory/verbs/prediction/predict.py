"""The verb `predict`: learning curves in the limit n, d → ∞, with their numerical error. Nothing is trained."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

from jax.sharding import Mesh

from dyntheory.dynamics.observables import check_record, means_of
from dyntheory.ground.arrays import Key, Progress, PyTree
from dyntheory.ground.checks import check_count, check_nonnegative, check_positive, check_scalar
from dyntheory.ground.devices import NETS, NodeSharding, node_groups
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.precision import double_precision
from dyntheory.ground.resources import Resources
from dyntheory.ground.status import DyntheoryWarning
from dyntheory.problem.laws.first_layer import FirstLayer
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.methods.linearity import feature_map_is_linear
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.problem.prepared import Given, check_problem, prepare
from dyntheory.problem.shape import Shape
from dyntheory.results.judgement import finish, relative_errors
from dyntheory.results.trajectory import Trajectory
from dyntheory.verbs.prediction.budget import Budget, first_num_nodes
from dyntheory.verbs.prediction.on_nodes import solve_on_nodes
from dyntheory.verbs.prediction.store import solution_store
from dyntheory.verbs.prediction.wanted import Wanted


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
    record: Mapping[str, Callable[..., PyTree]] | None = None,
    max_nodes: int = 2**18,
    max_memory: float | None = None,
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
        record: order parameters by name, reported with their errors in `.recorded`: functions (shared, h, y) of one
            training sample, h of shape (k,), whose mean is taken, or a
            `dyntheory.FeatureMean` where the feature side takes nodes. They need no more nodes to be right,
            but `rtol` does not look at them.
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
    check_arguments(predict, locals())
    num_steps, num_heads = check_problem(law, method, first_layer, num_steps, key, num_heads)
    if rtol is not None:
        check_scalar("rtol", rtol)
        check_positive("rtol", rtol)
    max_nodes = check_count("max_nodes", max_nodes)
    check_scalar("drop_below", drop_below)
    check_nonnegative("drop_below", drop_below)
    resources = Resources.checked(
        max_memory=max_memory, mesh=mesh, checkpoint=checkpoint, resume=resume, progress=progress
    )
    groups, means = node_groups(mesh), means_of(record)
    if checkpoint is not None and mesh is not None and NETS in mesh.axis_names:
        raise ValueError(f'`checkpoint` is for a mesh without the axis "{NETS}": leave one of them out.')
    with double_precision():
        problem = prepare(law, method, key, head=head, first_layer=first_layer, num_heads=num_heads)
        on_nodes = not feature_map_is_linear(problem.method, problem.heads[0])
        check_record(means, problem.law, problem.method, problem.heads[0], has_feature_rows=on_nodes)
        shape, drops = Shape.of(problem.law, problem.method, num_steps), drop_below > 0
        size = first_num_nodes(num_nodes, shape, drops=drops)
        given = Given(head, first_layer)
        wanted = Wanted(problem, key, num_steps, size, on_nodes, drop_below, means, keep_preactivations, given)
        wanted.check()
        result = _within(Budget.of(max_nodes, resources.max_memory, groups, num_heads), wanted, rtol, resources, groups)
    result = finish(result, rtol)
    if not result.status.ok:
        warnings.warn(str(result.status), DyntheoryWarning, stacklevel=2)
    return result


def _within(
    budget: Budget,
    wanted: Wanted,
    rtol: float | None,
    resources: Resources,
    groups: list[NodeSharding] | None,
) -> Trajectory:
    """Solve on more and more nodes until the accuracy asked for or the budget is reached."""
    budget.check(wanted)
    while True:
        with solution_store(resources, wanted) as store:
            result = solve_on_nodes(wanted, resources.report, store=store, groups=groups)
        larger = budget.next(wanted, float(relative_errors(result).max()), rtol)
        if larger is None:
            return result
        wanted = larger
