"""Checks of a method's maps before anything is compiled: shapes, structures, purity; which map is wrong and how.

That a map takes its arguments was checked when the method was made; what it returns depends on the labels of a law.
Maps see one row and present values only, so a method is row-wise and causal by the way it is called. What can still be
wrong is what they return: another length, a state or a shared value that changes its structure (a growing history), or
numbers that are drawn in secret and differ from call to call. Maps are traced, not run.
"""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import PyTree
from dyntheory.ground.precision import abstract_array
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.methods.method import GeneralFirstOrderMethod


def check_method(method: Any) -> None:
    """Require a method.

    Raises:
        TypeError: anything else.
    """
    if not isinstance(method, GeneralFirstOrderMethod):
        raise TypeError(f"`method` must be a method such as gradient_descent(...), got {method!r}.")


def check_maps(law: TeacherStudent, method: GeneralFirstOrderMethod, head: PyTree) -> None:
    """Trace every map on rows of the right shapes; call inside `double_precision`.

    Args:
        law: for the shape of a label.
        method: the maps.
        head: an initial head.

    Raises:
        ValueError: a map that returns something else than it must, or not the same when called twice.
    """
    row, label = (abstract_array(shape) for shape in ((method.num_units,), law.label_shape))
    uniforms = [abstract_array((count,)) for count in (method.sample_noise, method.feature_noise)]
    shared = _call(method, "init_shared", head, abstract_array(()), method.hyperparameters)
    _check_numbers(method, _call(method, "output", _call(method, "head_of", shared), row), label)
    sample = _call(method, "init_sample", label, shared)
    feature = _call(method, "init_feature", row, shared)
    _check_half(method, "sample", sample, (row, label), shared, uniforms[0])
    _check_half(method, "feature", feature, (row,), shared, uniforms[1])


def _check_numbers(method: GeneralFirstOrderMethod, prediction: Any, label: Any) -> None:
    """Check loss and error, before the maps take derivatives of the loss."""
    for name in ("loss", "error"):
        try:
            value = _call(method, name, prediction, label)
        except Exception as error:
            raise ValueError(
                f"`{name}` of {method.description or method.name} does not take a prediction of shape "
                f"{prediction.shape} with a label of shape {label.shape}: {error}"
            ) from error
        if value.shape != ():
            raise ValueError(f"`{name}` of {method.name} must return one number, got shape {value.shape}.")


def _check_half(
    method: GeneralFirstOrderMethod, side: str, state: PyTree, rows: tuple[Any, ...], shared: PyTree, u: Any
) -> None:
    """Check one map and the update after it."""
    name, after = f"{side}_map", f"after_{side}s"
    given = (state, *rows, shared, u)
    returned = _call(method, name, *given)
    if not isinstance(returned, tuple) or len(returned) != 3:
        raise ValueError(f"`{name}` of {method.name} must return (state, row, statistics), got {_shapes(returned)}.")
    new_state, row, stats = returned
    if getattr(row, "shape", None) != (method.num_units,):
        raise ValueError(
            f"`{name}` of {method.name} must return a row of shape ({method.num_units},), one number for each unit, "
            f"got {_shapes(row)}."
        )
    _check_same(method, name, "state of a row", new_state, f"init_{side}", state)
    if not _same_program(getattr(method, name), given):
        raise ValueError(
            f"`{name}` of {method.name} gives other numbers when it is called again with the same arguments. A map "
            f"must depend on its arguments alone: for randomness ask for uniforms with `{side}_noise`."
        )
    _check_same(method, after, "shared value", _call(method, after, shared, stats), "init_shared", shared)


def _check_same(method: GeneralFirstOrderMethod, name: str, what: str, new: PyTree, origin: str, old: PyTree) -> None:
    if _shapes(new) != _shapes(old):
        raise ValueError(
            f"`{name}` of {method.name} must return a {what} with the structure and shapes that `{origin}` gave it, "
            f"{_shapes(old)}, got {_shapes(new)}."
        )


def _same_program(function: Any, arguments: tuple[Any, ...]) -> bool:
    """Return whether tracing twice gives the same program with the same constants."""
    first, second = (jax.make_jaxpr(lambda *a: function(*a))(*arguments) for _ in range(2))
    texts = [re.sub(r"0x[0-9a-f]+", "", str(one.jaxpr)) for one in (first, second)]
    pairs = zip(first.consts, second.consts, strict=False)
    return texts[0] == texts[1] and all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)


def _call(method: GeneralFirstOrderMethod, name: str, *arguments: Any) -> Any:
    """Return the shapes of what a map returns."""
    function = getattr(method, name)
    return jax.eval_shape(lambda *a: function(*a), *arguments)


def _shapes(tree: PyTree) -> str:
    """Return the structure and, in order, the shapes of its leaves."""
    leaves, structure = jax.tree.flatten(tree)
    if len(leaves) == 1 and jax.tree.structure(0) == structure:
        return f"shape {jnp.shape(leaves[0])}"
    return f"{structure} with shapes {[jnp.shape(leaf) for leaf in leaves]}"
