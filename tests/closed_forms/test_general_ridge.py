"""Ridge on any spectrum: against 60 digits, against the isotropic forms, against itself on power laws, on real data."""

import jax
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dyntheory import closed_forms
from dyntheory.ground.precision import double_precision
from tests.closed_forms import references

RELATIVE = 1e-10
sampled = settings(max_examples=25, deadline=None, derandomize=True)
P = 12


@sampled
@given(
    count=st.one_of(st.floats(0.1, 400), st.floats(-14, -1).map(lambda e: P * (1 + 10**e)), st.just(float(P))),
    penalty=st.floats(-40, 6).map(lambda e: 10**e),
    decay=st.floats(0, 4),
    sigma=st.floats(-2, 2).map(lambda e: 10**e),
)
@example(count=P * (1 - 1e-13), penalty=1e-40, decay=2.0, sigma=1.0)
@example(count=float(P), penalty=1e-30, decay=0.0, sigma=1.0)
def test_every_digit_next_to_the_threshold(count: float, penalty: float, decay: float, sigma: float) -> None:
    values, target = np.arange(1.0, P + 1) ** -decay, np.cos(np.arange(P)) + 1.5
    risk = closed_forms.ridge_general(count, penalty, eigenvalues=values, target_coefficients=target, noise_std=sigma)
    bias, variance, train = references.general(count, penalty, values.tolist(), target.tolist(), sigma)
    expected = (bias, variance, train, references.kappa(count, penalty, values.tolist()))
    for name, value in zip(("bias", "variance", "train_error", "kappa"), expected, strict=True):
        np.testing.assert_allclose(float(getattr(risk, name)), float(value), rtol=RELATIVE, err_msg=name)


def test_equal_eigenvalues_are_the_isotropic_case() -> None:
    alphas, p = np.array([0.3, 0.999, 1.0, 1.5, 20.0]), 50
    for penalty in (0.0, 1e-12, 0.2):
        general = closed_forms.ridge_general(
            alphas * p, penalty, eigenvalues=np.ones(p), target_coefficients=np.full(p, 0.2), noise_std=0.5
        )
        isotropic = closed_forms.ridge(alphas, penalty, signal_power=0.04 * p, noise_std=0.5)
        for name, value in isotropic._asdict().items():
            np.testing.assert_allclose(getattr(general, name), value, rtol=1e-9, atol=1e-30, err_msg=name)


def test_degrees_of_freedom_and_cross_validation() -> None:
    values, target = np.arange(1.0, 31) ** -1.2, np.ones(30)
    risk = closed_forms.ridge_general([5.0, 30.0, 90.0], 0.01, eigenvalues=values, target_coefficients=target)
    for i in range(3):
        np.testing.assert_allclose(risk.df1[i], np.sum(values / (values + risk.kappa[i])), rtol=1e-12)
        np.testing.assert_allclose(risk.df2[i], np.sum((values / (values + risk.kappa[i])) ** 2), rtol=1e-12)
    np.testing.assert_allclose(risk.gcv, risk.train_error / (1 - risk.df1 / [5, 30, 90]) ** 2, rtol=1e-10)
    np.testing.assert_allclose(risk.gcv, risk.test_error, rtol=1e-10)
    bare = closed_forms.ridge_general(9.0, 0.0, eigenvalues=values, target_coefficients=target)
    assert bare.train_error == 0 and bare.gcv == bare.test_error


def test_zero_eigenvalues_change_nothing_and_leading_axes_broadcast() -> None:
    values, target = np.array([2.0, 1.0, 0.0]), np.array([1.0, -1.0, 7.0])
    padded = closed_forms.ridge_general(5.0, 0.1, eigenvalues=values, target_coefficients=target)
    short = closed_forms.ridge_general(5.0, 0.1, eigenvalues=values[:2], target_coefficients=target[:2])
    np.testing.assert_allclose(padded.test_error, short.test_error, rtol=1e-14)
    stacked = closed_forms.ridge_general(
        [[4.0], [5.0], [6.0]], 0.1, eigenvalues=np.stack([values, values**2]), target_coefficients=target
    )
    assert stacked.kappa.shape == (3, 2)
    np.testing.assert_allclose(stacked.kappa[1, 0], padded.kappa, rtol=1e-14)


def test_derivatives_are_those_of_the_solution() -> None:
    values, target = np.arange(1.0, 9) ** -1.0, np.ones(8)

    def error(count: float | jax.Array, penalty: float | jax.Array) -> jax.Array:
        return closed_forms.ridge_general(
            count, penalty, eigenvalues=values, target_coefficients=target, noise_std=0.3
        ).test_error

    with double_precision():
        first = jax.jit(jax.grad(error, argnums=(0, 1)))(6.0, 0.2)
    step = 1e-5
    np.testing.assert_allclose(first[0], (error(6 + step, 0.2) - error(6 - step, 0.2)) / (2 * step), rtol=1e-8)
    np.testing.assert_allclose(first[1], (error(6.0, 0.2 + step) - error(6.0, 0.2 - step)) / (2 * step), rtol=1e-8)


@pytest.mark.full
def test_second_derivatives_are_those_of_the_solution() -> None:
    values = np.arange(1.0, 9) ** -1.0

    def error(penalty: float | jax.Array) -> jax.Array:
        return closed_forms.ridge_general(
            6.0, penalty, eigenvalues=values, target_coefficients=np.ones(8), noise_std=0.3
        ).test_error

    with double_precision():
        second = jax.jit(jax.grad(jax.grad(error)))(0.2)
    step = 1e-3
    difference = (error(0.2 + step) - 2 * error(0.2) + error(0.2 - step)) / step**2
    np.testing.assert_allclose(second, difference, rtol=1e-4)
    np.testing.assert_allclose(jax.jit(error)(0.2), error(0.2), rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"num_samples": 0.0}, "num_samples"),
        ({"penalty": -1.0}, "penalty"),
        ({"eigenvalues": [1.0, -1.0]}, "eigenvalues"),
        ({"eigenvalues": [0.0, 0.0]}, "positive one"),
        ({"target_coefficients": [1.0]}, "one axis of modes"),
    ],
)
def test_spectra_that_make_no_sense_are_refused(arguments: dict[str, object], word: str) -> None:
    usual = {"num_samples": 3.0, "penalty": 0.1, "eigenvalues": [1.0, 0.5], "target_coefficients": [1.0, 1.0]}
    with pytest.raises(ValueError, match=word):
        closed_forms.ridge_general(**{**usual, **arguments})  # pyright: ignore
