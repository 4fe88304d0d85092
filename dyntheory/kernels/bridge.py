"""The same problem as state evolution and as kernel: how far is a narrow network from lazy training?

The output of a network is multiplied by A and the learning rate divided by A². As A grows parameters move by 1/A and
the network becomes its linearisation around the start; at A = 1 it is the network itself. A start that vanishes, two
copies of the network with opposite outputs, makes the limit exist: f_A = A (u(θ₁) − u(θ₂)), θ₁ = θ₂ at the start.

    network = ScaledNetwork(MLP((2 * k,)), scale=A)
    head, first_layer = mirrored_start(network, key)
    predict(law, gradient_descent(network, learning_rate=eta / A**2), head=head, first_layer=first_layer, …)
    tangent_prediction(law, network, head, learning_rate=eta, …)          # its limit A → ∞

Reference: `chizat2019lazy` for the scaling and the doubling.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import Array, ArrayLike, Key, Number, PyTree
from dyntheory.ground.checks import check_count, check_positive, is_concrete
from dyntheory.ground.kinds import check_arguments, check_fields
from dyntheory.ground.linear_algebra import rank_aware_cholesky
from dyntheory.ground.precision import double_precision, to_numpy
from dyntheory.kernels.empirical import empirical_ntk
from dyntheory.kernels.training import train
from dyntheory.problem.laws.first_layer import FirstLayer
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.networks.network import MLP, Network


@dataclasses.dataclass(frozen=True)
class ScaledNetwork:
    """A network whose output is multiplied by `scale`; with learning rate η/scale² it turns lazy as the scale grows.

    Args:
        network: what is scaled.
        scale: A, positive.

    Raises:
        ValueError: a scale that is not positive.
    """

    network: Network
    scale: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self)
        check_positive("scale", self.scale)

    @property
    def num_units(self) -> int:
        """First-layer width k."""
        return self.network.num_units

    @property
    def smooth(self) -> bool | None:
        """Whether the output is smooth in the preactivation."""
        return self.network.smooth

    def init_head(self, key: Key) -> PyTree:
        """Draw the head."""
        return self.network.init_head(key)

    def apply_head(self, head: PyTree, preactivation: Array) -> Array:
        """Return A F(θ, h)."""
        return self.scale * self.network.apply_head(head, preactivation)


class TangentRuns(NamedTuple):
    """Mean squared errors of the linearised network, one run a row: shape (R, T+1); labels' noise in both."""

    train_error: np.ndarray
    test_error: np.ndarray


def mirrored_start(network: MLP, key: Key) -> tuple[PyTree, FirstLayer]:
    """Return head and first layer of a network that vanishes at the start, for any input.

    It consists of two copies of a network of half the width with opposite outputs: rows of the first layer come twice,
    weights between hidden layers are block diagonal, and the output is divided by √2. The zeros beside the blocks are
    trained as well.

    Raises:
        ValueError: a linear model, or a hidden layer with an odd number of units.
    """
    check_arguments(mirrored_start, locals())
    if not network.hidden or any(width % 2 for width in network.hidden):
        raise ValueError(
            f"A mirrored start needs hidden layers, each with an even number of units, got {list(network.hidden)}."
        )
    with double_precision():
        head = {name: dict(layer) for name, layer in network.init_head(key).items()}
        for index in range(2, network.num_layers + 1):
            weights, is_last = jnp.asarray(head[f"layer_{index}"]["weights"], float), index == network.num_layers
            num_out, num_in = weights.shape if is_last else (weights.shape[0] // 2, weights.shape[1])
            block = weights[:num_out, : num_in // 2]
            # Weights were drawn for twice as many inputs as a block has.
            doubled = jnp.concatenate([block, -block], axis=1) if is_last else jnp.kron(2**0.5 * jnp.eye(2), block)
            head[f"layer_{index}"]["weights"] = doubled
        head = to_numpy(head)
    return head, FirstLayer(second_moment=np.kron(np.ones((2, 2)), np.eye(network.num_units // 2)))


def tangent_prediction(
    law: TeacherStudent,
    network: Network,
    head: PyTree,
    *,
    learning_rate: float,
    num_steps: int,
    num_features: int,
    num_runs: int,
    key: Key,
    first_layer: FirstLayer | None = None,
    num_test: int = 1000,
) -> TangentRuns:
    """Train the linearisation of a network on the problem of `predict` and `simulate`: the prediction of its NTK.

    Every run draws inputs, teacher, labels and first layer anew; the head is the same. The kernel is that of the flax
    kernel K = W/√d and of the head, so that the learning rate is the one of `gradient_descent`.

    Args:
        law: what the data are; noise must be additive, as in `TeacherStudent`.
        network: two layers or more, one output, at its own scale (A = 1).
        head: the head at the start.
        learning_rate: η of A = 1.
        num_steps: T.
        num_features: d; n is α d, rounded.
        num_runs: R.
        key: of the data.
        first_layer: second moments of the start; default identity and zero.
        num_test: fresh rows of the test error, taken without noise, whose variance is added.

    Returns:
        Errors of every run at the steps 0..T.

    Raises:
        ValueError: several outputs, a teacher overlap, correlated features, or a count below one.
    """
    check_arguments(tangent_prediction, locals())
    num_features, num_runs = check_count("num_features", num_features), check_count("num_runs", num_runs)
    num_test, num_steps = check_count("num_test", num_test), check_count("num_steps", num_steps, minimum=0)
    check_positive("learning_rate", learning_rate)
    if law.num_outputs != 1 or (first_layer is not None and first_layer.teacher_overlap is not None):
        raise ValueError("A tangent prediction needs one output and a first layer independent of the teacher.")
    if law.features is not None:
        raise ValueError("A tangent prediction takes independent features, and this law has `features`.")
    with double_precision():
        moment = None if first_layer is None else first_layer.second_moment
        moment = jnp.eye(network.num_units) if moment is None else jnp.asarray(moment, float)
        setup = _Setup(law, network, num_features, num_test, learning_rate, num_steps)
        runs = [_run(setup, head, moment, one) for one in jax.random.split(key, num_runs)]
    return TangentRuns(*(np.stack([np.asarray(run[i]) for run in runs]) for i in range(2)))


class _Setup(NamedTuple):
    """What all runs share."""

    law: TeacherStudent
    network: Network
    num_features: int
    num_test: int
    learning_rate: Number
    num_steps: int


def _run(setup: _Setup, head: PyTree, moment: Array, key: Key) -> tuple[Array, Array]:
    """Return train and test error of one draw of data and start."""
    law, d, network = setup.law, setup.num_features, setup.network
    n = max(1, round(_number(law.samples_per_feature) * d))
    keys = jax.random.split(key, 4)
    inputs = jax.random.normal(keys[0], (n + setup.num_test, d), float)
    teacher = jax.random.normal(keys[1], (d, law.num_teacher_units), float) @ rank_aware_cholesky(law.teacher_moment).T
    weights = jax.random.normal(keys[2], (d, network.num_units), float) @ rank_aware_cholesky(moment).T
    hidden = inputs @ teacher / jnp.sqrt(d)
    clean = jax.vmap(law.clean_label)(hidden).reshape(-1)
    labels = clean[:n] + law.noise_std * jax.random.normal(keys[3], (n,), float)
    params = {"kernel": weights / jnp.sqrt(d), "head": jax.tree.map(lambda leaf: jnp.asarray(leaf, float), head)}

    def apply(params: PyTree, rows: Array) -> Array:
        return jax.vmap(lambda h: network.apply_head(params["head"], h))(rows @ params["kernel"])

    kernel = empirical_ntk(apply, params, inputs, inputs[:n])
    start = apply(params, inputs)
    run = train(kernel[:n], labels, learning_rate=setup.learning_rate, initial=start[:n])
    steps = jnp.arange(setup.num_steps + 1)
    fitted = run.predict(step=steps).mean
    predicted = run.predict(kernel[n:], step=steps, initial=start[n:]).mean
    train_error = jnp.mean((fitted - labels[None]) ** 2, axis=1)
    return train_error, jnp.mean((predicted - clean[None, n:]) ** 2, axis=1) + law.noise_std**2


def _number(value: ArrayLike) -> float:
    if not is_concrete(value):
        raise ValueError("`samples_per_feature` must be a number here, not a traced value.")
    return float(np.asarray(value))
