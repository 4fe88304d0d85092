"""A result in two parts: named arrays, and a description fit for JSON that says which stands where."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from dyntheory.ground.arrays import PyTree
from dyntheory.ground.storage.marks import CLASSES, Axes, Coordinate, Hint, Leaves, Stacked, StoredAs, hints_of

Variables: typing.TypeAlias = dict[str, tuple[tuple[str, ...], np.ndarray]]

CLASS = "class"
LONGEST_PART, LONGEST_NAME = 200, 250  # NetCDF allows 256


class Place(NamedTuple):
    """Where in a result the walk stands.

    Args:
        path: names of fields, keys and numbers that lead here.
        lead: axes before all others.
        sizes: entries along the axes that the owner has coordinates for.
    """

    path: tuple[str, ...] = ()
    lead: tuple[str, ...] = ()
    sizes: Mapping[str, int] = types.MappingProxyType({})

    def __str__(self) -> str:
        return ".".join(self.path)

    @property
    def variable(self) -> str:
        """The name of an array, innermost name first: `train_loss_standard_error`."""
        return "_".join(map(_safe, reversed(self.path)))[:LONGEST_NAME]

    def inside(self, name: Any) -> Place:
        """Return the place of a field, a key or a number."""
        return self._replace(path=(*self.path, str(name)))


def described(result: Any) -> tuple[Variables, dict[str, Any]]:
    """Return the arrays of a dataclass by name, with their dimensions, and its description.

    Raises:
        TypeError: a field holds what no file can hold.
        ValueError: a shape contradicts the hints of the class.
    """
    encoder = _Encoder()
    description = encoder.fields(result, Place())
    return encoder.variables, description


class _Encoder:
    """Collects arrays; names and dimensions never clash."""

    def __init__(self) -> None:
        self.variables: Variables = {}
        self._sizes: dict[str, int] = {}
        self._coordinates: list[tuple[str, str]] = []

    def fields(self, owner: Any, place: Place) -> dict[str, Any]:
        """Add the arrays of a dataclass or a NamedTuple; return its description."""
        hints = hints_of(type(owner))
        values = {name: getattr(owner, name) for name in hints}
        labelled = {name: axes for name, hint in hints.items() if (axes := hint.mark(Coordinate)) is not None}
        sizes = {axes.names[0]: np.shape(values[name])[-1] for name, axes in labelled.items() if np.ndim(values[name])}
        place, found = place._replace(sizes={**place.sizes, **sizes}), {}
        for name, hint in hints.items():
            if type(values[name]) is type(owner):
                _check_parts(values[name], name)
            found[name] = self.value(values[name], hint, place.inside(name))
        return found

    def value(self, value: Any, hint: Hint, place: Place) -> Any:
        """Add the arrays of a value; return its description."""
        form, axes, stacked = hint.mark(StoredAs), hint.mark(Axes), hint.mark(Stacked)
        value = value if form is None else form.form(value)
        if value is None:
            if hint.is_optional:
                return None
            raise TypeError(f"`{place}` must be given, got None.")
        if stacked is not None:
            place = place._replace(lead=(*place.lead, stacked.name))
        if axes is not None:
            return self._leaves(value, axes, place) if isinstance(axes, Leaves) else self._array(value, axes, place)
        origin = typing.get_origin(hint.kind)
        if origin is dict:
            hints = zip(value.items(), hint.of_items(len(value)), strict=True)
            return {key: self.value(one, inner, place.inside(key)) for (key, one), inner in hints}
        if origin is tuple:
            hints = zip(value, hint.of_items(len(value)), strict=True)
            return [self.value(one, inner, place.inside(index)) for index, (one, inner) in enumerate(hints)]
        if hint.is_structure and isinstance(value, hint.kind):
            return self.fields(value, place)
        if hint.is_plain:
            return value
        return self._named(value, place)

    def _named(self, value: Any, place: Place) -> Any:
        """Describe a value of which the hint does not tell the class."""
        if isinstance(value, tuple):
            return [self._named(one, place.inside(index)) for index, one in enumerate(value)]
        if CLASSES.get(type(value).__name__) is type(value):
            return {CLASS: type(value).__name__, **self.fields(value, place)}
        if isinstance(value, str | int | float):
            return value
        if isinstance(value, np.ndarray | np.generic | jax.Array):
            if value.ndim == 0:
                return value.item()
            raise TypeError(f"The axes of `{place}` have no names: mark its hint with Axes.")
        raise TypeError(
            f"`{place}` must be a number, a name or data of the library to be stored, got {value!r}: a file holds no "
            "Python functions and no objects of others, keep those in your code."
        )

    def _array(self, value: Any, axes: Axes, place: Place) -> str:
        array, is_coordinate = np.asarray(value), isinstance(axes, Coordinate)
        lead = () if is_coordinate and array.ndim == 1 else place.lead
        names = (*lead, *axes.names)
        if not len(lead) + axes.least <= array.ndim <= len(names):
            raise ValueError(f"`{place}` must have axes ({', '.join(names)}), got shape {array.shape}.")
        return self._coordinate(array, names, place) if is_coordinate else self._put(place, names[: array.ndim], array)

    def _coordinate(self, array: np.ndarray, names: tuple[str, ...], place: Place) -> str:
        """Add a coordinate under the name of its axis, once for all parts that have the same one."""
        axis = names[-1]
        for known_axis, name in self._coordinates:
            known = self.variables[name][1]
            if known_axis == axis and known.dtype == array.dtype and np.array_equal(known, array):
                return name
        name = self._put(place._replace(path=(*place.path[:-1], axis)), names, array)
        self._coordinates.append((axis, name))
        return name

    def _leaves(self, node: PyTree, axes: Axes, place: Place) -> list[Any]:
        """Add the leaves below `node`; return how they nest: a kind and its children."""
        if node is None:
            return ["none"]
        kind = {dict: "dict", list: "list", tuple: "tuple"}.get(type(node))
        children = list(_children(node, kind))
        if kind is None and len(children) == 1 and children[0][0] is None:
            return ["leaf", self._leaf(np.asarray(node), axes, place)]
        *before, name = place.path
        nodes = [self._leaves(one, axes, place._replace(path=(*before, f"{name}_{key}"))) for key, one in children]
        if kind in ("list", "tuple"):
            return [kind, nodes]
        return ["dict", [[key, node] for (key, _), node in zip(children, nodes, strict=True)]]

    def _leaf(self, leaf: np.ndarray, axes: Axes, place: Place) -> str:
        lead, path = (*place.lead, *axes.names), place.path[-1]
        _check_numeric(f"Leaf {path!r}", leaf)
        wanted = [place.sizes.get(name, size) for name, size in zip(lead, leaf.shape, strict=False)]
        if leaf.ndim < len(lead) or wanted != list(leaf.shape[: len(lead)]):
            raise ValueError(f"Leaf {path!r} must have leading axes {', '.join(lead)}, got shape {leaf.shape}.")
        own = tuple(f"axis{i}_of_{_safe(path)}" for i in range(leaf.ndim - len(lead)))
        return self._put(place, lead + own, leaf)

    def _put(self, place: Place, dimensions: tuple[str, ...], array: np.ndarray) -> str:
        _check_numeric(f"`{place}`", array)
        used: list[str] = []
        for dimension, size in zip(dimensions, array.shape, strict=True):
            if place.sizes.get(dimension, size) != size:
                told = f"{place.sizes[dimension]} {dimension}s, as `{dimension}s` says"
                raise ValueError(f"`{place}` must have {told}, got {size}.")
            while dimension in used or self._sizes.get(dimension, size) != size:
                dimension += "_"
            self._sizes[dimension] = size
            used.append(dimension)
        name = place.variable
        while name in self.variables:
            name += "_"
        self.variables[name] = (tuple(used), array)
        return name


def _check_parts(part: Any, name: str) -> None:
    """Refuse a part of its owner's class that has such parts itself."""
    own = [inner for inner, hint in hints_of(type(part)).items() if hint.kind is type(part)]
    if any(getattr(part, inner) is not None for inner in own):
        raise ValueError(f"`{name}` must not have a {' or '.join(own)} of its own.")


def _check_numeric(what: str, array: np.ndarray) -> None:
    if array.dtype.kind not in "biuf" or array.dtype == np.float16:
        raise TypeError(f"{what} must be numeric, float32 or wider, got {array.dtype}.")


def _safe(name: str) -> str:
    return re.sub(r"\W", "_", name, flags=re.ASCII)[:LONGEST_PART]


def _children(node: PyTree, kind: str | None) -> Iterator[tuple[Any, PyTree]]:
    """Yield keys and children of a container; for a leaf, None and the leaf."""
    if kind == "dict":
        yield from ((k if isinstance(k, str | int) else str(k), v) for k, v in node.items())
    elif kind in ("list", "tuple"):
        yield from enumerate(node)
    else:
        found, _ = jax.tree_util.tree_flatten_with_path(node, is_leaf=lambda x: x is not node)
        for path, child in found:
            yield (jax.tree_util.keystr(path, simple=True) if path else None), child
