"""Claim: Predicted errors on power-law spectra fall with samples and steps by the exponents of theory.

λ_j = j^{−α} and λ_j a_j = j^{−(1 + 2αr)}, j = 1, …, p (scaled to mean one): capacity α, source r. Least squares from
zero weights without label noise: with n samples and training to the end the test error falls as n^{−2αr}; with many
samples as t^{−2r}.

PASS RULE. For every source:

1. the predicted error after the last step of heavy-ball descent is within 1 % of `closed_forms.ridge_general` without
   penalty on the same p modes, at every n;
2. exponents fitted to the predicted errors, by least squares on logarithms, are within 0.06 of −2αr and −2r;
3. simulated means lie within 4 standard errors plus a relative 1/n of the prediction.

Standard errors above 10 % leave the claim unresolved.

CHOICE OF CASES. Exponents are asymptotic, and these cases are ones where n of 8 to 64 among 1000 modes shows them. They
were picked after a look at the closed form for twelve (p, α, r), with p = 400, 1000, 4000 and (α, r) = (1.2, 0.4),
(1.5, 0.2), (1.5, 0.3), (1.5, 0.4); the 0.06 was set after it too. Elsewhere the finite range shows: at p = 400,
α = 1.2, r = 0.4 the slope in n runs from −0.91 to −1.31 where theory says −0.96, and that in t is −0.92, not −0.8.
So rule 2 says that the prediction has the exponents where the closed form has them; rule 1 holds without that choice.

NEGATIVE CONTROL. The exponent in n for a teacher alike along all modes (that of source (α − 1)/(2α)) must miss rule 2.

    python -m validation.scaling_laws [--quick]    # writes validation/results/scaling_laws.*

Reference: `cui2021generalization`; `bordelon2020spectrum`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import optax
from matplotlib.figure import Figure

import dyntheory as dt
from dyntheory import closed_forms
from dyntheory.gaussian.nodes import draw_nodes
from dyntheory.ground.precision import double_precision
from dyntheory.plot.style import new_figure
from dyntheory.problem.prepared import prepare
from dyntheory.problem.shape import Shape
from dyntheory.verbs.prediction.pieces import LimitProblem, nets_for, solve
from validation.claim import Claim, Verdict
from validation.record import Outcome, joint_outcome

ZERO = dt.FirstLayer(second_moment=np.zeros((1, 1)))
NUM_NODES = 2**11  # linear problems are exact on any nodes


@dataclasses.dataclass(frozen=True)
class Settings:
    """Spectra, sizes and runs."""

    capacity: float = 1.5
    sources: tuple[float, ...] = (0.3, 0.4)
    num_modes: int = 1000
    num_samples: tuple[int, ...] = (8, 16, 32, 64)
    num_steps: int = 200
    rate: float = 0.5  # times 1/largest eigenvalue
    momentum: float = 0.9
    flow_samples: int = 100_000
    flow_steps: int = 150
    first_step: int = 10
    num_runs: int = 100


def spectrum_of(settings: Settings, source: float) -> dt.spectra.Spectrum:
    """Return the power law of one source."""
    target = 1 + 2 * settings.capacity * source
    with double_precision():
        return dt.spectra.power_law(settings.capacity, num_modes=settings.num_modes, target_exponent=target)


Found = tuple[dict[str, Any], float]  # of every source; exponent of the control


def predicted(spectrum: dt.spectra.Spectrum, alpha: float, steps: int, rate: float, momentum: float) -> np.ndarray:
    """Return the predicted test error at every step."""
    law = dt.TeacherStudent(alpha, "linear", features=spectrum)
    method = _method(spectrum, rate, momentum)
    with double_precision():
        ready = prepare(law, method, jax.random.key(0), head=None, first_layer=ZERO, num_heads=1)
        problem = LimitProblem(ready.law, ready.method, ready.heads[0], ready.joint_second_moment)
        test = draw_nodes(NUM_NODES, Shape.of(law, method, 0).test_dimensions, num_heavy=1, seed=0)
        nets = nets_for(law, method, num_steps=steps, num_nodes=NUM_NODES, key=jax.random.key(1))
        return np.asarray(solve(problem, nets, test, num_steps=steps).test_error)


def _method(spectrum: dt.spectra.Spectrum, rate: float, momentum: float) -> dt.GeneralFirstOrderMethod:
    largest = float(np.max(np.asarray(spectrum.eigenvalues)))
    return dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=rate / largest, momentum=momentum)


def exponent(sizes: Any, errors: Any) -> float:
    """Return the slope of log error against log size."""
    return float(np.polyfit(np.log(sizes), np.log(errors), 1)[0])


def measure(settings: Settings, source: float) -> dict[str, Any]:
    """Return errors, exponents and their theory values for one source."""
    spectrum, p, counts = spectrum_of(settings, source), settings.num_modes, np.asarray(settings.num_samples)
    end, bars, simulated = [], [], []
    for n in settings.num_samples:
        end.append(predicted(spectrum, n / p, settings.num_steps, settings.rate, settings.momentum)[-1])
        runs = dt.simulate(
            dt.TeacherStudent(n / p, "linear", features=spectrum),
            _method(spectrum, settings.rate, settings.momentum),
            num_steps=settings.num_steps,
            num_features=p,
            num_runs=settings.num_runs,
            key=jax.random.key(n),
            first_layer=ZERO,
            num_test_nodes=2**9,
            keep_preactivations=False,
        )
        assert runs.standard_error is not None
        simulated.append(runs.test_error[-1])
        bars.append(runs.standard_error.test_error[-1])
    values, powers = np.asarray(spectrum.eigenvalues), np.asarray(spectrum.alignment)
    exact = closed_forms.ridge_general(counts, 0.0, eigenvalues=values, target_coefficients=np.sqrt(powers / p))
    flow = predicted(spectrum, settings.flow_samples / p, settings.flow_steps, 1.0, 0.0)
    steps = np.arange(settings.first_step, settings.flow_steps + 1)
    return {
        "predicted": np.asarray(end),
        "ridge_general": exact.test_error,
        "simulated": np.asarray(simulated),
        "standard_error": np.asarray(bars),
        "exponent_in_samples": exponent(counts, end),
        "theory_in_samples": -2 * settings.capacity * source,
        "by_step": flow,
        "exponent_in_steps": exponent(steps, flow[steps]),
        "theory_in_steps": -2 * source,
    }


def outcome_of(numbers: dict[str, Any], settings: Settings) -> Outcome:
    """Return how one source fared."""
    if np.any(numbers["standard_error"] > 0.1 * numbers["simulated"]):
        return Outcome.UNRESOLVED
    near = np.all(np.abs(numbers["predicted"] / numbers["ridge_general"] - 1) < 0.01)
    slopes = all(abs(numbers[f"exponent_in_{x}"] - numbers[f"theory_in_{x}"]) < 0.06 for x in ("samples", "steps"))
    allowed = 4 * numbers["standard_error"] + numbers["predicted"] / np.asarray(settings.num_samples)
    met = np.all(np.abs(numbers["simulated"] - numbers["predicted"]) < allowed)
    return Outcome.PASSED if near and slopes and met else Outcome.FAILED


def run(settings: Settings) -> Found:
    """Return what is measured for every source, and the exponent of the control."""
    numbers = {f"source {source}": measure(settings, source) for source in settings.sources}
    control = spectrum_of(settings, (settings.capacity - 1) / (2 * settings.capacity))
    ends = [
        predicted(control, n / settings.num_modes, settings.num_steps, settings.rate, settings.momentum)[-1]
        for n in settings.num_samples
    ]
    return numbers, exponent(settings.num_samples, ends)


def judge(found: Found, settings: Settings) -> Verdict:
    """Apply the pass rule to every source and ask the control to miss."""
    numbers, control = found
    outcomes = [outcome_of(one, settings) for one in numbers.values()]
    missed = all(abs(control - one["theory_in_samples"]) >= 0.06 for one in numbers.values())
    outcome = joint_outcome([*outcomes, Outcome.PASSED if missed else Outcome.FAILED])
    return outcome, {**numbers, "control_exponent": control}


def table(found: Found, settings: Settings) -> Iterator[str]:
    """Yield exponents and deviations of every source."""
    numbers, control = found
    for name, one in numbers.items():
        for x in ("samples", "steps"):
            yield f"{name}: exponent in {x} {one[f'exponent_in_{x}']:.3f}, theory {one[f'theory_in_{x}']:.3f}"
        gap, bar = one["simulated"] / one["predicted"] - 1, one["standard_error"] / one["predicted"]
        yield f"  predicted/closed form - 1 {one['predicted'] / one['ridge_general'] - 1}"
        yield f"  simulated/predicted - 1 {gap} +- {bar}"
    yield f"control: {control:.3f}"


def draw(found: Found, settings: Settings) -> Figure:
    """Draw errors against samples and steps on logarithmic axes, with lines of the exponents of theory."""
    numbers, _ = found
    figure = new_figure(9.5, 4.0)
    left, right = figure.subplots(1, 2)
    counts, steps = np.asarray(settings.num_samples), np.arange(settings.first_step, settings.flow_steps + 1)
    for number, (name, one) in enumerate(numbers.items()):
        colour = f"C{number}"
        left.plot(counts, one["predicted"], "-", color=colour, label=f"{name}: predicted")
        left.errorbar(
            counts, one["simulated"], 2 * one["standard_error"], fmt="o", color=colour, ms=4, label="trained (2 s.e.)"
        )
        slope = one["theory_in_samples"]
        guide = one["predicted"][0] * 0.8 * (counts / counts[0]) ** slope
        left.plot(
            counts,
            guide,
            "--",
            color=colour,
            lw=1,
            label=f"$n^{{{slope:.2g}}}$, fitted {one['exponent_in_samples']:.3f}",
        )
        right.plot(np.arange(1, len(one["by_step"])), one["by_step"][1:], "-", color=colour, label=f"{name}: predicted")
        slope = one["theory_in_steps"]
        guide = one["by_step"][steps[0]] * 0.8 * (steps / steps[0]) ** slope
        right.plot(
            steps, guide, "--", color=colour, lw=1, label=f"$t^{{{slope:.2g}}}$, fitted {one['exponent_in_steps']:.3f}"
        )
    for ax, text in ((left, "samples n, trained to the end"), (right, f"steps t, n = {settings.flow_samples}")):
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xlabel(text)
        ax.set_ylabel("test error")
        ax.legend(fontsize=7)
    left.set_xticks(counts, [str(n) for n in counts])
    left.minorticks_off()
    return figure


CLAIM = Claim(
    "scaling_laws",
    __doc__,
    pass_rule=(
        "See the docstring: 1 % of the closed form, 0.06 of the exponents, 4 standard errors + 1/n; control misses."
    ),
    settings=Settings,
    quick=Settings(sources=(0.4,), num_samples=(8, 16, 32), num_steps=120, flow_steps=60, num_runs=60),
    measure=run,
    judge=judge,
    table=table,
    draw=draw,
)


if __name__ == "__main__":
    raise SystemExit(CLAIM.command())
