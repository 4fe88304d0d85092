"""The rule of transfer can fail in each of its parts."""

import numpy as np

from validation import transfer
from validation.record import Outcome
from validation.transfer_cases import MEAN_FIELD, STANDARD, Case

RATES = np.array([0.2, 0.4, 0.8, 1.6, 3.2])


def curve(best: float, *, theory_best: float | None = None, spread: float = 0.001) -> Case:
    """Return a parabola in log rate, with runs that share their noise but for a part of it."""
    random = np.random.default_rng(0)
    parabola = 0.2 + 0.02 * np.log2(RATES / best) ** 2
    noise = spread * (random.standard_normal(50) + 0.1 * random.standard_normal((5, 50)))
    theory = parabola if theory_best is None else 0.2 + 0.02 * np.log2(RATES / theory_best) ** 2
    return Case(RATES, theory, np.full(5, 1e-4), {1000: parabola[:, None] + noise})


def test_sizes_fail_where_the_theory_chooses_another_rate_and_stay_open_where_runs_are_few() -> None:
    assert transfer.judge_sizes(curve(0.8))[0] is Outcome.PASSED
    outcome, numbers = transfer.judge_sizes(curve(0.8, theory_best=1.6))
    assert outcome is Outcome.FAILED and numbers["sizes"][1000]["simulated_best"] == 0.8
    assert transfer.judge_sizes(curve(0.8, spread=0.5))[0] is Outcome.UNRESOLVED


def test_a_rate_at_which_a_run_diverges_is_never_the_best() -> None:
    case = curve(0.8)
    case.runs[1000][2, 0] = np.nan
    assert case.means(1000).argmin() != 2 and transfer.paired_score(*case.runs[1000][[2, 1]]) == np.inf
    assert transfer.judge_sizes(case)[0] is Outcome.FAILED


def test_widths_need_one_scaling_that_keeps_its_rate_and_one_that_does_not() -> None:
    settings = transfer.Settings(widths=(8, 32))

    def outcome(mean_field: float, standard: float) -> Outcome:
        curves = {MEAN_FIELD: {8: curve(0.8), 32: curve(mean_field)}, STANDARD: {8: curve(1.6), 32: curve(standard)}}
        return transfer.judge_widths(curves, settings)[0]

    assert outcome(0.8, 0.4) is outcome(1.6, 0.2) is Outcome.PASSED
    for bad in ((0.2, 0.4), (3.2, 0.4), (0.8, 0.8), (0.8, 1.6)):
        assert outcome(*bad) is Outcome.FAILED
