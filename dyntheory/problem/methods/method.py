"""A method is data: row-wise maps of a general first-order method. Nothing in it knows n, d or the matrix X.

One step, with h = X w/√d and p = Xᵀ g/√d answered by whoever holds the matrix:

    sample_map      (state_i, h_i, label_i, shared, u_i) -> (state_i, g_i, stats_i)    one row of length k
    after_samples   (shared, mean_i stats_i)             -> shared
    feature_map     (state_j, p_j, shared, u_j)          -> (state_j, w_j, stats_j)
    after_features  (shared, mean_j stats_j)             -> shared

Reference: `celentano2021high`, general first-order methods; `han2025precise` for networks.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import Array, Key, PyTree
from dyntheory.ground.checks import check_count, is_concrete
from dyntheory.ground.precision import as_double, double_precision

ARGUMENTS = {
    "init_head": ("key",),
    "init_shared": ("head", "samples_per_feature", "hyperparameters"),
    "init_sample": ("label", "shared"),
    "init_feature": ("row", "shared"),
    "sample_map": ("state", "h", "label", "shared", "u"),
    "feature_map": ("state", "p", "shared", "u"),
    "output": ("head", "h"),
    "loss": ("prediction", "label"),
    "error": ("prediction", "label"),
    "head_of": ("shared",),
    "after_samples": ("shared", "mean_stats"),
    "after_features": ("shared", "mean_stats"),
}


def _keep_shared(shared: PyTree, mean_stats: PyTree) -> PyTree:
    del mean_stats
    return shared


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class GeneralFirstOrderMethod:
    """An algorithm as row-wise maps. The functions are static, `hyperparameters` are data.

    Args:
        name: how it is called in tables and files.
        num_units: k, the number of columns of w and h.
        init_head: key -> head, the finite-dimensional parameters (an empty dictionary where there are none).
        init_shared: (head, samples_per_feature, hyperparameters) -> shared, any pytree of small arrays.
        init_sample: (label, shared) -> state of one sample row.
        init_feature: (initial weight row (k,), shared) -> state of one feature row.
        sample_map: (state, h, label, shared, u) -> (state, g, stats), h and g of shape (k,).
        feature_map: (state, p, shared, u) -> (state, w, stats), p and w of shape (k,).
        output: (head, h) -> prediction of shape () or (outputs,).
        loss: (prediction, label) -> what is minimised.
        error: (prediction, label) -> what is reported.
        head_of: shared -> head.
        after_samples: (shared, mean stats of the samples) -> shared.
        after_features: (shared, mean stats of the features) -> shared.
        noise_coefficients: see `dyntheory.problem.networks.losses.Loss`.
        sample_noise: uniforms a sample row receives at each step.
        feature_noise: uniforms a feature row receives at each step.
        smooth: whether the maps are smooth; None when unknown.
        has_kink: whether what the maps send back jumps somewhere (the derivative of a kinked activation); None when
            unknown.
        starts_at_zero: whether the first layer starts at zero where nothing else is said; independent standard normal
            entries otherwise.
        is_in_theorem: whether the published theorem is about this algorithm, given smooth maps.
        description: one line for provenance and tables.
        hyperparameters: numbers of the algorithm; new values do not recompile and can be differentiated.

    Raises:
        TypeError: a map that cannot be called with its arguments. What the maps return depends on the labels, so the
            verbs check it, before anything is compiled.
        ValueError: no units, or a negative number of uniforms.
    """

    name: str = dataclasses.field(metadata={"static": True})
    num_units: int = dataclasses.field(metadata={"static": True})
    init_head: Callable[[Key], PyTree] = dataclasses.field(metadata={"static": True})
    init_shared: Callable[[PyTree, Array, PyTree], PyTree] = dataclasses.field(metadata={"static": True})
    init_sample: Callable[[Array, PyTree], PyTree] = dataclasses.field(metadata={"static": True})
    init_feature: Callable[[Array, PyTree], PyTree] = dataclasses.field(metadata={"static": True})
    sample_map: Callable[..., tuple[PyTree, Array, PyTree]] = dataclasses.field(metadata={"static": True})
    feature_map: Callable[..., tuple[PyTree, Array, PyTree]] = dataclasses.field(metadata={"static": True})
    output: Callable[[PyTree, Array], Array] = dataclasses.field(metadata={"static": True})
    loss: Callable[[Array, Array], Array] = dataclasses.field(metadata={"static": True})
    error: Callable[[Array, Array], Array] = dataclasses.field(metadata={"static": True})
    head_of: Callable[[PyTree], PyTree] = dataclasses.field(metadata={"static": True})
    after_samples: Callable[[PyTree, PyTree], PyTree] = dataclasses.field(
        default=_keep_shared, metadata={"static": True}
    )
    after_features: Callable[[PyTree, PyTree], PyTree] = dataclasses.field(
        default=_keep_shared, metadata={"static": True}
    )
    noise_coefficients: tuple[float, float] | None = dataclasses.field(default=None, metadata={"static": True})
    sample_noise: int = dataclasses.field(default=0, metadata={"static": True})
    feature_noise: int = dataclasses.field(default=0, metadata={"static": True})
    smooth: bool | None = dataclasses.field(default=None, metadata={"static": True})
    has_kink: bool | None = dataclasses.field(default=None, metadata={"static": True})
    starts_at_zero: bool = dataclasses.field(default=False, metadata={"static": True})
    is_in_theorem: bool = dataclasses.field(default=False, metadata={"static": True})
    description: str = dataclasses.field(default="", metadata={"static": True})
    hyperparameters: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        check_count("num_units", self.num_units)
        for name in ("sample_noise", "feature_noise"):
            check_count(name, getattr(self, name), minimum=0)
        for name, arguments in ARGUMENTS.items():
            problem = _cannot_take(getattr(self, name), len(arguments))
            if problem is not None:
                raise TypeError(f"`{name}` of {self.name} is called as {name}({', '.join(arguments)}): {problem}.")


@functools.lru_cache(maxsize=4096)
def _cannot_take(function: Any, count: int) -> str | None:
    """Return why a function cannot be called with that many arguments, None where it can or where nobody knows."""
    if not callable(function):
        return f"it must be a function, got {function!r}"
    try:
        signature = inspect.signature(function)
    except ValueError:
        return None  # a built-in without a signature: the call itself will tell
    try:
        signature.bind(*[None] * count)
    except TypeError as error:
        return str(error)
    return None


PROBE_SCALES = (1.0, 1e4, 1e-3)


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


JUMP_GRID, JUMP_WIDTH = np.linspace(-3.0, 3.0, 2001), 1e-6
GENERIC_NUMBER = 0.1


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
