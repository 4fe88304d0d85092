"""In JAX's default precision: verbs compute in float64, what rounding costs is said, NaN is refused."""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import datasets

from dyntheory import kernels as k
from dyntheory.ground.precision import double_precision
from dyntheory.ground.status import DyntheoryWarning
from dyntheory.kernels.eigensystem import eigensystem

NETWORK = k.serial(k.dense(1, weight_std=1.5, bias_std=0.2), k.erf(), k.dense(1))


@pytest.fixture(autouse=True)
def single() -> Iterator[None]:
    """Leave JAX's flag where a user has it."""
    with jax.enable_x64(False):
        yield


def iris() -> tuple[np.ndarray, np.ndarray]:
    data: Any = datasets.load_iris()
    return np.asarray(data.data, float), np.asarray(data.target, float)


def diabetes() -> tuple[np.ndarray, np.ndarray]:
    data: Any = datasets.load_diabetes()
    labels = data.target[:100]
    return 21 * data.data[:100], (labels - labels.mean()) / labels.std()


def grid() -> tuple[np.ndarray, np.ndarray]:
    points = np.linspace(-1, 1, 60)[:, None]
    return points, np.sin(3 * points[:, 0])


DATA = {"iris": iris, "diabetes": diabetes, "grid": grid}


def by_numpy(kernel: np.ndarray, labels: np.ndarray, shift: float) -> np.ndarray:
    """Return kernel regression's fit, in NumPy and float64; least norm without a shift."""
    values, vectors = np.linalg.eigh(kernel)
    kept = values > (len(kernel) * np.finfo(float).eps * values[-1] if shift == 0 else -1)
    inverse = np.where(kept, 1 / np.where(kept, np.maximum(values, 0) + shift, 1), 0)
    return kernel @ (vectors @ (inverse * (vectors.T @ labels)))


@pytest.mark.parametrize("ridge", [0.0, 1e-8, pytest.param(1e-6, marks=pytest.mark.full)])
@pytest.mark.parametrize("name", DATA)
def test_training_agrees_with_numpy(name: str, ridge: float) -> None:
    """In float32, which is what was returned, fits were off by 10 to 50 percent of the labels, or NaN."""
    x, labels = DATA[name]()
    kernel, size = NETWORK.kernel(x), len(x)
    assert isinstance(kernel.ntk, np.ndarray) and kernel.ntk.dtype == np.float64
    expected = by_numpy(kernel.ntk, labels, size * ridge)
    fits = {
        "solve": kernel.ntk @ k.solve(kernel.ntk, labels, ridge=ridge).coefficients,
        "train": k.train(kernel, labels, ridge=ridge).predict(time=np.inf).mean,
        "train, test inputs": k.train(kernel, labels, ridge=ridge).predict(kernel, time=np.inf).mean,
        "posterior": k.posterior(kernel.ntk, labels, kernel.ntk, noise_std=np.sqrt(size * ridge)).mean,
    }
    scale = np.linalg.norm(labels)
    for fit in fits.values():
        assert isinstance(fit, np.ndarray) and fit.dtype == np.float64
        assert np.linalg.norm(fit - expected) < 1e-6 * scale


@pytest.mark.parametrize("name", DATA)
def test_variances_are_positive(name: str) -> None:
    x, labels = DATA[name]()
    kernel = NETWORK.kernel(x).nngp
    found = k.posterior(kernel, labels, kernel, np.diagonal(kernel), noise_std=1e-3).covariance
    exact = 1e-6 * (1 - 1e-6 * np.diagonal(np.linalg.inv(kernel + 1e-6 * np.eye(len(x)))))
    assert np.all(found > 0)
    np.testing.assert_allclose(found, exact, rtol=1e-3)


def spectrum(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a kernel of these eigenvalues, and its eigenvectors."""
    vectors = np.linalg.qr(np.random.default_rng(2).standard_normal((len(values), len(values))))[0]
    kernel = (vectors * values) @ vectors.T
    return (kernel + kernel.T) / 2, vectors


def test_a_ridge_is_added_before_anything_counts_as_zero() -> None:
    """Eigenvalues between ε and n ε of the largest were dropped, whatever was added to them."""
    values = np.array([1.0] + [4e-15] * 29)  # below 30 ε
    kernel, vectors = spectrum(values)
    labels = vectors[:, 1]
    shift = 1e-14
    run = k.train(kernel, labels, ridge=shift / 30)
    residual = np.linalg.norm(labels - run.predict(time=np.inf).mean)
    assert 0.5 < residual < 0.9  # shift/(s + shift) is .71; it was 1
    sigma = k.posterior(kernel, labels, kernel, noise_std=shift**0.5).mean
    assert 0.1 < np.linalg.norm(sigma) < 0.5


def test_without_a_ridge_rounding_is_zero_and_said() -> None:
    kernel, vectors = spectrum(np.array([1.0, 1e-3, *10.0 ** -np.arange(6.0, 24.0)]))
    labels = vectors @ np.ones(20)
    with pytest.warns(DyntheoryWarning, match=r"nearly singular: \d+ of its 20 eigenvalues"):
        k.solve(kernel, labels)
    with pytest.warns(DyntheoryWarning, match="nearly singular"):
        k.posterior(kernel, labels, kernel)
    run = k.train(kernel, labels)
    assert 0.1 < float(run.lost) < 1 and 0 < float(run.removed) < float(run.system.resolution)
    run.predict(time=100.0)  # so early nothing moves there
    with pytest.warns(DyntheoryWarning, match="nearly singular"):
        run.predict(time=np.inf)
    k.solve(kernel, labels, ridge=1e-6)


def test_a_kernel_in_float32_is_known_to_that_only() -> None:
    """Least norm on what float32 tells from zero, not rounding divided by rounding; and a word about it."""
    x, labels = iris()
    coarse = NETWORK.kernel(x).ntk.astype(np.float32)
    with pytest.warns(DyntheoryWarning, match="of float64 inputs"):
        found = k.solve(coarse, labels)
    assert np.abs(found.coefficients).max() < 1e6
    exact_rank_one = np.ones((4, 4), np.float32)
    np.testing.assert_allclose(k.solve(exact_rank_one, np.ones(4)).coefficients, 0.25, rtol=1e-12)


def test_cholesky_of_a_singular_kernel_is_refused() -> None:
    kernel = np.ones((3, 3)) - 1e-9 * np.eye(3)
    with pytest.raises(ValueError, match="method='eigh'"):
        k.solve(kernel, np.ones(3), method="cholesky")
    with pytest.warns(DyntheoryWarning, match="nearly singular"):
        k.solve(np.ones((3, 3)) + 1e-16 * np.eye(3), np.ones(3), ridge=1e-16, method="cholesky")
    assert np.isfinite(k.solve(kernel + 2e-9 * np.eye(3), np.ones(3), ridge=1e-18).coefficients).all()


def test_clean_singular_kernels_keep_their_rank() -> None:
    kernel, _ = spectrum(np.array([1.0, 0.5, 0.1] + [0.0] * 9))
    with double_precision():
        system = eigensystem(jnp.asarray(kernel))
    assert int(system.rank) == 3 and not bool(system.is_blurred)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        k.train(kernel, np.ones(12)).predict(time=np.inf)


def test_kernels_have_the_precision_of_their_inputs(tmp_path: Path) -> None:
    x = np.random.default_rng(1).standard_normal((5, 3))
    with double_precision():
        expected = np.asarray(NETWORK.kernel(x).ntk)
    for given in (x, x.tolist(), (x, x[:2])):
        rows = given if isinstance(given, tuple) else (given,)
        found = NETWORK.kernel(*rows).ntk
        assert isinstance(found, np.ndarray) and found.dtype == np.float64
        np.testing.assert_allclose(found, expected[:, : found.shape[1]], rtol=1e-14)
    assert NETWORK.kernel(np.arange(6).reshape(2, 3)).ntk.dtype == np.float64
    for given in (x.astype(np.float32), jnp.asarray(x, jnp.float32)):
        found = NETWORK.kernel(given).ntk
        assert isinstance(found, jax.Array) and found.dtype == np.float32
        assert k.tiled_kernel(NETWORK, given).ntk.dtype == np.float32
    assert NETWORK.kernel(x, x.astype(np.float32)).ntk.dtype == np.float64
    np.testing.assert_allclose(k.tiled_kernel(NETWORK, x).ntk, expected, rtol=1e-13)
    assert k.tiled_kernel(NETWORK, x, path=tmp_path / "kernels")["ntk"].dtype == np.float64


def test_tangent_kernels_have_the_precision_of_their_parameters() -> None:
    x, weights = np.random.default_rng(1).standard_normal((4, 3)), np.array([0.3, -1.0, 2.0])
    apply: Callable[..., Any] = lambda w, rows: jnp.tanh(rows @ w)  # noqa: E731
    slope = 1 / np.cosh(x @ weights) ** 2
    expected = slope[:, None] * (x @ x.T) * slope
    found = k.empirical_ntk(apply, weights, x)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(k.ntk_product(apply, weights, x, x[:, 0]), expected @ x[:, 0], rtol=1e-12)
    assert k.empirical_ntk(apply, weights.astype(np.float32), x).dtype == np.float32
    path = k.kernel_evolution(apply, [weights, weights + 1e-9], x)
    assert 1e-10 < float(path.relative_change[1]) < 1e-8  # float32 sees no change at all


def test_programs_follow_the_flag_and_say_so() -> None:
    kernel, labels = np.eye(3) + 0.5, np.ones(3)
    with pytest.warns(DyntheoryWarning, match="`solve` inside of jit, vmap or grad computes in float32"):
        found = jax.jit(lambda y: k.solve(kernel, y, ridge=0.1).coefficients)(labels)
    np.testing.assert_allclose(found, k.solve(kernel, labels, ridge=0.1).coefficients, rtol=1e-5)
    with pytest.warns(DyntheoryWarning, match="`train` inside"):
        slope = jax.grad(lambda r: jnp.sum(k.train(kernel, labels, ridge=r).at(jnp.asarray(jnp.inf), None, None).mean))(
            0.1
        )
    step = 1e-4
    ends = [np.sum(k.train(kernel, labels, ridge=0.1 + sign * step).predict(time=np.inf).mean) for sign in (1, -1)]
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / (2 * step), rtol=1e-4)


@pytest.mark.full
def test_hyperparameters_of_kernels_differentiate() -> None:
    x = np.random.default_rng(1).standard_normal((3, 2))

    def total(weight_std: Any) -> Any:
        network = k.serial(k.dense(1, weight_std=weight_std), k.elementwise(jnp.tanh), k.dense(1))
        return jnp.sum(jnp.asarray(network.kernel(x).ntk))

    slope = (float(total(1.3 + 1e-2)) - float(total(1.3 - 1e-2))) / 2e-2
    for found in (jax.grad(total)(1.3), jax.jit(jax.grad(total))(1.3), jax.jacfwd(total)(1.3)):
        np.testing.assert_allclose(found, slope, rtol=1e-3)


BAD, X, Y, EYE = np.array([[0.0, np.nan], [1.0, 2.0]]), np.eye(2), np.ones(2), np.eye(2)
CALLS: dict[str, Callable[[], Any]] = {
    "kernel": lambda: NETWORK.kernel(BAD),
    "kernel, second": lambda: NETWORK.kernel(X, np.where(np.isnan(BAD), np.inf, BAD)),
    "kernel, list": lambda: NETWORK.kernel(BAD.tolist()),
    "kernel, JAX": lambda: NETWORK.kernel(jnp.asarray(BAD, jnp.float32)),
    "tiled_kernel": lambda: k.tiled_kernel(NETWORK, BAD),
    "tiled_kernel, second": lambda: k.tiled_kernel(NETWORK, X, BAD),
    "empirical_ntk": lambda: k.empirical_ntk(lambda w, x: x @ w, Y, BAD),
    "empirical_ntk, second": lambda: k.empirical_ntk(lambda w, x: x @ w, Y, X, BAD),
    "ntk_product": lambda: k.ntk_product(lambda w, x: x @ w, Y, BAD, Y),
    "ntk_product, vector": lambda: k.ntk_product(lambda w, x: x @ w, Y, X, BAD[0]),
    "kernel_evolution": lambda: k.kernel_evolution(lambda w, x: x @ w, [Y], BAD),
    "kernel_evolution, labels": lambda: k.kernel_evolution(lambda w, x: x @ w, [Y], X, BAD[0]),
    "solve": lambda: k.solve(BAD + BAD.T, Y),
    "solve, targets": lambda: k.solve(EYE, BAD[0]),
    "train": lambda: k.train(BAD + BAD.T, Y),
    "train, nngp": lambda: k.train(k.Kernels(BAD + BAD.T, EYE), Y),  # pyright: ignore[reportArgumentType]
    "train, labels": lambda: k.train(EYE, BAD[0]),
    "train, initial": lambda: k.train(EYE, Y, initial=BAD[0]),
    "predict": lambda: k.train(EYE, Y).predict(BAD, time=1.0),
    "predict, prior": lambda: k.train(k.Kernels(EYE, EYE), Y).predict(k.Kernels(EYE, EYE), BAD, time=1.0),  # pyright: ignore
    "predict, initial": lambda: k.train(EYE, Y, initial=Y).predict(EYE, time=1.0, initial=BAD[0]),
    "posterior": lambda: k.posterior(BAD + BAD.T, Y, EYE),
    "posterior, labels": lambda: k.posterior(EYE, BAD[0], EYE),
    "posterior, cross": lambda: k.posterior(EYE, Y, BAD),
    "posterior, prior": lambda: k.posterior(EYE, Y, EYE, BAD),
    "train_on_loss": lambda: k.train_on_loss(EYE, BAD[0], "squared", num_steps=1, learning_rate=0.1),
    "train_on_loss, cross": lambda: k.train_on_loss(EYE, Y, "squared", num_steps=1, learning_rate=0.1, test_train=BAD),
    "sgd_moments": lambda: k.sgd_moments(EYE, BAD[0], batch_size=1, learning_rate=0.1, num_steps=1),
    "spectrum_of": lambda: k.spectrum_of(EYE, BAD[0]),
    "learning_curve": lambda: k.learning_curve(k.Spectrum(BAD[0], Y), 3),
}


@pytest.mark.parametrize("call", CALLS)
def test_nan_and_infinity_are_refused(call: str) -> None:
    with pytest.raises(ValueError, match=r"finite|zero or positive"):
        CALLS[call]()


def test_the_first_bad_number_is_named() -> None:
    with pytest.raises(
        ValueError, match=r"`x1` must be finite; 1 of its 4 numbers are NaN or infinite, the first at \(0, 1\)"
    ):
        NETWORK.kernel(BAD)
