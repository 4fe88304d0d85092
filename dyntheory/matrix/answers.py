"""The two questions, and who may answer them: all that the loop knows of a matrix."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from dyntheory.ground.arrays import Array, PyTree


@runtime_checkable
class Matrix(Protocol):
    """Whoever answers X·w/√d and Xᵀ·g/√d; its state is a pytree."""

    def init(self) -> Any:
        """Return the state before any question."""
        ...

    def segments(self, num_steps: int) -> tuple[int, ...]:
        """Return the lengths of the pieces in which a run is compiled."""
        ...

    def grow(self, state: Any, num_steps: int) -> Any:
        """Make room for that many more steps."""
        ...

    def times(self, state: Any, w: Array) -> tuple[Any, Array]:
        """Answer h = X w/√d."""
        ...

    def transpose_times(self, state: Any, g: Array) -> tuple[Any, Array]:
        """Answer p = Xᵀ g/√d."""
        ...

    def row_mean(self, values: PyTree) -> PyTree:
        """Average over rows."""
        ...

    def column_mean(self, values: PyTree) -> PyTree:
        """Average over columns."""
        ...

    def column_gram(self, left: Array, right: Array) -> Array:
        """Average leftᵀ right over columns."""
        ...
