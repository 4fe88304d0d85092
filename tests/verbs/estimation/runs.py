"""Data and networks that the tests of this folder train on."""

import jax
import numpy as np
import optax

import dyntheory as dt

KEY = jax.random.key(3)


def data(n, d, *, seed=0, decay=0.0, noise=0.3):
    """Return correlated rows and labels of one direction."""
    random = np.random.default_rng(seed)
    rows = random.standard_normal((n, d)) * np.arange(1, d + 1) ** (-decay / 2) @ random.standard_normal((d, d))
    rows = rows if decay else random.standard_normal((n, d))
    z = rows @ random.standard_normal(d)
    return rows, np.tanh(z / z.std()) + noise * random.standard_normal(n)


def linear_data(n=120, d=40, *, noise=1.0, seed=0):
    """Return white rows and labels of one direction, the same for every seed."""
    random = np.random.default_rng(seed)
    rows = random.standard_normal((n, d))
    return rows, rows @ np.ones(d) / d**0.5 + noise * random.standard_normal(n)


def network(activation="tanh", *, loss="squared", rate=0.4, **numbers):
    return dt.gradient_descent(dt.MLP((3,), activation), optax.sgd, learning_rate=rate, loss=loss, **numbers)
