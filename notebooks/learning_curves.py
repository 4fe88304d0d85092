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
# # Learning curves without training
#
# A teacher labels Gaussian inputs, $y = \varphi(z) + \sigma\xi$ with $z = x\cdot w^\star/\sqrt d$. A small network
# is trained on $n = \alpha d$ of them by full-batch gradient descent. When $n$ and $d$ are large, training and test
# error after every update are deterministic, and `predict` computes them. Nothing is trained.

# %%
import os

import jax
import matplotlib.pyplot as plt
import optax

import dyntheory as dt

QUICK = bool(os.environ.get("DYNTHEORY_QUICK"))  # smaller sizes, for the tests
NUM_STEPS, NUM_FEATURES, NUM_RUNS = (6, 100, 8) if QUICK else (40, 800, 20)
key = jax.random.key(0)

# %% [markdown]
# ## The problem: what the data are, which network, which algorithm
#
# The head, meaning everything after the first layer, is part of the problem: it is drawn from the key, the same one for
# prediction and simulation.

# %%
law = dt.TeacherStudent(samples_per_feature=2.0, link="sin_mixture", noise_std=0.3)
network = dt.MLP(hidden=(3, 3), activation="tanh")
method = dt.gradient_descent(network, optax.sgd, learning_rate=0.3)

# %% [markdown]
# ## Prediction and simulation
#
# Both return the same kind of result. The errors of the prediction are numerical, those of the simulation statistical.

# %%
theory = dt.predict(law, method, num_steps=NUM_STEPS, key=key)
runs = dt.simulate(law, method, num_steps=NUM_STEPS, num_features=NUM_FEATURES, num_runs=NUM_RUNS, key=key)
print(theory.at(NUM_STEPS))
print(dt.compare(theory, runs))

# %%
dt.plot.curves(theory, runs)

# %% [markdown]
# ## How much data? A sweep that would be many trainings
#
# New numbers do not recompile: each further prediction takes a fraction of the first.

# %%
figure, axes = plt.subplots(layout="constrained")
for alpha in (1.0, 2.0) if QUICK else (0.5, 1.0, 2.0, 4.0):
    swept = dt.TeacherStudent(samples_per_feature=alpha, link="sin_mixture", noise_std=0.3)
    curve = dt.predict(swept, method, num_steps=NUM_STEPS, key=key)
    axes.plot(curve.steps, curve.test_error, label=rf"$n/d = {alpha:g}$")
axes.set(xlabel="step $t$", ylabel="test error", yscale="log")
axes.legend(frameon=False)

# %% [markdown]
# ## The law behind the curves
#
# The first main theorem is about the rows of $XW^t/\sqrt d$: their limit law is a result too.

# %%
for step in (0, NUM_STEPS):
    print(step, theory.expect(lambda h: h**2, step), runs.expect(lambda h: h**2, step))

# %% [markdown]
# ## What is theorem, and what is not
#
# Every result says what it rests on. The published theorem (Han & Imaizumi 2025) is about smooth activations and a
# fixed number of steps of plain gradient descent; ReLU is supported by simulation.

# %%
print(theory.assumptions)
kinked = dt.gradient_descent(dt.MLP(hidden=(3,), activation="relu"), optax.sgd, learning_rate=0.3)
print(dt.predict(law, kinked, num_steps=2, key=key).assumptions)
