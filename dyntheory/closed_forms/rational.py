"""Gradient descent on least squares in rational arithmetic: no rounding, hence a check of everything else.

For integer t the errors of `least_squares_gd` are polynomials in the learning rate and in c = 1/α, through the moments
of Marchenko and Pastur's law, E hᵏ = Σ_{r<k} c^r/(r + 1) C(k, r) C(k − 1, r).
"""

from __future__ import annotations

from fractions import Fraction
from math import comb
from numbers import Rational

from dyntheory.closed_forms.gradient_descent import Curve
from dyntheory.ground.checks import check_count
from dyntheory.ground.kinds import check_arguments


def rational_gd(
    samples_per_feature: Rational,
    learning_rate: Rational,
    *,
    step: int,
    signal_power: Rational = Fraction(1),
    initial_power: Rational = Fraction(0),
    noise_variance: Rational = Fraction(0),
) -> Curve:
    """Return the errors of `least_squares_gd` after one number of steps as fractions.

    With q_k(h) = (1 − ηh)^k and s_k = Σ_j q_j(h) for j < k, so that 1 − q_t = ηh s_t, the errors are the integrals of
    q_t², h q_t² and η²h s_t² over the whole law, its atom included. The cost grows as t³.

    Args:
        samples_per_feature: α = n/d, an int or a Fraction, positive.
        learning_rate: η, an int or a Fraction.
        step: t, zero or positive.
        signal_power: E w*².
        initial_power: E w⁰².
        noise_variance: σ².

    Returns:
        Train and test error, Fractions.

    Raises:
        TypeError: a number that is not rational.
        ValueError: α or t outside its range.

    Example:
        >>> from fractions import Fraction
        >>> from dyntheory import closed_forms
        >>> closed_forms.rational_gd(2, Fraction(1, 2), step=2, noise_variance=Fraction(1, 4)).test_error
        Fraction(271, 512)

    Reference: `advani2020high` (their flow in discrete time; derived here).
    """
    check_arguments(rational_gd, locals())
    count = check_count("step", step, minimum=0)
    numbers = (samples_per_feature, learning_rate, signal_power, initial_power, noise_variance)
    if not all(isinstance(number, Rational) for number in numbers):
        raise TypeError(f"Exact errors need ints or Fractions, got {numbers}: fractions.Fraction('0.3') is 3/10.")
    alpha, rate, signal, initial, noise = (Fraction(number) for number in numbers)
    if alpha <= 0:
        raise ValueError(f"`samples_per_feature` must be positive (it is n/d), got {alpha}.")
    rest = {"learning_rate": rate, "signal_power": signal, "initial_power": initial, "noise_variance": noise}
    for name, number in rest.items():
        if number < 0:
            raise ValueError(f"`{name}` must be zero or positive, got {number}.")
    ratio, distance = 1 / alpha, signal + initial
    moments = [_moment(order, ratio) for order in range(2 * count + 2)]
    # q_t² and (1 − q_t)²/h = (1 − 2 q_t + q_t²)/h, whose constant terms vanish
    once, twice = _power(rate, count), _power(rate, 2 * count)
    left = sum((a * m for a, m in zip(twice, moments, strict=False)), Fraction(0))
    loaded = sum((a * m for a, m in zip(twice, moments[1:], strict=False)), Fraction(0))
    gain = [b - 2 * (once[k] if k < len(once) else 0) for k, b in enumerate(twice)]
    gained = sum((g * m for g, m in zip(gain[1:], moments, strict=False)), Fraction(0))
    test = noise + distance * left + noise * ratio * gained
    return Curve(distance * loaded + noise * (1 - ratio + ratio * left), test)


def _power(rate: Fraction, exponent: int) -> list[Fraction]:
    """Return the coefficients of (1 − ηh)^exponent in increasing powers of h."""
    return [comb(exponent, k) * (-rate) ** k for k in range(exponent + 1)]


def _moment(order: int, ratio: Fraction) -> Fraction:
    """Return E h^order, the atom included."""
    if order == 0:
        return Fraction(1)
    terms = (ratio**r * comb(order, r) * comb(order - 1, r) / (r + 1) for r in range(order))
    return sum(terms, Fraction(0))
