"""Claim: Error bars of predictions for infinite width cover their true errors, measured on eight times the nodes.

The problems of `validation.wide_cases`, but Adam with a hidden matrix, whose arrays of nodes by nodes have no room for
so many. Each is predicted with several keys on few nodes, and once on eight times as many, a third of the directions
dropped. Losses, outputs on inputs and test points, and alignments (of the tangent kernel, of the last layer's) at all
steps but the first are compared in units of the reported error and the truth's own, in squares. Losses count while they
are above a hundredth of their start: networks that interpolate have relative errors without meaning.

PASS RULE. Over all problems, keys and steps, of curves and of outputs apart: at least 90 % of the true errors are
within 2 reported standard errors and at least 99 % within 5. The median of the truth's own error is at most half of
the reported one, else unresolved.

NEGATIVE CONTROL. The same bars divided by three must break the rule.

    python -m validation.wide_honesty [--quick]    # 12 minutes of processor time; writes results/wide_honesty.*
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure

import dyntheory as dt
from dyntheory.ground.status import DyntheoryWarning
from dyntheory.plot.style import new_figure
from validation.claim import Claim, Verdict
from validation.record import Outcome, joint_outcome
from validation.wide_cases import CASES, LOSS_FLOOR

KINDS = {
    "curves": ("train_loss", "alignment", "feature_alignment"),
    "outputs": ("train_outputs", "test_outputs"),
}
WITHIN, BEYOND, MOST_DOUBT, FACTOR, SHRUNK = 2.0, 5.0, 0.5, 8, 3.0
PARTS = {WITHIN: 0.90, BEYOND: 0.99}


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run.

    Args:
        cases: names of `validation.wide_cases`.
        num_nodes: of the predictions that are judged.
        num_keys: predictions of each problem.
        seed: decides their nodes.
    """

    cases: tuple[str, ...] = tuple(name for name in CASES if name != "Adam, L = 2")
    num_nodes: int = 2**12
    num_keys: int = 4
    seed: int = 0


class Judged(NamedTuple):
    """True errors in units of the bars, and the truth's own error in those of the reported one."""

    ratio: np.ndarray
    doubt: np.ndarray


Found = dict[str, dict[str, Judged]]  # by problem and kind


def predicted(name: str, num_nodes: int, drop_below: float, key: Any) -> Any:
    """Return the prediction of a problem."""
    case = CASES[name]
    options: dict[str, Any] = {"num_nodes": num_nodes, "drop_below": drop_below, "keep_kernels": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DyntheoryWarning)  # few nodes are the point
        return dt.wide.predict(case.network, key=key, **case.given(), **case.numbers, **options)


def measure(settings: Settings) -> Found:
    """Predict every problem on few nodes and on many."""
    found: Found = {}
    for place, name in enumerate(settings.cases):
        keys = jax.random.split(jax.random.fold_in(jax.random.key(settings.seed), place), settings.num_keys + 1)
        few = [predicted(name, settings.num_nodes, 1e-2, key) for key in keys[1:]]
        truth = predicted(name, FACTOR * settings.num_nodes, 1e-2 / 3, keys[0])
        found[name] = {kind: judged(truth, few, fields) for kind, fields in KINDS.items()}
        print(f"{name} done", flush=True)
        jax.clear_caches()  # a process may not have as many memory maps as all programs together need
    return found


def judged(truth: Any, few: list[Any], fields: tuple[str, ...]) -> Judged:
    """Compare fields at all steps but the first, where outputs are zero."""
    ratios, doubts = [], []
    loss = np.asarray(truth.train_loss)
    for one in few:
        for field in fields:
            if getattr(truth, field) is None:
                continue
            value, known = (np.asarray(getattr(which, field)) for which in (one, truth))
            bar, doubt = (np.asarray(getattr(which.standard_error, field)) for which in (one, truth))
            kept = (np.arange(len(loss)) > 0) & ((field != "train_loss") | (loss > LOSS_FLOOR * loss[0]))
            ratios.append((np.abs(value - known) / np.hypot(bar, doubt))[kept].ravel())
            doubts.append((doubt / bar)[kept].ravel())
    return Judged(np.concatenate(ratios), np.concatenate(doubts))


def pooled(found: Found, kind: str) -> Judged:
    """Return everything of one kind."""
    every = [one[kind] for one in found.values()]
    return Judged(*(np.concatenate(parts) for parts in zip(*every, strict=True)))


def covered(ratio: np.ndarray) -> dict[str, float]:
    """Return the parts within the bounds, and the largest."""
    return {f"within {bound:g}": float(np.mean(ratio <= bound)) for bound in PARTS} | {"largest": float(ratio.max())}


def holds(ratio: np.ndarray) -> bool:
    """Return whether bars cover as often as they must."""
    return all(float(np.mean(ratio <= bound)) >= part for bound, part in PARTS.items())


def judge(found: Found, settings: Settings) -> Verdict:
    """Apply the rule to curves and outputs, and ask shrunk bars to break it."""
    outcomes, numbers = [], {}
    for kind in KINDS:
        every = pooled(found, kind)
        doubt = float(np.median(every.doubt))
        seen = not holds(SHRUNK * every.ratio)
        outcomes += [
            Outcome.PASSED if holds(every.ratio) and seen else Outcome.FAILED,
            Outcome.PASSED if doubt <= MOST_DOUBT else Outcome.UNRESOLVED,
        ]
        shrunk = covered(SHRUNK * every.ratio)
        counts = {"points": len(every.ratio), "median doubt": doubt}
        numbers[kind] = {**counts, **covered(every.ratio), "control, bars divided by 3": shrunk}
    problems = {name: {kind: covered(one[kind].ratio) for kind in KINDS} for name, one in found.items()}
    return joint_outcome(outcomes), {"all": numbers, "problems": problems}


def table(found: Found, settings: Settings) -> Iterator[str]:
    """Yield one line for every problem, and the totals."""
    _, numbers = judge(found, settings)
    for name, row in {**numbers["problems"], "all": numbers["all"]}.items():
        yield f"{name:<24} " + "   ".join(f"{kind}: {_shown(one)}" for kind, one in row.items())


def _shown(one: Mapping[str, Any]) -> str:
    return f"{one['within 2']:.1%} within 2, {one['within 5']:.1%} within 5, largest {one['largest']:.1f}"


def draw(found: Found, settings: Settings) -> Figure:
    """Draw the part of true errors above a number of bars, beside that of a normal and of Student's t."""
    from scipy.stats import norm, t

    figure = new_figure(5.6, 4.0)
    axes = figure.subplots()
    for kind, color in zip(KINDS, ("#0b3c78", "#e8743b"), strict=True):
        ratio = np.sort(pooled(found, kind).ratio)
        above = 1.0 - np.arange(1, len(ratio) + 1) / len(ratio)
        axes.step(ratio, above, where="post", color=color, label=f"{kind}, {len(ratio)} errors")
    bounds = np.linspace(0.0, 8.0, 200)
    axes.plot(bounds, 2 * norm.sf(bounds), "k:", lw=1, label="normal")
    axes.plot(bounds, 2 * t.sf(bounds, 3), "k--", lw=1, label="Student's t, 3 degrees of freedom")
    for bound, part in PARTS.items():
        label = "most that may lie beyond" if bound == WITHIN else None
        axes.plot(bound, 1.0 - part, "v", color="0.4", ms=7, label=label)
    axes.set(yscale="log", xlim=(0, 8), ylim=(5e-4, 1.1), ylabel="part of true errors beyond")
    axes.set_xlabel("true error in units of the reported standard error")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize="small")
    return figure


CLAIM = Claim(
    "wide_honesty",
    __doc__,
    pass_rule=(
        "Over all problems, keys and steps, of curves and of outputs apart, at least 90 % of the true errors are "
        "within 2 reported standard errors and 99 % within 5; bars divided by three break that. The truth's own error "
        "is at most half of the reported one in the median."
    ),
    settings=Settings,
    quick=Settings(cases=("L = 1, tanh", "L = 2, tanh", "batches"), num_nodes=2**10, num_keys=3),
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)


if __name__ == "__main__":
    raise SystemExit(CLAIM.command())
