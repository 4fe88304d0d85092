"""Claim: Networks of growing width converge to the infinite-width kernels, at the start and through training.

Two-layer erf networks f(x) = (1/√m) Σ_j a_j erf(w_j·x/√d) with standard normal parameters, all trained by gradient
descent on squared loss; kernels in closed form: with q = x·x'/d, v = 1 + 2 x·x/d, v' = 1 + 2 x'·x'/d,

    K = (2/π) arcsin(2q/√(v v')),      Θ = K + q (4/π)/√(v v' − 4q²).

PASS RULE. Over draws at every width, with slopes b of log value in log m between the first and the last width:

1. start: the root mean square distance ‖Θ_m − Θ‖/‖Θ‖ has b in [-0.6, -0.4];
2. change: the root mean square change of Θ_m in training, relative, has b in [-1.2, -0.8];
3. linearisation: the root mean square difference after training between network and its own tangent kernel's
   prediction has b in [-1.2, -0.8];
4. ensemble: at the largest width, means over draws of the trained outputs on test inputs are within 4 standard errors
   of `train`'s, variances within 4 standard errors (√(2/R), relative) plus 1/√m.

NEGATIVE CONTROL. Rule 4 with trained="readout" in place of all layers must fail. Exit status 1 when a rule fails or
the control passes.

    python -m validation.finite_width_kernels [--quick]    # writes validation/results/finite_width_kernels.{json,png}

Reference: `williams1997computing` for K, `jacot2018neural` for Θ, `huang2020dynamics` for the 1/m.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from dyntheory.ground.precision import double_precision
from dyntheory.kernels import Kernels, empirical_ntk, train
from dyntheory.plot.style import new_figure
from validation.claim import Claim, Verdict
from validation.record import Outcome

SLOPES = {"start": (-0.6, -0.4), "change": (-1.2, -0.8), "linearisation": (-1.2, -0.8)}


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes, widths, draws and training."""

    widths: tuple[int, ...] = (64, 256, 1024, 4096)
    num_draws: int = 100
    num_samples: int = 12
    num_test: int = 6
    num_features: int = 4
    num_steps: int = 60
    learning_rate: float = 1.0
    seed: int = 0


def erf_kernels(x: np.ndarray) -> Kernels:
    """Return both kernels of the network in closed form."""
    q = x @ x.T / x.shape[1]
    v = 1 + 2 * np.diag(q)
    product = np.outer(v, v)
    nngp = 2 / np.pi * np.arcsin(2 * q / np.sqrt(product))
    return Kernels(jnp.asarray(nngp), jnp.asarray(nngp + q * 4 / np.pi / np.sqrt(product - 4 * q**2)))


def network(params: Any, x: jax.Array) -> jax.Array:
    """Return the outputs of one network."""
    first, last = params
    return jax.scipy.special.erf(x @ first / np.sqrt(x.shape[1])) @ last / np.sqrt(len(last))


@functools.partial(jax.jit, static_argnames=("width", "settings"))
def one_draw(key: jax.Array, x: jax.Array, labels: jax.Array, width: int, settings: Settings) -> dict[str, jax.Array]:
    """Train one network; return its kernel at the start, the kernel's change, outputs, and what its kernel predicts."""
    n, keys = settings.num_samples, jax.random.split(key)
    start = (
        jax.random.normal(keys[0], (settings.num_features, width), float),
        jax.random.normal(keys[1], (width,), float),
    )

    def loss(params: Any) -> jax.Array:
        return jnp.mean((network(params, x[:n]) - labels) ** 2) / 2

    def step(params: Any, _: None) -> tuple[Any, None]:
        slopes = jax.grad(loss)(params)
        return jax.tree.map(lambda p, g: p - settings.learning_rate * g, params, slopes), None

    end, _ = jax.lax.scan(step, start, length=settings.num_steps)
    before, after = empirical_ntk(network, start, x), empirical_ntk(network, end, x)
    outputs, first = network(end, x), network(start, x)
    run = train(before[:n, :n], labels, learning_rate=settings.learning_rate, initial=first[:n])
    linear = run.predict(before[n:, :n], step=float(settings.num_steps), initial=first[n:]).mean
    change = jnp.linalg.norm(after - before) / jnp.linalg.norm(before)
    return {"kernel": before, "change": change, "outputs": outputs[n:], "difference": outputs[n:] - linear}


def measure(settings: Settings) -> dict[str, Any]:
    """Return distances at every width, trained outputs at the largest, and the two ensembles of infinite width."""
    draw = np.random.default_rng(settings.seed).standard_normal
    n, x = settings.num_samples, draw((settings.num_samples + settings.num_test, settings.num_features))
    labels, kernels = jnp.asarray(np.sin(2 * x[:n, 0])), erf_kernels(x)
    found: dict[str, Any] = {name: [] for name in SLOPES}
    for width in settings.widths:
        keys = jax.random.split(jax.random.fold_in(jax.random.key(settings.seed), width), settings.num_draws)
        draws = jax.lax.map(lambda key, m=width: one_draw(key, jnp.asarray(x), labels, m, settings), keys)
        distance = jnp.linalg.norm(draws["kernel"] - kernels.ntk[None], axis=(1, 2)) / jnp.linalg.norm(kernels.ntk)
        values = (distance, draws["change"], draws["difference"])
        for name, value in zip(SLOPES, values, strict=True):
            found[name].append(float(jnp.sqrt(jnp.mean(value**2))))
        found["outputs"] = np.asarray(draws["outputs"])
    own, cross = Kernels(*(k[:n, :n] for k in kernels)), Kernels(*(k[n:, :n] for k in kernels))
    for trained in ("all", "readout"):
        run = train(own, labels, learning_rate=settings.learning_rate, trained=trained)
        prediction = run.predict(cross, jnp.diagonal(kernels.nngp)[n:], step=settings.num_steps)
        found[trained] = np.asarray(prediction.mean), np.asarray(prediction.covariance)
    return found


def run(settings: Settings) -> dict[str, Any]:
    """Measure in float64."""
    with double_precision():
        return measure(settings)


def ensemble_excess(outputs: np.ndarray, expected: tuple[np.ndarray, np.ndarray], width: int) -> float:
    """Return the largest difference of rule 4 over what is allowed; at most 1 passes."""
    (mean, variance), num_draws = expected, len(outputs)
    in_mean = np.abs(outputs.mean(axis=0) - mean) / (4 * np.sqrt(variance / num_draws))
    in_variance = np.abs(outputs.var(axis=0, ddof=1) / variance - 1) / (4 * np.sqrt(2 / num_draws) + width**-0.5)
    return float(max(in_mean.max(), in_variance.max()))


def judge(found: dict[str, Any], settings: Settings) -> Verdict:
    """Apply the rules."""
    logs = np.log(settings.widths)
    slopes = {name: float(np.polyfit(logs, np.log(found[name]), 1)[0]) for name in SLOPES}
    excess = {t: ensemble_excess(found["outputs"], found[t], settings.widths[-1]) for t in ("all", "readout")}
    held = all(low <= slopes[name] <= high for name, (low, high) in SLOPES.items())
    outcome = Outcome.PASSED if held and excess["all"] <= 1 < excess["readout"] else Outcome.FAILED
    numbers = {"slopes": slopes, "ensemble: difference over allowance": excess["all"], "control": excess["readout"]}
    return outcome, numbers | {name: found[name] for name in SLOPES}


def draw(found: dict[str, Any], settings: Settings) -> Figure:
    """Draw distances against the width, and the trained ensemble on the test inputs."""
    figure = new_figure(8.4, 3.6)
    left, right = figure.subplots(1, 2)
    widths = np.array(settings.widths, dtype=float)
    labels = ("Θ at the start to its limit", "change of Θ in training", "trained outputs to the linearisation")
    for (name, label), marker, color in zip(
        zip(SLOPES, labels, strict=True), "osD", ("#0b3c78", "#e8743b", "#3f7f5f"), strict=True
    ):
        left.loglog(widths, found[name], marker, ms=5, color=color, label=label)
        power = -0.5 if name == "start" else -1.0
        left.loglog(widths, found[name][0] * (widths / widths[0]) ** power, ":", color=color, lw=1)
    left.set(title="(a) distances; dots: slopes −½, −1, −1", xlabel="width $m$", ylabel="root mean square over draws")
    left.legend(frameon=False, fontsize="small")
    mean, variance = found["all"]
    places = np.arange(len(mean))
    right.errorbar(places - 0.1, mean, 2 * np.sqrt(variance), fmt="s", color="#0b3c78", label="infinite width")
    outputs = found["outputs"]
    label = f"networks, $m$ = {settings.widths[-1]}"
    right.errorbar(places + 0.1, outputs.mean(0), 2 * outputs.std(0), fmt="o", color="#e8743b", label=label)
    right.set(title="(b) trained outputs, mean ± 2 s.d.", xlabel="test input", ylabel="output")
    right.legend(frameon=False, fontsize="small")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


CLAIM = Claim(
    "finite_width_kernels",
    __doc__,
    pass_rule="See the docstring: slopes -1/2, -1, -1 in the width; means and variances of the trained ensemble.",
    settings=Settings,
    quick=Settings(widths=(64, 256, 1024), num_steps=40),
    measure=run,
    judge=judge,
    draw=draw,
)


if __name__ == "__main__":
    raise SystemExit(CLAIM.command())
