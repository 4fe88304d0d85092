"""An ordinary training script: a flax module, an optax optimizer, full batches. It shares no code with the package.

The module is what a user would write; its first kernel is K = W/√d, all else is as flax stores it (kernels (in, out)).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax


class Network(nn.Module):
    """Dense layers without biases, an activation between them, one output, times a number."""

    widths: tuple[int, ...]
    activation: Callable[[jax.Array], jax.Array]
    multiplier: float = 1.0

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        signal = inputs
        for width in self.widths:
            signal = self.activation(nn.Dense(width, use_bias=False, param_dtype=inputs.dtype)(signal))
        return self.multiplier * nn.Dense(1, use_bias=False, param_dtype=inputs.dtype)(signal)[:, 0]


class Training(NamedTuple):
    """Losses before each update and after the last, (T+1,), and the kernels at the end, first layer first."""

    losses: np.ndarray
    kernels: list[np.ndarray]


def train(
    module: Network,
    kernels: list[np.ndarray],
    inputs: np.ndarray,
    labels: np.ndarray,
    optimizer: optax.GradientTransformation,
    num_steps: int,
) -> Training:
    """Train all kernels with one optimizer on half the mean squared error."""
    params = module.init(jax.random.key(0), jnp.asarray(inputs[:1]))
    names = sorted(params["params"])
    params = {"params": {name: {"kernel": jnp.asarray(k)} for name, k in zip(names, kernels, strict=True)}}

    def loss(params: Any) -> jax.Array:
        outputs: Any = module.apply(params, jnp.asarray(inputs))
        return 0.5 * jnp.mean((outputs - jnp.asarray(labels)) ** 2)

    @jax.jit
    def step(params: Any, state: Any) -> tuple[Any, Any, jax.Array]:
        value, gradients = jax.value_and_grad(loss)(params)
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state, value

    state, losses = optimizer.init(params), []
    for _ in range(num_steps):
        params, state, value = step(params, state)
        losses.append(value)
    losses.append(loss(params))
    return Training(np.array(losses), [np.asarray(params["params"][name]["kernel"]) for name in names])
