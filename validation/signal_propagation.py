"""Claim: Wide random networks carry signals and gradients as their maps say, and train as deep as ξ_c reaches.

(i) 40 layers of N units, two inputs of correlation 0.3, in seven kinds of networks: ordered, chaotic, at the edge,
He's, residual, with layer normalisation before and behind the activation. Variance, correlation and squared derivative
along a random direction at layers l = 5, 10, 20, 40, means over draws, against `signal_layers`.
(ii) Batch normalisation, a batch of B Gaussian inputs: growth per layer of the squared gradient, by backpropagation in
the inner layers, against `batch_norm_growth`.
(iii) tanh networks on images of digits, depths 10, 20, 40, eight σ_w² around the edge, 150 steps of normalised SGD, the
better of two rates: the share of training images that stay wrong, against depth over ξ_c of `signal_limit`.

PASS RULE.

1. Every mean of (i) lies within 4 standard errors plus 2l/N of the theory (relative; a correction O(l/N) is expected).
   Standard errors above 25 % of the theory leave the claim unresolved.
2. Every mean log growth of (ii) lies within 4 standard errors plus 4/B.
3. Networks of (iii) of depth at most 2.5 ξ_c leave at most 15 % wrong, those of 10 ξ_c or more at least 50 %.

NEGATIVE CONTROLS, each of which must break its rule: the chaotic network against the maps of 1.2 σ_w²; the residual one
against s = 1; the normalised one against no normalisation; batch normalisation of ReLU without removing the mean,
E φ′²/E φ² = 1; and in (iii) depth alone must not decide: of every depth but the smallest some networks train.

    python -m validation.signal_propagation [--quick]    # 3 minutes of processor time

Reference: `schoenholz2017deep`, `poole2016exponential`, `yang2017residual`, `yang2019mean`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dyntheory import closed_forms, plot
from dyntheory.plot.style import WIDTH, finish, new_figure
from validation.claim import Claim, Verdict
from validation.record import Outcome, joint_outcome
from validation.signal_cases import NAMES, NETWORKS, PROBES, START, Settings, batch_growth, drawn, theory, trained

Z, RESOLUTION, NEAR, FAR, TRAINS, FAILS = 4.0, 0.25, 2.5, 10.0, 0.15, 0.5
WRONG = {
    "1.2 σ_w²": ("tanh, chaotic", {"weight_variance": 3.0}),
    "s = 1": ("ReLU, residual", {"branch_variance": 1.0}),
    "no normalisation": ("tanh, residual, normalised", {"normalization": "none"}),
}
COLORS = ("#0b3c78", "#e8743b", "#3f7f5f", "#b48ac8", "#8c564b", "#17859b", "0.4")


class Found(NamedTuple):
    """Draws by network, growths by activation, wrong shares by depth."""

    draws: dict[str, np.ndarray]
    growths: dict[str, np.ndarray]
    wrong: dict[int, np.ndarray]


def measure(settings: Settings) -> Found:
    """Draw and train all networks."""
    draws = {name: drawn(network, settings) for name, network in NETWORKS.items()}
    growths = {name: batch_growth(name, settings) for name in ("relu", "tanh")}
    return Found(draws, growths, trained(settings))


def excess(draws: np.ndarray, expected: np.ndarray, settings: Settings) -> float:
    """Return the largest difference over what rule 1 allows."""
    mean, error = draws.mean(axis=0), draws.std(axis=0, ddof=1) / np.sqrt(len(draws))
    slack = Z * error + 2 * np.array(PROBES)[:, None] / settings.width * np.abs(expected)
    return float(np.max(np.abs(mean - expected) / slack))


def batch_excess(growths: np.ndarray, expected: float, settings: Settings) -> float:
    """Return the difference over what rule 2 allows."""
    error = growths.std(ddof=1) / np.sqrt(len(growths))
    return float(abs(growths.mean() - np.log(expected)) / (Z * error + 4 / settings.batch))


def reach(settings: Settings) -> np.ndarray:
    """Return ξ_c of the networks that are trained."""
    return closed_forms.signal_limit("tanh", settings.train_weights, 0.05).correlation_depth


def judge(found: Found, settings: Settings) -> Verdict:
    """Apply the rules and the controls."""
    held = {name: excess(found.draws[name], theory(one), settings) for name, one in NETWORKS.items()}
    batches = {
        name: batch_excess(one, closed_forms.batch_norm_growth(name), settings) for name, one in found.growths.items()
    }
    controls = {
        label: excess(found.draws[name], theory(NETWORKS[name]._replace(**change)), settings)
        for label, (name, change) in WRONG.items()
    }
    controls["mean kept"] = batch_excess(found.growths["relu"], 1.0, settings)
    ratios = {depth: depth / reach(settings) for depth in found.wrong}
    near = max(float(one[ratios[depth] <= NEAR].max(initial=0.0)) for depth, one in found.wrong.items())
    far = min(float(one[ratios[depth] >= FAR].min(initial=1.0)) for depth, one in found.wrong.items())
    deepest = max(float(one.min()) for one in found.wrong.values())
    holds = max(*held.values(), *batches.values()) <= 1 < min(controls.values())
    trains = near <= TRAINS and far >= FAILS and deepest <= TRAINS
    resolution = max(
        float(np.max(one.std(axis=0, ddof=1) / np.sqrt(len(one)) / np.abs(theory(NETWORKS[name]))))
        for name, one in found.draws.items()
    )
    numbers: dict[str, Any] = {
        "difference over allowance": held,
        "batch normalisation": batches,
        "controls": controls,
        "resolution": resolution,
        f"most wrong at depth below {NEAR:g} ξ_c": near,
        f"least wrong at depth above {FAR:g} ξ_c": far,
        "best network of the worst depth": deepest,
        "growth per layer": {name: float(np.exp(one.mean())) for name, one in found.growths.items()},
        "wrong": {str(depth): one for depth, one in found.wrong.items()},
        "depth over ξ_c": {str(depth): one for depth, one in ratios.items()},
    }
    for name, one in found.draws.items():
        error = one.std(axis=0, ddof=1) / np.sqrt(len(one))
        numbers[name] = {"theory": theory(NETWORKS[name]), "mean": one.mean(axis=0), "standard error": error}
    resolved = Outcome.PASSED if resolution <= RESOLUTION else Outcome.UNRESOLVED
    return joint_outcome([Outcome.PASSED if holds and trains else Outcome.FAILED, resolved]), numbers


def table(found: Found, settings: Settings) -> Iterator[str]:
    """Yield z-scores of every network, then the totals."""
    for name, one in found.draws.items():
        error = one.std(axis=0, ddof=1) / np.sqrt(len(one))
        z = (one.mean(axis=0) - theory(NETWORKS[name])) / error
        cells = "   ".join(f"{kind} {' '.join(f'{v:+.1f}' for v in z[:, k])}" for k, kind in enumerate(NAMES))
        yield f"{name:<28} z at layers {PROBES}: {cells}"
    _, numbers = judge(found, settings)
    for name in ("batch normalisation", "growth per layer", "controls", "resolution", *list(numbers)[4:7]):
        yield f"{name}: {numbers[name]}"


def draw(found: Found, settings: Settings) -> Figure:
    """Draw correlations and gradients by layer, the map of ξ_c, and what trained."""
    figure = new_figure(10.4, 7.4)
    (first, second), (third, fourth) = figure.subplots(2, 2)
    _layers(first, found, "correlation", 1)
    _layers(second, found, "squared derivative", 2)
    second.set_yscale("log")
    weights, biases = np.linspace(0.6, 2.6, settings.map_points), np.linspace(0.02, 0.8, settings.map_points * 3 // 4)
    limit = closed_forms.signal_limit("tanh", weights[:, None] ** 2, biases**2)
    plot.signal_map(limit, weights, biases, ax=third, title=r"(c) tanh: depth scale $\xi_c$, edge of chaos white")
    for (depth, wrong), marker, color in zip(found.wrong.items(), "osD", COLORS, strict=False):
        ratio = depth / reach(settings)
        fourth.plot(ratio, 100 * wrong, marker, color=color, ms=5, mfc="white", label=f"{depth} layers")
    fourth.axvspan(0.2, NEAR, color="#3f7f5f", alpha=0.12, lw=0)
    fourth.axvspan(FAR, 40, color="#e8743b", alpha=0.12, lw=0)
    fourth.set(xscale="log", xlim=(0.2, 40))
    fourth.legend(frameon=False, fontsize="small")
    finish(fourth, r"depth over $\xi_c$", "training images wrong, %", "(d) tanh networks trained on digits")
    figure.legend(
        *first.get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False, fontsize="small"
    )
    return figure


def _layers(axes: Axes, found: Found, label: str, which: int) -> None:
    layers = np.arange(max(PROBES) + 1)
    for (name, network), color in zip(NETWORKS.items(), COLORS, strict=True):
        run = closed_forms.signal_layers(**network._asdict(), num_layers=int(layers[-1]), correlation=START)
        line = run.correlation if which == 1 else np.exp(run.log_gradient)
        axes.plot(layers, line, color=color, lw=1.3, label=name)
        draws = found.draws[name][..., which]
        bars = WIDTH * draws.std(axis=0, ddof=1) / np.sqrt(len(draws))
        axes.errorbar(PROBES, draws.mean(axis=0), bars, fmt="o", color=color, ms=4, mfc="white", capsize=2)
    finish(axes, "layer", label, f"({'ab'[which - 1]}) {label} by layer")


CLAIM = Claim(
    "signal_propagation",
    __doc__,
    pass_rule=(
        "Variance, correlation and gradient of seven kinds of networks at four depths, and batch normalisation's "
        "growth, lie within 4 standard errors plus 2l/N (4/B) of the theory and beyond it in the controls; networks "
        "train to 15 % wrong at depths below 2.5 ξ_c and leave 50 % wrong above 10 ξ_c."
    ),
    settings=Settings,
    quick=Settings(
        width=120,
        num_draws=40,
        batch=192,
        batch_width=192,
        num_batch_draws=6,
        batch_depth=12,
        train_steps=100,
        train_depths=(10, 20),
        train_weights=(0.6, 1.6, 2.3),
        train_width=60,
        map_points=12,
    ),
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
    dtype="float64, training in float32",
)


if __name__ == "__main__":
    raise SystemExit(CLAIM.command())
