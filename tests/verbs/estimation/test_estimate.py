"""The error on fresh data from one run: exact where it can be, in the mean over runs elsewhere."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.ground.precision import double_precision
from dyntheory.problem.laws.rows import standardised
from dyntheory.verbs.estimation.training_run import train_on
from tests.own_methods import warmed_by_hand, warming
from tests.verbs.estimation.runs import KEY, data, linear_data, network


def recorded(found):
    """Return first layers and debiased preactivations of an estimate."""
    assert found.recorded_weights is not None and found.recorded_preactivations is not None
    return found.recorded_weights, found.recorded_preactivations


@pytest.mark.parametrize("decay", [0.0, 1.0])
def test_a_linear_model_is_exactly_left_out(decay):
    rows, labels = data(40, 25, decay=decay)
    method = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=0.3, momentum=0.6)
    found = dt.estimate(rows, labels, method, num_steps=15, key=KEY)
    x, _ = standardised(rows)
    with double_precision():
        first = jnp.asarray(recorded(found)[0][0])
        train = jax.jit(functools.partial(train_on, num_steps=15))
        for row in (0, 7):
            without = train(
                method, jnp.asarray(x).at[row].set(0.0), jnp.asarray(labels), {}, first, jnp.zeros((15, 40, 0))
            )
            wanted = np.asarray(without.weights)[:, :, 0] @ x[row] / np.sqrt(25)
            np.testing.assert_allclose(recorded(found)[1][:, row, 0], wanted, rtol=1e-9, atol=1e-10)


def test_leverages_of_the_mean_are_not_those_of_the_row():
    rows, labels = data(40, 25, decay=1.0)
    method = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=0.3, momentum=0.6)
    exact = dt.estimate(rows, labels, method, num_steps=15, key=KEY)
    mean = dt.estimate(rows, labels, method, num_steps=15, key=KEY, covariance="isotropic")
    assert np.abs(recorded(exact)[1] - recorded(mean)[1])[-1].max() > 0.1


@pytest.mark.full
@pytest.mark.parametrize("momentum", [None, 0.6])
def test_three_classes_are_estimated_too(momentum):
    options = {} if momentum is None else {"momentum": momentum}
    network = dt.MLP((3,), num_outputs=3)
    method = dt.gradient_descent(network, optax.sgd, learning_rate=0.8, loss="cross_entropy", **options)
    gaps = []
    for seed in range(40):
        random = np.random.default_rng(seed)
        rows = random.standard_normal((1200, 60)) * np.linspace(0.4, 1.6, 60)
        logits = rows @ random.standard_normal((60, 3)) / 60**0.5 + 0.5 * random.standard_normal((1200, 3))
        classes = np.eye(3)[np.argmax(logits, axis=1)]
        test_data = (rows[200:], classes[200:])
        found = dt.estimate(
            rows[:200], classes[:200], method, num_steps=10, key=jax.random.key(seed), test_data=test_data
        )
        assert found.held_out_error is not None
        gaps.append((found.test_error[-1] - found.held_out_error[-1], found.train_error[-1] - found.held_out_error[-1]))
    estimate, train = np.array(gaps).T
    error = estimate.std() / np.sqrt(len(estimate))
    assert abs(estimate.mean()) < 3.5 * error + 0.01 and error < 0.01
    assert train.mean() < -5 * error


def test_rates_held_in_the_shared_value_are_followed():
    """A rate that warms up there: still every row exactly left out; the training error is far from it."""
    rates, momentum = (0.02, 0.1, 0.3, 0.6), 0.5
    (rows, labels), weights = linear_data(60, 25), np.random.default_rng(1).standard_normal((25, 1))
    live = dt.estimate(rows, labels, warming(rates, momentum=momentum), num_steps=4, key=KEY, weights=weights)
    x, _ = standardised(rows)

    def left_out(row):
        path = warmed_by_hand(rates, momentum, x, labels, weights[:, 0], np.delete(np.arange(60), row))
        return (path @ x[row] / 5.0 - labels[row]) ** 2

    np.testing.assert_allclose(live.test_error, np.mean([left_out(row) for row in range(60)], axis=0), rtol=1e-10)
    assert live.test_error[4] > 1.3 * live.train_error[4]


@pytest.mark.full
def test_the_training_error_is_no_estimate():
    rows, labels = data(100, 50)
    found = dt.estimate(rows, labels, network(), num_steps=20, key=KEY)
    last = found.at(20)
    assert last["test_error"] - last["train_error"] > 5 * last["test_error_standard_error"]


def test_the_result_is_whole(tmp_path):
    rows, labels = data(90, 30)
    tested = data(500, 30, seed=0)
    found = dt.estimate(rows, labels, network(), num_steps=6, key=KEY, test_data=tested)
    again = dt.estimate(rows, labels, network(), num_steps=6, key=KEY)
    np.testing.assert_array_equal(found.test_error, again.test_error)
    assert found.status.ok and again.held_out_error is None
    assert found.best_step == int(np.argmin(found.test_error))
    assert found.held_out_error.shape == found.test_error.shape == (7,)
    sample = found.preactivations(4)
    predicted = np.asarray(jax.vmap(lambda h: h)(sample.values))
    assert predicted.shape == (90, 3) and sample.labels.shape == (90,)
    assert found.provenance["kind"] == "estimate" and found.provenance["cost"]["ratio"] > 0
    loaded = dt.load(found.save(tmp_path / "live.nc"))
    np.testing.assert_array_equal(loaded.held_out_error, found.held_out_error)
    np.testing.assert_array_equal(loaded.recorded_weights, found.recorded_weights)
    # The training is that of `simulate` on these rows: its error at the recorded weights.
    x, _ = standardised(rows)
    h = np.einsum("nd,tdk->tnk", x / np.sqrt(30), recorded(found)[0])
    method = network()
    last = jax.tree.map(lambda leaf: leaf[6], found.head)
    errors = [float(method.error(method.output(last, row), label)) for row, label in zip(h[6], labels, strict=True)]
    assert np.mean(errors) == pytest.approx(found.train_error[6], rel=1e-5)


def test_divergence_is_said():
    rows, labels = data(60, 40)
    method = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=9.0)
    with pytest.warns(dt.DyntheoryWarning, match="lower the learning rate"):
        found = dt.estimate(rows, labels, method, num_steps=40, key=KEY)
    assert found.status.code == "diverged"


def test_an_explosion_is_no_estimate(recwarn):
    """The derivative of the whole run, added without bound, makes a squared error of −838 at rate 2."""
    rows, labels = data(1080, 20)
    for rate in (0.3, 2.0, 4.0):
        method = dt.gradient_descent(dt.MLP((3, 3), use_bias=True), optax.sgd, learning_rate=rate)
        found = dt.estimate(
            rows[:80], labels[:80], method, num_steps=12, key=jax.random.key(0), test_data=(rows[80:], labels[80:])
        )
        assert found.standard_error is not None and found.held_out_error is not None
        end = 13 if found.status.step is None else found.status.step
        assert found.status.ok == (rate == 0.3)
        for name in ("test_error", "test_loss"):
            curve, bar = getattr(found, name), getattr(found.standard_error, name)
            assert (curve[:end] > 0).all() and np.isnan(curve[end:]).all()
            np.testing.assert_array_equal(np.isfinite(bar), np.isfinite(curve))
        assert found.best_step < end and found.held_out_error[found.best_step] <= found.held_out_error[0]
        assert np.isfinite(found.train_error).all()
    assert len(recwarn) == 2


def _with(rows, column, value):
    changed = rows.astype(object)
    changed[3, column] = value
    return changed


ROWS, LABELS = data(30, 5)
BAD = {
    "constant": (dict(inputs=np.where(np.arange(5) == 2, 1.0, ROWS)), "columns 2 are constant: drop them"),
    "missing": (dict(inputs=np.where(np.arange(5) == 1, np.nan, ROWS)), "columns 1 hold missing"),
    "words": (dict(inputs=_with(ROWS, 4, "red")), "columns 4 do not: encode categories"),
    "few": (dict(inputs=ROWS[:8], labels=LABELS[:8]), "10 rows or more, got 8"),
    "lengths": (dict(labels=LABELS[:-1]), "one label for each of the 30 rows"),
    "label words": (dict(labels=np.array(["a"] * 30)), "`labels` must hold numbers"),
    "missing label": (dict(labels=np.where(np.arange(30) == 3, np.nan, LABELS)), "1 missing or infinite"),
    "one axis": (dict(inputs=ROWS[:, 0]), "must have shape"),
    "adam": (
        dict(method=dt.gradient_descent(dt.MLP((2,)), optax.adam, learning_rate=0.1)),
        "responses of this optimizer cannot be propagated",
    ),
    "outputs": (dict(labels=np.stack([LABELS, LABELS], axis=1)), "change `num_outputs`"),
    "covariance": (dict(covariance="samples"), "Did you mean 'sample'"),
    "eigenvalues": (dict(covariance=[1.0, -1.0]), "covariance"),
    "pool": (dict(covariance=np.ones((4, 3))), "must have 5 columns"),
    "a matrix": (dict(covariance=np.cov(ROWS.T)), "is a symmetric matrix.*eigvalsh"),
    "units of the pool": (dict(covariance=3 * ROWS[::-1]), "spread 9.* times as much.*same units"),
    "test": (dict(test_data=(ROWS[:, :4], LABELS)), "must have 5 columns"),
    "memory": (dict(max_memory=1000), "lower `num_steps`"),
    "trainings": (dict(max_trainings=0.0), "max_trainings"),
    "weights": (dict(weights=np.ones((4, 3))), "`weights` must be finite with shape"),
    "steps": (dict(num_steps=-1), "num_steps"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named(name):
    changed, message = BAD[name]
    arguments = {"inputs": ROWS, "labels": LABELS, "method": network(), "num_steps": 3, "key": KEY} | changed
    inputs, labels, method = (arguments.pop(key) for key in ("inputs", "labels", "method"))
    with pytest.raises((ValueError, TypeError), match=message):
        dt.estimate(inputs, labels, method, **arguments)
