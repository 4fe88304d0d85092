"""The verdict keeps its level, sees what is there, and says what it cannot see."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from scipy.stats import t as student

from dyntheory.ground.status import Status
from dyntheory.results.agreement import corrected_threshold
from dyntheory.results.compare import Agreement, compare
from dyntheory.results.trajectory import CURVES, Trajectory

STEPS = np.arange(21)
TRAIN = 0.1 + 0.9 * np.exp(-STEPS / 6)
TEST = 0.4 + 0.6 * np.exp(-STEPS / 5)
PROVENANCE = {"kind": "simulation", "num_features": 1000, "num_runs": 20}


def _trajectory(train: Any, test: Any, error: Any, steps: np.ndarray = STEPS, **provenance: Any) -> Trajectory:
    errors = np.broadcast_to(error, steps.shape).astype(float)
    return Trajectory(
        steps,
        train_error=np.asarray(train, dtype=float),
        test_error=np.asarray(test, dtype=float),
        standard_error=Trajectory(steps, train_error=errors, test_error=errors),
        provenance=provenance,
    )


def _theory(error: float = 1e-4) -> Trajectory:
    return _trajectory(TRAIN, TEST, error, kind="prediction")


def _simulation(shift: Any = 0.0, error: Any = 1e-3, **provenance: Any) -> Trajectory:
    return _trajectory(TRAIN + shift, TEST + shift, error, **{**PROVENANCE, **provenance})


def _drawn(rng: np.random.Generator, num_runs: int, shift: float, size: int = 1000) -> Trajectory:
    """Return runs whose curves wander: one random walk each, unit variance at every step, spread 2 %."""
    walk = np.cumsum(rng.normal(size=(2, num_runs, len(STEPS))), axis=-1) / np.sqrt(STEPS + 1)
    spread = 0.02 * (walk + shift / np.sqrt(num_runs))
    train, test = TRAIN + spread[0], TEST + spread[1]
    error = {"train_error": train.std(0, ddof=1), "test_error": test.std(0, ddof=1)}
    return Trajectory(
        STEPS,
        train_error=train.mean(0),
        test_error=test.mean(0),
        standard_error=Trajectory(STEPS, **{k: v / np.sqrt(num_runs) for k, v in error.items()}),
        per_run=Trajectory(STEPS, train_error=train, test_error=test),
        provenance={"kind": "simulation", "num_features": size},
    )


def _curve(trajectory: Trajectory | None, name: str) -> np.ndarray:
    return np.asarray(getattr(trajectory, name))


def _biased(run: Trajectory, bias: float) -> Trajectory:
    train, test = _curve(run, "train_error") + bias * TRAIN, _curve(run, "test_error") + bias * TEST
    return dataclasses.replace(run, train_error=train, test_error=test)


def _repeat(num_repeats: int, num_runs: int, shift: float, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [compare(_theory(0.0), _drawn(rng, num_runs, shift), allowance=0.0).verdict for _ in range(num_repeats)]


@pytest.mark.parametrize("num_runs", [10, 40])
def test_true_agreement_is_reported_at_the_stated_level(num_runs: int) -> None:
    verdicts = _repeat(300, num_runs, 0.0, seed=1)
    assert verdicts.count("agree") >= 0.97 * 300


def test_a_normal_quantile_would_break_the_level_for_few_runs() -> None:
    """Negative control of the test above: without Student's quantile five runs raise false alarms."""
    rng = np.random.default_rng(2)
    reports = [compare(_theory(0.0), _drawn(rng, 5, 0.0), allowance=0.0) for _ in range(300)]
    normal = corrected_threshold(0.01, 2 * len(STEPS), np.inf)
    assert sum(report.verdict == "disagree" for report in reports) <= 9
    assert sum(max(abs(z).max() for z in report.z.values()) > normal for report in reports) > 30


def test_a_shift_of_five_standard_errors_is_always_seen() -> None:
    assert set(_repeat(300, 40, 5.0, seed=3)) == {"disagree"}


def test_two_sizes_remove_a_bias_that_one_size_shows() -> None:
    rng = np.random.default_rng(4)
    sizes = {size: _drawn(rng, 40, 0.0, size) for size in (200, 400)}
    biased = {size: _biased(run, 10 / size) for size, run in sizes.items()}
    assert compare(_theory(), biased[400], allowance=0.0).verdict == "disagree"
    report = compare(_theory(), biased[400], biased[200])
    assert report.verdict == "agree"
    assert report.allowance == pytest.approx(100 / 200**2)
    assert "extrapolated from two sizes: 2 m(400) - m(200)" in str(report)
    small, large = (_curve(biased[size].standard_error, "train_error") for size in (200, 400))
    expected = np.sqrt(4 * large**2 + small**2 + 1e-8)
    np.testing.assert_allclose(report.standard_error["train_error"], expected, rtol=1e-12)
    extrapolated = 2 * _curve(biased[400], "train_error") - _curve(biased[200], "train_error")
    np.testing.assert_allclose(report.difference["train_error"], extrapolated - TRAIN, rtol=1e-9, atol=1e-15)
    swapped = compare(_theory(), biased[200], biased[400])
    np.testing.assert_array_equal(swapped.z["test_error"], report.z["test_error"])


def test_every_field_follows_the_rule() -> None:
    shift = np.linspace(-0.002, 0.002, len(STEPS))
    report = compare(_theory(3e-4), _simulation(shift, 4e-4))
    points = 2 * len(STEPS)
    assert report.threshold == pytest.approx(student.isf(0.01 / (2 * points), 19))
    assert report.allowance == pytest.approx(0.01)
    np.testing.assert_allclose(report.difference["train_error"], shift, atol=1e-15)
    np.testing.assert_allclose(report.standard_error["test_error"], 5e-4)
    np.testing.assert_allclose(report.z["train_error"], shift / 5e-4, atol=1e-10)
    np.testing.assert_allclose(report.tolerance["test_error"], report.threshold * 5e-4 + 0.01 * TEST)
    scale = np.concatenate([TRAIN, TEST])
    assert report.resolution == pytest.approx(np.median(report.threshold * 5e-4 / scale))
    metric, step, z, predicted, simulated = report.worst
    assert (metric, step, predicted) == ("train_error", 20, TRAIN[20])
    assert z == pytest.approx((simulated - predicted) / 5e-4)
    assert report.agrees and report.level == 0.01


def test_the_allowance_decides_a_small_bias() -> None:
    biased = _trajectory(1.02 * TRAIN, 1.02 * TEST, 1e-4, **PROVENANCE)
    assert compare(_theory(), biased).verdict == "disagree"
    assert compare(_theory(), biased, allowance=0.02).verdict == "agree"
    smaller = dataclasses.replace(biased, provenance={**PROVENANCE, "num_features": 500})
    assert compare(_theory(), smaller).verdict == "agree"


def test_the_text_is_short_and_complete() -> None:
    shift = np.zeros(len(STEPS))
    shift[7] = 0.5
    text = str(compare(_theory(), _simulation(shift)))
    assert text.startswith("disagree: 40 of 42 points within ")
    assert "(train_error, test_error; steps 0 to 20)" in text
    assert "worst point: train_error at step 7, predicted" in text
    assert " standard errors + 1 % of the predicted value (" in text
    assert text.endswith("\nallowed beside the standard errors for the finite size: 10/d at d = 1000")
    assert len(text.splitlines()) == 3
    assert len(str(compare(_theory(), _simulation(shift), allowance=0.01)).splitlines()) == 2


def test_large_standard_errors_leave_the_question_open() -> None:
    report = compare(_theory(), _simulation(error=0.2))
    assert report.verdict == "unresolved" and not report.agrees
    assert report.resolution > 0.2
    assert "more runs are needed" in str(report)
    assert compare(_theory(), _simulation(shift=5.0, error=0.2)).verdict == "disagree"


def test_two_runs_say_nothing() -> None:
    assert compare(_theory(), _simulation(num_runs=2)).verdict == "unresolved"


def test_degrees_of_freedom() -> None:
    def threshold(run: Trajectory) -> float:
        return compare(_theory(), run).threshold

    def expected(degrees: float) -> Any:
        return pytest.approx(corrected_threshold(0.01, 42, degrees))

    run = _simulation()
    assert threshold(run) == expected(19)
    assert threshold(_simulation(num_runs=None)) == expected(np.inf)
    assert threshold(_simulation(num_heads=4)) == expected(16)
    assert threshold(dataclasses.replace(run, num_diverged=5)) == expected(14)
    assert threshold(dataclasses.replace(run, num_diverged=20)) == expected(19)
    single = Trajectory(STEPS, train_error=np.ones((7, len(STEPS))))
    assert threshold(dataclasses.replace(run, per_run=single)) == expected(6)
    with pytest.raises(ValueError, match="at least two runs for every head"):
        compare(_theory(), _simulation(num_runs=1))
    few, many = _simulation(num_runs=6, num_features=500), _simulation(num_runs=50)
    assert compare(_theory(), few, many).threshold == expected(5)


def test_points_without_error_are_exact() -> None:
    same = compare(_theory(0.0), _simulation(error=0.0), allowance=0.0)
    assert same.agrees and not same.z["train_error"].any()
    off = compare(_theory(0.0), _simulation(shift=1e-9, error=0.0), allowance=0.0)
    assert off.verdict == "disagree" and np.all(off.z["train_error"] == np.inf)


def test_a_zero_prediction_does_not_divide() -> None:
    zero = _trajectory(0 * TRAIN, TEST, 0.0, kind="prediction")
    run = _trajectory(0 * TRAIN, TEST, [0.0] * 10 + [1e-3] * 11, **PROVENANCE)
    report = compare(zero, run)
    assert report.agrees
    assert all(np.isfinite(z).all() for z in report.z.values())


def test_common_steps_are_compared_in_any_order() -> None:
    run = _simulation()
    every_other = np.arange(20, -1, -2)
    assert run.train_error is not None and run.test_error is not None
    coarse = _trajectory(run.train_error[every_other], run.test_error[every_other], 1e-3, every_other, **PROVENANCE)
    report = compare(_theory(), coarse)
    np.testing.assert_array_equal(report.steps, np.arange(0, 21, 2))
    np.testing.assert_allclose(report.difference["test_error"], 0, atol=1e-15)
    late = dataclasses.replace(run, steps=STEPS + 100)
    with pytest.raises(ValueError, match=r"no common steps \(0 to 20 and 100 to 120\)"):
        compare(_theory(), late)
    with pytest.raises(ValueError, match="no common steps"):
        compare(_theory(), _simulation(), dataclasses.replace(late, provenance={**PROVENANCE, "num_features": 500}))


def _cut(trajectory: Trajectory, step: int) -> Trajectory:
    assert trajectory.train_error is not None
    return dataclasses.replace(trajectory, train_error=np.where(step > STEPS, trajectory.train_error, np.nan))


def test_curves_that_both_end_are_compared_before() -> None:
    report = compare(_cut(_theory(), 12), _cut(_simulation(), 9))
    assert report.agrees
    np.testing.assert_array_equal(report.steps, np.arange(9))
    assert "not finite: theory from step 12 on and simulation from step 9 on" in str(report)


@pytest.mark.parametrize("who", ["theory", "simulation"])
def test_one_side_that_diverges_alone_is_not_agreement(who: str) -> None:
    theory, run = _theory(), _simulation()
    sides = (_cut(theory, 9), run) if who == "theory" else (theory, _cut(run, 9))
    report = compare(*sides)
    assert report.verdict == "unresolved"
    assert f"not finite: {who} from step 9 on" in str(report)
    assert "one side diverged and the other did not" in str(report)
    off = compare(_cut(theory, 9), _simulation(shift=1.0))
    assert off.verdict == "disagree"


def _exploding(num_runs: int, exploding: int, *, num_heads: int = 1) -> Trajectory:
    """Return runs of which some grow tenfold a step from step 8 on, to overflow."""
    rng = np.random.default_rng(4)
    rates = 1.6 + 4.0 * rng.exponential(1.0, (exploding, 1))
    growth = 10.0 ** np.minimum(rates * np.maximum(STEPS - 8, 0), 120.0)
    growth = np.concatenate([growth, np.ones((num_runs - exploding, len(STEPS)))])
    train, test = TRAIN * growth, TEST * growth
    means = {"train_error": train.mean(0), "test_error": test.mean(0)}
    errors = {"train_error": train.std(0, ddof=1), "test_error": test.std(0, ddof=1)}
    return Trajectory(
        STEPS,
        **means,
        standard_error=Trajectory(STEPS, **{name: value / np.sqrt(num_runs) for name, value in errors.items()}),
        per_run=Trajectory(STEPS, train_error=train, test_error=test),
        provenance={**PROVENANCE, "num_runs": num_runs, "num_heads": num_heads},
        num_diverged=exploding,
    )


@pytest.mark.parametrize("exploding", [60, 55])
def test_runs_that_explode_alone_disagree(exploding: int) -> None:
    """Their mean has an error as large as itself, so z-scores see nothing; 60 of 60 runs above it are no accident."""
    run = _exploding(60, exploding)
    report = compare(_theory(), run)
    assert report.verdict == "disagree" and "more runs are needed" not in str(report)
    assert f"{exploding} of 60 runs are above" in str(report)
    counted = compare(_theory(), dataclasses.replace(run, per_run=None))
    assert counted.verdict == "disagree" and f"{exploding} of 60 runs diverged where" in str(counted)
    without = dataclasses.replace(run, per_run=None, num_diverged=0)
    assert compare(_theory(), without).verdict == "unresolved", "negative control: the mean and its error do not tell"


def test_a_few_explosions_prove_nothing() -> None:
    """One run of sixty may be far above a mean; two runs with heads of their own too."""
    assert compare(_theory(), _exploding(60, 1)).verdict == "unresolved"
    assert compare(_theory(), dataclasses.replace(_exploding(60, 1), per_run=None)).verdict == "unresolved"
    wide = dataclasses.replace(_simulation(), per_run=Trajectory(STEPS, train_error=np.stack([50 * TRAIN] * 3)))
    assert compare(_theory(), wide).agrees


def test_explosions_on_both_sides_are_compared_before() -> None:
    report = compare(_cut(_theory(), 9), dataclasses.replace(_exploding(60, 60), num_diverged=60))
    assert report.steps[-1] == 8 and "runs are above" not in str(report)


def test_statuses_are_part_of_the_text() -> None:
    run = dataclasses.replace(_simulation(), num_diverged=3, status=Status("diverged", "3 of 20 runs diverged", 4))
    theory = dataclasses.replace(_theory(), status=Status("heavy_tail", "one node carries it"))
    text = str(compare(theory, run))
    assert "theory heavy_tail: one node carries it" in text
    assert "simulation diverged: 3 of 20 runs diverged" in text


def test_overflow_near_divergence_is_not_a_number_to_compare() -> None:
    def huge(size: int) -> Trajectory:
        return _trajectory(np.where(STEPS < 15, TRAIN, 1e308), TEST, 1e-3, **{**PROVENANCE, "num_features": size})

    report = compare(_theory(), huge(500), huge(1000))
    assert report.steps[-1] == 14 and report.verdict == "unresolved"


def test_two_predictions_are_compared_by_their_numerical_errors() -> None:
    theory = _theory()
    other = _trajectory(TRAIN + 1e-5, TEST, 1e-4, kind="prediction")
    report = compare(theory, other)
    assert report.agrees and report.allowance == 1e-9
    assert report.threshold == pytest.approx(corrected_threshold(0.01, 42, np.inf))
    assert compare(theory, _trajectory(TRAIN + 1e-3, TEST, 1e-4, kind="prediction")).verdict == "disagree"


@pytest.mark.parametrize("metrics", [("train_loss",), CURVES, ["test_error", "test_error"]])
def test_any_curves_can_be_compared(metrics: Any) -> None:
    theory, run = _theory(), _simulation()
    theory, run = (
        dataclasses.replace(
            side,
            train_loss=TRAIN / 2,
            test_loss=TEST / 2,
            standard_error=Trajectory(STEPS, **dict.fromkeys(CURVES, np.full(21, 1e-3))),
        )
        for side in (theory, run)
    )
    report = compare(theory, run, metrics=metrics)
    assert list(report.z) == list(dict.fromkeys(metrics))
    assert isinstance(report, Agreement) and report.agrees


def test_more_points_raise_the_threshold() -> None:
    both = compare(_theory(), _simulation())
    one = compare(_theory(), _simulation(), metrics=("test_error",))
    loose = compare(_theory(), _simulation(), level=0.05)
    assert loose.threshold < one.threshold < both.threshold


def _without(trajectory: Trajectory, **fields: None) -> Trajectory:
    return dataclasses.replace(trajectory, **fields)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((_simulation(), _theory()), {}, r"arguments are swapped.*compare\(theory, runs\)"),
        ((_simulation(), _simulation()), {}, "`theory` must be a prediction, got a simulation"),
        ((_theory(),), {}, "one simulation, or two of sizes d and 2d, got 0"),
        ((_theory(), *[_simulation()] * 3), {}, "got 3"),
        ((_theory(), _simulation(), _simulation()), {}, "ratio 2.*got 1000 and 1000.*one at a time"),
        ((_theory(), _simulation(), _simulation(num_features=None)), {}, "ratio 2.*got None and 1000"),
        ((_theory(), _simulation(num_features=None)), {}, "does not say its num_features: pass allowance="),
        ((_theory(), _without(_simulation(), standard_error=None)), {}, "`runs` has no standard error.*num_runs"),
        ((_without(_theory(), standard_error=None), _simulation()), {}, "`theory` has no standard error"),
        ((_theory(), _without(_simulation(), test_error=None)), {}, r"`runs` has no test_error: leave.*metrics=\("),
        ((_theory(), _simulation()), {"metrics": ("train_loss",)}, "`theory` has no train_loss"),
        ((_theory(), _simulation()), {"metrics": ("train_eror",)}, "Unknown metric.*Did you mean 'train_error'"),
        ((_theory(), _simulation()), {"metrics": ()}, "`metrics` must name at least one"),
        ((_theory(), _simulation()), {"allowance": -0.1}, "`allowance` must be zero or positive"),
        ((_theory(), _simulation()), {"level": 0.0}, "`level` must be positive"),
        ((_theory(), _simulation()), {"level": 1.0}, "`level` must be a probability below 1"),
        ((_theory(), _simulation(error=np.nan)), {}, "Nothing can be compared.*step 0.*at least two runs"),
    ],
)
def test_bad_input(arguments: Any, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compare(*arguments, **options)


def test_wrong_kinds() -> None:
    with pytest.raises(TypeError, match="`runs` must be a sequence, each of which must be a Trajectory"):
        compare(_theory(), {})  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="`metrics` must be a sequence, each of which must be a string"):
        compare(_theory(), _simulation(), metrics="train_error")


def test_a_missing_standard_error_of_one_curve_is_named() -> None:
    partial = Trajectory(STEPS, train_error=np.full(21, 1e-3))
    with pytest.raises(ValueError, match="`runs` has no standard error of test_error"):
        compare(_theory(), dataclasses.replace(_simulation(), standard_error=partial))


def test_different_problems_are_named() -> None:
    import dataclasses

    import jax

    from dyntheory import LinearModel, TeacherStudent, gradient_descent, predict

    law, key = TeacherStudent(2.0), jax.random.key(0)
    slow, fast = (
        predict(law, gradient_descent(LinearModel(), learning_rate=rate), num_steps=0, key=key, num_nodes=2**11)
        for rate in (0.1, 0.3)
    )
    assert str(compare(slow, fast)).startswith("the two sides are not the same problem: they differ in method\n")
    assert "not the same problem" not in str(compare(slow, dataclasses.replace(slow)))
