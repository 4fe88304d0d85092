"""Randomness in the sample map of any method: mini-batches, fresh label noise, dropout of preactivations.

Each wraps a method and asks for uniforms u, new for every row and step, which the matrix supplies: drawn in a
simulation, further node coordinates in the limit. A perturbation sees (h, y) before the method does and scales what the
method sends back; g by one factor, the row's contribution to the mean statistics (the head's gradient) by another.
Recorded curves are those of the network itself: no dropout, no noise, all samples.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri

from dyntheory.ground.arrays import Array, Number, PyTree
from dyntheory.ground.checks import check_count, check_finite, check_nonnegative, check_scalar, is_concrete
from dyntheory.ground.derivatives import DIFFERENCES, refusing
from dyntheory.ground.kinds import check_arguments
from dyntheory.problem.methods.contract import check_method
from dyntheory.problem.methods.method import GeneralFirstOrderMethod

WHOLE_TOLERANCE = 1e-9
PROBABILITIES = {"fraction": "`fraction` of mini_batches", "rate": "`rate` of dropout"}


def mini_batches(
    method: GeneralFirstOrderMethod, fraction: Number, *, replacement: bool = True
) -> GeneralFirstOrderMethod:
    """Train on a random part of the samples at every step.

    With replacement every sample is in the batch with probability b = `fraction`, independently at every step. Without,
    every epoch of 1/b steps deals the samples at random into 1/b batches, so each is used once an epoch. Gradients are
    divided by b: the learning rate is that of a mean over the batch.

    Scaling:
        A batch is a fixed fraction of the n samples, n → ∞; the epoch of a simulation deals every sample by itself, so
        that batch sizes fluctuate by O(√n).

    Args:
        method: any method.
        fraction: b in (0, 1]; data with replacement, else 1/b must be an integer. Derivatives in it are refused:
            `dyntheory.sensitivity` has them.
        replacement: whether steps choose independently.

    Raises:
        TypeError: not a method or not a number.
        ValueError: a fraction outside (0, 1], or one that does not divide an epoch.

    Example:
        >>> import optax, dyntheory as dt
        >>> full = dt.gradient_descent(dt.MLP(hidden=(3,)), optax.sgd, learning_rate=0.5)
        >>> dt.mini_batches(full, 0.25).sample_noise
        1

    Reference: `mignacco2020dynamical` for mini-batches in this limit.
    """
    check_arguments(mini_batches, locals())
    check_method(method)
    check_scalar("fraction", fraction)
    check_finite("fraction", fraction)
    if is_concrete(fraction) and not 0 < float(fraction) <= 1:
        raise ValueError(f"`fraction` must be in (0, 1], it is a part of the samples, got {fraction}.")
    if replacement:
        return _perturbed(method, _BERNOULLI, {"fraction": fraction}, "mini-batches with replacement")
    if not is_concrete(fraction):
        raise TypeError("`fraction` must be a plain number with replacement=False: it sets the length of an epoch.")
    count = round(1 / float(fraction))
    if abs(count * float(fraction) - 1) > WHOLE_TOLERANCE:
        raise ValueError(f"`fraction` must be one over an integer without replacement, got {fraction}.")
    return _perturbed(method, _epochs(count), {}, f"mini-batches of 1/{count} without replacement")


def label_noise(method: GeneralFirstOrderMethod, std: Number, *, num_outputs: int = 1) -> GeneralFirstOrderMethod:
    """Add fresh Gaussian noise to the labels at every step.

    Args:
        method: any method.
        std: standard deviation s of the noise, zero or positive; data.
        num_outputs: numbers in one label.

    Raises:
        TypeError: not a method or not a number.
        ValueError: a negative number.
    """
    check_arguments(label_noise, locals())
    check_method(method)
    check_scalar("std", std)
    check_nonnegative("std", std)
    check_finite("std", std)
    return _perturbed(method, _noisy_labels(check_count("num_outputs", num_outputs)), {"std": std}, "label noise")


def dropout(method: GeneralFirstOrderMethod, rate: Number) -> GeneralFirstOrderMethod:
    """Set each preactivation of the first layer to zero with probability `rate` at every step, scale up the others.

    Args:
        method: any method whose g is the gradient in the preactivation.
        rate: in [0, 1); data. Derivatives in it are refused: `dyntheory.sensitivity` has them.

    Raises:
        TypeError: not a method or not a number.
        ValueError: a rate outside [0, 1).

    Reference: `srivastava2014dropout`, with the factor 1/(1 − rate) during training.
    """
    check_arguments(dropout, locals())
    check_method(method)
    check_scalar("rate", rate)
    check_finite("rate", rate)
    if is_concrete(rate) and not 0 <= float(rate) < 1:
        raise ValueError(f"`rate` must be in [0, 1), it is the part that is dropped, got {rate}.")
    return _perturbed(method, _dropout(method.num_units), {"rate": rate}, "dropout")


class Perturbed(NamedTuple):
    """What a perturbation makes of one row."""

    state: PyTree
    preactivation: Array
    label: Array
    residual_factor: Array
    stats_factor: Array


@dataclasses.dataclass(frozen=True)
class _Perturbation:
    """A row-wise perturbation: `apply(state, h, label, u, numbers)`, one state for every row."""

    num_uniforms: int
    init: Callable[[], PyTree]
    apply: Callable[..., Perturbed]


def _bernoulli(state: PyTree, h: Array, label: Array, u: Array, numbers: PyTree) -> Perturbed:
    """Scale what a sample sends back; samples are in the batch where u is below the fraction."""
    factor = jnp.where(u[0] < numbers["fraction"], 1.0 / numbers["fraction"], 0.0)
    return Perturbed(state, h, label, factor, factor)


_BERNOULLI = _Perturbation(1, lambda: (), _bernoulli)


@functools.cache
def _epochs(count: int) -> _Perturbation:
    """Return batches without replacement: the row's batch of this epoch and the step within it are its state."""

    def apply(state: PyTree, h: Array, label: Array, u: Array, numbers: PyTree) -> Perturbed:
        del numbers
        step, batch = state
        batch = jnp.where(step == 0, jnp.floor(u[0] * count), batch)
        factor = jnp.where(batch == step, 1.0 * count, 0.0)
        return Perturbed(((step + 1) % count, batch), h, label, factor, factor)

    return _Perturbation(1, lambda: (jnp.zeros(()), jnp.zeros(())), apply)


@functools.cache
def _noisy_labels(num_outputs: int) -> _Perturbation:
    def apply(state: PyTree, h: Array, label: Array, u: Array, numbers: PyTree) -> Perturbed:
        if label.size != num_outputs:
            raise ValueError(f"`num_outputs` of label_noise must be {label.size}, the labels' size, got {num_outputs}.")
        one = jnp.ones(())
        return Perturbed(state, h, label + numbers["std"] * jnp.reshape(ndtri(u), label.shape), one, one)

    return _Perturbation(num_outputs, lambda: (), apply)


@functools.cache
def _dropout(num_units: int) -> _Perturbation:
    def apply(state: PyTree, h: Array, label: Array, u: Array, numbers: PyTree) -> Perturbed:
        factor = jnp.where(u < numbers["rate"], 0.0, 1.0 / (1.0 - numbers["rate"]))
        return Perturbed(state, factor * h, label, factor, jnp.ones(()))

    return _Perturbation(num_units, lambda: (), apply)


@dataclasses.dataclass(frozen=True, eq=False)
class _Maps:
    """The maps of a method behind a perturbation; `base` has no numbers."""

    base: GeneralFirstOrderMethod
    perturbation: _Perturbation

    def init_shared(self, head: PyTree, samples_per_feature: Array, hyperparameters: PyTree) -> PyTree:
        """Return the method's shared value beside the numbers of the perturbation."""
        numbers = {
            name: _held_fixed(name, jnp.asarray(number, dtype=float))
            for name, number in hyperparameters["perturbation"].items()
        }
        return {
            "method": self.base.init_shared(head, samples_per_feature, hyperparameters["method"]),
            "numbers": numbers,
        }

    def init_sample(self, label: Array, shared: PyTree) -> PyTree:
        """Return the method's state beside that of the perturbation."""
        return self.base.init_sample(label, shared["method"]), self.perturbation.init()

    def init_feature(self, row: Array, shared: PyTree) -> PyTree:
        """Return the method's state."""
        return self.base.init_feature(row, shared["method"])

    def sample_map(
        self, state: PyTree, h: Array, label: Array, shared: PyTree, u: Array
    ) -> tuple[PyTree, Array, PyTree]:
        """Perturb the row, ask the method, scale its answers."""
        own, rest = u[: self.perturbation.num_uniforms], u[self.perturbation.num_uniforms :]
        row = self.perturbation.apply(state[1], h, label, own, shared["numbers"])
        inner, g, stats = self.base.sample_map(state[0], row.preactivation, row.label, shared["method"], rest)
        stats = jax.tree.map(lambda leaf: row.stats_factor * leaf, stats)
        return (inner, row.state), row.residual_factor * g, stats

    def after_samples(self, shared: PyTree, mean_stats: PyTree) -> PyTree:
        """Return the method's shared value after its mean statistics."""
        return {**shared, "method": self.base.after_samples(shared["method"], mean_stats)}

    def feature_map(self, state: PyTree, p: Array, shared: PyTree, u: Array) -> tuple[PyTree, Array, PyTree]:
        """Apply the method's feature map."""
        return self.base.feature_map(state, p, shared["method"], u)

    def after_features(self, shared: PyTree, mean_stats: PyTree) -> PyTree:
        """Return the method's shared value after the statistics of the features."""
        return {**shared, "method": self.base.after_features(shared["method"], mean_stats)}

    def head_of(self, shared: PyTree) -> PyTree:
        """Return the method's head."""
        return self.base.head_of(shared["method"])


def _held_fixed(name: str, number: Array) -> Array:
    """Return a number of a perturbation; a probability that uniforms are compared with refuses to be differentiated."""
    if name not in PROBABILITIES:
        return number
    return refusing(
        f"A prediction cannot be differentiated in {PROBABILITIES[name]}: it is a probability, a node is in or out, "
        "and a derivative along fixed nodes misses those that change sides. Hold it fixed and differentiate in the "
        f"other numbers only; {DIFFERENCES}",
        number,
    )


def _perturbed(
    method: GeneralFirstOrderMethod, perturbation: _Perturbation, numbers: dict[str, Any], description: str
) -> GeneralFirstOrderMethod:
    structure = jax.tree.structure(dataclasses.replace(method, hyperparameters={}))
    template = _template(structure, perturbation, description)
    return dataclasses.replace(template, hyperparameters={"method": method.hyperparameters, "perturbation": numbers})


@functools.cache
def _template(structure: Any, perturbation: _Perturbation, description: str) -> GeneralFirstOrderMethod:
    """Return the method without its numbers: the same functions for the same problem, so nothing recompiles."""
    base: GeneralFirstOrderMethod = jax.tree.unflatten(structure, [])
    maps = _Maps(base, perturbation)
    return dataclasses.replace(
        base,
        name=f"{base.name}, {description}",
        init_shared=maps.init_shared,
        init_sample=maps.init_sample,
        init_feature=maps.init_feature,
        sample_map=maps.sample_map,
        feature_map=maps.feature_map,
        head_of=maps.head_of,
        after_samples=maps.after_samples,
        after_features=maps.after_features,
        sample_noise=base.sample_noise + perturbation.num_uniforms,
        is_in_theorem=False,
        description=f"{base.description or base.name}, {description}",
    )
