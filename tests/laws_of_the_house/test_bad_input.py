"""Bad input gets a clear error that names the argument, before anything is compiled."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dyntheory as dt

METHOD = dt.gradient_descent(dt.MLP((2,), "tanh"), optax.sgd, learning_rate=0.3)
LAW = dt.TeacherStudent(2.0, "sin", 0.1)
KEY = jax.random.key(0)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((-0.5,), ValueError, r"`samples_per_feature` must be positive \(it is n/d\), got -0.5"),
        ((0.0,), ValueError, "`samples_per_feature` must be positive"),
        ((float("nan"),), ValueError, "`samples_per_feature` must be positive"),
        (("two",), TypeError, "`samples_per_feature` must be a number"),
        (([2.0],), TypeError, "`samples_per_feature` must be a single number"),
        ((np.array([1.0, 2.0]),), TypeError, "`samples_per_feature` must be a single number"),
        ((1.0, "sin", [0.1]), TypeError, "`noise_std` must be a single number"),
        ((1.0, "sinn"), ValueError, "Unknown link 'sinn'. Did you mean 'sin'"),
        ((1.0, "sin", -0.1), ValueError, "`noise_std` must be zero or positive"),
        (
            (1.0, "sin", 0.1, [[1.0, 2.0], [2.0, 1.0]]),
            ValueError,
            "`teacher_second_moment` must be positive semidefinite",
        ),
        ((1.0, "sin", 0.1, [[1.0, 0.2], [0.3, 1.0]]), ValueError, "must be symmetric"),
        ((1.0, "sin", 0.1, [1.0, 2.0]), ValueError, r"must have shape \(r, r\)"),
    ],
)
def test_laws(arguments: tuple[Any, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        dt.TeacherStudent(*arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"hidden": (0,)}, ValueError, r"`hidden\[0\]` must be at least 1"),
        ({"hidden": ()}, ValueError, "at least one hidden width"),
        ({"hidden": (2.5,)}, TypeError, "must be an integer"),
        ({"hidden": (2,), "activation": "tahn"}, ValueError, "Did you mean 'tanh'"),
        ({"hidden": (2,), "num_outputs": 0}, ValueError, "`num_outputs` must be at least 1"),
        ({"hidden": (2,), "initialization": "lecunn"}, ValueError, "Did you mean 'lecun'"),
    ],
)
def test_networks(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        dt.MLP(**arguments)


HEAD = {"layer_2": {"weights": np.ones((1, 2))}}
COMMON = [
    ({"num_steps": -1}, ValueError, "`num_steps` must be at least 0, got -1"),
    ({"num_steps": 2.0}, TypeError, "`num_steps` must be an integer"),
    ({"key": 0}, TypeError, r"pass `jax.random.key\(0\)`, got 0"),
    ({"key": np.zeros(2, np.uint32)}, TypeError, "must be a typed JAX key"),
    ({"key": jax.random.split(KEY, 3)}, ValueError, "single key"),
    ({"first_layer": np.eye(2)}, TypeError, r"`first_layer` must be a FirstLayer"),
    ({"num_heads": 0}, ValueError, "`num_heads` must be at least 1"),
    ({"head": HEAD, "num_heads": 2}, ValueError, "not both"),
    ({"head": {"layer_2": {"weights": np.ones((1, 3))}}}, ValueError, r"must have shape \(1, 2\), got \(1, 3\)"),
    ({"head": {"layer_3": HEAD}}, ValueError, "structure of `network.init_head"),
    ({"head": {"layer_2": {"weights": np.full((1, 2), np.nan)}}}, ValueError, "must be finite"),
    ({"first_layer": dt.FirstLayer(second_moment=np.eye(3))}, ValueError, r"must have shape \(2, 2\)"),
    ({"first_layer": dt.FirstLayer(second_moment=-np.eye(2))}, ValueError, "positive semidefinite"),
    ({"first_layer": dt.FirstLayer(teacher_overlap=[[0.5]])}, ValueError, r"shape \(k, r\) = \(2, 1\)"),
    ({"first_layer": dt.FirstLayer(teacher_overlap=[[1.2], [0.0]])}, ValueError, "contradict each other"),
]


@pytest.mark.parametrize(("change", "error", "message"), COMMON)
def test_both_verbs(change: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments = {"num_steps": 2, "key": KEY, **change}
    with pytest.raises(error, match=message):
        dt.predict(LAW, METHOD, **arguments)
    with pytest.raises(error, match=message):
        dt.simulate(LAW, METHOD, num_features=20, num_runs=2, **arguments)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"law": "linear"}, TypeError, "`law` must be a law"),
        ({"method": optax.sgd(0.1)}, TypeError, "`method` must be a method"),
        ({"rtol": -1.0}, ValueError, "`rtol` must be positive"),
        ({"rtol": np.array([0.1, 0.2])}, TypeError, "`rtol` must be a single number"),
        ({"max_nodes": "many"}, TypeError, "`max_nodes` must be an integer"),
        ({"num_nodes": 1000}, ValueError, "power of two, got 1000"),
        ({"num_nodes": 64}, ValueError, "must be at least 256 for the"),
        ({"law": dt.TeacherStudent(1.0, lambda z: jnp.stack([z, z]))}, ValueError, "change `num_outputs`"),
    ],
)
def test_predict(change: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments = {"law": LAW, "method": METHOD, "num_steps": 2, "key": KEY, **change}
    with pytest.raises(error, match=message):
        dt.predict(arguments.pop("law"), arguments.pop("method"), **arguments)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"num_features": 0}, ValueError, "`num_features` must be at least 1"),
        ({"num_runs": 0}, ValueError, "`num_runs` must be at least 1"),
        ({"num_runs": 3, "num_heads": 2}, ValueError, "multiple of `num_heads`"),
        ({"matrix": "densse"}, ValueError, "Did you mean 'dense'"),
        ({"inputs": "gausian"}, ValueError, "Did you mean 'gaussian'"),
        ({"inputs": lambda key, shape: jax.random.normal(key, shape[:1])}, ValueError, r"rows of the shape.*\(2, 20\)"),
        ({"dtype": "float16"}, ValueError, "Unknown dtype 'float16'"),
        ({"num_test_nodes": 1000}, ValueError, "power of two, got 1000"),
        ({"rtol": 0.0}, ValueError, "`rtol` must be positive"),
        ({"inputs": np.zeros((10, 3))}, ValueError, r"shape \(N, num_features\) = \(N, 20\)"),
        ({"inputs": np.ones((45, 20))}, ValueError, "45 rows; 40 are needed"),
        ({"inputs": np.full((80, 20), np.inf)}, ValueError, "`inputs` must be finite"),
        ({"first_layer": dt.FirstLayer.from_weights(np.ones((7, 2)), np.ones((7, 1)))}, ValueError, "7 rows"),
    ],
)
def test_simulate(change: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments = {"num_steps": 2, "key": KEY, "num_features": 20, "num_runs": 2, **change}
    with pytest.raises(error, match=message):
        dt.simulate(LAW, METHOD, **arguments)


def test_given_draws() -> None:
    with pytest.raises(ValueError, match="same number of rows"):
        dt.FirstLayer.from_weights(np.ones((7, 2)), np.ones((6, 1)))
    with pytest.raises(ValueError, match="must be finite"):
        dt.FirstLayer.from_weights(np.full((7, 2), np.nan), np.ones((7, 1)))
    with pytest.raises(ValueError, match="must have shape"):
        dt.FirstLayer.from_weights(np.ones(7), np.ones((7, 1)))


def test_flax_modules_with_state_are_refused() -> None:
    from flax import linen

    class WithState(linen.Module):
        @linen.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            count = self.variable("counts", "seen", lambda: jnp.zeros(()))
            return x.sum() + count.value

    with pytest.raises(ValueError, match="keeps state beside its parameters"):
        dt.FlaxNetwork(WithState(), 2).init_head(KEY)
    with pytest.raises(TypeError, match="must be a flax module"):
        dt.FlaxNetwork(3, 2)
    with pytest.raises(TypeError, match="got the class WithState: call it"):
        dt.FlaxNetwork(WithState, 2)


def test_flax_modules_that_draw_random_numbers_are_refused() -> None:
    from flax import linen, nnx

    class Dropped(linen.Module):
        @linen.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            return linen.Dropout(0.5, deterministic=False)(x).sum()

    class DroppedNnx(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.dropout = nnx.Dropout(0.5, rngs=rngs)

        def __call__(self, x: jax.Array) -> jax.Array:
            return self.dropout(x).sum()

    for module in (Dropped(), DroppedNnx, DroppedNnx(nnx.Rngs(0)), lambda x: x.sum()):
        with pytest.raises(ValueError, match="draws random numbers"):
            dt.FlaxNetwork(module, 2).init_head(KEY)
    with pytest.raises(TypeError, match="it made 3"):
        dt.FlaxNetwork(lambda rngs: 3, 2).init_head(KEY)


def test_half_a_draw_is_refused() -> None:
    with pytest.raises(ValueError, match="belong together"):
        dt.FirstLayer(weights=np.ones((5, 2)))
    whole = dt.FirstLayer(weights=np.ones((5, 2)), teacher_weights=np.ones((5, 1)))
    np.testing.assert_array_equal(whole.second_moment, np.ones((2, 2)))  # pyright: ignore


def test_ratios_that_a_size_cannot_have_are_reported() -> None:
    with pytest.warns(dt.DyntheoryWarning, match="n/d is 0.1, not samples_per_feature=0.13"):
        dt.simulate(dt.TeacherStudent(0.13), METHOD, num_steps=1, num_features=10, num_runs=2, key=KEY)


@pytest.mark.full
def test_features_too_few_for_their_spectrum_are_told() -> None:
    """400 features of 2000 modes miss the strongest; 2000 have all of them."""
    steep = dt.TeacherStudent(0.5, features=dt.spectra.power_law(1.2, num_modes=2000))
    with pytest.warns(dt.DyntheoryWarning, match=r"E λ = 0.839.*in the law they are 1 and 1"):
        dt.simulate(steep, METHOD, num_steps=0, num_features=400, num_runs=2, key=KEY, matrix="revealed")
    dt.simulate(steep, METHOD, num_steps=0, num_features=2000, num_runs=2, key=KEY, matrix="revealed")


def test_test_rows_need_a_loss_that_says_what_noise_adds() -> None:
    method = dt.gradient_descent(dt.MLP((2,)), loss=lambda p, y: jnp.abs(p - y), learning_rate=0.1)
    with pytest.raises(ValueError, match="`inputs` other than Gaussian need a loss"):
        dt.simulate(LAW, method, num_steps=1, num_features=20, num_runs=2, key=KEY, inputs="uniform")


def test_integers_are_numbers() -> None:
    """Integer moments and heads must give what the same floats give."""
    results = [
        dt.predict(
            dt.TeacherStudent(2, "sin", 0, kind([[2]])),
            dt.gradient_descent(dt.MLP((1,)), learning_rate=1),
            num_steps=1,
            key=KEY,
            num_nodes=2**11,
            head={"layer_2": {"weights": kind([[1]])}},
            first_layer=dt.FirstLayer(kind([[2]]), kind([[1]])),
        ).test_error
        for kind in (jnp.asarray, lambda x: np.asarray(x, float))
    ]
    np.testing.assert_allclose(results[0], results[1], rtol=1e-12)
