"""The validation scripts state their rule, pass at small size, and leave a record that names no machine."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from validation import (
    estimate_designs,
    estimate_real,
    estimate_series,
    layers,
    long_horizon,
    preactivation_law,
    real_data,
    scaling_laws,
    scaling_width,
)
from validation.record import RESULTS, Outcome, joint_outcome


def test_preactivation_law_passes_and_its_control_fails(tmp_path: Path) -> None:
    assert preactivation_law.main(preactivation_law.QUICK, results=tmp_path) == 0
    record = json.loads((tmp_path / "preactivation_law.json").read_text())
    assert max(map(max, record["numbers"]["with memory"]["distance"])) <= 1
    assert max(map(max, record["numbers"]["without memory"]["distance"])) > 1
    assert (tmp_path / "preactivation_law.png").stat().st_size > 10_000


def test_layers_write_record_and_figure(tmp_path: Path) -> None:
    settings = layers.Settings(num_steps=6, num_features=100, num_runs=60, depths=(2, 3))
    assert layers.main(settings, results=tmp_path) == 0
    record = json.loads((tmp_path / "layers.json").read_text())
    assert record["outcome"] == "passed" and record["pass_rule"]
    assert set(record["numbers"]) == {"2 layers", "3 layers"}
    assert (tmp_path / "layers.png").exists()


SMALL = (long_horizon, real_data, scaling_laws, scaling_width, estimate_series, estimate_real, estimate_designs)


@pytest.mark.full
@pytest.mark.parametrize("module", SMALL, ids=lambda module: module.__name__.removeprefix("validation."))
def test_claims_pass_at_small_size(module: Any, tmp_path: Path) -> None:
    assert module.main(module.QUICK, results=tmp_path) == 0
    assert (tmp_path / f"{module.__name__.removeprefix('validation.')}.png").stat().st_size > 10_000


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_committed_records_have_provenance_and_passed(path: Path) -> None:
    record = json.loads(path.read_text())
    assert record["outcome"] == "passed"
    assert {"versions", "revision", "device", "dtype"} == set(record["provenance"])
    assert not any(word in path.read_text() for word in ("/home", "/root", "/tmp", "/work"))


def test_long_horizons_fail_where_bars_are_too_small_or_the_cost_too_high() -> None:
    curve = {"truth": np.ones(3), "reported": np.full(3, 0.01), "true": np.full(3, 0.01), "doubt": np.zeros(3)}
    good = {name: {**curve, "ratio": np.ones(3)} for name in long_horizon.FIELDS}
    assert long_horizon.outcome_of(good, 1.0, 1) is Outcome.PASSED
    assert long_horizon.outcome_of(good, 1201.0, 1) is Outcome.FAILED
    assert long_horizon.outcome_of(good, 1.0, 5 * 10**9) is Outcome.FAILED
    for changed in ({"ratio": np.full(3, 6.0)}, {"reported": np.full(3, 0.03)}, {"true": np.full(3, 0.03)}):
        bad = {**good, "test_error": {**good["test_error"], **changed}}
        assert long_horizon.outcome_of(bad, 1.0, 1) is Outcome.FAILED


def test_outcomes_join_to_the_worst() -> None:
    assert joint_outcome([Outcome.PASSED, Outcome.UNRESOLVED]) is Outcome.UNRESOLVED
    assert joint_outcome([Outcome.PASSED, Outcome.FAILED, Outcome.UNRESOLVED]) is Outcome.FAILED
    assert (Outcome.PASSED.exit_status, Outcome.FAILED.exit_status, Outcome.UNRESOLVED.exit_status) == (0, 1, 3)
