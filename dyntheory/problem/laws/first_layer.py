"""Where the first layer starts: second moments of its rows, jointly with the teacher's, or a given draw."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.checks import check_finite, check_second_moment, is_concrete
from dyntheory.ground.derivatives import DIFFERENCES, warning
from dyntheory.ground.kinds import check_fields
from dyntheory.ground.linear_algebra import rank_aware_cholesky, safe_inverse
from dyntheory.ground.pytrees import register_data
from dyntheory.problem.laws.prior_moments import is_heavy
from dyntheory.problem.laws.priors import GaussianMixture, Prior, standard_uniforms
from dyntheory.problem.laws.strata import NODES_OF_ITS_OWN, sorted_in_blocks, stratified_places

QUANTILES_OF_NO_ONE = (
    "Nobody said whether the quantiles of this {} jump where its numbers move; if they do, a derivative along fixed "
    f"nodes misses that and would be wrong in silence. {DIFFERENCES}"
)


@register_data
@dataclasses.dataclass(frozen=True)
class FirstLayer:
    """Second moments of the initial first-layer rows w (k,), jointly with the teacher rows w* (r,).

    Args:
        second_moment: E[w wᵀ] in full (not the part beyond the teacher), shape (k, k); default identity.
        teacher_overlap: E[w w*ᵀ], shape (k, r); default zero.
        weights: a given draw W⁰ (d, k) to condition on, with `teacher_weights`; its Gram matrix then replaces all
            moments, the law's teacher moment included. `FirstLayer.from_weights` sets both.
        teacher_weights: the teacher W* (d, r) of that draw.

    Where w* determines w⁰ = C w*, let `second_moment` = C T Cᵀ follow what moves T when you differentiate: the standard
    deviation of a new direction has no derivative at zero, and counts as not moving.

    Raises:
        ValueError: half a draw, shapes that do not match, entries that are not finite.
    """

    second_moment: ArrayLike | None = None
    teacher_overlap: ArrayLike | None = None
    weights: ArrayLike | None = None
    teacher_weights: ArrayLike | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("second_moment", "teacher_overlap"):
            value = getattr(self, name)
            if value is None or not is_concrete(value):
                continue
            check_finite(name, value)
            if np.ndim(value) != 2:
                raise ValueError(f"`{name}` must have shape (k, columns), got {np.shape(value)}.")
            if isinstance(value, list | tuple):
                object.__setattr__(self, name, np.asarray(value, dtype=float))
        if (self.weights is None) != (self.teacher_weights is None):
            raise ValueError(
                "`weights` and `teacher_weights` belong together: pass both, FirstLayer.from_weights(W, W_teacher)."
            )
        if is_concrete(self.weights) and is_concrete(self.teacher_weights):
            self._check_draw()

    @classmethod
    def from_weights(cls, weights: ArrayLike, teacher_weights: ArrayLike) -> FirstLayer:
        """Condition on a given draw: the realised Gram matrix of [W*, W⁰] replaces its expectation.

        Predicts *that* run: most of the run-to-run spread disappears.

        Args:
            weights: W⁰, shape (d, k).
            teacher_weights: W*, shape (d, r).

        Raises:
            ValueError: shapes that do not match or entries that are not finite.
        """
        return cls(weights=weights, teacher_weights=teacher_weights)

    def _check_draw(self) -> None:
        """Check the draw and make its Gram matrix the second moments."""
        drawn, teacher = (np.asarray(a, dtype=float) for a in (self.weights, self.teacher_weights))
        for name, array in (("weights", drawn), ("teacher_weights", teacher)):
            if array.ndim != 2:
                raise ValueError(f"`{name}` must have shape (d, columns), got {array.shape}.")
            if not np.all(np.isfinite(array)):
                raise ValueError(f"`{name}` must be finite.")
        if drawn.shape[0] != teacher.shape[0]:
            raise ValueError(
                f"`weights` and `teacher_weights` must have the same number of rows d, "
                f"got {drawn.shape[0]} and {teacher.shape[0]}."
            )
        object.__setattr__(self, "second_moment", drawn.T @ drawn / len(drawn))
        object.__setattr__(self, "teacher_overlap", drawn.T @ teacher / len(drawn))

    @property
    def draw(self) -> tuple[Array, Array] | None:
        """The given draw (W*, W⁰), None where only moments are given."""
        if self.weights is None or self.teacher_weights is None:
            return None
        return jnp.asarray(self.teacher_weights), jnp.asarray(self.weights)

    @property
    def num_rows(self) -> int | None:
        """Number of rows d of the given draw, None where only moments are given."""
        return None if self.weights is None else int(jnp.asarray(self.weights).shape[0])


def joint_second_moment(first_layer: FirstLayer | None, teacher_moment: Any, num_units: int) -> Array:
    """Return E[(w*, w)(w*, w)ᵀ], shape (r + k, r + k); the draw's own Gram matrix when one is given.

    Raises:
        ValueError: wrong shapes, or moments that no joint law can have.
    """
    layer = FirstLayer() if first_layer is None else first_layer
    teacher = jnp.asarray(teacher_moment)
    if layer.teacher_weights is not None:
        given = jnp.asarray(layer.teacher_weights)
        if given.shape[1] != teacher.shape[0]:
            raise ValueError(
                f"`teacher_weights` must have {teacher.shape[0]} columns (the law's teacher directions), "
                f"got {given.shape[1]}."
            )
        teacher = given.T @ given / given.shape[0]
    num_directions = teacher.shape[0]
    moment = np.eye(num_units) if layer.second_moment is None else layer.second_moment
    overlap = np.zeros((num_units, num_directions)) if layer.teacher_overlap is None else layer.teacher_overlap
    if np.shape(overlap) != (num_units, num_directions):
        raise ValueError(
            f"`teacher_overlap` must have shape (k, r) = ({num_units}, {num_directions}), got {np.shape(overlap)}."
        )
    check_second_moment("second_moment", moment, num_units)
    teacher, moment, overlap = (jnp.asarray(a, dtype=float) for a in (teacher, moment, overlap))
    joint = jnp.block([[teacher, overlap.T], [overlap, moment]])
    if is_concrete(joint):
        smallest = float(np.linalg.eigvalsh(np.asarray(joint)).min())
        if smallest < -1e-9 * float(np.abs(joint).max()):
            raise ValueError(
                "`second_moment` and `teacher_overlap` contradict each other: `second_moment` is E[w wᵀ] in full, so "
                f"it must be at least O T⁻¹ Oᵀ (the joint matrix has eigenvalue {smallest:.3g})."
            )
    return joint


def starting_rows(
    moment: Float[Array, "m m"],
    priors: tuple[Prior, ...] | None,
    normals: Float[Array, "rows m"],
    *,
    amplitudes: Float[Array, "rows r"] | None = None,
    teacher: Float[Array, "rows r"] | None = None,
    weights: Float[Array, " rows"] | None = None,
) -> Float[Array, "rows m"]:
    """Return rows (w*, w⁰) made of independent standard normal ones.

    Gaussian rows have the given second moment. With priors w*_a is the prior's quantile at Φ(z_a), and w⁰ is linear in
    w* with a Gaussian rest: the rule that has these moments.

    Args:
        moment: E[(w*, w⁰)(w*, w⁰)ᵀ]; with priors its teacher part is diagonal.
        priors: of the r teacher directions.
        normals: one row for each feature.
        amplitudes: what multiplies a feature's teacher entries, √a of correlated features; w⁰ follows them.
        teacher: quantiles at Φ(z), where they are known already: see `teacher_on_nodes`.
        weights: of rows that stand for a law; entries of priors without a fourth moment are then scaled to their
            second moment, which a few thousand quantiles miss.
    """
    if priors is None:
        if amplitudes is not None:
            normals = normals.at[:, : amplitudes.shape[1]].multiply(amplitudes)
        return normals @ rank_aware_cholesky(moment).T
    r = len(priors)
    if teacher is None:
        uniforms = standard_uniforms(normals[:, :r])
        teacher = jnp.stack([prior.quantile(uniforms[:, a]) for a, prior in enumerate(priors)], axis=1)
    powers = jnp.diagonal(moment)[:r]
    if weights is not None:
        columns = [
            column * jnp.sqrt(power / (weights @ jnp.square(column))) if is_heavy(prior) else column
            for prior, column, power in zip(priors, teacher.T, powers, strict=True)
        ]
        teacher = jnp.stack(columns, axis=1)
    teacher = teacher if amplitudes is None else teacher * amplitudes
    slopes = moment[r:, :r] * safe_inverse(powers, powers > 0)[None]
    # Of the whole: what is left of a w⁰ that w* determines is rounding, and has to be measured against w⁰.
    rest = rank_aware_cholesky(moment)[r:, r:]
    return jnp.concatenate([teacher, teacher @ slopes.T + normals[:, r:] @ rest.T], axis=1)


def teacher_on_nodes(
    priors: tuple[Prior, ...], normals: Float[Array, "nodes r"]
) -> tuple[Float[Array, "nodes r"], Float[Array, " nodes"]]:
    """Return entries w* on nodes, and what a node's weight is multiplied with: one, with the priors' derivatives.

    Args:
        priors: of the r teacher directions.
        normals: coordinates of the nodes.
    """
    columns, ratio = [], jnp.ones(normals.shape[0], normals.dtype)
    for prior, level in zip(priors, standard_uniforms(normals).T, strict=True):
        if isinstance(prior, GaussianMixture):
            column, own = prior.on_nodes(level)
            columns.append(column)
            ratio = ratio * own
        else:
            columns.append(warning(QUANTILES_OF_NO_ONE.format(type(prior).__name__), prior.quantile(level)))
    return jnp.stack(columns, axis=1), ratio


def rows_of_draw(
    draw: tuple[Array, Array], normals: Float[Array, " nodes"], eigenvalues: Float[Array, " d"] | None = None
) -> tuple[Int[Array, " nodes"], Float[Array, " nodes"]]:
    """Return which row (w*, w⁰) of a given draw each node stands for, and weights that give every row the same.

    With two nodes a row and more, node i stands for row ⌊Φ(z_i) d⌋. With fewer, half of the nodes go evenly and half
    where λ and the rows are large, and each stands for its neighbours in both.

    Args:
        draw: (W*, W⁰) with d rows.
        normals: one coordinate z of each node.
        eigenvalues: λ of each row; default one.
    """
    sizes = jnp.sum(jnp.square(jnp.concatenate(draw, axis=1)), axis=1)
    count, num_nodes = sizes.shape[0], normals.shape[0]
    uniforms, equal = standard_uniforms(normals), jnp.full(count, 1.0 / count)
    if NODES_OF_ITS_OWN * count <= num_nodes:
        return stratified_places(equal, equal, uniforms)
    values = jnp.ones(count) if eigenvalues is None else eigenvalues
    strength = values * (1.0 + sizes / jnp.maximum(jnp.mean(sizes), jnp.finfo(sizes.dtype).tiny))
    density = 0.5 * equal + 0.5 * strength / jnp.sum(strength)
    order = sorted_in_blocks(values, sizes, density, num_nodes)
    places, weights = stratified_places(equal, density[order], uniforms)
    return order[places], weights
