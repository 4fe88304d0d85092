"""Means and standard errors over runs; runs that diverged are counted and kept apart."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from dyntheory._typing import PyTree
from dyntheory.status import Status
from dyntheory.trajectory import CURVES, Trajectory, has_diverged, reported_fields


def average_runs(solved: Any, num_teacher_units: int, num_heads: int, provenance: dict[str, Any]) -> Trajectory:
    """Return the mean over runs with its standard error, the single runs beside it.

    The standard error of a mean over heads counts the spread within each head: heads are part of the problem.

    Args:
        solved: records and test metrics with a leading axis of runs, all runs of a head together.
        num_teacher_units: r.
        num_heads: number of heads.
        provenance: what is known of the runs.
    """
    records = solved.records
    fields = reported_fields(solved, num_teacher_units)
    steps = np.arange(records.train_loss.shape[1])
    diverged_at = _first_bad_step(fields)
    survived = diverged_at == len(steps)
    used = survived if survived.any() else np.ones_like(survived)
    means = jax.tree.map(lambda x: _mean(x, used, num_heads), fields)
    errors = jax.tree.map(lambda x: _error(x, used, num_heads), fields)
    has_errors = min(part.sum() for part in np.split(used, num_heads)) > 1
    status = _status(diverged_at, len(steps))
    per_run = Trajectory(steps=steps, **fields, provenance=provenance)
    return Trajectory(
        steps=steps,
        **means,
        standard_error=Trajectory(steps=steps, **errors) if has_errors else None,
        status=status,
        provenance=provenance,
        per_run=per_run,
        num_diverged=int((~survived).sum()),
        **(_pooled_preactivations(records, used) if num_heads == 1 else {}),
    )


def _first_bad_step(fields: dict[str, PyTree]) -> np.ndarray:
    """Return for each run the first step at which it has diverged, T + 1 when it has not."""
    curves = np.stack([fields[name] for name in CURVES])
    bad = ~np.all(np.isfinite(curves), axis=0) | has_diverged(fields["train_loss"])
    return np.where(np.any(bad, axis=1), np.argmax(bad, axis=1), bad.shape[1])


def _mean(values: np.ndarray, used: np.ndarray, num_heads: int) -> np.ndarray:
    with np.errstate(all="ignore"):
        parts = [v[u].mean(axis=0) for v, u in _by_head(values, used, num_heads)]
        mean = np.mean(parts, axis=0)
    return np.where(np.isfinite(mean), mean, np.nan)


def _error(values: np.ndarray, used: np.ndarray, num_heads: int) -> np.ndarray:
    """Return √(Σ_heads s²/R_head)/heads, the standard error of a mean over fixed heads."""
    with np.errstate(all="ignore"):
        variances = [
            v[u].var(axis=0, ddof=1) / u.sum() if u.sum() > 1 else np.full(v.shape[1:], np.nan)
            for v, u in _by_head(values, used, num_heads)
        ]
        error = np.sqrt(np.sum(variances, axis=0)) / num_heads
    return np.where(np.isfinite(error), error, np.nan)


def _by_head(values: np.ndarray, used: np.ndarray, num_heads: int) -> zip[tuple[np.ndarray, np.ndarray]]:
    return zip(np.split(values, num_heads), np.split(used, num_heads), strict=True)


def _status(diverged_at: np.ndarray, num_states: int) -> Status:
    count = int((diverged_at < num_states).sum())
    if count == 0:
        return Status()
    first = int(diverged_at.min())
    rest = "means are over the others" if count < len(diverged_at) else "means stop being finite there"
    return Status(
        "diverged",
        f"{count} of {len(diverged_at)} runs diverged, the first at step {first}; {rest}: lower the learning rate",
        first,
    )


def _pooled_preactivations(records: Any, used: np.ndarray) -> dict[str, Any]:
    """Return the rows of the runs used together, equally weighted."""
    if records.preactivations is None:
        return {}
    kept, kept_labels = records.preactivations[used], records.labels[used]
    runs, states, rows, units = kept.shape
    pooled = np.moveaxis(kept, 0, 1).reshape(states, runs * rows, units)
    labels = kept_labels.reshape(runs * rows, *kept_labels.shape[2:])
    return {
        "recorded_preactivations": pooled,
        "labels": labels,
        "sample_weights": np.full(runs * rows, 1.0 / (runs * rows)),
    }
