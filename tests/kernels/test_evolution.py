"""The kernel along training: closed forms of a small model, and networks of growing width."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dyntheory.kernels import kernel_evolution

pytestmark = pytest.mark.usefixtures("double")
INPUTS = np.random.default_rng(11).standard_normal((8, 3))
LABELS = np.sign(INPUTS[:, 0])


def network(params: Any, x: jax.Array) -> jax.Array:
    first, last = params
    return jnp.tanh(x @ first / np.sqrt(3)) @ last / np.sqrt(len(last))


def _path(width: int, num_steps: int = 40) -> list[Any]:
    draw = np.random.default_rng(width).standard_normal
    params = (jnp.asarray(draw((3, width))), jnp.asarray(draw(width)))

    @jax.jit
    def step(params: Any) -> Any:
        gradient = jax.grad(lambda p: jnp.mean((network(p, jnp.asarray(INPUTS)) - LABELS) ** 2) / 2)(params)
        return jax.tree.map(lambda p, g: p - 1.0 * g, params, gradient)

    path = [params]
    for _ in range(num_steps):
        path.append(step(path[-1]))
    return path[::20]


def test_wider_networks_are_lazier() -> None:
    changes = [kernel_evolution(network, _path(width), INPUTS, LABELS) for width in (20, 2000)]
    assert float(changes[0].laziness) > 5 * float(changes[1].laziness) > 0
    assert float(changes[0].parameter_change[-1]) > 3 * float(changes[1].parameter_change[-1])
    assert float(changes[0].alignment[-1]) > float(changes[0].alignment[0])


def test_a_linear_model_is_perfectly_lazy() -> None:
    path = [np.ones(3), np.array([3.0, -1.0, 2.0])]
    found = kernel_evolution(lambda w, x: x @ w, path, INPUTS)
    np.testing.assert_allclose(found.relative_change, 0, atol=1e-15)
    assert found.alignment is None and float(found.parameter_change[1]) > 1


def test_rescaling_changes_size_but_not_direction() -> None:
    found = kernel_evolution(lambda w, x: w[0] * (x @ w[1:]), [np.ones(4), np.array([2.0, 1, 1, 1])], INPUTS)
    kernels = [a * INPUTS @ INPUTS.T + np.outer(INPUTS.sum(1), INPUTS.sum(1)) for a in (1.0, 4.0)]
    change = np.linalg.norm(kernels[1] - kernels[0]) / np.linalg.norm(kernels[0])
    np.testing.assert_allclose(found.relative_change[1], change, rtol=1e-12)
    cosine = np.sum(kernels[0] * kernels[1]) / np.linalg.norm(kernels[0]) / np.linalg.norm(kernels[1])
    np.testing.assert_allclose(found.distance[1], 1 - cosine, rtol=1e-9)
    doubled = kernel_evolution(lambda w, x: x @ w**2, [np.ones(3), 2 * np.ones(3)], INPUTS)
    np.testing.assert_allclose(doubled.relative_change[1], 3, rtol=1e-12)
    np.testing.assert_allclose(doubled.distance[1], 0, atol=1e-15)


def test_bad_input_says_what_was_wrong() -> None:
    with pytest.raises(ValueError, match="empty"):
        kernel_evolution(network, [], INPUTS)
    with pytest.raises(ValueError, match="labels"):
        kernel_evolution(network, _path(4, 0), INPUTS, LABELS[:3])
