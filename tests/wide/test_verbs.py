"""The verbs of the wing as a user meets them: theory beside networks, errors, statuses and refusals."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.ground.status import DyntheoryWarning
from tests.wide.cases import INPUTS, KEY, LABELS, TESTS

NETWORK = dt.WideNetwork(2, "tanh", 1.0)


def _theory(network: dt.WideNetwork = NETWORK, labels: Any = LABELS, num_steps: int = 6, **given: Any) -> Any:
    chosen: dict[str, Any] = {"learning_rate": 0.5, "num_nodes": 2**11} | given
    return dt.wide.predict(network, INPUTS, labels, TESTS, num_steps=num_steps, key=KEY, **chosen)


def _z(theory: dt.WideTrajectory, small: dt.WideTrajectory, large: dt.WideTrajectory, name: str) -> np.ndarray:
    """Return z-scores between a prediction and networks of widths N and 2N, extrapolated in 1/N."""
    both = small.standard_error, large.standard_error, theory.standard_error
    one, two, own = (np.asarray(getattr(side, name))[1:] for side in both)
    found = 2 * getattr(large, name)[1:] - getattr(small, name)[1:]
    return (getattr(theory, name)[1:] - found) / np.sqrt(4 * two**2 + one**2 + own**2)


def _networks(
    network: dt.WideNetwork, labels: Any, num_steps: int, widths: tuple[int, int], runs: int, **given: Any
) -> list[dt.WideTrajectory]:
    chosen: dict[str, Any] = {"learning_rate": 0.5} | given
    return [
        dt.wide.simulate(
            network, INPUTS, labels, TESTS, num_steps=num_steps, key=KEY, width=width, num_runs=runs, **chosen
        )
        for width in widths
    ]


def test_theory_agrees_with_networks() -> None:
    theory, runs = _theory(), _networks(NETWORK, LABELS, 6, (64, 128), 300)
    for name in ("train_outputs", "test_outputs", "ntk", "forward_kernels", "backward_kernels", "alignment"):
        z = _z(theory, runs[0], runs[1], name)
        assert np.sqrt(np.mean(z**2)) < 1.6, name
        assert np.abs(z).max() < 4.5, name
    assert np.abs(theory.train_outputs[-1]).max() > 0.5
    assert dt.compare(theory, *runs, metrics=("train_loss",)).verdict == "agree"
    lazy = dt.wide.predict(
        dt.WideNetwork(2, "tanh", 0.05), INPUTS, LABELS, num_steps=6, key=KEY, learning_rate=0.5, num_nodes=2**11
    )
    assert np.abs(_z(lazy, runs[0], runs[1], "train_outputs")).max() > 6


CASES: dict[str, tuple[dt.WideNetwork, Any, dict[str, Any]]] = {
    "relu, biases, widths": (dt.WideNetwork(2, "relu", 1.0, use_bias=True, width_ratios=(0.5,)), LABELS, {}),
    "adam": (NETWORK, LABELS, {"optimizer": optax.adam, "learning_rate": 0.05}),
    "adamw, biases": (
        dt.WideNetwork(2, "tanh", 1.0, use_bias=True),
        LABELS,
        {"optimizer": optax.adamw, "learning_rate": 0.05, "weight_decay": 1.0},
    ),
    "logistic": (NETWORK, LABELS, {"loss": "logistic", "learning_rate": 1.0}),
    "classes": (NETWORK, np.eye(3)[[0, 1, 2, 0, 1, 2]], {"loss": "cross_entropy", "learning_rate": 1.0}),
    "three layers": (dt.WideNetwork(3, "tanh", 0.5), LABELS, {}),
}


@pytest.mark.full
@pytest.mark.parametrize("case", CASES)
def test_what_is_trained_otherwise_agrees_too(case: str) -> None:
    network, labels, given = CASES[case]
    theory, runs = _theory(network, labels, **given), _networks(network, labels, 6, (128, 256), 200, **given)
    for name in ("train_outputs", "test_outputs", "forward_kernels"):
        z = _z(theory, runs[0], runs[1], name)
        assert np.sqrt(np.mean(z**2)) < 1.6, name
        assert np.abs(z).max() < 4.5, name


def test_several_outputs_and_a_file(tmp_path: Path) -> None:
    labels = np.stack([LABELS, -LABELS], axis=1)
    theory = _theory(dt.WideNetwork(1, "tanh"), labels, num_steps=3, num_nodes=2**10)
    assert theory.train_outputs.shape == (4, 6, 2)
    assert theory.test_outputs.shape == (4, 2, 2)
    assert theory.ntk is None
    assert theory.feature_alignment.shape == (4,)
    again = dt.load(theory.save(tmp_path / "wide.nc"))
    assert isinstance(again, dt.WideTrajectory)
    np.testing.assert_array_equal(again.forward_kernels, theory.forward_kernels)


def test_a_rate_beyond_the_edge_is_said_with_the_edge() -> None:
    with pytest.warns(DyntheoryWarning, match="blew up at step"):
        theory = _theory(dt.WideNetwork(1, "relu"), learning_rate=50.0, num_steps=8, num_nodes=2**10)
    assert theory.status.code == "diverged"
    edge = 2 / theory.sharpness[0] if np.isfinite(theory.sharpness[0]) else None
    assert edge is None or f"stable below {edge:.3g}, got 50" in theory.status.message
    assert np.isnan(theory.train_loss[-1])


def test_what_starts_at_zero_is_no_trouble() -> None:
    """Labels, test labels or a loss of zero; one test input far away; two inputs that nearly coincide, lazily."""
    zero = _theory(dt.WideNetwork(1), 0.0 * LABELS, num_steps=3, num_nodes=2**10)
    assert zero.status.ok
    assert np.abs(zero.train_outputs).max() < 1e-9
    network = dt.WideNetwork(1, "relu")
    options: dict[str, Any] = {"num_steps": 3, "key": KEY, "learning_rate": 0.3, "num_nodes": 2**10}
    assert dt.wide.predict(network, INPUTS, LABELS, TESTS, np.zeros(2), **options).status.ok
    near, labels = np.vstack([INPUTS, INPUTS[:1] + 0.01]), np.r_[LABELS, 1.0]
    still: dict[str, Any] = options | {"learning_rate": 0.0}
    lazy = dt.wide.predict(dt.WideNetwork(2, "tanh", 1e-4), near, labels, **still)
    assert lazy.status.ok
    np.testing.assert_allclose(lazy.train_loss, 0.5, atol=1e-6)
    far = dt.wide.predict(network, INPUTS, LABELS, 1e6 * TESTS, **options)
    assert far.status.code != "diverged"
    assert np.isfinite(far.train_loss).all()


def test_other_problems_are_told_as_different() -> None:
    network = dt.WideNetwork(1)
    options: dict[str, Any] = {"num_steps": 2, "key": KEY}
    theory = dt.wide.predict(network, INPUTS, LABELS, TESTS, num_nodes=2**10, learning_rate=0.3, **options)
    others: list[dict[str, Any]] = [
        {"learning_rate": 0.3, "masks": np.eye(6)[:2]},
        {"learning_rate": optax.linear_schedule(0.3, 0.1, 2)},
        {"learning_rate": 0.3, "loss": lambda f, y: 0.4 * (f - y) ** 2},
    ]
    for given in others:
        runs = dt.wide.simulate(network, INPUTS, LABELS, TESTS, width=32, num_runs=4, **options, **given)
        assert "they differ in" in str(dt.compare(theory, runs, metrics=("train_loss",)))
    same = dt.wide.simulate(network, INPUTS, LABELS, TESTS, width=32, num_runs=4, learning_rate=0.3, **options)
    assert "differ" not in str(dt.compare(theory, same, metrics=("train_loss",)))


def test_too_few_nodes_are_refused_and_few_are_said() -> None:
    with pytest.raises(ValueError, match=r"raise `num_nodes`, or raise `drop_below`"):
        _theory(num_nodes=2**8)
    with pytest.warns(DyntheoryWarning, match="the error bars may be too small"):
        few = _theory(num_steps=4, num_nodes=2**9)
    assert few.status.code == "unresolved"


def test_memory_is_known_before() -> None:
    with pytest.raises(ValueError, match=r"take .* GB, and .* may be used: lower `num_nodes`"):
        _theory(max_memory=1e6)
    cost = dt.wide.prediction_cost(NETWORK, INPUTS, num_steps=6, num_nodes=2**11)
    assert cost.num_columns == 1 + 6 + 1 + 4 * 6 * 7
    assert cost.memory > 8 * 2 * 2**11 * cost.num_columns
    more = dt.wide.prediction_cost(NETWORK, INPUTS, num_steps=6, num_nodes=2**11, is_linear=False)
    assert more.memory > cost.memory + 8 * 2**22


def _clipped(learning_rate: Any) -> Any:
    return optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(learning_rate))


def _decayed(learning_rate: Any) -> Any:
    return optax.chain(optax.add_decayed_weights(0.1), optax.adam(learning_rate))


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "lengths": ({"labels": LABELS[:5]}, r"`labels` must have shape \(6,\)"),
    "features": ({"test_inputs": TESTS[:, :4]}, "as many columns as `inputs`, 10, got 4"),
    "nan": ({"inputs": np.where(INPUTS[0, 0] == INPUTS, np.nan, INPUTS)}, "1 entries are NaN"),
    "zero": ({"inputs": 0 * INPUTS}, "all zero"),
    "flat": ({"inputs": INPUTS[0]}, "x\\[None\\]"),
    "test labels": ({"test_inputs": None, "test_labels": LABELS}, "give `test_inputs`"),
    "masks": ({"masks": np.ones((3, 2))}, r"shape \(num_steps, inputs\) = \(2, 6\)"),
    "empty batch": ({"masks": np.array([[1] * 6, [0] * 6])}, "no input in the batch of step 1"),
    "nodes": ({"num_nodes": 1000}, "power of two"),
    "drop": ({"drop_below": 1e-9}, "at least 1e-06"),
    "drop all": ({"drop_below": 0.3}, r"at most 0\.1"),
    "mixed later": ({"optimizer": _decayed, "learning_rate": optax.linear_schedule(0.0, 0.1, 2)}, "decoupled"),
    "head": ({"head_learning_rate": 1.0}, "share one optimizer"),
    "signs": ({"labels": 2 * LABELS, "loss": "logistic"}, "must be -1 and 1"),
    "coupled": ({"optimizer": _clipped}, "not row-wise"),
    "mixed": ({"optimizer": _decayed}, "decoupled"),
    "adam in ntk": ({"network": dt.WideNetwork(1, parametrisation="ntk", width=64), "optimizer": optax.adam}, '"mup"'),
}


@pytest.mark.parametrize("name", WRONG)
def test_bad_input_is_named(name: str) -> None:
    given: dict[str, Any] = {"network": NETWORK, "inputs": INPUTS, "labels": LABELS, "test_inputs": TESTS}
    options: dict[str, Any] = {"num_steps": 2, "key": KEY, "learning_rate": 0.5, "num_nodes": 2**10}
    changed, message = WRONG[name]
    with pytest.raises((ValueError, TypeError), match=message):
        dt.wide.predict(**(given | options | changed))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"feature_learning": 0.0}, "kernels.train"),
        ({"parametrisation": "ntk"}, "needs `width`"),
        ({"width": 4}, "belongs to the parametrisations"),
        ({"parametrisation": "standard", "width": 4, "feature_learning": 0.5}, "1/√width"),
        ({"depth": 3, "width_ratios": (1.0,)}, "2 numbers"),
        ({"parametrisation": "standard", "width": 4, "use_bias": True}, "biases move N times slower"),
    ],
)
def test_networks_that_cannot_be(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dt.WideNetwork(**given)


def test_standard_networks_are_members_of_the_family() -> None:
    """A network in standard parametrisation at width N is one with γ₀ = 1/√N and rates N η, D N η/N on the inputs."""
    standard = dt.WideNetwork(2, "tanh", parametrisation="standard", width=64)
    assert standard.scaling(10) == (1 / 8, 64.0, 10 / 64)
    rate = 0.02
    runs = dt.wide.simulate(standard, INPUTS, LABELS, num_steps=4, key=KEY, num_runs=3, learning_rate=rate)
    assert runs.per_run is not None
    assert np.allclose(runs.per_run.train_outputs, _plain(64, rate, 3, 4), atol=1e-9)


def _plain(width: int, rate: float, num_runs: int, num_steps: int) -> np.ndarray:
    """Return f − f₀ of plain scripts: weights of standard deviation 1/√fan-in, gradient descent with one rate."""
    from dyntheory.ground.precision import double_precision
    from dyntheory.ground.randomness import stream
    from dyntheory.wide.finite import initial_weights
    from tests.wide.cases import request

    with double_precision():
        rules, keys = (
            request(NETWORK, 1).rules,
            jax.random.split(jax.random.fold_in(stream(KEY, "runs"), width), num_runs),
        )
        found = []
        for key in keys:
            drawn = initial_weights(rules, (width, width), 10, key)["matrices"]
            weights = [drawn[0] / np.sqrt(10), drawn[1] / width, drawn[2] / np.sqrt(width)]

            def forward(weights: list[Any]) -> Any:
                return (weights[2] @ jax.numpy.tanh(weights[1] @ jax.numpy.tanh(weights[0] @ INPUTS.T)))[0]

            start, curve = forward(weights), []
            for _ in range(num_steps + 1):
                curve.append(np.asarray(forward(weights) - start))
                gradient = jax.grad(lambda w, s=start: 0.5 * jax.numpy.mean((forward(w) - s - LABELS) ** 2))(weights)
                weights = [w - rate * g for w, g in zip(weights, gradient, strict=True)]
            found.append(curve)
        return np.array(found)
