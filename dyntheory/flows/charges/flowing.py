"""The verbs `flow` and `descend`: electrons follow minus the gradient of the population loss, in time or in steps."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.flows.charges.configuration import Charges, checked
from dyntheory.flows.charges.energy import Fixed, Moving, Rules, field_of, fixed_of, force, moving_of
from dyntheory.flows.charges.judging import Judge
from dyntheory.flows.charges.potentials import Potential
from dyntheory.flows.charges.results import ChargePaths
from dyntheory.flows.solving import Flow, check_times, solve_flow
from dyntheory.flows.stepping import along, lost_runs, told
from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.checks import check_count, check_positive, check_scalar
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.precision import double_precision
from dyntheory.ground.status import Outcome, Status

TOLERANCE = 1e-6
CONTACT = "The force of {} jumps where charges meet, and a solver cannot pass that: take error_function(gain), say."


def flow(
    potential: str | Potential,
    protons: ArrayLike,
    *,
    electrons: ArrayLike,
    times: ArrayLike,
    proton_charges: ArrayLike | None = None,
    electron_charges: ArrayLike | None = None,
    train_charges: bool = False,
    on_sphere: bool | None = None,
    rtol: float = 1e-8,
    stiff: bool = False,
    max_steps: int = 100_000,
    tolerance: float = TOLERANCE,
) -> ChargePaths:
    """Let the units of a student move by gradient flow on the population loss, as electrons among fixed protons.

    Scaling:
        L = E (f̂ − f)² without a half and θ̇ = −∂L/∂θ; t is learning rate times steps of gradient descent on L.

    Args:
        potential: a name of `POTENTIALS`, or a Potential.
        protons: w_j, (n, d): weights of the teacher.
        electrons: θ_i at the start, (m, d) or several starts (S, m, d).
        times: increasing, zero or later, (T,).
        proton_charges: b_j, (n,); default one.
        electron_charges: a_i at the start, (m,) or (S, m); default one.
        train_charges: whether the a_i move too.
        on_sphere: whether electrons stay unit vectors, by the projected gradient; default what the potential says.
        rtol: of the solution, relative to the longest of all vectors.
        stiff: whether an implicit solver is needed: charges of very different size, say.
        max_steps: of the solver.
        tolerance: share of E f² below which a loss counts as gone.

    Returns:
        Paths, losses, distances, the pairing with protons and an ending for every start, axis of starts in front.

    Raises:
        ImportError: without diffrax.
        ValueError: shapes that do not match, entries that are not finite, numbers outside their range, or vectors that
            are not unit vectors where they have to be.

    Example:
        >>> import numpy as np
        >>> found = flow("relu", np.eye(2), electrons=np.array([[0.9, 0.2], [0.1, 0.5]]), times=[0.0, 60.0])
        >>> found.endings, found.matching.tolist()
        (('converged',), [[0, 1]])

    Reference: `panigrahy2018convergence`.
    """
    given = locals()
    check_arguments(flow, given)
    moments = check_times(times)
    judge, moving = _prepared(given)
    solve = functools.partial(_solved, judge, moments, {"rtol": rtol, "stiff": stiff, "max_steps": max_steps})
    together = solve(moving)
    parts = [together]
    if not together.status.ok and len(judge.charges.electrons) > 1:
        singles = range(len(judge.charges.electrons))
        parts = [solve(jax.tree.map(lambda leaf, run=run: leaf[run : run + 1], moving)) for run in singles]
    states = jax.tree.map(lambda *leaves: np.moveaxis(np.concatenate(leaves, axis=1), 0, 1), *[p.states for p in parts])
    errors = [np.nanmax(part.error.positions, initial=0.0) for part in parts]
    provenance = {"kind": "flow", "rtol": float(rtol), "position_error": float(np.max(errors))}
    return told(judge.paths(moments, states, _worst([part.status for part in parts], judge.charges), provenance))


def _prepared(given: dict[str, Any]) -> tuple[Judge, Moving]:
    charges, is_on_sphere = checked(given, given["on_sphere"])
    check_scalar("tolerance", given["tolerance"])
    check_positive("tolerance", given["tolerance"])
    rules, trains = Rules.of(charges.potential, is_on_sphere), bool(given["train_charges"])
    with double_precision():
        return Judge(charges, rules, fixed_of(charges, trains), trains, float(given["tolerance"])), moving_of(charges)


def _solved(judge: Judge, times: np.ndarray, options: dict[str, Any], moving: Moving) -> Flow:
    charges = judge.charges
    scale = max(float(np.linalg.norm(rows, axis=-1).max()) for rows in (charges.protons, charges.electrons))
    absolute = options["rtol"] * (scale or 1.0)
    return solve_flow(field_of(judge.rules), moving, times, judge.fixed, atol=absolute, **options)


def _worst(statuses: list[Status], charges: Charges) -> Status:
    bad = [status for status in statuses if not status.ok]
    if not bad:
        return Status()
    worst = next((status for status in bad if status.code == Outcome.DIVERGED), bad[0])
    told = f"{len(bad)} of {len(statuses)} starts: " if len(statuses) > 1 else ""
    contact = "" if charges.potential.is_smooth else " " + CONTACT.format(charges.potential.name)
    return Status(worst.code, f"{told}{worst.message}{contact}")


def descend(
    potential: str | Potential,
    protons: ArrayLike,
    *,
    electrons: ArrayLike,
    learning_rate: float,
    num_steps: int,
    proton_charges: ArrayLike | None = None,
    electron_charges: ArrayLike | None = None,
    train_charges: bool = False,
    on_sphere: bool | None = None,
    tolerance: float = TOLERANCE,
) -> ChargePaths:
    """Move the units of a student by gradient descent on the population loss, θ ← θ − η ∂L/∂θ.

    On the sphere a step goes along the tangent and is drawn back to length one.

    Scaling:
        That of `flow`: times are η times steps.

    Args:
        potential: a name of `POTENTIALS`, or a Potential.
        protons: w_j, (n, d).
        electrons: θ_i at the start, (m, d) or several starts (S, m, d).
        learning_rate: η.
        num_steps: number of steps; all states are kept.
        proton_charges: b_j, (n,); default one.
        electron_charges: a_i at the start, (m,) or (S, m); default one.
        train_charges: whether the a_i move too.
        on_sphere: whether electrons stay unit vectors; default what the potential says.
        tolerance: share of E f² below which a loss counts as gone.

    Returns:
        As `flow`.

    Raises:
        ValueError: as `flow`.

    Example:
        >>> import numpy as np
        >>> start = np.array([[0.9, 0.2], [0.1, 0.5]])
        >>> descend("relu", np.eye(2), electrons=start, learning_rate=0.1, num_steps=600).num_converged
        1

    Reference: `panigrahy2018convergence`.
    """
    given = locals()
    check_arguments(descend, given)
    check_scalar("learning_rate", learning_rate)
    check_positive("learning_rate", learning_rate)
    num_steps = check_count("num_steps", num_steps, minimum=0)
    judge, moving = _prepared(given)
    with double_precision():
        states = jax.device_get(_descent_of(judge.rules, num_steps)(moving, judge.fixed, jnp.asarray(learning_rate)))
    times = float(learning_rate) * np.arange(num_steps + 1)
    status = lost_runs(finite_states(states), "starts")
    provenance = {"kind": "descent", "learning_rate": float(learning_rate)}
    return told(judge.paths(times, states, status, provenance))


@functools.lru_cache(maxsize=64)
def _descent_of(rules: Rules, num_steps: int) -> Callable[[Moving, Fixed, Array], Moving]:
    """Return the compiled loop over steps."""

    def one_start(start: Moving, fixed: Fixed, rate: Array) -> Moving:
        return along(lambda state: stepped(rules, state, force(rules, state, fixed), rate), start, num_steps)

    return jax.jit(jax.vmap(one_start, in_axes=(0, None, None)))


def finite_states(states: Moving) -> np.ndarray:
    """Return which states (runs, T) are numbers."""
    return np.asarray(np.isfinite(states.positions).all(axis=(2, 3)) & np.isfinite(states.charges).all(axis=2))


def stepped(rules: Rules, state: Moving, pull: Moving, rate: Array) -> Moving:
    """Return the state one step further along `pull`, on the sphere drawn back to length one."""
    positions = state.positions + rate * pull.positions
    if rules.on_sphere:
        positions = positions / jnp.linalg.norm(positions, axis=-1, keepdims=True)
    return Moving(positions, state.charges + rate * pull.charges)
