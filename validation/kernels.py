"""Claim: Kernels of finite networks converge to the analytic NNGP and NTK, single draws like width^(-1/2).

PASS RULE. For each architecture and each of the two kernels, over `num_draws` independent draws of the parameters at
each width, with K̂ the kernel of one draw (NNGP: the second moment of the last hidden layer; NTK: of one output):

1. the root mean square over draws and entries of (K̂ − K)/√(K_ii K_jj) falls as a power of the width whose fitted
   exponent lies within 0.1 of −1/2;
2. the mean over draws, extrapolated from the two largest widths, 2 m(2w) − m(w), deviates from K by at most four of its
   standard errors in every entry, and those are below 0.05 √(K_ii K_jj).

The control, the same draws against the kernels of a network without biases, must break the rule for every architecture
and kernel. Any breach fails the claim (exit status 1); standard errors that are too large leave it open (status 3).

    python -m validation.kernels [--quick]    # some minutes; writes validation/results/kernels.{json,png}
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import dyntheory as dt
from dyntheory.kernels import Layer
from dyntheory.plot.style import new_figure
from validation.claim import Claim, Verdict
from validation.record import Outcome, joint_outcome

KINDS = ("nngp", "ntk")
WEIGHT_STD, BIAS_STD = 1.4, 0.5


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run.

    Args:
        widths: doubling; of dense networks.
        conv_widths: doubling; of the convolutional network.
        num_draws: at each width.
        num_rows: of inputs.
        seed: decides inputs and draws.
    """

    widths: tuple[int, ...] = (32, 64, 128, 256)
    conv_widths: tuple[int, ...] = (16, 32, 64, 128)
    num_draws: int = 400
    num_rows: int = 4
    seed: int = 0


def dense_relu(width: int, bias_std: float | None) -> Layer:
    """Return the hidden part of a ReLU network of three layers."""
    k = dt.kernels
    dense = functools.partial(k.dense, width, weight_std=WEIGHT_STD, bias_std=bias_std)
    return k.serial(dense(), k.relu(), dense(), k.relu())


def residual_erf(width: int, bias_std: float | None) -> Layer:
    """Return the hidden part of an erf network with a residual block and layer normalisation."""
    k = dt.kernels
    dense = functools.partial(k.dense, width, weight_std=WEIGHT_STD, bias_std=bias_std)
    return k.serial(dense(), k.residual(k.erf(), dense()), k.layer_norm(), k.erf())


def conv_gelu(width: int, bias_std: float | None) -> Layer:
    """Return the hidden part of a convolutional network."""
    k = dt.kernels
    conv = functools.partial(k.conv, width, 3, weight_std=WEIGHT_STD, bias_std=bias_std)
    return k.serial(conv(), k.gelu(), conv(), k.gelu(), k.global_average_pool())


ARCHITECTURES: dict[str, tuple[Callable[[int, float | None], Layer], tuple[int, ...]]] = {
    "dense, ReLU": (dense_relu, (10,)),
    "residual, LayerNorm, erf": (residual_erf, (10,)),
    "convolution, pooling, GELU": (conv_gelu, (6, 3)),
}


@dataclasses.dataclass(frozen=True)
class Case:
    """One architecture and kind of kernel: deviations of draws from one kernel, in units of √(K_ii K_jj)."""

    widths: tuple[int, ...]
    rms: np.ndarray
    mean: np.ndarray
    standard_error: np.ndarray

    @property
    def slope(self) -> float:
        """Fitted exponent of the deviation of one draw."""
        return float(np.polyfit(np.log(self.widths), np.log(self.rms), 1)[0])

    @property
    def worst_z(self) -> float:
        """Largest deviation of the extrapolated mean in standard errors."""
        error = np.sqrt(4 * self.standard_error[-1] ** 2 + self.standard_error[-2] ** 2)
        return float(np.max(np.abs(2 * self.mean[-1] - self.mean[-2]) / error))

    @property
    def outcome(self) -> Outcome:
        """Whether both parts of the rule hold."""
        if 2.3 * np.max(self.standard_error[-2:]) > 0.05:
            return Outcome.UNRESOLVED
        return Outcome.PASSED if abs(self.slope + 0.5) <= 0.1 and self.worst_z <= 4 else Outcome.FAILED


Found = dict[str, tuple[dict[str, Case], dict[str, Case]]]  # by architecture: cases and controls, by kind


def draws_at(hidden: Layer, x: jax.Array, keys: jax.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return second moments of the hidden layer and tangent kernels of one output, (draws, n, n)."""
    body = hidden.flax()
    whole = dt.kernels.serial(hidden, dt.kernels.dense(1)).flax()

    def draw(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        units = body.apply(body.init(key, x), x)
        variables = whole.init(key, x)
        jacobian = jax.jacrev(lambda v: whole.apply(v, x)[:, 0])(variables)
        rows = jnp.concatenate([leaf.reshape(x.shape[0], -1) for leaf in jax.tree.leaves(jacobian)], axis=1)
        return units @ units.T / units.shape[1], rows @ rows.T

    nngp, ntk = jax.jit(lambda several: jax.lax.map(draw, several))(keys)
    return np.asarray(nngp), np.asarray(ntk)


def kernels_of(hidden: Layer, x: jax.Array) -> dict[str, np.ndarray]:
    """Return the analytic kernels which the draws are compared with."""
    whole = dt.kernels.serial(hidden, dt.kernels.dense(1))
    return {"nngp": np.asarray(hidden.kernel(x).nngp), "ntk": np.asarray(whole.kernel(x).ntk)}


def compare(draws: list[np.ndarray], widths: tuple[int, ...], exact: np.ndarray) -> Case:
    """Return the deviations of draws at every width from one kernel."""
    scale = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    relative = [(found - exact) / scale for found in draws]
    return Case(
        widths,
        np.array([np.sqrt(np.mean(deviation**2)) for deviation in relative]),
        np.array([deviation.mean(axis=0) for deviation in relative]),
        np.array([deviation.std(axis=0, ddof=1) / len(deviation) ** 0.5 for deviation in relative]),
    )


def measure(name: str, settings: Settings) -> tuple[dict[str, Case], dict[str, Case]]:
    """Return the cases of one architecture, and those of the control."""
    make, shape = ARCHITECTURES[name]
    widths = settings.widths if len(shape) == 1 else settings.conv_widths
    key = jax.random.fold_in(jax.random.key(settings.seed), sorted(ARCHITECTURES).index(name))
    x = jax.random.normal(key, (settings.num_rows, *shape))
    draws = {
        width: draws_at(make(width, BIAS_STD), x, jax.random.split(jax.random.fold_in(key, width), settings.num_draws))
        for width in widths
    }
    right, wrong = kernels_of(make(1, BIAS_STD), x), kernels_of(make(1, None), x)
    found = {kind: [draws[width][place] for width in widths] for place, kind in enumerate(KINDS)}
    cases, controls = ({kind: compare(found[kind], widths, k[kind]) for kind in KINDS} for k in (right, wrong))
    return cases, controls


def numbers(case: Case) -> dict[str, Any]:
    """Return what the record keeps of one case."""
    return {
        "outcome": case.outcome.value,
        "widths": case.widths,
        "rms_deviation": case.rms,
        "slope": case.slope,
        "worst_z_of_extrapolated_mean": case.worst_z,
        "largest_standard_error": float(np.max(case.standard_error[-2:])),
    }


def judge(found: Found, settings: Settings) -> Verdict:
    """Apply the rule to every case and ask every control to break it."""
    outcomes = [case.outcome for cases, _ in found.values() for case in cases.values()]
    controls = [case for _, both in found.values() for case in both.values()]
    seen = all(abs(case.slope + 0.5) > 0.1 or case.worst_z > 4 for case in controls)
    kept = {
        name: {kind: {"kernels": numbers(cases[kind]), "control": numbers(both[kind])} for kind in KINDS}
        for name, (cases, both) in found.items()
    }
    return joint_outcome([*outcomes, Outcome.PASSED if seen else Outcome.FAILED]), kept


def table(found: Found, settings: Settings) -> Iterator[str]:
    """Yield one line for every architecture and kernel."""
    for name, (cases, controls) in found.items():
        for kind, case, control in zip(KINDS, cases.values(), controls.values(), strict=True):
            yield (
                f"{name:<28} {kind:<5} {case.outcome.value:<11} slope {case.slope:+.3f}  worst z {case.worst_z:4.1f}   "
                f"control: slope {control.slope:+.3f}  worst z {control.worst_z:6.1f}"
            )


def draw(results: Found, settings: Settings) -> Figure:
    """Draw the deviation of one draw against the width, one panel per architecture."""
    figure = new_figure(3.4 * len(results), 3.6)
    for letter, axes, (name, (cases, controls)) in zip(
        "abc", figure.subplots(1, len(results), sharey=True, squeeze=False)[0], results.items(), strict=False
    ):
        for kind, color in zip(KINDS, ("C0", "C1"), strict=True):
            case, control = cases[kind], controls[kind]
            label = f"{kind.upper()}, slope {case.slope:.2f}"
            axes.loglog(case.widths, case.rms, "o-", color=color, label=label)
            axes.loglog(control.widths, control.rms, "x:", color=color, label=f"{kind.upper()}, control")
        widths = np.array(cases["ntk"].widths, float)
        guide = 0.5 * cases["nngp"].rms[0] * (widths / widths[0]) ** -0.5
        axes.loglog(widths, guide, "k--", linewidth=0.8, label="width$^{-1/2}$")
        axes.set(title=f"({letter}) {name}", xlabel="width", xticks=widths, xticklabels=[str(int(w)) for w in widths])
        axes.minorticks_off()
        axes.set(yticks=(ticks := (0.05, 0.1, 0.2, 0.5)), yticklabels=[str(tick) for tick in ticks])
        axes.legend(fontsize="x-small", frameon=False)
    figure.axes[0].set_ylabel("deviation of one draw")
    return figure


CLAIM = Claim(
    "kernels",
    __doc__,
    pass_rule=(
        "Fitted exponents of the root mean square deviation of one draw lie within 0.1 of -1/2, and the mean "
        "extrapolated from the two largest widths lies within four standard errors (below 0.05) of every entry; the "
        "control without biases breaks the rule."
    ),
    settings=Settings,
    quick=Settings(widths=(32, 64, 128), conv_widths=(16, 32, 64), num_draws=600, num_rows=3),
    measure=lambda settings: {name: measure(name, settings) for name in ARCHITECTURES},
    judge=judge,
    table=table,
    draw=draw,
)


if __name__ == "__main__":
    raise SystemExit(CLAIM.command())
