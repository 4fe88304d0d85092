"""The validation scripts state their rule, pass at small size, and leave a record that names no machine."""

import json
from pathlib import Path
from typing import Any

import pytest

from validation import (
    estimate_designs,
    estimate_real,
    estimate_series,
    layers,
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


SMALL = (real_data, scaling_laws, scaling_width, estimate_series, estimate_real, estimate_designs)


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


def test_outcomes_join_to_the_worst() -> None:
    assert joint_outcome([Outcome.PASSED, Outcome.UNRESOLVED]) is Outcome.UNRESOLVED
    assert joint_outcome([Outcome.PASSED, Outcome.FAILED, Outcome.UNRESOLVED]) is Outcome.FAILED
    assert (Outcome.PASSED.exit_status, Outcome.FAILED.exit_status, Outcome.UNRESOLVED.exit_status) == (0, 1, 3)
