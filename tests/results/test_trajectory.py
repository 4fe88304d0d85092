"""What a result answers: numbers at a step, the law of preactivations, errors that name the remedy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dyntheory as dt


@functools.cache
def _results() -> tuple[dt.Trajectory, dt.Trajectory]:
    law = dt.TeacherStudent(2.0, "sin_mixture", 0.3)
    method = dt.gradient_descent(dt.MLP((2, 3), "tanh"), optax.sgd, learning_rate=0.4)
    key = jax.random.key(4)
    theory = dt.predict(law, method, num_steps=6, key=key)
    return theory, dt.simulate(law, method, num_steps=6, num_features=300, num_runs=12, key=key)


def test_structures_are_the_same() -> None:
    theory, runs = _results()
    for name in ("train_loss", "test_loss", "train_error", "test_error", "teacher_overlap", "weight_overlap"):
        shape = getattr(theory, name).shape
        assert getattr(runs, name).shape == shape
        assert getattr(theory.standard_error, name).shape == shape
        assert getattr(runs.standard_error, name).shape == shape
        assert getattr(runs.per_run, name).shape == (12, *shape)
    assert jax.tree.structure(theory.head) == jax.tree.structure(runs.head)
    assert theory.weight_overlap is not None and theory.weight_overlap.shape == (7, 2, 2)


def test_a_row_of_numbers() -> None:
    theory, _ = _results()
    row = theory.at(6)
    assert row["step"] == 6
    assert row["train_error"] == theory.train_error[6]
    assert 0 < row["test_error_standard_error"] < 0.01 * row["test_error"]
    with pytest.raises(ValueError, match=r"must be one of 0\.\.6, got 7"):
        theory.at(7)


def test_squared_loss_is_half_the_error() -> None:
    for result in _results():
        np.testing.assert_allclose(2 * np.asarray(result.train_loss), result.train_error, rtol=1e-12)
        np.testing.assert_allclose(2 * np.asarray(result.test_loss), result.test_error, rtol=1e-12)


@pytest.mark.parametrize("step", [0, 3, 6])
def test_law_of_preactivations_matches_the_rows(step: int) -> None:
    """First main theorem: expectations over the limit law are averages over the training samples."""
    theory, runs = _results()
    for fn in (lambda h: jnp.outer(h, h).ravel(), jnp.abs, lambda h: jnp.tanh(2 * h[0]) * h[1]):
        limit = theory.expect(fn, step)
        samples = runs.preactivations(step)
        values = np.asarray(jax.vmap(fn)(samples.values)).reshape(12, 600, -1).mean(axis=1)
        error = np.hypot(values.std(axis=0, ddof=1) / np.sqrt(12), 2e-3)
        assert np.max(np.abs(values.mean(axis=0) - limit.ravel()) / error) < 4


def test_training_error_is_an_expectation_over_the_law() -> None:
    theory, _ = _results()
    samples = theory.preactivations(0)
    network, head = dt.MLP((2, 3), "tanh"), jax.tree.map(lambda path: path[0], theory.head)
    outputs = jax.vmap(lambda h: network.apply_head(head, h))(samples.values)
    error = np.sum(samples.weights * (np.asarray(outputs) - samples.labels) ** 2)
    np.testing.assert_allclose(error, theory.at(0)["train_error"], rtol=1e-5)
    np.testing.assert_allclose(samples.weights.sum(), 1)


def test_preactivations_not_kept_say_how_to_keep_them(law: dt.TeacherStudent, key: jax.Array) -> None:
    method = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=0.4)
    theory = dt.predict(law, method, num_steps=0, key=key, num_nodes=2**11, keep_preactivations=False)
    with pytest.raises(ValueError, match="keep_preactivations=True"):
        theory.preactivations(0)


@pytest.mark.parametrize(
    ("network", "link", "level"),
    [
        (dt.MLP((2,), "tanh"), "sin", "theorem"),
        (dt.MLP((2,), "relu"), "sin", "simulation-verified"),
        (dt.MLP((2,), "tanh"), "sign", "simulation-verified"),
        (dt.MLP((2,), "tanh"), "exp", "simulation-verified"),
        (dt.MLP((2,), lambda x: x / (1 + x**2)), "sin", "heuristic"),
    ],
)
def test_assumptions_are_carried(network: dt.MLP, link: str, level: str, key: jax.Array) -> None:
    from dyntheory.problem.assumptions import assess

    assumptions = assess(dt.TeacherStudent(1.0, link), dt.gradient_descent(network, learning_rate=0.1))
    assert assumptions.level == level
    assert assumptions.reason


def test_only_plain_gradient_descent_is_in_the_theorem() -> None:
    from dyntheory.problem.assumptions import assess

    network, law = dt.MLP((2,), "tanh"), dt.TeacherStudent(1.0, "sin")
    plain = dt.gradient_descent(network, learning_rate=0.1)
    others = [
        dt.gradient_descent(network, learning_rate=0.1, momentum=0.9),
        dt.gradient_descent(network, learning_rate=optax.cosine_decay_schedule(0.1, 5)),
        dt.gradient_descent(network, learning_rate=0.1, head_optimizer=optax.adam, head_learning_rate=0.1),
    ]
    assert assess(law, plain).level == "theorem"
    assert {assess(law, method).level for method in others} == {"simulation-verified"}
    unknown = dt.gradient_descent(network, learning_rate=0.1, loss=lambda p, y: jnp.abs(p - y))
    assert assess(law, unknown).level == "heuristic"


def test_provenance_tells_how_to_do_it_again() -> None:
    theory, runs = _results()
    assert theory.provenance["kind"] == "prediction" and runs.provenance["kind"] == "simulation"
    assert theory.provenance["law"] == {
        "samples_per_feature": 2.0,
        "link": "sin_mixture",
        "noise_std": 0.3,
        "teacher_second_moment": [[1.0]],
    }
    assert theory.provenance["method"]["hyperparameters"]["first_layer"] == {"learning_rate": 0.4}
    assert runs.provenance["num_samples"] == 600
    assert "/" not in str({k: v for k, v in theory.provenance.items() if k != "device"})
