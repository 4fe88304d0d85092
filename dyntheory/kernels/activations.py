"""Elementwise layers: closed forms by name, and `elementwise` for any scalar function."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import jax.numpy as jnp

from dyntheory.ground.arrays import Array, Key, PyTree
from dyntheory.ground.checks import check_count, check_finite, check_positive, check_scalar
from dyntheory.ground.identity.factory import known_by_arguments
from dyntheory.ground.kinds import check_arguments
from dyntheory.kernels import duals, quadrature
from dyntheory.kernels.layer import Layer
from dyntheory.kernels.linear import need_gaussian
from dyntheory.kernels.moments import Block, Scalar, State, larger, with_excess

SIGMOID_LIKE_SCALE = 1.0 / 2.4020563531719796


@dataclasses.dataclass(frozen=True)
class Elementwise(Layer):
    """A scalar function applied to every unit, with its dual."""

    dual: duals.Dual

    def __repr__(self) -> str:
        return f"Elementwise({self.dual.name})"

    def apply(self, params: PyTree, x: Array, *, key: Key | None = None) -> Array:
        """Return φ of every entry."""
        del params, key
        return self.dual.function(x)

    def propagate(self, state: State) -> State:
        """Return E φφ, and the tangent kernel times E φ′φ′.

        Reference: `jacot2018neural`, theorem 1; `lee2018deep`, eq. 5.
        """
        need_gaussian(state, self.dual.name)
        centred = state.layout.centred if state.layout.centred and self.dual.is_odd else 0
        return state.map(self._block, gaussian=False, centred=centred)

    def _block(self, block: Block) -> Block:
        image = self.dual.image(block)
        left, right = self.dual.second_moment(block.left), self.dual.second_moment(block.right)
        ntk = None if block.ntk is None else image.slope * block.ntk
        left_out = larger(block.left_out, image.left_out)
        after = block._replace(left=left, right=right, cov=image.cov, ntk=ntk, left_out=left_out)
        if image.excess is not None:
            return after._replace(excess=image.excess)
        after = with_excess(after)
        equal = (block.excess == 0.0) & (block.left == block.right)  # equal arguments have equal images
        variance = jnp.broadcast_to(left, after.cov.shape)
        return after._replace(cov=jnp.where(equal, variance, after.cov), excess=jnp.where(equal, 0.0, after.excess))


def elementwise(
    function: Callable[[Array], Array],
    *,
    degree: int = quadrature.DEGREE,
    num_nodes: int = quadrature.NUM_NODES,
) -> Elementwise:
    """Apply any scalar function written in JAX; its kernel comes from `degree` Hermite coefficients.

    The error is below 1e-10 for functions that are smooth on the scale of the preactivations (tanh up to variance 2,
    softplus up to 10), and have a kink or a jump at zero at most, which is taken apart. Beyond that raise `degree`;
    `quadrature.truncation_error` bounds the error, and outside of jit a warning says when it matters: for φ or for φ′,
    which the tangent kernel needs. Kinks elsewhere leave up to a percent of it.

    Args:
        function: φ, applied to arrays elementwise, written in JAX.
        degree: number of Hermite terms.
        num_nodes: nodes of the one-dimensional rule.

    Raises:
        TypeError: `function` is not callable, or not written in JAX (jnp.tanh, not np.tanh).
        ValueError: its value at an entry depends on other entries, as that of softmax does.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from dyntheory import kernels
        >>> network = kernels.serial(kernels.dense(64), kernels.elementwise(jnp.tanh), kernels.dense(1))
        >>> network.kernel(jnp.ones((2, 4))).nngp.shape
        (2, 2)

    Reference: `daniely2016toward`, section 4.
    """
    check_arguments(elementwise, locals())
    name = getattr(function, "__name__", "custom")
    return Elementwise(quadrature.numerical(function, degree=degree, num_nodes=num_nodes, name=name))


def _numbers(**arguments: Scalar) -> None:
    for name, value in arguments.items():
        check_scalar(name, value)
        check_finite(name, value)


def relu() -> Elementwise:
    """Apply max(x, 0)."""
    return Elementwise(duals.rectifier(0.0, 1.0, "relu"))


def leaky_relu(slope: Scalar = 0.01) -> Elementwise:
    """Apply max(x, 0) + slope · min(x, 0)."""
    check_arguments(leaky_relu, locals())
    _numbers(slope=slope)
    return Elementwise(duals.rectifier(slope, 1.0, "leaky_relu"))


def abs() -> Elementwise:
    """Apply |x|."""
    return Elementwise(duals.rectifier(-1.0, 1.0, "abs"))


def sign() -> Elementwise:
    """Apply the sign; no tangent kernel passes through, since its derivative is zero almost everywhere."""
    return Elementwise(duals.sign())


def erf(scale: Scalar = 1.0) -> Elementwise:
    """Apply the error function of scale · x."""
    check_arguments(erf, locals())
    _numbers(scale=scale)
    return Elementwise(duals.error_function(scale))


def sigmoid_like() -> Elementwise:
    """Apply ½ + ½ erf(x/2.402…), within 0.02 of the logistic function; for the latter use `elementwise`."""
    return Elementwise(duals.error_function(SIGMOID_LIKE_SCALE, height=0.5, shift=0.5, name="sigmoid_like"))


def gelu() -> Elementwise:
    """Apply x Φ(x), Φ the Gaussian distribution function (not its tanh approximation)."""
    return Elementwise(duals.gelu())


def sin(frequency: Scalar = 1.0, *, amplitude: Scalar = 1.0, phase: float = 0.0) -> Elementwise:
    """Apply amplitude times the sine of frequency · x + phase."""
    check_arguments(sin, locals())
    _numbers(frequency=frequency, amplitude=amplitude, phase=phase)
    return Elementwise(duals.sinusoid(amplitude, frequency, phase, "sin"))


def cos(frequency: Scalar = 1.0, *, amplitude: Scalar = 1.0) -> Elementwise:
    """Apply amplitude times the cosine of frequency · x."""
    check_arguments(cos, locals())
    _numbers(frequency=frequency, amplitude=amplitude)
    return Elementwise(duals.sinusoid(amplitude, frequency, 0.5 * math.pi, "cos"))


@known_by_arguments
def rbf(gamma: Scalar = 1.0) -> Elementwise:
    """Apply √2 sin(√(2γ) x + π/4), whose dual is exp(−γ E(u − v)²)."""
    check_arguments(rbf, locals())
    check_scalar("gamma", gamma)
    check_positive("gamma", gamma)
    return Elementwise(duals.sinusoid(math.sqrt(2.0), (2.0 * gamma) ** 0.5, 0.25 * math.pi, "rbf"))


def gaussian(rate: Scalar = 1.0) -> Elementwise:
    """Apply exp(−rate · x²)."""
    check_arguments(gaussian, locals())
    check_scalar("rate", rate)
    check_positive("rate", rate)
    return Elementwise(duals.gaussian(rate))


def exp(rate: Scalar = 1.0, *, amplitude: Scalar = 1.0) -> Elementwise:
    """Apply amplitude times the exponential of rate · x."""
    check_arguments(exp, locals())
    _numbers(rate=rate, amplitude=amplitude)
    return Elementwise(duals.exponential(rate, amplitude))


def monomial(degree: int) -> Elementwise:
    """Apply x^degree."""
    check_arguments(monomial, locals())
    degree = check_count("degree", degree, minimum=0)
    return Elementwise(duals.polynomial((0.0,) * degree + (1.0,), f"monomial({degree})"))


def polynomial(coefficients: Sequence[float]) -> Elementwise:
    """Apply Σ_k a_k x^k.

    Args:
        coefficients: a_0, a_1, …
    """
    check_arguments(polynomial, locals())
    if not isinstance(coefficients, Sequence) or not coefficients:
        raise ValueError(f"`coefficients` must be numbers a_0, a_1, …, at least one, got {coefficients!r}.")
    check_finite("coefficients", coefficients)
    return Elementwise(duals.polynomial(tuple(float(a) for a in coefficients)))


def hermite(degree: int) -> Elementwise:
    """Apply He_k(x)/√k!, k = `degree`, orthonormal for the standard Gaussian."""
    check_arguments(hermite, locals())
    return Elementwise(duals.hermite(check_count("degree", degree, minimum=0)))
