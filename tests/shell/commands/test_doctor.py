"""The self-check passes, fails when it should, and its formula is right."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import dyntheory as dt
from dyntheory.shell.commands.doctor import linear_test_errors
from dyntheory.shell.main import main
from tests.shell.conftest import give, trajectory_of


def test_doctor_checks_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    for words in ("dyntheory ", "jax ", "devices: ", "float64", "self-check: passed"):
        assert words in printed


def test_doctor_reports_a_wrong_prediction(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = dataclasses.replace(trajectory_of(), test_error=1.001 * np.asarray(linear_test_errors(1.5, 0.5, 0.4)))
    monkeypatch.setattr(dt, "predict", give(wrong))
    assert main(["doctor"]) == 1
    assert "self-check: FAILED" in capsys.readouterr().out


def test_the_formula_of_the_self_check_is_that_of_a_large_matrix() -> None:
    random = np.random.default_rng(0)
    num_features, ratio, noise, eta = 1500, 1.5, 0.5, 0.4
    inputs = random.standard_normal((int(ratio * num_features), num_features))
    covariance = inputs.T @ inputs / len(inputs)
    drift = np.sqrt(num_features) * inputs.T @ (noise * random.standard_normal(len(inputs))) / len(inputs)
    error = random.standard_normal(num_features) - random.standard_normal(num_features)
    errors = []
    for _ in range(3):
        errors.append(error @ error / num_features + noise**2)
        error = error - eta * (covariance @ error - drift)
    np.testing.assert_allclose(errors, linear_test_errors(ratio, noise, eta), rtol=0.06)
