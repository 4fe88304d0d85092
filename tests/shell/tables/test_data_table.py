"""Files of data: what is read, what is refused, and what the refusal says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dyntheory.shell.tables.data_table import read_table
from dyntheory.shell.tables.reading import Reading
from tests.shell.conftest import random_rows, write_csv


def test_arrays_are_read(tmp_path: Path) -> None:
    rows, labels = random_rows(30, 3)
    np.savez(tmp_path / "data.npz", X=rows, y=labels)
    np.save(tmp_path / "data.npy", np.column_stack([rows, labels]))
    for name, target in (("data.npz", "y"), ("data.npy", "-1")):
        table = read_table(tmp_path / name, target)
        np.testing.assert_array_equal(table.inputs, rows)
        np.testing.assert_array_equal(table.labels, labels)


def test_bad_files_are_named(tmp_path: Path) -> None:
    write_csv(tmp_path / "holes.csv", missing=True)
    np.save(tmp_path / "objects.npy", np.array([[1, "a"]], dtype=object), allow_pickle=True)
    (tmp_path / "broken.npz").write_bytes(b"no archive")
    (tmp_path / "data.txt").write_text("1 2", encoding="utf-8")
    write_csv(tmp_path / "data.csv")
    cases = {
        ("holes.csv", "price"): "missing or infinite entries: price \\(row 4\\)",
        ("data.csv", "prise"): "Did you mean 'price'",
        ("objects.npy", "0"): "are not unpickled",
        ("broken.npz", "y"): "is it a .npz file",
        ("data.txt", "y"): "ends in .csv",
    }
    for (name, target), message in cases.items():
        with pytest.raises(ValueError, match=message):
            read_table(tmp_path / name, target)
    with pytest.raises(ValueError, match="take fewer rows"):
        read_table(tmp_path / "data.csv", "price", max_memory=100)
    with pytest.raises(FileNotFoundError, match="no file"):
        read_table(tmp_path / "none.csv", "price")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["data.npz", "data.npy", "data.csv"])
def test_an_entry_that_is_no_number_makes_no_constant_column(name: str, value: float, tmp_path: Path) -> None:
    """A column with one such entry was "constant" and left out."""
    rows, labels = random_rows(30, 3)
    rows[4, 1] = value
    matrix, target = np.column_stack([rows, labels]), {"npz": "y", "npy": "-1", "csv": "y"}[name[-3:]]
    np.savez(tmp_path / "data.npz", X=rows, y=labels)
    np.save(tmp_path / "data.npy", matrix)
    np.savetxt(tmp_path / "data.csv", matrix, delimiter=",", header="a,b,c,y", comments="")
    with pytest.raises(ValueError, match=r"missing or infinite entries: (X 1|column 1|b) \(row 5\)"):
        read_table(tmp_path / name, target)
    assert read_table(tmp_path / name, target, reading=Reading(impute=True)).inputs.shape == (30, 3)


def test_columns_that_cannot_be_used(tmp_path: Path) -> None:
    path, (rows, labels) = tmp_path / "data.npz", random_rows(60, 3)

    def refusal(*columns: np.ndarray) -> str:
        arrays: dict[str, Any] = {f"x{index}": column for index, column in enumerate(columns)}
        np.savez(path, **arrays, y=labels)
        with pytest.raises(ValueError) as caught:
            read_table(path, "y")
        return str(caught.value)

    assert "Squares of the entries of x0 overflow" in refusal(1e200 * rows[:, 0])
    assert "No column is left beside the labels, or none that varies" in refusal(np.full(60, 0.1))
    assert "'x0' holds 60 different words, such as 'n0': leave it out with --drop x0" in refusal(
        np.array([f"n{i}" for i in range(60)])
    )
    numbers = np.array([str(row) for row in rows[:, 0]])
    numbers[7] = "none yet"
    assert "'x0' holds numbers and also 'none yet'" in refusal(numbers)
    words = np.array(["a"] * 60)
    np.savez(path, x=rows, w=words, y=labels)
    assert read_table(path, "y").notes == ("columns of one word were left out: w",)
    assert "'x0' tells the target 'y' exactly" in refusal(2 - 3 * labels)


def test_indicators_are_counted_before_they_are_made(tmp_path: Path) -> None:
    rows, labels = random_rows(1000, 1)
    np.savez(tmp_path / "data.npz", x=rows[:, 0], y=labels, w=np.array([f"{i % 50:02}" for i in range(1000)]))
    with pytest.raises(ValueError, match=r"'indicators of words' needs about 0.0016 GB"):
        read_table(tmp_path / "data.npz", "y", max_memory=1_000_000)
    assert read_table(tmp_path / "data.npz", "y").inputs.shape == (1000, 50)
