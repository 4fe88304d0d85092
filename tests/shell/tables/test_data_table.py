"""Files of data: what is read, what is refused, and what the refusal says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dyntheory.shell.tables.data_table import read_table
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
        ("holes.csv", "price"): "missing entries: price \\(1 rows\\)",
        ("data.csv", "prise"): "Did you mean 'price'",
        ("objects.npy", "0"): "without unpickling",
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
