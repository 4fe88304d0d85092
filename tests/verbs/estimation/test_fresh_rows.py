"""Fresh rows from trained ones: right in the mean over runs, and with cheaper probes nearly the same."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dyntheory as dt
from dyntheory.problem.laws.rows import standardised
from dyntheory.verbs.estimation.covariance import chosen_spectrum
from dyntheory.verbs.estimation.fresh_rows import fresh_rows, held_out_error
from dyntheory.verbs.estimation.plan import RunSize
from dyntheory.verbs.estimation.probes import probes_of
from dyntheory.verbs.estimation.training_run import train_on
from dyntheory.verbs.estimation.weight_responses import KnownSpectrum
from tests.verbs.estimation.runs import KEY, data, network


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
    white = KnownSpectrum(jnp.ones(1), jnp.ones(1))
    moves = probes_of(plan, run, keys[4], is_smooth=is_smooth)
    signs = jax.random.rademacher(keys[4], (2, n), float)
    found = fresh_rows(method, rows[:n], run, white, jnp.zeros(n, int), moves, signs)
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


def test_derivatives_miss_what_a_kink_adds(double):
    method, *_ = CASES["relu"]
    found, error = bias(method, runs=60, probes=None, is_smooth=True)
    assert found < -3 * error


@pytest.mark.full
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
        chosen = chosen_spectrum("sample", x, units, num_groups=plan.num_groups, num_steps=steps)
        probes = probes_of(plan, run, KEY, is_smooth=True)
        found = fresh_rows(method, jnp.asarray(x), run, chosen.spectrum, chosen.groups, probes, jnp.zeros((0, 120)))
        curves[name] = np.asarray(found.errors.mean(axis=1))
    np.testing.assert_allclose(curves["probes"], curves["exact"], rtol=0.02)
    np.testing.assert_allclose(curves["groups"], curves["exact"], rtol=0.04)
    np.testing.assert_allclose(curves["one"], curves["exact"], rtol=0.1)
    gap = curves["exact"][-1] - float(run.train_error[-1])
    assert abs(curves["one"][-1] - curves["exact"][-1]) < 0.25 * gap
    assert np.abs(curves["probes"] / curves["exact"] - 1).max() > 1e-6
