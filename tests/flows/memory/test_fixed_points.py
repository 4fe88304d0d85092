"""Branches of both memories solve the equations of the papers, minimise or not, and end where they should."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

import dyntheory as dt
from dyntheory.flows.memory.averages import field_averages
from dyntheory.flows.memory.multi_user_branches import PEAK, unknown
from dyntheory.ground.precision import double_precision
from tests.flows.memory import references as paper

FULL = pytest.mark.full


def _number(value: Any) -> float:
    return float(value)


def _names() -> dict[str, Any]:
    return {
        "overlap": mp.tanh,
        "square": lambda h: mp.tanh(h) ** 2,
        "slope": lambda h: mp.sech(h) ** 2,
        "fourth": lambda h: mp.sech(h) ** 4,
        "turn": lambda h: h * mp.tanh(h) * mp.sech(h) ** 2,
        "shortfall": lambda h: h - mp.tanh(h),
        "log_sum": lambda h: mp.log(2 * mp.cosh(h)),
    }


@pytest.mark.parametrize(
    "width", [pytest.param(1e-3, marks=FULL), 0.99, pytest.param(1.01, marks=FULL), pytest.param(50.0, marks=FULL)]
)
def test_averages_over_fields_have_all_digits(width: float) -> None:
    """Against 30 digits, on both sides of the width where the rule changes."""
    y = 1.3
    with double_precision():
        found = jax.jit(field_averages)(y, width)
    near = [-y + k / width for k in (-20, -5, -1, 0, 1, 5, 20) if abs(-y + k / width) < 11]
    cuts = sorted([-12, -6, -3, 0, 3, 6, 12, *near])
    with mp.workdps(30):
        s = mp.mpf(width)
        for name, function in _names().items():
            exact = mp.quad(lambda z, f=function: f(s * (y + z)) * mp.npdf(z), cuts)
            np.testing.assert_allclose(float(getattr(found, name)), _number(exact), rtol=2e-14, err_msg=name)
        bend = mp.quad(lambda z: z * mp.sech(s * (y + z)) ** 2 * mp.npdf(z), cuts)
        np.testing.assert_allclose(float(found.bend), _number(bend), rtol=1e-13)


def test_capacity_has_the_published_digits() -> None:
    found = dt.memory.capacity()
    load, y = paper.cold_capacity()
    np.testing.assert_allclose([found.load, found.overlap], [0.1379055664949, 0.9674171156853], rtol=4e-13)
    np.testing.assert_allclose(found.field, 1.5112185563276, rtol=3e-13)
    np.testing.assert_allclose(found.load, load, rtol=1e-12)
    np.testing.assert_allclose(found.field, y, rtol=1e-6)


@pytest.mark.parametrize("load", [pytest.param(0.02, marks=FULL), 0.1, 0.1379])
def test_cold_retrieval_is_the_one_equation(load: float) -> None:
    found = dt.memory.hopfield(load).fixed_points()["retrieval"]
    np.testing.assert_allclose(found.overlap, paper.cold_overlap(load), rtol=1e-10)
    np.testing.assert_allclose(found.bit_error, (1 - found.overlap) / 2, rtol=1e-8, atol=1e-16)
    energy = paper.cold_energy(load, found.field_ratio / math.sqrt(2))
    np.testing.assert_allclose(found.free_energy, energy, rtol=1e-12)
    glass = dt.memory.hopfield(load).fixed_points()["spin glass"]
    np.testing.assert_allclose(glass.free_energy, paper.cold_energy(load, 0.0), rtol=1e-12)


@pytest.mark.parametrize(
    ("load", "temperature"), [(0.05, 0.2), pytest.param(0.02, 0.6, marks=FULL), pytest.param(0.1, 0.3, marks=FULL)]
)
def test_warm_branches_are_the_saddle_points_of_the_free_energy(load: float, temperature: float) -> None:
    """They solve the three equations, f is stationary in all three, and iterating from the pattern finds retrieval."""
    found = dt.memory.hopfield(load, temperature).fixed_points()
    for name in ("retrieval", "spin glass"):
        branch = found[name]
        m, q = float(branch.overlap), float(branch.square)
        r = q / (1 - (1 - q) / temperature) ** 2
        field = m / temperature, math.sqrt(load * r) / temperature
        equations = paper.mean(math.tanh, *field), paper.mean(lambda h: math.tanh(h) ** 2, *field)
        np.testing.assert_allclose(equations, [m, q], rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(branch.free_energy, paper.free_energy(load, temperature, m, q, r), rtol=1e-11)
        for shift in np.eye(3) * 1e-5:
            low, high = (
                paper.free_energy(load, temperature, m + a * shift[0], q + a * shift[1], r + a * shift[2])
                for a in (-1, 1)
            )
            assert abs(high - low) < 2e-11  # a slope of 1e-6
    np.testing.assert_allclose(paper.saddle(load, temperature, 1.0, 1.0)[0], found["retrieval"].overlap, rtol=1e-9)


def test_branches_at_the_ends_of_their_range() -> None:
    """Next to no load, the glass has 1 − C = √(αq)/Δ → 0 and a finite energy; next to T = 1, m² = 3 (1 − T)."""
    found = dt.memory.hopfield(1e-40, 0.5).fixed_points()
    s = 1.0
    for _ in range(200):  # 1 − q = T fixes s
        s *= 1 + (paper.mean(lambda h: math.cosh(h) ** -2, 0.0, s) - 0.5)
    energy = (s * 0.5) ** 2 / 2 - 0.5 * paper.mean(paper.log_2_cosh, 0.0, s)
    np.testing.assert_allclose(found["spin glass"].free_energy, energy, rtol=1e-12)
    assert found.names[found.best] == "retrieval"
    close = dt.memory.hopfield(1e-40, 1 - 1e-15).fixed_points()["retrieval"]
    np.testing.assert_allclose(close.overlap**2, 3e-15, rtol=2e-3)  # of 1 − T itself three digits are left


def test_averages_over_small_fields_keep_their_digits() -> None:
    with double_precision():
        found = jax.jit(field_averages)(1e4, 1e-18)
    np.testing.assert_allclose(found.overlap, 1e-14, rtol=1e-13)


def test_negative_control_of_the_saddle() -> None:
    """With r = q, the noise of patterns without their reaction, the overlap is another one."""
    found = dt.memory.hopfield(0.1, 0.3).fixed_points()["retrieval"]
    m = q = 1.0
    for _ in range(300):
        noise = math.sqrt(0.1 * q) / 0.3
        m, q = paper.mean(math.tanh, m / 0.3, noise), paper.mean(lambda h: math.tanh(h) ** 2, m / 0.3, noise)
    assert abs(m - found.overlap) > 0.01


def test_lines_have_their_published_limits() -> None:
    """T_M ≈ 1 − 1.95 √α, T_c ≈ 1 − 2.6 √α; cold retrieval is best below .05; T_R is exponentially small."""
    close = dt.memory.phase_lines([0.0, 0.999, 1.5, 1e-5, 1 - 1e-9, 1 - 2e-5])
    np.testing.assert_allclose(1e-3 / np.sqrt(close.retrieval[1]), 1.954, atol=1e-3)
    np.testing.assert_allclose(1e-3 / np.sqrt(close.transition[1]), 2.6, atol=0.01)
    np.testing.assert_allclose(close.transition[0], 0.0518, atol=1e-4)
    assert close.glass[2] == 0.25 and np.isnan(close.glass[:2]).all() and np.isnan(close.retrieval[2])
    assert np.isnan(close.transition[4]) and abs(2e-5 / np.sqrt(close.transition[5]) - 2.59588) < 1e-4
    load = close.transition[0]
    assert abs(paper.cold_energy(load, 0.0) - paper.cold_energy(load, paper.cold_field(load))) < 1e-12
    breaks = close.symmetry_breaking[3]
    published = math.sqrt(8 * breaks / (9 * math.pi)) * math.exp(-1 / (2 * breaks))
    assert abs(published / 1e-5 - 1) < 0.1


@pytest.mark.full
def test_lines_part_the_branches() -> None:
    """Just inside a line the branch is there, or best, and just outside it is not."""
    temperature = 0.3
    lines = dt.memory.phase_lines(temperature)
    for side, exists in ((1 - 1e-9, True), (1 + 1e-9, False)):
        found = dt.memory.hopfield(side * lines.retrieval, temperature).fixed_points()
        assert np.isfinite(found.overlap[0]) == exists
        found = dt.memory.hopfield((1 + 1e-6 * np.sign(side - 1)) * lines.transition, temperature).fixed_points()
        assert found.names[found.best] == ("retrieval" if exists else "spin glass")
        found = dt.memory.hopfield(0.25, 1.5 + (side - 1)).fixed_points()
        assert found.names[found.best] == ("spin glass" if exists else "paramagnet")
        np.testing.assert_allclose(found.square[found.best], 0.0, atol=1e-7)


@pytest.mark.full
def test_symmetry_breaking_is_where_the_replicon_vanishes() -> None:
    load = dt.memory.phase_lines(0.01).symmetry_breaking
    found = dt.memory.hopfield([0.999 * load, load, 1.001 * load], 0.01).fixed_points()["retrieval"]
    assert found.replicon[0] > 0 > found.replicon[2] and abs(found.replicon[1]) < 1e-9


@pytest.mark.parametrize(
    ("load", "variance"),
    [pytest.param(0.5, 0.1, marks=FULL), (2.0, 0.08), (2.0, 0.02), pytest.param(1.6, 0.13, marks=FULL)],
)
def test_users_have_the_solutions_that_iteration_finds(load: float, variance: float) -> None:
    found = dt.memory.multi_user(load, variance).fixed_points()
    for name, start in (("uninformed", 0.0), ("informed", 1.0)):
        ratio = paper.user_ratio(load, variance, start)
        branch = found[name]
        np.testing.assert_allclose(branch.field_ratio**2, ratio, rtol=1e-10)
        np.testing.assert_allclose(branch.overlap, paper.known(ratio), rtol=1e-11)
        np.testing.assert_allclose(branch.free_energy, paper.user_information(ratio, load, variance), rtol=1e-11)
        assert branch.replicon > 0


@pytest.mark.full
def test_two_solutions_between_the_lines_only() -> None:
    load = 2.0
    lines = dt.memory.detection_lines(load)
    inside, outside = (1 + 1e-7, 1 - 1e-7), (1 - 1e-7, 1 + 1e-7)
    ends = np.array([lines.uninformed, lines.informed])
    two = dt.memory.multi_user(load, ends * inside).fixed_points()
    one = dt.memory.multi_user(load, ends * outside).fixed_points()
    assert (two.overlap[1] > two.overlap[0] + 0.1).all()
    np.testing.assert_array_equal(one.overlap[0], one.overlap[1])
    beside = dt.memory.multi_user(load, lines.transition * np.array([0.999, 1.001])).fixed_points()
    assert [beside.names[i] for i in beside.best] == ["informed", "uninformed"]
    around = dt.memory.detection_lines([1.4752, 1.4753])
    assert np.isnan(around.transition[0]) and np.isfinite(around.transition[1])


@pytest.mark.full
def test_the_load_of_two_solutions_is_a_maximum() -> None:
    """The constant that the library holds is where E² T′(E) is largest."""
    with double_precision():

        def steepness(x: jax.Array) -> jax.Array:
            return jnp.exp(2 * x) * -jax.grad(unknown)(jnp.exp(x))

        at = [float(steepness(jnp.asarray(PEAK + shift))) for shift in (-1e-4, 0.0, 1e-4)]
    assert at[1] > at[0] and at[1] > at[2] and abs(at[0] - at[2]) < 1e-11
    np.testing.assert_allclose(1 / at[1], 1.4752327101, rtol=1e-9)


def test_other_detectors() -> None:
    """At unit load the linear detector has E = (√(1 + 4/σ²) − 1)/2, and optimal is better than linear than matched."""
    variance = np.array([1e-8, 0.1, 10.0])
    found = dt.memory.linear_detector(1.0, variance)
    np.testing.assert_allclose(found.ratio, (np.sqrt(1 + 4 / variance) - 1) / 2, rtol=1e-12)
    best = [float(dt.memory.multi_user(1.0, one).fixed_points().equilibrium.bit_error) for one in variance]
    matched = dt.memory.matched_filter(1.0, variance)
    assert (best <= found.bit_error).all() and (found.bit_error < matched.bit_error).all()
    ends = dt.memory.linear_detector([1e-6, 0.5, 0.5], [0.5, 1e200, 1e-300]).ratio
    np.testing.assert_allclose(ends, [2.0 * (1 - 1e-6 / 1.5), 1e-200, 5e299], rtol=1e-9)


@pytest.mark.full
def test_arrays_broadcast() -> None:
    loads, temperatures = np.array([0.01, 0.05])[:, None], np.array([0.1, 0.4, 1.3])
    grid = dt.memory.hopfield(loads, temperatures).fixed_points()
    assert grid.overlap.shape == (3, 2, 3) and grid.best.shape == (2, 3)
    single = dt.memory.hopfield(0.05, 0.4).fixed_points()
    np.testing.assert_allclose(grid.overlap[:2, 1, 1], single.overlap[:2], rtol=1e-13)


@pytest.mark.full
def test_programs_inside_jit_have_derivatives() -> None:
    """m falls with the load as differences say; programs of single precision take whole results."""
    whole = jax.jit(lambda load: dt.memory.hopfield(load, 0.2).fixed_points())(0.05)
    assert whole.names[int(whole.best)] == "retrieval" and abs(float(whole.equilibrium.overlap) - 0.998878) < 1e-5
    path = jax.jit(lambda load: dt.memory.multi_user(load, 0.2).iterate(2))(0.5)
    np.testing.assert_allclose(path.overlap, dt.memory.multi_user(0.5, 0.2).iterate(2).overlap, rtol=1e-6)

    def overlap(load: jax.Array) -> jax.Array:
        return dt.memory.hopfield(load, 0.2).fixed_points()["retrieval"].overlap

    with double_precision():
        slope = float(jax.jit(jax.grad(overlap))(0.05))
        points = jax.vmap(overlap)(jnp.array([0.05 - 1e-5, 0.05 + 1e-5]))
    np.testing.assert_allclose(slope, float(points[1] - points[0]) / 2e-5, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: dt.memory.hopfield(0.0), "load"),
        (lambda: dt.memory.hopfield(0.1, -1.0), "temperature"),
        (lambda: dt.memory.multi_user(1.0, 0.0), "noise_variance"),
        (lambda: dt.memory.multi_user(1e9, 0.1), "load"),
        (lambda: dt.memory.capacity(1.0), "temperature"),
        (lambda: dt.memory.hopfield(0.1).iterate(3), "temperature"),
        (lambda: dt.memory.hopfield([0.1, 0.2], 0.1).iterate(3), "load"),
        (lambda: dt.memory.hopfield(1e-4).simulate(10, key=jax.random.key(0)), "num_spins"),
        (lambda: dt.memory.hopfield(0.1).simulate(10, key=jax.random.key(0), algorithm="gibs"), "algorithm"),
        (lambda: dt.memory.hopfield(0.1).fixed_points()["glass"], "spin glass"),
    ],
)
def test_bad_input_is_named(make: Any, named: str) -> None:
    with pytest.raises((ValueError, TypeError), match=named):
        make()


@pytest.mark.full
@pytest.mark.parametrize(
    ("function", "at", "step"),
    [(dt.memory.phase_lines, 0.02, 1e-6), (dt.memory.capacity, 0.3, 1e-5), (dt.memory.detection_lines, 2.0, 1e-5)],
)
def test_lines_have_derivatives(function: Any, at: float, step: float) -> None:
    """Newton steps whose slope is known in closed form carry them: as differences say."""

    def numbers(x: jax.Array) -> jax.Array:
        return jnp.stack(tuple(function(x))[:3])

    with double_precision():
        slope = jax.jit(jax.jacfwd(numbers))(jnp.asarray(at))
        low, high = np.asarray(jax.vmap(numbers)(jnp.array([at - step, at + step])))
    np.testing.assert_allclose(slope, (high - low) / (2 * step), rtol=1e-6)
