"""What a layer passes on: second moments of the units at pairs of inputs, and with them how far two units are apart.

At infinite width the units of a layer are independent copies of one Gaussian process, so its second moments say all.
Beside the covariance c goes the excess e = s₁s₂ − c = s₁s₂ (1 − cos θ), with s = √variance and θ the angle between the
units. Every layer has a formula for it that does not cancel; arccos(c/(s₁s₂)) has half of the digits of a small θ.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Float

from dyntheory.ground.arrays import Array

Scalar: TypeAlias = jax.Array | float


class Block(NamedTuple):
    """Moments of one unit at pairs of inputs; all arrays broadcast to the shape of `cov`.

    The leading axes are (n1, n2) between two sets, or (n,) within one. Then come the positions: once, when only equal
    positions of both inputs are compared, or twice, (*S, *S), when all pairs of positions are.

    Args:
        left: E h₁², size one along the axes of the second input.
        right: E h₂², size one along the axes of the first input.
        cov: E h₁h₂.
        excess: √(left · right) − cov, which is never negative.
        ntk: tangent kernel, None where it is not needed (within one set).
        same: whether both are the same position of the same row; None when no two are.
        left_out: largest fraction of a second moment which a Hermite series did not reach, (); None is zero.
    """

    left: Array
    right: Array
    cov: Array
    excess: Array
    ntk: Array | None = None
    same: Array | None = None
    left_out: Array | None = None


@dataclasses.dataclass(frozen=True)
class Layout:
    """What is known before any number is: the kind of signal at one place of the network.

    Args:
        channels: width.
        num_spatial: number of spatial axes.
        pairs: whether positions come in pairs.
        gaussian: whether the units are independent copies of one centred Gaussian process.
        forks: number of `add` and `concatenate` around this place, from the outermost.
        centred: the innermost of these forks whose input, held fixed, leaves a signal of mean zero; zero for none. The
            weights that make it so stand in one branch only, so the signal is uncorrelated with the other branches.
    """

    channels: int
    num_spatial: int = 0
    pairs: bool = False
    gaussian: bool = False
    forks: int = 0
    centred: int = 0

    def left_axes(self, rank: int) -> tuple[int, ...]:
        """Return the axes of the positions of the first input in a block array of that rank."""
        first = rank - self.num_spatial * (2 if self.pairs else 1)
        return tuple(range(first, first + self.num_spatial))

    def right_axes(self, rank: int) -> tuple[int, ...]:
        """Return the axes of the positions of the second input; the same as the first's without pairs."""
        return tuple(range(rank - self.num_spatial, rank))


@dataclasses.dataclass(frozen=True)
class State:
    """Moments between two sets of inputs and, when positions come in pairs, within each.

    Args:
        cross: between the sets.
        within1: within the rows of the first set, or None.
        within2: within the rows of the second set, or None; the same object as `within1` when the sets are one.
        layout: what kind of signal it is.
    """

    cross: Block
    within1: Block | None
    within2: Block | None
    layout: Layout

    def map(self, transform: Callable[[Block], Block], **changes: object) -> State:
        """Apply `transform` to every block, and `changes` to the layout."""
        within1 = None if self.within1 is None else transform(self.within1)
        shared = self.within2 is None or self.within2 is self.within1
        within2 = within1 if shared else transform(self.within2)  # pyright: ignore[reportArgumentType]
        layout = dataclasses.replace(self.layout, **changes)  # pyright: ignore[reportArgumentType]
        return State(transform(self.cross), within1, within2, layout)


def larger(first: Array | None, second: Array | None) -> Array | None:
    """Return the larger of two numbers, of which None is the smallest."""
    if first is None or second is None:
        return second if first is None else first
    return jnp.maximum(first, second)


def _inner(x1: Array, x2: Array, pairs: bool, batch: bool) -> Array:
    """Return the mean product over channels; with `batch` both are the same rows."""
    positions = "abcdefg"[: x1.ndim - 2]
    others = positions.upper() if pairs else positions
    first, second = ("n", "n") if batch else ("n", "m")
    output = f"{first}{'' if batch else second}{positions}{others if pairs else ''}"
    subscripts = f"{first}{positions}z,{second}{others}z->{output}"
    return jnp.einsum(subscripts, x1, x2, precision=jax.lax.Precision.HIGHEST) / x1.shape[-1]


def root(value: Array) -> Array:
    """Return √value, zero with derivative zero at zero.

    A compiler may compute `value` twice with different roundings, so the branch that is not taken must be close, too.
    """
    tiny = jnp.finfo(value.dtype).tiny
    return jnp.where(value > tiny, jnp.sqrt(jnp.maximum(value, tiny)), 0.0)


def inverse(value: Array) -> Array:
    """Return 1/value, and a number that is large but can be squared where it is zero."""
    return 1.0 / jnp.maximum(value, jnp.finfo(value.dtype).tiny ** 0.25)


def deviations(block: Block) -> tuple[Array, Array]:
    """Return √left and √right."""
    return root(block.left), root(block.right)


def with_excess(block: Block) -> Block:
    """Fill in the excess by its definition: right to rounding relative to s₁s₂, and zero where both sides are same."""
    left, right = deviations(block)
    return settle(block._replace(excess=jnp.maximum(left * right - block.cov, 0.0)))


def settle(block: Block) -> Block:
    """Write what is known exactly where both sides are the same: covariance is variance, excess is zero."""
    if block.same is None:
        return block
    same = jnp.broadcast_to(block.same, block.cov.shape)
    left = jnp.broadcast_to(block.left, block.cov.shape)
    return block._replace(cov=jnp.where(same, left, block.cov), excess=jnp.where(same, 0.0, block.excess))


def add_moments(one: Block, two: Block) -> Block:
    """Return the moments of the sum of two uncorrelated signals.

    The excess of a sum is e + e′ + (√(v₁v₂′) − √(v₁′v₂))²/(S₁S₂ + √(v₁v₂) + √(v₁′v₂′)), S² the summed variances; the
    last term is Lagrange's identity.
    """
    left, right = one.left + two.left, one.right + two.right
    (left1, right1), (left2, right2) = deviations(one), deviations(two)
    twist = jnp.square(left1 * right2 - left2 * right1)
    twist = twist * inverse(root(left) * root(right) + left1 * right1 + left2 * right2)
    ntk = None if one.ntk is None or two.ntk is None else one.ntk + two.ntk
    left_out = larger(one.left_out, two.left_out)
    excess = one.excess + two.excess + twist
    return Block(left, right, one.cov + two.cov, excess, ntk, one.same, left_out)


def scale_moments(block: Block, factor: Scalar) -> Block:
    """Return all moments, the tangent kernel too, times a factor."""
    ntk = None if block.ntk is None else factor * block.ntk
    left, right = factor * block.left, factor * block.right
    return block._replace(left=left, right=right, cov=factor * block.cov, excess=factor * block.excess, ntk=ntk)


def _directions(x: Array, norm: Array) -> Array:
    """Return the rows divided by their deviation, zero where that is zero."""
    return x * inverse(root(norm))[..., None]


def _half_square(x1: Array, x2: Array, pairs: bool) -> Array:
    """Return half the mean squared difference over channels, one row of the first set at a time."""
    num_spatial = x1.ndim - 2
    right = jnp.expand_dims(x2, tuple(range(1, 1 + num_spatial)) if pairs else ())

    def row(one: Array) -> Array:
        left = jnp.expand_dims(one[None], tuple(range(1 + num_spatial, 1 + 2 * num_spatial)) if pairs else ())
        return 0.5 * jnp.mean(jnp.square(left - right), axis=-1)

    return jax.lax.map(row, x1)


def same_positions(shape: tuple[int, ...]) -> Array:
    """Return whether two positions are the same, shape (*S, *S)."""
    return jnp.eye(math.prod(shape), dtype=bool).reshape(*shape, *shape)


def same_after(block: Block, layout: Layout, shape: tuple[int, ...]) -> Array | None:
    """Return which positions of which rows are the same once the positions have another shape."""
    if block.same is None or not layout.pairs:
        return block.same
    leading = block.same.ndim - 2 * layout.num_spatial
    rows = block.same.reshape(*block.same.shape[:leading], -1)[..., 0]
    ones = (1,) * (2 * len(shape))
    return rows.reshape(*rows.shape, *ones) & same_positions(shape).reshape((1,) * leading + shape + shape)


def own_moments(within: Block, layout: Layout) -> tuple[Array, Array]:
    """Return the variances of a set from the moments within it, as the left (n, *S, *1) and right side (n, *1, *S)."""
    shape = within.cov.shape[1 : 1 + layout.num_spatial]
    size, ones = math.prod(shape), (1,) * len(shape)
    diagonal = jnp.diagonal(within.cov.reshape(-1, size, size), axis1=1, axis2=2)
    return diagonal.reshape(-1, *shape, *ones), diagonal.reshape(-1, *ones, *shape)


def from_covariances(state: State, transform: Callable[[Block], Block], **changes: object) -> State:
    """Apply a transformation of covariances, `transform`, and take variances and excess from what it gives.

    For layers that mix positions with correlated signals: the variances are entries of the moments within each set.
    """
    mixed = state.map(transform, **changes)
    assert mixed.within1 is not None and mixed.within2 is not None
    left1, right1 = own_moments(mixed.within1, mixed.layout)
    left2, right2 = own_moments(mixed.within2, mixed.layout)
    within1 = with_excess(mixed.within1._replace(left=left1, right=right1))
    shared = mixed.within2 is mixed.within1
    within2 = within1 if shared else with_excess(mixed.within2._replace(left=left2, right=right2))
    cross = mixed.cross._replace(left=left1[:, None], right=right2[None])
    return State(with_excess(cross), within1, within2, mixed.layout)


def input_state(
    x1: Float[Array, "n1 ... d"],
    x2: Float[Array, "n2 ... d"],
    rows: tuple[Array, Array] | None,
    *,
    pairs: bool,
    from_differences: bool,
) -> State:
    """Return the moments of the inputs, ⟨x₁, x₂⟩/d, which every kernel starts from.

    Args:
        x1: (n1, *S, d).
        x2: (n2, *S, d).
        rows: labels of the rows of both sets; equal labels mean the same row. None: no two are the same.
        pairs: compare all pairs of positions.
        from_differences: take angles from the differences of normalised rows, instead of from inner products.
    """
    shape = x1.shape[1:-1]
    num_spatial = len(shape)
    pairs = pairs and num_spatial > 0
    ones = (1,) * num_spatial if pairs else ()
    norm1, norm2 = (jnp.mean(jnp.square(x), axis=-1) for x in (x1, x2))
    same = None
    if rows is not None:
        same = (rows[0][:, None] == rows[1][None, :]).reshape(x1.shape[0], x2.shape[0], *(1,) * num_spatial, *ones)
        same = same & same_positions(shape)[None, None] if pairs else same
    cross = with_excess(
        Block(
            left=norm1.reshape(x1.shape[0], 1, *shape, *ones),
            right=norm2.reshape(1, x2.shape[0], *ones, *shape),
            cov=(cov := _inner(x1, x2, pairs, batch=False)),
            excess=cov,
            ntk=jnp.zeros_like(cov),
            same=same,
        )
    )
    if from_differences:
        distance = _half_square(_directions(x1, norm1), _directions(x2, norm2), pairs)
        cross = _from_distance(cross, distance)
    within1 = within2 = None
    if pairs:
        within1 = _within(x1, norm1, from_differences)
        within2 = within1 if x2 is x1 else _within(x2, norm2, from_differences)
    return State(cross, within1, within2, Layout(x1.shape[-1], num_spatial, pairs))


def _from_distance(block: Block, distance: Array) -> Block:
    """Replace the excess by s₁s₂ (1 − cos θ), with 1 − cos θ given."""
    left, right = deviations(block)
    return settle(block._replace(excess=left * right * distance))


def _within(x: Array, norm: Array, from_differences: bool) -> Block:
    """Return the moments between all positions of each row."""
    shape, ones = x.shape[1:-1], (1,) * (x.ndim - 2)
    cov = _inner(x, x, pairs=True, batch=True)
    block = with_excess(
        Block(
            norm.reshape(-1, *shape, *ones), norm.reshape(-1, *ones, *shape), cov, cov, same=same_positions(shape)[None]
        )
    )
    if not from_differences:
        return block
    directions = _directions(x, norm)
    return _from_distance(block, jax.vmap(lambda row: _half_square(row[None], row[None], pairs=True)[0, 0])(directions))
