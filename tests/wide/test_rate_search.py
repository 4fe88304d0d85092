"""The best rate: its parabola and error, what speaks against its transfer, and networks that were trained."""

from typing import Any

import numpy as np
import pytest

import dyntheory as dt
from dyntheory.ground.status import quiet
from dyntheory.wide.rate_results import Curve, judge, minimum
from dyntheory.wide.rate_search import best_rates
from tests.wide.cases import INPUTS, KEY, LABELS

RATES = 2.0 ** np.arange(-3.0, 5.0)


def _curve(loss: Any, outcomes: Any = None, error: float = 1e-3, rates: Any = RATES) -> Curve:
    loss = np.asarray(loss, float)
    return Curve(rates, loss, np.full(len(loss), error), tuple(outcomes or ["ok"] * len(loss)))


FINE = 0.04 * np.arange(-10.0, 11.0)
VALLEY = [9.0, 7.0, 5.0, 3.0, 1.0, 2.5, 5.0, 8.0]


def test_a_parabola_is_found_on_any_grid() -> None:
    rates = np.array([0.5, 0.7, 1.3, 1.9, 4.0])
    loss = 0.1 + np.log(rates / 1.1) ** 2
    least = minimum(_curve(loss, rates=rates))
    assert least.rate == pytest.approx(1.1)
    assert least.from_grid == pytest.approx(1.1 * np.log(1.3 / 0.7) / 2)
    random = np.random.default_rng(0)
    draws = [minimum(_curve(loss + 1e-3 * random.standard_normal(5), rates=rates)).rate for _ in range(400)]
    assert np.std(draws) == pytest.approx(least.from_losses, rel=0.15)


def test_where_there_is_no_bracket_the_error_is_infinite() -> None:
    for curve, rate in (
        (_curve(np.arange(8)), RATES[0]),
        (_curve(-np.arange(8.0)), RATES[-1]),
        (_curve(VALLEY, ["ok"] * 5 + ["diverged"] * 3), RATES[4]),
    ):
        assert minimum(curve).rate == rate
        assert minimum(curve).error == np.inf
    assert np.isnan(minimum(_curve(VALLEY, ["diverged"] * 8)).rate)


ANSWERS: dict[str, tuple[Curve, str]] = {
    "one minimum": (_curve(VALLEY), ""),
    "one minimum, later rates lost": (_curve(VALLEY, ["ok"] * 6 + ["diverged"] * 2), ""),
    "two minima": (_curve([9, 5, 1, 3, 1.05, 4, 7, 9]), "two minima of nearly the same loss, at 0.5 and 2;"),
    "two minima, one higher": (_curve([9, 5, 1, 3, 1.2, 4, 7, 9]), ""),
    "two minima, within errors": (_curve([9, 5, 1, 3, 1.2, 4, 7, 9], error=0.1), "two minima of nearly"),
    "flat": (_curve([9, 5, 1, 1.05, 1.02, 4, 7, 9]), "flat: from 0.5 to 2"),
    "low end": (_curve(np.arange(1.0, 9.0)), "the end 0.125 of `rates`"),
    "high end": (_curve(np.arange(9.0, 1.0, -1.0)), "the end 16 of `rates`"),
    "nearly as low at the end": (_curve([9, 5, 1, 3, 4, 4, 2, 1.05]), "the end 16 of `rates`"),
    "diverged beside it": (_curve(VALLEY, ["ok"] * 5 + ["diverged"] * 3), "at 4, next to the lowest loss at 2, the "),
    "unresolved beside it": (_curve(VALLEY, ["ok"] * 3 + ["unresolved"] + ["ok"] * 4), "prediction is unresolved: the"),
    "uncertain": (_curve(1 + 2.5 * FINE**2, error=0.1, rates=np.exp(FINE)), "leave the minimum at 1 uncertain by 0.3"),
    "nothing": (_curve(VALLEY, ["diverged"] * 8), "no prediction is resolved"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_verdict_and_its_reason(name: str) -> None:
    curve, reason = ANSWERS[name]
    should, verdict = judge(curve, 6)
    assert should == (not reason)
    assert should == verdict.startswith("The best rate should transfer")
    assert reason in verdict


def test_losses_are_those_of_predictions() -> None:
    """And scripts of width N are predicted at η N."""
    network, seen = dt.WideNetwork(1, "tanh", 0.7), []
    given: dict[str, Any] = {"num_steps": 3, "key": KEY, "num_nodes": 2**9, "momentum": 0.3}
    found = best_rates(
        network,
        INPUTS,
        LABELS,
        rates=[0.5, 1.0, 2.0],
        widths=[16],
        progress=lambda *told: seen.append(told[0]),
        **given,
    )
    assert found.standard_loss is not None and found.standard_loss.shape == (1, 3)
    standard = dt.WideNetwork(1, "tanh", parametrisation="standard", width=16)
    with quiet():
        one = dt.wide.predict(network, INPUTS, LABELS, learning_rate=1.0, **given)
        other = dt.wide.predict(standard, INPUTS, LABELS, learning_rate=2.0 / 16, **given)
    assert one.standard_error is not None
    assert found.loss[1] == one.train_loss[-1] and found.loss_error[1] == one.standard_error.train_loss[-1]
    assert found.standard_loss[0, 2] == other.train_loss[-1]
    assert found.outcomes[1] == one.status.code
    assert seen == sorted(seen) and seen[-1] == pytest.approx(1.0)
    assert found.verdict in str(found) and "at width 16" in str(found)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"rates": [0.1, 0.2]}, "`rates` must be 3 or more increasing"),
        ({"rates": [0.1, 0.3, 0.2]}, "`rates` must be 3 or more increasing"),
        ({"rates": [0.0, 0.3, 0.4]}, "`rates` must be positive"),
        ({"learning_rate": 0.1}, "given by `rates`"),
        ({"widths": [0]}, "`widths` must be at least 1"),
        ({"widths": 3}, "`widths` must be a sequence"),
        ({"standard_rates": [1.0]}, "`standard_rates` must be 3 or more"),
        ({"network": dt.WideNetwork(1, parametrisation="ntk", width=4)}, "finite widths of the standard"),
        ({"num_steps": 0}, "`num_steps` must be at least 1"),
    ],
)
def test_what_is_refused(given: dict[str, Any], match: str) -> None:
    right: dict[str, Any] = {"network": dt.WideNetwork(1), "rates": [0.1, 0.2, 0.4], "num_steps": 2}
    with pytest.raises(ValueError, match=match):
        best_rates(inputs=INPUTS, labels=LABELS, key=KEY, **right | given)


@pytest.mark.full
def test_best_rates_of_trained_networks() -> None:
    """One rate at widths 64 and 512: that of the limit, within the errors of both."""
    grid = np.geomspace(1.5, 5.0, 8)
    given: dict[str, Any] = {"num_steps": 6, "key": KEY}
    theory = best_rates(dt.WideNetwork(2, "tanh"), INPUTS, LABELS, rates=grid, num_nodes=2**12, **given)
    assert theory.should_transfer
    assert theory.best_rate_error < 0.15 * theory.best_rate
    for width, num_runs in ((64, 64), (512, 16)):
        runs = [
            dt.wide.simulate(
                dt.WideNetwork(2, "tanh"), INPUTS, LABELS, width=width, num_runs=num_runs, learning_rate=rate, **given
            )
            for rate in grid
        ]
        assert all(run.standard_error is not None for run in runs)
        loss = np.array([run.train_loss[-1] for run in runs])
        error = np.array([run.standard_error.train_loss[-1] for run in runs if run.standard_error is not None])
        found = minimum(_curve(loss, rates=grid)._replace(error=error))
        assert abs(found.rate - theory.best_rate) < 2 * np.hypot(found.error, theory.best_rate_error)


@pytest.mark.full
def test_best_rates_that_do_not_transfer() -> None:
    """A minimum at the edge of stability: rates that are best for wide networks are past the edge of narrow ones."""
    random = np.random.default_rng(101)
    inputs, labels = random.standard_normal((6, 10)), np.sign(random.standard_normal(6))
    network, grid = dt.WideNetwork(2, "tanh"), np.geomspace(0.8, 9.0, 13)
    given: dict[str, Any] = {"num_steps": 8, "key": KEY}
    theory = best_rates(network, inputs, labels, rates=grid[1:8], num_nodes=2**11, **given)
    assert not theory.should_transfer and "edge of stability" in theory.verdict
    gains = []
    for width, num_runs in ((64, 96), (1024, 6)):
        low, high = (
            dt.wide.simulate(
                network, inputs, labels, width=width, num_runs=num_runs, learning_rate=rate, keep_kernels=False, **given
            )
            for rate in grid[[4, 6]]
        )
        assert low.standard_error is not None and high.standard_error is not None
        bar = np.hypot(low.standard_error.train_loss[-1], high.standard_error.train_loss[-1])
        gains.append((low.train_loss[-1] - high.train_loss[-1]) / bar)
    assert gains[0] < -3 and gains[1] > 3
