"""A method is data: row-wise maps of a general first-order method. Nothing in it knows n, d or the matrix X.

One step, with h = X w/√d and p = Xᵀ g/√d answered by whoever holds the matrix:

    sample_map      (state_i, h_i, label_i, shared, u_i) -> (state_i, g_i, stats_i)    one row of length k
    after_samples   (shared, mean_i stats_i)             -> shared
    feature_map     (state_j, p_j, shared, u_j)          -> (state_j, w_j, stats_j)
    after_features  (shared, mean_j stats_j)             -> shared

Reference: `celentano2021high`, general first-order methods; `han2025precise` for networks.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory._typing import Array, Key, PyTree


def _keep_shared(shared: PyTree, mean_stats: PyTree) -> PyTree:
    del mean_stats
    return shared


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class GeneralFirstOrderMethod:
    """An algorithm as row-wise maps. The functions are static, `hyperparameters` are data.

    Args:
        name: how it is called in tables and files.
        num_units: k, the number of columns of w and h.
        init_head: key -> head, the finite-dimensional parameters (an empty dictionary where there are none).
        init_shared: (head, samples_per_feature, hyperparameters) -> shared, any pytree of small arrays.
        init_sample: (label, shared) -> state of one sample row.
        init_feature: (initial weight row (k,), shared) -> state of one feature row.
        sample_map: (state, h, label, shared, u) -> (state, g, stats), h and g of shape (k,).
        feature_map: (state, p, shared, u) -> (state, w, stats), p and w of shape (k,).
        output: (head, h) -> prediction of shape () or (outputs,).
        loss: (prediction, label) -> what is minimised.
        error: (prediction, label) -> what is reported.
        head_of: shared -> head.
        after_samples: (shared, mean stats of the samples) -> shared.
        after_features: (shared, mean stats of the features) -> shared.
        noise_coefficients: see `dyntheory.losses.Loss`.
        sample_noise: uniforms a sample row receives at each step.
        feature_noise: uniforms a feature row receives at each step.
        smooth: whether the maps are smooth; None when unknown.
        description: one line for provenance and tables.
        hyperparameters: numbers of the algorithm; new values do not recompile and can be differentiated.
    """

    name: str = dataclasses.field(metadata={"static": True})
    num_units: int = dataclasses.field(metadata={"static": True})
    init_head: Callable[[Key], PyTree] = dataclasses.field(metadata={"static": True})
    init_shared: Callable[[PyTree, Array, PyTree], PyTree] = dataclasses.field(metadata={"static": True})
    init_sample: Callable[[Array, PyTree], PyTree] = dataclasses.field(metadata={"static": True})
    init_feature: Callable[[Array, PyTree], PyTree] = dataclasses.field(metadata={"static": True})
    sample_map: Callable[..., tuple[PyTree, Array, PyTree]] = dataclasses.field(metadata={"static": True})
    feature_map: Callable[..., tuple[PyTree, Array, PyTree]] = dataclasses.field(metadata={"static": True})
    output: Callable[[PyTree, Array], Array] = dataclasses.field(metadata={"static": True})
    loss: Callable[[Array, Array], Array] = dataclasses.field(metadata={"static": True})
    error: Callable[[Array, Array], Array] = dataclasses.field(metadata={"static": True})
    head_of: Callable[[PyTree], PyTree] = dataclasses.field(metadata={"static": True})
    after_samples: Callable[[PyTree, PyTree], PyTree] = dataclasses.field(
        default=_keep_shared, metadata={"static": True}
    )
    after_features: Callable[[PyTree, PyTree], PyTree] = dataclasses.field(
        default=_keep_shared, metadata={"static": True}
    )
    noise_coefficients: tuple[float, float] | None = dataclasses.field(default=None, metadata={"static": True})
    sample_noise: int = dataclasses.field(default=0, metadata={"static": True})
    feature_noise: int = dataclasses.field(default=0, metadata={"static": True})
    smooth: bool | None = dataclasses.field(default=None, metadata={"static": True})
    description: str = dataclasses.field(default="", metadata={"static": True})
    hyperparameters: dict[str, Any] = dataclasses.field(default_factory=dict)


def feature_map_is_linear(method: GeneralFirstOrderMethod, head: PyTree, *, num_steps: int = 4) -> bool:
    """Return whether the feature side is linear and homogeneous in (w⁰, p⁰, p¹, …), found by probing.

    Three histories a, b and 2a − 3b are sent through `num_steps` steps; the rows that come back must combine in the
    same way. Such a map commutes with rotations of the features, so coordinates in a frame replace nodes. A map that
    asks for uniforms or returns row statistics is never called linear.
    """
    if method.feature_noise:
        return False
    random = np.random.default_rng(0)
    size = (num_steps + 1, method.num_units)
    first, second = (jnp.asarray(random.standard_normal(size)) for _ in range(2))
    histories = (first, second, 2.0 * first - 3.0 * second)
    shared = method.init_shared(head, jnp.asarray(1.7), method.hyperparameters)
    rows = []
    for history in histories:
        state, outputs = method.init_feature(history[0], shared), []
        for step in range(num_steps):
            state, weights, stats = method.feature_map(state, history[step + 1], shared, jnp.zeros(0))
            if jax.tree.leaves(stats):
                return False
            outputs.append(weights)
        rows.append(jnp.stack(outputs))
    scale = jnp.max(jnp.abs(jnp.stack(rows)))
    defect = jnp.max(jnp.abs(rows[2] - 2.0 * rows[0] + 3.0 * rows[1]))
    return bool(defect <= (1e-9 if rows[0].dtype == jnp.float64 else 1e-4) * scale)
