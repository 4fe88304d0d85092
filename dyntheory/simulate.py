"""The verb `simulate`: train finite networks on drawn data and average the curves over runs."""

from __future__ import annotations

import functools
import warnings
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory._checks import check_count, check_name
from dyntheory._precision import double_precision, to_numpy
from dyntheory._typing import Array, ArrayLike, Key, Progress, PyTree
from dyntheory.ensemble import average_runs
from dyntheory.finite_run import RunCurves, Sizes, finite_run
from dyntheory.first_layer import FirstLayer
from dyntheory.gaussian.nodes import NodeSet, draw_nodes
from dyntheory.inputs import check_standardised, num_test_rows, resolve_inputs
from dyntheory.law import TeacherStudent
from dyntheory.matrix_choice import MATRICES, RunShape, choose_matrix
from dyntheory.method import GeneralFirstOrderMethod
from dyntheory.population import num_test_dimensions
from dyntheory.problem import PreparedProblem, check_problem, prepare, provenance
from dyntheory.randomness import seed, stream
from dyntheory.status import DyntheoryWarning
from dyntheory.trajectory import PREACTIVATION_BYTES, Trajectory

TEST_NODES = 2**14
ROUNDING_WORTH_SAYING = 0.01
BATCH_ENTRIES = 2**22


def simulate(
    law: TeacherStudent,
    method: GeneralFirstOrderMethod,
    *,
    num_steps: int,
    num_features: int,
    num_runs: int,
    key: Key,
    head: PyTree = None,
    first_layer: FirstLayer | None = None,
    matrix: str = "dense",
    inputs: str | ArrayLike = "gaussian",
    num_heads: int = 1,
    keep_preactivations: bool | None = None,
    progress: Progress | None = None,
) -> Trajectory:
    """Train finite networks and report means over runs.

    Every run draws its own inputs, labels, teacher and first layer; the head is the same (see `head`). n is
    round(α · num_features). With Gaussian inputs the test error is the population error of the trained weights, by
    quadrature with no test set; other inputs are tested on fresh rows of the same law.

    Args:
        law: what the data are.
        method: what the algorithm is; any row-wise optimizer.
        num_steps: T, zero or more.
        num_features: d.
        num_runs: R; standard errors need two or more (per head).
        key: `jax.random.key(seed)`.
        head: the initial head; default one draw from `key`, the same as in `predict`.
        first_layer: moments of the initial first layer, or a given draw (then d is the draw's).
        matrix: "dense" stores X; "revealed" has exactly the law of a Gaussian X at this n and d without storing it
            (Gaussian inputs only); "auto" takes the cheaper one, and `provenance["matrix"]` says which.
        inputs: "gaussian", "rademacher", "uniform", "student_t" (5 degrees of freedom), "sparse" (one entry in ten), or
            an array (N, d) whose rows are drawn without replacement.
        num_heads: average over that many draws of the head, the same number of runs for each.
        keep_preactivations: keep every row's preactivations; default while they are below 64 MB.
        progress: called with (fraction done, what is being done).

    Returns:
        Means over runs, `standard_error`, `.per_run`, `num_diverged`, `status`.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: a number outside its range.
    """
    check_problem(law, method, first_layer, num_steps, key, num_heads)
    num_runs = check_count("num_runs", num_runs)
    check_name("matrix", matrix, MATRICES)
    rows = resolve_inputs(inputs, check_count("num_features", num_features))
    sizes = _sizes(law, rows, num_features)
    _check_draw(first_layer, num_features)
    if num_runs % num_heads:
        raise ValueError(f"`num_runs` must be a multiple of `num_heads` = {num_heads}, got {num_runs}.")
    if sizes.num_test and method.noise_coefficients is None:
        raise ValueError(
            "`inputs` other than Gaussian need a loss whose label noise adds a known amount to the test error; give "
            "the method a `dyntheory.losses.Loss` with `noise_coefficients`, or inputs='gaussian'."
        )
    if not isinstance(rows, str) and (complaint := check_standardised(rows)):
        warnings.warn(complaint, DyntheoryWarning, stacklevel=2)
    shape = RunShape(sizes, num_steps, method.num_units, law.num_teacher_units)
    matrix = choose_matrix(matrix, inputs if isinstance(inputs, str) else "array", shape)
    kept = 8 * num_runs * (num_steps + 1) * sizes.num_samples * method.num_units <= PREACTIVATION_BYTES
    keep = kept if keep_preactivations is None else keep_preactivations
    report = progress or (lambda fraction, text: None)
    with double_precision():
        problem = prepare(law, method, key, head=head, first_layer=first_layer, num_heads=num_heads)
        data = None if isinstance(rows, str) else jnp.asarray(rows)
        name = rows if isinstance(rows, str) else "array"
        given = None if first_layer is None else first_layer.draw
        batch = _Batch(problem, key, data, name, given, shape, matrix, keep)
        solved = _run_all(batch, num_runs, report)
        details = {"num_steps": num_steps, "num_runs": num_runs, "num_heads": num_heads, "matrix": matrix}
        record = provenance(problem, key, "simulation", **details, **sizes._asdict(), inputs=name)
    result = average_runs(solved, problem.law.num_teacher_units, num_heads, record)
    if not result.status.ok:
        warnings.warn(str(result.status), DyntheoryWarning, stacklevel=2)
    return result


def _sizes(law: TeacherStudent, rows: str | np.ndarray, num_features: int) -> Sizes:
    num_samples = round(float(law.samples_per_feature) * num_features)
    if num_samples < 1:
        raise ValueError(
            f"`samples_per_feature` × `num_features` gives {num_samples} samples, at least one is needed: "
            "raise `num_features`."
        )
    realised = num_samples / num_features
    if abs(realised / float(law.samples_per_feature) - 1) > ROUNDING_WORTH_SAYING:
        warnings.warn(
            f"With num_features={num_features} the ratio n/d is {realised:.4g}, not samples_per_feature="
            f"{float(law.samples_per_feature):.4g}: raise `num_features`.",
            DyntheoryWarning,
            stacklevel=3,
        )
    return Sizes(num_samples, num_test_rows(rows, num_samples, num_features), num_features)


def _check_draw(first_layer: FirstLayer | None, num_features: int) -> None:
    rows = None if first_layer is None else first_layer.num_rows
    if rows is not None and rows != num_features:
        raise ValueError(
            f"`first_layer` is a draw with {rows} rows: pass num_features equal to that, got {num_features}."
        )


class _Batch(NamedTuple):
    """What all runs share."""

    problem: PreparedProblem
    key: Key
    rows: Array | None
    inputs: str
    given: tuple[Array, Array] | None
    shape: RunShape
    matrix: str
    keep: bool


def _run_all(shared: _Batch, num_runs: int, report: Progress) -> RunCurves:
    """Run in batches; run i has the same data whatever the batch size."""
    law, method, heads, moment = shared.problem
    test_nodes = draw_nodes(
        TEST_NODES,
        num_test_dimensions(law, method),
        num_heavy=law.num_teacher_units,
        seed=seed(shared.key, "test_nodes"),
    )
    per_head = num_runs // len(heads)
    size = _batch_size(shared.shape.entries(shared.matrix), per_head)
    run_keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(stream(shared.key, "runs"), jnp.arange(num_runs))
    results = []
    for first in range(0, num_runs, size):
        report(first / num_runs, f"run {first + 1} of {num_runs}")
        solved = _run_batch(
            law,
            method,
            heads[first // per_head],
            moment,
            shared.given,
            run_keys[first : first + size],
            shared.rows,
            test_nodes,
            inputs=shared.inputs,
            num_steps=shared.shape.num_steps,
            sizes=shared.shape.sizes,
            matrix=shared.matrix,
            keep=shared.keep,
        )
        results.append(to_numpy(solved))
    report(1.0, "done")
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *results)


def _batch_size(entries: int, num_runs: int) -> int:
    """Return the largest divisor of the number of runs whose arrays fit the batch budget."""
    fitting = max(1, BATCH_ENTRIES // entries)
    return max(size for size in range(1, num_runs + 1) if num_runs % size == 0 and size <= fitting)


@functools.partial(jax.jit, static_argnames=("inputs", "num_steps", "sizes", "matrix", "keep"))
def _run_batch(
    law: TeacherStudent,
    method: GeneralFirstOrderMethod,
    head: PyTree,
    moment: Array,
    given: tuple[Array, Array] | None,
    keys: Array,
    rows: Array | None,
    test_nodes: NodeSet,
    *,
    inputs: str,
    num_steps: int,
    sizes: Sizes,
    matrix: str,
    keep: bool,
) -> RunCurves:
    def run_one(run_key: Array) -> RunCurves:
        return finite_run(
            law,
            method,
            head,
            moment,
            run_key,
            test_nodes,
            inputs=inputs if rows is None else rows,
            given=given,
            num_steps=num_steps,
            sizes=sizes,
            matrix=matrix,
            keep_preactivations=keep,
        )

    return jax.vmap(run_one)(keys)
