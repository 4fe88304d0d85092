"""How a wide prediction ended: resolved, unresolved, or diverged, and where the edge of stability is.

Networks that fit their inputs drive the loss to zero, where relative errors of it mean nothing. So errors of losses are
relative to the loss or to a hundredth of its start, those of outputs to the size of labels or outputs.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from dyntheory.ground.status import Assumptions, Outcome, Status
from dyntheory.results.judgement import (
    RELATIVE_ERROR_DIVERGED,
    RELATIVE_ERROR_UNRESOLVED,
    has_diverged,
)
from dyntheory.results.trajectory import CURVES
from dyntheory.wide.prepared import Prepared
from dyntheory.wide.results import WIDE, WideTrajectory

LOSS_FLOOR = 1e-2
FEW_NODES = 3


def relative_errors(result: WideTrajectory, label_size: float) -> np.ndarray:
    """Return (T+1,) the largest error of losses and outputs, relative to their scales.

    Args:
        result: a prediction with its errors.
        label_size: root mean square of the labels.
    """
    errors, rows = result.standard_error, []
    with np.errstate(all="ignore"):
        for name in ("train_loss", "test_loss"):
            value = getattr(result, name)
            if value is not None:
                rows.append(getattr(errors, name) / np.maximum(value, LOSS_FLOOR * value[0]))
        for name in ("train_outputs", "test_outputs"):
            value = getattr(result, name)
            if value is not None:
                flat = value.reshape(len(value), -1)
                size = np.maximum(np.sqrt(np.mean(flat**2, axis=1)), label_size)
                rows.append(getattr(errors, name).reshape(flat.shape).max(axis=1) / size)
        return np.max(np.nan_to_num(rows, nan=np.inf, posinf=np.inf), axis=0)


def judged(result: WideTrajectory, one: Prepared) -> WideTrajectory:
    """Return a prediction with its status, blank (NaN) from the step where it stopped being finite."""
    relative = relative_errors(result, float(np.sqrt(np.mean(one.data.labels**2))) or 1.0)
    loss = np.asarray(result.train_loss)
    blown = has_diverged(loss)
    bad = ~np.isfinite(loss) | blown | (relative > RELATIVE_ERROR_DIVERGED)
    result = dataclasses.replace(result, assumptions=_assumptions(one))
    if bad.any():
        first, lost = int(np.argmax(bad)), ~np.isfinite(loss) | blown
        cause = (
            f"the training loss blew up at step {np.argmax(lost)}" if lost.any() else "the numerical error is too large"
        )
        cure = f"lower the learning rate{_edge(result, one)}, or raise `num_nodes`"
        status = Status(Outcome.DIVERGED, f"{cause}; curves end before step {first}: {cure}", first)
        return dataclasses.replace(_blank(result, np.maximum.accumulate(bad)), status=status)
    return dataclasses.replace(result, status=_status(result, relative))


def _status(result: WideTrajectory, relative: np.ndarray) -> Status:
    step, reached = int(relative.argmax()), float(relative.max())
    directions = result.provenance["num_directions_of_sub_nets"]
    if reached > RELATIVE_ERROR_UNRESOLVED:
        told = f"the numerical error is {reached:.0%} at step {step}: raise `num_nodes` or lower `drop_below`"
        return Status(Outcome.UNRESOLVED, told, step)
    if FEW_NODES * directions > result.provenance["num_nodes_of_sub_nets"]:
        told = (
            f"the sub-nets of {result.provenance['num_nodes_of_sub_nets']} nodes hold {directions} directions, so "
            "the error bars may be too small: raise `num_nodes`"
        )
        return Status(Outcome.UNRESOLVED, told)
    return Status()


def _edge(result: WideTrajectory, one: Prepared) -> str:
    """Return where the edge of stability is, if it is known: plain steps on squared loss."""
    numbers = one.task.numbers
    if set(numbers) - {"learning_rate", "momentum"} or one.method.label_kind is not None or not one.rules.is_linear:
        return ""
    rate, momentum = float(numbers.get("learning_rate", np.nan)), float(numbers.get("momentum", 0.0))
    if result.sharpness is None or not np.isfinite(rate * result.sharpness[0]) or not result.sharpness[0] > 0:
        return ""
    edge = 2.0 * (1.0 + momentum) / (float(result.sharpness[0]) * one.scaling.rate)
    return f" (at the start descent on squared loss is stable below {edge:.3g}, got {rate:.3g})"


def _assumptions(one: Prepared) -> Assumptions:
    smooth = bool(getattr(one.network.activation, "smooth", False))
    if smooth and one.rules.is_linear and one.network.width is None:
        return Assumptions("theorem", "tensor programs: smooth maps, steps and inputs fixed as the width grows")
    why = []
    if not smooth:
        why.append("an activation that is not known to be smooth")
    if not one.rules.is_linear:
        why.append("a rule that acts entry by entry")
    if one.network.width is not None:
        why.append("a finite width, of which the leading effect is kept")
    level = "heuristic" if one.network.width is not None else "simulation-verified"
    return Assumptions(level, "outside the theorem of tensor programs: " + ", ".join(why))


def _blank(result: WideTrajectory, where: np.ndarray) -> WideTrajectory:
    def blank(value: Any) -> Any:
        return None if value is None else np.where(where.reshape(-1, *[1] * (np.ndim(value) - 1)), np.nan, value)

    def blanked(one: Any) -> Any:
        return dataclasses.replace(one, **{name: blank(getattr(one, name)) for name in (*CURVES, *WIDE)})

    return dataclasses.replace(blanked(result), standard_error=blanked(result.standard_error))
