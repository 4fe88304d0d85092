"""The verb `sweep`: predictions on a grid, or at a list of points, as one labelled dataset."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dyntheory.dynamics.observables import means_of
from dyntheory.ground.arrays import Key, Progress, PyTree
from dyntheory.ground.checkpoint import checkpoint_folder
from dyntheory.ground.checks import check_count, check_key
from dyntheory.ground.identity.fingerprint import fingerprint
from dyntheory.ground.identity.versions import versions
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.precision import double_precision
from dyntheory.ground.resources import Resources
from dyntheory.problem.laws.first_layer import FirstLayer
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.problem.prepared import environment
from dyntheory.verbs.studies.sweep.axes import Axes, axes_of
from dyntheory.verbs.studies.sweep.dataset import to_dataset, with_warning
from dyntheory.verbs.studies.sweep.plan import Asked
from dyntheory.verbs.studies.sweep.points import Points, Question, needed_of
from dyntheory.verbs.studies.sweep.work import solve_all

if TYPE_CHECKING:
    import xarray


def sweep(
    law: TeacherStudent | Callable[..., TeacherStudent],
    method: GeneralFirstOrderMethod | Callable[..., GeneralFirstOrderMethod],
    *,
    over: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    key: Key,
    num_steps: int | None = None,
    head: PyTree = None,
    first_layer: FirstLayer | Callable[..., FirstLayer] | None = None,
    num_nodes: int | None = None,
    record: Mapping[str, Callable[..., PyTree]] | None = None,
    simulation: Mapping[str, Any] | None = None,
    theory: bool = True,
    max_memory: float | None = None,
    executor: Executor | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> xarray.Dataset:
    """Predict at every point of a grid or a list; the numbers are those of `predict` with the same key and nodes.

    A name in `over` is a field of the law ("samples_per_feature", "noise_std", "link"), a number of the method
    ("learning_rate", "momentum", "fraction"; "head.learning_rate" where the head has its own), "num_steps", or an
    argument of a function given as `law`, `method` or `first_layer`, which then makes it: widths, activations and
    optimizers are swept so. Points that differ in numbers alone share a program.

    Args:
        law: what the data are, or a function of swept names that makes it.
        method: what the algorithm is, or such a function.
        over: names with their values for a grid of all combinations, or a list of points, each with one value by name.
        key: `jax.random.key(seed)`; all points share the head and the node set that it decides.
        num_steps: T, unless it is swept; curves of shorter runs end with NaN.
        head: the initial head; default one draw from `key`.
        first_layer: moments of the initial first layer, a given draw, or a function of swept names.
        num_nodes: N, a power of two; default 2^14 or what the number of steps and units asks for.
        record: order parameters by name, see `predict`.
        simulation: keywords of `simulate` (num_features, num_runs, …): trains networks at every point.
        theory: False leaves the predictions away, for methods that have none.
        max_memory: bytes that may be used; default most of what is free.
        executor: works on pieces of the sweep: processes, a Dask client's `get_executor()`, MPI. Default threads, as
            many as there are cores. A piece whose worker dies is given to another one, three times.
        checkpoint: folder where finished pieces are kept; one process at a time.
        resume: go on from what the folder holds; to the same bits.
        progress: called with (fraction done, what is being done), time left included.

    Returns:
        A dataset with what was swept and `step` as dimensions: `train_loss`, `test_loss`, `train_error`, `test_error`,
        overlaps and order parameters, each with `…_standard_error` (numerical, one sigma); `status` of every point
        ("ok", "unresolved", "heavy_tail", "diverged"; values are NaN from where they stop being finite),
        `status_message`, `status_step` (−1 for none). Heads and magnifications are left to `predict`. Theory and
        simulation lie along `source`; then there are `verdict` ("agree", "disagree", "unresolved") of every point, by
        `compare`, and z-scores `train_error_z`, `test_error_z`.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: a name that nothing has, a value outside its range at any point, a method that cannot be predicted,
            too little memory, or a checkpoint of another sweep. Nothing has run then.

    Example:
        >>> import jax, optax, dyntheory as dt
        >>> method = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=0.3)
        >>> law, values = dt.TeacherStudent(2.0, noise_std=0.3), {"samples_per_feature": [1.0, 2.0, 4.0]}
        >>> found = dt.sweep(law, method, over=values, num_steps=3, num_nodes=2**10, key=jax.random.key(0))
        >>> dict(found.test_error.sizes)
        {'samples_per_feature': 3, 'step': 4}

    Reference: `han2025precise`.
    """
    check_arguments(sweep, locals())
    check_key(key)
    axes, means = axes_of(over), means_of(record)
    num_steps = None if num_steps is None else check_count("num_steps", num_steps, minimum=0)
    resources = Resources.checked(max_memory=max_memory, checkpoint=checkpoint, resume=resume, progress=progress)
    question = Question({"law": law, "method": method, "first_layer": first_layer}, head, num_steps)
    _check_question(question, axes)
    asked = Asked(axes, Points(question), key, num_nodes, record, means, simulation, theory)
    with double_precision():
        plan = asked.plan(resources.max_memory)
    with nullcontext() if resources.checkpoint is None else _folder(resources, axes, plan.pieces, key) as folder:
        answers = solve_all(plan.solve, plan.pieces, executor or plan.most_threads, folder, resources.report)
    provenance = {"kind": "sweep", **environment(key), "num_nodes": num_nodes, **asked.said_of_simulation()}
    return with_warning(to_dataset(axes, plan.by_source(answers), provenance))


def _folder(resources: Resources, axes: Axes, pieces: Sequence[Any], key: Key) -> Any:
    """Return the folder of this sweep and no other."""
    assert resources.checkpoint is not None
    with double_precision():
        identity = {
            "kind": "sweep",
            "over": {name: [str(label) for label in labels] for name, (_, labels) in axes.coordinates.items()},
            "pieces": fingerprint({piece.name: piece.definition for piece in pieces}),
            "key": fingerprint(key),
            **versions(),
        }
    return checkpoint_folder(resources.checkpoint, identity, resume=resources.resume)


def _check_question(question: Question, axes: Axes) -> None:
    for name, given in question.given.items():
        missing = [one for one in needed_of(given) if one not in axes.names]
        if missing:
            raise ValueError(
                f"The function given as `{name}` takes {', '.join(missing)}, and `over` has only "
                f"{', '.join(axes.names)}: sweep over it, or give it a default."
            )
    if question.num_steps is not None and "num_steps" in axes.names:
        raise ValueError("`num_steps` is given and swept over: leave one out.")
