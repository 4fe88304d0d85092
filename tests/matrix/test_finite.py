"""The lazily revealed matrix has exactly the law of a dense Gaussian one, at tiny sizes and after it is exhausted."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.stats import ks_2samp

import dyntheory as dt
from dyntheory.dynamics.finite_run import finite_run
from dyntheory.dynamics.loop import Start, run
from dyntheory.gaussian.nodes import draw_nodes
from dyntheory.matrix.dense import DenseMatrix
from dyntheory.matrix.finite import finite_matrix
from dyntheory.problem.shape import Shape, Sizes
from dyntheory.verbs.simulation.matrix_choice import MatrixChoice, RunShape, choose_matrix

NETWORK = dt.MLP((2,), "tanh")
SIZES = {"more samples": (30, 20, 5, 4000), "fewer samples": (12, 20, 4, 4000), "exhausted": (20, 8, 10, 2000)}


@functools.cache
def _quantities(sizes: str, matrix: str, adam: bool = False) -> dict[str, np.ndarray]:
    """Return train error and overlaps of thousands of runs at the last step, and at the second."""
    n, d, num_steps, num_runs = SIZES[sizes]
    law = dt.TeacherStudent(n / d, "sin_mixture", 0.2)
    method = dt.gradient_descent(NETWORK, optax.adam if adam else optax.sgd, learning_rate=0.1 if adam else 0.5)

    def one(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        head = {"layer_2": {"weights": jnp.asarray([[0.9, -0.6]])}}
        weight_key, noise_key, matrix_key = jax.random.split(key, 3)
        rows = jax.random.normal(weight_key, (d, 3), float)
        noise = jax.random.normal(noise_key, (n, 1), float)
        start = Start(rows[:, :1], rows[:, 1:], noise, head, jnp.asarray(n / d))
        if matrix == "dense":
            data = DenseMatrix(jax.random.normal(matrix_key, (n, d), float))
        else:
            projection = matrix == "revealed"
            data = finite_matrix(matrix_key, n, d, num_teacher_units=1, num_units=2, projection=projection)
        records = run(law, method, data, start, num_steps=num_steps)
        return records.train_error, records.gram

    keys = jax.random.split(jax.random.key({"dense": 1}.get(matrix, 2)), num_runs)
    with jax.enable_x64(True):
        errors, grams = jax.tree.map(np.asarray, jax.jit(jax.vmap(one))(keys))
    return {
        "train error": errors[:, -1],
        "early train error": errors[:, 2],
        "teacher overlap": grams[:, -1, 0, 1],
        "norm": grams[:, -1, 1, 1],
        "overlap of the units": grams[:, -1, 1, 2],
    }


def _smallest_p_value(sizes: str, matrix: str, adam: bool = False) -> float:
    dense, other = _quantities(sizes, "dense", adam), _quantities(sizes, matrix, adam)
    return min(float(ks_2samp(dense[name], other[name])[1]) for name in dense)  # pyright: ignore


@pytest.mark.parametrize(
    "sizes", [pytest.param(name, marks=[pytest.mark.full] * (name != "exhausted")) for name in SIZES]
)
def test_distributions_are_those_of_the_dense_matrix(sizes: str) -> None:
    dense, revealed = _quantities(sizes, "dense"), _quantities(sizes, "revealed")
    for name in dense:
        one, other = dense[name], revealed[name]
        z = (one.mean() - other.mean()) / np.sqrt(one.var() / len(one) + other.var() / len(other))
        assert abs(z) < 4, name
        spread = np.sqrt((np.mean((one - one.mean()) ** 4) / one.var() ** 2 - 1) / len(one))
        assert abs(one.var() / other.var() - 1) < 6 * spread, name
    assert _smallest_p_value(sizes, "revealed") > 1e-3


@pytest.mark.full
def test_nonlinear_feature_maps_see_the_same_law() -> None:
    assert _smallest_p_value("more samples", "revealed", adam=True) > 1e-3


@pytest.mark.full
def test_without_the_projection_the_law_is_another() -> None:
    assert _smallest_p_value("more samples", "not projected") < 1e-6


@pytest.mark.full
def test_simulate_takes_either_matrix(law: dt.TeacherStudent, key: jax.Array) -> None:
    method = dt.gradient_descent(dt.MLP((2,)), learning_rate=0.4)
    options = {"num_steps": 4, "num_features": 100, "num_runs": 20, "key": key}
    dense, revealed = (dt.simulate(law, method, matrix=name, **options) for name in ("dense", "revealed"))
    theory = dt.predict(law, method, num_steps=4, key=key)
    for runs in (dense, revealed):
        assert dt.compare(theory, runs).verdict != "disagree"
    assert revealed.provenance["matrix"] == "revealed"
    with pytest.raises(ValueError, match="law of Gaussian inputs"):
        dt.simulate(law, method, matrix="revealed", inputs="uniform", **options)


def test_auto_takes_the_cheaper_matrix() -> None:
    small, large = (RunShape(Sizes(2 * d, 0, d), 50, 3, 1) for d in (100, 10_000))
    auto = MatrixChoice("auto", "gaussian", "float64", 10**12)
    assert choose_matrix(auto, small) == "dense"
    assert choose_matrix(auto, large) == "revealed"
    assert choose_matrix(auto._replace(inputs="uniform"), large) == "dense"
    assert large.entries("revealed") < large.entries("dense")


@pytest.mark.parametrize("matrix", ["dense", "revealed"])
def test_the_memory_that_is_refused_is_that_of_the_compiled_run(matrix: str, law: dt.TeacherStudent) -> None:
    """Against XLA's own account of the buffers of one run."""
    method = dt.gradient_descent(dt.MLP((2,)), learning_rate=0.4)
    shape = RunShape(Sizes(1200, 0, 600), 6, 2, 1, 2**6)
    with jax.enable_x64(True):
        head = method.init_head(jax.random.key(0))
        nodes = draw_nodes(2**6, Shape.of(law, method, 0).test_dimensions, num_heavy=1, seed=0)
        arguments = {"inputs": "gaussian", "given": None, "num_steps": 6, "sizes": shape.sizes, "matrix": matrix}
        run_one = functools.partial(finite_run, law, method, head, jnp.eye(3), test_nodes=nodes, **arguments)
        account = jax.jit(lambda key: run_one(key=key)).lower(jax.random.key(0)).compile().memory_analysis()
    assert account is not None
    held = account.temp_size_in_bytes + account.output_size_in_bytes
    assert held <= shape.memory(matrix) <= 3 * held


@pytest.mark.full
def test_sizes_far_beyond_memory_run(key: jax.Array) -> None:
    """X would take 16 GB here; what is revealed takes 0.04 GB."""
    law = dt.TeacherStudent(2.0, "linear", 0.3)
    method = dt.gradient_descent(dt.LinearModel(), learning_rate=0.3)
    runs = dt.simulate(law, method, num_steps=5, num_features=32_000, num_runs=2, key=key, matrix="auto")
    theory = dt.predict(law, method, num_steps=5, key=key)
    assert runs.provenance["matrix"] == "revealed"
    np.testing.assert_allclose(runs.test_error, theory.test_error, rtol=0.03)
