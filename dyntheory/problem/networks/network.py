"""Networks: what happens after the first layer, F(θ, h) with θ the finite-dimensional head.

A network of L layers has first-layer weights W (d, k), held by the method, and a head θ (W_2..W_L and all biases),
held here. A network is static data: hashable, without parameters of its own.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import Array, Key, PyTree
from dyntheory.ground.checks import check_count
from dyntheory.ground.kinds import check_fields
from dyntheory.ground.names import check_name
from dyntheory.problem.networks.activations import Activation, resolve_activation


@runtime_checkable
class Network(Protocol):
    """What a method needs of a network."""

    @property
    def num_units(self) -> int:
        """First-layer width k."""
        ...

    @property
    def smooth(self) -> bool | None:
        """Whether the output is smooth in the preactivation; None when unknown."""
        ...

    def init_head(self, key: Key) -> PyTree:
        """Draw the head θ."""
        ...

    def apply_head(self, head: PyTree, preactivation: Array) -> Array:
        """Return the output, shape () or (outputs,), for one preactivation row of shape (k,)."""
        ...


INITIALIZATIONS = ("lecun", "he", "xavier", "mean_field")


def _standard_deviation(initialization: str, fan_in: int, fan_out: int, is_output: bool) -> float:
    if initialization == "he":
        return math.sqrt(2.0 / fan_in)
    if initialization == "xavier":
        return math.sqrt(2.0 / (fan_in + fan_out))
    if initialization == "mean_field" and is_output:
        return 1.0 / fan_in
    return math.sqrt(1.0 / fan_in)


@dataclasses.dataclass(frozen=True)
class MLP:
    """A multi-layer perceptron: L = len(hidden) + 1 layers, `hidden[0]` = k units on the d inputs.

    F(θ, h) = W_L a(… W_2 a(h + b_1) + b_2 …) + b_L, a the activation, biases only with `use_bias`.

    Scaling:
        Head weights are O(1) with no extra factor: the widths are finite. The first layer is not part of the head.

    Args:
        hidden: widths of the hidden layers, at least one.
        activation: a name of `dyntheory.problem.networks.activations.ACTIVATIONS` or a scalar JAX function.
        num_outputs: 1 gives a scalar output, otherwise shape (num_outputs,).
        use_bias: add biases b_1..b_L, zero at the start; b_1 acts on the preactivation and belongs to the head.
        initialization: standard deviation of Gaussian head weights: "lecun" 1/√fan_in (default), "he" √(2/fan_in),
            "xavier" √(2/(fan_in + fan_out)), "mean_field" 1/fan_in in the output layer and lecun elsewhere.

    Raises:
        TypeError: an activation that is not written in JAX.
        ValueError: a width below one, an unknown activation or initialisation, or an activation that couples units.

    Example:
        >>> network = MLP(hidden=(3, 3), activation="tanh")
        >>> network.num_units, network.num_layers
        (3, 3)
    """

    hidden: tuple[int, ...]
    activation: Activation | str | Callable[[Array], Array] = "tanh"
    num_outputs: int = 1
    use_bias: bool = False
    initialization: str = "lecun"

    def __post_init__(self) -> None:
        if isinstance(self.hidden, int | np.integer):
            object.__setattr__(self, "hidden", (self.hidden,))
        check_fields(self)
        hidden = tuple(self.hidden)
        if not hidden:
            raise ValueError("`hidden` must name at least one hidden width; for none use `LinearModel()`.")
        widths = tuple(check_count(f"hidden[{i}]", width) for i, width in enumerate(hidden))
        object.__setattr__(self, "hidden", widths)
        object.__setattr__(self, "activation", resolve_activation(self.activation))
        object.__setattr__(self, "num_outputs", check_count("num_outputs", self.num_outputs))
        check_name("initialization", self.initialization, INITIALIZATIONS)

    @property
    def num_units(self) -> int:
        """First-layer width k."""
        return self.hidden[0]

    @property
    def num_layers(self) -> int:
        """Number of weight layers L, the first included."""
        return len(self.hidden) + 1

    @property
    def smooth(self) -> bool | None:
        """Whether the activation is smooth."""
        return resolve_activation(self.activation).smooth

    @property
    def has_kink(self) -> bool | None:
        """Whether the derivative of the activation jumps."""
        return resolve_activation(self.activation).is_kinked

    def init_head(self, key: Key) -> dict[str, dict[str, Array]]:
        """Draw the head: {"layer_2": {"weights": (out, in), "bias": (out,)}, …}, and b_1 with `use_bias`."""
        widths = (*self.hidden, self.num_outputs)
        head: dict[str, dict[str, Array]] = {"layer_1": {"bias": jnp.zeros(widths[0])}} if self.use_bias else {}
        for index, (fan_in, fan_out) in enumerate(itertools.pairwise(widths), start=2):
            scale = _standard_deviation(self.initialization, fan_in, fan_out, index == self.num_layers)
            weights = scale * jax.random.normal(jax.random.fold_in(key, index), (fan_out, fan_in))
            head[f"layer_{index}"] = {"weights": weights}
            if self.use_bias:
                head[f"layer_{index}"]["bias"] = jnp.zeros(fan_out)
        return head

    def apply_head(self, head: PyTree, preactivation: Array) -> Array:
        """Return F(θ, h) for one row h of shape (k,)."""
        activation = resolve_activation(self.activation)
        signal = preactivation + head["layer_1"]["bias"] if self.use_bias else preactivation
        for index in range(2, self.num_layers + 1):
            layer = head[f"layer_{index}"]
            signal = layer["weights"] @ activation(signal)
            signal = signal + layer["bias"] if self.use_bias else signal
        return signal[0] if self.num_outputs == 1 else signal


@dataclasses.dataclass(frozen=True)
class LinearModel:
    """Linear regression: one unit, no head, F(h) = h."""

    num_units: int = dataclasses.field(default=1, init=False)
    smooth: bool | None = dataclasses.field(default=True, init=False)

    def init_head(self, key: Key) -> PyTree:
        """Return the empty head."""
        del key
        return {}

    def apply_head(self, head: PyTree, preactivation: Array) -> Array:
        """Return the preactivation itself."""
        del head
        return preactivation[0]


RANDOM_MODULE = "The flax module draws random numbers (dropout, say), which a head cannot: make it deterministic."


@dataclasses.dataclass(frozen=True, repr=False)
class FlaxNetwork:
    """Any flax module acting on the k first-layer preactivations as the head of a network.

    The module receives one row of shape (k,) and returns a scalar, (1,) or (outputs,): residual blocks, LayerNorm,
    whatever was written. It sees the preactivation h = X W/√d itself, so it applies the first activation.

    Args:
        module: a linen module; an nnx module (its parameters are the head, whatever the key); or a callable
            `rngs -> nnx module` (its parameters are drawn from the key).
        num_units: k, the width of the row that the module receives.
        smooth: whether the module is smooth in its input, if you know; decides what a result may call theorem.

    Raises:
        TypeError: `module` is none of these.
        ValueError: the module keeps state beside its parameters (BatchNorm statistics, say).
    """

    module: Any
    num_units: int
    smooth: bool | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        from flax import linen, nnx

        object.__setattr__(self, "num_units", check_count("num_units", self.num_units))
        is_class = isinstance(self.module, type)
        if is_class and issubclass(self.module, linen.Module):
            raise TypeError(f"`module` must be an instance, got the class {self.module.__name__}: call it.")
        if not isinstance(self.module, linen.Module | nnx.Module) and not callable(self.module):
            raise TypeError(f"`module` must be a flax module or a callable rngs -> nnx module, got {self.module!r}.")

    def __repr__(self) -> str:
        name = getattr(self.module, "__name__", type(self.module).__name__)
        return f"FlaxNetwork({name}, num_units={self.num_units})"

    def init_head(self, key: Key) -> PyTree:
        """Return the module's parameters as nested dictionaries.

        Raises:
            ValueError: the module draws random numbers, or keeps state beside its parameters.
        """
        from flax import errors, linen, nnx

        if isinstance(self.module, linen.Module):
            try:
                row = jnp.zeros(self.num_units)
                variables = self.module.init(key, row)
                jax.eval_shape(self.module.apply, variables, row)
            except errors.InvalidRngError as error:
                raise ValueError(RANDOM_MODULE) from error
            extra = set(variables) - {"params"}
            if extra:
                raise ValueError(f"The flax module keeps state beside its parameters ({', '.join(sorted(extra))}).")
            return variables.get("params", {})
        module = self._nnx_module(key)
        if not isinstance(module, nnx.Module):
            raise TypeError(f"`module` must be a flax module or a callable rngs -> nnx module, it made {module!r}.")
        _, params, rest = nnx.split(module, nnx.Param, ...)
        kept = nnx.to_flat_state(rest)
        if any(isinstance(leaf, nnx.RngState) for _, leaf in kept):
            raise ValueError(RANDOM_MODULE)
        if kept:
            raise ValueError(f"The flax module keeps state beside its parameters ({kept[0][0]}).")
        return nnx.to_pure_dict(params)

    def _nnx_module(self, key: Key) -> Any:
        from flax import nnx

        if isinstance(self.module, nnx.Module):
            return self.module
        try:
            return self.module(nnx.Rngs(params=key))
        except (KeyError, AttributeError) as error:
            raise ValueError(f"{RANDOM_MODULE} Or `module` is not a callable rngs -> nnx module ({error}).") from error

    def apply_head(self, head: PyTree, preactivation: Array) -> Array:
        """Return the module's output for one row h of shape (k,)."""
        from flax import linen, nnx

        if isinstance(self.module, linen.Module):
            output = self.module.apply({"params": head}, preactivation)
        else:
            definition, params, rest = self._abstract_nnx()
            nnx.replace_by_pure_dict(params, head)
            output = nnx.merge(definition, params, rest)(preactivation)
        output = jnp.asarray(output)
        return output[0] if output.shape == (1,) else output

    def _abstract_nnx(self) -> tuple[Any, Any, Any]:
        from flax import nnx

        module = self._nnx_module(jax.random.key(0))
        definition, params, rest = nnx.split(module, nnx.Param, ...)
        return definition, jax.tree.map(lambda leaf: leaf, params), rest
