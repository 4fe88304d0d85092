"""Losses by name: what is minimised (`*_loss`) and what is reported (`*_error`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp

from dyntheory._checks import check_name
from dyntheory._typing import Array
from dyntheory.smoothness import known_kink


@dataclasses.dataclass(frozen=True)
class Loss:
    """A loss of a prediction and a label, each of shape () or (outputs,).

    Args:
        name: how it is called in tables and files.
        value: what training minimises, a scalar.
        error: what is reported as train and test error, a scalar.
        noise_coefficients: (c, c') when additive label noise of variance s² per output raises the expected loss by
            c s² and the expected error by c' s² for every output; None when it has to be integrated.
        smooth: whether the value is smooth in the prediction; None when nobody said.
        has_kink: whether the derivative of the value, or the error, jumps (misclassification does); None when nobody
            said.
    """

    name: str
    value: Callable[[Array, Array], Array]
    error: Callable[[Array, Array], Array]
    noise_coefficients: tuple[float, float] | None = None
    smooth: bool | None = None
    has_kink: bool | None = None

    @property
    def is_kinked(self) -> bool | None:
        """Whether what is minimised or reported has a kink; `smooth` speaks of the value alone."""
        if self.has_kink is None and self.smooth and self.error is not _squared_norm:
            return None
        return known_kink(self.has_kink, self.smooth)


def _squared_norm(prediction: Array, label: Array) -> Array:
    return jnp.sum(jnp.square(prediction - label))


def _half_squared_norm(prediction: Array, label: Array) -> Array:
    return 0.5 * _squared_norm(prediction, label)


LOSSES = {"squared": Loss("squared", _half_squared_norm, _squared_norm, (0.5, 1.0), smooth=True)}


def resolve_loss(loss: str | Callable[[Array, Array], Array] | Loss) -> Loss:
    """Return the loss of that name, or wrap a callable (reported error: squared norm of the difference).

    Raises:
        ValueError: the name is not known.
    """
    if isinstance(loss, Loss):
        return loss
    if callable(loss):
        return Loss(getattr(loss, "__name__", "custom"), loss, _squared_norm)
    return LOSSES[check_name("loss", loss, LOSSES)]
