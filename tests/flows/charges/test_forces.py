"""Forces are minus the gradient of the population loss, which inputs are integrated over to find."""

from typing import Any

import numpy as np
import pytest

import dyntheory as dt
from dyntheory.flows import charges
from tests.flows.charges import oracle

RNG = np.random.default_rng(11)
POSITIONS, PROTONS = 0.8 * RNG.normal(size=(3, 2)), 0.8 * RNG.normal(size=(2, 2))
A, B = np.array([0.7, -1.2, 1.5]), np.array([1.0, -0.6])
GIVEN: dict[str, Any] = {"electrons": POSITIONS, "electron_charges": A, "proton_charges": B}
NAMES = [name for name in charges.POTENTIALS if name != "sign"]


@pytest.mark.parametrize("name", NAMES)
def test_forces_are_minus_the_population_gradient(name: str) -> None:
    found = charges.forces(name, PROTONS, **GIVEN)
    pull, of_charges = oracle.minus_gradient(name, POSITIONS, A, PROTONS, B)
    scale = np.abs(pull).max()
    assert np.abs(found.positions - pull).max() < 1e-10 * max(scale, 1.0)
    assert np.abs(found.charges - of_charges).max() < 1e-10 * max(np.abs(of_charges).max(), 1.0)
    exact = oracle.loss(name, POSITIONS, A, PROTONS, B)
    assert charges.loss(name, PROTONS, **GIVEN) == pytest.approx(exact, rel=1e-11)


def test_forces_of_sign_units_move_the_edges_of_half_planes() -> None:
    """Their samples have no gradient; the population has one."""
    found = charges.forces("sign", PROTONS, **GIVEN)
    np.testing.assert_allclose(found.positions, oracle.sign_force(POSITIONS, A, PROTONS, B), rtol=1e-7)
    assert charges.loss("sign", PROTONS, **GIVEN) == pytest.approx(
        oracle.loss("sign", POSITIONS, A, PROTONS, B), rel=1e-12
    )


def test_forces_of_any_activation() -> None:
    found = charges.forces(charges.potential_of("tanh"), PROTONS, **GIVEN)
    pull, of_charges = oracle.minus_gradient("tanh", POSITIONS, A, PROTONS, B)
    np.testing.assert_allclose(found.positions, pull, atol=1e-10)
    np.testing.assert_allclose(found.charges, of_charges, atol=1e-10)


@pytest.mark.parametrize("wrong", ["no self force", "same sign", "halved"])
def test_negative_controls_of_the_gradient(wrong: str) -> None:
    """Each of these slips is seen."""
    pull, _ = oracle.minus_gradient("relu", POSITIONS, A, PROTONS, B)
    found = charges.forces("relu", PROTONS, **GIVEN).positions
    if wrong == "no self force":  # Φ(θ, θ) is not constant for ReLU: an electron repels itself
        found = found + A[:, None] ** 2 * POSITIONS
    elif wrong == "same sign":
        found = charges.forces("relu", PROTONS, **{**GIVEN, "proton_charges": -B}).positions
    else:
        found = found / 2
    assert np.abs(found - pull).max() > 1e-2


def test_on_the_sphere_the_tangent_is_left() -> None:
    unit = POSITIONS / np.linalg.norm(POSITIONS, axis=1, keepdims=True)
    free = charges.forces("erf", PROTONS, electrons=unit).positions
    bound = charges.forces("erf", PROTONS, electrons=unit, on_sphere=True).positions
    np.testing.assert_allclose(bound, free - np.sum(free * unit, 1, keepdims=True) * unit, atol=1e-14)


def test_electrons_on_protons_feel_nothing() -> None:
    """The global minimum, in any order, with charges that match."""
    there = np.concatenate([PROTONS[::-1], POSITIONS[:1]])  # one electron without a charge stands elsewhere
    given: dict[str, Any] = {"electrons": there, "electron_charges": [*B[::-1], 0.0], "proton_charges": B}
    for name in charges.POTENTIALS:
        found = charges.forces(name, PROTONS, **given)
        scale = np.abs(charges.forces(name, PROTONS, **GIVEN).charges).max()
        assert np.abs(found.positions).max() < 1e-13 * max(scale, 1) and np.abs(found.charges).max() < 1e-13 * max(
            scale, 1
        )
        lost = charges.loss(name, PROTONS, **given)
        assert abs(lost) < 1e-13 * max(charges.loss(name, PROTONS, **GIVEN), 1)


@pytest.mark.full
def test_several_starts_are_one_after_the_other() -> None:
    starts = np.stack([POSITIONS, 2 * POSITIONS])
    together = charges.forces("relu", PROTONS, electrons=starts, electron_charges=A)
    losses = charges.loss("relu", PROTONS, electrons=starts, electron_charges=A)
    for index, start in enumerate(starts):
        alone = charges.forces("relu", PROTONS, electrons=start, electron_charges=A)
        np.testing.assert_allclose(together.positions[index], alone.positions, rtol=1e-14)
        assert losses[index] == charges.loss("relu", PROTONS, electrons=start, electron_charges=A)


def test_a_problem_of_the_library_is_a_set_of_charges() -> None:
    """The population loss is the test loss of `dt.simulate` on that draw, up to the sampling of nothing at all."""
    d, network = 7, dt.MLP((3,), "erf")
    drawn, teacher = RNG.normal(size=(d, 3)), RNG.normal(size=(d, 2))
    head = {"layer_2": {"weights": A[None]}}
    law = dt.TeacherStudent(2.0, "erf", teacher_second_moment=np.eye(2))  # a soft committee: both with 1/√2
    layer = dt.FirstLayer.from_weights(drawn, teacher)
    found = charges.from_network(law, network, first_layer=layer, head=head)
    np.testing.assert_allclose(found.proton_charges, np.full(2, 2**-0.5), rtol=1e-6)
    np.testing.assert_allclose(found.electrons, drawn.T / np.sqrt(d))
    x = RNG.normal(size=(4000, d))
    student = oracle.UNITS["erf"][0](x @ drawn / np.sqrt(d)) @ A
    labels = oracle.UNITS["erf"][0](x @ teacher / np.sqrt(d)).sum(1) / np.sqrt(2)
    squares = (student - labels) ** 2
    error = squares.std(ddof=1) / np.sqrt(len(x))
    assert error < 0.05 * squares.mean()
    assert abs(charges.loss(**found._asdict()) - squares.mean()) < 4 * error


LAYER = dt.FirstLayer.from_weights(np.ones((4, 2)), np.ones((4, 1)))
HEAD = {"layer_2": {"weights": np.ones((1, 2))}}


@pytest.mark.parametrize(
    ("law", "network", "options", "message"),
    [
        (dt.TeacherStudent(1.0, "sin"), dt.MLP((2,), "erf"), {}, "`law` must have a link"),
        (dt.TeacherStudent(1.0, "erf"), dt.MLP((2, 2), "erf"), {}, "`network` must have two layers"),
        (dt.TeacherStudent(1.0, "erf"), dt.MLP((2,), "erf"), {"first_layer": dt.FirstLayer()}, "must hold weights"),
        (dt.TeacherStudent(1.0, "erf"), dt.MLP((2,), "erf"), {"head": {}}, "`head` must be what"),
        (dt.TeacherStudent(1.0, "erf", separation=1.0), dt.MLP((2,), "erf"), {}, "independent standard features"),
        (dt.TeacherStudent(1.0, "erf"), dt.MLP((3,), "erf"), {}, "`first_layer` must have 3 columns"),
    ],
)
def test_problems_that_are_no_charges_are_named(law: Any, network: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        charges.from_network(law, network, **{"first_layer": LAYER, "head": HEAD, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"electrons": np.ones((3, 3))}, "`electrons` must have as many features as `protons`, 2, got 3"),
        ({"electrons": np.ones(3)}, r"`electrons` must have shape \(count, features\)"),
        ({"electrons": np.array([[np.nan, 1.0]])}, "`electrons` must be finite"),
        ({"electron_charges": np.ones(2)}, r"`electron_charges` must have shape .* got \(2,\)"),
        ({"proton_charges": np.ones(3)}, r"`proton_charges` must have shape \(2,\), got \(3,\)"),
    ],
)
def test_charges_that_do_not_fit_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        charges.loss("relu", PROTONS, **{**GIVEN, **options})


def test_potentials_of_directions_want_unit_vectors() -> None:
    with pytest.raises(ValueError, match="`protons` must be unit vectors, got norms from"):
        charges.loss(charges.hermite(3), PROTONS, electrons=POSITIONS)
    unit = PROTONS / np.linalg.norm(PROTONS, axis=1, keepdims=True)
    with pytest.raises(ValueError, match="`on_sphere` must be True"):
        charges.forces(charges.hermite(3), unit, electrons=unit, on_sphere=False)
