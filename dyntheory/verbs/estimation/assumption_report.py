"""What in a data set speaks against the assumptions of the theory: independent rows of many independent parts.

Every finding compares a number of the rows with what independent Gaussian rows of the same covariance would give.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from dyntheory.ground.arrays import ArrayLike
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.storage.saved import Saved
from dyntheory.problem.laws.row_statistics import NORM_SPREAD, row_statistics
from dyntheory.problem.laws.rows import checked_labels, standardised
from dyntheory.verbs.estimation.near_repeats import REPEAT_SHARE, near_repeats

FEW_ROWS = 50.0
FEW_DIRECTIONS = 10.0
SIGNIFICANT = 4.0
MOST_PAIRS = 2000
MOST_ROWS = 1000


class Finding(NamedTuple):
    """One reason for doubt.

    Args:
        name: "few rows", "few directions", "heavy-tailed rows", "clustered rows" or "dependent rows".
        value: what was measured.
        limit: up to which it is what independent rows give.
        message: both in words, and what it does to an estimate.
    """

    name: str
    value: float
    limit: float
    message: str


@dataclasses.dataclass(frozen=True)
class AssumptionReport(Saved):
    """All findings; none means that nothing was seen, not that all is well.

    Args:
        findings: reasons for doubt.
        num_directions: (Σ λ)²/Σ λ² of the columns' covariance: how many directions the rows really have.
        norm_spread: variance of the squared norms of rows over that of Gaussian rows of the same covariance.
        num_twins: rows that nearly repeat an earlier row, more nearly than independent rows do.
        serial_correlation: mean product of neighbouring rows, in standard errors of pairs at random.
    """

    findings: tuple[Finding, ...]
    num_directions: float
    norm_spread: float
    num_twins: int
    serial_correlation: float

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def __str__(self) -> str:
        return "\n".join(one.message for one in self.findings) or "nothing speaks against independent rows"


def assumption_report(inputs: ArrayLike, labels: ArrayLike | None = None) -> AssumptionReport:
    """Say from the data where an estimate without a test set may fail.

    Args:
        inputs: X, (n, d), in the order in which the rows were taken.
        labels: y, (n,) or (n, outputs); with them rows whose residual order matters are seen better.

    Returns:
        The findings, and the numbers behind them.

    Raises:
        ValueError: see `dyntheory.estimate`.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(200, 50))
        >>> assumption_report(rows).ok, assumption_report(np.repeat(rows[:100], 2, axis=0)).findings[0].name
        (True, 'clustered rows')
    """
    rows, _ = standardised(inputs)
    numbers = None if labels is None else checked_labels("labels", labels, len(rows))
    check_arguments(assumption_report, locals())
    return report_on(rows, numbers)


def report_on(rows: Float[np.ndarray, "n d"], labels: np.ndarray | None) -> AssumptionReport:
    """Return the report on standardised rows and checked labels."""
    n = len(rows)
    beside = rows if labels is None else np.hstack([rows, _scaled(labels)])
    directions, spread = row_statistics(rows, most_rows=MOST_ROWS)
    twins, serial = near_repeats(rows, directions), _serial(beside)
    found = (
        _few("few rows", float(n), FEW_ROWS, f"{n} rows are few: the estimate has a bias of order 1/n"),
        _few(
            "few directions",
            directions,
            FEW_DIRECTIONS,
            f"the columns vary along about {directions:.3g} directions: a preactivation is a sum of few terms and need "
            "not be Gaussian",
        ),
        _many(
            "heavy-tailed rows",
            spread,
            NORM_SPREAD[0],
            f"squared norms of rows vary {spread:.3g} times more than those of Gaussian rows: few rows decide the "
            "training, and the estimate's error bar is too small",
        ),
        _many(
            "clustered rows",
            twins / n,
            REPEAT_SHARE,
            f"{twins} of {n} rows nearly repeat another row: each row's twin teaches what the estimate removes, so it "
            "is too low for fresh groups",
        ),
        _many(
            "dependent rows",
            serial,
            SIGNIFICANT,
            f"neighbouring rows are alike ({serial:+.1f} standard errors from rows in random order): sorted rows do no "
            "harm, but for data in time or groups the estimate is too low",
        ),
    )
    return AssumptionReport(tuple(one for one in found if one), directions, spread, twins, serial)


def _few(name: str, value: float, limit: float, message: str) -> Finding | None:
    return Finding(name, value, limit, message) if value < limit else None


def _many(name: str, value: float, limit: float, message: str) -> Finding | None:
    return Finding(name, value, limit, message) if value > limit else None


def _scaled(labels: np.ndarray) -> Float[np.ndarray, "n outputs"]:
    """Return labels as columns of variance one; those that do not vary are left out."""
    numbers = labels.reshape(len(labels), -1)
    spread = numbers.std(axis=0)
    return (numbers - numbers.mean(axis=0))[:, spread > 0] / spread[spread > 0]


def _serial(rows: Float[np.ndarray, "n d"]) -> float:
    """Return the sum of products of neighbouring rows, in standard errors of as many pairs at random."""
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-300)
    neighbours = np.sum(unit[1:] * unit[:-1], axis=1)
    random = np.random.default_rng(0).permuted(np.arange(len(unit)))[: MOST_PAIRS + 1]
    pairs = np.sum(unit[random[1:]] * unit[random[:-1]], axis=1)
    error = pairs.std() * np.sqrt(1.0 / len(neighbours) + 1.0 / len(pairs))
    return float((neighbours.mean() - pairs.mean()) / max(error, 1e-300))
