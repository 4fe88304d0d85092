"""Two memories that are one: a Hopfield network, and the detection of many users in one channel.

                  Hopfield network                          multi-user detection (CDMA)
    spins         N neurons                                 bits of K users
    factors       P = αN patterns, A = ξ/√N                 N = K/β chips, A = signature/√N
    weight        exp(+|Aᵀs|²/2T)                           exp(−|y − Aᵀs|²/2σ²)
    reaction V    1 − q                                     β (1 − q)
    field h       a + √(αq)/(T − V) Z,                      (1 + √(σ² + β(1 − 2m + q)) Z)/(σ² + V)
                  a = (m − V a⁻)/(T − V), at rest m/T
    mean spin     tanh h                                    tanh h
    unstable if   α E sech⁴ h > (T − V)²                    β E sech⁴ h > (σ² + V)²

A Hopfield network is a detector at the noise variance −T that hears silence; one pattern is so loud that it is heard
all the same. `Recall` has what both are asked, its two classes what tells them apart.

Reference: `amit1985storing`; `tanaka2002statistical`; `kabashima2003cdma`; `mezard2017mean` for messages.
"""

from __future__ import annotations

import abc
import dataclasses
import functools
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from dyntheory.closed_forms.evaluation import evaluate
from dyntheory.flows.memory.iteration import Channel, iterated
from dyntheory.flows.memory.multi_user_branches import check_channel
from dyntheory.flows.memory.results import FixedPoints, RecallPath, RecallRuns, Solution
from dyntheory.flows.memory.runs import GLAUBER, MESSAGES, Draw, simulated
from dyntheory.flows.memory.solutions import HOPFIELD, MULTI_USER, of_hopfield, of_multi_user
from dyntheory.flows.memory.spins import draw_channel, draw_network
from dyntheory.ground.arrays import Array, ArrayLike, Key
from dyntheory.ground.checks import (
    check_count,
    check_fraction,
    check_nonnegative,
    check_positive,
    check_scalar,
    is_concrete,
)
from dyntheory.ground.kinds import check_arguments, check_fields
from dyntheory.ground.names import check_name
from dyntheory.ground.pytrees import register_data
from dyntheory.ground.status import Assumptions

SYMMETRIC = Assumptions(
    "heuristic",
    "Replica symmetric. In the spin glass, and of retrieval where the replicon is negative (close to no temperature), "
    "symmetry is broken and numbers are approximate.",
)
MATCHED = Assumptions("simulation-verified", "Replica symmetric; with the noise known, replica symmetry is not broken.")


class Recall(abc.ABC):
    """What both memories are asked."""

    load: Any
    start: ClassVar[float]  # overlap from which messages and runs start by themselves
    channel: ClassVar[Channel]  # the field on a spin, from m, q, the signal of the step before, and the two numbers
    may_be_silent: ClassVar[bool]  # whether messages start from zeros where no overlap is asked for

    @property
    @abc.abstractmethod
    def numbers(self) -> tuple[Any, Any]:
        """The load, and the noise variance of factors: σ², or −T."""

    @abc.abstractmethod
    def fixed_points(self) -> FixedPoints:
        """Return all stable solutions, in the shape to which load and temperature broadcast; traced ones inside jit."""

    @abc.abstractmethod
    def _drawing(self, num_spins: int, start: float, kind: str) -> tuple[int, Draw]:
        """Return the number of factors, and what draws one realisation."""

    def iterate(self, num_steps: int, *, start_overlap: float | None = None) -> RecallPath:
        """Return how message passing goes on, in the limit of many spins.

        Args:
            num_steps: T.
            start_overlap: m₀ from 0 to 1 of ±1 spins at the start; of a channel, zero is spins of zero. Default the
                stored pattern of a network, and nothing of a channel.

        Returns:
            m_t, q_t and errors, t = 0 … T. Loads of several values: one after the other, or under `jax.vmap`.

        Raises:
            ValueError: a number outside its range; a network without temperature, whose messages are infinite.

        Reference: `mezard2017mean`; `kabashima2003cdma`.
        """
        check_arguments(Recall.iterate, locals())
        count, start = check_count("num_steps", num_steps), self._start(start_overlap)
        self._check_warm("iterate")
        self._check_single()
        return iterated(type(self).channel, self.numbers, start, count, may_be_silent=type(self).may_be_silent)

    def simulate(
        self,
        num_spins: int,
        *,
        num_runs: int = 10,
        num_steps: int = 30,
        key: Key,
        algorithm: str = GLAUBER,
        start_overlap: float | None = None,
    ) -> RecallRuns:
        """Draw patterns or signatures and let the spins run.

        Args:
            num_spins: neurons, or users; patterns, or chips, are the whole number nearest to what the load says.
            num_runs: each with a draw of its own.
            num_steps: sweeps over all spins, or steps of message passing.
            key: `jax.random.key(seed)`.
            algorithm: "glauber", single spins in the order of chance: at temperature T or σ² what replica theory is the
                equilibrium of, and without temperature a descent to the next minimum. Or "message passing", whose
                course `iterate` predicts.
            start_overlap: as in `iterate`; spins of Glauber dynamics that start at zero are ±1 by chance.

        Returns:
            Means over runs with standard errors; a descent that did not come to rest is "unresolved".

        Raises:
            ValueError: a number outside its range, an unknown algorithm, or fewer than one factor.
        """
        check_arguments(Recall.simulate, locals())
        spins, runs = check_count("num_spins", num_spins, minimum=2), check_count("num_runs", num_runs)
        count, kind = check_count("num_steps", num_steps), check_name("algorithm", algorithm, (GLAUBER, MESSAGES))
        start = self._start(start_overlap)
        self._check_single()
        if kind == MESSAGES:
            self._check_warm("simulate")
        factors, draw = self._drawing(spins, start, kind)
        if factors < 1:
            raise ValueError(f"`num_spins` {spins} and this load make no factor: take more spins.")
        sizes = {"num_factors": factors, "num_spins": spins, "num_runs": runs, "num_steps": count}
        return simulated(draw, float(self.numbers[1]), key, **sizes, kind=kind)

    def _start(self, overlap: float | None) -> float:
        if overlap is not None:
            check_fraction("start_overlap", overlap)
        return self.start if overlap is None else overlap

    def _check_single(self) -> None:
        for field in dataclasses.fields(self):  # pyright: ignore[reportArgumentType]
            check_scalar(field.name, getattr(self, field.name))

    def _check_warm(self, verb: str) -> None:
        temperature = self.numbers[1]
        if is_concrete(temperature) and np.any(np.asarray(temperature) == 0):
            raise ValueError(
                f"`temperature` must be positive to {verb} message passing, got 0: its fields are infinite."
            )


def _fixed_points(names: tuple[str, ...], fields: Any, assumptions: Assumptions) -> FixedPoints:
    named = dict(zip(Solution._fields, fields[:-1], strict=True))
    return FixedPoints(names=names, best=fields[-1].astype(int), assumptions=assumptions, **named)


def _network_channel(m: Array, q: Array, before: Array, load: Array, variance: Array) -> tuple[Array, Array]:
    reaction = 1 - q
    stiffness = -(variance + reaction)  # T − V
    return (m - reaction * before) / stiffness, load * q / jnp.square(stiffness)


def _detector_channel(m: Array, q: Array, before: Array, load: Array, variance: Array) -> tuple[Array, Array]:
    del before
    stiffness = variance + load * (1 - q)  # σ² + V
    return 1 / stiffness, (variance + load * (1 - 2 * m + q)) / jnp.square(stiffness)


@register_data
@dataclasses.dataclass(frozen=True)
class _Hopfield(Recall):
    """See `hopfield`."""

    load: ArrayLike
    temperature: ArrayLike
    start: ClassVar[float] = 1.0
    channel: ClassVar[Channel] = _network_channel
    may_be_silent: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_fields(self)
        check_positive("load", self.load, "it is P/N")
        check_nonnegative("temperature", self.temperature)

    @property
    def numbers(self) -> tuple[Any, Any]:
        """α and −T."""
        T: Any = self.temperature
        return self.load, -(np.asarray(T, float) if is_concrete(T) else T)

    def fixed_points(self) -> FixedPoints:
        """Return retrieval, the spin glass and the paramagnet, where they are locally stable saddles."""
        fields = evaluate(of_hopfield, self.load, self.temperature, broadcast=False)
        return _fixed_points(HOPFIELD, fields, SYMMETRIC)

    def _drawing(self, num_spins: int, start: float, kind: str) -> tuple[int, Draw]:
        del kind
        factors = round(float(self.load) * num_spins)  # pyright: ignore[reportArgumentType]
        return factors, functools.partial(draw_network, num_spins, factors, start)


@register_data
@dataclasses.dataclass(frozen=True)
class _MultiUser(Recall):
    """See `multi_user`."""

    load: ArrayLike
    noise_variance: ArrayLike
    start: ClassVar[float] = 0.0
    channel: ClassVar[Channel] = _detector_channel
    may_be_silent: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_fields(self)
        check_channel(self.load, self.noise_variance)

    @property
    def numbers(self) -> tuple[Any, Any]:
        """β and σ²."""
        return self.load, self.noise_variance

    def fixed_points(self) -> FixedPoints:
        """Return what is reached from no knowledge of the bits and from full knowledge: often one and the same."""
        fields = evaluate(of_multi_user, self.load, self.noise_variance, broadcast=False)
        return _fixed_points(MULTI_USER, fields, MATCHED)

    def _drawing(self, num_spins: int, start: float, kind: str) -> tuple[int, Draw]:
        factors = round(num_spins / float(self.load))  # pyright: ignore[reportArgumentType]
        noise = float(self.noise_variance) ** 0.5  # pyright: ignore[reportArgumentType]
        return factors, functools.partial(draw_channel, num_spins, factors, start, noise, kind == GLAUBER)


def hopfield(load: ArrayLike, temperature: ArrayLike = 0.0) -> _Hopfield:
    """Describe a Hopfield network: N neurons that store P patterns, one of which is to be recalled.

    J = (1/N) Σ_μ ξ^μ ξ^μᵀ without its diagonal, patterns ±1 by chance, spins of weight exp(Σ_ij J_ij s_i s_j/2T).

    Scaling:
        α = P/N is fixed; T in the units of J, retrieval ends below T = 1.

    Args:
        load: α, positive.
        temperature: T, zero or positive; broadcasts with α in `fixed_points`.

    Returns:
        An object with `fixed_points()`, `iterate(…)` and `simulate(…)`, as `multi_user` returns.

    Raises:
        ValueError: a number outside its range.

    Example:
        >>> import dyntheory as dt
        >>> found = dt.memory.hopfield([0.04, 0.1, 0.2], 0.0).fixed_points()
        >>> found["retrieval"].overlap.round(4), [found.names[i] for i in found.best]
        (array([1.   , 0.998,   nan]), ['retrieval', 'spin glass', 'spin glass'])

    Reference: `hopfield1982neural`; `amit1985storing`; `amit1987statistical`.
    """
    check_arguments(hopfield, locals())
    return _Hopfield(load, temperature)


def multi_user(load: ArrayLike, noise_variance: ArrayLike) -> _MultiUser:
    """Describe optimal detection in a channel of many users: the twin of `hopfield`.

    y = (1/√N) Σ_k s_k b_k + σ n, signatures s_k of N chips ±1 by chance, bits b_k = ±1, n standard normal; the detector
    knows σ and decides by the posterior mean of every bit.

    Scaling:
        β = K/N users per chip is fixed; a single user has the signal-to-noise ratio 1/σ².

    Args:
        load: β, positive.
        noise_variance: σ², positive; broadcasts with β in `fixed_points`.

    Returns:
        An object with `fixed_points()`, `iterate(…)` and `simulate(…)`, as `hopfield` returns.

    Raises:
        ValueError: a number outside its range.

    Example:
        >>> import dyntheory as dt
        >>> found = dt.memory.multi_user(2.0, 0.08).fixed_points()
        >>> found.bit_error.round(4), found.names[int(found.best)]
        (array([0.1511, 0.0002]), 'informed')

    Reference: `tanaka2002statistical`; `guo2005randomly`; `kabashima2003cdma`.
    """
    check_arguments(multi_user, locals())
    return _MultiUser(load, noise_variance)
