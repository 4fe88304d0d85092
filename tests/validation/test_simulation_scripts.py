"""The validation scripts on simulations pass at small size and leave a record and a figure."""

import dataclasses
import json
from pathlib import Path
from types import ModuleType

import pytest

from validation import finite_size, large_simulation, universality


@pytest.mark.full
@pytest.mark.parametrize("script", [finite_size, universality], ids=lambda script: script.__name__.split(".")[-1])
def test_script_passes_at_small_size(script: ModuleType, tmp_path: Path) -> None:
    assert script.main(quick=True, results=tmp_path) == 0
    name = script.__name__.split(".")[-1]
    record = json.loads((tmp_path / f"{name}.json").read_text())
    assert record["outcome"] == "passed" and record["pass_rule"]
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000


@pytest.mark.full
def test_large_simulation_runs_anywhere_at_reduced_size(tmp_path: Path) -> None:
    settings = large_simulation.Settings(num_features=300, num_steps=3, num_runs=8, num_nodes=2**12)
    assert large_simulation.main(settings, results=tmp_path) in (0, 3)
    record = json.loads((tmp_path / "large_simulation.json").read_text())
    assert not record["numbers"]["is_the_claim"] and record["settings"] == dataclasses.asdict(settings)
    assert set(record["numbers"]) > {"dense float64", "dense float32", "revealed"}
