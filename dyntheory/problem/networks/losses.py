"""Losses by name: what is minimised (`*_loss`) and what is reported (`*_error`).

"squared" ½ ‖F − y‖² and "huber" (quadratic up to 1) report the squared norm. "logistic" and "squared_hinge" (labels
±1), "cross_entropy" (logits F, labels indicator vectors) and "squared_classification" (½ ‖F − y‖² of either kind of
label) report the misclassification rate.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from dyntheory.ground.arrays import Array
from dyntheory.ground.names import check_name
from dyntheory.ground.smoothness import known_kink


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
        label_kind: what labels must be: "signs" (±1), "classes" (indicator vectors), "either" of them, or None: any
            numbers.
    """

    name: str
    value: Callable[[Array, Array], Array]
    error: Callable[[Array, Array], Array]
    noise_coefficients: tuple[float, float] | None = None
    smooth: bool | None = None
    has_kink: bool | None = None
    label_kind: str | None = None

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


def _huber(prediction: Array, label: Array) -> Array:
    size = jnp.abs(prediction - label)
    return jnp.sum(jnp.where(size < 1.0, 0.5 * jnp.square(size), size - 0.5))


def _logistic(prediction: Array, label: Array) -> Array:
    return jnp.sum(jax.nn.softplus(-label * prediction))


def _squared_hinge(prediction: Array, label: Array) -> Array:
    return jnp.sum(jnp.square(jax.nn.relu(1.0 - label * prediction)))


def _cross_entropy(prediction: Array, label: Array) -> Array:
    return -jnp.sum(label * jax.nn.log_softmax(prediction))


def _wrong_sign(prediction: Array, label: Array) -> Array:
    """Return the part of labels ±1 whose sign is missed; a prediction of zero counts half."""
    return jnp.mean(0.5 * (1.0 - label * jnp.sign(prediction)))


def _wrong_class(prediction: Array, label: Array) -> Array:
    """Return whether the largest output is another than the class, the label being its indicator vector."""
    return 1.0 - label[jnp.argmax(prediction)]


def _wrong_label(prediction: Array, label: Array) -> Array:
    """Return whether a label ±1, or a class by its indicator vector, is missed."""
    return _wrong_class(prediction, label) if jnp.ndim(label) else _wrong_sign(prediction, label)


LOSSES = {
    "squared": Loss("squared", _half_squared_norm, _squared_norm, (0.5, 1.0), smooth=True),
    "huber": Loss("huber", _huber, _squared_norm, smooth=False, has_kink=False),
    "logistic": Loss("logistic", _logistic, _wrong_sign, smooth=True, has_kink=True, label_kind="signs"),
    "squared_hinge": Loss(
        "squared hinge", _squared_hinge, _wrong_sign, smooth=False, has_kink=True, label_kind="signs"
    ),
    "squared_classification": Loss(
        "squared", _half_squared_norm, _wrong_label, smooth=True, has_kink=True, label_kind="either"
    ),
    "cross_entropy": Loss(
        "cross-entropy", _cross_entropy, _wrong_class, smooth=True, has_kink=True, label_kind="classes"
    ),
}


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
