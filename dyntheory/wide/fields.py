"""The fields of a result, from what was recorded in the limit or of networks: the same for both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import Array
from dyntheory.ground.compiling import compiled
from dyntheory.wide.prepared import Prepared, on_vectors


def reported(one: Prepared, outputs: Any, tests: Any, recorded: Any) -> dict[str, Any]:
    """Return curves, outputs and kernels by name; those that were not computed are left out.

    Args:
        one: the request.
        outputs: f (..., T+1, P, outputs), whatever the leading axes.
        tests: f on the test inputs, or None.
        recorded: alignments, sharpness and kernels, with these names.
    """
    train_loss, train_error = measured(one, outputs, one.data.labels)
    test_loss, test_error = (None, None) if tests is None else measured(one, tests, one.data.test_labels)
    is_single, keeps = one.data.labels.shape[1] == 1, one.rules.keeps_kernels
    found: dict[str, Any] = {
        "train_loss": train_loss,
        "train_error": train_error,
        "test_loss": test_loss,
        "test_error": test_error,
        "train_outputs": _shaped(one, outputs),
        "test_outputs": None if tests is None else _shaped(one, tests),
        "alignment": recorded.alignment if is_single else None,
        "feature_alignment": recorded.feature_alignment,
        "sharpness": recorded.sharpness if is_single else None,
        "forward_kernels": recorded.forward_kernels if keeps else None,
        "backward_kernels": recorded.backward_kernels if keeps and is_single else None,
        "ntk": recorded.ntk if keeps and is_single else None,
    }
    return {name: np.asarray(value) for name, value in found.items() if value is not None}


def _shaped(one: Prepared, outputs: Any) -> Any:
    return outputs[..., 0] if one.data.is_scalar else outputs


def measured(one: Prepared, outputs: Any, labels: np.ndarray | None) -> tuple[Any, Any]:
    """Return mean loss and mean error of outputs (..., inputs, outputs), None where there are no labels."""
    if labels is None:
        return None, None
    flat = outputs.reshape(-1, *outputs.shape[-2:])
    functions = [on_vectors(function, one.data.is_scalar) for function in (one.method.loss, one.method.error)]
    loss, error = (np.asarray(_mean_of(function, flat, labels)) for function in functions)
    return loss.reshape(outputs.shape[:-2]), error.reshape(outputs.shape[:-2])


def _mean_over_inputs(function: Callable[[Array, Array], Array], outputs: Array, labels: Array) -> Array:
    return jnp.mean(jax.vmap(jax.vmap(function), in_axes=(0, None))(outputs, labels), axis=1)


_mean_of = compiled(_mean_over_inputs, fast=True, static_argnames=("function",))
