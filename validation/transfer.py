"""Claim: The learning rate that the theory finds best is best in simulation at every size d, and whether one transfers
across widths depends on the scaling.

Sizes: SGD and Adam, a tanh network of three units, T = 20, both layers trained, all at one rate η of W = √d K. In these
numbers nothing depends on d: not η, not Adam's ε, not a decay. On the kernel K of a flax script Adam's best rate is
η/√d and falls with d, ε as well; that of SGD stays, and so do all numbers of the head.

Widths: F = Σ_j a_j φ(h_j), j = 1, …, k, T = 10, SGD, both layers trained, by theory; heads as the library draws them.
In standard scaling a_j ~ k^{−1/2} ("lecun") and both layers have the rate η. In mean-field scaling a_j ~ 1/k. The
gradient of w_j is a_j times what is O(1), so w_j moves by O(1) for a rate that grows as k; that of a_j is O(1), so a_j
moves by O(1/k) for a rate that falls as 1/k: W has η k and a has η/k (`dyntheory.hyperparameters_at_width`; with
F = (1/k) Σ_j ã_j φ(h_j) in a script, η k on both). k = 128 needs 2^16 nodes and 3.5 minutes a rate: it is trained only,
at `width_size` features, and reported.

PASS RULE. All rates of one problem share the key of the runs, so differences between rates are paired by runs.

1. Sizes, for both optimizers: at each d the rate with the least predicted error has a simulated error at most 3
   standard errors of the paired difference above the least simulated one; rates of half and twice its size lie more
   than 3 above it (else unresolved); at the largest d simulation and theory agree at all rates, as in
   `dyntheory.compare` with level 1 % and allowance 10/d.
2. Widths, ReLU, between k = 8 and the largest k of the theory: in mean-field scaling the best rate moves by at most one
   step of the grid (×2), and is inside the grid. At the best rate of every width runs agree with the theory, as above.

NEGATIVE CONTROLS. Adam's best numbers on the flax kernel at the smallest d, kept at the largest, must cost more than 3
standard errors there. In standard scaling the best rate must move by more than one step.

What was known before. Exploration at k = 2, 8, 32 showed that with tanh the best rate of the standard scaling does not
move (1.6 at all three), so tanh cannot be the control. What lowers rates is the mean of the activation: the k outputs
φ(h_j) share a direction of power k (E φ)², along which the head is stable for η < 2/(k (E φ)²) only. E φ is 0 for tanh,
0.4 for ReLU. With a frozen head that direction does not move. Both are measured beside the claim (`reported_widths`).

    python -m validation.transfer [--quick]    # 20 minutes of processor time; writes validation/results/transfer.*

Reference: `yang2021tuning`, table 3.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

import dyntheory as dt
from validation.claim import Claim, Verdict
from validation.record import VERDICTS, Outcome, joint_outcome
from validation.transfer_cases import (
    MEAN_FIELD,
    SCALINGS,
    SIZED,
    STANDARD,
    Case,
    Options,
    agreement_of,
    at_sizes,
    at_width,
    last_errors,
    methods_of,
    trained,
)
from validation.transfer_figure import figure_of

SCORE, FROM_WIDTH = 3.0, 8
CLAIMED = (MEAN_FIELD, STANDARD)
OPTIMIZERS = {"sgd": optax.sgd, "adam": optax.adam}


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run.

    Args:
        num_steps: T of the sizes.
        sizes: numbers of features.
        num_runs: of each size.
        sgd_rates: on W and on the head.
        adam_rates: on W and on the head.
        widths: k of the claim.
        reported_widths: k of what is measured beside it.
        simulated_width: k of runs without theory; 0 for none.
        mean_field_rates: η, with η k on W and η/k on the head.
        standard_rates: η of both.
        width_steps: T of the widths.
        width_size: d of the runs beside them.
        width_runs: how many.
        seed: decides nodes and data.
    """

    num_steps: int = 20
    sizes: tuple[int, ...] = (500, 1000, 2000, 4000, 8000)
    num_runs: tuple[int, ...] = (64, 40, 24, 16, 12)
    sgd_rates: tuple[float, ...] = (0.28, 0.4, 0.57, 0.8, 1.13, 1.6, 2.26)
    adam_rates: tuple[float, ...] = (0.07, 0.1, 0.14, 0.2, 0.28, 0.4, 0.57)
    widths: tuple[int, ...] = (2, 8, 32, 64)
    reported_widths: tuple[int, ...] = (2, 8, 32)
    simulated_width: int = 128
    mean_field_rates: tuple[float, ...] = (0.2, 0.4, 0.8, 1.6, 3.2)
    standard_rates: tuple[float, ...] = (0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
    width_steps: int = 10
    width_size: int = 1000
    width_runs: int = 16
    seed: int = 0


class Found(NamedTuple):
    """Curves by optimizer, by scaling and width, and the runs of the control."""

    sizes: dict[str, Case]
    widths: dict[str, dict[int, Case]]
    kept_flax_number: np.ndarray  # errors of the runs at the largest d


def run(settings: Settings) -> Found:
    """Predict and train everything."""
    options = Options(settings.num_steps, jax.random.key(settings.seed))
    sizes = dict(zip(settings.sizes, settings.num_runs, strict=True))
    rates = {"sgd": settings.sgd_rates, "adam": settings.adam_rates}
    by_size = {name: at_sizes(rule, rates[name], options, sizes) for name, rule in OPTIMIZERS.items()}
    widths = {name: _curves(name, settings, options._replace(num_steps=settings.width_steps)) for name in SCALINGS}
    return Found(by_size, widths, _kept(by_size["adam"], settings, options))


def _curves(name: str, settings: Settings, options: Options) -> dict[int, Case]:
    """Return the curves of one scaling by width; runs at the best rates, and at all where there is no theory."""
    scaling, size = SCALINGS[name], {settings.width_size: settings.width_runs}
    rates = settings.mean_field_rates if scaling.initialization == "mean_field" else settings.standard_rates
    if name not in CLAIMED:
        return {k: at_width(scaling, k, rates, options) for k in settings.reported_widths}
    alone = settings.simulated_width
    found = {}
    for k in (*settings.widths, *[alone] * bool(alone)):
        case = at_width(scaling, k, rates, options, is_predicted=k != alone)
        chosen = rates if k == alone else rates[: case.best + 1]
        found[k] = case._replace(runs=trained(methods_of(scaling, k, chosen), options, size))
    return found


def _kept(adam: Case, settings: Settings, options: Options) -> np.ndarray:
    """Return errors at the largest d with the numbers on the flax kernel that are best at the smallest."""
    rate = float(adam.rates[adam.best])
    kernel = dt.flax_hyperparameters(optax.adam, num_features=settings.sizes[0], learning_rate=rate).kernel
    numbers = dt.from_flax_hyperparameters(optax.adam, num_features=settings.sizes[-1], **kernel)
    method = dt.gradient_descent(SIZED, optax.adam, **{**numbers, "head_learning_rate": rate})
    return last_errors(method, options, settings.sizes[-1], settings.num_runs[-1])


def paired_score(worse: np.ndarray, better: np.ndarray) -> float:
    """Return the mean difference of runs over its standard error; infinite where a run of the first diverged."""
    difference = worse - better
    if not difference.any():
        return 0.0
    score = difference.mean() / (difference.std(ddof=1) / np.sqrt(difference.size))
    return float(score) if np.isfinite(score) else float("inf")


def choice_at(case: Case, num_features: int) -> dict[str, Any]:
    """Return how the rate of the theory fares in the runs of one size, and how rates beside it do."""
    runs, best, means = case.runs[num_features], case.best, case.means(num_features)
    beside = [int(np.argmin(abs(np.log(case.rates / case.rates[best] / factor)))) for factor in (0.5, 2.0)]
    return {
        "simulated_best": case.rates[int(means.argmin())],
        "excess": means[best] - means.min(),
        "score": paired_score(runs[best], runs[int(means.argmin())]),
        "scores_of_half_and_twice": [paired_score(runs[place], runs[best]) for place in beside],
        "simulated": means,
        "standard_error": runs.std(axis=1, ddof=1) / np.sqrt(runs.shape[1]),
    }


def judge_sizes(case: Case) -> tuple[Outcome, dict[str, Any]]:
    """Apply the rule of sizes to one optimizer."""
    by_size = {d: choice_at(case, d) for d in case.runs}
    report = agreement_of(case, max(case.runs))
    outcomes = [VERDICTS[report.verdict]]
    for found in by_size.values():
        outcomes.append(Outcome.PASSED if found["score"] <= SCORE else Outcome.FAILED)
        if min(found["scores_of_half_and_twice"]) <= SCORE:
            outcomes.append(Outcome.UNRESOLVED)
    kept = {
        "rates": case.rates,
        "theory": case.theory,
        "theory_error": case.theory_error,
        "best": case.rates[case.best],
    }
    z = {"z": report.z["test_error"], "threshold": report.threshold, "verdict": report.verdict}
    return joint_outcome(outcomes), {**kept, "at the largest d": z, "sizes": by_size}


def judge_widths(curves: dict[str, dict[int, Case]], settings: Settings) -> tuple[Outcome, dict[str, Any]]:
    """Apply the rule of widths: one scaling keeps its best rate, the other loses it, runs agree at both."""
    numbers, outcomes, moved = {}, [], {}
    for name, cases in curves.items():
        kept = {k: _of_width(case, settings.width_size) for k, case in cases.items()}
        numbers[name] = kept
        if name in CLAIMED:
            first, last = (cases[k].best for k in (FROM_WIDTH, max(settings.widths)))
            moved[name] = abs(last - first)
            outcomes += [VERDICTS[kept[k]["agreement"]["verdict"]] for k in settings.widths]
            is_inside = 0 < last < len(cases[FROM_WIDTH].rates) - 1
            holds = moved[name] <= 1 and is_inside if name == MEAN_FIELD else moved[name] > 1
            outcomes.append(Outcome.PASSED if holds else Outcome.FAILED)
    return joint_outcome(outcomes), {"steps of the grid moved": moved, **numbers}


def _of_width(case: Case, size: int) -> dict[str, Any]:
    found: dict[str, Any] = {"rates": case.rates, "theory": case.theory, "best": case.rates[case.best]}
    if case.runs:
        found |= {"simulated": case.means(size)}
        if case.is_predicted:
            report = agreement_of(case, size, [case.best])
            found["agreement"] = {"verdict": report.verdict, "z": report.worst.z, "allowance": report.allowance}
    return found


def judge(found: Found, settings: Settings) -> Verdict:
    """Apply both rules and the control of flax numbers."""
    sizes = {name: judge_sizes(case) for name, case in found.sizes.items()}
    widths, of_widths = judge_widths(found.widths, settings)
    adam, last = found.sizes["adam"], settings.sizes[-1]
    score = paired_score(found.kept_flax_number, adam.runs[last][adam.best])
    control = {"score": score, "error": found.kept_flax_number.mean(), "flax_rates": flax_rates(adam)}
    outcomes = [outcome for outcome, _ in sizes.values()] + [Outcome.PASSED if score > SCORE else Outcome.FAILED]
    numbers = {name: kept for name, (_, kept) in sizes.items()}
    return joint_outcome([*outcomes, widths]), {**numbers, "flax number kept": control, "widths": of_widths}


def flax_rates(adam: Case) -> dict[int, float]:
    """Return Adam's best rate on the flax kernel by d."""
    rate = float(adam.rates[adam.best])
    return {
        d: dt.flax_hyperparameters(optax.adam, num_features=d, learning_rate=rate).kernel["learning_rate"]
        for d in adam.runs
    }


def table(found: Found, settings: Settings) -> Iterator[str]:
    """Yield one line for every size and every width."""
    _, numbers = judge(found, settings)
    for name in OPTIMIZERS:
        best, z = numbers[name]["best"], np.abs(numbers[name]["at the largest d"]["z"]).max()
        for d, row in numbers[name]["sizes"].items():
            beside = ", ".join(f"{score:.1f}" for score in row["scores_of_half_and_twice"])
            yield (
                f"{name} d = {d}: theory {best}, runs {row['simulated_best']}, excess {row['excess']:.4f} "
                f"({row['score']:.1f} s.e.), half and twice {beside} s.e."
            )
        yield f"{name} largest |z| over rates at the largest d: {z:.1f}"
    kept = numbers["flax number kept"]
    yield f"adam, number on the flax kernel kept: {kept['error']:.4f}, {kept['score']:.1f} s.e. above"
    for name, cases in found.widths.items():
        for k, case in cases.items():
            verdict = numbers["widths"][name][k].get("agreement", {}).get("verdict", "")
            error = case.theory[case.best] if case.is_predicted else case.means(settings.width_size).min()
            yield f"{name} k = {k}: best {case.rates[case.best]}, error {error:.4f} {verdict}"


CLAIM = Claim(
    "transfer",
    __doc__,
    pass_rule=(
        "At every d the best rate of the theory is within 3 paired standard errors of the best of the runs, half and "
        "twice of it are not, and curves over rates agree at the largest d; in mean-field scaling the best rate moves "
        "by at most one step (×2) between k = 8 and the largest k, and runs agree at the best rates. Controls: numbers "
        "kept on the flax kernel cost more than 3 standard errors; in standard scaling the best rate moves by more "
        "than one step."
    ),
    settings=Settings,
    quick=Settings(
        sizes=(100, 1600),
        num_runs=(96, 16),
        sgd_rates=(0.57, 1.13, 2.26),
        adam_rates=(0.14, 0.28, 0.57),
        widths=(8, 32),
        reported_widths=(2,),
        simulated_width=0,
        mean_field_rates=(0.4, 0.8, 1.6, 3.2),
        standard_rates=(0.1, 0.2, 0.4, 0.8, 1.6),
        width_steps=8,
        width_size=400,
    ),
    measure=run,
    judge=judge,
    table=table,
    draw=lambda found, settings: figure_of(found.sizes, found.widths, settings.width_size),
)


if __name__ == "__main__":
    raise SystemExit(CLAIM.command())
