# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Many predictions at once
#
# `dt.sweep` predicts at every point of a grid and returns one labelled dataset (xarray). Points that differ in numbers
# alone share a program; each has its error bars and says how it ended.

# %%
import os

import jax
import numpy as np
import optax

import dyntheory as dt

QUICK = bool(os.environ.get("DYNTHEORY_QUICK"))  # smaller sizes, for the tests
NUM_STEPS, NUM_VALUES, NUM_NODES = (4, 3, 2**10) if QUICK else (50, 16, 2**13)
key = jax.random.key(0)
law = dt.TeacherStudent(samples_per_feature=2.0, link="sin", noise_std=0.3)
options = {"num_steps": NUM_STEPS, "num_nodes": NUM_NODES, "key": key}

# %% [markdown]
# ## Test error against $\alpha = n/d$ for two depths
#
# What compiles anew (a depth, a width, an activation, an optimizer) is an argument of a function that makes the method.


# %%
def of_depth(depth):
    return dt.gradient_descent(dt.MLP((3,) * depth, "tanh"), optax.sgd, learning_rate=0.5)


depths = dt.sweep(
    law, of_depth, over={"samples_per_feature": np.geomspace(0.5, 8, NUM_VALUES), "depth": [1, 2]}, **options
)
dt.plot.slices(depths, along="samples_per_feature")

# %% [markdown]
# ## The best learning rate at a given step
#
# Numbers of the method are swept by their names. The minimum is read off the dataset; between two values of the grid
# the curve is smooth, as all points share their nodes.

# %%
method = dt.gradient_descent(dt.MLP((3,), "tanh"), optax.sgd, learning_rate=0.5)
tried = {"learning_rate": np.geomspace(0.05, 2.5, NUM_VALUES), "noise_std": [0.1, 0.5]}
rates = dt.sweep(law, method, over=tried, **options)
print(rates.test_error.isel(step=-1).idxmin("learning_rate").to_series())
dt.plot.slices(rates, along="learning_rate")

# %% [markdown]
# ## A phase diagram in $(\alpha, \sigma)$, and its boundary
#
# Where does training for half as long beat saying zero, whose error is $E\,y^2 = (1 - e^{-2})/2 + \sigma^2$ for a sine?
# `dt.boundary` finds the noise at which it stops to by root-finding on predictions.

# %%
over = {"samples_per_feature": np.geomspace(0.25, 8, NUM_VALUES), "noise_std": np.linspace(0, 2, NUM_VALUES)}
shorter = {**options, "num_steps": NUM_STEPS // 2}
phases = dt.sweep(law, method, over=over, **shorter)


def beyond_zero(found):
    return found.test_error.isel(step=-1) - (1 - np.exp(-2)) / 2 - found.noise_std**2


edge = dt.boundary(
    law,
    method,
    along="noise_std",
    between=(0.0, 4.0),
    over={"samples_per_feature": np.geomspace(0.5, 8, NUM_VALUES // 2 + 1)},
    quantity=beyond_zero,
    **shorter,
)
dt.plot.phase_diagram(phases, boundary=edge.where(edge.noise_std < 2, drop=True))

# %% [markdown]
# ## One point of the map, trained
#
# Every point is what `predict` says with the same key; a simulation shows whether finite networks follow.

# %%
point = {"samples_per_feature": float(phases.samples_per_feature[-1]), "noise_std": float(phases.noise_std[1])}
chosen = dt.TeacherStudent(link="sin", **point)
runs = dt.simulate(chosen, method, num_steps=NUM_STEPS // 2, num_features=60 if QUICK else 400, num_runs=8, key=key)
print(float(phases.test_error.sel(point)[-1]), runs.at(NUM_STEPS // 2)["test_error"])
