"""Claim: Reported standard errors of errors, overlaps and heads cover the true errors over the problem bank.

PASS RULE. For every problem of `tests/problems.py` and every seed, compare train and test error at every known step
with the truth. In units of √(reported² + error of the truth²), over all problems, seeds, steps and both curves,

1. at least 95 % of the true errors are within 2, and
2. none is beyond 5, unless the status of that prediction is not "ok" and says so;
3. for no problem is the truth itself too uncertain to judge: the median over steps and seeds of its error, in units of
   the reported one, is at most 1/3.

The same three for all overlaps and entries of heads, where they are known; their errors are absolute. A value that is
not finite while the status is "ok" counts as beyond 5. Losses are half the errors. Points of one run are not
independent: the rule is about the bank, the table tells each problem's part.

NEGATIVE CONTROLS, in `tests/laws_of_the_house/test_honesty.py`: without the difference between the nodes and their
sub-nets, or with the spread alone, small node sets miss the rule.

    python -m validation.honesty [--quick]    # half an hour on two cores; writes results/honesty.{json,md}
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import jax
import numpy as np

import dyntheory as dt
from dyntheory.ground.status import DyntheoryWarning
from tests.problems import BANK, Problem, tagged
from tests.truths import reported
from validation.claim import Claim, Verdict
from validation.record import Outcome

CURVES = ("train_error", "test_error")
OTHERS = ("teacher_overlap", "weight_overlap", "head")
WITHIN, BEYOND, COVERAGE, MAX_DOUBT = 2.0, 5.0, 0.95, 1 / 3


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run: so many seeds of nodes for each problem, fewer for long ones; None is `predict`'s own choice."""

    num_seeds: int = 4
    num_long_seeds: int = 2
    first_seed: int = 100
    num_nodes: int | None = None
    problems: ClassVar[tuple[Problem, ...]] = tuple(BANK)


class Quick(Settings):
    """The same on the problems of the default tests."""

    problems = tuple(tagged("quick"))


@dataclasses.dataclass(frozen=True)
class Judged:
    """One field of one problem over seeds (leading axis).

    Args:
        ratio: true error in units of √(reported² + error of the truth²); infinite where nothing finite was reported.
        error: true error, of curves relative to the larger of the value and 1e-3 of its initial value.
        reported: the reported error on the same scale.
        doubt: error of the truth over the reported one.
        is_ok: (seeds,) whether the status was "ok".
    """

    ratio: np.ndarray
    error: np.ndarray
    reported: np.ndarray
    doubt: np.ndarray
    is_ok: np.ndarray

    @property
    def coverage(self) -> float:
        """Share of the points within 2."""
        return float(np.mean(self.ratio <= WITHIN))

    @property
    def num_silent(self) -> int:
        """Number of points beyond 5 with status ok."""
        return int(np.sum(self.ratio[self.is_ok] > BEYOND))


@dataclasses.dataclass(frozen=True)
class Measured:
    """A problem, how its predictions ended, and its judged fields."""

    problem: Problem
    statuses: tuple[str, ...]
    fields: dict[str, Judged]


def judge(problem: Problem, predictions: list[dt.Trajectory], name: str) -> Judged:
    """Compare one field with the truth at the steps where it is known."""
    truth = problem.truth
    known, doubt = truth.values[name], truth.standard_error[name]
    errors = [prediction.standard_error for prediction in predictions]
    values, sigmas = (
        np.stack([reported(one, name)[truth.steps].reshape(known.shape) for one in trajectories if one is not None])
        for trajectories in (predictions, errors)
    )
    scale = np.maximum(np.abs(known), 1e-3 * np.abs(known[:1])) if name in CURVES else np.ones_like(known)
    with np.errstate(all="ignore"):
        ratio = np.abs(values - known) / np.hypot(sigmas, doubt)
        ratio = np.where(values == known, 0.0, ratio)
    return Judged(
        ratio=np.where(np.isfinite(ratio), ratio, np.inf),
        error=np.abs(values - known) / scale,
        reported=sigmas / scale,
        doubt=doubt / np.where(sigmas > 0, sigmas, np.inf),
        is_ok=np.array([prediction.status.ok for prediction in predictions]),
    )


def measure(problem: Problem, seeds: Iterable[int], **options: Any) -> Measured:
    """Predict a problem on the nodes of several seeds and judge every field whose truth is known.

    A status other than "ok" is not a warning here: it is judged.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DyntheoryWarning)
        predictions = [problem.predict(seed, **options) for seed in seeds]
    names = [name for name in (*CURVES, *OTHERS) if name in problem.truth.values]
    fields = {name: judge(problem, predictions, name) for name in names}
    return Measured(problem, tuple(prediction.status.code for prediction in predictions), fields)


def pooled(measured: Iterable[Measured], names: Iterable[str] = CURVES) -> dict[str, float]:
    """Return coverage, worst ratio and number of silent misses over everything measured."""
    judged = [one.fields[name] for one in measured for name in names if name in one.fields]
    ratios = np.concatenate([field.ratio.ravel() for field in judged])
    return {
        "coverage": float(np.mean(ratios <= WITHIN)),
        "num_points": int(ratios.size),
        "largest_ratio": float(ratios.max()),
        "num_beyond_5_with_status_ok": sum(field.num_silent for field in judged),
        "largest_doubt": max(float(np.median(field.doubt)) for field in judged),
    }


def outcome_of(measured: list[Measured]) -> Outcome:
    """Apply the pass rule."""
    totals = [pooled(measured), pooled(measured, OTHERS)]
    if any(total["coverage"] < COVERAGE or total["num_beyond_5_with_status_ok"] for total in totals):
        return Outcome.FAILED
    is_known = all(total["largest_doubt"] <= MAX_DOUBT for total in totals)
    return Outcome.PASSED if is_known else Outcome.UNRESOLVED


def numbers(one: Measured) -> dict[str, Any]:
    """Return what the record keeps of one problem."""
    problem = one.problem
    return {
        "tags": sorted(problem.tags),
        "truth": "exact" if problem.is_exact else "reference",
        "num_steps": problem.num_steps,
        "statuses": list(one.statuses),
        **{
            name: {
                "reported": _rms(field.reported),
                "true": _rms(field.error),
                "coverage": field.coverage,
                "largest_ratio": float(field.ratio.max()),
                "doubt": float(np.median(field.doubt)),
            }
            for name, field in one.fields.items()
        },
    }


def _rms(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(np.sqrt(np.mean(np.square(finite)))) if finite.size else float("nan")


def row(one: Measured) -> str:
    """Return one line of the table."""
    cells = [one.problem.name, "exact" if one.problem.is_exact else "reference", str(one.problem.num_steps)]
    for field in (one.fields[name] for name in CURVES):
        cells += [f"{_rms(field.reported):.0e}, {_rms(field.error):.0e}", f"{field.coverage:.1%}"]
        cells.append(f"{field.ratio.max():.1f}")
    return f"| {' | '.join([*cells, ', '.join(sorted(set(one.statuses)))])} |"


def run(settings: Settings) -> list[Measured]:
    """Measure every problem."""
    measured = []
    for problem in settings.problems:
        count = settings.num_long_seeds if "long" in problem.tags else settings.num_seeds
        seeds = range(settings.first_seed, settings.first_seed + count)
        measured.append(measure(problem, seeds, num_nodes=settings.num_nodes))
        print(f"{problem.name} measured", flush=True)
        jax.clear_caches()  # the programs of fifty problems need more memory maps than a process may have
    return measured


def verdict(measured: list[Measured], settings: Settings) -> Verdict:
    """Apply the pass rule; keep totals and every problem."""
    totals = {"curves": pooled(measured), "overlaps and heads": pooled(measured, OTHERS)}
    return outcome_of(measured), {"all": totals, "problems": {one.problem.name: numbers(one) for one in measured}}


def table(measured: list[Measured], settings: Settings) -> Iterator[str]:
    """Yield the honesty table in markdown."""
    yield "| problem | truth | T | train: reported, true | within 2 | max | test | within 2 | max | ended |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    yield from map(row, measured)
    total, others = pooled(measured), pooled(measured, OTHERS)
    yield (
        f"\nAll {total['num_points']} points: {total['coverage']:.1%} within 2, largest ratio "
        f"{total['largest_ratio']:.1f}, {total['num_beyond_5_with_status_ok']} beyond 5 with status ok. Errors are "
        "root mean squares over steps and seeds, relative to the larger of the value and 1e-3 of its initial value; "
        "ratios are to the reported error at that step."
    )
    yield (
        f"\nAll {others['num_points']} overlaps and entries of heads: {others['coverage']:.1%} within 2, largest ratio "
        f"{others['largest_ratio']:.1f}, {others['num_beyond_5_with_status_ok']} beyond 5 with status ok."
    )


CLAIM = Claim(
    "honesty",
    __doc__,
    pass_rule=(
        "Over all problems, seeds, steps and both curves, and likewise over all overlaps and heads, at least 95 % of "
        "the true errors are within 2 reported standard errors and none is beyond 5 with status ok; the truth's own "
        "error is at most a third of the reported one."
    ),
    settings=Settings,
    quick=Quick(),
    measure=run,
    judge=verdict,
    table=table,
)


if __name__ == "__main__":
    raise SystemExit(CLAIM.command())
