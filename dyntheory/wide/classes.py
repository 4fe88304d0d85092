"""Which limit a parametrisation has: the dynamical dichotomy of abc-parametrisations, read off five exponents.

A layer is W^l = n^(−a_l) w^l, with w^l of standard deviation n^(−b_l) that SGD moves at rate η n^(−c_l). Only the size
of what it is and of what moves it counts: W^l begins with entries n^(−A_l), A_l = a_l + b_l, and moves by n^(−C_l)
times the gradient in W^l, C_l = 2a_l + c_l. Signals from the output arrive as n^(−g), g = min(A_out, C_out), so

    features move by n^(−r),  r = min(C_first + g, C_hidden + g − 1),
    outputs move by n^(1 − C_out) with the readout, and by n^(1 − g − r) with the features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from dyntheory.ground.arrays import ArrayLike
from dyntheory.ground.checks import check_finite
from dyntheory.ground.kinds import check_arguments

CLOSE = 1e-9
WITHOUT_HIDDEN = 2
FEATURES, KERNEL = "feature learning", "kernel limit"
EXPLODING, VANISHING, FROZEN = "exploding", "vanishing at the start", "frozen"
NAMED = {
    ((0, 0.5, 1), (-1, 0, 1)): 'the parametrisation "mup" of `WideNetwork`',
    ((0, 0.5, 0.5), (0, 1, 1)): 'the parametrisation "ntk" of `WideNetwork`',
    ((0, 0.5, 0.5), (0, 0, 0)): 'the parametrisation "standard" of `WideNetwork` at a rate that width does not change',
    ((0, 0.5, 0.5), (1, 1, 1)): 'the parametrisation "standard" of `WideNetwork` at rates ∝ 1/width',
}


class Classification(NamedTuple):
    """What becomes of a parametrisation as its width n grows.

    Args:
        kind: "feature learning", "kernel limit", "exploding", "vanishing at the start" or "frozen".
        reason: which exponent decides, what to change, and the name of the parametrisation if it has one.
        feature_exponent: r; features move by n^(−r), if the start and the readout are stable.
        initial_exponents: A of first, hidden and output layer (without the hidden one if there is none).
        rate_exponents: C of the same.
    """

    kind: str
    reason: str
    feature_exponent: float
    initial_exponents: tuple[float, ...]
    rate_exponents: tuple[float, ...]


class _Exponents(NamedTuple):
    """A and C of the layers, without the hidden one None; tolerance aside, all that counts."""

    first: tuple[float, float]
    hidden: tuple[float, float] | None
    readout: tuple[float, float]

    @property
    def signal(self) -> float:
        """Exponent g: signals from the output arrive as n^(−g)."""
        return min(self.readout)

    def rate_of(self, layer: str) -> float:
        """Return C of the first layer or of hidden ones."""
        return self.first[1] if layer == "first" or self.hidden is None else self.hidden[1]

    @property
    def by_layer(self) -> dict[str, float]:
        """Exponents r of the first layer and of hidden ones: their updates move features by n^(−r)."""
        found = {"first": self.first[1] + self.signal}
        return found if self.hidden is None else {**found, "hidden": self.hidden[1] + self.signal - 1}


def classify(a: Sequence[float], b: Sequence[float], c: ArrayLike) -> Classification:
    """Say which infinite-width limit an abc-parametrisation has when it is trained by SGD.

    W^l = n^(−a_l) w^l, w^l ~ N(0, n^(−2 b_l)), and w^l moves at the rate η n^(−c_l); layers in the order first, hidden,
    output. Adding θ to a_l, −θ to b_l and −2θ to c_l changes nothing.

    Scaling:
        With A_l = a_l + b_l, C_l = 2a_l + c_l, g = min(A_out, C_out), r = min(C_first + g, C_hidden + g − 1).
        The start is stable if A_first = 0, A_hidden = ½, A_out ≥ ½; training if r ≥ 0, C_out ≥ 1, g + r ≥ 1. Then
        something moves if C_out = 1 or g + r = 1; features do if r = 0. Momentum keeps all this, Adam does not: its
        steps do not depend on the size of gradients.

    Args:
        a: exponents of the multipliers: three numbers, or two for a single hidden layer (first, output).
        b: exponents of the initial standard deviations, as many.
        c: exponents of the learning rates, as many, or one number for all layers.

    Returns:
        The kind, its reason, and the exponents.

    Raises:
        TypeError: something that is not numbers.
        ValueError: another count of numbers, or numbers that are not finite.

    Example:
        >>> import dyntheory as dt
        >>> dt.wide.classify(a=(0, 0.5, 0.5), b=(0, 0, 0), c=0).kind
        'kernel limit'
        >>> dt.wide.classify(a=(0, 0, 0), b=(0, 0.5, 0.5), c=0).kind
        'exploding'
        >>> dt.wide.classify(a=(-0.5, 0, 0.5), b=(0.5, 0.5, 0.5), c=0).kind
        'feature learning'

    Reference: `yang2021tensor`, section 3 (stability, nontriviality, dichotomy), where c is one number for all layers.
    """
    check_arguments(classify, locals())
    starts, rates = _checked(a, b, c)
    hidden = None if len(starts) == WITHOUT_HIDDEN else (starts[1], rates[1])
    found = _Exponents((starts[0], rates[0]), hidden, (starts[-1], rates[-1]))
    kind, reason = _at_the_start(found) or _in_training(found) or _when_stable(found)
    name = next(
        (told for exponents, told in NAMED.items() if _without_hidden(exponents, hidden) == (starts, rates)), ""
    )
    reason = f"{reason}. This is {name}." if name else f"{reason}."
    return Classification(kind, reason, min(found.by_layer.values()), starts, rates)


def _without_hidden(exponents: Any, hidden: Any) -> tuple[tuple[float, ...], ...]:
    return exponents if hidden is not None else tuple((first, last) for first, _, last in exponents)


def _checked(a: Sequence[float], b: Sequence[float], c: ArrayLike) -> tuple[tuple[float, ...], tuple[float, ...]]:
    count = len(a)
    if count not in (WITHOUT_HIDDEN, WITHOUT_HIDDEN + 1):
        raise ValueError(f"`a` must hold 3 numbers (first, hidden, output) or 2 (no hidden matrix), got {a!r}.")
    if len(b) != count or np.shape(c) not in ((), (count,)):
        raise ValueError(f"`b` must hold {count} numbers as `a` does, `c` as many or one, got {b!r} and {c!r}.")
    for name, value in (("a", a), ("b", b), ("c", c)):
        check_finite(name, value)
    multipliers, rates = np.asarray(a, float), np.broadcast_to(np.asarray(c, float), (count,))
    starts, moves = multipliers + np.asarray(b, float), 2 * multipliers + rates
    # Sums of decimal fractions are rounded: 0.1 + 0.4 is to be 1/2.
    return tuple(np.round(starts, 9).tolist()), tuple(np.round(moves, 9).tolist())


def _at_the_start(found: _Exponents) -> tuple[str, str] | None:
    """Return what is wrong with the initial sizes, layer by layer."""
    layers = [("first", found.first[0], 0.0, "(fan_in does not grow)")]
    if found.hidden is not None:
        layers.append(("hidden", found.hidden[0], 0.5, "(1/√fan_in)"))
    for name, size, wanted, why in layers:
        if abs(size - wanted) > CLOSE:
            kind, what = (VANISHING, "vanish") if size > wanted else (EXPLODING, "explode")
            told = f"features {what} before training as n^{wanted - size:+.3g}: A of the {name} layer is {size:.3g}"
            return kind, f"{told}; make its a + b equal to {wanted:g} {why}"
    if found.readout[0] < 0.5 - CLOSE:
        told = f"outputs explode before training as n^{0.5 - found.readout[0]:+.3g}: A of the output layer is"
        return EXPLODING, f"{told} {found.readout[0]:.3g}; make its a + b at least 1/2"
    return None


def _in_training(found: _Exponents) -> tuple[str, str] | None:
    """Return what explodes in training; cures of the other layers take that of the output layer as done."""
    size, rate = found.readout
    told = []
    if rate < 1 - CLOSE:
        told.append(f"the output layer moves outputs by n^{1 - rate:.3g}: its 2a + c is {rate:.3g}, make it at least 1")
    cured = found._replace(readout=(size, max(rate, 1.0)))
    least = max(0.0, 1 - cured.signal)
    for name, exponent in cured.by_layer.items():
        if exponent < least - CLOSE:
            grows = max(-found.by_layer[name], 1 - found.signal - found.by_layer[name])
            what = "features" if -found.by_layer[name] >= grows - CLOSE else "outputs, by way of features,"
            own = found.rate_of(name)
            cure = f"its 2a + c is {own:.3g}, make it at least {own + least - exponent:.3g}"
            told.append(f"the {name} layer moves {what} by n^{grows:.3g}: {cure}")
    return (EXPLODING, f"training explodes; {'; '.join(told)}") if told else None


def _when_stable(found: _Exponents) -> tuple[str, str]:
    layers, signal = found.by_layer, found.signal
    least = min(layers.values())
    moving = [name for name, exponent in layers.items() if abs(exponent + signal - 1) <= CLOSE]
    moving += ["output"] if abs(found.readout[1] - 1) <= CLOSE else []
    still = [name for name in (*layers, "output") if name not in moving]
    if not moving:
        exponent = min(found.readout[1], least + signal) - 1
        told = f"2a + c of the output layer is {found.readout[1]:.3g} and g + r is {least + signal:.3g}"
        return FROZEN, f"outputs move by n^{-exponent:.3g} only: {told}, lower c until one of them is 1"
    if least > CLOSE:
        told = (
            f"outputs move and features by n^{-least:.3g} only (r = {least:.3g}), so the tangent kernel stays as it was"
        )
        wanted = "(−1, 1)" if found.hidden is None else "(−1, 0, 1)"
        cure = f"for features make a + b of the output layer 1 and 2a + c {wanted}"
        return KERNEL, f"{told}; {cure}{_told_still(still)}"
    return FEATURES, f"features move by O(1) (r = 0) and outputs too{_told_still(still)}"


def _told_still(still: list[str]) -> str:
    return f"; what the {' and '.join(still)} layer learns does not reach the outputs" if still else ""
