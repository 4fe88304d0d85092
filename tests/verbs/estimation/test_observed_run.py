"""One observed run behind every question: the same training, whatever is asked of it."""

import jax
import numpy as np
import pytest

import dyntheory as dt
from dyntheory.ground.resources import Resources
from dyntheory.problem.laws.rows import labelled_rows
from dyntheory.verbs.estimation.observed_run import observed_run
from tests.verbs.estimation.runs import KEY, data, network


def test_the_training_does_not_depend_on_what_is_asked(double):
    rows = labelled_rows(*data(40, 20))
    options = {"num_steps": 4, "key": KEY, "head": None, "weights": None, "resources": Resources.checked()}
    one, other = (observed_run(rows, network(), corrects_head=flag, **options) for flag in (True, False))
    assert one.plan.num_signs > other.plan.num_signs == 0 and one.plan.work > other.plan.work
    jax.tree.map(np.testing.assert_array_equal, one.training, other.training)


@pytest.mark.parametrize("verb", [dt.estimate, dt.teacher_direction])
def test_what_cannot_be_observed_is_named_by_every_verb(verb):
    rows, labels = data(40, 20)
    with pytest.raises(TypeError, match="`method` must be a method"):
        verb(rows, labels, "sgd", num_steps=3, key=KEY)
    with pytest.raises(TypeError, match="`key` must be a typed JAX key"):
        verb(rows, labels, network(), num_steps=3, key=0)
    with pytest.raises(ValueError, match="`weights` must be finite with shape"):
        verb(rows, labels, network(), num_steps=3, key=KEY, weights=np.ones((4, 3)))
