"""One contract over a registry of methods, networks and laws: predicted, simulated, compared by the same three verbs.

Adding a method, a network or a law adds a row.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx

import dyntheory as dt


class Residual(linen.Module):
    """LayerNorm, a residual block and a readout on the preactivations."""

    @linen.compact
    def __call__(self, preactivation: jax.Array) -> jax.Array:
        signal = jnp.tanh(preactivation)
        signal = signal + linen.Dense(3)(jnp.tanh(linen.Dense(4)(linen.LayerNorm()(signal))))
        return linen.Dense(1)(signal)


class Stacked(nnx.Module):
    """Two layers on the preactivations."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.inner = nnx.Linear(3, 4, rngs=rngs)
        self.readout = nnx.Linear(4, 1, rngs=rngs)

    def __call__(self, preactivation: jax.Array) -> jax.Array:
        return self.readout(jnp.tanh(self.inner(jnp.tanh(preactivation))))


def _decayed(learning_rate: Any, decay: Any) -> optax.GradientTransformation:
    return optax.chain(optax.add_decayed_weights(decay), optax.sgd(learning_rate))


NETWORKS: dict[str, Callable[[], Any]] = {
    "linear model": dt.LinearModel,
    "one unit": lambda: dt.MLP((1,), "erf"),
    "two layers": lambda: dt.MLP((3,), "tanh"),
    "biases": lambda: dt.MLP((2, 3), "gelu", use_bias=True),
    "he": lambda: dt.MLP((3,), "relu", initialization="he"),
    "mean field": lambda: dt.MLP((4,), "sigmoid", initialization="mean_field"),
    "sign": lambda: dt.MLP((3,), "sign"),
    "five layers": lambda: dt.MLP((2, 3, 3, 2), "leaky_relu"),
    "linen": lambda: dt.FlaxNetwork(Residual(), 3),
    "nnx factory": lambda: dt.FlaxNetwork(Stacked, 3, smooth=True),
    "nnx module": lambda: dt.FlaxNetwork(Stacked(nnx.Rngs(0)), 3),
}


def _descent(optimizer: Any = optax.sgd, **numbers: Any) -> Callable[[Any], dt.GeneralFirstOrderMethod]:
    return lambda network: dt.gradient_descent(network, optimizer, **numbers)


def _sgd(network: Any) -> dt.GeneralFirstOrderMethod:
    return dt.gradient_descent(network, optax.sgd, learning_rate=0.3)


METHODS: dict[str, Callable[[Any], dt.GeneralFirstOrderMethod]] = {
    "sgd": _sgd,
    "momentum": _descent(learning_rate=0.1, momentum=0.8),
    "nesterov": _descent(learning_rate=0.1, momentum=0.8, nesterov=True),
    "decay": _descent(_decayed, learning_rate=0.3, decay=0.2),
    "schedule": _descent(learning_rate=optax.cosine_decay_schedule(0.4, 4)),
    "ready": _descent(optax.sgd(0.3, momentum=0.5)),
    "frozen head": _descent(learning_rate=0.3, head_optimizer=optax.set_to_zero()),
    "adam head": _descent(learning_rate=0.3, head_optimizer=optax.adam, head_learning_rate=0.05),
    "adam": _descent(optax.adam, learning_rate=0.05),
    "sign": _descent(optax.sign_sgd, learning_rate=0.05),
    "clipped": _descent(optax.chain(optax.clip(0.5), optax.sgd(0.3))),
    "lion": _descent(optax.lion, learning_rate=0.05, weight_decay=0.1),
    "mini-batches": lambda network: dt.mini_batches(_sgd(network), 0.4),
    "epochs": lambda network: dt.mini_batches(_sgd(network), 0.5, replacement=False),
    "label noise": lambda network: dt.label_noise(_sgd(network), 0.3),
    "dropout": lambda network: dt.dropout(_sgd(network), 0.2),
}
LAWS: dict[str, dt.TeacherStudent] = {
    "sin": dt.TeacherStudent(2.0, "sin", 0.3),
    "few samples": dt.TeacherStudent(0.4, "tanh", 0.0),
    "sign": dt.TeacherStudent(1.0, "sign", 0.1),
    "two directions": dt.TeacherStudent(1.5, "relu", 0.2, teacher_second_moment=[[1.0, 0.3], [0.3, 2.0]]),
    "product": dt.TeacherStudent(3.0, lambda z: z[0] * z[1], 0.2, teacher_second_moment=np.eye(2)),
    "hermite": dt.TeacherStudent(2.0, "hermite3", 0.2),
}
SIZE = max(len(NETWORKS), len(METHODS), len(LAWS))
TRIPLES = [
    (list(NETWORKS)[i % len(NETWORKS)], list(METHODS)[i % len(METHODS)], list(LAWS)[i % len(LAWS)]) for i in range(SIZE)
]
ALL = [(n, m, law) for n in NETWORKS for m in METHODS for law in LAWS if (n, m, law) not in TRIPLES]


def _check(network: str, method: str, law: str) -> None:
    problem = METHODS[method](NETWORKS[network]())
    options: dict[str, Any] = {"num_steps": 3, "key": jax.random.key(8)}
    theory = dt.predict(LAWS[law], problem, num_nodes=2**12, **options)
    runs = dt.simulate(LAWS[law], problem, num_features=120, num_runs=12, **options)
    assert dt.compare(theory, runs, allowance=0.1).verdict != "disagree"
    ours, theirs = (jax.tree.map(np.shape, _fields(result)) for result in (theory, runs))
    assert ours == theirs
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(_fields(theory)))


def _fields(result: dt.Trajectory) -> dict[str, Any]:
    names = ("train_loss", "test_loss", "train_error", "test_error", "teacher_overlap", "weight_overlap", "head")
    return {name: getattr(result, name) for name in names}


@pytest.mark.parametrize(("network", "method", "law"), TRIPLES)
def test_every_row_is_predicted_and_simulated(network: str, method: str, law: str) -> None:
    _check(network, method, law)


@pytest.mark.full
@pytest.mark.parametrize(("network", "method", "law"), ALL)
def test_the_cross_product_is_predicted_and_simulated(network: str, method: str, law: str) -> None:
    _check(network, method, law)


def test_the_outputs_may_be_several(key: jax.Array) -> None:
    law = dt.TeacherStudent(1.5, lambda z: jnp.stack([jnp.sin(z), z**2]), 0.2)
    method = dt.gradient_descent(dt.MLP((4,), "gelu", num_outputs=2), learning_rate=0.2)
    theory = dt.predict(law, method, num_steps=3, key=key, num_nodes=2**12)
    runs = dt.simulate(law, method, num_steps=3, num_features=150, num_runs=12, key=key)
    assert dt.compare(theory, runs).verdict != "disagree"
