"""Jumps of the feature map that only the run's shared values wake up: derivatives are refused, values are not."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.dynamics.differentiation import kinks
from dyntheory.dynamics.seen_by_features import Noted, refusing_jumps
from dyntheory.gaussian.nodes import draw_nodes
from dyntheory.problem.methods.probing import FeatureMaps, feature_map_jumps, jumps_along
from dyntheory.problem.shape import Shape
from tests.own_methods import Threshold, thresholded, wakes_up, wakes_up_on_data

STEPS = 4


def _hard(threshold: Threshold) -> dt.GeneralFirstOrderMethod:
    """Return the method that sets small weights to zero and leaves the others."""

    def feature_map(state: Any, p: Any, shared: Any, u: Any) -> Any:
        del u
        moved = state - 0.3 * p / shared["alpha"]
        row = jnp.where(jnp.abs(moved) > shared["threshold"], moved, 0.0)
        return row, row, ()

    return dataclasses.replace(thresholded(threshold), feature_map=feature_map)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(
    ("method", "jumps"),
    [
        (dt.gradient_descent(dt.LinearModel(), optax.sign_sgd, learning_rate=0.1), True),
        (dt.bayes_amp(dt.priors.bernoulli_gauss(0.2)), False),
        (dt.proximal_gradient(0.3, 0.2), False),
        (_hard(lambda step, tau: 0.0 * tau), False),
    ],
    ids=["sign", "posterior mean", "soft threshold", "threshold of zero"],
)
def test_jumps_at_the_start(method: dt.GeneralFirstOrderMethod, jumps: bool) -> None:
    assert feature_map_jumps(method) is jumps


@pytest.mark.usefixtures("double")
def test_statistics_count_too() -> None:
    """A soft threshold is continuous, its slope is not, and message passing takes the mean of that."""
    method = dt.lasso_amp(1.2)
    first = method.init_shared({}, jnp.asarray(2.0), method.hyperparameters)
    for tau, jumps in ((0.0, False), (0.5, True)):
        seen = jax.tree.map(lambda leaf: leaf[None], {**first, "tau": jnp.asarray(tau)})
        assert bool(jumps_along(FeatureMaps.of(method), first, seen, jnp.ones((1, 1)))) is jumps
    assert kinks(dt.TeacherStudent(2.0), method)[0]


def _noted(thresholds: list[float]) -> Noted:
    count = len(thresholds)
    shared = {"alpha": jnp.full(count, 2.0), "step": jnp.arange(count) * 1.0, "threshold": jnp.asarray(thresholds)}
    return Noted(shared, shared, jnp.ones((count, 1)))


@pytest.mark.usefixtures("double")
def test_a_jump_at_any_step_is_found() -> None:
    method = _hard(wakes_up)

    def value(x: jax.Array, thresholds: list[float]) -> jax.Array:
        return refusing_jumps({"a": x**2}, method, _noted(thresholds))["a"]

    assert jax.grad(value)(3.0, [0.0, 0.0, 0.0]) == 6.0
    assert value(jnp.asarray(3.0), [0.0, 0.0, 0.3]) == 9.0
    with pytest.raises(ValueError, match="own thresholds jumps with what rows share along this run"):
        jax.grad(value)(3.0, [0.0, 0.0, 0.3])


@pytest.mark.usefixtures("double")
def test_derivatives_of_a_run_that_wakes_a_jump_are_not_numbers() -> None:
    law, method = dt.TeacherStudent(2.0, noise_std=0.2), _hard(wakes_up_on_data)
    shape = Shape.of(law, method, STEPS)
    sizes = (shape.sample_dimensions, shape.test_dimensions, shape.feature_dimensions)
    nodes = [draw_nodes(2**7, size, num_heavy=heavy, seed=heavy) for size, heavy in zip(sizes, (1, 1, 0), strict=True)]

    def errors(noise: Any) -> jax.Array:
        noisy = dt.TeacherStudent(2.0, noise_std=noise)
        moment = jnp.diag(jnp.asarray([1.0, 0.0]))
        options: dict[str, Any] = {"num_steps": STEPS, "feature_nodes": nodes[2]}
        return dt.state_evolution(noisy, method, {}, moment, *nodes[:2], **options).test_error

    def value_and_slope(noise: float) -> tuple[jax.Array, jax.Array]:
        return jax.jvp(errors, (noise,), (1.0,))

    program = jax.jit(value_and_slope)
    with pytest.warns(dt.DyntheoryWarning, match="Its derivatives are NaN"):
        value, slope = jax.block_until_ready(program(0.2))
        jax.effects_barrier()
    assert np.isfinite(value).all() and np.isnan(slope).all()
    _, quiet = program(2.0)  # never good enough to wake it
    jax.effects_barrier()
    step = 1e-3
    difference = (program(2.0 + step)[0] - program(2.0 - step)[0]) / (2 * step)
    np.testing.assert_allclose(quiet, difference, rtol=1e-5)
