"""Claim: Infinitely wide networks that learn features train as finite ones do when these are extrapolated in width.

Six inputs of ten features, one to three hidden layers, tanh and ReLU, γ₀ from 0.05 to 2: plain steps, momentum, Adam,
mini-batches, weight decay, biases with unequal widths, logistic loss, softmax. `dyntheory.wide.predict` says what
happens at infinite width; `dyntheory.wide.simulate` trains networks of width N from random weights, outputs at the
start subtracted, and every number is extrapolated by a weighted fit of m + b/N. Compared are losses at seven times,
outputs on two test points at two times, and at the end the trace, two entries and the alignment of the tangent kernel
and the traces of Φ^l and G^l. A loss below a hundredth of its start, that of a network that interpolates, is not
compared. Errors of a predicted trace take its entries to move together, which is an upper bound.

PASS RULE. With z = (extrapolated − predicted)/(standard error of both), over all numbers of all cases:

1. the root mean square of z is at most 1.3 and no |z| is above 4.5;
2. errors are small: half of the compared losses are known to 5 % (both errors together), else unresolved.

NEGATIVE CONTROLS. In every case of two hidden layers, tanh, γ₀ = 1 and plain steps, a prediction without the memory of
what a matrix answered before, on the way forward, on the way back, or both, must be off by more than 10 % of the loss
somewhere above that hundredth, and by more than 4.5 standard errors there.

    python -m validation.wide_networks [--quick]    # 10 minutes of processor time; writes results/wide_networks.*

Reference: `bordelon2022self`; `yang2021tensor`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from validation.claim import Claim, Verdict
from validation.record import Outcome, joint_outcome
from validation.wide_cases import CASES, LOSS_FLOOR, ONE_LAYER, WRONG, Outcomes, loss_without, solve
from validation.wide_figure import figure_of

CONTROL = "L = 2, tanh"
MOST_RMS, MOST_Z, MOST_ERROR, OFF = 1.3, 4.5, 0.05, 0.1


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run.

    Args:
        cases: names of `validation.wide_cases`.
        widths: N of the first hidden layer.
        num_runs: of each width.
        num_runs_of_one_layer: the same where there is no hidden matrix.
        num_nodes: of predictions, None for their default.
        seed: decides nodes and initial weights.
    """

    cases: tuple[str, ...] = tuple(CASES)
    widths: tuple[int, ...] = (256, 512, 1024)
    num_runs: tuple[int, ...] = (256, 64, 16)
    num_runs_of_one_layer: tuple[int, ...] = (1024, 512, 256)
    num_nodes: int | None = None
    seed: int = 0


class Found(NamedTuple):
    """Outcomes by case, and the losses of the controls."""

    cases: dict[str, Outcomes]
    controls: dict[str, np.ndarray]


def measure(settings: Settings) -> Found:
    """Predict and train every case, and predict without memory."""
    cases = {}
    for name in settings.cases:
        num_runs = settings.num_runs_of_one_layer if name in ONE_LAYER else settings.num_runs
        cases[name] = solve(name, settings.widths, num_runs, settings.seed, settings.num_nodes)
        print(f"{name} done", flush=True)
        jax.clear_caches()  # a process may not have as many memory maps as all programs together need
    nodes = cases[CONTROL].theory.provenance["num_nodes"]
    controls = {name: loss_without(CONTROL, memory, settings.seed, nodes) for name, memory in WRONG.items()}
    return Found(cases, controls)


def scores(outcomes: Outcomes) -> np.ndarray:
    """Return z of every number of a case."""
    return np.array([one.z for one in outcomes.compared.values()])


def control_numbers(found: Found) -> dict[str, dict[str, Any]]:
    """Return by how much predictions without memory are off, where they are off most."""
    theory, numbers = found.cases[CONTROL].theory, {}
    right = np.asarray(theory.train_loss)
    judged = np.flatnonzero(right > LOSS_FLOOR * right[0])
    largest = found.cases[CONTROL].runs[max(found.cases[CONTROL].runs)]
    for name, loss in found.controls.items():
        off = np.abs(loss - right)[judged]
        step = judged[np.argmax(off / right[judged])]
        error = np.hypot(theory.standard_error.train_loss[step], largest.standard_error.train_loss[step])
        z = (loss[step] - largest.train_loss[step]) / error
        numbers[name] = {"step": int(step), "relative": float(np.max(off / right[judged])), "z": float(abs(z))}
    return numbers


def judge(found: Found, settings: Settings) -> Verdict:
    """Apply the rule and ask every control to break it."""
    z = np.concatenate([scores(one) for one in found.cases.values()])
    losses = [c for one in found.cases.values() for name, c in one.compared.items() if name.startswith("loss")]
    resolution = float(np.median([np.hypot(c.theory_error, c.simulation_error) / c.theory for c in losses]))
    rms, worst = float(np.sqrt(np.mean(z**2))), float(np.abs(z).max())
    controls = control_numbers(found)
    seen = all(one["relative"] > OFF and one["z"] > MOST_Z for one in controls.values())
    agrees = rms <= MOST_RMS and worst <= MOST_Z
    outcome = joint_outcome(
        [
            Outcome.PASSED if agrees and seen else Outcome.FAILED,
            Outcome.PASSED if resolution <= MOST_ERROR else Outcome.UNRESOLVED,
        ]
    )
    numbers = {
        "all": {
            "numbers": len(z),
            "rms z": rms,
            "largest |z|": worst,
            "within 2": float(np.mean(np.abs(z) <= 2)),
            "median relative error of losses": resolution,
        },
        "controls": controls,
        "cases": {name: of_case(one) for name, one in found.cases.items()},
    }
    return outcome, numbers


def of_case(outcomes: Outcomes) -> dict[str, Any]:
    """Return what the record keeps of a case; lists hold theory, its error, simulation, its error."""
    z = scores(outcomes)
    residuals = np.array([one.residual for one in outcomes.compared.values()])
    theory = outcomes.theory
    return {
        "rms z": float(np.sqrt(np.mean(z**2))),
        "largest |z|": float(np.abs(z).max()),
        "rms residual of the fit in 1/N": float(np.sqrt(np.mean(residuals**2))),
        "nodes": theory.provenance["num_nodes"],
        "directions": theory.provenance["num_directions"],
        "status": theory.status.code,
        "theory, error, simulation, error": {name: list(one[:4]) for name, one in outcomes.compared.items()},
    }


def table(found: Found, settings: Settings) -> Iterator[str]:
    """Yield one line for every case and control, and the totals."""
    _, numbers = judge(found, settings)
    for name, one in found.cases.items():
        row = numbers["cases"][name]
        yield f"{name:<24} {len(one.compared):>2} numbers  rms z {row['rms z']:.2f}  largest {row['largest |z|']:.2f}"
    for name, row in numbers["controls"].items():
        yield f"{name:<24} loss off by {row['relative']:.0%} at step {row['step']} (z {row['z']:.0f})"
    total = numbers["all"]
    yield (
        f"{total['numbers']} numbers: rms z {total['rms z']:.2f}, largest {total['largest |z|']:.2f}, "
        f"{total['within 2']:.1%} within 2; losses known to {total['median relative error of losses']:.1%}"
    )


CLAIM = Claim(
    "wide_networks",
    __doc__,
    pass_rule=(
        "Over all cases, losses, test outputs and kernels of finite networks extrapolated in 1/N deviate from the "
        "theory with z-scores of root mean square at most 1.3 and none above 4.5, half of the losses being known to "
        "5 %; predictions without memory, forward, backward or both, miss the loss by more than 10 % and 4.5 standard "
        "errors."
    ),
    settings=Settings,
    quick=Settings(
        cases=("L = 1, tanh", CONTROL, "softmax, 3 classes"),
        widths=(64, 128, 256),
        num_runs=(512, 256, 128),
        num_runs_of_one_layer=(512, 256, 128),
        num_nodes=2**12,
    ),
    measure=measure,
    judge=judge,
    table=table,
    draw=lambda found, settings: figure_of(found.cases, found.controls, CONTROL),
)


if __name__ == "__main__":
    raise SystemExit(CLAIM.command())
