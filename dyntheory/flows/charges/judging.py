"""From states to a result: losses, distances, which electron is which proton's, and how every run ended."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.flows.charges.configuration import Charges, missed_at
from dyntheory.flows.charges.energy import Fixed, Moving, Rules, energies_of
from dyntheory.flows.charges.hessian import least_curvatures_of
from dyntheory.flows.charges.potentials import Potential
from dyntheory.flows.charges.results import CONVERGED, DIVERGED, MOVING, SADDLE, STUCK, ChargePaths
from dyntheory.flows.charges.series import MOST_ERROR
from dyntheory.ground.precision import as_double, double_precision
from dyntheory.ground.status import Assumptions, Outcome, Status

STILL = 1e-3  # share of the loss that would be lost in as long again
FLAT = 1e-6  # of a curvature E f²/|θ|²
BLOWN_UP = 1e6  # times the loss at the start


class Judge(NamedTuple):
    """What is needed to say how runs ended.

    Args:
        charges: what was given.
        rules: of the program.
        fixed: what did not move.
        trains_charges: whether charges moved.
        tolerance: share of E f², f the teacher, below which a loss counts as gone; of the loss at the start if f = 0.
    """

    charges: Charges
    rules: Rules
    fixed: Fixed
    trains_charges: bool
    tolerance: float

    def paths(self, times: np.ndarray, states: Moving, status: Status, provenance: dict[str, Any]) -> ChargePaths:
        """Return the result of states with axes of runs and times in front."""
        positions, charges = (np.asarray(part) for part in states)
        teacher = self.charges
        with double_precision():
            found, pull = jax.device_get(energies_of(self.rules)(Moving(*map(as_double, states)), self.fixed))
            last = Moving(as_double(positions[:, -1]), as_double(charges[:, -1]))
            curvatures = self._curvatures(last)
        with np.errstate(over="ignore", invalid="ignore"):  # of runs that diverge
            force_norm = np.sqrt(np.square(pull.positions).sum(axis=(2, 3)) + np.square(pull.charges).sum(axis=2))
            gaps = distances(teacher.potential, positions, charges, teacher.protons, teacher.proton_charges)
        matching, matched = assignments(gaps[:, -1])
        endings = self._endings(times, positions, found, force_norm, curvatures)
        return ChargePaths(
            times,
            positions,
            charges,
            found,
            force_norm,
            gaps.min(axis=-1),
            matching,
            matched,
            curvatures,
            teacher.protons,
            teacher.proton_charges,
            endings,
            status if not status.ok else self._status(positions, endings),
            Assumptions("theorem", "the flow is minus the gradient of the population loss, in closed form"),
            provenance | {"potential": teacher.potential.name, "on_sphere": self.rules.on_sphere},
        )

    def _curvatures(self, last: Moving) -> np.ndarray:
        if not self.charges.potential.is_smooth:
            return np.full(len(last.positions), np.nan)
        finite: np.ndarray = np.asarray(np.isfinite(np.asarray(last.positions)).all(axis=(1, 2)))
        safe = last._replace(positions=jnp.where(finite[:, None, None], last.positions, self.charges.electrons[:1]))
        found = np.asarray(least_curvatures_of(self.rules, self.trains_charges)(safe, self.fixed))
        return np.where(finite, found, np.nan)

    def _endings(
        self,
        times: np.ndarray,
        positions: np.ndarray,
        found: np.ndarray,
        force_norm: np.ndarray,
        curvatures: np.ndarray,
    ) -> tuple[str, ...]:
        scale = teacher_power(self.charges)
        endings = []
        for run, least in enumerate(curvatures):
            left, slope = found[run, -1], force_norm[run, -1]
            natural = self._natural_time(positions[run, 0], max(scale, found[run, 0]))
            if not np.isfinite(left) or left > BLOWN_UP * max(scale, found[run, 0]):
                endings.append(DIVERGED)
            elif left <= self.tolerance * (scale or found[run, 0]):
                endings.append(CONVERGED)
            elif slope**2 * max(times[-1], natural) > STILL * left:
                endings.append(MOVING)
            else:
                endings.append(SADDLE if least * natural < -FLAT else STUCK)
        return tuple(endings)

    def _natural_time(self, start: np.ndarray, power: float) -> float:
        """Return |θ|²/E f², the unit of time: no force is gone for less, and curvatures are of order one over it."""
        longest = max(float(np.linalg.norm(rows, axis=-1).max()) for rows in (start, self.charges.protons))
        return longest**2 / max(power, np.finfo(float).tiny)

    def _status(self, positions: np.ndarray, endings: tuple[str, ...]) -> Status:
        if DIVERGED in endings:
            told = f"The loss of {endings.count(DIVERGED)} of {len(endings)} runs grew a millionfold or is not finite"
            return Status(Outcome.DIVERGED, f"{told}: lower `learning_rate`.")
        potential = self.charges.potential
        if potential.reach is None or not np.isfinite(positions).all():
            return Status()
        longest = float(np.linalg.norm(positions, axis=-1).max())
        missed = missed_at(potential, longest)
        if missed <= MOST_ERROR:
            return Status()
        told = f"At the norm {longest:.3g} that an electron reached, the series of {potential.name} misses"
        return Status(Outcome.UNRESOLVED, f"{told} {missed:.1e} of it: raise `degree` of `potential_of`.")


def teacher_power(charges: Charges) -> float:
    """Return E f² of the teacher."""
    with double_precision():
        sites = as_double(charges.protons)
        found = np.asarray(charges.potential.value(as_double(charges.potential.parameters), sites, sites))
    return float(charges.proton_charges @ found @ charges.proton_charges)


def distances(
    potential: Potential, positions: np.ndarray, charges: np.ndarray, protons: np.ndarray, proton_charges: np.ndarray
) -> np.ndarray:
    """Return the distance of every electron to every proton, (..., m, n); mirror images count where units do."""
    if potential.symmetry == "odd":
        positions = np.where(charges < 0, -1.0, 1.0)[..., None] * positions
        protons = np.where(proton_charges < 0, -1.0, 1.0)[:, None] * protons
    gaps = np.linalg.norm(positions[..., None, :] - protons, axis=-1)
    if potential.symmetry == "even":
        gaps = np.minimum(gaps, np.linalg.norm(positions[..., None, :] + protons, axis=-1))
    return gaps


def assignments(gaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for every run the proton of each electron in the pairing of least total distance, and that distance."""
    from scipy.optimize import linear_sum_assignment

    matching = np.full(gaps.shape[:2], -1)
    matched = np.full(gaps.shape[:2], np.inf)
    for run, costs in enumerate(gaps):
        if np.isfinite(costs).all():
            rows, columns = linear_sum_assignment(costs)
            matching[run, rows], matched[run, rows] = columns, costs[rows, columns]
    return matching, matched
