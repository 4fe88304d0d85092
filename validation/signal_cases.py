"""Random deep networks of `validation.signal_propagation`: drawn with NumPy, trained with plain JAX."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import erf

from dyntheory import closed_forms

PROBES = (5, 10, 20, 40)
NAMES = ("variance", "correlation", "gradient")
START = 0.3  # correlation of the two inputs


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes and draws."""

    width: int = 400
    num_draws: int = 80
    batch: int = 384
    batch_width: int = 512
    batch_depth: int = 16
    num_batch_draws: int = 8
    train_width: int = 100
    train_steps: int = 150
    train_depths: tuple[int, ...] = (10, 20, 40)
    train_weights: tuple[float, ...] = (0.6, 1.0, 1.3, 1.6, 1.9, 2.3, 2.9, 4.0)
    map_points: int = 41
    seed: int = 0


class Network(NamedTuple):
    """One kind of random network, in the words of `signal_layers`."""

    activation: str
    weight_variance: float
    bias_variance: float
    skip: float = 0.0
    branch_variance: float = 1.0
    normalization: str = "none"


EDGE = closed_forms.edge_of_chaos("erf", 0.5)
NETWORKS = {
    "tanh, ordered": Network("tanh", 0.9, 0.05),
    "tanh, chaotic": Network("tanh", 2.5, 0.05),
    "erf, edge": Network("erf", float(EDGE.weight_variance), float(EDGE.bias_variance)),
    "ReLU, He": Network("relu", 2.0, 0.0),
    "ReLU, residual": Network("relu", 1.0, 0.0, 1.0, 1 / 40),
    "tanh, residual, normalised": Network("tanh", 1.5, 0.1, 1.0, 1.0, "before"),
    "tanh, normalised behind": Network("tanh", 0.9, 0.3, normalization="after"),
}
FUNCTIONS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]] = {
    "tanh": (np.tanh, lambda h: 1 - np.tanh(h) ** 2),
    "erf": (erf, lambda h: 2 / np.sqrt(np.pi) * np.exp(-(h**2))),
    "relu": (lambda h: np.maximum(h, 0), lambda h: 1.0 * (h > 0)),
}


def theory(network: Network) -> np.ndarray:
    """Return variance, correlation and gradient at the probes, (probes, 3)."""
    found = closed_forms.signal_layers(**network._asdict(), num_layers=max(PROBES), correlation=START)
    rows = np.stack([found.variance, found.correlation, np.exp(found.log_gradient)], axis=-1)
    return rows[list(PROBES)]


def drawn(network: Network, settings: Settings) -> np.ndarray:
    """Return the same of random networks, (draws, probes, 3)."""
    rng = np.random.default_rng(settings.seed)
    return np.array([_one(rng, network, settings.width) for _ in range(settings.num_draws)])


def _one(rng: np.random.Generator, network: Network, size: int) -> np.ndarray:
    function, slope = FUNCTIONS[network.activation]
    first, fresh = rng.normal(size=(2, size))
    h = np.stack([first, START * first + np.sqrt(1 - START**2) * fresh])
    tangent, rows = rng.normal(size=size), []
    start = np.mean(tangent**2)
    for layer in range(1, max(PROBES) + 1):
        weights = np.sqrt(network.weight_variance / size) * rng.normal(size=(size, size))
        u, t = h, tangent
        if network.normalization == "before":
            u, t = _normalised(h), _moved(h[0], tangent)
        x, t = function(u), t * slope(u[0])
        if network.normalization == "after":
            x, t = _normalised(x), _moved(x[0], t)
        branch = x @ weights.T + np.sqrt(network.bias_variance) * rng.normal(size=size)
        h = network.skip * h + np.sqrt(network.branch_variance) * branch
        tangent = network.skip * tangent + np.sqrt(network.branch_variance) * (weights @ t)
        if layer in PROBES:
            q = np.mean(h**2, axis=1)
            rows.append([q.mean(), np.mean(h[0] * h[1]) / np.sqrt(q[0] * q[1]), np.mean(tangent**2) / start])
    return np.array(rows)


def _normalised(x: np.ndarray) -> np.ndarray:
    return (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)


def _moved(x: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Return the derivative of the normalised units along t."""
    unit = (x - x.mean()) / x.std()
    return (t - t.mean() - unit * np.mean(unit * t)) / x.std()


def batch_growth(activation: str, settings: Settings) -> np.ndarray:
    """Return the log growth per layer of the squared gradient with batch normalisation, inner layers, (draws,)."""
    rng, found = np.random.default_rng(settings.seed + 1), []
    function, slope = FUNCTIONS[activation]
    size, depth = settings.batch_width, settings.batch_depth
    for _ in range(settings.num_batch_draws):
        h, gradients = rng.normal(size=(settings.batch, size)), []
        weights = rng.normal(size=(depth, size, size)) / np.sqrt(size)
        inputs = []
        for w in weights:
            inputs.append(h)
            h = function((h - h.mean(axis=0)) / h.std(axis=0)) @ w.T
        g = rng.normal(size=h.shape)
        for w, h in zip(weights[::-1], inputs[::-1], strict=True):
            unit, spread = (h - h.mean(axis=0)) / h.std(axis=0), h.std(axis=0)
            g = (g @ w) * slope(unit)
            g = (g - g.mean(axis=0) - unit * np.mean(unit * g, axis=0)) / spread
            gradients.append(np.log(np.mean(g**2)))
        half = depth // 4
        found.append((gradients[-1 - half] - gradients[half]) / (depth - 1 - 2 * half))
    return np.array(found)


def trained(settings: Settings) -> dict[int, np.ndarray]:
    """Return the share of digits that a tanh network gets wrong after training, by depth, (weights,)."""
    from sklearn.datasets import load_digits

    images, digits = map(np.asarray, load_digits(return_X_y=True))
    x = (images - images.mean(axis=0)) / (images.std(axis=0) + 1e-9)
    x = np.asarray(x[:1000] / np.sqrt(np.mean(x[:1000] ** 2)), np.float32)
    labels = np.eye(10, dtype=np.float32)[digits[:1000]]
    rates = np.array([0.01, 0.1], np.float32)
    return {depth: _train(depth, settings, x, labels, rates) for depth in settings.train_depths}


def _train(depth: int, settings: Settings, x: np.ndarray, labels: np.ndarray, rates: np.ndarray) -> np.ndarray:
    width = settings.train_width
    keys = jax.random.split(jax.random.key(settings.seed), 3)
    first = jax.random.normal(keys[0], (x.shape[1], width)) / np.sqrt(x.shape[1])
    hidden = jax.random.normal(keys[1], (depth, width, width)) / np.sqrt(width)
    last = jax.random.normal(keys[2], (width, 10)) / np.sqrt(width)
    noise = jax.random.normal(jax.random.key(settings.seed + 1), (depth, width)) * np.sqrt(0.05)

    def network(p: Any, inputs: jax.Array) -> jax.Array:
        def layer(h: jax.Array, own: Any) -> tuple[jax.Array, None]:
            return jnp.tanh(h) @ own[0] + own[1][None], None

        h, _ = jax.lax.scan(layer, inputs @ p[0], (p[1], p[2]))
        return jnp.tanh(h) @ p[3]

    def loss(p: Any, inputs: jax.Array, targets: jax.Array) -> jax.Array:
        return -jnp.mean(jnp.sum(targets * jax.nn.log_softmax(network(p, inputs)), axis=-1))

    @functools.partial(jax.jit)
    @functools.partial(jax.vmap, in_axes=(0, None))
    @functools.partial(jax.vmap, in_axes=(None, 0))
    def run(weight: jax.Array, rate: jax.Array) -> jax.Array:
        scale = jnp.sqrt(weight)
        begin = (first * scale, hidden * scale, noise, last)

        def step(p: Any, at: jax.Array) -> tuple[Any, None]:
            inputs = jax.lax.dynamic_slice_in_dim(jnp.asarray(x), at, 100)
            slope = jax.grad(loss)(p, inputs, jax.lax.dynamic_slice_in_dim(jnp.asarray(labels), at, 100))
            norm = jnp.sqrt(sum(jnp.sum(jnp.square(one)) for one in slope))
            return jax.tree.map(lambda a, b: a - rate * b / jnp.maximum(norm, 1.0), p, slope), None

        p, _ = jax.lax.scan(step, begin, 100 * (jnp.arange(settings.train_steps) % 10))
        return jnp.mean(jnp.argmax(network(p, jnp.asarray(x)), -1) != jnp.argmax(jnp.asarray(labels), -1))

    weights = jnp.asarray(settings.train_weights, jnp.float32)
    return np.asarray(run(weights, jnp.asarray(rates))).min(axis=1)
