"""The formula of the error bar, term by term."""

import numpy as np
import pytest
from scipy.stats import t as student

from dyntheory import error_bars

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
    errors = error_bars.standard_error(VALUES, BLOCKS, relative=True)
    np.testing.assert_allclose(errors, [_by_hand(VALUES, BLOCKS, step) for step in range(7)], rtol=1e-12)


@pytest.mark.parametrize("part", ["sub_net_spread", "sub_net_shift", "smooth", "rounding_floor"])
def test_every_part_counts(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = error_bars.standard_error(VALUES, 1e-9 * BLOCKS + VALUES, relative=True)
    monkeypatch.setattr(error_bars, part, lambda values, *others: np.zeros_like(values[0] if others == () else values))
    assert np.all(error_bars.standard_error(VALUES, 1e-9 * BLOCKS + VALUES, relative=True) < whole)


def test_neighbours_that_are_not_finite_do_not_count() -> None:
    blocks = BLOCKS.copy()
    blocks[:, 4:] = np.inf
    values = VALUES.copy()
    values[4:] = np.inf
    errors = error_bars.standard_error(values, blocks, relative=True)
    np.testing.assert_allclose(errors[:4], error_bars.standard_error(VALUES[:4], BLOCKS[:, :4], relative=True))
    assert not np.isfinite(errors[4:]).any()


def test_agreeing_sub_nets_still_leave_rounding() -> None:
    """What rounding and dropped directions do to all sub-nets alike: 1e-10 of the largest component so far."""
    values = np.array([[3.0, -4.0], [1.0, 0.0]])
    errors = error_bars.standard_error(values, np.stack([values] * 8), relative=False)
    np.testing.assert_allclose(errors, 4e-10)
