"""Run an ensemble: in rounds until the standard error asked for is reached, in batches that can be taken up again."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import numpy as np

from dyntheory.dynamics.observables import structure_of
from dyntheory.ground.arrays import Key, Progress
from dyntheory.ground.checkpoint import CheckpointFolder
from dyntheory.ground.identity.fingerprint import fingerprint
from dyntheory.problem.prepared import Given, identity_of
from dyntheory.results.judgement import relative_errors, unreached
from dyntheory.results.trajectory import Trajectory
from dyntheory.verbs.simulation.batch import CommonArrays, Program, run_batch
from dyntheory.verbs.simulation.ensemble import Ensemble, Kept

NAME = "ensemble"
MARGIN = 1.1  # more runs than the last error asks for, as that error is itself an estimate


class Target(NamedTuple):
    """How many runs are made.

    Args:
        num_runs: in the first round, a multiple of the number of heads.
        rtol: standard error asked for, relative, or None.
        max_runs: never more.
    """

    num_runs: int
    rtol: float | None
    max_runs: int

    def next(self, num_runs: int, result: Trajectory, num_heads: int) -> int:
        """Return how many runs there shall be in all after another round; the same number when they suffice."""
        if self.rtol is None or num_runs >= self.max_runs or result.standard_error is None:
            return num_runs
        reached = float(relative_errors(result).max())
        if not math.isfinite(reached) or reached <= self.rtol:
            return num_runs
        wanted = math.ceil(MARGIN * num_runs * (reached / self.rtol) ** 2)
        return min(self.max_runs, -(-wanted // num_heads) * num_heads)


class Simulation(NamedTuple):
    """All that an ensemble of runs is.

    Args:
        common: the arrays that all runs share.
        program: what is compiled.
        target: how many runs are made.
        kept: what is kept of them.
        provenance: where the result comes from.
        key: that was given, and
        given: what was said of the start.
    """

    common: CommonArrays
    program: Program
    target: Target
    kept: Kept
    provenance: dict[str, Any]
    key: Key
    given: Given

    def ensemble(self) -> Ensemble:
        """Return an ensemble without runs."""
        law, method, heads = self.common.problem[:3]
        return Ensemble(
            heads[0],
            num_heads=len(heads),
            num_steps=self.program.shape.num_steps,
            num_units=method.num_units,
            num_teacher_units=law.num_teacher_units,
            kept=self.kept,
            recorded=structure_of(self.program.means, law, method, heads[0]),
        )

    def identity(self) -> dict[str, Any]:
        """Return what the computation is, for its checkpoint; the devices count, since they decide the last bits.

        Raises:
            ValueError: a function or an object that cannot be identified.
        """
        common, program = self.common, self.program
        return {
            **identity_of(common.problem, self.given, self.key),
            "inputs": fingerprint(program.inputs if common.rows is None else common.rows),
            **program.shape._asdict(),
            "sizes": list(program.shape.sizes),
            "matrix": program.matrix,
            "dtype": program.dtype,
            "num_devices": program.num_devices,
            "device": jax.devices()[0].device_kind,
            **self.target._asdict(),
            "keep_runs": self.kept.runs,
            "means": fingerprint(program.means),
        }


def run_ensemble(simulation: Simulation, *, report: Progress, folder: CheckpointFolder | None = None) -> Trajectory:
    """Make the runs, batch by batch, and return what they say; go on from `folder` if it holds some."""
    ensemble, program, target = simulation.ensemble(), simulation.program, simulation.target
    size, end = program.batch_size(target.num_runs), target.num_runs
    structure = {"end": 0, "ensemble": ensemble.structure()}
    saved = None if folder is None else folder.saved(NAME, structure)
    if saved is not None:
        ensemble.restore(saved["ensemble"])
        end = int(saved["end"])
    while True:
        _round(simulation, ensemble, (size, end), report=report, folder=folder)
        result = ensemble.result(simulation.provenance)
        following = target.next(end, result, program.num_heads)
        if following == end:
            break
        end = following
    report(1.0, "done")
    return _finished(result, target)


def _round(
    simulation: Simulation,
    ensemble: Ensemble,
    bounds: tuple[int, int],
    *,
    report: Progress,
    folder: CheckpointFolder | None,
) -> None:
    size, end = bounds
    while ensemble.count < end:
        first = ensemble.count
        report(first / end, f"run {first + 1} of {end}")
        ensemble.add(run_batch(simulation.common, simulation.program, first, size, end=end))
        if folder is not None and (folder.is_due or ensemble.count == end):
            folder.save(NAME, {"end": np.asarray(end), "ensemble": ensemble.state()})


def _finished(result: Trajectory, target: Target) -> Trajectory:
    """Return the result with the status "unresolved" when the error asked for was not reached."""
    if result.standard_error is None or not result.status.ok:
        return result
    missed = unreached(result, target.rtol, within=f"with {target.max_runs} runs", cure="raise `max_runs`")
    return result if missed is None else dataclasses.replace(result, status=missed)
