"""The validation scripts on kernels pass at small size and leave a record and a figure."""

import json
from pathlib import Path
from types import ModuleType

import pytest

from validation import finite_width_kernels, kernel_learning_curves, lazy_training

SCRIPTS = [finite_width_kernels, kernel_learning_curves, lazy_training]


@pytest.mark.full
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__.split(".")[-1])
def test_script_passes_at_small_size(script: ModuleType, tmp_path: Path) -> None:
    assert script.main(quick=True, results=tmp_path) == 0
    name = script.__name__.split(".")[-1]
    record = json.loads((tmp_path / f"{name}.json").read_text())
    assert record["outcome"] == "passed" and record["pass_rule"]
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000
