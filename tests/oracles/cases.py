"""Networks, links, moments and cached solutions shared by the tests of the oracles."""

from functools import cache
from typing import Any

import jax.numpy as jnp
import numpy as np

from . import dense_loop, two_time
from .gaussian import Array

FIELDS = ("train_error", "test_error", "weight_overlap", "teacher_overlap")
ALPHAS = (0.6, 1.0, 2.0)


def tanh_head(head: Array, h: Any) -> Any:
    """Two layers, tanh."""
    return jnp.tanh(h) @ head


def relu_head(head: Array, h: Any) -> Any:
    """Two layers, ReLU."""
    return jnp.maximum(h, 0.0) @ head


def linear_head(head: list[Array], h: Any) -> Any:
    """Any number of linear layers."""
    for matrix in head:
        h = matrix @ h
    return h[0]


def bent_link(z: Any) -> Any:
    """z + ½ sin 2z, the link of theory.md §10."""
    return z[0] + 0.5 * jnp.sin(2 * z[0])


def linear_link(z: Any) -> Any:
    """Two teacher directions, linear."""
    return z @ jnp.asarray(SLOPE)


def correlated_moments(units: int, directions: int, seed: int) -> dict[str, Any]:
    """Return generic second moments, w⁰ correlated with w*."""
    draws = np.random.default_rng(seed).normal(size=(units + directions, 9))
    moment = draws @ draws.T / 9
    return {
        "teacher_second_moment": moment[:directions, :directions],
        "teacher_overlap": moment[directions:, :directions],
        "second_moment": moment[directions:, directions:],
    }


SLOPE = np.array([1.0, -0.4])
DEEP_HEAD = [np.array([[0.4, -0.3, 0.2], [0.1, 0.5, -0.6]]), np.array([[0.7, -0.5]])]
DEEP = {"learning_rate": 0.2, "noise_std": 0.3, **correlated_moments(3, 2, seed=1)}
PLAIN = {
    "second_moment": np.eye(3),
    "teacher_overlap": np.zeros((3, 1)),
    "teacher_second_moment": np.eye(1),
}
TWO_LAYERS = np.array([0.9, -0.6, 0.5])
NETWORK = {"learning_rate": 0.5, "noise_std": 0.3, "num_steps": 8, **PLAIN}


def distance(left: Any, right: Any) -> float:
    """Return the largest difference over the order parameters and errors."""
    return max(float(np.abs(getattr(left, f) - getattr(right, f)).max()) for f in FIELDS)


@cache
def solved(*, kink: bool, use_dirac: bool) -> two_time.TwoTime:
    """Solve the two-layer network at α = 2 once per choice of activation and responses."""
    apply_head = relu_head if kink else tanh_head
    return two_time.solve(apply_head, TWO_LAYERS, bent_link, alpha=2.0, use_dirac=use_dirac, **NETWORK)


@cache
def simulated(*, kink: bool) -> dense_loop.DenseAverages:
    """Average 32 dense runs of the same network, n = 1200, d = 600."""
    return dense_loop.average_runs(
        relu_head if kink else tanh_head,
        TWO_LAYERS,
        bent_link,
        num_samples=1200,
        num_features=600,
        num_runs=32,
        seed=5,
        **NETWORK,
    )


def scores(theory: two_time.TwoTime, runs: dense_loop.DenseAverages) -> Array:
    """Return the z-scores of theory, train then test; the test error at 0 is not random."""
    return np.concatenate(
        [
            (theory.train_error - runs.train_error) / runs.train_standard_error,
            (theory.test_error - runs.test_error)[1:] / runs.test_standard_error[1:],
        ]
    )
