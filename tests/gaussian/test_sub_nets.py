"""The formula of the error bar, term by term."""

import numpy as np
import pytest
from scipy.stats import t as student

from dyntheory.gaussian import sub_nets

BLOCKS = 1.0 + 0.1 * np.random.default_rng(4).standard_normal((8, 7))
VALUES = 1.05 + 0.3 * np.arange(7.0)


def _by_hand(values: np.ndarray, blocks: np.ndarray, step: int) -> float:
    """The same in scalars, for one step of a positive curve."""
    count, factor = len(blocks), student.ppf(0.975, len(blocks) - 1) / 1.959963984540054
    spreads, shifts = [], []
    for now in range(len(values)):
        mean = sum(block[now] for block in blocks) / count
        variance = sum((block[now] - mean) ** 2 for block in blocks) / (count - 1)
        spreads.append((variance / count) ** 0.5)
        shifts.append(abs(values[now] - mean))
    near = [other for other in range(len(values)) if abs(other - step) <= 2]
    smoothed = []
    for errors in (spreads, shifts):
        rms = (sum((errors[other] / values[other]) ** 2 for other in near) / len(near)) ** 0.5
        smoothed.append(max(errors[step], values[step] * rms))
    floor = 1e-10 * max(values[: step + 1])
    return ((factor * smoothed[0]) ** 2 + (smoothed[1] / 2) ** 2 + floor**2) ** 0.5


def test_formula() -> None:
    errors = sub_nets.standard_error(VALUES, BLOCKS, relative=True)
    np.testing.assert_allclose(errors, [_by_hand(VALUES, BLOCKS, step) for step in range(7)], rtol=1e-12)


@pytest.mark.parametrize("part", ["sub_net_spread", "sub_net_shift", "smooth", "rounding_floor"])
def test_every_part_counts(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sub_nets.standard_error(VALUES, 1e-9 * BLOCKS + VALUES, relative=True)
    monkeypatch.setattr(sub_nets, part, lambda values, *others: np.zeros_like(values[0] if others == () else values))
    assert np.all(sub_nets.standard_error(VALUES, 1e-9 * BLOCKS + VALUES, relative=True) < whole)


def test_neighbours_that_are_not_finite_do_not_count() -> None:
    blocks = BLOCKS.copy()
    blocks[:, 4:] = np.inf
    values = VALUES.copy()
    values[4:] = np.inf
    errors = sub_nets.standard_error(values, blocks, relative=True)
    np.testing.assert_allclose(errors[:4], sub_nets.standard_error(VALUES[:4], BLOCKS[:, :4], relative=True))
    assert not np.isfinite(errors[4:]).any()


def test_agreeing_sub_nets_still_leave_rounding() -> None:
    """What rounding and dropped directions do to all sub-nets alike: 1e-10 of the largest component so far."""
    values = np.array([[3.0, -4.0], [1.0, 0.0]])
    errors = sub_nets.standard_error(values, np.stack([values] * 8), relative=False)
    np.testing.assert_allclose(errors, 4e-10)


def test_a_sub_net_that_is_not_finite_leaves_no_bar() -> None:
    """It would otherwise leave the rounding floor alone, and status ok."""
    blocks = BLOCKS.copy()
    blocks[3, 2] = np.nan
    errors = sub_nets.standard_error(VALUES, blocks, relative=True)
    assert np.isinf(errors[2]) and np.all(np.isfinite(np.delete(errors, 2)))
    np.testing.assert_array_less(0.0, sub_nets.standard_error(VALUES, blocks, relative=True))


def test_a_component_that_is_not_finite_does_not_take_the_others_bars() -> None:
    rng = np.random.default_rng(0)
    blocks = rng.standard_normal((8, 4, 2, 2))
    values, whole = np.zeros((4, 2, 2)), sub_nets.standard_error(np.zeros((4, 2, 2)), blocks, relative=False)
    blocks[:, :, 0, 0] = np.nan
    errors = sub_nets.standard_error(values, blocks, relative=False)
    assert np.all(np.isinf(errors[:, 0, 0]))
    others = np.ones((2, 2), bool)
    others[0, 0] = False
    np.testing.assert_allclose(errors[:, others], whole[:, others], rtol=0.5)
