"""Kinds of arguments, read from annotations: what a parameter says that it takes is what it takes.

A public function begins with `check_arguments(itself, locals())`, a class of public data has `check_fields(self)` in
its `__post_init__`; both compare every value with its annotation. Numbers, counts, flags, functions, arrays, keys and
paths are known here, everything else by its class. Ranges are the matter of `checks`. What JAX is tracing passes as a
number.
"""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from numbers import Rational
from typing import Any, NamedTuple

import numpy as np

from dyntheory.ground.checks import check_key, holds_numbers, is_number, shown


class Kind(NamedTuple):
    """What an annotation asks for: in words, and as a question to a value."""

    words: str
    accepts: Callable[[Any], bool]


def _anything(value: Any) -> bool:
    del value
    return True


def _is_function(value: Any) -> bool:
    return callable(value) and not isinstance(value, type)


def _is_rule(value: Any) -> bool:
    return isinstance(value, tuple) and hasattr(value, "init") and hasattr(value, "update")


def _is_integer(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_path(value: Any) -> bool:
    return isinstance(value, os.PathLike) or (isinstance(value, str) and value != "")


def _is_figure(value: Any) -> bool:
    return not isinstance(value, type) and hasattr(value, "savefig")


def _is_axes(value: Any) -> bool:
    return not isinstance(value, type) and hasattr(value, "errorbar")


def _is_text_or_class(value: Any) -> bool:
    return isinstance(value, str | bytes | bytearray | type)


def _is_collection(value: Any) -> bool:
    if _is_text_or_class(value) or isinstance(value, Mapping) or getattr(value, "ndim", 1) == 0:
        return False
    return hasattr(value, "__iter__") and hasattr(value, "__len__")


def _is_covariance(value: Any) -> bool:
    return isinstance(value, str) or hasattr(value, "eigenvalues") or holds_numbers(value)


ANYTHING = Kind("anything", _anything)
FUNCTION = Kind("a function", _is_function)
NUMBER = Kind("a single number", is_number)
NUMBERS = Kind("a number or an array of numbers", holds_numbers)
NOTHING = Kind("None", lambda value: value is None)
NAMED = {
    **dict.fromkeys(("Any", "PyTree", "OptionalArray", "object"), ANYTHING),
    **dict.fromkeys(("Callable", "Progress", "Operator", "Apply", "Channel", "OptimizerFactory"), FUNCTION),
    **dict.fromkeys(("Number", "Scalar"), NUMBERS._replace(words="a number")),
    **dict.fromkeys(("ArrayLike", "Array", "Float", "Int"), NUMBERS),
    "Optimizer": Kind("an optax factory or transformation", lambda value: _is_function(value) or _is_rule(value)),
    "Covariance": Kind("a name, eigenvalues, a Spectrum or rows of inputs", _is_covariance),
    "float": NUMBER,
    "Rational": Kind("an int or a Fraction", lambda value: isinstance(value, Rational) and not isinstance(value, bool)),
    "int": Kind("an integer", _is_integer),
    "bool": Kind("True or False", lambda value: isinstance(value, bool | np.bool_)),
    "str": Kind("a string", lambda value: isinstance(value, str)),
    "Path": Kind("a path", _is_path),
    "Figure": Kind("a figure of matplotlib", _is_figure),
    "Axes": Kind("axes of matplotlib", _is_axes),
}
SAID = {
    "TeacherStudent": "a law such as TeacherStudent(...)",
    "GeneralFirstOrderMethod": "a method such as gradient_descent(...)",
    "FirstLayer": "a FirstLayer(...)",
    "Trajectory": "a Trajectory, what predict and simulate return",
    "Network": "a network such as MLP(hidden=(3,))",
    "Prior": "one of `dyntheory.priors`, such as rademacher()",
    "GaussianMixture": "a mixture of Gaussians of `dyntheory.priors`, such as rademacher()",
    "MarginLoss": "a MarginLoss, which `margin_loss` makes",
    "Loss": "a Loss(...)",
    "Spectrum": "a spectrum of dyntheory.spectra, such as Spectrum(eigenvalues) or spectrum_of(X) for a data matrix",
    "Layer": "a layer such as dense(10) or relu(), with its brackets",
}


def check_arguments(function: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Require of every argument the kind that its annotation names.

    Args:
        function: the public function itself.
        given: its `locals()` before anything else was done.

    Raises:
        TypeError: names the argument, what it must be and what was received.
        ValueError: an array of keys where one key is needed.
    """
    _check(_kinds_of_function(inspect.unwrap(function)), given)


def check_fields(record: Any) -> None:
    """Require of every field of a dataclass the kind that its annotation names.

    Raises:
        TypeError: names the field, what it must be and what was received.
    """
    kinds = _kinds_of_class(type(record))
    _check(kinds, {name: getattr(record, name) for name, _ in kinds})


def _check(kinds: tuple[tuple[str, Kind | None], ...], given: Mapping[str, Any]) -> None:
    for name, kind in kinds:
        value = given[name]
        if kind is None:
            check_key(value)
        elif not kind.accepts(value):
            if isinstance(value, np.ma.MaskedArray):
                raise TypeError(f"`{name}` is a masked array, whose mask would be lost: fill or drop what is masked.")
            raise TypeError(f"`{name}` must be {kind.words}, got {shown(value)}.")


@functools.cache
def _kinds_of_function(function: Any) -> tuple[tuple[str, Kind | None], ...]:
    """Return name and kind of every parameter that asks for something; None stands for a key."""
    found = []
    for name, parameter in inspect.signature(function).parameters.items():
        kind = _parsed(parameter.annotation, function.__globals__)
        if parameter.kind is parameter.VAR_POSITIONAL:
            kind = _many("tuple", kind)
        if parameter.kind is not parameter.VAR_KEYWORD and kind is not ANYTHING:
            found.append((name, kind))
    return tuple(found)


@functools.cache
def _kinds_of_class(cls: type) -> tuple[tuple[str, Kind | None], ...]:
    names = vars(sys.modules[cls.__module__])
    kinds = [(name, _parsed(annotation, names)) for name, annotation in cls.__annotations__.items()]
    return tuple((name, kind) for name, kind in kinds if kind is not ANYTHING)


def _parsed(annotation: Any, names: Mapping[str, Any]) -> Kind | None:
    """Return the kind of an annotation as it is written; one without words asks for nothing."""
    if not isinstance(annotation, str):
        return ANYTHING
    return None if annotation == "Key" else _kind(ast.parse(annotation, mode="eval").body, names)


def _kind(node: ast.expr, names: Mapping[str, Any]) -> Kind:
    if isinstance(node, ast.Constant):
        return NOTHING if node.value is None else _kind(ast.parse(str(node.value), mode="eval").body, names)
    if isinstance(node, ast.BinOp):
        return _either(_kind(node.left, names), _kind(node.right, names))
    if isinstance(node, ast.Subscript):
        return _subscripted(node, names)
    text = ast.unparse(node)
    if text in NAMED:
        return NAMED[text]
    root, *rest = text.split(".")
    found = names.get(root, getattr(builtins, root, None))
    return _instance(functools.reduce(getattr, rest, found))


def _either(left: Kind, right: Kind) -> Kind:
    if ANYTHING in (left, right):
        return ANYTHING
    words = right.words if left.words == "a string" and right.words == "a path" else f"{left.words} or {right.words}"
    if right.words == "a path":
        return right._replace(words=words)
    return Kind(words, lambda value: left.accepts(value) or right.accepts(value))


def _subscripted(node: ast.Subscript, names: Mapping[str, Any]) -> Kind:
    outer = ast.unparse(node.value)
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if outer == "Annotated":
        return _kind(inner[0], names)
    if outer in ("Mapping", "dict"):
        return _table(_kind(inner[1], names))
    if outer in ("Sequence", "Iterable", "tuple", "list"):
        is_fixed = outer == "tuple" and not (isinstance(inner[-1], ast.Constant) and inner[-1].value is Ellipsis)
        return _row([_kind(one, names) for one in inner]) if is_fixed else _many(outer, _kind(inner[0], names))
    return NAMED.get(outer, ANYTHING)


def _many(outer: str, kind: Kind | None) -> Kind:
    """Return the kind of any number of things of one kind; only an iterable may be one that runs out."""
    one = ANYTHING if kind is None else kind
    if outer == "Iterable":
        return Kind("an iterable", lambda value: hasattr(value, "__iter__") and not _is_text_or_class(value))

    def accepts(value: Any) -> bool:
        return _is_collection(value) and all(map(one.accepts, value))

    return Kind(f"a sequence, each of which must be {one.words}", accepts)


def _row(kinds: list[Kind]) -> Kind:
    def accepts(value: Any) -> bool:
        return (
            _is_collection(value)
            and len(value) == len(kinds)
            and all(kind.accepts(one) for kind, one in zip(kinds, value, strict=True))
        )

    return Kind(f"({', '.join(kind.words for kind in kinds)})", accepts)


def _table(kind: Kind) -> Kind:
    def accepts(value: Any) -> bool:
        return (
            isinstance(value, Mapping)
            and all(isinstance(name, str) for name in value)
            and all(map(kind.accepts, value.values()))
        )

    return Kind(f"a dictionary, name: {kind.words}", accepts)


def _instance(wanted: Any) -> Kind:
    """Return the kind of what is an instance of a class, or has the members that a protocol names."""
    if not isinstance(wanted, type):
        return ANYTHING
    article = "an" if wanted.__name__[0] in "AEIOU" else "a"
    words = SAID.get(wanted.__name__, f"{article} {wanted.__name__}")
    if not getattr(wanted, "_is_protocol", False):
        return Kind(words, lambda value: isinstance(value, wanted))
    members = [name for name in dir(wanted) if not name.startswith("_")]

    def has_members(value: Any) -> bool:
        # Looked up without calling: a property would compute itself to say that it is there.
        missing = object()
        found = (inspect.getattr_static(value, name, missing) is not missing for name in members)
        return not isinstance(value, type) and all(found)

    return Kind(words, has_members)
