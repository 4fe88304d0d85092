"""Problems of the tests of this folder."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import dyntheory as dt

KEY = jax.random.key(5)
PHYSICS = dt.online.scaled_erf()


def committee_head(k: int) -> dict[str, Any]:
    """A head of ones."""
    return {"layer_2": {"weights": np.ones((1, k))}}


def law_of(activation: Any, r: int, noise: float = 0.0) -> dt.TeacherStudent:
    """A committee of r orthonormal units."""
    return dt.TeacherStudent(1.0, dt.online.committee(activation, np.ones(r)), noise, teacher_second_moment=np.eye(r))


def start_of(k: int, r: int, size: float = 0.5, seed: int = 0) -> dt.FirstLayer:
    """A start with overlaps of its own between all units."""
    root = np.random.default_rng(seed).normal(size=(k, k + r)) * size / np.sqrt(k + r)
    overlap, rest = root[:, :r], root[:, r:]
    return dt.FirstLayer(overlap @ overlap.T + rest @ rest.T, overlap)


def own_erf(x: jax.Array) -> jax.Array:
    """The error function under another name: no closed form is known for it."""
    return 1.0 * jax.scipy.special.erf(x)


def own_link(z: jax.Array) -> jax.Array:
    """The sum of two of them."""
    return jnp.sum(own_erf(z))
