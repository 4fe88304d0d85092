"""How a result ended, and what it rests on."""

from __future__ import annotations

import dataclasses

import numpy as np

from dyntheory.flows.online.model import Model
from dyntheory.flows.online.prepared import Prepared
from dyntheory.flows.online.results import OnlineTrajectory
from dyntheory.ground.status import Assumptions, Outcome, Status
from dyntheory.results.judgement import (
    RELATIVE_ERROR_UNRESOLVED,
    has_diverged,
    scale_of,
)

SAME = 1e-12
SYMMETRIC = (
    "it starts exactly symmetric between units, and in the limit stays so: finite networks leave that plateau after a "
    "time that grows as ln d, see `num_features`"
)


def judged(result: OnlineTrajectory, one: Prepared, num_features: int | None, tail: Status) -> OnlineTrajectory:
    """Return a prediction with its status and assumptions; `tail` says whether few nodes carry the labels."""
    status = _status(result)
    return dataclasses.replace(
        result,
        status=tail if status.ok else status,
        assumptions=assumptions_of(one, str(result.provenance["averages"]), num_features),
    )


def _status(result: OnlineTrajectory) -> Status:
    error, bars = result.test_error, result.standard_error
    assert bars is not None
    bad = ~np.isfinite(error) | has_diverged(error)
    if bad.any():
        time = result.times[np.argmax(bad)]
        told = f"the error blew up at time {time:.4g}: lower `learning_rate`"
        return Status(Outcome.DIVERGED, f"{told}. {result.status.message}".strip(), int(np.argmax(bad)))
    if not result.status.ok:
        return result.status
    with np.errstate(all="ignore"):
        relative = np.nan_to_num(bars.test_error / scale_of(error), nan=np.inf, posinf=np.inf)
    worst = int(np.argmax(relative))
    if relative[worst] <= RELATIVE_ERROR_UNRESOLVED or result.per_run is not None:
        return Status()
    cure = "raise `num_nodes`" if result.provenance["num_nodes"] else "lower `rtol`"
    told = f"the numerical error is {relative[worst]:.0%} at time {result.times[worst]:.4g}: {cure}"
    return Status(Outcome.UNRESOLVED, told, worst)


def assumptions_of(one: Prepared, averages: str, num_features: int | None) -> Assumptions:
    """Return the level of support, with the reason and how averages were taken."""
    model = one.model
    facts = {f"the activation {model.activation.name}": model.activation.smooth}
    facts[f"the link {model.link.name}"] = model.link.smooth
    unknown = [name for name, smooth in facts.items() if smooth is None]
    kinked = [name for name, smooth in facts.items() if smooth is False]
    reason = f"averages by {averages}"
    if unknown:
        level, why = "heuristic", f"nobody said whether {' and '.join(unknown)} is smooth"
    elif kinked:
        level, why = "simulation-verified", f"{' and '.join(kinked)} is not smooth with bounded derivatives"
    elif one.rates.momentum > 0 or one.rates.schedule is not None or num_features is not None:
        level, why = "simulation-verified", "the published theorem is about plain steps from a given start"
    else:
        level, why = "theorem", "smooth units at a fixed time as d → ∞"
    if num_features is None and one.draw is None and is_symmetric(model, np.asarray(one.joint), np.asarray(one.head)):
        why = f"{why}; {SYMMETRIC}"
    return Assumptions(level, f"{why}; {reason}")


def is_symmetric(model: Model, joint: np.ndarray, head: np.ndarray) -> bool:
    """Whether two teacher units, or two students, can change places at the start and nothing is changed.

    Of teachers only where the link is a sum that does not tell them apart.
    """
    r = model.num_teacher_units
    if model.kind is not None:
        weights = np.concatenate([model.teacher_weights, head])
    else:
        weights = np.concatenate([np.arange(1.0, r + 1.0), head])
        r = model.num_teacher_units
    groups = [range(r), range(r, len(joint))]
    pairs = [(a, b) for group in groups for a in group for b in group if a < b]
    return any(_can_swap(joint, weights, a, b) for a, b in pairs)


def _can_swap(joint: np.ndarray, weights: np.ndarray, a: int, b: int) -> bool:
    order = np.arange(len(joint))
    order[[a, b]] = b, a
    scale = SAME * np.abs(joint).max()
    same = np.abs(joint[np.ix_(order, order)] - joint).max() <= scale
    return bool(same and np.abs(weights[order] - weights).max() <= SAME * np.abs(weights).max())
