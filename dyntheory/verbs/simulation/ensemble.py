"""Means and standard errors over runs that come in batches; runs that diverged are counted and kept apart.

Run i has head i mod H. What is kept does not grow with the number of runs, unless single runs are asked for.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np

from dyntheory.dynamics.curves import Curves, has_estimation_error
from dyntheory.ground.arrays import PyTree
from dyntheory.ground.status import Status
from dyntheory.results.judgement import cure_of, diverged_runs, first_bad_step
from dyntheory.results.trajectory import CURVES, OVERLAPS, Trajectory
from dyntheory.verbs.simulation.running_moments import Moments, merged, moments_of

MOST_LISTED = 100


class Kept(NamedTuple):
    """What is kept beside means and variances.

    Args:
        runs: the curves of every single run.
        rows: preactivations and labels of every run.
        covariance: covariances between steps.
    """

    runs: bool
    rows: bool
    covariance: bool


class Ensemble:
    """Runs of one problem, added in order.

    Args:
        head: one initial head, for its structure.
        num_heads: H.
        num_steps: T.
        num_units: k.
        num_teacher_units: r.
        kept: what is kept beside means and variances.
        recorded: one value of every order parameter, for its structure.
    """

    def __init__(
        self,
        head: PyTree,
        *,
        num_heads: int,
        num_steps: int,
        num_units: int,
        num_teacher_units: int,
        kept: Kept,
        recorded: PyTree = None,
    ) -> None:
        self.head, self.num_heads, self.num_teacher_units = head, num_heads, num_teacher_units
        self.has_estimation_error = has_estimation_error(num_units, num_teacher_units)
        self.steps, self.kept, self.recorded = np.arange(num_steps + 1), kept, recorded or None
        self.survived: list[Moments] = []
        self.diverged: list[Moments] = []
        self.diverged_at: list[np.ndarray] = []
        self.runs: list[PyTree] = []
        self.rows: list[PyTree] = []

    @property
    def count(self) -> int:
        """How many runs were added, diverged ones included."""
        return sum(map(len, self.diverged_at))

    def add(self, solved: Curves) -> None:
        """Add runs: records and test metrics with a leading axis of runs."""
        fields = solved.reported(self.num_teacher_units)
        diverged_at = first_bad_step(fields)
        survived = diverged_at == len(self.steps)
        heads = (self.count + np.arange(len(survived))) % self.num_heads
        curves = CURVES if self.kept.covariance else ()
        self.survived = _added(self.survived, fields, [survived & (heads == h) for h in range(self.num_heads)], curves)
        self.diverged = _added(self.diverged, fields, [~survived & (heads == h) for h in range(self.num_heads)], ())
        self.diverged_at.append(diverged_at)
        if self.kept.runs:
            self.runs.append(fields)
        if self.kept.rows:
            self.rows.append((solved.records.recorded["preactivations"], solved.records.labels))

    def state(self) -> PyTree:
        """Return all that was added, as arrays."""
        return {
            "survived": self.survived,
            "diverged": self.diverged,
            "diverged_at": np.concatenate(self.diverged_at),
            "runs": _joined(self.runs) if self.kept.runs else None,
            "rows": _joined(self.rows) if self.kept.rows else None,
        }

    def structure(self) -> PyTree:
        """Return a tree with the structure of `state`."""
        fields: dict[str, Any] = {**dict.fromkeys((*CURVES, *OVERLAPS), 0), "head": self.head}
        fields["recorded"] = self.recorded
        fields["estimation_error"] = 0 if self.has_estimation_error else None
        curves: dict[str, Any] = dict.fromkeys(CURVES if self.kept.covariance else (), 0)
        count: Any = 0
        return {
            "survived": [Moments(count, fields, fields, curves)] * self.num_heads,
            "diverged": [Moments(count, fields, fields, {})] * self.num_heads,
            "diverged_at": 0,
            "runs": fields if self.kept.runs else None,
            "rows": (0, 0) if self.kept.rows else None,
        }

    def restore(self, state: PyTree) -> None:
        """Go on from a state."""
        self.survived, self.diverged = state["survived"], state["diverged"]
        self.diverged_at = [state["diverged_at"]]
        self.runs = [state["runs"]] if self.kept.runs else []
        self.rows = [state["rows"]] if self.kept.rows else []

    def result(self, provenance: dict[str, Any]) -> Trajectory:
        """Return the mean over runs with its standard error.

        The standard error of a mean over heads counts the spread within each head: heads are part of the problem.
        """
        diverged_at = np.concatenate(self.diverged_at)
        bad = np.flatnonzero(diverged_at < len(self.steps))
        groups = self.diverged if len(bad) == len(diverged_at) else self.survived
        counts = np.array([int(group.num_runs) for group in groups])
        means = jax.tree.map(lambda *m: _average(m), *map(_mean, groups))
        errors = jax.tree.map(lambda *v: _error(v, counts), *[group.variance() for group in groups])
        listed = {"diverged_runs": [[int(run), int(diverged_at[run])] for run in bad[:MOST_LISTED]]} if len(bad) else {}
        provenance = {**provenance, "num_runs": len(diverged_at), **listed}
        runs = _joined(self.runs) if self.kept.runs else None
        return Trajectory(
            steps=self.steps,
            **means,
            standard_error=Trajectory(steps=self.steps, **errors) if counts.min() > 1 else None,
            status=_with_errors(diverged_runs(diverged_at, len(self.steps), cure=cure_of(provenance)), counts),
            provenance=provenance,
            covariance=_covariance(groups) if self.kept.covariance and groups is self.survived else None,
            per_run=None if runs is None else Trajectory(steps=self.steps, **runs, provenance=provenance),
            num_diverged=len(bad),
            **(self._pooled_rows(diverged_at) if self.kept.rows else {}),
        )

    def _pooled_rows(self, diverged_at: np.ndarray) -> dict[str, Any]:
        """Return the rows of the runs used together, equally weighted."""
        survived = diverged_at == len(self.steps)
        used = survived if survived.any() else np.ones_like(survived)
        values, labels = (leaf[used] for leaf in _joined(self.rows))
        runs, states, rows, units = values.shape
        return {
            "recorded_preactivations": np.moveaxis(values, 0, 1).reshape(states, runs * rows, units),
            "labels": labels.reshape(runs * rows, *labels.shape[2:]),
            "sample_weights": np.full(runs * rows, 1.0 / (runs * rows)),
        }


def _added(
    groups: list[Moments], fields: dict[str, PyTree], masks: list[np.ndarray], products: tuple[str, ...]
) -> list[Moments]:
    """Return the moments of every head with the runs of its mask added."""
    new = [moments_of(jax.tree.map(lambda x, m=mask: x[m], fields), products=products) for mask in masks]
    return [merged(old, more) for old, more in zip(groups, new, strict=True)] if groups else new


def _joined(pieces: list[PyTree]) -> PyTree:
    """Return the pieces as one, and keep it as the only one."""
    if len(pieces) > 1:
        pieces[:] = [jax.tree.map(lambda *leaves: np.concatenate(leaves), *pieces)]
    return pieces[0]


def _mean(group: Moments) -> PyTree:
    return jax.tree.map(lambda m: m if group.num_runs else np.full(np.shape(m), np.nan), group.mean)


def _average(means: tuple[np.ndarray, ...]) -> np.ndarray:
    """Return the mean over heads, NaN where it is not finite."""
    with np.errstate(all="ignore"):
        return _finite(np.mean(means, axis=0))


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan)


def _error(variances: tuple[np.ndarray, ...], counts: np.ndarray) -> np.ndarray:
    """Return √(Σ_heads s²/R_head)/heads, the standard error of a mean over fixed heads."""
    with np.errstate(all="ignore"):
        parts = [variance / count for variance, count in zip(variances, counts, strict=True)]
        return _finite(np.sqrt(np.sum(parts, axis=0)) / len(parts))


def _with_errors(status: Status, counts: np.ndarray) -> Status:
    """Return the status, with a sentence where too few runs are left for standard errors."""
    if counts.min() > 1:
        return status
    told = "one run has no standard errors, raise `num_runs` to two or more for every head"
    return dataclasses.replace(status, message=f"{status.message}; {told}" if status.message else told)


def _covariance(groups: list[Moments]) -> dict[str, np.ndarray] | None:
    """Return the covariance of single runs between steps, within heads; None without two runs of a head."""
    freedom = sum(max(int(group.num_runs) - 1, 0) for group in groups)
    if freedom == 0:
        return None
    return {name: np.sum([group.products[name] for group in groups], axis=0) / freedom for name in groups[0].products}
