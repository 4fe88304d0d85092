"""The error on fresh data from one run: exact where it can be, in the mean over runs elsewhere."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.dynamics.two_time import impulse_response, residual_derivatives, two_time_responses
from dyntheory.ground.precision import double_precision
from dyntheory.verbs.estimation.covariance import feature_side
from dyntheory.verbs.estimation.debias import debias, run_responses
from dyntheory.verbs.estimation.fresh_rows import fresh_rows, held_out_error, probes_of
from dyntheory.verbs.estimation.plan import RunSize
from dyntheory.verbs.estimation.rows import standardised
from dyntheory.verbs.estimation.training_run import replay, train_on
from dyntheory.verbs.estimation.weight_responses import KnownSpectrum

KEY = jax.random.key(3)
MEMORY = 2**30


def recorded(found):
    """Return first layers and debiased preactivations of an estimate."""
    assert found.recorded_weights is not None and found.recorded_preactivations is not None
    return found.recorded_weights, found.recorded_preactivations


def data(n, d, *, seed=0, decay=0.0, noise=0.3):
    """Return correlated rows and labels of one direction."""
    random = np.random.default_rng(seed)
    rows = random.standard_normal((n, d)) * np.arange(1, d + 1) ** (-decay / 2) @ random.standard_normal((d, d))
    rows = rows if decay else random.standard_normal((n, d))
    z = rows @ random.standard_normal(d)
    return rows, np.tanh(z / z.std()) + noise * random.standard_normal(n)


def network(activation="tanh", *, loss="squared", rate=0.4, **numbers):
    return dt.gradient_descent(dt.MLP((3,), activation), optax.sgd, learning_rate=rate, loss=loss, **numbers)


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


def test_known_covariance_is_the_published_recursion(double):
    rows, labels = data(60, 30)
    method, steps = network(momentum=0.5), 6
    x, units = standardised(rows)
    head = method.init_head(KEY)
    weights = jax.random.normal(KEY, (30, 3), float)
    run = train_on(
        method, jnp.asarray(x), jnp.asarray(labels), head, weights, jnp.zeros((steps, len(x), 0)), num_steps=steps
    )
    chosen = feature_side("isotropic", x, units, num_groups=1, num_steps=steps)
    plan = RunSize(60, 30, 3, steps, 3, True).cost(1, 60, None)
    probes = probes_of(plan, run, KEY, is_smooth=True)
    responses = run_responses(method, run, chosen.side, chosen.groups, probes, jnp.asarray(2.0))
    found = debias(run, replay(method, run).residuals, responses.weight, chosen.groups)
    law = dt.TeacherStudent(2.0)

    def derivatives(shared, h):
        noise = (jnp.asarray(labels) / 1.0)[:, None]
        given = dt.TeacherStudent(2.0, link=lambda z: 0.0 * z, noise_std=1.0)
        return residual_derivatives(given, method, shared, h, jnp.zeros((60, 1)), noise)

    recorded = jax.vmap(derivatives)(run.shared, run.preactivations)
    impulse = impulse_response(method, jax.tree.map(lambda leaf: leaf[0], run.shared), steps)
    known = two_time_responses(recorded, impulse, jnp.full(60, 1 / 60), jnp.asarray(law.samples_per_feature))
    memory = jnp.einsum("tsab,snb->tna", known.weight, recorded.values)
    np.testing.assert_allclose(found, run.preactivations - memory, rtol=1e-9, atol=1e-11)


@functools.partial(jax.jit, static_argnames=("probes", "is_smooth", "steps"))
def one_run(method, head, key, *, probes, is_smooth, steps):
    """Return estimated and held-out test error of one run on isotropic rows, n = 200, d = 100."""
    n, d, tested = 200, 100, 1000
    keys = jax.random.split(key, 5)
    rows = jax.random.normal(keys[0], (n + tested, d), float)
    z = rows @ jax.random.normal(keys[1], (d,), float) / 10.0
    labels = z + 0.5 * jnp.sin(2 * z) + 0.3 * jax.random.normal(keys[2], (n + tested,), float)
    if "logistic" in method.description:
        labels = jnp.sign(labels)
    weights = jax.random.normal(keys[3], (d, 3), float)
    uniforms = jax.random.uniform(keys[4], (steps, n, method.sample_noise), float)
    run = train_on(method, rows[:n], labels[:n], head, weights, uniforms, num_steps=steps)
    plan = RunSize(n, d, 3, steps, 3, is_smooth).cost(1, n, probes)
    side = KnownSpectrum(jnp.ones(1), jnp.ones(1))
    moves = probes_of(plan, run, keys[4], is_smooth=is_smooth)
    signs = jax.random.rademacher(keys[4], (2, n), float)
    found = fresh_rows(method, rows[:n], run, side, jnp.zeros(n, int), moves, signs)
    return (found.errors.mean(axis=1) + found.influence.error)[-1], held_out_error(method, run, rows[n:], labels[n:])[
        -1
    ]


def bias(method, *, runs, probes, is_smooth, steps=10):
    """Return the mean relative error of the estimate and its standard error."""
    head = method.init_head(jax.random.key(5))
    keys = jax.random.split(jax.random.key(11), runs)
    pairs = [one_run(method, head, key, probes=probes, is_smooth=is_smooth, steps=steps) for key in keys]
    estimated, true = np.array(pairs).T
    return (estimated - true).mean() / true.mean(), (estimated - true).std() / np.sqrt(runs) / true.mean()


CASES = {
    "relu": (network("relu", rate=0.5), 8, False),
    "mini-batches": (dt.mini_batches(network(), 0.5), None, True),
    "epochs": (dt.mini_batches(network(), 0.5, replacement=False), None, True),
    "logistic": (network(loss="logistic"), None, True),
    "huber": (network(loss="huber"), None, True),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.full] * (name in ("epochs", "huber"))) for name in CASES]
)
def test_the_mean_over_runs_is_the_error_on_fresh_rows(name, double):
    method, probes, is_smooth = CASES[name]
    found, error = bias(method, runs=60, probes=probes, is_smooth=is_smooth)
    assert error < 0.025
    assert abs(found) < 3.5 * error + 0.02


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


def test_derivatives_miss_what_a_kink_adds(double):
    method, *_ = CASES["relu"]
    found, error = bias(method, runs=60, probes=None, is_smooth=True)
    assert found < -3 * error


def test_the_training_error_is_no_estimate():
    rows, labels = data(100, 50)
    found = dt.estimate(rows, labels, network(), num_steps=20, key=KEY)
    last = found.at(20)
    assert last["test_error"] - last["train_error"] > 5 * last["test_error_standard_error"]


def test_random_probes_and_groups_are_near_the_exact_ones(double):
    rows, labels = data(120, 60, decay=0.5)
    method, steps = network(), 8
    x, units = standardised(rows)
    head, weights = method.init_head(KEY), jax.random.normal(KEY, (60, 3), float)
    run = train_on(
        method, jnp.asarray(x), jnp.asarray(labels), head, weights, jnp.zeros((steps, len(x), 0)), num_steps=steps
    )
    size, curves = RunSize(120, 60, 3, steps, 3, True), {}
    choices = {"exact": (120, 120, None), "probes": (120, 120, 60), "groups": (12, 80, 80), "one": (0, 120, 60)}
    for name, choice in choices.items():
        plan = size.cost(*choice)
        chosen = feature_side("sample", x, units, num_groups=plan.num_groups, num_steps=steps)
        probes = probes_of(plan, run, KEY, is_smooth=True)
        found = fresh_rows(method, jnp.asarray(x), run, chosen.side, chosen.groups, probes, jnp.zeros((0, 120)))
        curves[name] = np.asarray(found.errors.mean(axis=1))
    np.testing.assert_allclose(curves["probes"], curves["exact"], rtol=0.02)
    np.testing.assert_allclose(curves["groups"], curves["exact"], rtol=0.04)
    np.testing.assert_allclose(curves["one"], curves["exact"], rtol=0.1)
    gap = curves["exact"][-1] - float(run.train_error[-1])
    assert abs(curves["one"][-1] - curves["exact"][-1]) < 0.25 * gap
    assert np.abs(curves["probes"] / curves["exact"] - 1).max() > 1e-6


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


@pytest.mark.parametrize("covariance", ["shrinkage", np.linspace(0.5, 1.5, 9), "spectrum", "pool"])
def test_other_ways_to_know_the_covariance_are_near(covariance):
    rows, labels = data(150, 30)
    given = {"spectrum": dt.spectra.Spectrum([1.0]), "pool": data(2000, 30, seed=4)[0]}
    given = given.get(covariance, covariance) if isinstance(covariance, str) else covariance
    found = dt.estimate(rows, labels, network(), num_steps=8, key=KEY, covariance=given)
    sample = dt.estimate(rows, labels, network(), num_steps=8, key=KEY)
    np.testing.assert_allclose(found.test_error, sample.test_error, rtol=0.06)
