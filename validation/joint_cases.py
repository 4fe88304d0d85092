"""One problem in three theories, for `joint_picture`: few units, infinite width on drawn data, the tangent kernel."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from scipy.stats import norm

import dyntheory as dt
from dyntheory import kernels

NAMES = ("train_error", "test_error")
Errors = np.ndarray  # (2, T+1): train and test error


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run.

    Args:
        samples_per_feature: n/d.
        noise_std: σ.
        learning_rate: η.
        num_steps: T.
        widths: k of `dyntheory.predict`; the last three are extrapolated.
        unit_nodes: of the same.
        sizes: d of the drawn data.
        num_draws: of each size.
        num_lazy_draws: draws of each size on which only the kernel is trained.
        lazy_sizes: d of the kernel's own limit.
        num_tests: test inputs of a draw.
        num_nodes: of predictions on drawn data; None is their default.
        drop_below: of the same.
        seed: decides nodes and data.
    """

    samples_per_feature: float = 2.0
    noise_std: float = 0.3
    learning_rate: float = 1.0
    num_steps: int = 8
    widths: tuple[int, ...] = (2, 4, 8, 16)
    unit_nodes: int = 2**14
    sizes: tuple[int, ...] = (8, 16, 32, 64)
    num_draws: tuple[int, ...] = (32, 24, 24, 12)
    num_lazy_draws: int = 200
    lazy_sizes: tuple[int, ...] = (64, 128, 256)
    num_tests: int = 128
    num_nodes: int | None = None
    drop_below: float = 3e-2
    seed: int = 1


class Data(NamedTuple):
    """Inputs and labels; test labels are without noise."""

    inputs: np.ndarray
    labels: np.ndarray
    test_inputs: np.ndarray
    test_labels: np.ndarray


def draw_data(settings: Settings, num_features: int, number: int) -> Data:
    """Return Gaussian inputs and labels sin(z) + σ ξ of a teacher of length √d."""
    random = np.random.default_rng([settings.seed, num_features, number])
    count = round(settings.samples_per_feature * num_features)
    inputs = random.standard_normal((count, num_features))
    noise = settings.noise_std * random.standard_normal(count)
    tests = random.standard_normal((settings.num_tests, num_features))
    return Data(inputs, np.sin(inputs[:, 0]) + noise, tests, np.sin(tests[:, 0]))


def of_units(settings: Settings, k: int) -> tuple[Errors, Errors]:
    """Return what `dyntheory.predict` says of k units in mean-field scaling, with its numerical errors.

    A = k a are normal quantiles of variance one, the rates kη on W and η/k on a.
    """
    quantiles = norm.ppf((np.arange(k) + 0.5) / k)
    quantiles /= np.sqrt(np.mean(quantiles**2))
    network = dt.MLP((k,), "erf", initialization="mean_field")
    rates = dt.hyperparameters_at_width(optax.sgd, from_width=1, to_width=k, learning_rate=settings.learning_rate)
    head = jax.tree.map(lambda leaf: (quantiles / k).reshape(leaf.shape), network.init_head(jax.random.key(0)))
    found = dt.predict(
        dt.TeacherStudent(settings.samples_per_feature, link="sin", noise_std=settings.noise_std),
        dt.gradient_descent(network, optax.sgd, **rates),
        num_steps=settings.num_steps,
        head=head,
        num_nodes=settings.unit_nodes,
        keep_preactivations=False,
        key=jax.random.key(settings.seed),
    )
    errors: Any = found.standard_error
    return np.stack([getattr(found, name) for name in NAMES]), np.stack([getattr(errors, name) for name in NAMES])


def on_data(settings: Settings, data: Data, number: int) -> Errors:
    """Return what `dyntheory.wide.predict` says of infinitely many units on these data.

    Of W the rate is η d, of a it is η, with γ₀ = 1: those of the standard parametrisation at the width one.
    """
    found = dt.wide.predict(
        dt.WideNetwork(1, "erf", parametrisation="standard", width=1),
        *data,
        num_steps=settings.num_steps,
        learning_rate=settings.learning_rate,
        num_nodes=settings.num_nodes,
        drop_below=settings.drop_below,
        keep_kernels=False,
        key=jax.random.fold_in(jax.random.key(settings.seed), number),
    )
    assert found.train_error is not None and found.test_error is not None
    return np.stack([found.train_error, found.test_error + settings.noise_std**2])


def lazily(settings: Settings, data: Data) -> Errors:
    """Return what the tangent kernel at the start says, the first layer's part times d."""
    layer = kernels.serial(kernels.dense(1), kernels.erf(), kernels.dense(1))
    every, count = np.concatenate([data.inputs, data.test_inputs]), len(data.inputs)
    found = layer.kernel(every)
    readout: Any = np.asarray(found.nngp)
    tangent: Any = readout + data.inputs.shape[1] * (np.asarray(found.ntk) - readout)
    both = kernels.Kernels(readout[:count, :count], tangent[:count, :count])
    cross = kernels.Kernels(readout[count:, :count], tangent[count:, :count])
    trained = kernels.train(both, data.labels, learning_rate=settings.learning_rate)
    steps = np.arange(settings.num_steps + 1)
    on_inputs, on_tests = (
        np.asarray(trained.predict(step=steps).mean),
        np.asarray(trained.predict(cross, step=steps).mean),
    )
    return np.stack(
        [
            np.mean((on_inputs - data.labels) ** 2, axis=1),
            np.mean((on_tests - data.test_labels) ** 2, axis=1) + settings.noise_std**2,
        ]
    )
