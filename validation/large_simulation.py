"""Claim: on an accelerator theory and simulation agree at d ≥ 16,384, X stored in either precision or never stored.

PASS RULE. Runs at `num_features` features, three times: dense in float64, dense with X in float32, revealed. Each time
`dyntheory.compare` at its default level (1 % for all points) and allowance (10/d) must say "agree" for train and test
error at all steps. One "disagree" fails the claim (exit status 1), an "unresolved" does not pass it (3). The claim is
about d ≥ 16,384 on something that is not a processor: elsewhere the script checks the same at the size it is given and
writes no record, unless --results names a directory.

The problem: two layers, tanh, two units, n/d = 2, labels sin_mixture(z) + 0.3 ξ, learning rate 0.5. Seconds are those
of a second call with another key, compilation apart, and cover drawing, training and the population test error.

    python -m validation.large_simulation                        # where JAX sees an accelerator; float64 X takes 4.3 GB
    python -m validation.large_simulation --num-features 1000    # anywhere
"""

from __future__ import annotations

import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import tyro
from matplotlib.figure import Figure

import dyntheory as dt
from validation.record import RESULTS, Outcome, Record, joint_outcome, provenance

CLAIM = "On an accelerator predicted and simulated learning curves agree at d ≥ 16,384, dense and revealed."
PASS_RULE = "dyntheory.compare says 'agree' for dense float64, dense float32 and revealed runs at num_features."
OUTCOMES = {"agree": Outcome.PASSED, "disagree": Outcome.FAILED, "unresolved": Outcome.UNRESOLVED}
LEAST_FEATURES = 16_384
WAYS: dict[str, dict[str, str]] = {
    "dense float64": {"matrix": "dense", "dtype": "float64"},
    "dense float32": {"matrix": "dense", "dtype": "float32"},
    "revealed": {"matrix": "revealed"},
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run.

    Args:
        num_features: d; n = 2d.
        num_steps: T.
        num_runs: simulated runs of each kind.
        num_nodes: of the prediction.
        seed: decides head, nodes and data.
    """

    num_features: int = LEAST_FEATURES
    num_steps: int = 12
    num_runs: int = 8
    num_nodes: int = 2**16
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Case:
    """One way to simulate: its runs, its verdict, its time."""

    runs: dt.Trajectory
    report: dt.Agreement
    seconds: float
    seconds_first: float

    def numbers(self) -> dict[str, Any]:
        """Return what the record keeps."""
        return {
            "verdict": self.report.verdict,
            "worst": self.report.worst._asdict(),
            "resolution": self.report.resolution,
            "seconds_per_run": self.seconds / self.runs.provenance["num_runs"],
            "seconds_of_the_first_call": self.seconds_first,
            "dtype": self.runs.provenance["dtype"],
            "test_error": self.runs.test_error,
        }


def run_case(settings: Settings, theory: dt.Trajectory, problem: tuple[Any, Any], way: dict[str, str]) -> Case:
    """Simulate twice with different keys; the second call is timed and compared."""
    law, method = problem
    sizes = {name: getattr(settings, name) for name in ("num_steps", "num_features", "num_runs")}
    head = jax.tree.map(lambda leaf: leaf[0], theory.head)
    options: dict[str, Any] = {**sizes, **way, "head": head, "keep_preactivations": False}
    seconds, runs = [], theory
    for index in range(2):
        started = time.perf_counter()
        runs = dt.simulate(law, method, key=jax.random.fold_in(jax.random.key(settings.seed), index), **options)
        seconds.append(time.perf_counter() - started)
    return Case(runs, dt.compare(theory, runs), seconds[1], seconds[0])


def draw(theory: dt.Trajectory, cases: dict[str, Case], settings: Settings) -> Figure:
    """Draw the prediction and all runs on it."""
    title = f"d = {settings.num_features}, {jax.devices()[0].device_kind}"
    return dt.plot.curves(theory, *(case.runs for case in cases.values()), title=title)


def is_the_claim(settings: Settings) -> bool:
    """Return whether what is run is what is claimed."""
    return jax.default_backend() != "cpu" and settings.num_features >= LEAST_FEATURES


def main(settings: Settings | None = None, *, results: Path | None = None) -> int:
    """Check the claim and return the exit status.

    Args:
        settings: what is run; default the settings of the claim.
        results: where the record and the figure go; default validation/results when it is the claim that is checked.
    """
    settings = settings or Settings()
    law = dt.TeacherStudent(2.0, link="sin_mixture", noise_std=0.3)
    method = dt.gradient_descent(dt.MLP((2,), "tanh"), optax.sgd, learning_rate=0.5)
    key = jax.random.key(settings.seed)
    options = {"num_steps": settings.num_steps, "num_nodes": settings.num_nodes, "keep_preactivations": False}
    theory = dt.predict(law, method, key=key, **options)
    cases = {name: run_case(settings, theory, (law, method), way) for name, way in WAYS.items()}
    for name, case in cases.items():
        worst = case.report.worst
        print(
            f"{name:<14} {case.report.verdict:<11} {case.seconds / settings.num_runs:8.3f} s a run   worst "
            f"{worst.metric} at {worst.step}: {worst.theory:.5f} and {worst.simulation:.5f}, z = {worst.z:+.2f}"
        )
    outcome = joint_outcome(OUTCOMES[case.report.verdict] for case in cases.values())
    where = f"{jax.devices()[0].device_kind}, d = {settings.num_features}"
    print(f"{outcome.value} on {where}{'' if is_the_claim(settings) else ' (not what is claimed)'}: {CLAIM}")
    directory = results or (RESULTS if is_the_claim(settings) else None)
    if directory is not None:
        kept: dict[str, Any] = {name: case.numbers() for name, case in cases.items()}
        kept |= {"prediction": np.asarray(theory.test_error), "is_the_claim": is_the_claim(settings)}
        origin = provenance(dtype="float64, X in float32 where it says so")
        record = Record("large_simulation", CLAIM, PASS_RULE, dataclasses.asdict(settings), kept, outcome, origin)
        record.write(directory)
        dt.plot.save_figure(draw(theory, cases, settings), directory / "large_simulation.png", force=True)
    return outcome.exit_status


def command(settings: Settings, *, results: Path | None = None) -> int:
    """Check that theory and simulation agree at large d, on the accelerator when JAX sees one.

    Args:
        settings: what is run.
        results: directory for the record and the figure.
    """
    return main(settings, results=results)


if __name__ == "__main__":
    sys.exit(tyro.cli(command, config=(tyro.conf.OmitArgPrefixes,)))
