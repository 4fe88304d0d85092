"""Convex losses ℓ(y h) of a margin, by what their proximal operator does to a Gaussian: P + V ℓ′(P) = ω.

The theory needs the pull f = (P − ω)/V = −ℓ′(P) as a function of ω and V, its slope in ω, and where that slope changes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from dyntheory.closed_forms.panel_rules import GEOMETRIC, around
from dyntheory.ground.arrays import Array
from dyntheory.ground.elementwise import check_elementwise
from dyntheory.ground.kinds import check_arguments, check_fields
from dyntheory.ground.names import check_name

NUM_NEWTON = 16


@dataclasses.dataclass(frozen=True)
class MarginLoss:
    """A convex loss of the margin y h.

    Args:
        name: for messages.
        value: ℓ, elementwise.
        pull: (ω, V) -> (P − ω)/V, elementwise in ω, for a scalar V.
        corners: V -> points ω, shape (any,), between which the pull is smooth on the scale of its panels.
    """

    name: str
    value: Callable[[Array], Array]
    pull: Callable[[Array, Array], Array]
    corners: Callable[[Array], Array]

    def __post_init__(self) -> None:
        check_fields(self)


def _no_corners(step: Array) -> Array:
    return jnp.zeros((0,), step.dtype)


def margin_loss(
    value: Callable[[Array], Array],
    prox: Callable[[Array, Array], Array],
    *,
    corners: Callable[[Array], Array] = _no_corners,
    name: str = "custom",
) -> MarginLoss:
    """Return a loss of your own for `convex_erm`, given by its proximal operator.

    Args:
        value: ℓ, convex, elementwise, written in JAX.
        prox: (ω, V) -> argmin_z ℓ(z) + (z − ω)²/(2V), elementwise in ω, differentiable in both.
        corners: V -> the points ω where the derivative of `prox` jumps.
        name: for messages.

    Raises:
        TypeError: something that cannot be called, or is not written in JAX.
        ValueError: a function that couples the entries of an array.

    Example:
        >>> import jax.numpy as jnp
        >>> squared = margin_loss(lambda z: (1 - z) ** 2 / 2, lambda w, v: (w + v) / (1 + v))
        >>> float(squared.pull(jnp.asarray(0.0), jnp.asarray(1.0)))
        0.5
    """
    check_arguments(margin_loss, locals())
    for argument, role in ((value, "value"), (prox, "prox"), (corners, "corners")):
        if not callable(argument):
            raise TypeError(f"`{role}` must be a function written in JAX, got {argument!r}.")
    check_elementwise("value", value)
    check_elementwise("prox", lambda omega: prox(omega, jnp.ones((), omega.dtype)))
    return MarginLoss(name, value, lambda omega, step: (prox(omega, step) - omega) / step, corners)


def _hinge_pull(omega: Array, step: Array) -> Array:
    return jnp.where(omega < 1 - step, 1.0, jnp.where(omega < 1, (1 - omega) / step, 0.0))


def _squared_hinge_pull(omega: Array, step: Array) -> Array:
    return jnp.where(omega < 1, 2 * (1 - omega) / (1 + 2 * step), 0.0)


@jax.custom_jvp
def _logistic_prox(omega: Array, step: Array) -> Array:
    """Return the root of P = ω + V σ(−P): Newton's method from below, on the side where the equation is concave.

    For a negative root the same equation holds for −P, with −(ω + V) in the place of ω.
    """
    is_negative = omega < -step / 2
    shifted = jnp.where(is_negative, -(omega + step), omega)
    start = jnp.log(step / 2) - jnp.log1p(jnp.maximum(jnp.log(step), 0.0) + jnp.abs(shifted))

    def improve(_: int, root: Array) -> Array:
        sigmoid = jax.nn.sigmoid(-root)
        return root - (root - shifted - step * sigmoid) / (1 + step * sigmoid * (1 - sigmoid))

    root = jax.lax.fori_loop(0, NUM_NEWTON, improve, jnp.maximum(jnp.maximum(shifted, start), 0.0))
    return jnp.where(is_negative, -root, root)


@_logistic_prox.defjvp
def _logistic_prox_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    omega, step = primals
    root = _logistic_prox(omega, step)
    pull = jax.nn.sigmoid(-root)
    return root, (tangents[0] + pull * tangents[1]) / (1 + step * pull * jax.nn.sigmoid(root))


def _logistic_corners(step: Array) -> Array:
    """Return panels around the real parts of the points where P ceases to be analytic; the imaginary parts are ±π."""
    root = jnp.arccosh(1 + step / 2)
    upper = root + step / jnp.expm1(root)
    return jnp.concatenate([around(upper, 1.0, GEOMETRIC), around(-step - upper, 1.0, GEOMETRIC)])


MARGIN_LOSSES = {
    "squared": MarginLoss("squared", lambda z: (1 - z) ** 2 / 2, lambda w, v: (1 - w) / (1 + v), _no_corners),
    "logistic": MarginLoss(
        "logistic",
        lambda z: jax.nn.softplus(-z),
        lambda w, v: jax.nn.sigmoid(-_logistic_prox(w, v)),
        _logistic_corners,
    ),
    "hinge": MarginLoss(
        "hinge", lambda z: jnp.maximum(1 - z, 0.0), _hinge_pull, lambda v: jnp.stack([1 - v, jnp.ones_like(v)])
    ),
    "squared_hinge": MarginLoss(
        "squared hinge", lambda z: jnp.maximum(1 - z, 0.0) ** 2, _squared_hinge_pull, lambda v: jnp.ones_like(v)[None]
    ),
}


def resolve_margin_loss(loss: str | MarginLoss) -> MarginLoss:
    """Return the loss of that name.

    Raises:
        TypeError: neither a name nor a loss.
        ValueError: the name is not known.
    """
    if isinstance(loss, MarginLoss):
        return loss
    if callable(loss):
        raise TypeError("`loss` must be a name or a MarginLoss: wrap a function and its prox by `margin_loss`.")
    return MARGIN_LOSSES[check_name("loss", loss, MARGIN_LOSSES)]
