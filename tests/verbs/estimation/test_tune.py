"""Choosing by the estimate."""

import re
from pathlib import Path

import jax
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.shell.main import main
from dyntheory.shell.tables.data_table import read_table
from tests import ROOT
from tests.verbs.estimation.runs import linear_data

KEY = jax.random.key(2)


def linear(rate):
    return dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=rate)


def test_the_choice_is_the_smallest_and_its_luck_is_taken_off():
    rows, labels = linear_data()
    found = dt.tune(rows, labels, {"slow": linear(0.01), "fast": linear(0.3)}, num_steps=25, key=KEY)
    assert found.best.name == "fast" and found.candidates[1].name == "slow"
    assert found.best.value == found.trajectories["fast"].test_error.min()
    assert found.best.step == found.trajectories["fast"].best_step
    assert found.expected > found.best.value and "choose fast" in str(found)


def test_expected_error_is_less_biased_than_the_smallest_one():
    rates = {f"{rate}": linear(rate) for rate in (0.1, 0.2, 0.3, 0.4)}
    gaps = []
    for seed in range(20):
        rows, labels = linear_data(40, 20, noise=2.0, seed=seed)
        tested, truth = linear_data(3000, 20, noise=2.0, seed=1000 + seed)
        found = dt.tune(rows, labels, rates, num_steps=15, key=jax.random.key(seed), num_resamples=60)
        method = rates[found.best.name]
        live = dt.estimate(rows, labels, method, num_steps=15, key=jax.random.key(seed), test_data=(tested, truth))
        assert live.held_out_error is not None
        true = live.held_out_error[found.best.step]
        gaps.append((found.best.value - true, found.expected - true))
    chosen, expected = np.array(gaps).T
    error = expected.std() / np.sqrt(len(gaps))
    assert chosen.mean() < expected.mean()
    assert abs(expected.mean()) < 3.5 * error


def test_candidates_are_checked():
    rows, labels = linear_data()
    with pytest.raises(TypeError, match="must hold a method"):
        dt.tune(rows, labels, [], num_steps=3, key=KEY)
    with pytest.raises(ValueError, match="metric"):
        dt.tune(rows, labels, [linear(0.1)], num_steps=3, key=KEY, metric="train_error")


METHOD = "[network]\nhidden = [2]\n[method]\nlearning_rate = 0.1\n[run]\nnum_steps = 8\n"


@pytest.mark.full
def test_the_documented_example_runs(tmp_path, monkeypatch):
    code = re.findall(r"```python\n(.*?)```", (ROOT / "docs/estimate.md").read_text(), flags=re.S)
    monkeypatch.chdir(tmp_path)
    exec("\n".join(code), {})
    assert (tmp_path / "live.png").exists()


def write_csv(path: Path, *, missing=False):
    rows, labels = linear_data(60, 4)
    lines = ["a,b,c,d,colour,flat,price"]
    for index, (row, label) in enumerate(zip(rows, labels, strict=True)):
        numbers = ",".join(f"{x:.6f}" for x in row)
        lines.append(f"{numbers},{'red' if index % 3 else 'blue'},1,{'' if missing and index == 3 else label}")
    path.write_text("\n".join(lines))


def test_a_csv_file_is_trained_on_from_the_command_line(tmp_path, capsys):
    (tmp_path / "method.toml").write_text(METHOD)
    write_csv(tmp_path / "data.csv")
    files = ["--plot", str(tmp_path / "live.png"), "--out", str(tmp_path / "live.nc")]
    arguments = ["estimate", str(tmp_path / "method.toml"), "--data", str(tmp_path / "data.csv"), "--target", "price"]
    assert main([*arguments, *files]) == 0
    shown = capsys.readouterr().out
    assert "error on fresh rows" in shown and "← best" in shown
    assert "words became indicator columns: colour" in shown and "constant columns were left out: flat" in shown
    assert "60 rows, 5 columns" in shown
    assert dt.load(tmp_path / "live.nc").provenance["columns"][-1] == "colour_red"
    assert (tmp_path / "live.png").stat().st_size > 5000
    arguments[-1] = "colour"
    assert main([*arguments, "--set", "method.loss=logistic"]) == 0
    assert "rate of wrong signs, red against blue" in capsys.readouterr().out
    assert main(arguments) == 2
    assert "'colour' holds words" in capsys.readouterr().err


def test_other_files_are_read(tmp_path):
    rows, labels = linear_data(30, 3)
    np.savez(tmp_path / "data.npz", X=rows, y=labels)
    np.save(tmp_path / "data.npy", np.column_stack([rows, labels]))
    for name, target in (("data.npz", "y"), ("data.npy", "-1")):
        table = read_table(tmp_path / name, target)
        np.testing.assert_array_equal(table.inputs, rows)
        np.testing.assert_array_equal(table.labels, labels)


def test_bad_files_are_named(tmp_path):
    write_csv(tmp_path / "holes.csv", missing=True)
    np.save(tmp_path / "objects.npy", np.array([[1, "a"]], dtype=object), allow_pickle=True)
    (tmp_path / "broken.npz").write_bytes(b"no archive")
    (tmp_path / "data.txt").write_text("1 2")
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
