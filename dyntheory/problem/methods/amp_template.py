"""What all message passing algorithms share: one signal, no head, a start at zero, a memory of the last residual."""

from __future__ import annotations

from typing import Any, Protocol

import jax
import jax.numpy as jnp

from dyntheory.ground.arrays import Array, PyTree
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.problem.networks.losses import Loss


class MessageMaps(Protocol):
    """The maps that tell one algorithm from another."""

    def init_shared(self, head: PyTree, samples_per_feature: Array, hyperparameters: PyTree) -> PyTree:
        """Return what is known before the first step."""
        ...

    def sample_map(
        self, state: PyTree, h: Array, label: Array, shared: PyTree, u: Array
    ) -> tuple[PyTree, Array, PyTree]:
        """Return the residual; the state is the last one."""
        ...

    def after_samples(self, shared: PyTree, mean_stats: PyTree) -> PyTree:
        """Take the samples' averages."""
        ...

    def feature_map(self, state: PyTree, p: Array, shared: PyTree, u: Array) -> tuple[PyTree, Array, PyTree]:
        """Return the estimate, which is the state."""
        ...

    def after_features(self, shared: PyTree, mean_stats: PyTree) -> PyTree:
        """Take the features' averages."""
        ...


def known_numbers(samples_per_feature: Array, hyperparameters: PyTree) -> dict[str, Any]:
    """Return α and the numbers of the algorithm as they enter its shared value."""
    return {
        "samples_per_feature": jnp.asarray(samples_per_feature, dtype=float),
        "numbers": jax.tree.map(lambda number: jnp.asarray(number, dtype=float), hyperparameters),
    }


def message_passing(
    maps: MessageMaps, name: str, loss: Loss, *, smooth: bool | None, has_kink: bool | None
) -> GeneralFirstOrderMethod:
    """Return the method of these maps, without its numbers."""
    return GeneralFirstOrderMethod(
        name=name,
        num_units=1,
        init_shared=maps.init_shared,
        init_sample=_no_residual,
        sample_map=maps.sample_map,
        feature_map=maps.feature_map,
        loss=loss.value,
        error=loss.error,
        after_samples=maps.after_samples,
        after_features=maps.after_features,
        noise_coefficients=loss.noise_coefficients,
        smooth=smooth,
        has_kink=has_kink,
        starts_at_zero=True,
        label_kind=loss.label_kind,
        description=name,
    )


def _no_residual(label: Array, shared: PyTree) -> Array:
    """Return r⁻¹ = 0."""
    del shared
    return jnp.zeros_like(label)
