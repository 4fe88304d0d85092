"""The forms that scikit-learn knows stop by the estimate."""

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


@pytest.mark.full
@pytest.mark.parametrize("name", ["NetworkRegressor", "NetworkClassifier"])
def test_estimators_are_scikit_learns(name):
    from sklearn.exceptions import SkipTestWarning
    from sklearn.utils.estimator_checks import check_estimator

    with pytest.warns(SkipTestWarning):
        results = check_estimator(getattr(dt.estimators, name)(num_steps=30), on_fail=None)
    assert len(results) > 40
    assert not [one["check_name"] for one in results if one["status"] == "failed"]
