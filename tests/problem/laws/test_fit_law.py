"""From (X, y) to a law: moments without bias, what is recovered, what is said not to be."""

import warnings

import jax
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.ground.precision import double_precision
from dyntheory.problem.laws.fit_law import fit_law
from dyntheory.problem.laws.label_powers import moment_powers


def _mean_and_error(values: list[float]) -> tuple[float, float]:
    return float(np.mean(values)), float(np.std(values, ddof=1) / len(values) ** 0.5)


def test_moment_powers_of_white_inputs_have_no_bias() -> None:
    """Fewer rows than columns; the coefficients lie along one column."""
    random, n, p = np.random.default_rng(0), 60, 90
    found, naive = [], []
    for _ in range(2000):
        rows = random.normal(size=(n, p))
        labels = 1.2 * rows[:, 0] + 0.7 * random.normal(size=n)
        found.append(moment_powers(rows, labels, is_white=True))
        naive.append(float(np.sum((rows.T @ labels) ** 2)) / n**2)
    signal, error = _mean_and_error([one.signal for one in found])
    assert error < 0.03 and abs(signal - 1.44) < 4 * error
    noise, error = _mean_and_error([one.noise for one in found])
    assert error < 0.03 and abs(noise - 0.49) < 4 * error
    wrong, error = _mean_and_error(naive)
    assert wrong - 1.44 > 20 * error  # negative control: without the part that noise and sampling add


def test_moment_powers_of_an_unknown_covariance() -> None:
    random, n, p = np.random.default_rng(1), 150, 200
    values = np.where(np.arange(p) < 50, 3.0, 1 / 3)
    found = []
    for _ in range(300):
        beta = random.normal(size=p) / (values.sum() ** 0.5)
        rows = random.normal(size=(n, p)) * values**0.5
        found.append(moment_powers(rows, rows @ beta + 0.5 * random.normal(size=n)).signal)
    signal, error = _mean_and_error(found)
    assert error < 0.04 and abs(signal - 1.0) < 4 * error + 2 / n


def _rows(n: int, p: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return correlated rows, their first layer's index of variance one, and noise."""
    random = np.random.default_rng(seed)
    values = np.where(np.arange(p) < p // 4, 3.0, 1 / 3)
    beta = random.normal(size=p)
    beta /= np.sqrt(np.sum(values * beta**2))
    rotation, _ = np.linalg.qr(random.normal(size=(p, p)))
    rows = random.normal(size=(n, p)) * values**0.5
    return rows @ rotation, rows @ beta, random.normal(size=n)


def test_a_single_index_is_recovered() -> None:
    """Of sin z + 0.4 h₂(z) + 0.3 ξ: c_1 = e^{−1/2}, c_2 = 0.4, c_3 = −e^{−1/2}/√6; sin has more above."""
    rows, index, noise = _rows(20_000, 40, 3)
    labels = np.sin(index) + 0.4 * (index**2 - 1) / 2**0.5 + 0.3 * noise + 5.0
    fitted = fit_law(rows + 2.0, labels, num_samples=80)
    first = np.exp(-0.5)
    np.testing.assert_allclose(fitted.link_coefficients, [first, 0.4, -first / 6**0.5], atol=0.02)
    above = (1 - np.exp(-2.0)) / 2 - first**2 - first**2 / 6
    np.testing.assert_allclose(fitted.noise_power, 0.09 + above, atol=0.01)
    np.testing.assert_allclose([fitted.label_mean, fitted.input_mean.mean()], [5.0, 2.0], atol=0.05)
    assert fitted.law.samples_per_feature == 2.0 and fitted.law.features is not None
    values = np.asarray(fitted.law.features.eigenvalues)
    np.testing.assert_allclose(values, np.where(np.arange(40) < 10, 3.0, 1 / 3), rtol=0.12)
    assert not any("order" in one for one in fitted.unidentified)
    assert "outside of one direction" in str(fitted)


def test_the_teacher_along_the_eigenvalues() -> None:
    random = np.random.default_rng(4)
    rows = random.normal(size=(5000, 40)) * np.where(np.arange(40) < 10, 2.0, 0.5)
    fitted = fit_law(rows, rows[:, 10:] @ random.normal(size=30) / 7.5**0.5 + random.normal(size=5000))
    assert fitted.law.features is not None and fitted.law.features.alignment is not None
    powers = np.asarray(fitted.law.features.alignment)
    assert powers[:10].max() < 0.05 * powers[10:].mean()
    assert any("order 2" in one for one in fitted.unidentified)


@pytest.mark.full
def test_a_prediction_from_data_is_that_of_the_law_behind_them(key: jax.Array) -> None:
    rows, index, noise = _rows(8000, 40, 5)
    fitted = fit_law(rows, index + 0.5 * noise, num_samples=60)
    with double_precision():
        true = dt.TeacherStudent(1.5, "linear", 0.5, features=dt.spectra.two_level(0.25, 9.0))
    method = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=0.1)
    numbers = {"num_steps": 10, "key": key, "num_nodes": 2**11, "first_layer": dt.FirstLayer(second_moment=[[0.0]])}
    one, other = (dt.predict(law, method, **numbers) for law in (fitted.law, true))  # pyright: ignore
    assert np.abs(one.test_error / other.test_error - 1).max() < 0.05
    assert abs(other.test_error[-1] / other.test_error[0] - 1) > 0.3


def test_what_too_few_rows_cannot_tell_is_said() -> None:
    rows, index, noise = _rows(60, 80, 6)
    fitted = fit_law(rows, index + 0.5 * noise)
    text = " ".join(fitted.unidentified)
    assert "more rows than columns" in text and "single eigenvalues" in text and "alike is taken" in text
    random = np.random.default_rng(7)
    powers = [fit_law(rows, random.normal(size=60)) for _ in range(6)]
    none = [one for one in powers if one.signal_power == 0]
    assert none and all("linear signal" in " ".join(one.unidentified) for one in none)


def test_bad_data_are_refused() -> None:
    rows = np.random.default_rng(8).normal(size=(20, 30))
    with pytest.raises(ValueError, match="take 'moments'"):
        fit_law(rows, rows[:, 0], noise="least_squares")
    with pytest.raises(ValueError, match="must be \\(N, p\\)"):
        fit_law(rows, rows)
    with pytest.raises(ValueError, match="must vary"):
        fit_law(rows, np.ones(20))
    with pytest.raises(ValueError, match="ten rows"):
        fit_law(rows[:5], rows[:5, 0])
    with pytest.raises(ValueError, match="columns 2 hold missing"):
        fit_law(np.where(np.arange(30) == 2, np.nan, rows), rows[:, 0])
    words = rows.astype(object)
    words[3, 4] = "red"
    with pytest.raises(ValueError, match="columns 4 do not: encode categories"):
        fit_law(words, rows[:, 0])
    with pytest.raises(ValueError, match="`labels` must hold numbers"):
        fit_law(rows, np.array(["spam"] * 20))
    with pytest.raises(ValueError, match="1 missing or infinite"):
        fit_law(rows, np.where(np.arange(20) == 3, np.inf, rows[:, 0]))
    with pytest.raises(ValueError, match="columns 0 are constant"):
        fit_law(np.where(np.arange(30) == 0, 1.0, rows), rows[:, 1], standardise=True)
    with pytest.raises(TypeError, match="`standardise` must be True or False"):
        fit_law(rows, rows[:, 0], standardise="no")  # pyright: ignore[reportArgumentType]


def test_units_of_columns_are_named_or_taken_out() -> None:
    """With variances of 1/442, as scikit-learn gives them, nothing is learned whatever n."""
    from sklearn.datasets import load_diabetes

    rows, labels = map(np.asarray, load_diabetes(return_X_y=True))
    with pytest.warns(dt.DyntheoryWarning, match=r"mean variance of 0.00226.*standardise=True"):
        raw = fit_law(rows, labels)
    own = fit_law(rows, labels, standardise=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        other = fit_law(3.0 - rows * np.geomspace(1e-3, 1e5, 10), labels, standardise=True)
        scaled = (rows - rows.mean(axis=0)) / rows.std(axis=0)
        np.testing.assert_allclose(fit_law(scaled, labels).noise_power, own.noise_power)
    assert own.law.features is not None and other.law.features is not None and raw.input_scale is None
    for name in ("eigenvalues", "alignment"):
        np.testing.assert_allclose(getattr(other.law.features, name), getattr(own.law.features, name), rtol=1e-6)
    np.testing.assert_allclose(other.input_scale, own.input_scale * np.geomspace(1e-3, 1e5, 10))
    np.testing.assert_allclose(own.law.features.mean, 1.0, rtol=1e-6)
    with pytest.warns(dt.DyntheoryWarning, match="mean variance"):
        fit_law(100.0 * scaled, labels)
