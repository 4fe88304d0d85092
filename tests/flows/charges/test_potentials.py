"""Potentials are expectations over inputs, their gradients too, also where two charges meet."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from dyntheory.flows import charges
from dyntheory.flows.charges import series
from dyntheory.flows.charges.named import resolve_potential
from dyntheory.flows.charges.potentials import Potential
from dyntheory.ground.precision import as_double, double_precision
from tests.flows.charges import oracle

RNG = np.random.default_rng(5)
ONE, OTHER = RNG.normal(size=(3, 2)), RNG.normal(size=(2, 2))
CLOSED = [*charges.POTENTIALS.values(), charges.error_function(0.5)]
FEW = [one if one.name in ("sign", "relu") else pytest.param(one, marks=pytest.mark.full) for one in CLOSED]


def value(potential: str | Potential, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    found = resolve_potential(potential)
    with double_precision():
        return np.asarray(found.value(as_double(found.parameters), as_double(one), as_double(other)))


def gradient(potential: str | Potential, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    found = resolve_potential(potential)
    with double_precision():
        return np.asarray(found.gradient(as_double(found.parameters), as_double(one), as_double(other)))


@functools.partial(jax.jit, static_argnums=0)
def _slopes(value: Any, numbers: Any, rows: jax.Array, others: jax.Array) -> jax.Array:
    return jax.vmap(jax.jacrev(lambda row: value(numbers, row[None], others)[0]))(rows)


@functools.partial(jax.jit, static_argnums=0)
def _bends(gradient: Any, numbers: Any, rows: jax.Array, others: jax.Array) -> jax.Array:
    return jax.vmap(jax.jacfwd(lambda row: gradient(numbers, row[None], others)[0]))(rows)


def automatic(potential: Potential, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    with double_precision():
        given = (as_double(part) for part in (potential.parameters, one, other))
        return np.asarray(_slopes(potential.value, *given))


@pytest.mark.parametrize("potential", CLOSED, ids=lambda one: one.name)
def test_closed_forms_are_expectations(potential: Potential) -> None:
    exact = oracle.potential(potential.name, ONE, OTHER)
    np.testing.assert_allclose(value(potential, ONE, OTHER), exact, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("potential", FEW, ids=lambda one: one.name)
def test_gradients_are_those_of_the_values(potential: Potential) -> None:
    np.testing.assert_allclose(gradient(potential, ONE, OTHER), automatic(potential, ONE, OTHER), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("potential", CLOSED, ids=lambda one: one.name)
def test_signs_of_weights_do_what_the_symmetry_says(potential: Potential) -> None:
    sign = {"even": 1.0, "odd": -1.0, "none": np.nan}[potential.symmetry]
    mirrored, plain = value(potential, -ONE, OTHER), value(potential, ONE, OTHER)
    if potential.symmetry == "none":
        assert not np.allclose(np.abs(mirrored), np.abs(plain))
    else:
        np.testing.assert_allclose(mirrored, sign * plain, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("potential", FEW, ids=lambda one: one.name)
def test_everything_is_finite_where_charges_meet(potential: Potential) -> None:
    rows = np.concatenate([ONE, -ONE, np.zeros((1, 2))])
    assert np.isfinite(value(potential, rows, ONE)).all() and np.isfinite(gradient(potential, rows, ONE)).all()
    with double_precision():
        numbers, points = as_double(potential.parameters), as_double(rows)
        assert np.isfinite(np.asarray(_bends(potential.gradient, numbers, points, points))).all()


@pytest.mark.parametrize("gap", [1e-3, 1e-7, 1e-11])
def test_digits_are_kept_beside_a_charge(gap: float) -> None:
    """Against 60 digits: 1 − Φ of sign, and the part of ReLU's gradient that is not 1/2 w, at a small angle."""
    w = np.array([0.6, 0.8])
    u = w + gap * np.array([-0.8, 0.6])
    with mpmath.workdps(60):
        big, small = [[mpmath.mpf(float(x)) for x in row] for row in (u, w)]
        lengths = [mpmath.sqrt(row[0] ** 2 + row[1] ** 2) for row in (big, small)]
        theta = abs(mpmath.atan2(big[1], big[0]) - mpmath.atan2(small[1], small[0]))
        exact_sign = float(2 * theta / mpmath.pi)
        curved = [
            float((lengths[1] * mpmath.sin(theta) * big[k] / lengths[0] - theta * small[k]) / (2 * mpmath.pi))
            for k in range(2)
        ]
    assert 1 - value("sign", u[None], w[None])[0, 0] == pytest.approx(exact_sign, rel=1e-4 if gap < 1e-9 else 1e-8)
    found = gradient("relu", u[None], w[None])[0, 0] - 0.5 * w
    np.testing.assert_allclose(found, curved, rtol=1e-6, atol=2e-16)


@pytest.mark.parametrize("degree", [3, *(pytest.param(k, marks=pytest.mark.full) for k in (1, 2, 4, 7))])
def test_hermite_units_have_powers_of_the_cosine(degree: int) -> None:
    potential = charges.hermite(degree)
    units = [row / np.linalg.norm(row) for row in (ONE[0], OTHER[0])]
    x, mass = oracle.points_in_the_plane("erf", ONE, 2)
    he = np.polynomial.hermite_e.HermiteE(np.eye(1, degree + 1, degree)[0])
    sampled = [he(x @ unit) / np.sqrt(math.factorial(degree)) for unit in units]
    assert potential.symmetry == ("odd" if degree % 2 else "even")
    cosine = units[0] @ units[1]
    assert mass @ (sampled[0] * sampled[1]) == pytest.approx(cosine**degree, rel=1e-11)
    assert value(potential, units[0][None], units[1][None])[0, 0] == pytest.approx(cosine**degree, rel=1e-13)
    with double_precision():
        unit = np.asarray(series.polynomial_unit(as_double(potential.parameters), jnp.asarray(x @ units[0])))
    np.testing.assert_allclose(unit, sampled[0], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(
        gradient(potential, ONE, OTHER), automatic(potential, ONE, OTHER), rtol=1e-10, atol=1e-12
    )


def soft(z: jax.Array) -> jax.Array:
    return jnp.tanh(z) + 0.3 * z**2


@pytest.mark.full
@pytest.mark.parametrize("norm", [1.4, 0.3, 2.5])
def test_any_activation_in_space(norm: float) -> None:
    """Against a grid of inputs."""
    oracle.UNITS["soft"] = (lambda z: np.tanh(z) + 0.3 * z**2, lambda z: 1 / np.cosh(z) ** 2 + 0.6 * z)
    potential = charges.potential_of(soft)
    one = norm * ONE / np.linalg.norm(ONE, axis=1, keepdims=True)
    np.testing.assert_allclose(value(potential, one, OTHER), oracle.potential("soft", one, OTHER), rtol=1e-9)
    np.testing.assert_allclose(gradient(potential, one, OTHER), automatic(potential, one, OTHER), rtol=1e-8, atol=1e-10)


@pytest.mark.full
def test_any_activation_on_the_sphere_is_the_same_at_norm_one() -> None:
    one, other = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (ONE, OTHER))
    space, sphere = charges.potential_of("tanh"), charges.potential_of("tanh", on_sphere=True)
    assert space.symmetry == sphere.symmetry == "odd" and sphere.error < 1e-12
    np.testing.assert_allclose(value(space, one, other), value(sphere, one, other), rtol=1e-12)
    pull = gradient(space, one, other)
    along = np.einsum("pqd,pd->pq", pull, one)[..., None] * one[:, None]
    np.testing.assert_allclose(pull - along, gradient(sphere, one, other), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("name", ["erf", "cos", "exp"])
def test_the_series_has_the_closed_form(name: str) -> None:
    one, other = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (ONE, OTHER))
    by_series = charges.potential_of(name, on_sphere=True, degree=60)
    np.testing.assert_allclose(value(by_series, one, other), value(name, one, other), rtol=1e-11)


def test_the_error_of_a_series_is_known() -> None:
    """It bounds the truth, and a kink that leaves too much is refused."""
    one = np.array([[1.0, 0.0]])
    short = charges.potential_of("tanh", on_sphere=True, degree=16)
    off = abs(value(short, one, one) / value(charges.potential_of("tanh"), one, one) - 1)[0, 0]
    assert 1e-7 < off <= 1.01 * short.error < 1e-3
    with pytest.raises(ValueError, match="`activation` ramp jumps or bends so sharply"):
        charges.potential_of(ramp)


@pytest.mark.parametrize("speed", [100.0, 250.0])
def test_waves_between_the_nodes_are_refused(speed: float) -> None:
    """The nodes are 1/40 apart: cos 250z looks like cos 1.3z there, which a short series has to all digits."""
    with pytest.raises(ValueError, match="jumps or bends so sharply"):
        charges.potential_of(lambda z: jnp.cos(speed * z))


def ramp(z: jax.Array) -> jax.Array:
    return jnp.maximum(z - 0.5, 0.0)


def test_names_give_closed_forms_in_space() -> None:
    assert charges.potential_of("relu") is charges.POTENTIALS["relu"]
    assert charges.potential_of("cos") is charges.POTENTIALS["cos"]
    assert charges.potential_of("relu", on_sphere=True).on_sphere
    assert charges.hermite(3) is charges.hermite(3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: charges.loss("rely", ONE, electrons=ONE), "Did you mean 'relu'"),
        (lambda: charges.hermite(0), "`degree` must be at least 1"),
        (lambda: charges.error_function(0.0), "`gain` must be positive"),
        (lambda: charges.error_function(1e80), "`gain` must be from 1e-30 to 1e\\+30"),
        (lambda: charges.loss("exp", 40 * ONE, electrons=ONE), "must be shorter: Φ of exp overflows"),
        (lambda: charges.potential_of("softmax"), "Unknown activation"),
        (lambda: charges.yukawa(2, 0.0), "`screening` must be positive in 2 dimensions"),
        (lambda: charges.spherical_yukawa(1, 1.0), "`num_features` must be at least 2"),
    ],
)
def test_what_is_no_potential_is_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
