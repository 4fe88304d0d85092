"""What a feature map is, found by asking it: whether it is linear over a run, whether it jumps."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import Array, PyTree
from dyntheory.ground.checks import is_concrete
from dyntheory.ground.precision import as_double, double_precision
from dyntheory.problem.methods.method import GeneralFirstOrderMethod

PROBE_SCALES = (1.0, 1e4, 1e-3)
JUMP_GRID, JUMP_WIDTH = np.linspace(-3.0, 3.0, 2001), 1e-6
GENERIC_NUMBER = 0.1


def feature_map_is_linear(method: GeneralFirstOrderMethod, head: PyTree, *, num_steps: int) -> bool:
    """Return whether the feature side is linear and homogeneous in (w⁰, p⁰, p¹, …) over a run, found by probing.

    Three histories a, b and 2a − 3b of the whole length are sent through the map, at three scales; the rows that come
    back must combine in the same way. Such a map commutes with rotations of the features, so coordinates in a frame
    replace nodes. A map that asks for uniforms or returns row statistics is never called linear.

    Args:
        method: the method.
        head: an initial head, for its shared value.
        num_steps: length of the run: a schedule may wake up late.
    """
    if method.feature_noise:
        return False
    with double_precision():
        shared = method.init_shared(as_double(head), jnp.asarray(1.7), method.hyperparameters)
        row = jnp.zeros(method.num_units)
        outcome = jax.eval_shape(method.feature_map, method.init_feature(row, shared), row, shared, jnp.zeros(0))
        if jax.tree.leaves(outcome[2]):
            return False
        probe = functools.partial(_linearity_defect, num_steps=max(num_steps, 1))
        return all(float(probe(method, shared, scale)) <= 1.0 for scale in PROBE_SCALES)


@functools.partial(jax.jit, static_argnames=("num_steps",))
def _linearity_defect(method: GeneralFirstOrderMethod, shared: PyTree, scale: Array, *, num_steps: int) -> Array:
    """Return the largest violation of linearity in units of what rounding explains."""
    random = np.random.default_rng(0)
    first, second = (scale * jnp.asarray(random.standard_normal((num_steps + 1, method.num_units))) for _ in range(2))

    def roll(history: Array) -> Array:
        def step(state: PyTree, p: Array) -> tuple[PyTree, Array]:
            state, weights, _ = method.feature_map(state, p, shared, jnp.zeros(0))
            return state, weights

        return jax.lax.scan(step, method.init_feature(history[0], shared), history[1:])[1]

    rows = [roll(history) for history in (first, second, 2.0 * first - 3.0 * second)]
    moved = jnp.max(jnp.abs(rows[0] - first[:1])) + jnp.max(jnp.abs(rows[1] - second[:1]))
    largest = jnp.max(jnp.abs(jnp.stack(rows)))
    rounding = jnp.finfo(rows[0].dtype).eps
    allowed = 1e7 * rounding * moved + 1e3 * rounding * largest
    return jnp.max(jnp.abs(rows[2] - 2.0 * rows[0] + 3.0 * rows[1])) / allowed


def feature_map_jumps(method: GeneralFirstOrderMethod) -> bool:
    """Return whether the feature map jumps somewhere in p (sign does; so does the first step of Adam), by probing.

    Rows p along a line are sent through the map, first and after one earlier step. Where neighbours on a fine grid
    differ most, the interval is halved until it is 1e-6 wide: what is continuous then shrinks with it. Numbers that are
    traced are replaced by a generic one.

    Args:
        method: the method.
    """
    with double_precision(), jax.ensure_compile_time_eval():
        numbers = jax.tree.map(lambda x: x if is_concrete(x) else _generic(np.shape(x)), method.hyperparameters)
        shared = method.init_shared(as_double(method.init_head(jax.random.key(0))), jnp.asarray(1.7), numbers)
        random = np.random.default_rng(0)
        start, first, line = (jnp.asarray(random.standard_normal(method.num_units)) for _ in range(3))
        u = jnp.full(method.feature_noise, 0.5)
        fresh = method.init_feature(start, shared)
        used = method.feature_map(fresh, first, shared, u)[0]

        def rows(state: PyTree, places: np.ndarray) -> np.ndarray:
            moved = jax.vmap(lambda t: method.feature_map(state, t * line, shared, u)[1])(jnp.asarray(places))
            return np.asarray(moved)

        return any(_jumps(functools.partial(rows, state)) for state in (fresh, used))


def _generic(shape: tuple[int, ...]) -> np.ndarray:
    """Return numbers in place of traced ones; those of an array sum to one, as probabilities of a prior must."""
    return np.full(shape, 1.0 / np.prod(shape) if shape else GENERIC_NUMBER)


def _jumps(rows: Callable[[np.ndarray], np.ndarray]) -> bool:
    """Return whether rows along a line jump where they change fastest."""
    places = JUMP_GRID
    first = None
    while True:
        change = np.abs(np.diff(rows(places), axis=0)).max(axis=1)
        widest = int(np.argmax(change))
        first = change[widest] if first is None else first
        low, high = places[widest], places[widest + 1]
        if high - low < JUMP_WIDTH:
            return bool(change[widest] > 0.5 * first) and bool(first > 0)
        places = np.linspace(low, high, 65)
