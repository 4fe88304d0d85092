"""Brute force: gradient descent on an explicit matrix X, a plain Python loop.

    h = X W/√d,   g = ∂_h ℓ,   ∂L/∂(row of W) = (1/α) Xᵀ g/√d,   α = n/d realised,

with ℓ = ½(F − y)² and heavy-ball momentum (trace ← μ·trace + gradient, then
parameter ← parameter − η·trace) on both layers. jax.grad differentiates the per-sample
loss and nothing else. The population test error of a run is a Gaussian expectation
given its actual Gram matrix of [W*, W^t], so there is no test set.
"""

from typing import Any, NamedTuple

import jax
import numpy as np

from .gaussian import (
    ApplyHead,
    Array,
    Link,
    gaussian_nodes,
    joint_moment,
    population_error,
    semidefinite_cholesky,
)


class DenseRun(NamedTuple):
    """One training run of T steps; d features, k units."""

    train_error: Array  # (T+1,)
    weights: Array  # (T+1, d, k)
    heads: list[Any]  # T+1 pytrees


class DenseAverages(NamedTuple):
    """Means over runs and their standard errors; every field is (T+1,)."""

    train_error: Array
    train_standard_error: Array
    test_error: Array
    test_standard_error: Array


def train(
    inputs: Array,
    labels: Array,
    weights: Array,
    apply_head: ApplyHead,
    head: Any,
    *,
    learning_rate: float,
    num_steps: int,
    momentum: float = 0.0,
) -> DenseRun:
    """Train the first layer and the head by full-batch gradient descent.

    Args:
        inputs: (n, d) matrix X with entries of unit variance.
        labels: (n,) labels y.
        weights: (d, k) first layer W⁰ with entries O(1).
        apply_head: F, a JAX function (head, h of length k) -> scalar.
        head: initial head θ⁰.
        learning_rate: η.
        num_steps: T.
        momentum: μ.
    """

    def loss(head: Any, h: Any, label: Any) -> Any:
        return 0.5 * (apply_head(head, h) - label) ** 2

    num_samples, num_features = inputs.shape
    root, alpha = np.sqrt(num_features), num_samples / num_features
    trace, head_trace = np.zeros_like(weights), jax.tree.map(np.zeros_like, head)
    errors, all_weights, heads = [], [weights], [head]
    for step in range(num_steps + 1):
        h = inputs @ weights / root
        with jax.enable_x64(True):
            value_and_grad = jax.vmap(jax.value_and_grad(loss, (0, 1)), in_axes=(None, 0, 0))
            losses, (head_gradient, g) = value_and_grad(head, h, labels)
        errors.append(2 * np.asarray(losses).mean())
        if step == num_steps:
            break
        trace = momentum * trace + inputs.T @ np.asarray(g) / (root * alpha)
        head_trace = jax.tree.map(lambda m, dx: momentum * m + np.asarray(dx).mean(axis=0), head_trace, head_gradient)
        weights = weights - learning_rate * trace
        head = jax.tree.map(lambda x, m: np.asarray(x) - learning_rate * m, head, head_trace)
        all_weights.append(weights)
        heads.append(head)
    return DenseRun(np.array(errors), np.stack(all_weights), heads)


def population_errors(
    run: DenseRun,
    teacher_weights: Array,
    apply_head: ApplyHead,
    link: Link,
    *,
    noise_std: float,
    num_nodes: int = 2**12,
    seed: int = 0,
) -> Array:
    """Return the (T+1,) population test errors of a run given its actual weights.

    Args:
        run: result of `train`.
        teacher_weights: (d, r) W*.
        apply_head: F.
        link: noiseless link, z of length r -> scalar.
        noise_std: σ.
        num_nodes: Sobol nodes of the Gaussian expectation.
        seed: seed of the scrambling.
    """
    num_features, num_teacher = teacher_weights.shape
    nodes = gaussian_nodes(num_nodes, num_teacher + run.weights.shape[2], seed=seed)
    errors = []
    for weights, head in zip(run.weights, run.heads, strict=True):
        rows = np.concatenate([teacher_weights, weights], axis=1)
        errors.append(
            population_error(
                apply_head,
                head,
                link,
                rows.T @ rows / num_features,
                nodes,
                num_teacher=num_teacher,
                noise_std=noise_std,
            )
        )
    return np.array(errors)


def draw_weights(rng: np.random.Generator, num_features: int, moment: Array, *, exact_gram: bool) -> Array:
    """Draw (d, r+k) Gaussian rows (w*, w⁰) of second moment `moment`.

    Args:
        rng: random generator.
        num_features: d.
        moment: (r+k, r+k) second moment.
        exact_gram: rotate the draw so that its realised Gram matrix is `moment`.
    """
    normals = rng.standard_normal((num_features, len(moment)))
    if exact_gram:
        normals = np.sqrt(num_features) * np.linalg.qr(normals)[0]
    return normals @ semidefinite_cholesky(moment).T


def average_runs(
    apply_head: ApplyHead,
    head: Any,
    link: Link,
    *,
    num_samples: int,
    num_features: int,
    num_runs: int,
    learning_rate: float,
    noise_std: float,
    num_steps: int,
    second_moment: Array,
    teacher_overlap: Array,
    teacher_second_moment: Array,
    momentum: float = 0.0,
    exact_gram: bool = True,
    seed: int = 0,
) -> DenseAverages:
    """Average independent runs with fresh Gaussian X, W*, W⁰ and label noise.

    Args:
        apply_head: F.
        head: initial head θ⁰, the same in every run.
        link: noiseless link φ; labels are φ(z) + σξ.
        num_samples: n.
        num_features: d.
        num_runs: number of runs.
        learning_rate: η.
        noise_std: σ.
        num_steps: T.
        second_moment: (k, k) E[w⁰ w⁰ᵀ].
        teacher_overlap: (k, r) E[w⁰ w*ᵀ].
        teacher_second_moment: (r, r) E[w* w*ᵀ].
        momentum: μ.
        exact_gram: fix the realised Gram matrix of [W*, W⁰] in every run.
        seed: seed of all draws.
    """
    rng = np.random.default_rng(seed)
    num_teacher = teacher_overlap.shape[1]
    moment = joint_moment(teacher_second_moment, teacher_overlap, second_moment)
    train_errors, test_errors = [], []
    for _ in range(num_runs):
        rows = draw_weights(rng, num_features, moment, exact_gram=exact_gram)
        teacher, weights = rows[:, :num_teacher], rows[:, num_teacher:]
        inputs = rng.standard_normal((num_samples, num_features))
        with jax.enable_x64(True):
            signal = np.asarray(jax.vmap(link)(inputs @ teacher / np.sqrt(num_features)))
        run = train(
            inputs,
            signal + noise_std * rng.standard_normal(num_samples),
            weights,
            apply_head,
            head,
            learning_rate=learning_rate,
            num_steps=num_steps,
            momentum=momentum,
        )
        train_errors.append(run.train_error)
        test_errors.append(population_errors(run, teacher, apply_head, link, noise_std=noise_std))
    return DenseAverages(*_mean_and_error(train_errors), *_mean_and_error(test_errors))


def _mean_and_error(samples: list[Array]) -> tuple[Array, Array]:
    """Return the mean over runs and its standard error."""
    values = np.stack(samples)
    return values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(len(values))
