"""Claim: Deep linear networks learn their modes one after the other, when the closed forms say, from any small start.

A mode of strength s starts at u₀ and is half learned at ln(s/u₀ − 1)/(2s). Layers drawn at random are aligned with no
mode; while they are small, h_α = ½(W₂ᵀu_α + W₁v_α) grows as e^{st}, and mode α is learned as by aligned layers that
start at u₀ = |h_α|² without what lies along the h of stronger modes; its directions are right before the loss falls.

PASS RULE.

1. Identities: aligned layers, balanced or not, of depth 2, 3 and 4 follow the modes, and two balanced layers the
   Riccati solution, within 1e-6 of the strongest mode.
2. Stages: in networks of two layers, trained by gradient descent from random starts of standard deviation 1e-3, every
   mode is half learned within 1.5 % of ln(s/u₀ − 1)/(2s), the strongest first.
3. Silent alignment: when the loss of these has fallen by 5 %, the alignment with the first mode is above .99; from
   starts a thousand times larger it is below .9 on average.
4. SGD on noisy samples of correlated inputs, three layers: means over runs at two rates, extrapolated to none, differ
   from the flow by at most 4.5 standard errors (rms below 1.3); the largest error is below 2 %, else unresolved.

NEGATIVE CONTROL. Half times from the strength that W has at the start, u_αᵀWv_α, miss by more than 5 %; the flow for
whitened inputs misses SGD by more than 10 standard errors.

    python -m validation.deep_linear [--quick]    # about a minute; writes results/deep_linear.*

Reference: `saxe2014exact`; `braun2022exact`; `atanasov2022neural`.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure

from dyntheory.flows import deep_linear
from dyntheory.flows.deep_linear import LinearAgreement, LinearPaths
from dyntheory.plot import mode_curves
from dyntheory.plot.style import finish, new_figure
from validation.claim import Claim, Verdict
from validation.record import Outcome, joint_outcome

MOST_OFF, MOST_LATE, MOST_Z, MOST_RMS, MOST_ERROR = 1e-6, 0.015, 4.5, 1.3, 0.02
SILENT, LOUD, FALLEN, CONTROL_LATE, CONTROL_Z = 0.99, 0.9, 0.95, 0.05, 10.0
STRENGTHS = np.array([5.0, 3.0, 2.0, 1.2])
SMALL, LARGER = 1e-3, 1e3


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes of all parts.

    Args:
        hidden: units of the hidden layer.
        num_starts: random starts.
        learning_rate: of gradient descent.
        rates: of SGD, both extrapolated.
        num_runs: of SGD.
        batch_size: of SGD.
        seed: of everything.
    """

    hidden: int = 20
    num_starts: int = 12
    learning_rate: float = 2e-3
    rates: tuple[float, float] = (0.02, 0.01)
    num_runs: int = 300
    batch_size: int = 10
    seed: int = 5


class Found(NamedTuple):
    """All parts: errors of identities, networks from small and large starts, their u₀, the flow with SGD beside it."""

    identities: dict[str, float]
    small: list[LinearPaths]
    large: list[LinearPaths]
    starts: np.ndarray
    raw_starts: np.ndarray
    theory: LinearPaths
    runs: LinearPaths
    agreement: LinearAgreement
    control: LinearAgreement


def measure(settings: Settings) -> Found:
    """Ask for all parts."""
    rng = np.random.default_rng(settings.seed)
    target = np.diag(STRENGTHS)
    shapes = ((settings.hidden, len(target)), (len(target), settings.hidden))
    drawn = [[SMALL * rng.normal(size=shape) for shape in shapes] for _ in range(settings.num_starts)]
    steps = round(8.0 / settings.learning_rate)
    options: dict[str, Any] = {"learning_rate": settings.learning_rate}
    small = [deep_linear.descend(target, layers, num_steps=steps, **options) for layers in drawn]
    wide = [[LARGER * layer / np.sqrt(settings.hidden) for layer in layers] for layers in drawn]
    large = [deep_linear.descend(target, layers, num_steps=steps // 4, **options) for layers in wide]
    starts = np.stack([deep_linear.effective_start(target, layers) for layers in drawn])
    raw = np.stack([np.abs(np.diagonal(layers[1] @ layers[0])) for layers in drawn])
    return Found(identities(rng), small, large, starts, raw, *sgd(settings, rng))


def identities(rng: np.random.Generator) -> dict[str, float]:
    """Return largest differences of closed forms from the flow of matrices, over the strongest mode."""
    times, found = np.linspace(0.0, 4.0, 17), {}
    left, right = (np.linalg.qr(rng.normal(size=(4, 4)))[0] for _ in range(2))
    target = left @ np.diag(STRENGTHS) @ right.T
    for depth in (2, 3, 4):
        for kind, layers in (
            ("balanced", np.full((4, depth), 0.3)),
            ("not balanced", rng.uniform(0.1, 0.8, (4, depth))),
        ):
            matrices = [np.diag(column) for column in layers.T]
            matrices[0], matrices[-1] = matrices[0] @ right.T, left @ matrices[-1]
            solved = deep_linear.flow(target, matrices, times=times, rtol=1e-9).strengths[0].T
            exact = deep_linear.modes(STRENGTHS, initial=layers, times=times, depth=depth)
            found[f"{depth} layers, {kind}"] = float(np.abs(solved - exact).max() / STRENGTHS[0])
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0][:, :4]
    roots, sides = 0.1 * np.sqrt(np.arange(1.0, 5.0)), [np.linalg.qr(rng.normal(size=(4, 4)))[0] for _ in range(2)]
    layers = [turn * roots @ sides[0].T, sides[1] * roots @ turn.T]
    solved = deep_linear.flow(target, layers, times=times, rtol=1e-9).products[0]
    found["Riccati"] = float(np.abs(solved - deep_linear.exact(target, layers, times=times)).max() / STRENGTHS[0])
    return found


def sgd(settings: Settings, rng: np.random.Generator) -> tuple[LinearPaths, LinearPaths, LinearAgreement, Any]:
    """Return the flow of three layers on correlated inputs, SGD at the smaller rate, and how both agree."""
    root = rng.normal(size=(3, 3)) / 2
    moment, target = root @ root.T + 0.3 * np.eye(3), rng.normal(size=(2, 3))
    layers = [0.5 * rng.normal(size=shape) for shape in ((4, 3), (4, 4), (2, 4))]
    runs = [
        deep_linear.simulate(
            target @ moment,
            layers,
            covariance=moment,
            learning_rate=rate,
            num_steps=round(6.0 / rate),
            record_every=round(0.5 / rate),
            batch_size=settings.batch_size,
            num_runs=settings.num_runs,
            noise_std=0.3,
            key=jax.random.fold_in(jax.random.key(settings.seed), number),
        )
        for number, rate in enumerate(settings.rates)
    ]
    theory = deep_linear.flow(target @ moment, layers, covariance=moment, times=runs[0].times)
    whitened = deep_linear.flow(target @ moment, layers, times=runs[0].times)
    times = np.linspace(0.0, theory.times[-1], 121)
    drawn = deep_linear.flow(target @ moment, layers, covariance=moment, times=times)
    return drawn, runs[1], deep_linear.compare(theory, *runs), deep_linear.compare(whitened, *runs)


def lateness(paths: list[LinearPaths], starts: np.ndarray) -> np.ndarray:
    """Return by how much measured half times are off, relative, (starts, modes)."""
    said = deep_linear.half_time(np.broadcast_to(STRENGTHS, starts.shape), initial=starts)
    return np.stack([one.half_times[0] for one in paths]) / said - 1


def when_fallen(paths: list[LinearPaths]) -> np.ndarray:
    """Return the alignment with the first mode when the loss has fallen by 5 %, one number for each start."""
    return np.array([one.alignment[0, np.argmax(one.loss[0] < FALLEN * one.loss[0, 0]), 0] for one in paths])


def judge(found: Found, settings: Settings) -> Verdict:
    """Apply the rules and the controls."""
    del settings
    late, raw = lateness(found.small, found.starts), lateness(found.small, found.raw_starts)
    halves = np.stack([one.half_times[0] for one in found.small])
    silent, loud = when_fallen(found.small), when_fallen(found.large)
    rules = {
        "identities": max(found.identities.values()) <= MOST_OFF,
        "half times": float(np.abs(late).max()) <= MOST_LATE and bool(np.all(np.diff(halves, axis=1) > 0)),
        "silent alignment": float(silent.min()) > SILENT and float(loud.mean()) < LOUD,
        "SGD": found.agreement.largest <= MOST_Z and found.agreement.root_mean_square <= MOST_RMS,
        "controls": float(np.abs(raw).max()) > CONTROL_LATE and found.control.largest > CONTROL_Z,
    }
    numbers: dict[str, Any] = {
        "differences over the strongest mode": found.identities,
        "half times, largest relative miss": float(np.abs(late).max()),
        "mean half times": halves.mean(axis=0),
        "alignment when the loss has fallen by 5 %, small starts, least": float(silent.min()),
        "the same, large starts, mean": float(loud.mean()),
        "SGD, largest |z|": found.agreement.largest,
        "SGD, rms z": found.agreement.root_mean_square,
        "SGD, largest standard error": found.agreement.resolution,
        "control: half times from the strength at the start, largest miss": float(np.abs(raw).max()),
        "control: |z| of whitened inputs": found.control.largest,
        "rules": rules,
    }
    outcomes = [Outcome.PASSED if holds else Outcome.FAILED for holds in rules.values()]
    resolved = found.agreement.resolution <= MOST_ERROR
    return joint_outcome([*outcomes, Outcome.PASSED if resolved else Outcome.UNRESOLVED]), numbers


def draw(found: Found, settings: Settings) -> Figure:
    """Draw modes rising in turn with networks beside, alignment before the loss falls, and SGD on samples."""
    del settings
    figure = new_figure(11.4, 3.7)
    left, middle, right = figure.subplots(1, 3)
    one = found.small[0]
    kept = slice(None, None, 20)
    colors = ("#0b3c78", "#2a788e", "#3f9f5f", "#e8743b")
    said = deep_linear.modes(STRENGTHS, initial=found.starts[0], times=one.times[1:])
    for mode, color in enumerate(colors):
        left.plot(one.times[1:], said[mode], color=color, lw=1.5, label=f"$s$ = {STRENGTHS[mode]:g}")
        left.plot(one.times[kept][::8], one.strengths[0, kept, mode][::8], "o", color=color, mfc="white", ms=3.5)
        left.axvline(deep_linear.half_time(STRENGTHS[mode], initial=found.starts[0, mode]), color=color, lw=0.7, ls=":")
        middle.plot(one.times[kept], one.alignment[0, kept, mode], color=color, lw=1.4)
    finish(left, "time $t$", "strength of the mode", "(a) closed form and a network (points)")
    left.legend(frameon=False, fontsize="small", ncols=2, loc="upper right", bbox_to_anchor=(1.0, 0.92))
    middle.plot(one.times[kept], one.loss[0, kept] / one.loss[0, 0], color="black", lw=1.4, ls="--", label="loss")
    middle.set_ylim(-0.05, 1.05)
    finish(middle, "time $t$", "alignment with the mode", "(b) aligned before the loss falls")
    middle.legend(frameon=False, fontsize="small", loc="center right")
    mode_curves(found.theory, found.runs, ax=right, title="(c) three layers, correlated inputs, SGD")
    return figure


CLAIM = Claim(
    "deep_linear",
    __doc__,
    pass_rule=(
        "Closed forms are within 1e-6 of the flow of matrices; modes of networks from small random starts are half "
        "learned within 1.5 % of ln(s/u₀ − 1)/(2s), in order, aligned before the loss falls; SGD, extrapolated, "
        "within 4.5 standard errors of the flow; half times from the raw start miss by 5 %, whitened inputs by 10."
    ),
    settings=Settings,
    quick=Settings(num_starts=3, learning_rate=4e-3, num_runs=60),
    measure=measure,
    judge=judge,
    draw=draw,
)


if __name__ == "__main__":
    raise SystemExit(CLAIM.command())
