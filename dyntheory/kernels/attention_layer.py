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

from dyntheory.ground.arrays import Array, Key, PyTree
from dyntheory.ground.checks import check_count, check_nonnegative, check_positive, check_scalar
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.names import check_name
from dyntheory.kernels.layer import Layer, start
from dyntheory.kernels.linear import PARAMETERIZATIONS, forbid
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
    bias_std: Scalar | None
    parameterization: str

    def _sets(self, channels: int) -> dict[str, tuple[Scalar, int]]:
        """Return σ and fan-in of each set of parameters, for inputs of so many channels."""
        score = jnp.sqrt(self.score_std)
        sets = {"queries": (score, channels), "keys": (score, channels), "values": (self.value_std, channels)}
        sets["output"] = (self.weight_std, self.num_heads * self.head_width)
        if self.scaling == "linear":
            del sets["keys"]
        return sets if self.bias_std is None else {**sets, "bias": (self.bias_std, 1)}

    @property
    def _is_standard(self) -> bool:
        return self.parameterization == "standard"

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
        sets, params = self._sets(shape[-1]), {}
        for one, (name, (std, fan_in)) in zip(jax.random.split(key, len(sets)), sets.items(), strict=True):
            scale = std / math.sqrt(fan_in) if self._is_standard else 1.0
            params[name] = scale * jax.random.normal(one, shapes[name])
        return params

    def apply(self, params: PyTree, x: Array, *, key: Key | None = None) -> Array:
        """Return σ_o/√(heads · head width) · Σ_b A_ab v_b W_o + σ_b b."""
        del key
        rows = x.reshape(x.shape[0], -1, x.shape[-1])
        product = functools.partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)
        scales = {name: std / math.sqrt(fan_in) for name, (std, fan_in) in self._sets(x.shape[-1]).items()}
        weights = params if self._is_standard else {name: scale * params[name] for name, scale in scales.items()}
        queries = product("nad,dhw->nahw", rows, weights["queries"])
        keys = product("nad,dhw->nahw", rows, weights["keys"]) if self.scaling == "sqrt" else queries
        power = 0.5 if self.scaling == "sqrt" else 1.0
        scores = self._normalize(product("nahw,nbhw->nhab", queries, keys) / self.head_width**power)
        mixed = product("nhab,nbhw->nahw", scores, product("nbd,dhw->nbhw", rows, weights["values"]))
        output = product("nahw,hwo->nao", mixed, weights["output"])
        if self.bias_std is not None:
            output = output + weights["bias"][None, None]
        return output.reshape(*x.shape[:-1], self.width)

    def _normalize(self, scores: Array) -> Array:
        return jax.nn.softmax(scores, axis=-1) if self.normalization == "softmax" else scores

    def propagate(self, state: State) -> State:
        """Return the moments of the outputs.

        The outputs are linear in every set of weights that trains, so that each adds E out·out′ to the tangent kernel,
        times fan_in/σ² in the "standard" parameterisation.

        Reference: `hron2020infinite`, section 3; `sohl2020infinite`, section 3.2.
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
            mixed, passed = (
                self._sqrt(cov, ntk) if self.scaling == "sqrt" else self._linear(cov, ntk, *sides, is_cross=is_cross)
            )
            bias = 0.0 if self.bias_std is None else self.bias_std**2
            after = (
                None if passed is None else (passed + self._own(layout.channels, mixed, bias)).reshape(one.cov.shape)
            )
            return one._replace(cov=(mixed + bias).reshape(one.cov.shape), ntk=after)

        return from_covariances(state, block, channels=self.width, gaussian=True, centred=layout.forks)

    def _own(self, channels: int, mixed: Array, bias: Scalar) -> Array:
        """Return the tangent kernel of the parameters; scores that are frozen do not train."""
        trained = ("queries", "keys", "values", "output") if self.scaling == "sqrt" else ("values", "output")
        if not self._is_standard:
            return len(trained) * mixed + bias
        sets = self._sets(channels)
        gains = [fan_in / std**2 for name, (std, fan_in) in sets.items() if name in trained]
        return sum(gains) * mixed + float("bias" in sets)

    def _sqrt(self, cov: Array, ntk: Array | None) -> tuple[Array, Array | None]:
        """K_aa′ Σ_b K_bb′² for all b, b′, and what its three inputs pass on."""
        factor = (self.weight_std * self.value_std * self.score_std) ** 2
        total = jnp.sum(cov**2, axis=(-2, -1), keepdims=True)
        mixed = factor * cov * total
        if ntk is None:
            return mixed, None
        passed = ntk * total + 2.0 * cov * jnp.sum(cov * ntk, axis=(-2, -1), keepdims=True)
        return mixed, factor * passed

    def _linear(
        self, cov: Array, ntk: Array | None, left: Array, right: Array, *, is_cross: bool
    ) -> tuple[Array, Array | None]:
        """Σ_bb′ A_ab A′_a′b′ K_bb′ with A = normalised kernels of each row, and what the values' input passes on."""
        factor = (self.weight_std * self.value_std) ** 2
        subscripts = "nab,nmbd,mcd->nmac" if is_cross else "nab,nbd,ncd->nac"

        def mix(array: Array) -> Array:
            return factor * jnp.einsum(subscripts, left, array, right, precision=jax.lax.Precision.HIGHEST)

        return mix(cov), None if ntk is None else mix(ntk)


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
    bias_std: Scalar | None = None,
    parameterization: str = "ntk",
) -> Attention:
    """Self-attention over positions, in the two forms that have closed kernels.

    Scaling: queries, keys and values are σ/√d · h W. With "sqrt" the scores are q·k/√(head width), not normalised, and
    both the number of heads and their width go to infinity; sums over positions are not divided by their number.
    With "linear" they are q·q/(head width), keys being queries, and only the width has to go to infinity. In the
    "standard" parameterisation the weights are drawn with standard deviation σ/√fan_in, the same function at the start,
    and the tangent kernel is O(fan_in); with "linear" the queries add O(d/head width) to it, which is left out.

    Args:
        width: channels of the output.
        num_heads: of the finite network.
        head_width: of queries, keys and values in each head.
        scaling: "sqrt" or "linear".
        normalization: of the scores over positions: "identity", or "softmax" with linear scaling.
        score_std: σ of the scores; those of queries and keys are its square roots.
        value_std: σ of the values.
        weight_std: σ of the output weights.
        bias_std: σ of the output's bias; None has no bias. Zero differs from None as for `dense`.
        parameterization: "ntk" or "standard", see `dense`.

    Raises:
        ValueError: an unknown form, a softmax of random scores, or numbers out of range.

    Reference: `hron2020infinite`, section 3; both forms are checked against finite networks.
    """
    check_arguments(attention, locals())
    check_name("scaling", scaling, SCALINGS)
    check_name("normalization", normalization, NORMALIZATIONS)
    check_name("parameterization", parameterization, PARAMETERIZATIONS)
    forbid(
        scaling == "sqrt" and normalization == "softmax",
        'A softmax of random scores has no closed kernel: use scaling="linear", or normalization="identity".',
    )
    for name, value in (("score_std", score_std), ("value_std", value_std), ("weight_std", weight_std)):
        check_scalar(name, value)
        check_positive(name, value)
    if bias_std is not None:
        check_scalar("bias_std", bias_std)
        check_nonnegative("bias_std", bias_std)
    sizes = (check_count("width", width), check_count("num_heads", num_heads), check_count("head_width", head_width))
    return Attention(*sizes, scaling, normalization, score_std, value_std, weight_std, bias_std, parameterization)
