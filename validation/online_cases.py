"""Problems of one-pass learning for the claims."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import dyntheory as dt

START = ((0.5, 0.1, 0.3, 0.1, 0.0), (0.1, 0.4, 0.0, 0.2, 0.1))  # Q and R of two students, three teachers


def waves(z: jax.Array) -> jax.Array:
    """Return sin(z₁) + z₁ z₂/2: no sum of units."""
    return jnp.sin(z[0]) + 0.5 * z[0] * z[1]


class Case(NamedTuple):
    """A law, a network, a start and a rate."""

    law: dt.TeacherStudent
    network: dt.MLP
    options: dict[str, Any]


def cases(time: float, num_times: int) -> dict[str, Case]:
    """Return the problems by name: closed forms of two kinds with a trained head, and one on nodes."""
    start, physics = np.array(START), dt.online.scaled_erf()
    layer = dt.FirstLayer(start[:, :2], start[:, 2:])
    three = {"teacher_second_moment": np.eye(3), "noise_std": 0.3}
    given: dict[str, Any] = {
        "learning_rate": 0.8,
        "time": np.linspace(0.0, time, num_times),
        "head": {"layer_2": {"weights": np.array([[1.0, 0.7]])}},
        "first_layer": layer,
    }
    weights = [1.0, 0.5, 0.8]
    two = given | {"first_layer": dt.FirstLayer(start[:, :2], start[:, 2:4]), "learning_rate": 0.4}
    return {
        "erf": Case(
            dt.TeacherStudent(1.0, dt.online.committee(physics, weights), **three), dt.MLP((2,), physics), given
        ),
        "relu": Case(
            dt.TeacherStudent(1.0, dt.online.committee("relu", weights), **three),
            dt.MLP((2,), "relu"),
            given | {"learning_rate": 0.4},
        ),
        "tanh on waves": Case(
            dt.TeacherStudent(1.0, waves, 0.3, teacher_second_moment=np.eye(2)), dt.MLP((2,), "tanh"), two
        ),
    }
