"""The forms that scikit-learn knows stop by the estimate."""

import warnings

import numpy as np
import pytest

import dyntheory as dt
from tests.verbs.estimation.runs import linear_data


def test_regressor_and_classifier_stop_by_the_estimate():
    rows, labels = linear_data(150, 20, noise=0.5)
    model = dt.estimators.NetworkRegressor((2,), num_steps=12).fit(rows, labels)
    assert 0 < model.n_iter_ <= 12 and model.score(*linear_data(500, 20, noise=0.5, seed=0)) > 0.3
    last = dt.estimators.NetworkRegressor((2,), num_steps=12, early_stopping=None).fit(rows, labels)
    assert last.n_iter_ == 12
    words = np.where(labels > 0.5, "high", np.where(labels < -0.5, "low", "middle"))
    classifier = dt.estimators.NetworkClassifier((2,), num_steps=12).fit(rows, words)
    chances = classifier.predict_proba(rows[:5])
    np.testing.assert_allclose(chances.sum(axis=1), 1.0)
    assert classifier.score(rows, words) > 0.5


def test_the_estimated_loss_is_in_units_of_the_labels():
    """Half the squared error on fresh rows: with labels in other units it grows by the square of the unit."""
    rows, labels = linear_data(150, 20, noise=0.5)
    fresh, answers = linear_data(2000, 20, noise=0.5, seed=0)
    for unit in (1.0, 50.0):
        model = dt.estimators.NetworkRegressor((2,), num_steps=12).fit(rows, unit * labels)
        actual = 0.5 * np.mean((model.predict(fresh) - unit * answers) ** 2)
        assert 0.75 < model.estimated_loss_ / actual < 1.33


@pytest.mark.parametrize(("early_stopping", "least"), [("theory", -1.0), (None, -10.0)])
def test_an_explosion_is_not_kept_and_said(early_stopping, least):
    from sklearn.datasets import load_diabetes
    from sklearn.exceptions import ConvergenceWarning

    rows, labels = load_diabetes(return_X_y=True)
    model = dt.estimators.NetworkRegressor((3,), learning_rate=12.0, num_steps=15, early_stopping=early_stopping)
    with pytest.warns(dt.estimators.UnstableTraining, match="lower the learning rate") as seen:
        model.fit(rows[:300], labels[:300])
    assert issubclass(seen[0].category, ConvergenceWarning) and issubclass(seen[0].category, dt.DyntheoryWarning)
    assert f"Step {model.n_iter_} of 15 is kept" in str(seen[0].message) and seen[0].filename == __file__
    assert np.isfinite(model.estimated_loss_) and model.estimated_loss_ > 0
    assert model.score(rows[300:], labels[300:]) > least  # −2940 and worse in the explosion


@pytest.mark.full
@pytest.mark.parametrize("is_noise", [True, False])
def test_the_rate_that_nobody_chose_is_stable(is_noise):
    """It was at the edge of stability of a linear model: training blew up at step 36 of 100."""
    rows, labels = linear_data(200, 50, noise=0.3)
    labels = np.random.default_rng(1).normal(size=200) if is_noise else labels
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert 0 < dt.estimators.NetworkRegressor().fit(rows, labels).n_iter_ <= 100


def test_words_are_no_numbers_to_predict():
    rows, _ = linear_data(20, 3)
    with pytest.raises(ValueError, match="`y` must hold numbers, got words"):
        dt.estimators.NetworkRegressor().fit(rows, ["a"] * 20)


@pytest.mark.full
@pytest.mark.parametrize("name", ["NetworkRegressor", "NetworkClassifier"])
def test_estimators_are_scikit_learns(name):
    from sklearn.exceptions import SkipTestWarning
    from sklearn.utils.estimator_checks import check_estimator

    with pytest.warns(SkipTestWarning), warnings.catch_warnings():
        warnings.simplefilter("ignore", dt.estimators.UnstableTraining)  # what is fitted there is hardly data
        results = check_estimator(getattr(dt.estimators, name)(num_steps=30), on_fail=None)
    assert len(results) > 40
    assert not [one["check_name"] for one in results if one["status"] == "failed"]
