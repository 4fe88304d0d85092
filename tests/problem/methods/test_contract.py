"""Maps that return the wrong thing are named before anything is compiled; the documented example runs."""

import dataclasses
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dyntheory as dt
from dyntheory.problem.methods.contract import check_maps
from tests import ROOT

LAW = dt.TeacherStudent(2.0, "sign")
METHOD = dt.gradient_descent(dt.MLP((2,)), learning_rate=0.1)


def _random(state: Any, p: Any, shared: Any, u: Any) -> Any:
    return state, p + np.random.default_rng().random(2), ()


CASES: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"sample_map": lambda s, h, y, shared, u: (s, h)}, ValueError, r"must return \(state, row, statistics\)"),
    ({"sample_map": lambda s, h, y, shared, u: (s, h[:1], ())}, ValueError, r"a row of shape \(2,\)"),
    ({"sample_map": lambda s, h, y, shared, u: ((h,), h, ())}, ValueError, "`init_sample` gave it"),
    ({"feature_map": lambda s, p, shared, u: (p, p, ())}, ValueError, "`feature_map` of .* `init_feature` gave it"),
    ({"feature_map": _random, "init_feature": lambda row, shared: ()}, ValueError, "for randomness ask for uniforms"),
    ({"after_samples": lambda shared, stats: {}}, ValueError, "`after_samples` of .* `init_shared` gave it"),
    (
        {"loss": lambda prediction, label: jnp.stack([prediction, label])},
        ValueError,
        "`loss` .* one number",
    ),
    (
        {"loss": lambda prediction, label: label[0, 0]},
        ValueError,
        r"`loss` of .* prediction of shape .* label of shape",
    ),
]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"sample_map": lambda s, h, y, shared: (s, h, ())},
            TypeError,
            r"`sample_map` of .* sample_map\(state, h, label",
        ),
        ({"after_features": lambda shared: shared}, TypeError, r"after_features\(shared, mean_stats\): too many"),
        ({"loss": 0.5}, TypeError, "`loss` must be a function"),
        ({"num_units": 0}, ValueError, "`num_units` must be"),
        ({"sample_noise": -1}, ValueError, "`sample_noise` must be"),
    ],
)
def test_what_is_wrong_for_all_laws_is_refused_at_construction(
    change: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        dataclasses.replace(METHOD, **change)


@pytest.mark.parametrize("loss", ["cross_entropy", lambda prediction, label: jnp.stack([prediction, label])])
def test_a_loss_that_does_not_fit_the_network_is_named(loss: Any) -> None:
    """The derivative of the loss was taken before anyone looked at the loss."""
    method = dt.gradient_descent(dt.LinearModel(), learning_rate=0.1, loss=loss)
    with pytest.raises(ValueError, match="`loss` of "):
        dt.predict(LAW, method, num_steps=2, key=jax.random.key(0))


@pytest.mark.parametrize(("change", "error", "message"), CASES)
def test_a_wrong_map_is_named(change: dict[str, Any], error: type[Exception], message: str) -> None:
    wrong = dataclasses.replace(METHOD, **change)
    with pytest.raises(error, match=message):
        dt.predict(LAW, wrong, num_steps=2, key=jax.random.key(0))


@pytest.mark.usefixtures("double")
def test_methods_of_the_library_pass() -> None:
    wrapped = (dt.mini_batches(METHOD, 0.5), dt.dropout(METHOD, 0.1))
    for method in (METHOD, *wrapped, dt.lasso_amp(1.0), dt.proximal_gradient(0.1, 0.1)):
        check_maps(LAW, method, method.init_head(jax.random.key(0)))


def test_a_loss_that_starts_at_zero_has_not_diverged() -> None:
    from dyntheory.results.judgement import has_diverged

    losses = np.asarray([[0.0, 1.0, 2.0], [0.0, np.inf, 1.0], [1.0, 1e11, 1.0]])
    np.testing.assert_array_equal(has_diverged(losses), [[0, 0, 0], [0, 1, 0], [0, 1, 0]])


def test_the_documented_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", (ROOT / "docs/own_method.md").read_text(), flags=re.S))
    smaller = code.replace("num_steps=20", "num_steps=3").replace("num_features=1000", "num_features=200")
    exec(smaller, {})
    assert "points within" in capsys.readouterr().out
