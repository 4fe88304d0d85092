"""Claim: Learning-rate schedules chosen by the theory, before any training, lower the test error of trained networks
by what was predicted.

Two layers, three units, n/d = 2, labels sin(z) + σ ξ, SGD whose rate is linear between five knots. `dyntheory.design`
chooses the knots by predicted test error after the last step, and the best constant rate, which is trained beside it
with the same head on data of its own.

PASS RULE. For every case:

1. trained networks gain: the test error of the best constant rate exceeds that of the schedule by three standard
   errors;
2. the trained gain is the predicted one, to three standard errors (of both) and 10/d of the test error.

A gain whose standard errors are too large for the first rule, though predicted to be there, leaves the claim
unresolved.

NEGATIVE CONTROL. The schedule run backwards, from the last knot to the first, has the same rates and must be worse
than the schedule by three standard errors, in the prediction and trained.

    python -m validation.designed_schedules [--quick]    # writes validation/results/designed_schedules.*
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure

import dyntheory as dt
from dyntheory.plot.style import new_figure
from validation.claim import Claim, Verdict
from validation.record import Outcome, joint_outcome

SURE = 3.0
BIAS = 10.0  # over d, relative: what a finite size may take


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run.

    Args:
        cases: activation, σ and T of each.
        num_knots: of a schedule.
        highest_rate: bound of all rates.
        num_nodes: of the search.
        max_sweeps: of the search.
        num_features: d of the trained networks.
        num_runs: of each choice.
        seed: decides head, nodes, search and data.
    """

    cases: tuple[tuple[str, float, int], ...] = (
        ("tanh", 0.1, 20),
        ("tanh", 0.3, 20),
        ("tanh", 0.6, 20),
        ("tanh", 0.3, 40),
        ("relu", 0.3, 20),
    )
    num_knots: int = 5
    highest_rate: float = 3.0
    num_nodes: int = 2**12
    max_sweeps: int = 40
    num_features: int = 1000
    num_runs: int = 100
    seed: int = 0


class Case(NamedTuple):
    """One design, trained, and the backward schedule: predicted and trained test error with their errors."""

    design: dt.Design
    backward: dict[str, tuple[float, float]]

    @property
    def gain(self) -> tuple[float, float]:
        """Of trained networks, with its error."""
        gain = self.design.confirmed_gain
        assert gain is not None
        return gain

    @property
    def predicted(self) -> tuple[float, float]:
        """The same, predicted."""
        return self.design.gain, self.design.gain_error

    def outcome(self, num_features: int) -> Outcome:
        """Whether the case passes."""
        (gain, error), (predicted, its_error) = self.gain, self.predicted
        assert self.design.constant is not None
        allowed = SURE * np.hypot(error, its_error) + BIAS / num_features * self.design.constant.predicted
        if abs(gain - predicted) > allowed or not self.backward_is_worse:
            return Outcome.FAILED
        return Outcome.PASSED if gain > SURE * error else Outcome.UNRESOLVED

    @property
    def backward_is_worse(self) -> bool:
        """Whether the control fails, as it must."""
        best = self.design.best
        assert best.simulated is not None and best.simulated_error is not None
        forward = {
            "predicted": (best.predicted, best.standard_error),
            "trained": (best.simulated, best.simulated_error),
        }
        pairs = [(self.backward[name], forward[name]) for name in forward]
        return all(back[0] - there[0] > SURE * np.hypot(back[1], there[1]) for back, there in pairs)


Found = dict[str, Case]


def measure(settings: Settings) -> Found:
    """Design and train every case."""
    found = {}
    for activation, noise, num_steps in settings.cases:
        name = f"{activation}, σ = {noise:g}, T = {num_steps}"
        print(name, flush=True)
        found[name] = case_of(settings, activation, noise, num_steps)
    return found


def case_of(settings: Settings, activation: str, noise: float, num_steps: int) -> Case:
    """Design a schedule, train it, and predict and train it backwards."""
    law = dt.TeacherStudent(2.0, link="sin", noise_std=noise)
    names = [f"rate_{knot}" for knot in range(settings.num_knots)]
    network, optimizer = dt.MLP((3,), activation), dt.piecewise_sgd(num_steps, settings.num_knots)
    trained = {"num_features": settings.num_features, "num_runs": settings.num_runs}
    key = jax.random.key(settings.seed)
    head = network.init_head(jax.random.fold_in(key, 1))
    design = dt.design(
        law,
        dt.gradient_descent(network, optimizer, **dict.fromkeys(names, 0.5)),
        over=dict.fromkeys(names, (0.0, settings.highest_rate)),
        tied=names,
        num_steps=num_steps,
        num_nodes=settings.num_nodes,
        max_sweeps=settings.max_sweeps,
        head=head,
        key=key,
        confirm=trained,
    )
    rates = dict(zip(names, reversed(design.best.values.values()), strict=True))
    method = dt.gradient_descent(network, optimizer, **rates)
    given: dict[str, Any] = {"num_steps": num_steps, "head": head, "key": jax.random.fold_in(key, 2)}
    sides = {
        "predicted": dt.predict(law, method, num_nodes=settings.num_nodes, keep_preactivations=False, **given),
        "trained": dt.simulate(law, method, keep_preactivations=False, **trained, **given),
    }
    return Case(design, {name: last(result) for name, result in sides.items()})


def last(result: dt.Trajectory) -> tuple[float, float]:
    """Return the test error after the last step, with its standard error."""
    assert result.test_error is not None and result.standard_error is not None
    assert result.standard_error.test_error is not None
    return float(result.test_error[-1]), float(result.standard_error.test_error[-1])


def judge(found: Found, settings: Settings) -> Verdict:
    """Ask every case."""
    numbers = {
        name: {
            "best": dataclasses.asdict(case.design.best),
            "constant": dataclasses.asdict(case.design.constant) if case.design.constant else None,
            "predicted_gain": case.predicted,
            "trained_gain": case.gain,
            "backward": case.backward,
            "outcome": case.outcome(settings.num_features).value,
        }
        for name, case in found.items()
    }
    return joint_outcome(case.outcome(settings.num_features) for case in found.values()), numbers


def table(found: Found, settings: Settings) -> Iterator[str]:
    """Yield one line for every case."""
    for name, case in found.items():
        rates = " ".join(f"{rate:.2f}" for rate in case.design.best.values.values())
        (gain, error), (predicted, its_error) = case.gain, case.predicted
        yield (
            f"{name:<22} rates {rates}; gain predicted {predicted:.4f} ± {its_error:.4f}, trained {gain:.4f} ± "
            f"{error:.4f}; backwards {case.backward['trained'][0]:.4f}; {case.outcome(settings.num_features).value}"
        )


def draw(found: Found, settings: Settings) -> Figure:
    """Draw the schedules, and the trained gains against the predicted ones."""
    figure = new_figure(8.4, 3.6)
    left, right = figure.subplots(1, 2)
    for name, case in found.items():
        places = np.linspace(0.0, 1.0, settings.num_knots)
        assert case.design.constant is not None
        line = left.plot(places, list(case.design.best.values.values()), marker="o", markersize=3, label=name)[0]
        left.axhline(
            next(iter(case.design.constant.values.values())), color=line.get_color(), alpha=0.3, linestyle="--"
        )
        (gain, error), (predicted, its_error) = case.gain, case.predicted
        style: dict[str, Any] = {"color": line.get_color(), "marker": "o", "markersize": 4, "capsize": 2}
        right.errorbar(predicted, gain, yerr=2 * error, xerr=2 * its_error, **style)
    ends = np.asarray([0.0, max(max(case.predicted[0], case.gain[0]) for case in found.values())]) * 1.1
    right.plot(ends, ends, color="0.7", linewidth=1)
    left.set(xlabel="part of the run", ylabel="learning rate", title="dashed: best constant rate")
    right.set(xlabel="predicted gain in test error", ylabel=f"gain of trained networks, d = {settings.num_features}")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure


CLAIM = Claim(
    "designed_schedules",
    __doc__,
    pass_rule=(
        "For every case the schedule's trained test error is below that of the best constant rate by three standard "
        "errors, the gain is the predicted one to three standard errors and 10/d, and the schedule run backwards is "
        "worse by three standard errors."
    ),
    settings=Settings,
    quick=Settings(
        cases=(("tanh", 0.3, 20),), num_knots=3, max_sweeps=4, num_nodes=2**12, num_features=300, num_runs=60
    ),
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)


if __name__ == "__main__":
    raise SystemExit(CLAIM.command())
