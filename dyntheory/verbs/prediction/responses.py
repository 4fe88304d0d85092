"""The verb `responses`: two-time overlaps and responses of a predicted run, on request.

The run is that of `predict`, on its nodes; overlaps of weights and residuals are read off it, responses are derivatives
of the maps along its recorded preactivations (`two_time`). That u^t = h^t − Σ_s A_ts g^s then has the covariance of the
weights is no construction but a check of both, reported beside them.
"""

from __future__ import annotations

import dataclasses
import functools
import warnings
from typing import Annotated, Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.dynamics.differentiation import REMEDY, kinks
from dyntheory.dynamics.impulses import ImpulseResponse, after_the_samples, impulse_response
from dyntheory.dynamics.loop import Start, run
from dyntheory.dynamics.observables import rows_of, shared_value
from dyntheory.dynamics.response_form import check_smooth, check_stateless
from dyntheory.dynamics.two_time import (
    ResidualDerivatives,
    TwoTime,
    loadings,
    residual_derivatives,
    two_time_responses,
)
from dyntheory.gaussian.node_count import choose_num_nodes
from dyntheory.gaussian.nodes import NUM_BLOCKS, NodeSet, draw_nodes
from dyntheory.gaussian.sub_nets import standard_errors
from dyntheory.ground.arrays import Array, Key, OptionalArray, PyTree
from dyntheory.ground.checks import check_positive
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.precision import double_precision, to_numpy
from dyntheory.ground.randomness import seed
from dyntheory.ground.status import DyntheoryWarning
from dyntheory.ground.storage.marks import Axes
from dyntheory.ground.storage.saved import Saved
from dyntheory.matrix.limit import limit_matrix
from dyntheory.problem.laws.first_layer import FirstLayer
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.methods.linearity import feature_map_is_linear
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.problem.prepared import PreparedProblem, check_problem, prepare
from dyntheory.problem.shape import Shape
from dyntheory.results.trajectory import Steps, TeacherOverlap

TwoTimes: TypeAlias = Annotated[np.ndarray, Axes("step", "step", "unit", "unit")]
FIELDS = (
    "weight_covariance",
    "teacher_overlap",
    "residual_covariance",
    "weight_response",
    "residual_response",
    "teacher_response",
    "gaussian_covariance",
)


@dataclasses.dataclass(frozen=True)
class ResponseFunctions(Saved):
    """Two-time quantities of one run; axes step, step', unit, unit', and zero where an effect would precede its cause.

    h^t = u^t + Σ_{s<t} A_ts g^s and p^t = v^t + Σ_{s≤t} B_ts w^s + B_t⋆ w*, with u and v Gaussian.

    Args:
        steps: (T+1,) integers.
        weight_covariance: C_ts = E[w^t w^sᵀ], shape (T+1, T+1, k, k).
        teacher_overlap: E[w^t w*ᵀ], (T+1, k, r).
        residual_covariance: E[g^t g^sᵀ], (T+1, T+1, k, k); α times it is the covariance of v.
        weight_response: A_ts = E[∂w^t/∂v^s], (T+1, T+1, k, k), zero for s ≥ t.
        residual_response: B_ts = α E[dg^t/du^s], (T+1, T+1, k, k), zero for s > t.
        teacher_response: B_t⋆ = α E[dg^t/dz], (T+1, k, r).
        gaussian_covariance: covariance of h^t − Σ_s A_ts g^s on the nodes, (T+1, T+1, k, k): C_ts, up to its error.
        rho: ρ of the slides, A_ts = −(η/α) ρ_{t,s+1}, with ∂w^t/∂w⁰ in column 0; None unless plain gradient descent.
        tau: τ of the slides, τ_{t,s} = −(η/α) B_{t−1,s−1}, zero in row and column 0; None like `rho`.
        standard_error: the same structure: numerical error, one sigma.
    """

    steps: Steps
    weight_covariance: TwoTimes
    teacher_overlap: TeacherOverlap
    residual_covariance: TwoTimes
    weight_response: TwoTimes
    residual_response: TwoTimes
    teacher_response: TeacherOverlap
    gaussian_covariance: TwoTimes
    rho: Annotated[OptionalArray, Axes("step", "step", "unit", "unit")] = None
    tau: Annotated[OptionalArray, Axes("step", "step", "unit", "unit")] = None
    standard_error: ResponseFunctions | None = None


def responses(
    law: TeacherStudent,
    method: GeneralFirstOrderMethod,
    *,
    num_steps: int,
    key: Key,
    head: PyTree = None,
    first_layer: FirstLayer | None = None,
    num_nodes: int | None = None,
    max_operations: float = 1e12,
) -> ResponseFunctions:
    """Compute two-time overlaps, and responses as derivatives along the predicted run.

    The arguments are those of `predict`. Work is O(N T³ k³) and memory O(N T k²), which is checked before it is spent.

    Args:
        law: what the data are.
        method: what the algorithm is: gradient descent of smooth maps with a linear feature map.
        num_steps: T.
        key: decides the head and the nodes.
        head: the initial head; default one draw from `key`, as in `predict`.
        first_layer: moments of the initial first layer.
        num_nodes: N, a power of two; default 2^14 or what the number of steps and units asks for.
        max_operations: budget of multiplications, 2 N (T+1)³ k³; 10¹² take minutes on two cores.

    Returns:
        Overlaps and responses, with `standard_error` from the eight sub-nets.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: a number outside its range, work beyond the budget, a map with a kink (derivatives would miss it),
            or a method whose responses are not implemented.

    Example:
        >>> import jax, optax, dyntheory as dt
        >>> method = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=0.4)
        >>> found = dt.responses(dt.TeacherStudent(2.0), method, num_steps=1, key=jax.random.key(0))
        >>> round(float(found.weight_response[1, 0, 0, 0]), 6), round(float(found.residual_response[0, 0, 0, 0]), 6)
        (-0.2, 2.0)

    Reference: `han2025precise`, state evolution; `celentano2021high`.
    """
    check_arguments(responses, locals())
    num_steps, _ = check_problem(law, method, first_layer, num_steps, key, 1)
    check_smooth(law, method)
    unknown = kinks(law, method)[1]
    if unknown:
        text = f"Nobody said whether {' and '.join(unknown)} jumps somewhere; if it does, {REMEDY}"
        warnings.warn(text, DyntheoryWarning, stacklevel=2)
    num_nodes = _size(law, method, num_steps, num_nodes, max_operations)
    with double_precision():
        problem = prepare(law, method, key, head=head, first_layer=first_layer, num_heads=1)
        _check_method(problem)
        whole, blocks = (_solved(problem, key, num_steps, num_nodes, count) for count in (1, NUM_BLOCKS))
    named = (*FIELDS, "rho", "tau") if _is_plain(whole.pop("impulse")[0]) else FIELDS
    values: dict[str, Any] = {name: whole[name][0] for name in named}
    errors: dict[str, Any] = standard_errors(values, blocks)
    steps = np.arange(num_steps + 1)
    return ResponseFunctions(steps, **values, standard_error=ResponseFunctions(steps, **errors))


def _size(
    law: TeacherStudent, method: GeneralFirstOrderMethod, num_steps: int, num_nodes: int | None, max_operations: float
) -> int:
    """Return N; refuse node sets that do not fit the run, and work beyond the budget."""
    check_positive("max_operations", max_operations)
    num_nodes = choose_num_nodes(num_nodes, Shape.of(law, method, num_steps).columns)
    states, k = num_steps + 1, method.num_units
    operations, memory = 2 * num_nodes * (states * k) ** 3, 24 * num_nodes * states * k * k
    if operations > max_operations:
        raise ValueError(
            f"Responses of {num_steps} steps with {k} units on {num_nodes} nodes take about {operations:.1e} "
            f"multiplications and {memory / 1e9:.2g} GB, and `max_operations` is {max_operations:.1e}: lower "
            "`num_steps` or `num_nodes`, or raise the budget."
        )
    return num_nodes


def _check_method(problem: PreparedProblem) -> None:
    law, method, heads = problem[:3]
    if not law.has_additive_noise:
        raise ValueError(
            "Responses are implemented for labels y = φ(z) + σ ξ; this law has its noise inside or makes clouds."
        )
    if not feature_map_is_linear(method, heads[0]):
        raise ValueError(
            "Responses need a first-layer optimizer that is linear in gradients and weights (SGD, momentum, weight "
            f"decay, schedules); {method.description or method.name} is not."
        )
    shared = method.init_shared(heads[0], jnp.asarray(law.samples_per_feature), method.hyperparameters)
    check_stateless(method, shared)


def _is_plain(impulse: np.ndarray) -> bool:
    """Return whether every gradient moves the weights for good, by the same multiple of itself: plain descent."""
    states, _, k, _ = impulse.shape
    if states == 1:
        return False
    earlier = np.tril(np.ones((states, states)), -1)[:, :, None, None]
    return bool(impulse.any() and np.allclose(impulse, impulse[1, 0, 0, 0] * earlier * np.eye(k), rtol=1e-12, atol=0))


def _solved(problem: PreparedProblem, key: Key, num_steps: int, num_nodes: int, blocks: int) -> dict[str, np.ndarray]:
    """Return every field on that many sub-nets, as NumPy arrays with a leading axis of blocks."""
    law, method, heads, moment, _ = problem
    dimensions = Shape.of(law, method, num_steps).sample_dimensions
    nodes = draw_nodes(
        num_nodes, dimensions, num_heavy=law.num_teacher_units, seed=seed(key, "nodes"), num_blocks=blocks
    )
    return to_numpy(_solve(law, method, heads[0], moment, nodes, num_steps=num_steps))


@functools.partial(jax.jit, static_argnames=("num_steps",))
def _solve(
    law: TeacherStudent, method: GeneralFirstOrderMethod, head: PyTree, moment: Array, nodes: NodeSet, *, num_steps: int
) -> dict[str, Array]:
    return jax.lax.map(lambda block: _along(law, method, head, moment, block, num_steps), nodes)


def _along(
    law: TeacherStudent, method: GeneralFirstOrderMethod, head: PyTree, moment: Array, nodes: NodeSet, num_steps: int
) -> dict[str, Array]:
    """Run on fixed nodes, then differentiate the maps along the run."""
    alpha = jnp.asarray(law.samples_per_feature, float)
    given = limit_matrix(law, moment, nodes, num_steps=num_steps)
    start = Start(given.teacher_weights, given.weights, given.label_noise, head, alpha)
    wanted = (*rows_of("preactivations", "weights"), ("shared", shared_value))
    recorded = run(law, method, given.matrix, start, num_steps=num_steps, record=wanted).recorded
    h, weight_path, shared = (recorded[name] for name, _ in wanted)
    _, z = given.matrix.times(given.matrix.init(), given.teacher_weights)

    labels, weights = jax.vmap(law.label)(z, given.label_noise), nodes.as_arrays()[1]

    def derivatives(state: tuple[PyTree, Array]) -> tuple[ResidualDerivatives, PyTree]:
        shared, h = state
        stats = jax.vmap(lambda h, y: method.sample_map((), h, y, shared, jnp.zeros(0))[2])(h, labels)
        found = residual_derivatives(law, method, shared, h, z, given.label_noise)
        return found, after_the_samples(method, shared, stats, weights)

    found, seen = jax.lax.map(derivatives, (shared, h))
    first, seen = jax.tree.map(lambda leaf: leaf[0], shared), jax.tree.map(lambda leaf: leaf[:-1], seen)
    impulse = impulse_response(method, first, seen, num_steps)
    two_time = two_time_responses(found, impulse, weights, alpha)
    gaussian = h - jnp.einsum("tsab,snb->tna", two_time.weight, found.values)
    return {
        "weight_covariance": jnp.einsum("tda,sdb->tsab", weight_path, weight_path),
        "teacher_overlap": jnp.einsum("tda,dr->tar", weight_path, given.teacher_weights),
        "residual_covariance": _covariance(found.values, weights),
        "weight_response": two_time.weight,
        "residual_response": two_time.residual,
        "teacher_response": two_time.teacher,
        "gaussian_covariance": _covariance(gaussian, weights),
        "impulse": impulse.gradient,
        **_slides(two_time, impulse),
    }


def _covariance(rows: Array, weights: Array) -> Array:
    """Return the mean over nodes of row^t row^sᵀ, axes step, step', unit, unit'."""
    return jnp.einsum("n,tna,snb->tsab", weights, rows, rows)


def _slides(two_time: TwoTime, impulse: ImpulseResponse) -> dict[str, Array]:
    """Return ρ and τ of the slides, whose step t is our t − 1 where it counts residuals.

    A_ts = −(η/α) ρ_{t,s+1} and τ_{t,s} = −(η/α) B_{t−1,s−1}; they speak of plain gradient descent only.
    """
    scale = -impulse.gradient[-1, 0, 0, 0]
    start = loadings(two_time, impulse)[:, :, two_time.teacher.shape[-1] :]
    later = -two_time.weight[:, :-1] * jnp.where(scale == 0, 0.0, 1.0 / jnp.where(scale == 0, 1.0, scale))
    rho = jnp.concatenate([start[:, None], later], axis=1)
    return {"rho": rho, "tau": -scale * jnp.pad(two_time.residual[:-1, :-1], ((1, 0), (1, 0), (0, 0), (0, 0)))}
