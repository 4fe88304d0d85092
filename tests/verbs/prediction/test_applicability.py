"""The report before any compute: each question alone can change the answer."""

from typing import Any

import numpy as np
import optax
import pytest

import dyntheory as dt

METHOD = dt.gradient_descent(dt.MLP((4,)), optax.sgd, learning_rate=0.1)
SIZES: dict[str, Any] = {"num_steps": 20, "num_samples": 2000, "num_features": 1000}


def _levels(law: dt.TeacherStudent, method: Any = METHOD, **changes: Any) -> dict[str, str]:
    report = dt.applicability(law, method, **{**SIZES, **changes})
    return {check.name: check.level for check in report.checks}


def test_a_request_that_is_covered() -> None:
    report = dt.applicability(dt.TeacherStudent(2.0), METHOD, **SIZES)
    assert report.level == "covered" and set(_levels(dt.TeacherStudent(2.0)).values()) == {"covered"}
    assert report.cost == dt.prediction_cost(dt.TeacherStudent(2.0), METHOD, num_steps=20, num_nodes=2**14)
    assert report.assumptions.level == "theorem" and "GB" in str(report)


def test_each_question_is_asked() -> None:
    law = dt.TeacherStudent(2.0)
    steep = dt.TeacherStudent(2.0, features=dt.spectra.power_law(1.2, num_modes=200, target_exponent=1.8))
    wide = dt.gradient_descent(dt.MLP((150,)), optax.sgd, learning_rate=0.1)
    assert _levels(law, num_samples=3000)["ratio"] == "outside"
    assert _levels(law, num_samples=400, num_features=200)["size"] == "doubtful"
    assert _levels(law, num_samples=40, num_features=20)["size"] == "outside"
    assert _levels(steep)["size"] == "outside"  # 57 effective features of 1000
    assert _levels(law, wide, num_steps=2)["width"] == "outside"
    assert _levels(law, num_steps=1200, num_nodes=2**18)["steps"] == "doubtful"


def test_inputs_are_looked_at() -> None:
    random, law = np.random.default_rng(0), dt.TeacherStudent(2.0)
    rows = random.normal(size=(500, 1000))
    clean = _levels(law, inputs=rows)
    assert clean["tails"] == clean["correlation"] == clean["dependence"] == "covered"
    assert _levels(law, inputs=random.standard_t(2.1, size=(5000, 1000)))["tails"] == "outside"
    strong = rows * np.where(np.arange(1000) < 100, 3.0, 1.0)
    assert _levels(law, inputs=strong)["correlation"] == "outside"
    features = dt.spectra.two_level(0.1, 9.0)
    assert _levels(dt.TeacherStudent(2.0, features=features), inputs=strong)["correlation"] == "covered"
    scales = random.choice([0.5, 1.5], size=(500, 1))
    assert _levels(law, inputs=rows * scales)["dependence"] == "outside"
    with pytest.raises(ValueError, match="num_features"):
        _levels(law, inputs=rows[:, :5])
