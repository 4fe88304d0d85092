"""What a row has taught the weights: the published recursion where the covariance is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dyntheory as dt
from dyntheory.dynamics.impulses import impulse_response
from dyntheory.dynamics.two_time import residual_derivatives, two_time_responses
from dyntheory.problem.laws.rows import standardised
from dyntheory.verbs.estimation.covariance import chosen_spectrum
from dyntheory.verbs.estimation.debias import debias, run_responses
from dyntheory.verbs.estimation.plan import RunSize
from dyntheory.verbs.estimation.probes import probes_of
from dyntheory.verbs.estimation.training_run import train_on
from tests.verbs.estimation.runs import KEY, data, network


@pytest.mark.full
def test_known_covariance_is_the_published_recursion(double):
    rows, labels = data(60, 30)
    method, steps = network(momentum=0.5), 6
    x, units = standardised(rows)
    head = method.init_head(KEY)
    weights = jax.random.normal(KEY, (30, 3), float)
    run = train_on(
        method, jnp.asarray(x), jnp.asarray(labels), head, weights, jnp.zeros((steps, len(x), 0)), num_steps=steps
    )
    chosen = chosen_spectrum("isotropic", x, units, num_groups=1, num_steps=steps)
    plan = RunSize(60, 30, 3, steps, 3, True).cost(1, 60, None)
    probes = probes_of(plan, run, KEY, is_smooth=True)
    responses = run_responses(method, run, chosen.spectrum, chosen.groups, probes, jnp.asarray(2.0))
    found = debias(run, responses.weight, chosen.groups)
    law = dt.TeacherStudent(2.0)

    def derivatives(shared, h):
        noise = (jnp.asarray(labels) / 1.0)[:, None]
        given = dt.TeacherStudent(2.0, link=lambda z: 0.0 * z, noise_std=1.0)
        return residual_derivatives(given, method, shared, h, jnp.zeros((60, 1)), noise)

    recorded = jax.vmap(derivatives)(run.shared, run.preactivations)
    first = jax.tree.map(lambda leaf: leaf[0], run.shared)
    impulse = impulse_response(method, first, run.feature_shared, steps)
    known = two_time_responses(recorded, impulse, jnp.full(60, 1 / 60), jnp.asarray(law.samples_per_feature))
    memory = jnp.einsum("tsab,snb->tna", known.weight, recorded.values)
    np.testing.assert_allclose(found, run.preactivations - memory, rtol=1e-9, atol=1e-11)
