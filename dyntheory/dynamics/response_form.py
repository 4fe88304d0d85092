"""The limit by the two-time form: a second pure core, for smooth maps, that checks the first.

It shares with `state_evolution` the maps, the node set and the test metrics, and nothing of what they check: no matrix
is revealed. Preactivations are built from a Gaussian u^t whose covariance follows from the responses, and from the
responses themselves; those are derivatives of the maps. Cost O(N T³ k³) against O(N T² k²).

Reference: `han2025precise`, state evolution.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from dyntheory.dynamics.curves import Curves
from dyntheory.dynamics.differentiation import REMEDY, kinks
from dyntheory.dynamics.generalization import matched_coordinates, population_metrics
from dyntheory.dynamics.impulses import ImpulseRows, after_the_samples, begin_impulses, next_impulses
from dyntheory.dynamics.loop import Records
from dyntheory.dynamics.two_time import (
    ResidualDerivatives,
    TwoTime,
    initial_loadings,
    next_loading,
    next_weight_response,
    residual_derivatives,
    residual_response,
    weight_covariance,
)
from dyntheory.gaussian.nodes import NodeSet
from dyntheory.ground.arrays import Array, PyTree
from dyntheory.ground.linear_algebra import rank_aware_cholesky
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.problem.shape import Shape


class ResponseForm(NamedTuple):
    """Curves, and the responses behind them."""

    curves: Curves
    responses: TwoTime
    weight_covariance: Float[Array, "states states units units"]
    residual_covariance: Float[Array, "states states units units"]


class _Given(NamedTuple):
    """What stays the same from state to state."""

    law: TeacherStudent
    method: GeneralFirstOrderMethod
    moment: Array
    innovations: Array
    label_noise: Array
    row_weights: Array


class _Carry(NamedTuple):
    shared: PyTree
    impulses: ImpulseRows
    found: ResidualDerivatives
    responses: TwoTime
    loadings: Array
    residual_covariance: Array


class _State(NamedTuple):
    """What is recorded at one state."""

    train_loss: Array
    train_error: Array
    gram: Array
    head: PyTree


def response_form(
    law: TeacherStudent,
    method: GeneralFirstOrderMethod,
    head: PyTree,
    joint_second_moment: Float[Array, "m m"],
    nodes: NodeSet,
    test_nodes: NodeSet,
    *,
    num_steps: int,
    memory: bool = True,
) -> ResponseForm:
    """Return the limit of training on fixed nodes, as `state_evolution` does, through responses.

    Args:
        law: the data.
        method: a method with a linear feature map, without kinks and without states of its sample rows.
        head: the initial head.
        joint_second_moment: E[(w*, w⁰)(w*, w⁰)ᵀ].
        nodes: `Shape.sample_dimensions` coordinates (`dyntheory.problem.shape`).
        test_nodes: `Shape.test_dimensions` coordinates.
        num_steps: T, static.
        memory: False drops Σ A_ts g^s from h^t: wrong, for negative controls.

    Raises:
        ValueError: a map with a kink, or a sample map that keeps states or asks for uniforms.
    """
    check_smooth(law, method)
    r, wanted = law.num_teacher_units, Shape.of(law, method, num_steps).sample_dimensions
    coordinates, row_weights = matched_coordinates(nodes).T, nodes.as_arrays()[1]
    if coordinates.shape[0] != wanted:
        raise ValueError(f"The node set must have {wanted} coordinates for this run, got {coordinates.shape[0]}.")
    alpha = jnp.asarray(law.samples_per_feature, coordinates.dtype)
    shared = method.init_shared(head, alpha, method.hyperparameters)
    check_stateless(method, shared)
    innovations = jnp.concatenate([coordinates[:r], coordinates[r + law.num_outputs :]])
    noise = coordinates[r : r + law.num_outputs].T
    given = _Given(law, method, joint_second_moment, innovations, noise, row_weights)

    def step(carry: _Carry, t: Array) -> tuple[_Carry, _State]:
        return _state(given, carry, t, alpha, memory)

    carry, states = jax.lax.scan(step, _begin(given, shared, num_steps), jnp.arange(num_steps + 1))
    records = Records(*states, labels=jnp.zeros(()), recorded={})
    test = population_metrics(law, method, states.gram, states.head, test_nodes)
    overlaps = _covariance(given, carry, alpha)
    return ResponseForm(Curves(records, *test), carry.responses, overlaps, carry.residual_covariance)


def check_smooth(law: TeacherStudent, method: GeneralFirstOrderMethod) -> None:
    """Refuse maps that are known to have a kink: their derivatives miss a mass there.

    Raises:
        ValueError: see above, or features that are correlated.
    """
    if law.features is not None:
        raise ValueError(
            "Responses are implemented for independent features, and this law has `features`: take `predict` or "
            "`state_evolution`, which know them."
        )
    known, _ = kinks(law, method)
    if known:
        raise ValueError(
            f"Responses are derivatives of the maps, and {' and '.join(known)} jumps: they would miss its mass and be "
            f"wrong in silence, as with every derivative: {REMEDY}"
        )


def check_stateless(method: GeneralFirstOrderMethod, shared: PyTree) -> None:
    """Refuse a sample map that depends on more than the present preactivation.

    Raises:
        ValueError: see above.
    """
    label = jnp.zeros(())
    if method.sample_noise or jax.tree.leaves(jax.eval_shape(method.init_sample, label, shared)):
        raise ValueError(
            f"Responses are implemented for sample maps that depend on the present preactivation alone; "
            f"{method.description or method.name} keeps states of its samples or draws uniforms for them."
        )


def _begin(given: _Given, shared: PyTree, num_steps: int) -> _Carry:
    rows, states = given.row_weights.shape[0], num_steps + 1
    k, r = given.method.num_units, given.law.num_teacher_units
    pair = jnp.zeros((states, states, k, k))
    shapes = ((rows, k), (rows, k, k), (rows, k, r))
    impulses = begin_impulses(given.method, shared, num_steps)
    return _Carry(
        shared=shared,
        impulses=impulses,
        found=ResidualDerivatives(*(jnp.zeros((states, *shape)) for shape in shapes)),
        responses=TwoTime(pair, pair, jnp.zeros((states, k, r))),
        loadings=initial_loadings(impulses.answers, r),
        residual_covariance=pair,
    )


def _covariance(given: _Given, carry: _Carry, alpha: Array) -> Float[Array, "states states units units"]:
    return weight_covariance(carry.loadings, carry.responses.weight, given.moment, carry.residual_covariance, alpha)


def _gram(given: _Given, carry: _Carry, alpha: Array) -> Float[Array, "all all"]:
    """Return the Gram matrix of (w*, w⁰, …, w^T), zero where nothing is known yet."""
    states, k = carry.loadings.shape[:2]
    r = given.law.num_teacher_units
    overlap = jnp.einsum("tai,ir->tar", carry.loadings, given.moment[:, :r]).reshape(states * k, r)
    square = _covariance(given, carry, alpha).transpose(0, 2, 1, 3).reshape(states * k, states * k)
    return jnp.block([[given.moment[:r, :r], overlap.T], [overlap, square]])


def _state(given: _Given, carry: _Carry, t: Int[Array, ""], alpha: Array, memory: bool) -> tuple[_Carry, _State]:
    """Build h^t, record, take the residuals with their derivatives, and fill in what the next state needs."""
    law, method, weights = given.law, given.method, given.row_weights
    r, k = law.num_teacher_units, method.num_units
    gram = _gram(given, carry, alpha)
    factor = rank_aware_cholesky(gram)
    z = (factor[:r] @ given.innovations).T
    u = (jax.lax.dynamic_slice_in_dim(factor, r + t * k, k) @ given.innovations).T
    h = u + memory * jnp.einsum("sab,snb->na", carry.responses.weight[t], carry.found.values)
    labels = jax.vmap(law.label)(z, given.label_noise)
    recorded = _record(given, carry, h, labels, gram, t)
    now = residual_derivatives(law, method, carry.shared, h, z, given.label_noise)
    found = jax.tree.map(lambda old, new: old.at[t].set(new), carry.found, now)
    responses = carry.responses
    row, star = residual_response(t, responses.weight * memory, found, weights, alpha)
    responses = responses._replace(
        residual=responses.residual.at[t].set(row), teacher=responses.teacher.at[t].set(star)
    )
    past = jnp.einsum("n,na,snb->sab", weights, now.values, found.values)
    covariance = carry.residual_covariance.at[t].set(past).at[:, t].set(past.transpose(0, 2, 1))
    stats = jax.vmap(lambda h, y: method.sample_map((), h, y, carry.shared, jnp.zeros(0))[2])(h, labels)
    seen = after_the_samples(method, carry.shared, stats, weights)
    impulses = next_impulses(method, carry.impulses, t, seen)
    loadings = next_loading(t, carry.loadings, responses, impulses.answers)
    response = next_weight_response(t, responses.weight, responses.residual, impulses.answers)
    shared = method.after_features(seen, ())
    responses = responses._replace(weight=response)
    return _Carry(shared, impulses, found, responses, loadings, covariance), recorded


def _record(given: _Given, carry: _Carry, h: Array, labels: Array, gram: Array, t: Int[Array, ""]) -> _State:
    method, r, k = given.method, given.law.num_teacher_units, given.method.num_units
    head = method.head_of(carry.shared)

    def metrics(row: Array, label: Array) -> tuple[Array, Array]:
        prediction = method.output(head, row)
        return method.loss(prediction, label), method.error(prediction, label)

    loss, error = jax.vmap(metrics)(h, labels)
    places = jnp.concatenate([jnp.arange(r), r + t * k + jnp.arange(k)])
    return _State(given.row_weights @ loss, given.row_weights @ error, gram[places][:, places], head)
