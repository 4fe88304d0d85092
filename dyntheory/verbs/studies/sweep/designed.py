"""What `design` returns: the choice, the constant one beside it, and the gain."""

from __future__ import annotations

import dataclasses

import numpy as np

from dyntheory.ground.status import Status
from dyntheory.ground.storage.saved import Saved
from dyntheory.results.finite_size_bias import LARGE


@dataclasses.dataclass(frozen=True)
class Choice(Saved):
    """Numbers of a run, and the test error that follows from them.

    Args:
        values: by name.
        step: at which the error is taken: the last one, or where to stop.
        predicted: in the limit, on nodes that the search never saw.
        standard_error: numerical error of it, one sigma.
        simulated: mean over trained networks, None where none were trained.
        simulated_error: its standard error.
        status: how the prediction ended.
        magnification: M, by how much the prediction magnifies differences of size 1/√d on the way, of the test error:
            networks at d may miss it by M²/d.
        simulated_status: how the simulation ended; where runs diverged, `simulated` is the mean of the others.
    """

    values: dict[str, float]
    step: int
    predicted: float
    standard_error: float
    simulated: float | None = None
    simulated_error: float | None = None
    status: Status = dataclasses.field(default_factory=Status)
    magnification: float | None = None
    simulated_status: Status | None = None


@dataclasses.dataclass(frozen=True)
class Design(Saved):
    """What the theory chose.

    Args:
        best: the choice.
        constant: the best one in which the tied numbers are equal, None where none are tied.
        history: smallest test error plus two standard errors, after every sweep of the search.
    """

    best: Choice
    constant: Choice | None
    history: tuple[float, ...]

    @property
    def gain(self) -> float:
        """Predicted test error of the constant choice less that of the best.

        Raises:
            ValueError: nothing was tied.
        """
        return self._constant.predicted - self.best.predicted

    @property
    def gain_error(self) -> float:
        """One sigma of the predicted gain, numerical."""
        return float(np.hypot(self._constant.standard_error, self.best.standard_error))

    @property
    def confirmed_gain(self) -> tuple[float, float] | None:
        """The gain of trained networks and its standard error, None where none were trained."""
        pairs = [(one.simulated, one.simulated_error) for one in (self.constant, self.best) if one is not None]
        numbers = [(value, error) for value, error in pairs if value is not None and error is not None]
        if len(numbers) < len((self.constant, self.best)):
            return None
        (before, before_error), (after, after_error) = numbers
        return before - after, float(np.hypot(before_error, after_error))

    @property
    def _constant(self) -> Choice:
        if self.constant is None:
            raise ValueError("There is no constant choice to gain on: name what it has in common with `tied`.")
        return self.constant

    def __str__(self) -> str:
        named = {"best": self.best, "constant": self.constant}
        lines = [f"{name}: {_told(choice)}" for name, choice in named.items() if choice is not None]
        if self.constant is None:
            return "\n".join(lines)
        lines.append(f"predicted gain {self.gain:.4g} ± {self.gain_error:.2g}")
        if (confirmed := self.confirmed_gain) is not None:
            lines[-1] += f", simulated {confirmed[0]:.4g} ± {confirmed[1]:.2g}"
        return "\n".join(lines)


def _told(choice: Choice) -> str:
    values = ", ".join(f"{name} {value:.4g}" for name, value in choice.values.items())
    told = f"{values}; test error at step {choice.step} {choice.predicted:.4g} ± {choice.standard_error:.2g}"
    if choice.simulated is not None and choice.simulated_error is not None:
        told += f", simulated {choice.simulated:.4g} ± {choice.simulated_error:.2g}"
        told += f" ({choice.simulated_status})" if choice.simulated_status and not choice.simulated_status.ok else ""
    if choice.magnification is not None and choice.magnification > LARGE:
        told += f" (networks of d features may miss it by {choice.magnification**2:.0f}/d: it passes an instability)"
    return told if choice.status.ok else f"{told} ({choice.status})"
