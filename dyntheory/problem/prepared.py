"""What `predict` and `simulate` share: checked arguments, heads, the joint second moment, provenance."""

from __future__ import annotations

import dataclasses
import platform
from importlib.metadata import version
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import Array, Key, PyTree
from dyntheory.ground.checks import check_count, check_key, holds_numbers, is_concrete, shown
from dyntheory.ground.identity.fingerprint import fingerprint
from dyntheory.ground.identity.versions import versions
from dyntheory.ground.precision import abstract_array, as_double
from dyntheory.ground.randomness import stream
from dyntheory.ground.version import __version__
from dyntheory.problem.laws.first_layer import FirstLayer, joint_second_moment
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.methods.contract import check_maps, check_method
from dyntheory.problem.methods.label_kinds import check_labels_of
from dyntheory.problem.methods.method import GeneralFirstOrderMethod


class PreparedProblem(NamedTuple):
    """A checked problem in double precision, ready for the core; `draw` is (W*, W⁰) where one is given."""

    law: TeacherStudent
    method: GeneralFirstOrderMethod
    heads: tuple[PyTree, ...]
    joint_second_moment: Array
    draw: tuple[Array, Array] | None = None


class Given(NamedTuple):
    """What a caller said of the start. The rest is drawn from the key, or follows from law and method."""

    head: PyTree = None
    first_layer: FirstLayer | None = None


def check_problem(law: Any, method: Any, first_layer: Any, num_steps: Any, key: Any, num_heads: Any) -> tuple[int, int]:
    """Check the arguments that both verbs take, and return the numbers of steps and heads as Python's integers.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: a number outside its range.
    """
    if not isinstance(law, TeacherStudent):
        raise TypeError(f"`law` must be a law such as TeacherStudent(...), got {law!r}.")
    check_method(method)
    if first_layer is not None and not isinstance(first_layer, FirstLayer):
        raise TypeError(f"`first_layer` must be a FirstLayer(...), got {first_layer!r}.")
    check_key(key)
    for data in (law, first_layer):
        if data is not None:
            data.__post_init__()  # JAX makes such values anew without asking the constructor
    return check_count("num_steps", num_steps, minimum=0), check_count("num_heads", num_heads)


def prepare(
    law: TeacherStudent,
    method: GeneralFirstOrderMethod,
    key: Key,
    *,
    head: PyTree,
    first_layer: FirstLayer | None,
    num_heads: int,
) -> PreparedProblem:
    """Return the problem in double precision; call inside `double_precision`.

    Raises:
        ValueError: heads or moments of the wrong shape, labels that do not fit predictions or the loss.
    """
    if first_layer is None and method.starts_at_zero:
        first_layer = FirstLayer(second_moment=np.zeros((method.num_units, method.num_units)))
    law, method, layer = as_double(law), as_double(method), as_double(first_layer)
    keys = jax.random.split(stream(key, "head"), num_heads) if num_heads > 1 else [stream(key, "head")]
    if head is not None and num_heads > 1:
        raise ValueError("Give `head` or `num_heads`, not both: `num_heads` averages over draws of the head.")
    drawn = tuple(as_double(method.init_head(head_key)) for head_key in keys)
    heads = drawn if head is None else (check_head(head, drawn[0]),)
    joint = joint_second_moment(layer, law.teacher_moment, method.num_units)
    _check_shapes(law, method, heads[0])
    check_maps(law, method, heads[0])
    check_labels_of(law, method)
    draw = None if layer is None else layer.draw
    return PreparedProblem(law, method, heads, joint, draw)


def identity_of(problem: PreparedProblem, given: Given, key: Key) -> dict[str, Any]:
    """Return what a problem is, for a checkpoint: what was asked for, and nothing that was computed from it.

    Call inside `double_precision`.

    Raises:
        ValueError: a function or an object that cannot be identified.
    """
    layer = as_double(given.first_layer)
    start = None if layer is None else problem.draw or (layer.second_moment, layer.teacher_overlap)
    return {
        "law": fingerprint(problem.law),
        "method": fingerprint(problem.method),
        "head": None if given.head is None else fingerprint(problem.heads),
        "num_heads": len(problem.heads),
        "first_layer": None if start is None else fingerprint(start),
        "key": fingerprint(key),
        **versions(),
    }


def check_head(head: PyTree, expected: PyTree) -> PyTree:
    """Return a given head in double precision, refused unless it is finite and has the expected structure.

    Raises:
        TypeError: a leaf that holds no numbers.
        ValueError: another structure or shape, or entries that are not finite.
    """
    given, wanted = jax.tree.structure(head), jax.tree.structure(expected)
    shapes = jax.tree.map(lambda leaf: leaf.shape, expected)
    if given != wanted:
        raise ValueError(f"`head` must have the structure of `network.init_head(key)`: {shapes}, got {given}.")
    for path, leaf in jax.tree_util.tree_leaves_with_path(head):
        if not holds_numbers(leaf):
            raise TypeError(f"`head`{jax.tree_util.keystr(path)} must hold numbers, got {shown(leaf)}.")
    head = as_double(head)
    for (path, leaf), target in zip(jax.tree_util.tree_leaves_with_path(head), jax.tree.leaves(expected), strict=True):
        place = jax.tree_util.keystr(path)
        if leaf.shape != target.shape:
            raise ValueError(f"`head`{place} must have shape {target.shape}, got {leaf.shape}.")
        if not bool(jnp.all(jnp.isfinite(leaf))):
            raise ValueError(f"`head`{place} must be finite.")
    return head


def _check_shapes(law: TeacherStudent, method: GeneralFirstOrderMethod, head: PyTree) -> None:
    prediction = jax.eval_shape(method.output, head, abstract_array((method.num_units,))).shape
    if prediction != law.label_shape:
        raise ValueError(
            f"The network's output has shape {prediction} and the law's labels have shape {law.label_shape}: "
            "change `num_outputs` of the network or the `link`."
        )


def provenance(problem: PreparedProblem, key: Key, kind: str, **numbers: Any) -> dict[str, Any]:
    """Return what is needed to do it again: versions, device kind, dtype, key, configuration. Plain JSON values."""
    law, method = problem.law, problem.method
    return {
        "kind": kind,
        **environment(key),
        "law": {
            "samples_per_feature": float(law.samples_per_feature),
            "link": str(getattr(law.link, "name", law.link)),
            "noise_std": float(law.noise_std),
            "teacher_second_moment": np.asarray(law.teacher_moment).tolist(),
            **({} if law.teacher_prior is None else {"teacher_prior": _plain(law.teacher_prior)}),
            **({} if law.features is None else {"features": _plain(law.features)}),
        },
        "method": described(method),
        "joint_second_moment": np.asarray(problem.joint_second_moment).tolist(),
        **{
            name: value
            for name, value in numbers.items()
            if value is None or is_concrete(value) or isinstance(value, str)
        },
    }


def environment(key: Key) -> dict[str, Any]:
    """Return versions, device kind, precision and key."""
    return {
        "dyntheory": __version__,
        "jax": jax.__version__,
        "jaxlib": version("jaxlib"),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "device": jax.devices()[0].device_kind,
        "dtype": "float64",
        "key": np.asarray(jax.random.key_data(key)).tolist(),
    }


def described(method: GeneralFirstOrderMethod) -> dict[str, Any]:
    """Return a method as JSON values."""
    return {
        "name": method.name,
        "description": method.description,
        "hyperparameters": _plain(method.hyperparameters),
    }


def _plain(value: Any) -> Any:
    """Return numbers as JSON values and named parts, priors say, by their names."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if dataclasses.is_dataclass(value):
        fields = {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"name": type(value).__name__, **fields}
    return str(getattr(value, "__name__", value)) if callable(value) else np.asarray(value).tolist()
