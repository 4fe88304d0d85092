"""How a wide prediction ended: resolved, unresolved, or diverged, and where the edge of stability is.

Networks that fit their inputs drive the loss to zero, where relative errors of it mean nothing. So errors of losses are
relative to the loss or to a hundredth of its largest value, those of outputs to the size of labels or outputs.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import optax

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
NEIGHBOURS = 2


def relative_errors(result: WideTrajectory, label_size: float, names: tuple[str, str]) -> np.ndarray:
    """Return (T+1,) the largest error of a loss and of outputs, relative to their scales.

    Errors are smoothed over two steps to either side, so the size of outputs is the largest until two steps later.

    Args:
        result: a prediction with its errors.
        label_size: root mean square of the labels.
        names: of the loss and of the outputs; what is not there has no error.
    """
    loss, outputs = (getattr(result, name) for name in names)
    errors, found = result.standard_error, np.zeros(len(result.steps))
    with np.errstate(all="ignore"):
        if loss is not None:
            largest = max(np.abs(loss[np.isfinite(loss)]).max(initial=0.0), label_size**2 / 2)
            scale = np.maximum(np.abs(loss), LOSS_FLOOR * largest)
            found = np.maximum(found, _over(getattr(errors, names[0]), scale))
        if outputs is not None:
            flat = np.abs(outputs).reshape(len(outputs), -1)
            largest = np.maximum.accumulate(np.where(np.isfinite(flat), flat, 0.0), axis=0)
            later = largest[np.minimum(np.arange(len(flat)) + NEIGHBOURS, len(flat) - 1)]
            error = _over(getattr(errors, names[1]).reshape(flat.shape), np.maximum(later, label_size))
            found = np.maximum(found, error.max(axis=1))
    return found


def _over(error: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return error over scale, zero where there is none, infinite where it is not a number."""
    return np.where(error == 0, 0.0, np.nan_to_num(error / scale, nan=np.inf, posinf=np.inf))


def judged(result: WideTrajectory, one: Prepared) -> WideTrajectory:
    """Return a prediction with its status, blank (NaN) from the step where it stopped being finite.

    Test inputs never act back: where they are not resolved the status says so, and nothing is blank but themselves.
    """
    size = float(np.sqrt(np.mean(one.data.labels**2))) or 1.0
    relative = relative_errors(result, size, ("train_loss", "train_outputs"))
    loss = np.asarray(result.train_loss)
    lost = ~np.isfinite(loss) | has_diverged(loss)
    bad = lost | (relative > RELATIVE_ERROR_DIVERGED)
    result = dataclasses.replace(result, assumptions=_assumptions(one))
    if bad.any():
        first = int(np.argmax(bad))
        if lost.any():
            cause = f"the training loss blew up at step {np.argmax(lost)}"
            cure = f"lower the learning rate{_edge(result, one)}"
        else:
            cause, cure = "the numerical error exceeds half the value", "raise `num_nodes` or lower `drop_below`"
        status = Status(Outcome.DIVERGED, f"{cause}; curves end before step {first}: {cure}", first)
        return dataclasses.replace(_blank(result, np.maximum.accumulate(bad)), status=status)
    tests = relative_errors(result, size, ("test_loss", "test_outputs"))
    return dataclasses.replace(result, status=_status(result, np.maximum(relative, tests)))


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
    numbers, static = one.task.numbers, dict(one.rules.static)
    if one.rules.optimizer is not optax.sgd or static.get("nesterov") or one.loss_name != "squared":
        return ""
    rate, momentum = float(numbers.get("learning_rate", np.nan)), float(numbers.get("momentum", 0.0))
    if result.sharpness is None or not np.isfinite(rate * result.sharpness[0]) or not result.sharpness[0] > 0:
        return ""
    edge = 2.0 * (1.0 + momentum) / (float(result.sharpness[0]) * one.scaling.rate)
    return f" (at the start descent on squared loss is stable below {edge:.3g}, got {rate:.3g})"


def _assumptions(one: Prepared) -> Assumptions:
    smooth = bool(getattr(one.network.activation, "smooth", False))
    if smooth and one.method.smooth and one.rules.is_linear and one.network.width is None:
        return Assumptions("theorem", "tensor programs: smooth maps, steps and inputs fixed as the width grows")
    why = []
    if not smooth:
        why.append("an activation that is not known to be smooth")
    if not one.method.smooth:
        why.append("a loss that is not known to be smooth")
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
