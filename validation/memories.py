"""Claim: Hopfield networks and detectors of many users of finite size do what their replica theory says.

One theory of ±1 spins in two guises: a network of N neurons that stores αN patterns, a detector that hears K = βN users
in N chips.

(i)   Networks at temperature T, started at a pattern and run by Glauber dynamics: mean overlap of the second half of
      the sweeps, against m of the retrieval solution.
(ii)  Networks without temperature, started at a pattern, descend to a minimum: its overlap, against m at T = 0. Replica
      symmetry is broken there and a descent stops at the next minimum, so this is no theorem.
(iii) Message passing in both, step by step, against the three numbers that go from step to step in the limit.
(iv)  Detectors of one load and noise between the lines where both solutions exist: started at nothing they end at the
      uninformed solution, at the truth at the informed one.

PASS RULE. Standard errors are those of means over runs, with room for a difference of 1/N beside them.

1. (i), (iii) and (iv) at the larger size: every |z| ≤ 4; errors of means must be below .01, else unresolved.
2. (ii) at both sizes: for α ≤ .09 within .002 and 3.5 standard errors of the theory, all runs at rest.
3. Above the capacity the pattern is lost: at α = .18 the overlap at the larger size is below .85 and more than two
   standard errors below .95.

NEGATIVE CONTROL. Theory without the reaction of the other patterns, r = q instead of q/(1 − C)²: its m must be off in
(i) by more than 5 standard errors at the last point. The other solution of (iv) must be off by more than 5.

    python -m validation.memories [--quick]    # writes results/memories.*

Reference: `amit1987statistical`; `tanaka2002statistical`; `mezard2017mean`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import fixed_point

from dyntheory import memory
from dyntheory.plot import hopfield_phases
from dyntheory.plot.style import STEP, WIDTH, finish, new_figure
from validation.claim import Claim, Verdict
from validation.record import Outcome, joint_outcome

MOST_Z, MOST_ERROR, CONTROL_Z = 4.0, 0.01, 5.0
COLD_LOADS, KEPT, LOST = (0.03, 0.06, 0.09, 0.12, 0.18), 0.09, 0.18
MOST_OFF, COLD_Z, LARGEST_LOST, CLEARLY = 0.002, 3.5, 0.85, 0.95
MESSAGES = "message passing"
DARK, LIGHT = "#0b3c78", "#e8743b"


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes of one check.

    Args:
        sizes: N of networks, users of detectors; the second is judged.
        num_runs: of each.
        num_sweeps: of Glauber dynamics.
        num_steps: of message passing.
        points: (α, T) of networks.
        channels: (β, σ²) of detectors with one solution.
        both: (β, σ²) of one with two.
        seed: decides everything that is drawn.
    """

    sizes: tuple[int, int] = (1000, 2000)
    num_runs: int = 100
    num_sweeps: int = 60
    num_steps: int = 12
    points: tuple[tuple[float, float], ...] = ((0.02, 0.5), (0.05, 0.4), (0.02, 0.6))
    channels: tuple[tuple[float, float], ...] = ((0.5, 0.2), (1.0, 0.15))
    both: tuple[float, float] = (2.0, 0.1)
    seed: int = 5


class Measured(NamedTuple):
    """Mean and standard error of something, and what theory says."""

    mean: Any
    error: Any
    theory: Any

    def z(self, size: int) -> np.ndarray:
        """Return z-scores, with room for a difference of 1/N."""
        return np.abs(np.asarray(self.mean) - self.theory) / np.hypot(self.error, 1 / size)


class Found(NamedTuple):
    """By size and point: warm networks, cold ones (with the share at rest), messages, and the two detectors."""

    warm: dict[int, dict[tuple[float, float], Measured]]
    cold: dict[int, dict[float, tuple[Measured, float]]]
    messages: dict[str, Measured]
    both: dict[str, Measured]
    other: dict[str, float]
    naive: float


def measure(settings: Settings) -> Found:
    """Run networks and detectors, and ask the theory."""
    key, found = jax.random.key(settings.seed), Found({}, {}, {}, {}, {}, 0.0)
    for size in settings.sizes:
        found.warm[size] = {point: _warm(point, size, settings, key) for point in settings.points}
        found.cold[size] = {load: _cold(load, size, settings, key) for load in COLD_LOADS}
        print(f"N = {size} done", flush=True)
    size = settings.sizes[1]
    for load, temperature in settings.points:
        name = f"network α = {load}, T = {temperature}"
        found.messages[name] = _messages(memory.hopfield(load, temperature), size, settings, key, 0.7)
    for load, variance in settings.channels:
        name = f"detector β = {load}, σ² = {variance}"
        found.messages[name] = _messages(memory.multi_user(load, variance), size, settings, key, None)
    detector = memory.multi_user(*settings.both)
    ends = {name: float(detector.fixed_points()[name].overlap) for name in ("uninformed", "informed")}
    for name, start, other in (("uninformed", 0.0, "informed"), ("informed", 1.0, "uninformed")):
        path = _messages(detector, size, dataclasses.replace(settings, num_steps=40), key, start)
        found.both[name] = Measured(path.mean[-1], path.error[-1], ends[name])
        found.other[name] = ends[other]
    return found._replace(naive=_naive(*settings.points[-1]))


def _warm(point: tuple[float, float], size: int, settings: Settings, key: Any) -> Measured:
    network = memory.hopfield(*point)
    runs = network.simulate(size, num_runs=settings.num_runs, num_steps=settings.num_sweeps, key=key)
    means = runs.per_run[:, settings.num_sweeps // 2 :].mean(axis=1)
    theory = float(network.fixed_points()["retrieval"].overlap)
    return Measured(means.mean(), means.std(ddof=1) / np.sqrt(len(means)), theory)


def _cold(load: float, size: int, settings: Settings, key: Any) -> tuple[Measured, float]:
    network = memory.hopfield(load)
    runs = network.simulate(size, num_runs=settings.num_runs, num_steps=40, key=key)
    theory = float(network.fixed_points()["retrieval"].overlap)
    return Measured(runs.overlap[-1], runs.overlap_error[-1], theory), runs.still


def _messages(one: Any, size: int, settings: Settings, key: Any, start: float | None) -> Measured:
    steps = settings.num_steps
    runs = one.simulate(
        size, num_runs=settings.num_runs, num_steps=steps, key=key, algorithm=MESSAGES, start_overlap=start
    )
    path = one.iterate(steps, start_overlap=start)
    return Measured(runs.overlap[1:], runs.overlap_error[1:], path.overlap[1:])


def _naive(load: float, temperature: float) -> float:
    """Return m where other patterns do not react to each other."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / weights.sum()

    def step(state: np.ndarray) -> np.ndarray:
        spins = np.tanh((state[0] + np.sqrt(load * state[1]) * nodes) / temperature)
        return np.array([weights @ spins, weights @ spins**2])

    return float(fixed_point(step, np.ones(2), method="iteration", xtol=1e-10, maxiter=2000)[0])


def judge(found: Found, settings: Settings) -> Verdict:
    """Apply the rules and the controls."""
    size = settings.sizes[1]
    judged = {f"warm {point}": one for point, one in found.warm[size].items()} | found.messages | found.both
    scores = {name: float(np.max(one.z(size))) for name, one in judged.items()}
    errors = max(float(np.max(one.error)) for one in judged.values())
    kept = [pair for cold in found.cold.values() for load, pair in cold.items() if load <= KEPT]
    off = max(abs(one.mean - one.theory) - COLD_Z * one.error for one, _ in kept)
    lost = found.cold[size][LOST][0]
    is_lost = lost.mean < min(LARGEST_LOST, CLEARLY - 2 * lost.error)
    last = found.warm[size][settings.points[-1]]
    controls = {"without reaction": float(last._replace(theory=found.naive).z(size))}
    for name, one in found.both.items():
        controls[f"{name}, other solution"] = float(one._replace(theory=found.other[name]).z(size))
    holds = max(scores.values()) <= MOST_Z and off <= MOST_OFF and all(rest == 1.0 for _, rest in kept)
    outcome = Outcome.PASSED if holds and is_lost and min(controls.values()) > CONTROL_Z else Outcome.FAILED
    warm = {f"N = {N}": {str(point): list(one) for point, one in rows.items()} for N, rows in found.warm.items()}
    cold = {f"N = {N}": {str(a): list(one) for a, (one, _) in rows.items()} for N, rows in found.cold.items()}
    numbers = {"largest |z|": scores, "largest error of a mean": errors, "controls": controls}
    numbers |= {"warm: mean, error, theory": warm, "cold: mean, error, theory": cold}
    resolved = Outcome.PASSED if errors <= MOST_ERROR else Outcome.UNRESOLVED
    return joint_outcome([outcome, resolved]), numbers


def table(found: Found, settings: Settings) -> Iterator[str]:
    """Yield what was compared."""
    _, numbers = judge(found, settings)
    for size, warm in found.warm.items():
        rows = {f"(α, T) = {point}": one for point, one in warm.items()}
        rows |= {f"α = {load}, cold, {rest:.0%} at rest": one for load, (one, rest) in found.cold[size].items()}
        for name, one in rows.items():
            yield f"N = {size}, {name}: m = {one.mean:.5f} ± {one.error:.5f}, theory {one.theory:.5f}"
    for name, one in found.both.items():
        yield f"{name}: m = {one.mean:.5f} ± {one.error:.5f}, theory {one.theory:.5f}, other {found.other[name]:.5f}"
    for name in ("largest |z|", "largest error of a mean", "controls"):
        yield f"{name}: {numbers[name]}"


def draw(found: Found, settings: Settings) -> Figure:
    """Draw the phases with the networks in them, cold overlaps, and messages of both memories."""
    figure = new_figure(13.0, 4.0)
    left, middle, right = figure.subplots(1, 3)
    hopfield_phases(ax=left, title="phases of the Hopfield network")
    left.plot(*np.transpose(settings.points), "k*", ms=8)
    loads = np.linspace(0.005, 0.1379, 60)
    middle.plot(loads, memory.hopfield(loads).fixed_points()["retrieval"].overlap, color=DARK, label="theory")
    for (size, cold), marker, color in zip(found.cold.items(), "os", ("0.6", LIGHT), strict=True):
        means, errors = (np.array([getattr(one, name) for one, _ in cold.values()]) for name in ("mean", "error"))
        shown: dict[str, Any] = {"fmt": marker, "color": color, "mfc": "white", "label": f"N = {size}"}
        middle.errorbar(list(cold), means, yerr=WIDTH * errors, **shown)
    finish(middle, r"load $\alpha$", "overlap", "descents from a pattern")
    middle.legend(frameon=False, fontsize="small", loc="lower left")
    for (name, one), color in zip(found.messages.items(), (DARK, "#3f7f5f", "#b48ac8", LIGHT, "black"), strict=True):
        steps = np.arange(1, len(one.mean) + 1)
        style = "-" if "network" in name else "--"
        right.plot(steps, (1 - np.asarray(one.theory)) / 2, color=color, ls=style, label=name)
        right.errorbar(steps, (1 - one.mean) / 2, yerr=WIDTH * one.error / 2, fmt="o", ms=3.5, color=color, mfc="white")
    right.set_yscale("log")
    right.set_ylim(top=1.0)
    finish(right, STEP, r"$(1 - m)/2$", "message passing in both")
    right.legend(frameon=False, fontsize="x-small", ncols=2, loc="upper right")
    return figure


CLAIM = Claim(
    "memories",
    __doc__,
    pass_rule=(
        "Overlaps of warm networks, of messages at every step and of both solutions of a detector: |z| ≤ 4 with room "
        "for 1/N; cold descents within .002 and 3.5 errors up to α = .09, lost at .18; the theory without reaction and "
        "the other solution are off by 5 standard errors."
    ),
    settings=Settings,
    quick=Settings(sizes=(400, 800), num_runs=64, num_sweeps=30),
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)


if __name__ == "__main__":
    raise SystemExit(CLAIM.command())
