"""One-pass runs: against the prediction as z-scores, stored weights against followed overlaps, and controls."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import dyntheory as dt
from tests.flows.online import saad_solla
from tests.flows.online.cases import KEY, PHYSICS, committee_head, law_of, start_of

FULL = pytest.mark.full
TIMES = np.array([0.0, 2.0, 5.0, 8.0])
BASE: dict[str, Any] = {"learning_rate": 0.6, "time": TIMES, "key": KEY, "head": committee_head(2)}


def _given(**changes: Any) -> dict[str, Any]:
    return BASE | {"first_layer": start_of(2, 2, size=0.8)} | changes


@pytest.mark.parametrize("matrix", ["dense", pytest.param("revealed", marks=FULL)])
@pytest.mark.parametrize("activation", [PHYSICS, pytest.param("relu", marks=FULL)])
def test_runs_agree_with_the_limit(activation: Any, matrix: str) -> None:
    law, network = law_of(activation, 2, 0.3), dt.MLP((2,), activation)
    theory = dt.online.predict(law, network, **_given())
    count = 100 if matrix == "revealed" else 50
    runs = dt.online.simulate(law, network, num_features=250, num_runs=count, matrix=matrix, **_given())
    bars = runs.standard_error
    assert bars is not None and np.all(bars.excess_error[1:] < 0.05 * theory.excess_error[1:])
    scores = runs.z_scores(theory)
    assert max(np.abs(score).max() for score in scores.values()) < 4.5
    np.testing.assert_allclose(runs.teacher_overlap[0], theory.teacher_overlap[0], rtol=1e-9)


@FULL
@pytest.mark.parametrize("changes", [{"momentum": 0.5, "learning_rate": 0.3}, {"batch_size": 3}])
def test_momentum_and_batches(changes: dict[str, Any]) -> None:
    law, network = law_of(PHYSICS, 2, 0.3), dt.MLP((2,), PHYSICS)
    theory = dt.online.predict(law, network, **_given(**changes))
    plain = dt.online.predict(law, network, **_given(learning_rate=changes.get("learning_rate", 0.6)))
    for matrix in ("dense", "revealed"):
        runs = dt.online.simulate(law, network, num_features=300, num_runs=100, matrix=matrix, **_given(**changes))
        assert max(np.abs(score).max() for score in runs.z_scores(theory).values()) < 4.5
        assert max(np.abs(score).max() for score in runs.z_scores(plain).values()) > 10, "negative control"


def test_without_the_second_order_runs_disagree() -> None:
    """Negative control: the flow without η² misses the runs by many standard errors."""
    start = start_of(2, 2, size=0.8)
    law, network = law_of(PHYSICS, 2), dt.MLP((2,), PHYSICS)
    runs: Any = dt.online.simulate(
        law, network, num_features=250, num_runs=100, matrix="revealed", head_rate=0.0, **_given(first_layer=start)
    )
    given = np.asarray(start.second_moment), np.asarray(start.teacher_overlap), np.eye(2), 0.6, TIMES
    errors = {order: 2 * saad_solla.solve(*given, order2=order)[2] for order in (1.0, 0.0)}
    bars = runs.standard_error.excess_error[1:]
    assert np.abs((runs.excess_error[1:] - errors[1.0][1:]) / bars).max() < 4.5
    assert np.abs((runs.excess_error[1:] - errors[0.0][1:]) / bars).max() > 10


@FULL
@pytest.mark.parametrize("changes", [{}, {"momentum": 0.3, "batch_size": 2}])
def test_both_ways_of_running_have_one_law_at_small_d(changes: dict[str, Any]) -> None:
    """At d = 12 the limit is far; stored weights and followed overlaps agree all the same."""
    law, network = law_of(PHYSICS, 2, 0.3), dt.MLP((2,), PHYSICS)
    given = _given(**changes)
    one, two = (
        dt.online.simulate(law, network, num_features=12, num_runs=4000, matrix=matrix, **given)
        for matrix in ("dense", "revealed")
    )
    assert max(np.abs(score).max() for score in one.z_scores(two).values()) < 4.5
    theory = dt.online.predict(law, network, **given)
    assert max(np.abs(score).max() for score in one.z_scores(theory).values()) > 8


@FULL
def test_a_schedule_is_followed() -> None:
    law, network = law_of(PHYSICS, 2), dt.MLP((2,), PHYSICS)

    def falling(time: Any) -> Any:
        return 0.8 / (1.0 + jnp.asarray(time))

    theory = dt.online.predict(law, network, **_given(learning_rate=falling))
    runs = dt.online.simulate(
        law, network, num_features=250, num_runs=100, matrix="revealed", **_given(learning_rate=falling)
    )
    assert max(np.abs(score).max() for score in runs.z_scores(theory).values()) < 4.5


@FULL
def test_runs_that_blow_up_are_said() -> None:
    law, network = dt.TeacherStudent(1.0), dt.MLP((1,), "linear")
    with pytest.warns(dt.DyntheoryWarning, match="4 of 4 runs diverged"):
        runs = dt.online.simulate(
            law, network, num_features=50, num_runs=4, learning_rate=6.0, time=30.0, key=KEY, head=committee_head(1),
            head_rate=0.0, matrix="revealed",
        )  # fmt: skip
    assert runs.num_diverged == 4 and runs.status.code == "diverged"


@FULL
def test_a_given_draw_is_where_runs_start() -> None:
    random = np.random.default_rng(0)
    start = dt.FirstLayer.from_weights(random.normal(size=(60, 2)), random.normal(size=(60, 2)))
    runs = dt.online.simulate(
        law_of(PHYSICS, 2), dt.MLP((2,), PHYSICS), num_features=60, num_runs=2, **_given(first_layer=start, time=[0.0])
    )
    theory = dt.online.predict(law_of(PHYSICS, 2), dt.MLP((2,), PHYSICS), **_given(first_layer=start, time=[0.0]))
    np.testing.assert_allclose(runs.weight_overlap[0], theory.weight_overlap[0], rtol=1e-12)
    np.testing.assert_allclose(runs.teacher_moment, theory.teacher_moment, rtol=1e-12)


def test_what_cannot_be_run_is_refused() -> None:
    law, network = law_of(PHYSICS, 2), dt.MLP((2,), PHYSICS)
    draw = dt.FirstLayer.from_weights(np.ones((5, 2)), np.eye(5)[:, :2])
    for changes, message in (
        ({"num_features": 3}, "`num_features` must be at least"),
        ({"max_memory": 1e3}, "lower `num_runs`"),
        ({"matrix": "sparse"}, "matrix"),
        ({"first_layer": draw}, "`num_features` must be that of the draw"),
    ):
        given: dict[str, Any] = {"num_features": 20, "num_runs": 2} | _given(**changes)
        with pytest.raises(ValueError, match=message):
            dt.online.simulate(law, network, **given)
