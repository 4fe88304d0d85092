"""Memories of finite size follow the theory: messages step by step, Glauber dynamics at equilibrium, cold descents."""

import math
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import dyntheory as dt
from dyntheory.flows.memory.spins import draw_network, glauber, message_passing
from dyntheory.ground.precision import double_precision
from tests.flows.memory import references as paper

KEY = jax.random.key(11)


@pytest.mark.parametrize(
    ("memory", "start", "steps"),
    [
        pytest.param(dt.memory.hopfield(0.08, 0.3), 0.6, 5, marks=pytest.mark.full),
        (dt.memory.multi_user(0.9, 0.25), None, 6),
        pytest.param(dt.memory.multi_user(1.2, 0.2), 0.5, 4, marks=pytest.mark.full),
    ],
)
def test_messages_follow_the_limit_step_by_step(memory: Any, start: float | None, steps: int) -> None:
    """z-scores over 40 runs at N = 300, with an allowance of 3/N for the finite size."""
    theory = memory.iterate(steps, start_overlap=start)
    runs = memory.simulate(300, num_runs=40, num_steps=steps, key=KEY, algorithm="message passing", start_overlap=start)
    assert runs.status.ok and (runs.overlap_error[1:] < 0.02).all()
    off = np.abs(runs.overlap - theory.overlap)[1:] - 3 / 300
    assert (off < 3.5 * runs.overlap_error[1:]).all()
    wrong = np.abs(runs.bit_error - theory.bit_error)[1:] - 3 / 300
    assert (wrong < 3.5 * runs.bit_error_error[1:]).all()


def test_negative_control_without_the_reaction() -> None:
    """Messages that leave the reaction out are elsewhere by many standard errors after three steps."""
    theory, rng, ends = dt.memory.multi_user(0.9, 0.25).iterate(6).overlap[3], np.random.default_rng(0), []
    for _ in range(20):
        rows = rng.choice([-1.0, 1.0], (300, 333)) / math.sqrt(333)
        truth, x = rng.choice([-1.0, 1.0], 300), np.zeros(300)
        received = truth @ rows + 0.5 * rng.standard_normal(333)
        for _ in range(3):
            x = np.tanh((rows @ (received - x @ rows) + x) / (0.25 + 0.9 * (1 - np.mean(x**2))))
        ends.append(np.mean(x * truth))
    assert abs(np.mean(ends) - theory) > 8 * np.std(ends, ddof=1) / math.sqrt(20)


@pytest.mark.parametrize(
    ("memory", "path"),
    [(dt.memory.hopfield(0.05, 0.4), "retrieval"), (dt.memory.multi_user(2.0, 0.08), "informed")],
)
def test_messages_end_at_the_fixed_point(memory: Any, path: str) -> None:
    last = memory.iterate(200, start_overlap=1.0)
    branch = memory.fixed_points()[path]
    np.testing.assert_allclose(last.overlap[-1], branch.overlap, rtol=1e-11)
    np.testing.assert_allclose(last.field_ratio[-1], branch.field_ratio, rtol=1e-9)


def test_messages_that_die_out_are_zero_and_wrong_half_the_time() -> None:
    """From ±1 spins of no overlap, q ← E tanh² with the noise of the paper; later both are zero, and no NaN."""
    path = dt.memory.hopfield(0.05, 0.4).iterate(1000, start_overlap=0.0)
    q = 1.0
    for found in path.square[1:4]:
        q = paper.mean(lambda h: math.tanh(h) ** 2, 0.0, math.sqrt(0.05 * q) / abs(0.4 - (1 - q)))
        np.testing.assert_allclose(found, q, rtol=1e-10)
    np.testing.assert_allclose(path.overlap, 0.0, atol=1e-15)
    np.testing.assert_allclose(path.bit_error, 0.5, rtol=1e-10)
    late = dt.memory.hopfield(0.05, 0.4).iterate(1000, start_overlap=1e-3)
    np.testing.assert_allclose(late.bit_error[5:], 0.5, rtol=1e-10)


def test_glauber_dynamics_is_at_equilibrium_in_the_retrieval_state() -> None:
    """T = .5, α = .02: mean overlap of the second half of 30 sweeps, 24 networks of 400, allowance 3/N."""
    memory = dt.memory.hopfield(0.02, 0.5)
    runs = memory.simulate(400, num_runs=24, num_steps=30, key=KEY)
    means = runs.per_run[:, 15:].mean(axis=1)
    error = means.std(ddof=1) / np.sqrt(len(means))
    assert error < 0.004
    assert abs(means.mean() - memory.fixed_points()["retrieval"].overlap) < 3.5 * error + 3 / 400


@pytest.mark.full
def test_cold_descents_keep_what_is_stored_below_the_capacity_only() -> None:
    """α = .08 ends near the replica value with every run at rest; at α = .25 the pattern is lost."""
    kept = dt.memory.hopfield(0.08).simulate(500, num_runs=10, key=KEY)
    assert kept.status.ok and kept.still == 1.0
    assert abs(kept.overlap[-1] - dt.memory.hopfield(0.08).fixed_points()["retrieval"].overlap) < 0.004
    lost = dt.memory.hopfield(0.25).simulate(500, num_runs=10, num_steps=60, key=KEY)
    assert lost.overlap[-1] < 0.7
    hurried = dt.memory.hopfield(0.25).simulate(500, num_runs=4, num_steps=2, key=KEY)
    assert hurried.status.code == "unresolved" and "num_steps" in hurried.status.message


def test_descents_are_those_of_a_plain_loop() -> None:
    """The same network in NumPy ends in minima of the same overlap, whatever the order; energies never rise."""
    with double_precision():
        drawn = draw_network(200, 22, 1.0, KEY)
        found = glauber(drawn, 0.0, KEY, num_steps=30, is_cold=True)  # pyright: ignore[reportArgumentType]
    patterns = np.asarray(drawn.rows) * np.sqrt(200)
    plain = [
        paper.descent(patterns, np.asarray(drawn.start), np.random.default_rng(seed)) @ np.asarray(drawn.truth) / 200
        for seed in range(3)
    ]
    assert min(abs(float(found.overlap[-1]) - one) for one in plain) < 0.011


def test_both_memories_are_one_system() -> None:
    """A detector at the noise variance −T that hears nothing is the network: messages and spins agree to rounding."""
    with double_precision():
        drawn = draw_network(300, 15, 0.8, KEY)
        network = message_passing(drawn, -0.3, num_steps=4)  # pyright: ignore[reportArgumentType]
        rows, x, before = np.asarray(drawn.rows), np.asarray(drawn.start), np.zeros(15)
        for _ in range(4):
            stiffness = 0.3 - (1 - np.mean(x**2))
            hidden = (x @ rows - (1 - np.mean(x**2)) * before) / stiffness
            x, before = np.tanh(rows @ hidden - 0.05 / stiffness * x), hidden
    np.testing.assert_allclose(network.overlap[-1], np.mean(x * np.asarray(drawn.truth)), rtol=1e-12)


def _amplified(seed: int, size: int, load: float, temperature: float) -> tuple[float, float]:
    """Return how noise on fields at rest is amplified in square, and 1 − replicon of the same spins."""
    with double_precision():
        drawn = draw_network(size, round(load * size), 1.0, jax.random.key(seed))
    rows, x, rng = np.asarray(drawn.rows), np.asarray(drawn.start), np.random.default_rng(seed)
    before = np.zeros(rows.shape[1])

    def fields(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        reaction = 1 - np.mean(x**2)
        hidden = (x @ rows - reaction * before) / (temperature - reaction)
        return rows @ hidden - load / (temperature - reaction) * x, hidden

    for _ in range(40):
        h, before = fields(x)
        x = np.tanh(h)
    found = []
    for _ in range(20):
        noise = 1e-6 * rng.standard_normal(size)
        moved = fields(x + (1 - x**2) * noise)[0] - fields(x)[0]
        found.append(np.sum(moved**2) / np.sum(noise**2))
    stiffness = temperature - np.mean(1 - x**2)
    return float(np.mean(found)), float(load * np.mean((1 - x**2) ** 2) / stiffness**2)


@pytest.mark.full
def test_replicon_is_by_how_much_messages_amplify_noise() -> None:
    """At rest, fields moved by noise move the next ones by α E sech⁴/(T − V)² = 1 − replicon of its square."""
    pairs = np.array([_amplified(seed, 1200, 0.05, 0.5) for seed in range(6)])
    ratios = pairs[:, 0] / pairs[:, 1]
    error = ratios.std(ddof=1) / np.sqrt(6)
    assert error < 0.04 and abs(ratios.mean() - 1) < 3.5 * error
    found = dt.memory.hopfield(0.05, 0.5).fixed_points()["retrieval"]
    fourth = paper.mean(lambda h: 1 / np.cosh(h) ** 4, found.overlap / 0.5, found.overlap / found.field_ratio / 0.5)
    np.testing.assert_allclose(1 - found.replicon, 0.05 * fourth / (0.5 - 1 + found.square) ** 2, rtol=1e-9)


def test_results_are_kept(tmp_path: Path) -> None:
    memory = dt.memory.hopfield(0.05, 0.1)
    curve, single, steps = np.ones(5), np.ones((3, 5)), np.arange(5)
    runs = dt.memory.RecallRuns(steps, curve, curve, single, curve, curve, None, None, 1.0, 100)
    assert runs.num_runs == 3
    several = dt.memory.hopfield(0.05, 0.4).fixed_points()
    for number, result in enumerate((several, memory.iterate(200, start_overlap=0.6), runs)):
        loaded = dt.load(result.save(tmp_path / f"{number}.nc"))
        np.testing.assert_array_equal(loaded.overlap, result.overlap)
        assert type(loaded) is type(result)
