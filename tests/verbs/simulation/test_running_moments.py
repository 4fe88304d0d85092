"""Moments that runs are added to are those of all runs at once, however they are cut into batches."""

from fractions import Fraction
from typing import Any

import jax
import numpy as np
import pytest

from dyntheory.verbs.simulation.running_moments import Moments, merged, moments_of


def _values(num_runs: int) -> dict[str, Any]:
    random = np.random.default_rng(0)
    return {"curve": 5 + random.standard_normal((num_runs, 4)), "head": [random.standard_normal((num_runs, 2, 3))]}


def _in_batches(values: dict[str, Any], cuts: list[int]) -> Moments:
    parts = [
        moments_of(jax.tree.map(lambda x, a=a, b=b: x[a:b], values), products=("curve",))
        for a, b in zip([0, *cuts], [*cuts, len(values["curve"])], strict=True)
    ]
    total = parts[0]
    for part in parts[1:]:
        total = merged(total, part)
    return total


@pytest.mark.parametrize("cuts", [[], [1], [3, 3, 7], [0, 19], [1, 2, 3, 10]])
def test_batches_do_not_matter(cuts: list[int]) -> None:
    values = _values(20)
    total = _in_batches(values, cuts)
    assert total.num_runs == 20
    for ours, x in zip(jax.tree.leaves(total.mean), jax.tree.leaves(values), strict=True):
        np.testing.assert_allclose(ours, x.mean(axis=0), rtol=1e-13, atol=1e-15)
    for ours, x in zip(jax.tree.leaves(total.variance()), jax.tree.leaves(values), strict=True):
        np.testing.assert_allclose(ours, x.var(axis=0, ddof=1), rtol=1e-12)
    np.testing.assert_allclose(total.products["curve"] / 19, np.cov(values["curve"], rowvar=False), rtol=1e-11)


def test_a_large_mean_costs_no_digits() -> None:
    """Against rational arithmetic, where the difference of second moment and squared mean keeps no digit at all."""
    x = 1e9 + np.array([0.25, 0.5, 1.75, 2.0, 3.5, 4.0])
    exact = [Fraction(float(v)) for v in x]
    mean = sum(exact) / 6
    variance = float(sum((v - mean) ** 2 for v in exact) / 5)
    total = merged(moments_of({"x": x[:2, None]}), moments_of({"x": x[2:, None]}))
    np.testing.assert_allclose(total.variance()["x"], variance, rtol=1e-13)
    naive = (np.mean(x**2) - np.mean(x) ** 2) * 6 / 5
    assert abs(naive / variance - 1) > 1e-3


def test_groups_of_different_means_are_not_just_added() -> None:
    """Without the term in the difference of means the variance is another."""
    values = {"x": np.array([[0.0], [1.0], [10.0], [11.0]])}
    parts = [moments_of({"x": values["x"][:2]}), moments_of({"x": values["x"][2:]})]
    np.testing.assert_allclose(merged(*parts).squares["x"], 101.0)
    assert parts[0].squares["x"] + parts[1].squares["x"] == 1.0


def test_fewer_than_two_runs_have_no_variance() -> None:
    assert np.isnan(moments_of({"x": np.ones((1, 3))}).variance()["x"]).all()
    assert np.isnan(moments_of({"x": np.ones((0, 3))}).variance()["x"]).all()
