"""Dual activations: E φ(u)φ(v) and E φ′(u)φ′(v) for a centred Gaussian pair (u, v), in closed form.

Every formula is written in the excess e = s₁s₂ − c, s = √variance, and in quantities that do not cancel between
near-coincident inputs: v₁v₂ − c² = e (2s₁s₂ − e), E (u − v)² = (s₁ − s₂)² + 2e, tan²(θ/2) = e/(2s₁s₂ − e).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import Array
from dyntheory.ground.checks import is_concrete
from dyntheory.ground.identity.factory import known_by_arguments
from dyntheory.kernels.moments import Block, Scalar, deviations, root
from dyntheory.kernels.sameness import shared

OPPOSITE = 4


class Image(NamedTuple):
    """What a scalar function makes of a Gaussian pair.

    Args:
        cov: E φ(u)φ(v).
        slope: E φ′(u)φ′(v), which multiplies the tangent kernel; the derivative is that of automatic differentiation,
            so a jump counts as slope zero.
        excess: √(Eφ(u)² Eφ(v)²) − cov, or None where it is left to its definition.
        left_out: largest fraction of a second moment that is missing, (), or None for closed forms.
    """

    cov: Array
    slope: Array
    excess: Array | None = None
    left_out: Array | None = None


@dataclasses.dataclass(frozen=True)
class Dual:
    """A scalar function with its Gaussian second moments.

    Args:
        name: what it is called.
        function: φ, applied to every entry.
        second_moment: E φ(u)² from the variance of u.
        image: the moments of φ(u), φ(v) from those of u, v.
        odd: whether φ(−x) = −φ(x); None to ask φ.
    """

    name: str
    function: Callable[[Array], Array]
    second_moment: Callable[[Array], Array]
    image: Callable[[Block], Image]
    odd: bool | None = None

    @property
    def is_odd(self) -> bool:
        """Whether φ(−x) = −φ(x), so that its mean is zero: to the last bit at 501 points between 10⁻³ and 10³."""
        if self.odd is not None:
            return self.odd
        points = np.geomspace(1e-3, 1e3, 501)
        with jax.ensure_compile_time_eval():
            there, opposite = self.function(jnp.asarray(points)), self.function(jnp.asarray(-points))
        return is_concrete(there) and bool(np.all(np.asarray(there) == -np.asarray(opposite)))


def _sides(block: Block) -> tuple[Array, Array]:
    """Return s₁s₂ − c and s₁s₂ + c."""
    left, right = deviations(block)
    return block.excess, jnp.maximum(2.0 * left * right - block.excess, 0.0)


def _determinant(block: Block) -> Array:
    """Return v₁v₂ − c²."""
    below, above = _sides(block)
    return below * above


def angle(block: Block) -> tuple[Array, Array]:
    """Return the angle θ between u and v, and s₁s₂ sin θ; zero beside a signal that is zero.

    Opposite units, c = −s₁s₂, are told from the rounding of their moments: closer to π than that θ is π.
    """
    below, above = _sides(block)
    numbers = jnp.finfo(below.dtype)
    above = jnp.where(above > OPPOSITE * numbers.eps * below, above, 0.0)
    tangent = root(below / (jnp.maximum(above, numbers.eps**2 * below) + numbers.tiny**0.5))
    theta = jax.lax.optimization_barrier(2.0 * jnp.arctan(tangent))  # three results use the angle: compute it once
    return theta, tangent * above


@shared
def rectifier(negative: Scalar, positive: Scalar, name: str = "rectifier") -> Dual:
    """φ(x) = b max(x, 0) + a min(x, 0), a = `negative`, b = `positive`: ReLU, leaky ReLU, absolute value, identity.

    With m = (a² + b²)/2 and t = (b − a)²/(2π) · s₁s₂ (sin θ − θ cos θ): E φφ = m c + t, its excess is m e − t, and
    E φ′φ′ = m − (b − a)² θ/(2π).

    Reference: `cho2009kernel`, eqs. 5-6 (a = 0, b = √2 there).
    """
    mean = 0.5 * (negative * negative + positive * positive)
    spread = (positive - negative) ** 2 / (2 * math.pi)

    def image(block: Block) -> Image:
        theta, sine = angle(block)
        bend = spread * (sine - theta * block.cov)
        excess = jnp.maximum(mean * block.excess - bend, 0.0)
        return Image(mean * block.cov + bend, mean - spread * theta, excess)

    def function(x: Array) -> Array:
        return positive * jnp.maximum(x, 0) + negative * jnp.minimum(x, 0)

    return Dual(name, function, lambda variance: mean * variance, image)


@shared
def sign() -> Dual:
    """φ(x) = sign x. Its derivative is zero almost everywhere, so no tangent kernel passes through.

    Reference: `williams1996computing`; E φφ = (2/π) arcsin ρ = 1 − 2θ/π.
    """

    def image(block: Block) -> Image:
        excess = (2 / math.pi) * angle(block)[0]
        cov = second_moment(block.left) * second_moment(block.right) - excess
        return Image(cov, jnp.zeros_like(cov), excess)

    def second_moment(variance: Array) -> Array:
        return jnp.where(variance > 0, 1.0, jnp.zeros_like(variance))

    return Dual("sign", jnp.sign, second_moment, image)


@shared
def error_function(scale: Scalar = 1.0, *, height: Scalar = 1.0, shift: Scalar = 0.0, name: str = "erf") -> Dual:
    """φ(x) = shift + height · erf(scale · x).

    Reference: `williams1996computing`, eq. 11.
    """
    twice, square = 2.0 * scale * scale, (2.0 / math.pi) * height * height

    def second_moment(variance: Array) -> Array:
        wide = twice * variance
        return shift * shift + square * jnp.arctan(wide * jax.lax.rsqrt(1.0 + 2.0 * wide))

    def image(block: Block) -> Image:
        spread = 1.0 + twice * (block.left + block.right) + twice * twice * _determinant(block)
        inverse_root = jax.lax.rsqrt(spread)
        cov = shift * shift + square * jnp.arctan(twice * block.cov * inverse_root)
        return Image(cov, square * twice * inverse_root)

    odd = is_concrete(shift) and bool(shift == 0)
    return Dual(name, lambda x: shift + height * jax.scipy.special.erf(scale * x), second_moment, image, odd)


@shared
def gelu() -> Dual:
    """φ(x) = x Φ(x), Φ the Gaussian distribution function.

    With P = (1 + v₁)(1 + v₂), R² = P − c², Δ = v₁v₂ − c² and A = 1/4 + arctan(c/R)/(2π), which is E Φ(u)Φ(v):
    E φφ = c A + (v₁v₂(2 + v₁ + v₂) + Δ(v₁v₂ − 1))/(2πPR), by Stein's lemma; its derivative in c is
    E φ′φ′ = A + c (1/(1 + v₁) + 1/(1 + v₂) + 1/R²)/(2πR), by Price's theorem. Nothing large cancels.

    Reference: `tsuchida2021avoiding` gives an equivalent form.
    """

    def image(block: Block) -> Image:
        left, right, cov = block.left, block.right, block.cov
        determinant, both = _determinant(block), left * right
        square = 1.0 + left + right + determinant
        inverse_root = jax.lax.rsqrt(square) / (2 * math.pi)
        half = jnp.arctan2(jnp.sqrt(square), -cov) / (2 * math.pi)
        one, other = 1.0 / (1.0 + left), 1.0 / (1.0 + right)
        top = (both * (2.0 + left + right) + determinant * (both - 1.0)) * one * other
        slope = half + cov * inverse_root * (one + other + 1.0 / square)
        return Image(cov * half + top * inverse_root, slope)

    def second_moment(variance: Array) -> Array:
        block = Block(variance, variance, variance, jnp.zeros_like(variance))
        return image(block).cov

    return Dual("gelu", lambda x: jax.nn.gelu(x, approximate=False), second_moment, image)


@shared
@known_by_arguments
def sinusoid(amplitude: Scalar, frequency: Scalar, phase: float, name: str = "sinusoid") -> Dual:
    """φ(x) = A sin(a x + b): sin, cos, and √2 sin(√(2γ) x + π/4), whose dual is the RBF kernel exp(−γ D).

    E φφ = A²/2 (e^{−a²D/2} − cos 2b · e^{−a²S/2}) with D = E (u − v)², S = E (u + v)².

    Reference: `rahimi2007random`, section 3 (√2 cos with a random phase there, here a fixed one).
    """
    power, square, constant, sway = 0.5 * amplitude**2, frequency**2, 2 * math.sin(phase) ** 2, math.cos(2 * phase)
    if math.isclose(phase, math.pi / 4):
        sway = 0.0

    def second_moment(variance: Array) -> Array:
        return power * (constant - sway * jnp.expm1(-2.0 * square * variance))

    def image(block: Block) -> Image:
        left, right = deviations(block)
        near, far = jnp.square(left - right) + 2.0 * block.excess, jnp.square(left + right) - 2.0 * block.excess
        near, far = (jnp.expm1(-0.5 * square * distance) for distance in (near, far))
        cov = power * (constant + near - sway * far)
        slope = power * square * (2.0 - constant + near + sway * far)
        return Image(cov, slope, -power * near if sway == 0.0 else None)

    return Dual(name, lambda x: amplitude * jnp.sin(frequency * x + phase), second_moment, image, phase == 0)


@shared
def gaussian(rate: Scalar = 1.0) -> Dual:
    """φ(x) = exp(−rate · x²); E φφ = 1/√(1 + 2r(v₁ + v₂) + 4r²(v₁v₂ − c²)).

    Reference: `williams1996computing`, eq. 13.
    """

    def second_moment(variance: Array) -> Array:
        return jax.lax.rsqrt(1.0 + 4.0 * rate * variance)

    def image(block: Block) -> Image:
        inverse_root = jax.lax.rsqrt(
            1.0 + 2.0 * rate * (block.left + block.right) + 4.0 * rate**2 * _determinant(block)
        )
        return Image(inverse_root, 4.0 * rate**2 * block.cov * inverse_root**3)

    return Dual("gaussian", lambda x: jnp.exp(-rate * x * x), second_moment, image)


@shared
def exponential(rate: Scalar = 1.0, amplitude: Scalar = 1.0) -> Dual:
    """φ(x) = A exp(b x); E φφ = A² exp(b² E(u + v)²/2).

    Reference: the moment generating function of the Gaussian; `daniely2016toward`, table 1, at unit variances.
    """

    def second_moment(variance: Array) -> Array:
        return amplitude**2 * jnp.exp(2.0 * rate**2 * variance)

    def image(block: Block) -> Image:
        cov = amplitude**2 * jnp.exp(0.5 * rate**2 * (block.left + block.right + 2.0 * block.cov))
        return Image(cov, rate**2 * cov)

    return Dual("exp", lambda x: amplitude * jnp.exp(rate * x), second_moment, image)


@shared
def polynomial(coefficients: Sequence[float], name: str = "polynomial") -> Dual:
    """φ(x) = Σ_k a_k x^k; E φφ = Σ_j c^j/j! m_j(v₁) m_j(v₂), m_j(v) = E φ^{(j)}(√v Z), by Mehler's formula.

    Reference: `daniely2016toward`, section 4.2, there at unit variances.
    """
    degree = len(coefficients) - 1

    def derivative_means(variance: Array) -> list[Array]:
        means = []
        for order in range(degree + 1):
            mean = jnp.zeros_like(variance)
            for half in reversed(range((degree - order) // 2 + 1)):
                power = order + 2 * half
                mean = mean * variance + coefficients[power] * math.factorial(power) / (math.factorial(half) * 2**half)
            means.append(mean)
        return means

    def image(block: Block) -> Image:
        left, right = derivative_means(block.left), derivative_means(block.right)
        cov, slope = jnp.zeros_like(block.cov), jnp.zeros_like(block.cov)
        for order in reversed(range(degree + 1)):
            slope = slope * block.cov + left[order] * right[order] / math.factorial(order - 1) if order else slope
            cov = cov * block.cov + left[order] * right[order] / math.factorial(order)
        return Image(cov, slope)

    def second_moment(variance: Array) -> Array:
        return image(Block(variance, variance, variance, jnp.zeros_like(variance))).cov

    def function(x: Array) -> Array:
        return jnp.polyval(jnp.asarray(coefficients[::-1], dtype=x.dtype), x)

    return Dual(name, function, second_moment, image)


@shared
def hermite(degree: int) -> Dual:
    """φ = He_k/√k!, k = `degree`: orthonormal for the standard Gaussian; ρ^k is its dual at unit variances."""
    coefficients = [0.0] * (degree + 1)
    for half in range(degree // 2 + 1):
        power = degree - 2 * half
        weight = math.factorial(degree) / (math.factorial(half) * math.factorial(power) * 2**half)
        coefficients[power] = (-1) ** half * weight / math.sqrt(math.factorial(degree))
    return polynomial(coefficients, f"hermite({degree})")
