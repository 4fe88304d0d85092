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
# # Double descent and its relatives, in closed form
#
# Least squares on random features is where most of the puzzles of deep learning can be solved with pencil and paper:
# why more parameters can help, why interpolating noise can be harmless, when to stop. `dyntheory.closed_forms` has the
# formulas, `dyntheory.gallery` the pictures, each beside plain least squares on random data.

# %%
import os

import jax
import numpy as np
import optax

import dyntheory as dt

QUICK = bool(os.environ.get("DYNTHEORY_QUICK"))  # smaller sizes, for the tests

# %% [markdown]
# ## Double descent
#
# $y = x\cdot\beta + \sigma\xi$, $n$ samples of $d$ features, $\gamma = d/n$. The minimum-norm solution has an error
# that is infinite at $\gamma = 1$ and falls again beyond. The best ridge penalty $\lambda = \sigma^2\gamma$ removes
# the peak altogether.

# %%
sizes = {"num_samples": 40, "num_runs": 10} if QUICK else {}
descent = dt.gallery.double_descent(**sizes)
print(dt.gallery.summary(descent))
dt.gallery.draw(descent)

# %% [markdown]
# The same numbers without a figure: arguments broadcast, results are named tuples of float64 arrays, exact to ten
# digits beside the threshold too.

# %%
alphas = 1 + np.array([-1e-3, -1e-9, 1e-9, 1e-3])
print(dt.closed_forms.ridgeless(alphas, noise_std=0.5).test_error)
print(dt.closed_forms.ridge(alphas, 0.1, noise_std=0.5).test_error)

# %% [markdown]
# ## Benign overfitting
#
# One function, 60 noisy samples, least squares with 2, 3, 50 and 2000 parameters. Fifty chase the noise; two thousand
# pass through every sample and are close to the function in between.

# %%
benign = dt.gallery.benign_overfitting()
print(dt.gallery.summary(benign))
dt.gallery.draw(benign)

# %% [markdown]
# ## When to stop
#
# Gradient flow learns large directions first; the noise in the small ones comes last. Stopped at its best time it is
# nearly as good as ridge at its best penalty.

# %%
stopping = dt.gallery.early_stopping()
print(dt.gallery.summary(stopping))
dt.gallery.draw(stopping)

# %% [markdown]
# ## The solver agrees
#
# `predict` knows nothing of these formulas. On a linear model it must return them.

# %%
law = dt.TeacherStudent(samples_per_feature=2.0, link="linear", noise_std=0.3)
method = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=0.3)
formula = dt.closed_forms.least_squares_gd(2.0, 0.3, steps=range(31), initial_power=1.0, noise_std=0.3)
if not QUICK:  # compiling takes longer than all the rest; the tests make the same comparison
    theory = dt.predict(law, method, num_steps=30, key=jax.random.key(0))
    print(np.max(np.abs(theory.test_error / formula.test_error - 1)))

# %% [markdown]
# ## Your own data
#
# Spectrum, linear target and noise of a data set give the learning curve of ridge regression on parts of it, before
# anything is trained.

# %%
rng = np.random.default_rng(0)
inputs = rng.normal(size=(2000, 30)) * np.arange(1, 31) ** -0.7
labels = inputs @ rng.normal(size=30) + 0.5 * rng.normal(size=2000)
data = dt.closed_forms.from_data(inputs, labels)
curve = dt.closed_forms.ridge_general([10, 30, 100, 300], 0.01, **data._asdict())
print(curve.test_error)

# %% [markdown]
# ## How a deep network should start
#
# At the edge of chaos signals keep their variance and gradients their norm. ReLU gives He's initialisation, tanh at
# small preactivations Xavier's.

# %%
for name in ("relu", "tanh"):
    print(name, dt.closed_forms.edge_of_chaos(name))
