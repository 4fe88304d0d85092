"""Laws that contradict themselves are told in their own words."""

from typing import Any

import jax
import numpy as np
import optax
import pytest

import dyntheory as dt

METHOD = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=0.1)


@pytest.mark.parametrize(
    ("link", "moment", "message"),
    [
        (
            lambda z: z[0] * z[1],
            None,
            r"cannot take a number z, of the law's 1 teacher direction: .*`teacher_second_moment` \(np\.eye\(2\)",
        ),
        (lambda z: z @ np.ones(3), np.eye(2), r"cannot take z of shape \(2,\), of the law's 2 teacher directions"),
        (lambda z, w: z * w, None, "cannot take a number z"),
    ],
)
def test_a_link_of_other_directions_names_their_number(link: Any, moment: Any, message: str, key: jax.Array) -> None:
    law = dt.TeacherStudent(2.0, link, teacher_second_moment=moment)
    with pytest.raises(ValueError, match=message):
        dt.predict(law, METHOD, num_steps=1, key=key)
    with pytest.raises(ValueError, match="`link` cannot take"):
        dt.simulate(law, METHOD, num_steps=1, num_features=20, num_runs=2, key=key)


def test_links_of_the_right_directions_have_a_label() -> None:
    assert dt.TeacherStudent(2.0, lambda z: z[0] * z[1], teacher_second_moment=np.eye(2)).label_shape == ()
