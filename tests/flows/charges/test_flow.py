"""Flows of charges: against SciPy on quadrature forces, invariants, endings, and what a solver cannot do."""

from typing import Any

import numpy as np
import pytest
from scipy import integrate

import dyntheory as dt
from dyntheory.flows import charges
from dyntheory.flows.charges.judging import distances
from tests.flows.charges import oracle

RNG = np.random.default_rng(4)
PROTONS, B = np.array([[1.0, 0.2], [-0.3, 0.9]]), np.array([1.0, 0.8])
STARTS = 0.7 * RNG.normal(size=(2, 3, 2))
A = np.array([0.5, -0.4, 1.1])
GIVEN: dict[str, Any] = {"proton_charges": B, "electron_charges": A, "train_charges": True}
TIMES = np.concatenate([np.linspace(0.0, 4.0, 9), [1.999, 2.001]])
TIMES.sort()


@pytest.fixture(scope="module")
def paths() -> charges.ChargePaths:
    return charges.flow("relu", PROTONS, electrons=STARTS, times=TIMES, **GIVEN)


def test_the_flow_is_that_of_quadrature_forces(paths: charges.ChargePaths) -> None:
    """An independent program from the definition: inputs integrated over, SciPy's solver."""

    def right_side(_: float, flat: np.ndarray) -> np.ndarray:
        pull, of_charges = oracle.minus_gradient("relu", flat[:6].reshape(3, 2), flat[6:], PROTONS, B)
        return np.concatenate([pull.ravel(), of_charges])

    start = np.concatenate([STARTS[1].ravel(), A])
    exact = integrate.solve_ivp(right_side, (0, 4), start, "DOP853", TIMES, rtol=1e-9, atol=1e-9).y.T
    assert paths.status.ok and paths.provenance["position_error"] < 1e-8
    np.testing.assert_allclose(paths.positions[1].reshape(-1, 6), exact[:, :6], atol=1e-7)
    np.testing.assert_allclose(paths.charges[1], exact[:, 6:], atol=1e-7)
    lost = [oracle.loss("relu", *paths_at(paths, 1, k), PROTONS, B) for k in (0, -1)]
    np.testing.assert_allclose(paths.loss[1, [0, -1]], lost, rtol=1e-9)


def paths_at(paths: charges.ChargePaths, run: int, time: int) -> tuple[np.ndarray, np.ndarray]:
    return paths.positions[run, time], paths.charges[run, time]


def test_norms_of_rectified_units_stay_balanced(paths: charges.ChargePaths) -> None:
    """|θ_i|² − a_i² is conserved for units that are homogeneous of degree one, trained in both layers."""
    balance = np.square(paths.positions).sum(axis=-1) - np.square(paths.charges)
    np.testing.assert_allclose(balance, np.broadcast_to(balance[:, :1], balance.shape), atol=1e-7)


def test_the_loss_falls_at_the_square_of_the_force(paths: charges.ChargePaths) -> None:
    middle = int(np.argmin(np.abs(TIMES - 2.0)))
    slope = (paths.loss[:, middle + 1] - paths.loss[:, middle - 1]) / 0.002
    np.testing.assert_allclose(slope, -(paths.force_norm[:, middle] ** 2), rtol=1e-4)
    assert np.all(np.diff(paths.loss, axis=1) < 0)


def test_electrons_have_no_names(paths: charges.ChargePaths) -> None:
    order = np.array([2, 0, 1])
    other = {**GIVEN, "electron_charges": A[order]}
    found = charges.flow("relu", PROTONS, electrons=STARTS[:, order], times=TIMES, **other)
    np.testing.assert_allclose(found.positions, paths.positions[:, :, order], atol=1e-7)
    assert np.array_equal(found.matching, paths.matching[:, order])


@pytest.mark.full
def test_steps_approach_the_flow_at_first_order(paths: charges.ChargePaths) -> None:
    off = []
    for rate in (0.02, 0.01):
        steps = charges.descend(
            "relu", PROTONS, electrons=STARTS, learning_rate=rate, num_steps=round(4 / rate), **GIVEN
        )
        assert steps.times[-1] == pytest.approx(4.0)
        off.append(np.abs(steps.positions[:, -1] - paths.positions[:, -1]).max())
    assert off[1] > 1e-4 and off[0] / off[1] == pytest.approx(2.0, rel=0.1)


@pytest.mark.full
def test_one_start_is_one_of_several(paths: charges.ChargePaths) -> None:
    alone = charges.flow("relu", PROTONS, electrons=STARTS[0], times=TIMES, **GIVEN)
    np.testing.assert_allclose(alone.positions[0], paths.positions[0], atol=2e-8)
    assert alone.num_runs == 1 and alone.endings == paths.endings[:1]


def on_the_circle(*angles: float) -> np.ndarray:
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_endings_on_the_circle() -> None:
    """Cubic units: learned from a start nearby, a saddle where both electrons stay together, a bad start behind."""
    protons = np.eye(2)
    starts = np.stack([on_the_circle(0.3, 1.1), on_the_circle(np.pi / 4, np.pi / 4), on_the_circle(3.6, 4.1)])
    found = charges.flow(charges.hermite(3), protons, electrons=starts, times=[0.0, 100.0, 200.0])
    assert found.endings[:2] == ("converged", "saddle") and found.endings[2] != "converged"
    assert found.matching[0].tolist() == [0, 1] and found.matched_distance[0].max() < 1e-3
    assert found.least_curvature[0] > 0.1 > -0.1 > found.least_curvature[1]
    np.testing.assert_allclose(np.linalg.norm(found.positions, axis=-1), 1.0, atol=1e-7)
    moved = charges.flow(charges.hermite(3), protons, electrons=starts, times=[0.0, 0.05, 0.1])
    assert moved.endings[0] == "moving"


@pytest.mark.parametrize(
    ("name", "charge", "is_there"), [("cos", 1.0, True), ("erf", -1.0, True), ("erf", 1.0, False), ("relu", 1.0, False)]
)
def test_mirror_images_count_as_one_where_units_do(name: str, charge: float, is_there: bool) -> None:
    """Even units cannot tell w from −w; odd units can tell by the charge."""
    protons, own = np.eye(2), np.full(2, charge)
    gaps = distances(charges.POTENTIALS[name], -protons, own, protons, np.ones(2))
    assert gaps[0].min() < 1e-15 if is_there else gaps[0].min() > 1
    lost = charges.loss(name, protons, electrons=-protons, electron_charges=own)
    assert abs(lost) < 1e-15 if is_there else lost > 0.1


def test_electrons_that_are_too_many_have_no_proton(paths: charges.ChargePaths) -> None:
    assert sorted(paths.matching[0]) == [-1, 0, 1] and np.isinf(paths.matched_distance[0]).sum() == 1


@pytest.mark.full
def test_a_force_that_jumps_at_contact_is_said() -> None:
    """Sign: the electron arrives in finite time; until then the flow is exact."""
    angle = 0.5
    with pytest.warns(dt.DyntheoryWarning, match="jumps where charges meet"):
        found = charges.flow(
            "sign", np.eye(1, 2), electrons=on_the_circle(angle), times=[0.1, 0.3, 2.0], max_steps=400, rtol=1e-6
        )
    assert found.status.code == "diverged" and found.endings == ("diverged",)
    turned = np.arctan2(found.positions[0, :2, 0, 1], found.positions[0, :2, 0, 0])
    np.testing.assert_allclose(turned, angle - 4 / np.pi * np.array([0.1, 0.3]), atol=1e-6)
    assert np.isnan(found.positions[0, 2]).all()
    near = charges.flow(
        charges.error_function(20.0),
        np.eye(1, 2),
        electrons=on_the_circle(angle),
        times=[0.1, 2.0],
        on_sphere=True,
        rtol=1e-6,
    )
    assert near.status.ok and near.distances[0, -1, 0] < 1e-4


def test_steps_that_are_too_large_diverge() -> None:
    with pytest.warns(dt.DyntheoryWarning, match="1 of 2 starts are not finite from state .* lower `learning_rate`"):
        starts = np.stack([np.eye(2) * 0.5, np.eye(2) * 60.0])
        found = charges.descend("quadratic", np.eye(2), electrons=starts, learning_rate=0.02, num_steps=60)
    assert found.endings[1] == "diverged" != found.endings[0]


@pytest.mark.full
def test_a_series_that_is_left_is_unresolved() -> None:
    """Norms at which the series of tanh misses a thousandth are told."""
    with pytest.warns(dt.DyntheoryWarning, match="raise `degree` of `potential_of`"):
        found = charges.descend(
            charges.potential_of("tanh", degree=24), np.eye(2), electrons=STARTS[0], learning_rate=9.0, num_steps=1
        )
    assert found.status.code == "unresolved"
    with pytest.raises(ValueError, match=r"`protons` must be shorter: at the norm 9"):
        charges.loss(charges.potential_of("tanh", degree=24), 9 * np.eye(2), electrons=STARTS[0])


@pytest.mark.full
def test_paths_load_as_they_were_saved(paths: charges.ChargePaths, tmp_path: Any) -> None:
    loaded = dt.load(paths.save(tmp_path / "a.nc"))
    np.testing.assert_array_equal(loaded.positions, paths.positions)
    assert loaded.endings == paths.endings and loaded.status == paths.status


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"times": [1.0, 1.0]}, "`times` must be a row"),
        ({"rtol": 1e-15}, "`rtol` must be from"),
        ({"tolerance": 0.0}, "`tolerance` must be positive"),
        ({"on_sphere": True}, "`electrons` must be unit vectors"),
    ],
)
def test_bad_flows_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        charges.flow("relu", PROTONS, **{"electrons": STARTS, "times": TIMES, **options})


def test_a_force_is_not_gone_because_there_was_no_time() -> None:
    found = charges.flow("relu", PROTONS, electrons=STARTS, times=1e-7 * TIMES, **GIVEN)
    assert found.force_norm[:, -1].min() > 0.1 and found.endings == ("moving",) * 2


@pytest.mark.parametrize("size", [pytest.param(1e-4, marks=pytest.mark.full), 1e4])
def test_endings_do_not_depend_on_units(size: float) -> None:
    """Rectified units of any length: the loss scales with its square, the Hessian not at all."""
    together = np.full((2, 2), 0.456)
    found = charges.descend("relu", size * np.eye(2), electrons=size * together, learning_rate=0.2, num_steps=200)
    assert found.endings == ("saddle",) and found.least_curvature[0] < -1


def test_losses_that_overflow_before_positions_do_are_told() -> None:
    with pytest.warns(dt.DyntheoryWarning, match="1 of 1 runs grew a millionfold"):
        found = charges.descend(
            "cos", 30 * np.eye(1, 2), electrons=[[0.0, 30.0]], learning_rate=3.0, num_steps=600, train_charges=True
        )
    assert np.isfinite(found.positions).all() and found.status.code == "diverged" and found.endings == ("diverged",)


def test_a_teacher_of_nothing_is_learned() -> None:
    found = charges.descend(
        "relu", np.eye(2), proton_charges=[0.0, 0.0], electrons=STARTS[0, :2], learning_rate=0.2, num_steps=200
    )
    assert found.endings == ("converged",)
