"""Losses for signs and classes refuse laws and data whose labels are other numbers."""

from typing import Any

import jax
import numpy as np
import optax
import pytest

import dyntheory as dt

TWO = np.eye(2)
REGRESSIONS = {
    "linear": dt.TeacherStudent(2.0, "linear", 0.3),
    "tanh": dt.TeacherStudent(2.0, "tanh"),
    "sign with noise outside": dt.TeacherStudent(2.0, "sign", 0.3),
}
SIGNS = {
    "sign": dt.TeacherStudent(2.0, "sign"),
    "probit": dt.TeacherStudent(2.0, "probit", 0.3),
    "clouds": dt.gaussian_mixture(2.0, 1.0),
}


def _method(loss: str, num_outputs: int = 1) -> dt.GeneralFirstOrderMethod:
    network = dt.MLP((2,), num_outputs=num_outputs)
    return dt.gradient_descent(network, optax.sgd, loss=loss, learning_rate=0.1)


def _applicable(law: dt.TeacherStudent, method: dt.GeneralFirstOrderMethod) -> Any:
    return dt.applicability(law, method, num_steps=3, num_samples=2000, num_features=1000)


@pytest.mark.parametrize("law", REGRESSIONS.values(), ids=REGRESSIONS)
@pytest.mark.parametrize("loss", ["logistic", "squared_hinge", "squared_classification"])
def test_real_labels_are_no_signs(law: dt.TeacherStudent, loss: str, key: jax.Array) -> None:
    """The run would finish with a "rate of wrong signs" below zero or above one, and be called a theorem."""
    method = _method(loss)
    with pytest.raises(ValueError, match=r"must be -1 and 1 for the loss of .*take the link 'sign'"):
        _applicable(law, method)
    with pytest.raises(ValueError, match="must be -1 and 1"):
        dt.predict(law, method, num_steps=1, key=key)
    with pytest.raises(ValueError, match="must be -1 and 1"):
        dt.simulate(law, method, num_steps=1, num_features=20, num_runs=2, key=key)
    assert _applicable(law, _method("squared")).level == "covered"


@pytest.mark.parametrize("law", SIGNS.values(), ids=SIGNS)
def test_signs_are_taken(law: dt.TeacherStudent) -> None:
    assert _applicable(law, _method("logistic")).level == "covered"


def test_classes_are_indicator_vectors() -> None:
    three = dt.TeacherStudent(2.0, "argmax", teacher_second_moment=np.eye(3))
    assert _applicable(three, _method("cross_entropy", 3)).level == "covered"
    pair = dt.TeacherStudent(2.0, lambda z: z, teacher_second_moment=TWO)
    with pytest.raises(ValueError, match="must be indicator vectors of classes"):
        _applicable(pair, _method("cross_entropy", 2))


def test_message_passing_for_signs_wants_signs() -> None:
    assert _applicable(SIGNS["probit"], dt.generalized_amp("probit", noise_std=0.3)).level == "covered"
    with pytest.raises(ValueError, match="must be -1 and 1"):
        _applicable(REGRESSIONS["linear"], dt.generalized_amp("probit", noise_std=0.3))


def test_data_of_zeros_and_ones_are_refused(key: jax.Array) -> None:
    rows = np.random.default_rng(0).normal(size=(40, 5))
    with pytest.raises(ValueError, match=r"`labels` must be -1 and 1 .*pass 2 \* y - 1"):
        dt.estimate(rows, (rows[:, 0] > 0).astype(float), _method("logistic"), num_steps=1, key=key)
    with pytest.raises(ValueError, match=r"`labels` must be indicator vectors .*pass np.eye\(3\)\[y\]"):
        dt.estimate(rows, np.arange(40) % 3, _method("cross_entropy", 3), num_steps=1, key=key)
