"""Self-attention with the softmax replaced or frozen, where its kernels have closed forms.

With many heads and the usual scaling 1/√(key width), the scores of two positions are Gaussian; taken as they are,
without a softmax, E out·out′ is a polynomial in the input's kernel ("sqrt"). With scaling 1/(key width) and queries
equal to keys, the scores are not random at all but the kernel itself, and any normalisation may follow ("linear").
"""

from __future__ import annotations

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp

from dyntheory._checks import check_count, check_name, check_nonnegative, check_positive, check_scalar
from dyntheory._typing import Array, Key, PyTree
from dyntheory.kernels.layer import Layer, start
from dyntheory.kernels.linear import forbid
from dyntheory.kernels.moments import Block, Scalar, State, from_covariances
from dyntheory.kernels.pooling import NO_POSITIONS

SCALINGS = ("sqrt", "linear")
NORMALIZATIONS = ("identity", "softmax")


@dataclasses.dataclass(frozen=True)
class Attention(Layer):
    """See `attention`."""

    width: int
    num_heads: int
    head_width: int
    scaling: str
    normalization: str
    score_std: Scalar
    value_std: Scalar
    weight_std: Scalar
    bias_std: Scalar

    @property
    def needs_pairs(self) -> bool:
        """Whether different positions are compared: they are."""
        return True

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the positions, and `width` channels."""
        return (*input_shape[:-1], self.width)

    def init(self, key: Key, input_shape: tuple[int, ...]) -> dict[str, Array]:
        """Draw queries, keys and values (d, heads, head width), the output (heads, head width, width) and its bias."""
        shape = start(key, input_shape)
        forbid(len(shape) < 2, NO_POSITIONS.format("attention"))
        inner, outer = (shape[-1], self.num_heads, self.head_width), (self.num_heads, self.head_width, self.width)
        shapes = {"queries": inner, "keys": inner, "values": inner, "output": outer, "bias": (self.width,)}
        if self.scaling == "linear":
            del shapes["keys"]
        keys = jax.random.split(key, len(shapes))
        return {name: jax.random.normal(one, shapes[name]) for name, one in zip(shapes, keys, strict=True)}

    def apply(self, params: PyTree, x: Array, *, key: Key | None = None) -> Array:
        """Return σ_o/√(heads · head width) · Σ_b A_ab v_b W_o + σ_b b."""
        del key
        rows = x.reshape(x.shape[0], -1, x.shape[-1])
        product = functools.partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)
        fan_in = math.sqrt(x.shape[-1])
        queries = jnp.sqrt(self.score_std) / fan_in * product("nad,dhw->nahw", rows, params["queries"])
        keys = queries
        if self.scaling == "sqrt":
            keys = jnp.sqrt(self.score_std) / fan_in * product("nad,dhw->nahw", rows, params["keys"])
        power = 0.5 if self.scaling == "sqrt" else 1.0
        scores = self._normalize(product("nahw,nbhw->nhab", queries, keys) / self.head_width**power)
        values = self.value_std / fan_in * product("nbd,dhw->nbhw", rows, params["values"])
        mixed = product("nhab,nbhw->nahw", scores, values)
        output = product("nahw,hwo->nao", mixed, params["output"])
        output = self.weight_std / math.sqrt(self.num_heads * self.head_width) * output
        return (output + self.bias_std * params["bias"][None, None]).reshape(*x.shape[:-1], self.width)

    def _normalize(self, scores: Array) -> Array:
        return jax.nn.softmax(scores, axis=-1) if self.normalization == "softmax" else scores

    def propagate(self, state: State) -> State:
        """Return the moments of the outputs.

        Reference: `hron2020infinite`, section 3.
        """
        layout = state.layout
        forbid(layout.num_spatial == 0, NO_POSITIONS.format("attention"))
        assert state.within1 is not None and state.within2 is not None

        scores = [
            self._normalize(self.score_std * _square(one.cov, layout.num_spatial))
            for one in (state.within1, state.within2)
        ]

        def block(one: Block) -> Block:
            is_cross = one is state.cross
            sides = tuple(scores) if is_cross else (scores[0 if one is state.within1 else 1],) * 2
            cov, ntk = (None if a is None else _square(a, layout.num_spatial) for a in (one.cov, one.ntk))
            assert cov is not None
            mixed = (
                self._sqrt(cov, ntk) if self.scaling == "sqrt" else self._linear(cov, ntk, *sides, is_cross=is_cross)
            )
            shifted = (None if a is None else (a + self.bias_std**2).reshape(one.cov.shape) for a in mixed)
            return one._replace(**dict(zip(("cov", "ntk"), shifted, strict=True)))

        return from_covariances(state, block, channels=self.width, gaussian=True, centred=layout.forks)

    def _sqrt(self, cov: Array, ntk: Array | None) -> tuple[Array, Array | None]:
        """K_aa′ Σ_b K_bb′² for all b, b′, and what its four sets of weights and three inputs pass on."""
        factor = (self.weight_std * self.value_std * self.score_std) ** 2
        total = jnp.sum(cov**2, axis=(-2, -1), keepdims=True)
        mixed = factor * cov * total
        if ntk is None:
            return mixed, None
        passed = ntk * total + 2.0 * cov * jnp.sum(cov * ntk, axis=(-2, -1), keepdims=True)
        return mixed, 4.0 * mixed + factor * passed

    def _linear(
        self, cov: Array, ntk: Array | None, left: Array, right: Array, *, is_cross: bool
    ) -> tuple[Array, Array | None]:
        """Σ_bb′ A_ab A′_a′b′ K_bb′ with A = normalised kernels of each row; values and output train."""
        factor = (self.weight_std * self.value_std) ** 2
        subscripts = "nab,nmbd,mcd->nmac" if is_cross else "nab,nbd,ncd->nac"

        def mix(array: Array) -> Array:
            return factor * jnp.einsum(subscripts, left, array, right, precision=jax.lax.Precision.HIGHEST)

        mixed = mix(cov)
        return mixed, None if ntk is None else 2.0 * mixed + mix(ntk)


def _square(array: Array, num_spatial: int) -> Array:
    """Merge (…, *S, *S) into (…, P, P)."""
    size = math.prod(array.shape[-num_spatial:])
    return array.reshape(*array.shape[: array.ndim - 2 * num_spatial], size, size)


def attention(
    width: int,
    *,
    num_heads: int,
    head_width: int,
    scaling: str = "sqrt",
    normalization: str = "identity",
    score_std: Scalar = 1.0,
    value_std: Scalar = 1.0,
    weight_std: Scalar = 1.0,
    bias_std: Scalar = 0.0,
) -> Attention:
    """Self-attention over positions, in the two forms that have closed kernels.

    Scaling: queries, keys and values are σ/√d · h W. With "sqrt" the scores are q·k/√(head width), not normalised, and
    both the number of heads and their width go to infinity; sums over positions are not divided by their number.
    With "linear" they are q·q/(head width), keys being queries, and only the width has to go to infinity.

    Args:
        width: channels of the output.
        num_heads: of the finite network.
        head_width: of queries, keys and values in each head.
        scaling: "sqrt" or "linear".
        normalization: of the scores over positions: "identity", or "softmax" with linear scaling.
        score_std: σ of the scores; those of queries and keys are its square roots.
        value_std: σ of the values.
        weight_std: σ of the output weights.
        bias_std: σ of the output's bias.

    Raises:
        ValueError: an unknown form, a softmax of random scores, or numbers out of range.

    Reference: `hron2020infinite`, section 3; both forms are checked against finite networks.
    """
    check_name("scaling", scaling, SCALINGS)
    check_name("normalization", normalization, NORMALIZATIONS)
    forbid(
        scaling == "sqrt" and normalization == "softmax",
        'A softmax of random scores has no closed kernel: use scaling="linear", or normalization="identity".',
    )
    for name, value in (("score_std", score_std), ("value_std", value_std), ("weight_std", weight_std)):
        check_scalar(name, value)
        check_positive(name, value)
    check_scalar("bias_std", bias_std)
    check_nonnegative("bias_std", bias_std)
    sizes = (check_count("width", width), check_count("num_heads", num_heads), check_count("head_width", head_width))
    return Attention(*sizes, scaling, normalization, score_std, value_std, weight_std, bias_std)
