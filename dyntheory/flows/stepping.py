"""Steps of descent and of SGD on samples: what is asked of them, which states are kept, and which runs were lost."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import Array, Key, PyTree
from dyntheory.ground.checks import check_count, check_nonnegative, check_positive, check_scalar
from dyntheory.ground.randomness import stream
from dyntheory.ground.status import DyntheoryWarning, Outcome, Status

MOST_STATES = 200


class Sampling(NamedTuple):
    """What a verb `simulate` is asked, checked.

    Args:
        learning_rate: η.
        noise_std: σ of labels.
        num_steps: of every run.
        every: steps between states that are kept.
        batch_size: fresh samples at every step.
        num_runs: of independent runs.
    """

    learning_rate: float
    noise_std: float
    num_steps: int
    every: int
    batch_size: int
    num_runs: int

    @classmethod
    def of(cls, given: dict[str, Any]) -> Sampling:
        """Return what stands among the arguments of a verb.

        Raises:
            ValueError: a number outside its range.
        """
        for name in ("learning_rate", "noise_std"):
            check_scalar(name, given[name])
        check_positive("learning_rate", given["learning_rate"])
        check_nonnegative("noise_std", given["noise_std"])
        num_steps = check_count("num_steps", given["num_steps"])
        sizes = [check_count(name, given[name]) for name in ("batch_size", "num_runs")]
        every = steps_between(num_steps, given["record_every"])
        return cls(float(given["learning_rate"]), float(given["noise_std"]), num_steps, every, *sizes)

    @property
    def num_kept(self) -> int:
        """How many states follow the first."""
        return self.num_steps // self.every

    @property
    def times(self) -> np.ndarray:
        """Learning rate times steps of the states that are kept."""
        return self.learning_rate * self.every * np.arange(self.num_kept + 1)

    @property
    def numbers(self) -> tuple[Array, Array, Array]:
        """Steps between states, η and σ: what a program is not compiled for; call inside `double_precision`."""
        return jnp.asarray(self.every), jnp.asarray(self.learning_rate), jnp.asarray(self.noise_std)

    def keys(self, key: Key) -> Array:
        """Return one key for every run."""
        return jax.random.split(stream(key, "runs"), self.num_runs)

    @property
    def provenance(self) -> dict[str, Any]:
        """What was asked."""
        names = ("learning_rate", "noise_std", "batch_size", "num_runs", "num_steps")
        return {"kind": "simulation", **{name: getattr(self, name) for name in names}}


def steps_between(num_steps: int, record_every: int | None) -> int:
    """Return how many steps lie between two states that are kept, by default so that about 200 are.

    Raises:
        ValueError: a number that does not divide `num_steps`.
    """
    if record_every is None:
        return next(one for one in range(-(-num_steps // MOST_STATES), num_steps + 1) if num_steps % one == 0)
    every = check_count("record_every", record_every)
    if num_steps % every:
        raise ValueError(f"`record_every` must divide `num_steps` = {num_steps}, got {every}.")
    return every


def along(step: Callable[[PyTree], PyTree], start: PyTree, num_kept: int, every: Array | int = 1) -> PyTree:
    """Return `start` and the states after `every`, 2·`every`, … steps, with an axis of times in front."""

    def keep(state: PyTree, _: None) -> tuple[PyTree, PyTree]:
        after = jax.lax.fori_loop(0, every, lambda _, one: step(one), state)
        return after, after

    _, rest = jax.lax.scan(keep, start, None, length=num_kept)
    return jax.tree.map(lambda first, others: jnp.concatenate([first[None], others]), start, rest)


def lost_runs(finite: np.ndarray, what: str) -> Status:
    """Return "diverged" where states (runs, T) are not all finite, with how many and since when."""
    if finite.all():
        return Status()
    first, lost = int(np.argmin(finite.all(axis=0))), int((~finite.all(axis=1)).sum())
    text = f"{lost} of {len(finite)} {what} are not finite from state {first}: lower `learning_rate`."
    return Status(Outcome.DIVERGED, text, first)


class HasStatus(Protocol):
    """A result that says how it ended."""

    @property
    def status(self) -> Status:
        """How it ended."""
        ...


Result = TypeVar("Result", bound=HasStatus)


def told(found: Result) -> Result:
    """Warn of a status that is not ok, on behalf of the verb that calls."""
    if not found.status.ok:
        warnings.warn(str(found.status), DyntheoryWarning, stacklevel=3)
    return found
