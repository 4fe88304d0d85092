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

from dyntheory.ground.arrays import Array, Key, PyTree
from dyntheory.ground.checks import check_count
from dyntheory.ground.kinds import check_fields
from dyntheory.ground.pytrees import register_leaves

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


def no_head(key: Key) -> PyTree:
    """Return the head of a method without a network: none."""
    del key
    return {}


def no_head_of(shared: PyTree) -> PyTree:
    """Return the same."""
    del shared
    return {}


def no_state(label: Array, shared: PyTree) -> PyTree:
    """Return the state of a sample row that remembers nothing."""
    del label, shared
    return ()


def weight_row(row: Array, shared: PyTree) -> PyTree:
    """Return the state of a feature row that is the weights themselves."""
    del shared
    return row


def first_preactivation(head: PyTree, h: Array) -> Array:
    """Return the prediction of a method without a network: h itself."""
    del head
    return h[0]


def keep_shared(shared: PyTree, mean_stats: PyTree) -> PyTree:
    """Return the shared value as it is."""
    del mean_stats
    return shared


@dataclasses.dataclass(frozen=True)
class GeneralFirstOrderMethod:
    """An algorithm as row-wise maps. The functions are static, `hyperparameters` are data.

    Args:
        name: how it is called in tables and files.
        num_units: k, the number of columns of w and h.
        init_shared: (head, samples_per_feature, hyperparameters) -> shared, any pytree of small arrays.
        sample_map: (state, h, label, shared, u) -> (state, g, stats), h and g of shape (k,).
        feature_map: (state, p, shared, u) -> (state, w, stats), p and w of shape (k,).
        loss: (prediction, label) -> what is minimised.
        error: (prediction, label) -> what is reported.
        init_head: key -> head, the finite-dimensional parameters; default none, an empty dictionary.
        init_sample: (label, shared) -> state of one sample row; default none.
        init_feature: (initial weight row (k,), shared) -> state of one feature row; default the row.
        output: (head, h) -> prediction of shape () or (outputs,); default the first preactivation.
        head_of: shared -> head; default none.
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
        label_kind: what labels must be, see `dyntheory.problem.networks.losses.Loss`; None is any numbers.
        description: one line for provenance and tables.
        hyperparameters: numbers of the algorithm; new values do not recompile and can be differentiated.

    Raises:
        TypeError: a map that cannot be called with its arguments. What the maps return depends on the labels, so the
            verbs check it, before anything is compiled.
        ValueError: no units, or a negative number of uniforms.
    """

    name: str
    num_units: int
    init_shared: Callable[[PyTree, Array, PyTree], PyTree]
    sample_map: Callable[..., tuple[PyTree, Array, PyTree]]
    feature_map: Callable[..., tuple[PyTree, Array, PyTree]]
    loss: Callable[[Array, Array], Array]
    error: Callable[[Array, Array], Array]
    init_head: Callable[[Key], PyTree] = no_head
    init_sample: Callable[[Array, PyTree], PyTree] = no_state
    init_feature: Callable[[Array, PyTree], PyTree] = weight_row
    output: Callable[[PyTree, Array], Array] = first_preactivation
    head_of: Callable[[PyTree], PyTree] = no_head_of
    after_samples: Callable[[PyTree, PyTree], PyTree] = keep_shared
    after_features: Callable[[PyTree, PyTree], PyTree] = keep_shared
    noise_coefficients: tuple[float, float] | None = None
    sample_noise: int = 0
    feature_noise: int = 0
    smooth: bool | None = None
    has_kink: bool | None = None
    starts_at_zero: bool = False
    is_in_theorem: bool = False
    label_kind: str | None = None
    description: str = ""
    hyperparameters: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields(self)
        for name, minimum in (("num_units", 1), ("sample_noise", 0), ("feature_noise", 0)):
            object.__setattr__(self, name, check_count(name, getattr(self, name), minimum=minimum))
        for name, arguments in ARGUMENTS.items():
            problem = _cannot_take(getattr(self, name), len(arguments))
            if problem is not None:
                raise TypeError(f"`{name}` of {self.name} is called as {name}({', '.join(arguments)}): {problem}.")


register_leaves(GeneralFirstOrderMethod, ["hyperparameters"])


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
