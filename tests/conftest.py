"""Shapes and types of the core are checked while the tests run; ranks are never broadcast in silence.

The verbs and nouns check their own arguments, with their own messages, so the hook covers the rooms beneath them.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

os.environ["DYNTHEORY_COMPILATION_CACHE"] = "off"  # the command line, called in this process, must not turn it on

import jax
import jax.extend.core  # adds settings to the key of every compiled program, so it must not come while they are counted
import jaxtyping
import pytest

from tests.type_checker import checked

ESTIMATION = (
    "assumption_report",
    "covariance",
    "debias",
    "fresh_rows",
    "head_influence",
    "near_repeats",
    "plan",
    "probes",
    "reliable_steps",
    "response_noise",
    "row_responses",
    "training_run",
    "weight_responses",
)
CORE = (
    "dynamics",
    "gaussian.hermite",
    "gaussian.nodes",
    "gaussian.sobol",
    "gaussian.sub_nets",
    "ground.linear_algebra",
    "ground.randomness",
    "kernels.step_filters",
    "kernels.filters",
    "matrix",
    "problem.laws.rows",
    "results.judgement",
    *(f"verbs.estimation.{part}" for part in ESTIMATION),
    "verbs.prediction.on_nodes",
    "verbs.simulation.ensemble",
)
hook = jaxtyping.install_import_hook([f"dyntheory.{room}" for room in CORE], f"{checked.__module__}.{checked.__name__}")

import dyntheory as dt  # noqa: E402
from dyntheory.ground.precision import double_precision  # noqa: E402

jax.config.update("jax_numpy_rank_promotion", "raise")


MAPS = Path("/proc/self/maps")
MANY_MAPS, SECONDS = 30_000, 4.0
looked_at = [0.0]


@pytest.fixture(autouse=True)
def _few_compiled_programs() -> Iterator[None]:
    """Forget compiled programs before there are too many: each holds memory maps, of which Linux grants 65,530.

    Compiling takes its time and so does counting: a second makes some hundreds of maps.
    """
    yield
    if MAPS.exists() and time.monotonic() - looked_at[0] > SECONDS:
        looked_at[0] = time.monotonic()
        if MAPS.read_bytes().count(b"\n") > MANY_MAPS:
            jax.clear_caches()


@pytest.fixture
def double() -> Iterator[None]:
    """Run the test in float64, as the verbs do."""
    with double_precision():
        yield


@pytest.fixture
def key() -> jax.Array:
    """Return one fixed random key."""
    return jax.random.key(2026)


@pytest.fixture
def law() -> dt.TeacherStudent:
    """Return the reference law of the tests."""
    return dt.TeacherStudent(samples_per_feature=2.0, link="sin_mixture", noise_std=0.3)
