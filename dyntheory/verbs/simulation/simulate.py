"""The verb `simulate`: train finite networks on drawn data and average the curves over runs."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from dyntheory.dynamics.observables import check_record, means_of, num_recorded
from dyntheory.gaussian.nodes import draw_nodes
from dyntheory.ground.arrays import Array, ArrayLike, Key, Progress, PyTree
from dyntheory.ground.checkpoint import CheckpointFolder, checkpoint_folder
from dyntheory.ground.checks import check_count, check_positive, check_scalar
from dyntheory.ground.devices import run_mesh
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.names import check_name
from dyntheory.ground.precision import double_precision
from dyntheory.ground.randomness import seed, stream
from dyntheory.ground.resources import Resources
from dyntheory.ground.status import DyntheoryWarning, quiet
from dyntheory.problem.laws.first_layer import FirstLayer
from dyntheory.problem.laws.inputs import check_standardised, name_of_inputs, num_test_rows, resolve_inputs
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.problem.prepared import Given, PreparedProblem, check_problem, prepare, provenance
from dyntheory.problem.shape import Shape, Sizes
from dyntheory.results.judgement import with_record
from dyntheory.results.trajectory import CURVES, PREACTIVATION_BYTES, Trajectory
from dyntheory.verbs.simulation.batch import CommonArrays, Program
from dyntheory.verbs.simulation.ensemble import Kept
from dyntheory.verbs.simulation.matrix_choice import DTYPES, MATRICES, MatrixChoice, RunShape, choose_matrix
from dyntheory.verbs.simulation.rounds import Simulation, Target, run_ensemble

ROUNDING_WORTH_SAYING = 0.01
SPECTRUM_WORTH_SAYING = 0.05


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
    dtype: str = "float64",
    inputs: str | ArrayLike | Callable[[Key, tuple[int, int]], Array] = "gaussian",
    num_heads: int = 1,
    rtol: float | None = None,
    max_runs: int = 10_000,
    num_test_nodes: int = 2**14,
    keep_runs: bool | None = None,
    keep_preactivations: bool | None = None,
    record: Mapping[str, Callable[..., PyTree]] | None = None,
    max_memory: float | None = None,
    mesh: Mesh | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
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
        num_runs: R; standard errors need two or more (per head). With `rtol` the number to begin with.
        key: `jax.random.key(seed)`; runs at other n or d are independent of these.
        head: the initial head; default one draw from `key`, the same as in `predict`.
        first_layer: moments of the initial first layer, or a given draw (then d is the draw's).
        matrix: "dense" stores X; "revealed" has exactly the law of a Gaussian X at this n and d without storing it
            (Gaussian inputs only); "auto" takes the cheaper one that fits, and `provenance["matrix"]` says which.
        dtype: "float32" stores a dense X in half the memory and multiplies by it in single precision; the rest of the
            run stays in float64.
        inputs: "gaussian", "rademacher", "uniform", "student_t" (5 degrees of freedom), "sparse" (one entry in ten), a
            function (key, shape) -> rows such as `StudentT(3.0)` of `dyntheory.problem.laws.inputs`, or an array (N, d)
            whose rows are drawn without replacement.
        num_heads: average over that many draws of the head; run i has draw i mod `num_heads`.
        rtol: standard error wanted for train and test error at every step, relative to the larger of the value and 1e-3
            of its initial value; runs are added until it is reached.
        max_runs: budget for `rtol`.
        num_test_nodes: a power of two, nodes of the population test error, the same in every run: 2^14 is off by about
            5e-5, 2^11 by 1e-3 to 3e-3 (measured). Below d = 100 they take most of the time.
        keep_runs: keep the curves of every run as `.per_run`; default while they are below 64 MB.
        keep_preactivations: keep every row's preactivations; default while they are below 64 MB and `rtol` is None.
        record: order parameters by name, reported with their errors in `.recorded`: functions (shared, h, y) of one
            training sample, h of shape (k,), whose mean is taken, or a
            `dyntheory.FeatureMean`.
        max_memory: bytes that one run may take; default most of what is free. More is refused before anything is drawn.
        mesh: devices to spread runs over, a `jax.sharding.Mesh` with an axis "runs"; default one device.
        checkpoint: folder for the state of a long ensemble, saved every two minutes; one process at a time.
        resume: go on from what the folder holds; no run is lost or repeated, to the last bit.
        progress: called with (fraction done, what is being done).

    Returns:
        Means over runs, `standard_error`, `.covariance` of the curves between steps, `.per_run`, `num_diverged`,
        `status`. Runs that diverged are left out of the means; `provenance["diverged_runs"]` lists run and step.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: a number outside its range, a run that does not fit the memory, a checkpoint of another computation.
    """
    num_steps, num_heads, num_test_nodes, sizes, target, rows, resources = checked_request(locals())
    name, static, means = name_of_inputs(rows), None if isinstance(rows, np.ndarray) else rows, means_of(record)
    with double_precision():
        problem = prepare(law, method, key, head=head, first_layer=first_layer, num_heads=num_heads)
        check_record(means, problem.law, problem.method, problem.heads[0])
        recorded = num_recorded(means, problem.law, problem.method, problem.heads[0])
        kept = _kept(problem, num_steps, sizes, target, keep_runs, keep_preactivations, recorded)
        units = method.num_units, law.num_teacher_units
        shape = RunShape(sizes, num_steps, *units, num_test_nodes, kept.rows, recorded)
        matrix = choose_matrix(MatrixChoice(matrix, name, dtype, resources.max_memory), shape)
        stored = dtype if matrix == "dense" else "float64"
        program = Program(static, shape, matrix, stored, num_heads, means, run_mesh(mesh))
        dimensions, heavy = Shape.of(law, method, 0).test_dimensions, law.num_teacher_units
        test_nodes = draw_nodes(num_test_nodes, dimensions, num_heavy=heavy, seed=seed(key, "test_nodes"))
        data = None if static is not None else jnp.asarray(rows)
        common = CommonArrays(problem, _key_of_runs(key, sizes), data, problem.draw, test_nodes)
        details = {"num_steps": num_steps, "num_heads": num_heads, "matrix": matrix, "inputs": name}
        origin = provenance(problem, key, "simulation", **details, **sizes._asdict()) | {"dtype": program.dtype}
        simulation = Simulation(common, program, target, kept, origin, key, Given(head, first_layer))
        with _folder(resources, simulation.identity) as folder:
            result = with_record(run_ensemble(simulation, report=resources.report, folder=folder))
    if not result.status.ok:
        warnings.warn(str(result.status), DyntheoryWarning, stacklevel=2)
    return result


class Request(NamedTuple):
    """What `simulate` was asked for, checked."""

    num_steps: int
    num_heads: int
    num_test_nodes: int
    sizes: Sizes
    target: Target
    rows: Any
    resources: Resources


def checked_request(given: Mapping[str, Any]) -> Request:
    """Check the arguments of `simulate`, all of them by name, before anything is drawn.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: a number outside its range, arguments that contradict each other.
    """
    check_arguments(simulate, given)
    law, method, first_layer = given["law"], given["method"], given["first_layer"]
    num_steps, num_heads = check_problem(law, method, first_layer, given["num_steps"], given["key"], given["num_heads"])
    num_features = check_count("num_features", given["num_features"])
    num_test_nodes = check_count("num_test_nodes", given["num_test_nodes"], minimum=2)
    target = _target(given["num_runs"], given["rtol"], given["max_runs"], num_heads)
    check_name("matrix", given["matrix"], MATRICES)
    check_name("dtype", given["dtype"], DTYPES)
    rows = resolve_inputs(given["inputs"], num_features)
    sizes = _sizes(law, rows, num_features)
    _check_draw(first_layer, num_features)
    _check_test(method, rows, sizes, num_test_nodes)
    if given["keep_preactivations"] and num_heads > 1:
        raise ValueError("`keep_preactivations` needs a single head: leave out `num_heads`, or do not keep them.")
    means_of(given["record"])
    used = ("max_memory", "mesh", "checkpoint", "resume", "progress")
    resources = Resources.checked(**{name: given[name] for name in used})
    return Request(num_steps, num_heads, num_test_nodes, sizes, target, rows, resources)


def check_simulation(*arguments: Any, **given: Any) -> None:
    """Refuse what `simulate` would refuse, and draw nothing; what it would warn of it will say itself.

    Raises:
        TypeError: an argument that `simulate` does not have, or one of the wrong kind.
        ValueError: see `checked_request`.
    """
    bound = inspect.signature(simulate).bind(*arguments, **given)
    bound.apply_defaults()
    with quiet():
        checked_request(bound.arguments)


def _folder(
    resources: Resources, identity: Callable[[], dict[str, Any]]
) -> AbstractContextManager[CheckpointFolder | None]:
    path = resources.checkpoint
    return nullcontext() if path is None else checkpoint_folder(path, identity(), resume=resources.resume)


def _key_of_runs(key: Key, sizes: Sizes) -> Key:
    """Return a key of its own for every n and d: runs of two sizes share no numbers."""
    return jax.random.fold_in(jax.random.fold_in(stream(key, "runs"), sizes.num_features), sizes.num_samples)


def _target(num_runs: int, rtol: float | None, max_runs: int, num_heads: int) -> Target:
    num_runs, max_runs = check_count("num_runs", num_runs), check_count("max_runs", max_runs)
    if num_runs % num_heads:
        raise ValueError(f"`num_runs` must be a multiple of `num_heads` = {num_heads}, got {num_runs}.")
    if rtol is None:
        return Target(num_runs, None, num_runs)
    check_scalar("rtol", rtol)
    check_positive("rtol", rtol)
    if num_runs < 2 * num_heads or num_runs > max_runs:
        raise ValueError(
            f"With `rtol`, `num_runs` is the number to begin with: at least two for every head and at most `max_runs` "
            f"= {max_runs}, got {num_runs}."
        )
    return Target(num_runs, float(rtol), max_runs // num_heads * num_heads)


def _kept(
    problem: PreparedProblem,
    num_steps: int,
    sizes: Sizes,
    target: Target,
    keep_runs: bool | None,
    keep_preactivations: bool | None,
    recorded: int,
) -> Kept:
    """Return what is kept: single runs, preactivations and covariances while they are small."""
    k, states, runs = problem.method.num_units, num_steps + 1, target.max_runs
    in_head = sum(leaf.size for leaf in jax.tree.leaves(problem.heads[0]))
    numbers = len(CURVES) + k * (k + problem.law.num_teacher_units) + in_head + recorded
    small_runs = 8 * runs * states * numbers <= PREACTIVATION_BYTES
    small_rows = 8 * runs * states * sizes.num_samples * k <= PREACTIVATION_BYTES
    rows = small_rows and target.rtol is None if keep_preactivations is None else keep_preactivations
    covariance = 8 * len(CURVES) * states**2 <= PREACTIVATION_BYTES
    return Kept(small_runs if keep_runs is None else keep_runs, rows and len(problem.heads) == 1, covariance)


def _check_test(method: GeneralFirstOrderMethod, rows: Any, sizes: Sizes, num_test_nodes: int) -> None:
    """Refuse what cannot be tested, and say when rows are not standardised."""
    if num_test_nodes & (num_test_nodes - 1):
        raise ValueError(f"`num_test_nodes` must be a power of two, got {num_test_nodes}.")
    if sizes.num_test and method.noise_coefficients is None:
        raise ValueError(
            "`inputs` other than Gaussian need a loss whose label noise adds a known amount to the test error; give "
            "the method a `dyntheory.problem.networks.losses.Loss` with `noise_coefficients`, or inputs='gaussian'."
        )
    if isinstance(rows, np.ndarray) and (complaint := check_standardised(rows)):
        warnings.warn(complaint, DyntheoryWarning, stacklevel=4)


def _sizes(law: TeacherStudent, rows: Any, num_features: int) -> Sizes:
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
            stacklevel=4,
        )
    _say_what_features_miss(law, num_features)
    return Sizes(num_samples, num_test_rows(rows, num_samples, num_features), num_features)


def _say_what_features_miss(law: TeacherStudent, num_features: int) -> None:
    """Warn where d features cannot have the spectrum: its strongest modes are fewer than one of them."""
    if law.features is None:
        return
    with double_precision():
        realised = np.asarray(law.features.realised(num_features))
        wanted = np.asarray([law.features.mean, law.features.teacher_power])
    if np.any(np.abs(realised - wanted) > SPECTRUM_WORTH_SAYING * wanted):
        warnings.warn(
            f"With num_features={num_features} the features have E λ = {realised[0]:.3g} and E[λ a] = "
            f"{realised[1]:.3g}, in the law they are {wanted[0]:.3g} and {wanted[1]:.3g}: take a multiple of the "
            f"{law.features.num_modes} modes, or a spectrum with fewer.",
            DyntheoryWarning,
            stacklevel=4,
        )


def _check_draw(first_layer: FirstLayer | None, num_features: int) -> None:
    rows = None if first_layer is None else first_layer.num_rows
    if rows is not None and rows != num_features:
        raise ValueError(
            f"`first_layer` is a draw with {rows} rows: pass num_features equal to that, got {num_features}."
        )
