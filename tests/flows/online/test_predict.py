"""One-pass predictions: against an independent solution, exact cases, nodes, and what is refused."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import dyntheory as dt
from dyntheory.problem.networks.activations import Activation
from tests.flows.online import saad_solla
from tests.flows.online.cases import KEY, PHYSICS, committee_head, law_of, own_erf, own_link, start_of

TIMES = np.linspace(0.0, 20.0, 5)
FROZEN: dict[str, Any] = {"key": KEY, "head_rate": 0.0}


def _predict(activation: Any, k: int, r: int, **changes: Any) -> Any:
    given: dict[str, Any] = {
        "learning_rate": 0.7,
        "time": TIMES,
        "head": committee_head(k),
        "first_layer": start_of(k, r),
        **FROZEN,
    }
    law = changes.pop("law", law_of(activation, r, changes.pop("noise", 0.0)))
    return dt.online.predict(law, dt.MLP((k,), activation), **(given | changes))


FULL = pytest.mark.full


@pytest.mark.parametrize(
    ("k", "r", "noise"), [(2, 2, 0.4), pytest.param(3, 2, 0.4, marks=FULL), pytest.param(2, 3, 0.0, marks=FULL)]
)
def test_the_flow_of_saad_and_solla(k: int, r: int, noise: float) -> None:
    start, found = start_of(k, r), _predict(PHYSICS, k, r, noise=noise)
    given = np.asarray(start.second_moment), np.asarray(start.teacher_overlap), np.eye(r), 0.7, TIMES
    weight, teacher, error = saad_solla.solve(*given, noise=noise)
    assert found.status.ok and found.provenance["averages"] == "closed forms"
    np.testing.assert_allclose(found.weight_overlap, weight, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(found.teacher_overlap, teacher, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(found.generalization_error, error, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(found.test_error, 2 * error + noise**2, rtol=1e-7)
    assert np.abs(found.excess_error - 2 * error).max() <= max(3 * found.standard_error.excess_error.max(), 1e-10)
    _, _, without = saad_solla.solve(*given, noise=noise, order2=0.0)
    assert np.abs(without / error - 1).max() > 0.05, "negative control: the term in η² is needed"


@pytest.mark.parametrize("k", [2, pytest.param(3, marks=FULL)])
def test_the_symmetric_plateau_of_saad_and_solla(k: int) -> None:
    """Q = 1/(2K − 1), R = √(Q/K), ε = (K/π)(π/6 − K asin(1/2K)) as η → 0, from a start without preference."""
    start = dt.FirstLayer(np.full((k, k), 0.3), np.full((k, k), 0.01))
    found = _predict(PHYSICS, k, k, first_layer=start, learning_rate=1e-3, time=[0.0, 2e4])
    level = k / np.pi * (np.pi / 6 - k * np.arcsin(1 / (2 * k)))
    np.testing.assert_allclose(found.generalization_error[-1], level, rtol=2e-3)
    np.testing.assert_allclose(found.weight_overlap[-1], 1 / (2 * k - 1), rtol=5e-3)
    np.testing.assert_allclose(found.teacher_overlap[-1], 1 / np.sqrt(k * (2 * k - 1)), rtol=5e-3)
    assert found.assumptions is not None and "symmetric" in found.assumptions.reason
    np.testing.assert_allclose(found.specialisation[-1], 0.0, atol=1e-9)


def test_a_linear_unit_is_exact() -> None:
    """E' = −2ηE + η²(E + σ²), with η that of momentum and a batch."""
    rate, noise, batch, momentum = 0.3, 0.5, 2, 0.4
    found = _predict(
        *("linear", 1, 1), law=dt.TeacherStudent(1.0, noise_std=noise), learning_rate=rate, momentum=momentum,
        batch_size=batch, first_layer=None,
    )  # fmt: skip
    whole = rate / (1 - momentum)
    decay, floor = 2 * whole - whole**2 / batch, whole**2 / batch * noise**2
    exact = floor / decay + (2.0 - floor / decay) * np.exp(-decay * TIMES)
    np.testing.assert_allclose(found.excess_error, exact, rtol=1e-7)


@pytest.mark.parametrize("r", [1, pytest.param(2, marks=FULL)])
@pytest.mark.parametrize("how", ["Sobol nodes", pytest.param("a grid", marks=FULL)])
def test_nodes_agree_with_closed_forms_within_their_bars(r: int, how: str) -> None:
    """The same network where nothing is known of its units: a grid if it is said to be smooth, else Sobol nodes."""
    start = dt.FirstLayer(np.eye(1) * 0.5, np.array([[0.3, 0.1]])[:, :r])
    given: dict[str, Any] = {
        "first_layer": start,
        "head_rate": 1.0,
        "head": committee_head(1),
        "time": [0.0, 4.0, 12.0],
    }
    exact = _predict("erf", 1, r, noise=0.2, **given)
    activation: Any = own_erf if how == "Sobol nodes" else Activation("own", own_erf, smooth=True)
    found = _predict(activation, 1, r, noise=0.2, num_nodes=2**11, **given)
    assert found.provenance["averages"].startswith(how) and found.status.ok
    for name in ("excess_error", "weight_overlap", "teacher_overlap", "head"):
        off, bars = getattr(found, name) - getattr(exact, name), getattr(found.standard_error, name)
        assert np.abs(off / np.maximum(bars, 1e-9)).max() < 4, name
        assert bars.max() < (0.02 if how == "Sobol nodes" else 5e-3)
    assert found.assumptions is not None
    assert found.assumptions.level == ("heuristic" if how == "Sobol nodes" else "theorem")


@FULL
def test_any_link_and_activation() -> None:
    law = dt.TeacherStudent(1.0, own_link, teacher_second_moment=np.eye(2))
    found = _predict("tanh", 2, 2, law=law, time=[0.0, 2.0], num_nodes=2**10)
    assert found.status.ok and found.excess_error[1] < found.excess_error[0]
    assert found.assumptions is not None and found.assumptions.level == "heuristic"


@FULL
def test_labels_that_few_nodes_carry_are_said() -> None:
    law = dt.TeacherStudent(1.0, "exp", teacher_second_moment=[[6.0]])
    with pytest.warns(dt.DyntheoryWarning, match="one node carries"):
        found = _predict("tanh", 1, 1, law=law, time=[0.0, 0.1], first_layer=None, num_nodes=2**13)
    assert found.status.code == "heavy_tail"


@FULL
def test_rectifiers_learn_a_teacher_to_the_end() -> None:
    """The last steps are where integrals of almost equal units meet."""
    found = _predict("relu", 2, 2, first_layer=dt.FirstLayer(0.5 * np.eye(2), 0.3 * np.eye(2)), time=[0.0, 20.0, 60.0])
    assert found.status.ok and found.excess_error[2] < 1e-5
    np.testing.assert_allclose(found.weight_overlap[2], np.eye(2), atol=1e-2)


@FULL
def test_rates_that_change_with_time() -> None:
    def falling(time: Any) -> Any:
        return 0.7 / (1.0 + 0.1 * time)

    def constant(time: Any) -> Any:
        return 0.7 + 0.0 * time

    plain = _predict(PHYSICS, 2, 2)
    np.testing.assert_allclose(
        _predict(PHYSICS, 2, 2, learning_rate=constant).excess_error, plain.excess_error, rtol=1e-7
    )
    flow: dict[str, Any] = {"batch_size": 10**9}  # then time is the integral of the rate
    slow = _predict(PHYSICS, 2, 2, learning_rate=falling, **flow)
    same = _predict(PHYSICS, 2, 2, time=10.0 * np.log1p(0.1 * TIMES), **flow)
    np.testing.assert_allclose(slow.excess_error, same.excess_error, rtol=1e-6)
    with pytest.raises(ValueError, match="`learning_rate` must be a number zero or more"):
        _predict(PHYSICS, 2, 2, learning_rate=lambda time: -1.0 * jnp.asarray(time))


def test_a_pulse_of_the_rate_is_not_passed_over() -> None:
    """The rate is zero but for 4 of 1000 units of time, between two times of the grid."""

    def pulse(time: Any) -> Any:
        return jnp.where(jnp.abs(jnp.asarray(time) - 503.0) < 2.0, 0.5, 0.0)

    law = dt.TeacherStudent(1.0, noise_std=0.5)
    exact = dt.online.least_squares(law, learning_rate=0.5, time=[0.0, 4.0]).excess_error[-1]
    found = [
        _predict("linear", 1, 1, law=law, learning_rate=pulse, first_layer=None, time=1000.0, rtol=1e-4),
        dt.online.least_squares(law, learning_rate=pulse, time=1000.0, rtol=1e-4),
    ]
    for one in found:
        np.testing.assert_allclose(one.excess_error[-1], exact, rtol=1e-3)


def test_too_large_a_rate_is_said_to_diverge() -> None:
    with pytest.warns(dt.DyntheoryWarning, match="lower `learning_rate`"):
        found = _predict("linear", 1, 1, law=dt.TeacherStudent(1.0), learning_rate=2.5, first_layer=None)
    assert found.status.code == "diverged"


@FULL
def test_several_starts_are_those_of_finite_networks() -> None:
    given: dict[str, Any] = {"first_layer": dt.FirstLayer(0.5 * np.eye(2), 0.2 * np.eye(2)), "time": [0.0, 3.0]}
    found = _predict(PHYSICS, 2, 2, num_features=400, num_runs=4, **given)
    runs: Any = dt.online.simulate(
        *(law_of(PHYSICS, 2), dt.MLP((2,), PHYSICS)), learning_rate=0.7, head=committee_head(2), num_features=400,
        num_runs=4, exact_overlaps=False, matrix="revealed", **FROZEN, first_layer=given["first_layer"], time=[0.0],
    )  # fmt: skip
    np.testing.assert_allclose(found.per_run.teacher_overlap[:, 0], runs.per_run.teacher_overlap[:, 0], rtol=1e-12)
    assert np.ptp(found.per_run.excess_error[:, 0]) > 0 and found.assumptions is not None
    assert found.assumptions.level == "simulation-verified"


WRONG: tuple[tuple[dict[str, Any], str], ...] = (
    ({"network": dt.MLP((2, 2), "erf")}, "`network` must have one hidden layer"),
    ({"network": dt.MLP((2,), "erf", use_bias=True)}, "got biases"),
    ({"network": dt.MLP((2,), "erf", num_outputs=2)}, "got 2 outputs"),
    ({"law": dt.TeacherStudent(1.0, features=dt.spectra.two_level(0.5, 2.0))}, "`law` must have uncorrelated"),
    ({"law": dt.TeacherStudent(1.0, "probit")}, "`law` must have labels"),
    ({"law": dt.TeacherStudent(1.0, "argmax", teacher_second_moment=np.eye(2))}, "`law` must have one number"),
    ({"law": dt.gaussian_mixture(1.0, separation=1.0)}, "`law` must have labels made of inputs"),
    ({"time": [1.0, 1.0]}, "`time` must be a row of numbers that increase"),
    ({"time": 0.0}, "`time` must be positive"),
    ({"momentum": 1.0}, "`momentum` must be below 1"),
    ({"num_runs": 2}, "`num_runs` above 1 needs `num_features`"),
    ({"num_nodes": 1500}, "`num_nodes` must be a power of two"),
    ({"first_layer": dt.FirstLayer(np.eye(2), np.eye(2) * 2)}, "`second_moment` and `teacher_overlap` contradict"),
    ({"network": dt.MLP((2,), "relu"), "law": law_of("relu", 2), "first_layer": dt.FirstLayer(np.zeros((2, 2)))},
     "`first_layer` must have weights that are not all zero"),
)  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), WRONG, ids=[message[:30] for _, message in WRONG])
def test_what_the_equations_are_not_about_is_refused(changes: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"law": law_of("erf", 2), "network": dt.MLP((2,), "erf"), "learning_rate": 0.1, "time": 1.0}
    given |= {"key": KEY} | changes
    with pytest.raises(ValueError, match=message):
        dt.online.predict(**given)
