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
# # How wide, how rich
#
# A network with $N$ neurons in a layer, $f = a\cdot\varphi(h^L)/(\gamma_0 N)$, trained on inputs that are given. As
# $N \to \infty$ with $\gamma_0$ fixed, losses, outputs and kernels become deterministic although features move;
# `dt.wide.predict` computes them. Two questions: how wide must a network be before the prediction holds for it, and how
# rich should it be?

# %%
import os

import jax
import matplotlib.pyplot as plt
import numpy as np

import dyntheory as dt

QUICK = bool(os.environ.get("DYNTHEORY_QUICK"))  # smaller sizes, for the tests
NUM_STEPS, NUM_RUNS, WIDTHS = (4, 8, (16, 32)) if QUICK else (30, 60, (32, 64, 128, 256))
RICHNESS = (0.1, 1.0) if QUICK else (0.1, 0.3, 1.0, 2.0)
NODES = 2**10 if QUICK else 2**13
key = jax.random.key(0)

# %% [markdown]
# ## The data: one direction decides
#
# The label is the sign of one coordinate. A network that learns features finds it, a kernel has to spell it out.

# %%
rng = np.random.default_rng(3)
inputs, tests = rng.standard_normal((16, 8)), rng.standard_normal((40, 8))
labels, test_labels = np.sign(inputs[:, 0]), np.sign(tests[:, 0])
network = dt.WideNetwork(depth=2, activation="tanh", feature_learning=1.0)
options = {"num_steps": NUM_STEPS, "key": key, "learning_rate": 0.5}

theory = dt.wide.predict(network, inputs, labels, tests, test_labels, num_nodes=NODES, **options)
print(theory.status, theory.provenance["num_directions"])

# %% [markdown]
# ## How wide: a single network is off by 1/√N, the mean of many by 1/N

# %%
runs = {
    width: dt.wide.simulate(network, inputs, labels, tests, test_labels, width=width, num_runs=NUM_RUNS, **options)
    for width in WIDTHS
}
figure, axes = plt.subplots(1, 2, figsize=(9, 3.4))
axes[0].plot(theory.steps, theory.test_outputs[:, :6], color="k", lw=1)
for run in (runs[WIDTHS[-1]].per_run.test_outputs[:, :, :6])[:3]:
    axes[0].plot(theory.steps, run, color="tab:blue", ls="--", lw=0.8)
axes[0].set(xlabel="step", ylabel="outputs on six test inputs", title=f"three networks of width {WIDTHS[-1]}, dashed")
single = [np.sqrt(np.mean((run.per_run.test_outputs - theory.test_outputs)[:, -1] ** 2)) for run in runs.values()]
axes[1].plot(WIDTHS, single, "o", label="single networks")
axes[1].plot(WIDTHS, single[0] * np.sqrt(WIDTHS[0] / np.array(WIDTHS)), color="k", lw=1, label=r"$1/\sqrt{N}$")
axes[1].set(xscale="log", yscale="log", xlabel="width N", ylabel="rms distance of test outputs at the end")
axes[1].set_xticks(WIDTHS, [str(width) for width in WIDTHS])
axes[1].minorticks_off()
axes[1].legend(frameon=False)
figure.tight_layout()
figure.savefig("how_wide.png", dpi=120)

# %% [markdown]
# The two widest networks, extrapolated, agree with the prediction within errors:

# %%
small, large = (runs[width] for width in WIDTHS[-2:])
print(dt.compare(theory, small, large, metrics=("train_loss", "test_loss")))

# %% [markdown]
# ## How rich: features align with the labels as γ₀ grows
#
# A small γ₀ is the tangent kernel, whose alignment with the labels stays where it starts.

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3.4))
for richness in RICHNESS:
    rich = dt.WideNetwork(depth=2, activation="tanh", feature_learning=richness)
    found = dt.wide.predict(rich, inputs, labels, tests, test_labels, num_nodes=NODES, **options)
    axes[0].plot(found.steps, found.test_error, label=rf"$\gamma_0 = {richness}$")
    axes[1].plot(found.steps, found.alignment, label=rf"$\gamma_0 = {richness}$")
axes[0].set(xlabel="step", ylabel="test error")
axes[1].set(xlabel="step", ylabel="alignment of the tangent kernel")
axes[1].legend(frameon=False)
figure.tight_layout()
figure.savefig("how_rich.png", dpi=120)

# %% [markdown]
# ## What the kernel has become
#
# The kernel of the last layer before and after training, inputs sorted by label.

# %%
order = np.argsort(labels)
figure, axes = plt.subplots(1, 2, figsize=(7, 3.2))
for ax, step in zip(axes, (0, NUM_STEPS), strict=True):
    image = ax.imshow(theory.forward_kernels[step, -1][np.ix_(order, order)], cmap="RdBu_r", vmin=-0.6, vmax=0.6)
    ax.set(title=f"step {step}", xlabel="input")
    ax.set(xticks=[], yticks=[])
figure.colorbar(image, ax=axes, label=r"$\Phi^2$")
figure.savefig("kernels.png", dpi=120)

# %% [markdown]
# ## The edge of stability
#
# `sharpness` is the largest eigenvalue of Θ/P; on squared loss descent is stable below 2/sharpness. It moves as
# features do.

# %%
print(f"stable below {2 / theory.sharpness[0]:.2f} at the start, {2 / theory.sharpness[-1]:.2f} at the end")
