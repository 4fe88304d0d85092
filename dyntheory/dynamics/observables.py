"""What a run records at every state beside its curves: named functions of the state, rows of it or means over them.

`preactivations` and `weights` keep whole rows; a `SampleMean` or `FeatureMean` is an order parameter, reduced by the
means of whichever matrix answers: over nodes in the limit, over samples and features of a finite run.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.dynamics.differentiation import watched
from dyntheory.ground.arrays import Array, PyTree
from dyntheory.ground.kinds import check_fields
from dyntheory.matrix.answers import Matrix
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.methods.method import GeneralFirstOrderMethod


class View(NamedTuple):
    """A state of the loop as observables see it.

    Args:
        shared: what all rows share: head, averages, step counts.
        preactivations: h^t, (samples, k).
        labels: y, (samples,) or (samples, outputs).
        teacher_weights: rows of W*, (features, r), in the matrix's coordinates.
        weights: rows of W^t, (features, k), likewise.
        matrix: whose means reduce.
    """

    shared: PyTree
    preactivations: Array
    labels: Array
    teacher_weights: Array
    weights: Array
    matrix: Matrix


Record: TypeAlias = tuple[tuple[str, Callable[[View], PyTree]], ...]


def preactivations(view: View) -> Array:
    """Keep h^t of every sample."""
    return view.preactivations


def weights(view: View) -> Array:
    """Keep W^t of every feature."""
    return view.weights


def shared_value(view: View) -> PyTree:
    """Keep all that rows share."""
    return view.shared


NUMBERS = tuple(np.dtype(kind) for kind in ("float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint32"))
ROWS: dict[str, Callable[[View], Array]] = {"preactivations": preactivations, "weights": weights}


@dataclasses.dataclass(frozen=True)
class SampleMean:
    """The mean over training samples of a function of one.

    Args:
        function: (shared, h, y) with h of shape (k,) -> arrays.
    """

    function: Callable[[Any, Array, Array], PyTree]

    def __call__(self, view: View) -> PyTree:
        """Return the mean at one state."""
        values = jax.vmap(functools.partial(self.function, view.shared))(view.preactivations, view.labels)
        return view.matrix.row_mean(values)


@dataclasses.dataclass(frozen=True)
class FeatureMean:
    """The mean over features of a function of one; in the limit it needs feature nodes, see `predict`.

    All features count alike: with correlated ones `weight_overlap` is a mean of λ w wᵀ, this is not.

    Args:
        function: (shared, w*, w) with w* of shape (r,) and w of shape (k,) -> arrays.
    """

    function: Callable[[Any, Array, Array], PyTree]

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, view: View) -> PyTree:
        """Return the mean at one state."""
        values = jax.vmap(functools.partial(self.function, view.shared))(view.teacher_weights, view.weights)
        return view.matrix.column_mean(values)


def rows_of(*names: str) -> Record:
    """Return the record that keeps whole rows: "preactivations", "weights" or both."""
    return tuple((name, ROWS[name]) for name in names)


def means_of(record: Any) -> Record:
    """Return a user's record: plain functions are of a sample.

    Raises:
        TypeError: not a mapping from names to functions.
        ValueError: a name that is taken.
    """
    if record is None:
        return ()
    if not isinstance(record, Mapping) or not all(isinstance(name, str) and callable(f) for name, f in record.items()):
        raise TypeError(
            "`record` must map names to functions (shared, h, y) of one training sample, or to a "
            f"`dyntheory.FeatureMean`, got {record!r}."
        )
    taken = sorted(set(record) & set(ROWS))
    if taken:
        raise ValueError(
            f"`record` cannot use the names {', '.join(taken)}: these are whole rows, see `keep_preactivations`."
        )
    means = (SampleMean, FeatureMean)
    return tuple((name, f if isinstance(f, means) else SampleMean(f)) for name, f in record.items())


@dataclasses.dataclass(frozen=True)
class _Watched:
    """An observable that warns when a derivative is taken through it."""

    name: str
    observable: Callable[[View], PyTree]

    def __call__(self, view: View) -> PyTree:
        h, rows = watched(f"the function recorded as {self.name!r}", (view.preactivations, view.weights))
        return self.observable(view._replace(preactivations=h, weights=rows))


def warning_of_jumps(record: Record) -> Record:
    """Return the record with means that warn when they are differentiated: their functions may jump."""
    return tuple((name, f if f in ROWS.values() else _Watched(name, f)) for name, f in record)


def check_record(
    record: Record,
    law: TeacherStudent,
    method: GeneralFirstOrderMethod,
    head: PyTree,
    *,
    has_feature_rows: bool = True,
) -> None:
    """Refuse observables that do not return numbers; they are traced, not computed.

    Raises:
        TypeError: one that fails on a row of this problem's shapes, or returns something else than numbers.
        ValueError: a mean over features where there are none: on the exact frame of linear feature maps.
    """
    for name, observable in record:
        if isinstance(observable, FeatureMean) and not has_feature_rows:
            raise ValueError(
                f"`record[{name!r}]` is a mean over features, and this optimizer is linear: the limit then needs no "
                "features, only their second moments (`weight_overlap`, `teacher_overlap`). Use `simulate`, or a "
                "function of a sample."
            )
        try:
            found = structure_of(((name, observable),), law, method, head)[name]
        except Exception as error:
            raise TypeError(
                f"`record[{name!r}]` must be a function (shared, h, y) of one training sample, h of shape "
                f"({method.num_units},), y of shape {law.label_shape}; called with such a row it failed: {error}"
            ) from error
        leaves = jax.tree.leaves(found)
        if not leaves or not all(leaf.size and np.dtype(leaf.dtype) in NUMBERS for leaf in leaves):
            raise TypeError(f"`record[{name!r}]` must return arrays of real numbers, float32 or wider, got {found!r}.")
        try:
            hash(observable)
        except TypeError:
            raise TypeError(
                f"`record[{name!r}]` must be hashable, as functions are: programs are compiled for it. Of a dataclass "
                "with `__call__`, say frozen=True."
            ) from None


def structure_of(record: Record, law: TeacherStudent, method: GeneralFirstOrderMethod, head: PyTree) -> dict[str, Any]:
    """Return the tree of what is recorded at one state; its leaves have the shapes of the means, rows those of one."""

    def traced(observable: Callable[[View], PyTree]) -> PyTree:
        shared = method.init_shared(head, jnp.asarray(law.samples_per_feature), method.hyperparameters)
        h, label = jnp.zeros((1, method.num_units)), jnp.zeros((1, *law.label_shape))
        matrix: Any = _OneRow()
        return observable(View(shared, h, label, jnp.zeros((1, law.num_teacher_units)), h, matrix))

    return {name: jax.eval_shape(functools.partial(traced, observable)) for name, observable in record}


def num_recorded(record: Record, law: TeacherStudent, method: GeneralFirstOrderMethod, head: PyTree) -> int:
    """Return how many numbers are recorded at one state."""
    return sum(leaf.size for leaf in jax.tree.leaves(structure_of(record, law, method, head)))


class _OneRow:
    """A matrix of one row, whose means are that row."""

    def row_mean(self, values: PyTree) -> PyTree:
        return jax.tree.map(lambda leaf: leaf[0], values)

    column_mean = row_mean
