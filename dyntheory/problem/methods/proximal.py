"""Proximal gradient descent for penalised linear regression: ISTA, FISTA, LASSO and elastic net.

The penalised step is an elementwise optax transformation, so it also trains the first layer of any network.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from dyntheory.ground.arrays import Array, Number, PyTree
from dyntheory.ground.checks import check_nonnegative, check_positive, check_scalar
from dyntheory.ground.kinds import check_arguments
from dyntheory.problem.methods.gradient_descent import gradient_descent
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.problem.networks.network import LinearModel


def proximal_gradient(
    learning_rate: Number, penalty: Number, *, ridge: Number = 0.0, accelerated: bool = True
) -> GeneralFirstOrderMethod:
    """Minimise (1/2n) ‖y − X w/√d‖² + (1/d) (λ ‖w‖₁ + (λ₂/2) ‖w‖²) from w = 0 by ISTA or FISTA.

    Scaling:
        Entries of w are O(1). In scikit-learn's `Lasso(alpha)` on X, alpha = λ/√d and its coefficients are w/√d. Stable
        for η below 2/(1 + 1/√α)².

    Args:
        learning_rate: η, positive; data.
        penalty: λ, zero or positive; data.
        ridge: λ₂, zero or positive; data.
        accelerated: FISTA; curves are those of the extrapolated points, at which gradients are taken.

    Raises:
        TypeError: not a number.
        ValueError: a number outside its range.

    Example:
        >>> import jax, dyntheory as dt
        >>> law = dt.TeacherStudent(2.0, noise_std=0.3, teacher_prior=dt.priors.bernoulli_gauss(0.1))
        >>> theory = dt.predict(law, dt.proximal_gradient(0.5, 0.1), num_steps=8, key=jax.random.key(0))
        >>> bool(theory.test_error[-1] < theory.test_error[0])
        True

    Reference: `beck2009fast`; `daubechies2004iterative` for ISTA.
    """
    check_arguments(proximal_gradient, locals())
    _check_numbers(learning_rate, penalty, ridge)
    numbers: dict[str, Any] = {"learning_rate": learning_rate, "penalty": penalty, "ridge": ridge}
    method = gradient_descent(LinearModel(), fista if accelerated else ista, **numbers)
    return dataclasses.replace(method, starts_at_zero=True)


def ista(learning_rate: Number, penalty: Number, ridge: Number = 0.0) -> optax.GradientTransformation:
    """Return the transformation w ← soft(w − η g, η λ)/(1 + η λ₂), entry by entry."""
    check_arguments(ista, locals())
    _check_numbers(learning_rate, penalty, ridge)

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> tuple[PyTree, PyTree]:
        new = jax.tree.map(lambda w, g: _step(w, g, learning_rate, penalty, ridge), params, updates)
        return jax.tree.map(jnp.subtract, new, params), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


class FistaState(NamedTuple):
    """The last point before extrapolation, and t of the sequence t ← (1 + √(1 + 4 t²))/2."""

    point: PyTree
    momentum: Array


def fista(learning_rate: Number, penalty: Number, ridge: Number = 0.0) -> optax.GradientTransformation:
    """Return ISTA with Nesterov's extrapolation; the parameters are the extrapolated points."""
    check_arguments(fista, locals())
    _check_numbers(learning_rate, penalty, ridge)

    def init(params: PyTree) -> FistaState:
        return FistaState(params, jnp.ones((), jnp.result_type(*jax.tree.leaves(params), 0.0)))

    def update(updates: PyTree, state: Any, params: PyTree = None) -> tuple[PyTree, FistaState]:
        new = jax.tree.map(lambda w, g: _step(w, g, learning_rate, penalty, ridge), params, updates)
        following = 0.5 * (1.0 + jnp.sqrt(1.0 + 4.0 * jnp.square(state.momentum)))
        ahead = (state.momentum - 1.0) / following
        moved = jax.tree.map(lambda x, last, w: x + ahead * (x - last) - w, new, state.point, params)
        return moved, FistaState(new, following)

    return optax.GradientTransformation(init, update)


def _check_numbers(learning_rate: Number, penalty: Number, ridge: Number) -> None:
    for name, value in (("learning_rate", learning_rate), ("penalty", penalty), ("ridge", ridge)):
        check_scalar(name, value)
        check_nonnegative(name, value)
    check_positive("learning_rate", learning_rate)


def _step(weight: Array, gradient: Array, learning_rate: Number, penalty: Number, ridge: Number) -> Array:
    moved, threshold = weight - learning_rate * gradient, learning_rate * penalty
    soft = jnp.where(moved > threshold, moved - threshold, jnp.where(moved < -threshold, moved + threshold, 0.0))
    return soft / (1.0 + learning_rate * ridge)
