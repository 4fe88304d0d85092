"""Claim: on power-law spectra errors of regression on random features fall with their number by the exponent of theory.

λ_j = j^{−α} and λ_j b_j² = j^{−(1 + 2αr)}, j = 1, …, p: capacity α, source r. The features are N random projections of
the inputs. With many samples, no penalty and no noise the test error falls as N^{−α min(2r, 1)}; on the inputs
themselves it falls with the number of samples as n^{−α min(2r, 2)}. For r < 1/2 the two exponents are one, as in the
duality of Bahri et al.: a teacher alike along all modes has r = (α − 1)/(2α), their α_K is α − 1, and width and samples
both have the exponent −α_K. For r > 1/2 the width saturates first.

PASS RULE. For every source:

1. exponents fitted to `closed_forms.projected_features`, by least squares on logarithms, are within 0.05 of the theory,
   in the width at n → ∞ and in the samples at N → ∞;
2. means over ridge regressions on drawn features lie within 4 standard errors plus a relative 1/N of the closed form
   at the same N, n, p and penalty.

Standard errors above 10 % leave the claim unresolved. The case and the 0.05 were chosen after a look at the closed form
for (α, 2αr) = (2, 0.6), (2, 1), (2, 3), (1.5, 0.5), (1.5, 0.9), (1.5, 2.4) at other sizes: exponents are asymptotic,
and at α = 1.5 and widths up to 128 some of them are still 0.15 away.

NEGATIVE CONTROLS. Both at the largest source. The fitted exponent in the width must miss that in the samples by more
than 0.5. Drawn regressions on the N strongest directions in place of random ones must miss the closed form in rule 2.

    python -m validation.scaling_width          # writes validation/results/scaling_width.*
    python -m validation.scaling_width --quick  # one source, few runs; writes nothing unless --results is given

Reference: `bahri2021explaining`; `maloney2022solvable`; `atanasov2024scaling`; `simon2024more`.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dyntheory import closed_forms
from validation.record import RESULTS, Outcome, Record, joint_outcome

CLAIM = "Errors of regression on random features of power-law data fall with their number by the exponent of theory."
PASS_RULE = "See the docstring: 0.05 of the exponents, 4 standard errors + 1/N of the closed form; both controls miss."
INFINITE = 1e12


@dataclasses.dataclass(frozen=True)
class Settings:
    """Spectra, sizes and runs."""

    capacity: float = 2.0
    sources: tuple[float, ...] = (0.15, 0.25, 0.75)
    asymptotic_modes: int = 100_000
    asymptotic_sizes: tuple[int, ...] = (64, 128, 256, 512, 1024)
    num_modes: int = 2000
    num_samples: int = 1024
    widths: tuple[int, ...] = (8, 16, 32, 64)
    penalty: float = 1e-6
    num_runs: int = 200


QUICK = Settings(
    sources=(0.75,), asymptotic_modes=20_000, asymptotic_sizes=(64, 128, 256), num_samples=256, num_runs=30
)


def spectrum_of(settings: Settings, source: float, num_modes: int) -> dict[str, np.ndarray]:
    """Return eigenvalues and target coefficients of a power law."""
    place = np.arange(1.0, num_modes + 1)
    values = place**-settings.capacity
    return {
        "eigenvalues": values,
        "target_coefficients": np.sqrt(place ** -(1 + 2 * settings.capacity * source) / values),
    }


def exponent(sizes: Any, errors: Any) -> float:
    """Return the slope of log error against log size."""
    return float(np.polyfit(np.log(sizes), np.log(errors), 1)[0])


def trained(settings: Settings, source: float, *, strongest: bool = False) -> np.ndarray:
    """Return test errors of ridge regressions, (runs, widths), on random features or on the strongest directions."""
    spectrum, generator = spectrum_of(settings, source, settings.num_modes), np.random.default_rng(0)
    values, target = spectrum["eigenvalues"], spectrum["target_coefficients"]
    errors = np.zeros((settings.num_runs, len(settings.widths)))
    for run in range(settings.num_runs):
        rows = generator.normal(size=(settings.num_samples, settings.num_modes)) * np.sqrt(values)
        labels = rows @ target
        for place, width in enumerate(settings.widths):
            drawn = generator.normal(size=(width, settings.num_modes)) / np.sqrt(width)
            projection = np.eye(width, settings.num_modes) if strongest else drawn
            seen = rows @ projection.T
            gram = seen.T @ seen / settings.num_samples + settings.penalty * np.eye(width)
            fitted = np.linalg.solve(gram, seen.T @ labels / settings.num_samples)
            errors[run, place] = np.sum(values * (target - projection.T @ fitted) ** 2)
    return errors


def measure(settings: Settings, source: float, *, strongest: bool = False) -> dict[str, Any]:
    """Return errors, exponents and their theory values for one source."""
    limit, sizes = spectrum_of(settings, source, settings.asymptotic_modes), np.asarray(settings.asymptotic_sizes)
    by_width = closed_forms.projected_features(sizes, INFINITE, 0.0, **limit).test_error
    by_samples = closed_forms.ridge_general(sizes, 0.0, **limit).test_error
    finite = spectrum_of(settings, source, settings.num_modes)
    predicted = closed_forms.projected_features(settings.widths, settings.num_samples, settings.penalty, **finite)
    errors = trained(settings, source, strongest=strongest)
    return {
        "by_width": by_width,
        "by_samples": by_samples,
        "exponent_in_width": exponent(sizes, by_width),
        "theory_in_width": -settings.capacity * min(2 * source, 1.0),
        "exponent_in_samples": exponent(sizes, by_samples),
        "theory_in_samples": -settings.capacity * min(2 * source, 2.0),
        "predicted": predicted.test_error,
        "trained": errors.mean(axis=0),
        "standard_error": errors.std(axis=0, ddof=1) / np.sqrt(len(errors)),
        "exponent_predicted_at_small_widths": exponent(settings.widths, predicted.test_error),
        "exponent_trained_at_small_widths": exponent(settings.widths, errors.mean(axis=0)),
    }


def is_met(numbers: dict[str, Any], settings: Settings) -> bool:
    """Return whether the trained means are those of the closed form."""
    allowed = 4 * numbers["standard_error"] + numbers["predicted"] / np.asarray(settings.widths)
    return bool(np.all(np.abs(numbers["trained"] - numbers["predicted"]) < allowed))


def judge(numbers: dict[str, Any], settings: Settings) -> Outcome:
    """Return how one source fared."""
    if np.any(numbers["standard_error"] > 0.1 * numbers["trained"]):
        return Outcome.UNRESOLVED
    slopes = all(abs(numbers[f"exponent_in_{x}"] - numbers[f"theory_in_{x}"]) < 0.05 for x in ("width", "samples"))
    return Outcome.PASSED if slopes and is_met(numbers, settings) else Outcome.FAILED


def main(settings: Settings = QUICK, *, results: Path | None = None) -> int:
    """Measure, judge, record; return the exit status."""
    numbers = {f"source {source}": measure(settings, source) for source in settings.sources}
    outcome = joint_outcome(judge(one, settings) for one in numbers.values())
    smooth = numbers[f"source {max(settings.sources)}"]
    control = measure(settings, max(settings.sources), strongest=True)
    if abs(smooth["exponent_in_width"] - smooth["theory_in_samples"]) < 0.5 or is_met(control, settings):
        outcome = Outcome.FAILED
    for name, one in numbers.items():
        for x in ("width", "samples"):
            print(f"{name}: exponent in {x} {one[f'exponent_in_{x}']:.3f}, theory {one[f'theory_in_{x}']:.3f}")
        relative = one["trained"] / one["predicted"] - 1, one["standard_error"] / one["predicted"]
        print("  trained/closed form - 1", relative[0].round(4), "+-", relative[1].round(4))
    off = control["trained"] / control["predicted"] - 1
    print("control, strongest directions: trained/closed form - 1", off.round(3), outcome.value)
    if results is not None:
        found = {**numbers, "control": control}
        Record("scaling_width", CLAIM, PASS_RULE, dataclasses.asdict(settings), found, outcome).write(results)
        draw(numbers, settings, results / "scaling_width.png")
    return outcome.exit_status


def draw(numbers: dict[str, Any], settings: Settings, path: Path) -> None:
    """Draw errors against width and samples on logarithmic axes, trained means beside small widths."""
    figure = Figure(figsize=(9.5, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for number, (name, one) in enumerate(numbers.items()):
        colour = f"C{number}"
        left.plot(settings.widths, one["predicted"], "-", color=colour)
        bars = 2 * one["standard_error"]
        left.errorbar(
            settings.widths, one["trained"], bars, fmt="o", color=colour, ms=4, label=f"{name}: trained (2 s.e.)"
        )
        for x, style in (("width", "-"), ("samples", "--")):
            fit, theory = one[f"exponent_in_{x}"], one[f"theory_in_{x}"]
            label = f"{name}, {x}: fitted {fit:.3f}, theory {theory:.2g}"
            right.plot(settings.asymptotic_sizes, one[f"by_{x}"], style, color=colour, label=label)
    left.set_xlabel(f"width N at n = {settings.num_samples}, p = {settings.num_modes}; lines: closed form")
    right.set_xlabel("width N, n infinite; or samples n, N infinite")
    for ax in (left, right):
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_ylabel("test error")
        ax.legend(fontsize=7)
    left.set_xticks(settings.widths, [str(width) for width in settings.widths])
    left.minorticks_off()
    figure.savefig(path, dpi=110)


def command(*, quick: bool = False, results: Path | None = None) -> int:
    """Run the whole validation, or a small one.

    Args:
        quick: small sizes; writes nothing unless `results` is given.
        results: where record and figure go.
    """
    settings = QUICK if quick else Settings()
    return main(settings, results=results if quick else results or RESULTS)


if __name__ == "__main__":
    sys.exit(tyro.cli(command))
