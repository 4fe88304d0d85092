"""What `charges` measures: flows beside SGD from the same start, and how starts end under several potentials."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from dyntheory.flows import charges
from dyntheory.flows.charges import ChargeAgreement, ChargePaths

FINER = 12  # times of a flow for every one of the runs
PAIR = np.array([[0.3, 0.0], [-0.3, 0.0]])


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes of all parts.

    Args:
        rates: the two learning rates that are extrapolated.
        time: of the runs; states are kept at six times.
        batch_size: samples of a step.
        num_runs: of SGD, at each rate.
        num_starts: of the potentials that learn orthonormal teachers, and of those that do not.
        num_relu_starts: of rectified units, few of which end badly.
        relu_size: units of teacher and student, and features.
        seed: of everything.
    """

    rates: tuple[float, float] = (0.01, 0.005)
    time: float = 3.0
    batch_size: int = 100
    num_runs: int = 320
    num_starts: int = 40
    num_relu_starts: int = 64
    relu_size: int = 8
    seed: int = 7


class Beside(NamedTuple):
    """One potential: the flow, runs at two rates, how they agree, and how the flow without repulsion does."""

    theory: ChargePaths
    runs: ChargePaths
    agreement: ChargeAgreement
    control: ChargeAgreement


class Found(NamedTuple):
    """All parts; `starts` by name, `between` under a Gaussian and a screened potential, `stuck` with SGD beside it."""

    beside: dict[str, Beside]
    starts: dict[str, ChargePaths]
    between: dict[str, ChargePaths]
    stuck: ChargePaths | None
    stuck_runs: ChargePaths | None


def units(rows: np.ndarray) -> np.ndarray:
    """Return rows of length one."""
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def cases() -> dict[str, tuple[Any, dict[str, Any]]]:
    """Return potentials and what is given of each: three protons and three electrons in three dimensions."""
    rng = np.random.default_rng(1)
    protons, start = units(rng.normal(size=(3, 3))), 0.8 * rng.normal(size=(3, 3))
    own, unit = np.array([0.6, -0.4, 1.2]), units(start)
    free: dict[str, Any] = {"protons": protons, "electrons": start}
    trained: dict[str, Any] = {**free, "electron_charges": own, "train_charges": True}
    bound: dict[str, Any] = {"protons": protons, "electrons": unit, "on_sphere": True}
    beside_protons = units(
        protons + 0.6 * np.random.default_rng(3).normal(size=protons.shape)
    )  # or its samples scatter
    return {
        "erf, charges trained": ("erf", trained),
        "ReLU": ("relu", free),
        "cos": ("cos", free),
        "tanh, by its series": (charges.potential_of("tanh"), trained),
        "erf on the sphere": ("erf", bound),
        "cubic Hermite": (charges.hermite(3), {**bound, "electrons": beside_protons}),
        "screened charges": (charges.yukawa(3, 1.0, width=0.3), trained),
    }


def beside(settings: Settings) -> dict[str, Beside]:
    """Run SGD beside the flow under all potentials."""
    found: dict[str, Beside] = {}
    for number, (name, (potential, given)) in enumerate(cases().items()):
        runs = [
            charges.simulate(
                potential,
                **given,
                learning_rate=rate,
                num_steps=round(settings.time / rate),
                record_every=round(settings.time / 5 / rate),
                batch_size=settings.batch_size,
                num_runs=settings.num_runs,
                key=jax.random.fold_in(jax.random.key(settings.seed), 2 * number + place),
            )
            for place, rate in enumerate(settings.rates)
        ]
        times = np.linspace(0.0, runs[0].times[-1], 1 + (len(runs[0].times) - 1) * FINER)
        theory, alone = (ask(potential, given, times) for ask in (with_repulsion, without_repulsion))
        agreement, control = (charges.compare(thinned(one), *runs) for one in (theory, alone))
        found[name] = Beside(theory, runs[1], agreement, control)
        print(f"{name} done", flush=True)
    return found


def with_repulsion(potential: Any, given: dict[str, Any], times: np.ndarray) -> ChargePaths:
    """Return the flow."""
    return charges.flow(potential, **given, times=times)


def thinned(paths: ChargePaths) -> ChargePaths:
    """Return the flow at the times of the runs."""
    kept = {name: getattr(paths, name)[:, ::FINER] for name in ("positions", "charges", "loss", "force_norm")}
    return dataclasses.replace(paths, times=paths.times[::FINER], distances=paths.distances[:, ::FINER], **kept)


def without_repulsion(potential: Any, given: dict[str, Any], times: np.ndarray) -> ChargePaths:
    """Return the flow of electrons that do not see each other: every one alone among the protons."""
    own = given.get("electron_charges", np.ones(len(given["electrons"])))
    starts = np.asarray(given["electrons"])[:, None]
    every = charges.flow(potential, **{**given, "electrons": starts, "electron_charges": own[:, None]}, times=times)
    parts = [np.moveaxis(every.positions[:, :, 0], 0, 1)[None], np.moveaxis(every.charges[:, :, 0], 0, 1)[None]]
    whole = charges.flow(potential, **given, times=times)
    return dataclasses.replace(whole, positions=parts[0], charges=parts[1])


def starts(settings: Settings) -> dict[str, ChargePaths]:
    """Let many random starts go, with orthonormal protons."""
    rng = np.random.default_rng(settings.seed)
    count, size = settings.num_starts, settings.relu_size
    sphere, small = units(rng.normal(size=(count, 3, 3))), np.eye(3)
    free = rng.normal(size=(count, 3, 3))
    wide = rng.normal(size=(settings.num_relu_starts, size, size)) / np.sqrt(size)
    far = 9.0 * np.linalg.qr(free)[0]
    screened = charges.yukawa(3, 1.0, width=0.3)
    asked: dict[str, Callable[[], ChargePaths]] = {
        "erf": lambda: _flow("erf", small, sphere, 400.0, on_sphere=True),
        "screened": lambda: _flow(screened, np.eye(3), units(free), 400.0, train_charges=True),
        "cubic": lambda: _flow(charges.hermite(3), small, sphere, 400.0),
        "square": lambda: _flow(charges.hermite(2), small, sphere, 400.0),
        "cos, far": lambda: _flow("cos", np.eye(3), far, 400.0),
        "ReLU": lambda: _flow("relu", np.eye(size), wide, 300.0),
    }
    found = {}
    for name, ask in asked.items():
        found[name] = ask()
        print(f"{name}: {found[name].num_converged} of {found[name].num_runs} learned", flush=True)
    return found


def _flow(potential: Any, protons: np.ndarray, electrons: np.ndarray, time: float, **options: Any) -> ChargePaths:
    times = np.concatenate([[0.0], np.geomspace(time / 200, time, 24)])
    return charges.flow(potential, protons, electrons=electrons, times=times, rtol=1e-6, **options)


def between() -> dict[str, ChargePaths]:
    """Let one electron go, its charge trained, between two protons that are close."""
    start = np.array([[0.02, 0.05]])
    asked = {"Gaussian (cos)": "cos", "screened": charges.yukawa(2, 4.0, width=0.05)}
    protons = {"Gaussian (cos)": PAIR + np.array([0.0, 2.0]), "screened": PAIR}
    return {
        name: charges.flow(
            potential,
            protons[name],
            electrons=start + protons[name].mean(axis=0),
            times=np.concatenate([[0.0], np.geomspace(0.003, 60.0, 120)]),
            train_charges=True,
            rtol=1e-6,
        )
        for name, potential in asked.items()
    }


def stuck(found: ChargePaths, settings: Settings) -> tuple[ChargePaths | None, ChargePaths | None]:
    """Return the flow from the worst bad minimum of rectified units, which rests there, and SGD from the same place."""
    bad = [run for run, ending in enumerate(found.endings) if ending == "stuck"]
    if not bad:
        return None, None
    worst = max(bad, key=lambda run: found.loss[run, -1])
    start, rate = found.positions[worst, -1], 0.02
    steps = round(60.0 / rate)
    runs = charges.simulate(
        "relu",
        found.protons,
        electrons=start,
        learning_rate=rate,
        num_steps=steps,
        record_every=steps // 24,
        batch_size=100,
        num_runs=4,
        key=jax.random.key(settings.seed + 1),
    )
    return charges.flow("relu", found.protons, electrons=start, times=runs.times, rtol=1e-6), runs
