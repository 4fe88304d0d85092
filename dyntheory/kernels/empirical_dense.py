"""The tangent kernel of a stack of dense layers from activations and backpropagated signals, layer by layer.

A layer z = s a Wᵀ + s' b contributes (s² A Aᵀ + s'²) ∘ Σ_o G_o G_oᵀ, A the rows of its input, G_o the derivatives of
output o with respect to z. No Jacobian is formed: a product over parameters becomes one over units. Which programs are
such stacks is proved from their jaxpr (`dyntheory.kernels.jaxpr_rows`).

Reference: `novak2022fast`, where this is the structured derivative of a fully connected layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.extend.core as jex
import jax.numpy as jnp

from dyntheory.ground.arrays import Array
from dyntheory.kernels.jaxpr_rows import Plan
from dyntheory.kernels.jaxpr_rules import Bias, Dense
from dyntheory.kernels.jaxpr_run import evaluate

Factors: TypeAlias = tuple[tuple[int, int, int], ...]


class Tap(NamedTuple):
    """A place where one signal serves a weight matrix, a bias, or both; the scalars of the weights up to there."""

    equation: int
    axis: int
    dense: int | None
    bias: int | None
    factors: Factors


class Layer(NamedTuple):
    """One tap on one set of inputs: activations (n, k) or None, signals (o, n, m), the squared scales s², s'²."""

    activations: Array | None
    signals: Array
    weight_scale: Array
    bias_scale: Array


def find_taps(plan: Plan) -> list[Tap]:
    """Return one tap per layer: a bias added to a product shares its tap, scalars in between go to the product."""
    equations = plan.jaxpr.jaxpr.eqns
    reader = _only_readers(plan)
    taps: list[Tap] = []
    shared: set[int] = set()
    for index, use in plan.uses.items():
        if not isinstance(use, Dense):
            continue
        place, factors = index, use.weight.factors
        while (after := reader.get(equations[place].outvars[0])) is not None:
            scalar = _scalar_operand(equations[after], equations[place].outvars[0])
            if scalar is None:
                break
            place, factors = after, (*factors, (after, *scalar))
        if (
            after is not None
            and isinstance(plan.uses.get(after), Bias)
            and equations[after].outvars[0].aval.shape == equations[index].outvars[0].aval.shape
        ):
            shared.add(after)
            taps.append(Tap(after, use.axis, index, after, factors))
        else:
            taps.append(Tap(place, use.axis, index, None, factors))
    alone = [(index, use) for index, use in plan.uses.items() if isinstance(use, Bias) and index not in shared]
    return taps + [Tap(index, use.axis, None, index, ()) for index, use in alone]


def _only_readers(plan: Plan) -> dict[Any, int]:
    """Return, for every value that is read once, the equation that reads it."""
    readers: dict[Any, list[int | None]] = {atom: [None] for atom in _variables(plan.jaxpr.jaxpr.outvars)}
    for index, equation in enumerate(plan.jaxpr.jaxpr.eqns):
        for atom in _variables(equation.invars):
            readers.setdefault(atom, []).append(index)
    return {atom: found[0] for atom, found in readers.items() if len(found) == 1 and found[0] is not None}


def _variables(atoms: Sequence[Any]) -> list[Any]:
    return [atom for atom in atoms if not isinstance(atom, jex.Literal)]


def _scalar_operand(equation: Any, value: Any) -> tuple[int, int] | None:
    """Return (operand, power) if the equation multiplies or divides the value by a scalar."""
    if equation.primitive.name not in ("mul", "div"):
        return None
    first = equation.invars[0] is value
    other = 1 if first else 0
    if equation.invars[other].aval.shape != () or (equation.primitive.name == "div" and not first):
        return None
    return other, 1 if equation.primitive.name == "mul" else -1


def layers_of(plan: Plan, leaves: list[Array], inputs: Array) -> list[Layer]:
    """Return what every layer contributes with: one forward pass, one backward pass per output."""
    taps = find_taps(plan)
    jaxpr, wanted = plan.jaxpr.jaxpr, {tap.equation: number for number, tap in enumerate(taps)}
    shapes = [jaxpr.eqns[tap.equation].outvars[0].aval for tap in taps]

    def program(signals: list[Array]) -> tuple[Array, tuple[dict[int, Array], dict[tuple[int, int], Array]]]:
        activations: dict[int, Array] = {}
        scalars: dict[tuple[int, int], Array] = {}

        def watch(index: int, operands: list[Any], results: list[Any]) -> list[Any]:
            scalars.update({(index, i): operand for i, operand in enumerate(operands) if jnp.ndim(operand) == 0})
            use = plan.uses.get(index)
            if isinstance(use, Dense):
                rows = operands[use.rows]
                contracted = jaxpr.eqns[index].params["dimension_numbers"][0][use.rows][0]
                activations[index] = rows if contracted == 1 else rows.T
            return [results[0] + signals[wanted[index]]] if index in wanted else results

        (outputs,) = evaluate(jaxpr, plan.jaxpr.consts, [*leaves, inputs], watch)
        return outputs, (activations, scalars)

    zeros = [jnp.zeros(shape.shape, shape.dtype) for shape in shapes]
    outputs, pull, (activations, scalars) = jax.vjp(program, zeros, has_aux=True)
    basis = jnp.eye(1 if outputs.ndim == 1 else outputs.shape[1], dtype=outputs.dtype)

    def backward(direction: Array) -> list[Array]:
        return pull(jnp.broadcast_to(direction[None, :], (len(outputs), len(direction))).reshape(outputs.shape))[0]

    signals = jax.vmap(backward)(basis)
    layers = []
    for tap, signal in zip(taps, signals, strict=True):
        weight_scale = bias_scale = jnp.zeros((), signal.dtype)
        if tap.dense is not None:
            weight_scale = _square(tap.factors, scalars, signal.dtype)
        if tap.bias is not None:
            bias_scale = _square(plan.uses[tap.bias].weight.factors, scalars, signal.dtype)
        rows = None if tap.dense is None else activations[tap.dense]
        layers.append(Layer(rows, _by_rows(signal, tap.axis), weight_scale, bias_scale))
    return layers


def _square(factors: Factors, scalars: dict[tuple[int, int], Array], dtype: Any) -> Array:
    scale = jnp.ones((), dtype)
    for index, operand, power in factors:
        value = jnp.asarray(scalars[index, operand], dtype)
        scale = scale * (value if power > 0 else 1 / value)
    return scale**2


def _by_rows(signal: Array, axis: int) -> Array:
    """Return a signal (o, …) as (o, n, m)."""
    moved = jnp.moveaxis(signal, axis + 1, 1)
    return moved.reshape(*moved.shape[:2], -1)


def contract(first: list[Layer], second: list[Layer], form: str) -> Array:
    """Return the kernel between two sets of inputs: traced (n1, n2), diagonal (n1, n2, o) or full (n1, n2, o, o)."""
    parts = []
    for one, two in zip(first, second, strict=True):
        signals = _signal_products(one.signals, two.signals, form)
        factor = one.bias_scale
        if one.activations is not None and two.activations is not None:
            product = jnp.matmul(one.activations, two.activations.T, precision="highest")
            factor = factor + one.weight_scale * product
            factor = factor.reshape(*factor.shape, *[1] * (signals.ndim - 2))
        parts.append(factor * signals)
    total = sum(parts[1:], parts[0])
    return total / first[0].signals.shape[0] if form == "trace" else total


def _signal_products(one: Array, two: Array, form: str) -> Array:
    """Return Σ_m G G′ for pairs of rows: summed over outputs, for every output, or for every pair of outputs."""
    (num_outputs, n1, width), n2 = one.shape, two.shape[1]
    if form == "diagonal":
        return jnp.einsum("onm,opm->npo", one, two, precision="highest")
    if form == "full":
        product = jnp.matmul(one.reshape(-1, width), two.reshape(-1, width).T, precision="highest")
        return product.reshape(num_outputs, n1, num_outputs, n2).transpose(1, 3, 0, 2)
    rows = [signals.transpose(1, 0, 2).reshape(len(signals[0]), -1) for signals in (one, two)]
    return jnp.matmul(rows[0], rows[1].T, precision="highest")
