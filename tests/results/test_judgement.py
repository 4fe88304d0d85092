"""Statuses: heavy tails before and during a run, requests not met."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.dynamics.loop import Records, Start, run
from dyntheory.dynamics.observables import rows_of
from dyntheory.gaussian.nodes import NodeSet, draw_nodes
from dyntheory.ground.status import Outcome, Status
from dyntheory.matrix.dense import DenseMatrix
from dyntheory.problem.shape import Shape
from dyntheory.results.judgement import cure_of, diverged_runs, diverged_where, heavy_tail, heavy_teacher, unreached
from dyntheory.results.trajectory import Trajectory

STEPS = 2
LAW = dt.TeacherStudent(1.5, "cubic", 0.3)
METHOD = dt.gradient_descent(dt.MLP((2,), "tanh"), optax.sgd, learning_rate=0.1)


def _shares(records: Records, weights: np.ndarray, head_of: str = "layer_2") -> np.ndarray:
    """Recompute the largest share from recorded preactivations, labels and heads."""
    heads = np.asarray(records.head[head_of]["weights"])[:, 0]
    outputs = np.einsum("tk,tik->ti", heads, np.tanh(np.asarray(records.recorded["preactivations"])))
    power = weights * (outputs - np.asarray(records.labels)) ** 2
    return power.max(axis=1) / power.sum(axis=1)


@pytest.mark.usefixtures("double")
def test_recorded_share_is_that_of_the_residuals_on_nodes() -> None:
    nodes = draw_nodes(2**10, Shape(STEPS, 2, 1).sample_dimensions, num_heavy=1, seed=0)
    test_nodes = draw_nodes(2**10, Shape.of(LAW, METHOD, 0).test_dimensions, num_heavy=1, seed=1)
    solve = jax.jit(functools.partial(dt.state_evolution, num_steps=STEPS, keep_preactivations=True))
    head = METHOD.init_head(jax.random.key(0))
    records = solve(LAW, METHOD, head, jnp.eye(3), nodes, test_nodes).records
    np.testing.assert_allclose(records.residual_share, _shares(records, np.asarray(nodes.weights)), rtol=1e-10)
    uniform = _shares(records, np.full(2**10, 2.0**-10))
    assert np.all(uniform > 1.2 * np.asarray(records.residual_share)), "the weights of the nodes must count"


@pytest.mark.usefixtures("double")
def test_recorded_share_is_that_of_the_residuals_of_a_dense_run() -> None:
    random = np.random.default_rng(3)
    inputs, teacher, weights = (jnp.asarray(random.standard_normal(shape)) for shape in ((60, 40), (40, 1), (40, 2)))
    start = Start(teacher, weights, jnp.zeros((60, 1)), METHOD.init_head(jax.random.key(0)), jnp.asarray(1.5))
    trained = jax.jit(functools.partial(run, num_steps=STEPS, record=rows_of("preactivations")))
    records = trained(LAW, METHOD, DenseMatrix(inputs), start)
    np.testing.assert_allclose(records.residual_share, _shares(records, np.full(60, 1 / 60)), rtol=1e-10)


def _labels(nodes: NodeSet) -> np.ndarray:
    return np.exp(1.5 * np.asarray(nodes.coordinates)[0])


def test_heavy_labels_are_told_before_solving() -> None:
    """e^{3z/2} on 2^13 nodes: plain ones put much of its second moment on a few, tilted ones do not."""
    plain, tilted = (draw_nodes(2**13, 3, num_heavy=heavy, seed=0) for heavy in (0, 1))
    status = heavy_tail(_labels(plain), np.asarray(plain.weights))
    assert status.code == "heavy_tail" and "of E[y²]" in status.message and "raise `num_nodes`" in status.message
    assert heavy_tail(_labels(tilted), np.asarray(tilted.weights)).ok


def test_heavy_residuals_are_told_with_their_step() -> None:
    nodes = draw_nodes(2**11, 3, num_heavy=1, seed=0)
    weights, error = np.asarray(nodes.weights), np.array([[1.0, 0.5, 0.4], [1.0, 0.5, 0.4]])
    light, heavy = np.full((2, 3), 0.029), np.array([[0.01, 0.02, 0.02], [0.01, 0.02, 0.31]])
    labels = np.asarray(nodes.coordinates)[0]
    assert heavy_tail(labels, weights, light, error).ok
    status = heavy_tail(labels, weights, heavy, error)
    assert (status.code, status.step) == ("heavy_tail", 2) and "31.0% of the train error at step 2" in status.message


def test_residuals_at_rounding_are_not_called_heavy() -> None:
    """A run that fits its data: below 1e-3 of its initial value the train error counts as that much."""
    nodes = draw_nodes(2**11, 3, num_heavy=1, seed=0)
    labels, weights = np.asarray(nodes.coordinates)[0], np.asarray(nodes.weights)
    share = np.array([0.01, 0.01, 0.9])
    assert heavy_tail(labels, weights, share, np.array([1.0, 0.1, 1e-25])).ok
    assert not heavy_tail(labels, weights, share, np.array([1.0, 0.1, 0.05])).ok
    assert heavy_tail(labels, weights, np.array([0.01, np.nan, np.nan]), np.array([1.0, np.inf, np.nan])).ok


def test_codes_are_their_names() -> None:
    assert Status("diverged").code is Outcome.DIVERGED and Status().code == "ok" and str(Status()) == "ok"
    with pytest.raises(ValueError, match="`code` is not a known outcome: 'fine'"):
        Status("fine")


def _curves(error: float, status: Status) -> Trajectory:
    steps, curve = np.arange(3), np.array([1.0, 0.5, 0.25])
    errors = Trajectory(steps, train_error=0 * curve, test_error=np.array([0.0, error, 0.0]))
    return Trajectory(steps, train_error=curve, test_error=curve, standard_error=errors, status=status)


def test_an_accuracy_asked_for_is_reached_or_told_with_its_step() -> None:
    words = {"within": "with 20 runs", "cure": "raise `max_runs`"}
    assert unreached(_curves(0.05, Status()), None, **words) is None
    assert unreached(_curves(0.05, Status()), 0.1, **words) is None
    text = "rtol=0.01 was asked for and 0.1 reached (step 1) with 20 runs: raise `max_runs`"
    assert unreached(_curves(0.05, Status()), 0.01, **words) == Status("unresolved", text, 1)
    before = Status("heavy_tail", "one node carries it")
    assert unreached(_curves(0.05, before), 0.01, **words) == Status("unresolved", f"{text}; one node carries it", 1)
    assert unreached(_curves(np.nan, Status()), 0.01, **words) is not None


def test_divergence_is_told_from_its_first_step() -> None:
    assert diverged_where(np.zeros(4, bool)).ok
    found = diverged_where(np.array([False, False, True, False]))
    assert (found.code, found.step) == (Outcome.DIVERGED, 2) and "blew up from step 2 on: lower" in found.message
    assert diverged_runs(np.array([5, 5]), 5).ok
    some, every = diverged_runs(np.array([5, 3]), 5), diverged_runs(np.array([4, 3]), 5)
    assert some.step == every.step == 3
    assert "1 of 2" in some.message and "over the others" in some.message and "stop being finite" in every.message


def test_a_cure_names_numbers_that_are_there() -> None:
    """Message passing has no learning rate to lower."""

    def method(name: str, **numbers: object) -> dict[str, object]:
        return {"method": {"name": name, "hyperparameters": numbers}}

    assert cure_of({}) == cure_of(method("gradient_descent")) == "lower the learning rate"
    assert cure_of(method("own, mini-batches", method={"learning_rate": 0.1})) == "lower the learning rate"
    assert cure_of(method("LASSO-AMP", threshold=0.1)) == "change `threshold`, or raise `samples_per_feature`"
    assert "learning rate" not in cure_of(method("own"))


def test_diverging_message_passing_is_told_what_it_has(key: jax.Array) -> None:
    law = dt.TeacherStudent(0.2, noise_std=0.3, teacher_prior=dt.priors.bernoulli_gauss(0.5))
    for verb in (
        lambda: dt.predict(law, dt.lasso_amp(0.05), num_steps=16, key=key, num_nodes=2**11),
        lambda: dt.simulate(law, dt.lasso_amp(0.05), num_steps=16, num_features=60, num_runs=2, key=key),
    ):
        with pytest.warns(dt.DyntheoryWarning, match="change `threshold`") as told:
            verb()
        assert not any("learning rate" in str(one.message) for one in told)


def test_a_teacher_on_few_features_is_told() -> None:
    """What nodes miss falls slowly with their number where tails are heavy: then the sub-nets do not show it."""
    assert heavy_teacher(0.005, 0.006, 2**14).ok
    assert heavy_teacher(0.02, 0.16, 2**14).ok, "a sparse teacher: an eighth of the nodes misses eight times as much"
    assert heavy_teacher(0.02, 0.04, 2**14).code == "heavy_tail"
