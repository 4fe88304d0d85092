"""Every parameter of every public callable refuses what it cannot use, by its name and before anything is computed.

The tables are in `arguments`. A value that is right there is not tried: calls would compute. What is refused must be
so with a `ValueError` or a `TypeError` whose message names the parameter.
"""

import ast
import functools
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory import kernels, priors, spectra
from dyntheory.ground.kinds import check_arguments
from tests import ROOT
from tests.laws_of_the_house.arguments import METHODS, Case, cases, public_callables
from tests.laws_of_the_house.imports import modules
from tests.laws_of_the_house.kinds import OF_KIND, OTHERWISE, WRONG
from tests.laws_of_the_house.right_values import CALLS, KEY, LAW, METHOD, ROWS

CASES = cases()
LEAST = {"callables": 120, "parameters": 500, "refused": 10_000, "right": 800}


def _complaint(case: Case, parameter: str, label: str) -> str | None:
    """Return what is wrong with how a value is taken, None where it is refused by the parameter's name."""
    at = f"{case.name}({parameter}={label})"
    try:
        case.call(parameter, WRONG[label])
    except (TypeError, ValueError) as error:
        named = re.search(rf"\b{parameter}\b|`{parameter.rstrip('s')}\b|\b{parameter.rstrip('s')} '", str(error))
        return None if named else f"{at} does not name it: {error}"
    except Exception as error:
        return f"{at} raises {error!r}"
    return f"{at} is taken"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_parameter_refuses_what_it_cannot_use(case: Case) -> None:
    pairs = [(one, label) for one in case.kinds for label in WRONG if label not in case.legit(one)]
    found = [_complaint(case, *pair) for pair in pairs]
    assert not [one for one in found if one]


def test_the_walk_is_of_everything() -> None:
    """A new public callable or parameter enters the tables, and nothing else is in them."""
    walked = {case.name for case in CASES}
    takes = {name for name, one in public_callables().items() if inspect.signature(one).parameters}
    assert walked == takes | set(METHODS)
    assert set(CALLS) <= walked
    assert {name.rpartition(".")[0] for name in OTHERWISE} <= walked
    right = sum(len(case.legit(one)) for case in CASES for one in case.kinds)
    parameters = sum(len(case.kinds) for case in CASES)
    counts = {"callables": len(CASES), "parameters": parameters, "right": right}
    counts["refused"] = parameters * len(WRONG) - right
    assert all(counts[name] >= least for name, least in LEAST.items()), counts
    used = {one for case in CASES for one in case.kinds}
    assert not set(OF_KIND) - used


def test_the_walk_sees_a_function_that_checks_nothing() -> None:
    """Negative control."""

    def careless(num_steps: int) -> int:
        return num_steps

    case = Case("careless", careless, {"num_steps": 1}, {"num_steps": "count"})
    assert _complaint(case, "num_steps", "complex") == "careless(num_steps=complex) is taken"


@pytest.mark.parametrize("value", [2, np.int8(2), np.float32(2), np.array(2.0), jnp.array(2)])
def test_whatever_is_a_number_is_taken(value: Any) -> None:
    assert float(dt.TeacherStudent(value).samples_per_feature) == 2.0
    assert float(dt.mini_batches(METHOD, value / 4).hyperparameters["perturbation"]["fraction"]) == 0.5


def test_right_values_are_taken() -> None:
    """What the walk does not try, of what is cheap to make."""
    dt.MLP(2, lambda x: x, use_bias=np.bool_(True))  # pyright: ignore[reportArgumentType]
    dt.MLP([np.int64(3), 2], "tanh")  # pyright: ignore[reportArgumentType]
    dt.TeacherStudent(1.0, teacher_prior=[priors.rademacher()] * 2)  # pyright: ignore[reportArgumentType]
    dt.TeacherStudent(1.0, teacher_second_moment=[[1, 0], [0, 2]], features=spectra.Spectrum([1, 2]))
    dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=optax.constant_schedule(0.1))
    dt.gradient_descent(dt.MLP((2,)), optax.adamw, learning_rate=0.1, mask=lambda params: True)
    dt.FirstLayer.from_weights(np.ones((3, 2), int), [[1], [0], [1]])
    kernels.conv(4, (3, 3), strides=2)


def test_counts_are_used_as_they_were_checked() -> None:
    """A checked count is Python's integer; what is thrown away leaves a narrow one of NumPy, which overflows."""
    dropped = [
        f"{path.name}:{node.lineno}"
        for name, path in modules().items()
        if not name.startswith("dyntheory.shell")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
        if getattr(node.value.func, "id", None) in ("check_count", "check_problem")
    ]
    assert not dropped


def test_narrow_counts_do_not_overflow() -> None:
    narrow = {"num_steps": np.int8(1), "num_nodes": np.int16(2**11)}
    plain = {name: int(value) for name, value in narrow.items()}
    narrow_curve, curve = (dt.predict(LAW, METHOD, key=KEY, **one).test_error for one in (narrow, plain))  # pyright: ignore
    np.testing.assert_array_equal(narrow_curve, curve)
    assert dt.prediction_cost(LAW, METHOD, num_steps=np.int8(100), num_nodes=2**14).num_columns > 400  # pyright: ignore


def test_a_spectrum_of_words_is_refused_where_it_is_used() -> None:
    """Named tuples hold what they are given; whoever reads one looks at it."""
    with pytest.raises(TypeError, match="`eigenvalues` must be a number"):
        kernels.learning_curve(kernels.Spectrum(["a"], ["b"]), 2.0)


@pytest.mark.parametrize(
    ("head", "error", "message"),
    [
        ("abc", ValueError, "`head` must have the structure"),
        ({"layer_2": {"weights": "abc"}}, TypeError, r"`head`\['layer_2'\]\['weights'\] must hold numbers"),
        ({"layer_2": {"weights": np.ones((1, 2)) * 1j}}, TypeError, "must hold numbers"),
    ],
)
def test_heads_of_something_else(head: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        dt.predict(LAW, METHOD, num_steps=1, key=KEY, head=head)
    with pytest.raises(error, match=message):
        dt.estimate(ROWS, ROWS[:, 0], METHOD, num_steps=1, key=KEY, head=head)


@pytest.mark.parametrize(
    ("optimizer", "numbers", "error", "message"),
    [
        (optax.lookahead(optax.sgd(0.1), 5, 0.5), {}, ValueError, "`optimizer` .* cannot be run from gradient"),
        (optax.adamw, {"learning_rate": 0.1, "mask": {"a": True}}, ValueError, "`optimizer` adamw cannot be run"),
        (optax.adam, {"learning_rate": 0.1, "mu_dtype": "abc"}, TypeError, "`optimizer` adam does not take"),
        (lambda: 3, {}, TypeError, "`optimizer` must make an optax transformation"),
        (optax.sgd, {"learning_rate": "0.1"}, TypeError, "`learning_rate` must be a number or a schedule"),
        (optax.sgd, {"learning_rate": 1j}, TypeError, "`learning_rate` must be a number or a schedule"),
    ],
)
def test_optimizers_that_cannot_be_used(
    optimizer: Any, numbers: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        dt.gradient_descent(dt.MLP((2,)), optimizer, **numbers)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"inputs": "gausian"}, ValueError, "Did you mean 'gaussian'"),
        ({"max_runs": "many"}, TypeError, "`max_runs` must be an integer"),
        ({"keep_runs": "no"}, TypeError, "`keep_runs` must be True or False"),
        ({"bogus": 1}, TypeError, "'bogus'"),
        ({"num_features": 3}, TypeError, "num_features"),
        ({"rtol": -1.0}, ValueError, "`rtol` must be positive"),
    ],
)
def test_options_of_a_study_are_refused_before_the_prediction(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    def forbidden(fraction: float, text: str) -> None:
        raise AssertionError("something was computed")

    with pytest.raises(error, match=message):
        dt.finite_size(LAW, METHOD, num_steps=1, sizes=(20, 30, 40), num_runs=2, key=KEY, progress=forbidden, **options)


def test_preactivations_of_several_heads_are_refused_by_both_verbs() -> None:
    asked: dict[str, Any] = {"num_steps": 1, "key": KEY, "num_heads": 2, "keep_preactivations": True}
    for verb in (dt.predict, functools.partial(dt.simulate, num_features=20, num_runs=2)):
        with pytest.raises(ValueError, match="`keep_preactivations` needs a single head"):
            verb(LAW, METHOD, **asked)


def test_a_record_that_is_not_finite_is_said() -> None:
    asked: dict[str, Any] = {"num_steps": 0, "key": KEY, "record": {"root": lambda shared, h, y: jnp.sqrt(h[0])}}
    for verb in (
        functools.partial(dt.predict, num_nodes=2**11),
        functools.partial(dt.simulate, num_features=20, num_runs=2),
    ):
        with pytest.warns(dt.DyntheoryWarning, match=r"`record\['root'\]` is not finite at step 0"):
            assert verb(LAW, METHOD, **asked).status.code == "unresolved"


def test_a_generator_of_scikit_learn_is_asked_for_a_seed() -> None:
    from dyntheory.estimators import NetworkRegressor

    fits = [
        NetworkRegressor((2,), num_steps=1, random_state=np.random.RandomState(seed)).fit(ROWS, ROWS[:, 0])
        for seed in (3, 3, 4)
    ]
    first, again, other = (fit.predict(ROWS) for fit in fits)
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


def test_transformations_pass_through_checked_values() -> None:
    """JAX rebuilds laws and methods with whatever it likes; only what a person gives is checked."""
    law = dt.TeacherStudent(2.0, teacher_prior=priors.rademacher(), features=spectra.Spectrum([1.0, 2.0]))
    assert jax.tree.map(lambda leaf: "word", law).samples_per_feature == "word"
    batch = jax.vmap(lambda rate: dt.TeacherStudent(rate))(jnp.array([1.0, 2.0]))
    assert np.shape(batch.samples_per_feature) == (2,)
    slope = jax.grad(lambda a: dt.TeacherStudent(a, noise_std=a).noise_std * dt.MLP((2,)).num_units)(1.5)
    assert float(slope) == 2.0
    with pytest.raises(TypeError, match="`samples_per_feature` must be a single number"):
        dt.predict(batch, METHOD, num_steps=1, key=KEY)
    nothing = jax.tree.map(lambda leaf: leaf * np.nan, LAW)
    with pytest.raises(ValueError, match="`samples_per_feature` must be positive"):
        dt.predict(nothing, METHOD, num_steps=1, key=KEY)
    with pytest.raises(TypeError, match="`samples_per_feature` must be a number"):
        dt.TeacherStudent(object())  # pyright: ignore[reportArgumentType]


def test_what_cannot_be_shown_is_refused_all_the_same() -> None:
    with pytest.raises(TypeError, match="`num_steps` must be an integer"):
        dt.predict(LAW, METHOD, num_steps=np.ones(10**6), key=KEY)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="`noise_std` must be a number"):
        dt.TeacherStudent(1.0, noise_std=10**5000)


def test_checks_cost_little() -> None:
    """Kinds are read once for each function, and not when the library is imported."""
    code = "import dyntheory; from dyntheory.ground import kinds; print(kinds._kinds_of_function.cache_info().currsize)"
    ran = subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True, text=True)
    assert int(ran.stdout) <= 3


def test_every_check_names_its_own_function() -> None:
    """`check_arguments(other, locals())` would read the wrong annotations."""
    wrong = []
    for path in modules().values():
        tree = ast.parse(Path(path).read_text())
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        for function in functions:
            for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
                if getattr(call.func, "id", None) == check_arguments.__name__ and call.args[1:]:
                    name = ast.unparse(call.args[0]).rpartition(".")[2]
                    if ast.unparse(call.args[1]) == "locals()" and name != function.name:
                        wrong.append(f"{path.name}: {function.name}")
    assert not wrong
