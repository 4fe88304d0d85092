"""The one result: curves over steps, from a prediction, from simulations, or read from a file.

All arrays are NumPy arrays with the step as leading axis (the run before it in `.per_run`). A field that was not
computed is None.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, TypeAlias

import numpy as np

from dyntheory.ground.arrays import OptionalArray, PyTree
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.status import Assumptions, Status
from dyntheory.ground.storage.marks import Axes, Coordinate, Leaves, Stacked
from dyntheory.ground.storage.saved import Saved

Steps: TypeAlias = Annotated[np.ndarray, Coordinate("step")]
Curve: TypeAlias = Annotated[np.ndarray, Axes("step")]
OptionalCurve: TypeAlias = Annotated[OptionalArray, Axes("step")]
TeacherOverlap: TypeAlias = Annotated[np.ndarray, Axes("step", "unit", "teacher")]
WeightOverlap: TypeAlias = Annotated[np.ndarray, Axes("step", "unit", "unit")]

CURVES = ("train_loss", "test_loss", "train_error", "test_error")
OVERLAPS = ("teacher_overlap", "weight_overlap")
POSITIVE = (*CURVES, "estimation_error")  # their errors are relative
PREACTIVATION_BYTES = 2**26


class Preactivations(NamedTuple):
    """Samples of (h, y) at one step with their weights.

    `values` has shape (samples, k), `labels` (samples,) or (samples, outputs), `weights` (samples,) summing to one.
    """

    values: np.ndarray
    labels: np.ndarray
    weights: np.ndarray


@dataclasses.dataclass(frozen=True)
class Trajectory(Saved):
    """Learning curves and order parameters at states 0..T (before each update).

    Args:
        steps: (T+1,) integers.
        train_loss: (T+1,) mean loss on the training samples.
        test_loss: (T+1,) expected loss on a fresh sample.
        train_error: (T+1,) mean squared norm of prediction minus label (misclassification for classification).
        test_error: (T+1,) the same on a fresh sample, label noise included.
        held_out_error: (T+1,) mean error on rows that were held out for comparison with an estimate.
        teacher_overlap: (T+1, k, r) mean of w w*ᵀ over features.
        weight_overlap: (T+1, k, k) mean of w wᵀ over features.
        estimation_error: (T+1,) mean of ‖w − w*‖² over features, for methods whose k units estimate the r = k teacher
            directions; None where r ≠ k. With correlated features a mean of λ ‖w − w*‖², as the overlaps are.
        head: path of the trained head, leading axis T+1 on every leaf.
        recorded: by name the order parameters asked for with `record=`, leading axis T+1 on every leaf.
        standard_error: the same structure: numerical error of a prediction, sampling error of a mean over runs; None
            where that takes more runs, see `status`.
        status: how it ended.
        assumptions: what it rests on.
        provenance: kind ("prediction", "simulation" or "estimate"), versions, device kind, dtype, seed, sizes,
            configuration.
        recorded_preactivations: (T+1, samples, k), or None when not kept.
        recorded_weights: (T+1, d, k) first layers of one run of `estimate`, or None when not kept.
        labels: (samples,) or (samples, outputs), beside the preactivations.
        sample_weights: (samples,) weights of the samples, summing to one.
        per_run: the single runs of a simulation (leading axis runs), or None.
        num_diverged: how many runs diverged, None for a prediction.
        covariance: by name of a curve the covariance of single runs between steps, (T+1, T+1), diverged runs left out;
            None for a prediction, a single run, or very many steps.
        magnification: of a prediction, for "train_error" and "test_error" (T+1,): M, by how much differences of size
            1/√d between starts have grown, from solutions that start a little differently. The mean over runs with d
            features is off by about M²/d of the value: where M is large the runs of one problem separate, and the
            limit is reached at larger d only. None elsewhere.
    """

    steps: Steps
    train_loss: OptionalCurve = None
    test_loss: OptionalCurve = None
    train_error: OptionalCurve = None
    test_error: OptionalCurve = None
    held_out_error: OptionalCurve = None
    teacher_overlap: Annotated[OptionalArray, Axes("step", "unit", "teacher")] = None
    weight_overlap: Annotated[OptionalArray, Axes("step", "unit", "unit")] = None
    estimation_error: OptionalCurve = None
    head: Annotated[PyTree, Leaves("step")] = None
    recorded: Annotated[dict[str, PyTree] | None, Leaves("step")] = None
    standard_error: Trajectory | None = None
    status: Status = dataclasses.field(default_factory=Status)
    assumptions: Assumptions | None = None
    provenance: dict[str, Any] = dataclasses.field(default_factory=dict)
    recorded_preactivations: Annotated[np.ndarray | None, Axes("step", "sample", "unit")] = None
    recorded_weights: Annotated[np.ndarray | None, Axes("step", "feature", "unit")] = None
    labels: Annotated[np.ndarray | None, Axes("sample", "output", least=1)] = None
    sample_weights: Annotated[np.ndarray | None, Axes("sample")] = None
    per_run: Annotated[Trajectory | None, Stacked("run")] = None
    num_diverged: int | None = None
    covariance: dict[str, Annotated[np.ndarray, Axes("step", "step")]] | None = None
    magnification: dict[str, Annotated[np.ndarray, Axes("step")]] | None = None

    @property
    def num_steps(self) -> int:
        """Number of updates T."""
        return len(self.steps) - 1

    @property
    def best_step(self) -> int:
        """The step with the smallest test error.

        Raises:
            ValueError: there is no test error.
        """
        if self.test_error is None or not np.isfinite(self.test_error).any():
            raise ValueError("There is no test error to choose a step by.")
        return int(self.steps[np.nanargmin(self.test_error)])

    def at(self, step: int) -> dict[str, float]:
        """Return the numbers after `step` updates, standard errors beside them.

        Example: "after 100 updates the training error is …" is `trajectory.at(100)["train_error"]`.

        Raises:
            ValueError: the step was not computed.
        """
        check_arguments(Trajectory.at, locals())
        index = self._index(step)
        row: dict[str, float] = {"step": int(self.steps[index])}
        for name in POSITIVE:
            values = getattr(self, name)
            if values is None:
                continue
            row[name] = float(values[index])
            errors = None if self.standard_error is None else getattr(self.standard_error, name)
            if errors is not None:
                row[f"{name}_standard_error"] = float(errors[index])
        return row

    def preactivations(self, step: int) -> Preactivations:
        """Return samples of the first-layer preactivations h after `step` updates, with their labels.

        For a prediction these are nodes of the limit law of rows of X W^t (first main theorem of `han2025precise`), for
        a simulation the rows themselves, all runs together.

        Raises:
            ValueError: the step was not computed, or preactivations were not kept.
        """
        check_arguments(Trajectory.preactivations, locals())
        index = self._index(step)
        if self.recorded_preactivations is None or self.labels is None or self.sample_weights is None:
            raise ValueError(
                "Preactivations were not kept: pass keep_preactivations=True to predict or simulate "
                "(they are kept by default only while they are small)."
            )
        return Preactivations(self.recorded_preactivations[index], self.labels, self.sample_weights)

    def expect(self, fn: Callable[..., Any], step: int) -> np.ndarray:
        """Return the mean of fn(h) over the training samples after `step` updates, h of shape (k,).

        Raises:
            ValueError: see `preactivations`.
        """
        import jax

        from dyntheory.ground.precision import double_precision

        check_arguments(Trajectory.expect, locals())
        samples = self.preactivations(step)
        with double_precision():
            values = np.asarray(jax.vmap(fn)(samples.values))
        return np.tensordot(samples.weights, values, axes=1)

    def _index(self, step: int) -> int:
        found = np.flatnonzero(self.steps == step)
        if found.size == 0:
            raise ValueError(f"`step` must be one of {self.steps[0]}..{self.steps[-1]}, got {step!r}.")
        return int(found[0])
