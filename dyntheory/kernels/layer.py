"""One description, two readings: a layer is part of a finite network, and a map of second moments."""

from __future__ import annotations

import abc
import functools
import math
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import Array, ArrayLike, Key, PyTree
from dyntheory.ground.checks import check_key, is_concrete
from dyntheory.ground.compiling import compiled
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.status import DyntheoryWarning
from dyntheory.ground.tracing import is_traced
from dyntheory.kernels.blocks import in_blocks
from dyntheory.kernels.kernel_pair import Kernels
from dyntheory.kernels.moments import State, input_state
from dyntheory.kernels.precision import common_precision, in_precision_of, require_finite
from dyntheory.kernels.sameness import Same

TOLERANCE = 1e-9
MOST_PROGRAMS = 64  # networks whose compiled kernels are kept; equal ones share them
MOST_BRIEF = 2**18  # numbers of a kernel for which compiling well takes longer than it saves


class Layer(abc.ABC):
    """A piece of an architecture, or all of it: `init` and `apply` are the finite network, `kernel` its infinite width.

    Layers are static data without parameters of their own. Inputs are (n, d), or (n, *S, d) with positions *S before
    the channels; all layers act on the last axis.
    """

    @property
    def needs_pairs(self) -> bool:
        """Whether the kernel compares different positions of two inputs, and not only equal ones."""
        return False

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of one output from that of one input."""
        return input_shape

    def init(self, key: Key, input_shape: tuple[int, ...]) -> PyTree:
        """Draw the parameters.

        Args:
            key: a typed JAX key.
            input_shape: shape of one input, without rows: (d,) or (*S, d).
        """
        del key, input_shape
        return ()

    @abc.abstractmethod
    def apply(self, params: PyTree, x: Array, *, key: Key | None = None) -> Array:
        """Return the outputs of rows of inputs.

        Args:
            params: what `init` returned.
            x: (n, d) or (n, *S, d).
            key: decides what dropout drops; without it nothing is dropped.
        """

    @abc.abstractmethod
    def propagate(self, state: State) -> State:
        """Return the moments of the layer's output from those of its input."""

    def kernel(self, x1: ArrayLike, x2: ArrayLike | None = None, *, from_differences: bool = False) -> Kernels:
        """Return both kernels of the infinitely wide network; safe under jit, vmap and grad.

        Only without `x2` (or with `x1` itself) are rows known to be the same: the diagonal is then right to rounding,
        and dropout draws one mask for a row and itself. Between near-coincident rows the inner products, rounded at
        ε, leave the angle with an error √ε (1e-8 in float64, 3e-4 in float32), which the tangent kernel of a kinked
        activation takes over; without a kink nothing is lost. `from_differences` takes the angle from differences
        instead, exact there and slower: O(n1 n2 d) operations outside of a matrix product.

        The precision is that of the inputs: of float32 ones the kernel is float32, of all others it is computed in
        float64, whatever JAX's flag says, and consists of NumPy arrays where the flag is off. Inside of jit, vmap and
        grad the flag decides.

        Args:
            x1: (n1, d) or (n1, *S, d).
            x2: (n2, d) or (n2, *S, d); default `x1` itself.
            from_differences: take angles between inputs from the differences of the normalised rows.

        Returns:
            nngp and ntk, (n1, n2), or (n1, n2, *S) where the network keeps positions; (n1, n2, *S, *S) when it
            also compares all pairs of them.

        Raises:
            TypeError: inputs that are not real numbers.
            ValueError: wrong shapes, NaN or infinity, or an architecture that has no such kernel.
        """
        check_inputs("x1", x1)
        check_inputs("x2", x1 if x2 is None else x2)
        check_arguments(Layer.kernel, locals())
        symmetric = x2 is None or x2 is x1

        def kernels() -> Kernels:
            kind = common_precision(x1, x2)
            first = as_inputs(x1, kind)
            second = first if symmetric else as_inputs(x2, kind)
            if first.shape[1:] != second.shape[1:]:
                shapes = f"{first.shape[1:]}, {second.shape[1:]}"
                raise ValueError(f"`x1` and `x2` must hold inputs of one shape, got {shapes}.")
            numbers = first.shape[0] * second.shape[0] * _numbers_per_pair(self, first.shape)
            # A network that holds what is being traced must not outlive the trace.
            programs = _made_programs(self) if is_traced(self) else _programs(self._same)
            program = programs[numbers <= MOST_BRIEF]
            found, left_out = program(first, second, symmetric, from_differences)
            warn_left_out(left_out)
            return found

        return in_precision_of((x1, x2), kernels, by=self)

    @functools.cached_property
    def _same(self) -> Same:
        """This layer among all that are built alike."""
        return Same(self)

    def flax(self) -> Any:
        """Return the finite network as a flax linen module; its only parameter is what `init` returns."""
        from flax import linen

        layer = self

        class Finite(linen.Module):
            """A finite network of the described architecture."""

            @linen.compact
            def __call__(self, x: Array) -> Array:
                params = self.param("layers", lambda key: layer.init(key, x.shape[1:]))
                return layer.apply(params, x, key=self.make_rng("dropout") if self.has_rng("dropout") else None)

        return Finite()


@functools.lru_cache(maxsize=MOST_PROGRAMS)
def _programs(same: Same) -> dict[bool, Callable[..., tuple[Kernels, Array]]]:
    """Return the programs of a network, made once for all that are built alike."""
    return _made_programs(same.value)


def _made_programs(layer: Layer) -> dict[bool, Callable[..., tuple[Kernels, Array]]]:
    """Return the kernel of two sets of rows as one compiled function, compiled fast if True and well if False."""

    def both(x1: Array, x2: Array, symmetric: bool, from_differences: bool) -> tuple[Kernels, Array]:
        labels = jnp.arange(x1.shape[0])
        rows, x2 = ((labels, labels), x1) if symmetric else (None, x2)
        return labelled_kernel(layer, x1, x2, rows, symmetric=symmetric, from_differences=from_differences)

    return {is_brief: compiled(both, fast=is_brief, static_argnums=(2, 3)) for is_brief in (False, True)}


def check_inputs(name: str, value: ArrayLike) -> None:
    """Require rows of finite real numbers.

    Raises:
        TypeError: not real numbers.
        ValueError: no rows, no features, a single input without the axis of rows, NaN or infinity.
    """
    if not isinstance(value, jax.Array | np.ndarray | list | tuple):
        raise TypeError(f"`{name}` must be an array of inputs, got {type(value).__name__}.")
    array = jnp.asarray(value) if isinstance(value, jax.Array) or is_traced(value) else np.asarray(value)
    if not (jnp.issubdtype(array.dtype, jnp.floating) or jnp.issubdtype(array.dtype, jnp.integer)):
        raise TypeError(f"`{name}` must hold real numbers, got dtype {array.dtype}.")
    if array.ndim < 2 or 0 in array.shape:
        raise ValueError(f"`{name}` must have shape (rows, d) or (rows, *positions, d), all > 0, got {array.shape}.")
    require_finite(name, array)


def as_inputs(value: Any, kind: Any) -> Array:
    """Return rows of inputs in that precision, rounded before they enter a program."""
    is_in_program = isinstance(value, jax.Array) or is_traced(value)
    return jnp.asarray(value if is_in_program else np.asarray(value).astype(kind), kind)


def labelled_kernel(
    layer: Layer,
    x1: Array,
    x2: Array,
    rows: tuple[Array, Array] | None,
    *,
    symmetric: bool = False,
    from_differences: bool = False,
) -> tuple[Kernels, Array]:
    """Return the kernels between rows with labels (rows of equal label are the same row), and what quadrature left out.

    Args:
        layer: the architecture.
        x1: (n1, *S, d).
        x2: (n2, *S, d).
        rows: integer labels, (n1,) and (n2,); None when no two rows are the same.
        symmetric: whether `x2` is `x1`, with the same labels.
        from_differences: see `Layer.kernel`.

    Returns:
        the kernels, and the largest fraction of a second moment which a Hermite series did not reach; zero when all
        duals have closed forms.
    """

    def block(x1: Array, x2: Array, rows: tuple[Array, Array] | None) -> tuple[Kernels, Array]:
        state = input_state(x1, x2, rows, pairs=layer.needs_pairs, from_differences=from_differences)
        cross = layer.propagate(state).cross
        assert cross.ntk is not None
        left_out = jnp.zeros((), cross.cov.dtype) if cross.left_out is None else cross.left_out
        return Kernels(cross.cov, cross.ntk), left_out

    is_matrix = jax.eval_shape(block, x1[:1], x2[:1], None)[0].nngp.ndim == 2
    return in_blocks(
        block,
        x1,
        x2,
        rows,
        numbers_per_pair=_numbers_per_pair(layer, x1.shape),
        symmetric=symmetric and is_matrix,
    )


def _numbers_per_pair(layer: Layer, shape: tuple[int, ...]) -> int:
    """Return the size of the moments of two rows, given the shape of a set of rows."""
    positions = math.prod(shape[1:-1])
    return positions**2 if layer.needs_pairs else positions


def warn_left_out(left_out: Array | np.ndarray) -> None:
    """Warn when a Hermite series was cut too early, or meets no number; under a trace nobody can look."""
    if not is_concrete(left_out):
        return
    if np.isnan(left_out):
        warnings.warn(
            "An `elementwise` function or its derivative is infinite or no number where quadrature looks, as that of "
            "√|z| at zero: kernels that need it are NaN. Round it off there, (z² + ε)^¼ say.",
            DyntheoryWarning,
            stacklevel=3,
        )
    elif float(left_out) > max(TOLERANCE, 100 * float(jnp.finfo(left_out.dtype).eps)):
        warnings.warn(
            f"The Hermite series of an `elementwise` function leaves out up to {float(left_out):.1e} of its second "
            "moment or of its derivative's, which the tangent kernel needs (at correlations near ±1): raise its "
            "`degree` and `num_nodes`, or use a closed form (`kernels.relu()`, …). Kinks and jumps are taken apart at "
            "zero only.",
            DyntheoryWarning,
            stacklevel=3,
        )


def check_input_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Require the shape of one input.

    Raises:
        ValueError: it is empty or has an axis that is not positive, such as −1 for the rows.
    """
    is_row = isinstance(shape, tuple | list) and len(shape) > 0
    if not is_row or not all(isinstance(length, int | np.integer) and length >= 1 for length in shape):
        raise ValueError(
            f"`input_shape` must be the shape of one input, without rows, such as (784,) or (32, 32, 3), got {shape!r}."
        )
    return tuple(int(length) for length in shape)


def start(key: Key, input_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Check the arguments of `init` and return the shape."""
    check_key(key)
    return check_input_shape(input_shape)
