"""Error bars are honest over the bank of problems; apart from that, what was asked for is reached.

*Honest*: at least 95 % of true errors within 2 reported standard errors, none beyond 5 unless the status says so.
*Converged*: with `rtol` the true error meets the request, or the status says that it was not reached.
"""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import dyntheory as dt
from dyntheory.gaussian import sub_nets
from dyntheory.ground.status import Status
from tests.problems import BANK, NAMES, Problem, tagged
from tests.truths import REFERENCES, SAME_NUMBER, Truth, description, exact, is_described, stored_references
from validation import honesty
from validation.honesty import BEYOND, COVERAGE, OTHERS, Measured
from validation.record import RESULTS, Outcome

SEEDS = (11, 12, 13, 14)
Keeping = Callable[[Problem], Problem]
SMALL: dict[str, Any] = {"num_nodes": 2**13}


@dataclasses.dataclass(frozen=True)
class Kept(Problem):
    """A problem whose solutions stay in a folder: where only error bars change, nothing is solved again."""

    folder: Path = Path()

    def predict(self, seed: int, **options: Any) -> dt.Trajectory:
        """Predict it, or take up what the folder holds."""
        return super().predict(seed, checkpoint=self.folder / f"{self.name}_{seed}", resume=True, **options)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Keeping:
    """Return what makes problems keep their solutions."""
    folder = tmp_path_factory.mktemp("solutions")
    fields = [field.name for field in dataclasses.fields(Problem)]
    return lambda problem: Kept(**{name: getattr(problem, name) for name in fields}, folder=folder)


@pytest.fixture(scope="module")
def quick(kept: Keeping) -> list[Measured]:
    return [honesty.measure(kept(problem), SEEDS, **SMALL) for problem in tagged("quick")]


def _worst(measured: list[Measured]) -> str:
    return "; ".join(
        f"{one.problem.name} {name}: {field.coverage:.1%}, {field.ratio.max():.1f}, {set(one.statuses)}"
        for one in measured
        for name, field in one.fields.items()
        if field.coverage < COVERAGE or field.num_silent
    )


def test_quick_part_of_the_bank_is_honest(quick: list[Measured]) -> None:
    assert honesty.outcome_of(quick) is Outcome.PASSED, _worst(quick)


def test_overlaps_and_heads_are_judged_too(quick: list[Measured], kept: Keeping) -> None:
    assert honesty.pooled(quick, OTHERS)["num_points"] > 1000
    one = honesty.measure(kept(NAMES["committee_tanh"]), SEEDS[:1], **SMALL)
    fields = {**one.fields, "head": dataclasses.replace(one.fields["head"], ratio=one.fields["head"].ratio + 6)}
    assert honesty.outcome_of([one]) is Outcome.PASSED
    assert honesty.outcome_of([dataclasses.replace(one, fields=fields)]) is Outcome.FAILED


def test_losses_are_half_the_errors_bars_included(kept: Keeping) -> None:
    result = kept(NAMES["one_step_cubic"]).predict(SEEDS[0], **SMALL)
    for part in (result, result.standard_error):
        assert part is not None and part.train_error is not None and part.test_error is not None
        np.testing.assert_allclose(part.train_loss, part.train_error / 2)
        np.testing.assert_allclose(part.test_loss, part.test_error / 2)


def _steep(z: Any) -> Any:
    """e^{5z/2}, too steep for the nodes: they reach z = 7, its second moment lives at 5 ± 1."""
    return jnp.exp(2.5 * z)


def _steep_start(problem: Problem) -> Truth:
    """E(F − y)² before any step: F and y are independent and E F = 0."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    power = weights @ np.tanh(nodes) ** 2 / weights.sum()
    head = float(problem.head["layer_2"]["weights"][0, 0])
    error = np.exp(12.5) + 0.3**2 + head**2 * power
    return exact({"train_error": [error], "test_error": [error]})


STEEP = Problem(
    "steep",
    frozenset({"exp", "heavy"}),
    dt.TeacherStudent(2.0, _steep, 0.3),
    NAMES["one_step_sign"].method,
    0,
    _steep_start,
)


def test_without_the_difference_the_bars_would_miss_the_bias(kept: Keeping, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trap 4: sub-nets share the bias of a heavy tail, so their spread cannot see it; the status tells as well."""
    steep = kept(STEEP)
    whole = honesty.measure(steep, SEEDS, **SMALL)
    assert honesty.pooled([whole])["coverage"] == 1.0 and set(whole.statuses) == {"heavy_tail"}
    monkeypatch.setattr(sub_nets, "sub_net_shift", lambda values, blocks: np.zeros_like(values))
    spread_alone = honesty.measure(steep, SEEDS, **SMALL)
    assert honesty.pooled([spread_alone])["coverage"] < 0.1


def test_without_the_spread_the_bars_would_be_too_small(kept: Keeping, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sub_nets, "sub_net_spread", lambda blocks: np.zeros_like(blocks[0]))
    difference_alone = honesty.measure(kept(NAMES["one_step_sign"]), SEEDS, **SMALL)
    assert honesty.pooled([difference_alone])["coverage"] < 0.8


def test_without_rounding_linear_networks_would_be_dishonest(kept: Keeping, monkeypatch: pytest.MonkeyPatch) -> None:
    """All sub-nets agree to 1e-15 there; the truth, from the recursion, is further away than that."""
    problem = kept(NAMES["deep_linear_1"])
    assert honesty.pooled([honesty.measure(problem, SEEDS[:2], **SMALL)])["coverage"] == 1.0
    monkeypatch.setattr(sub_nets, "ROUNDING", 0.0)
    total = honesty.pooled([honesty.measure(problem, SEEDS[:2], **SMALL)])
    assert total["coverage"] < COVERAGE and total["num_beyond_5_with_status_ok"] > 0


def test_without_pooling_some_components_would_miss(
    quick: list[Measured], kept: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a thousand overlaps some have eight sub-nets that agree by chance."""
    assert honesty.pooled([one for one in quick if one.problem.name == "adam"], OTHERS)["largest_ratio"] < BEYOND
    monkeypatch.setattr(sub_nets, "pool", lambda errors: errors)
    total = honesty.pooled([honesty.measure(kept(NAMES["adam"]), SEEDS, **SMALL)], OTHERS)
    assert total["num_beyond_5_with_status_ok"] > 0


def _assert_converged(problem: Problem, seed: int, rtol: float) -> None:
    """One standard error is at most `rtol`, so two cover 95 %; none is beyond five."""
    judged = honesty.measure(problem, [seed], rtol=rtol)
    for field in (judged.fields[name] for name in honesty.CURVES):
        if judged.statuses == ("ok",):
            assert field.reported.max() <= rtol
            assert np.mean(field.error <= 2 * rtol) >= COVERAGE and field.error.max() <= BEYOND * rtol
        else:
            assert judged.statuses == ("unresolved",) and field.reported.max() > 0


def test_requested_accuracy_is_reached_by_doubling_nodes(kept: Keeping) -> None:
    problem, rtol = kept(NAMES["one_step_sign"]), 2e-4
    default = honesty.measure(problem, [5]).fields
    assert max(default[name].reported.max() for name in honesty.CURVES) > rtol, "the default must not suffice"
    _assert_converged(problem, 5, rtol)
    result = problem.predict(5, rtol=rtol)
    assert result.status.ok and result.provenance["num_nodes"] > 2**14


def test_accuracy_out_of_budget_is_told(kept: Keeping) -> None:
    problem = kept(NAMES["one_step_sign"])
    with pytest.warns(match="rtol=1e-07 was asked for"):
        result = problem.predict(5, rtol=1e-7, max_nodes=2**14)
    assert result.status.code == "unresolved" and "raise `max_nodes`" in result.status.message


def test_a_silent_miss_fails_the_rule_and_a_told_one_does_not(kept: Keeping) -> None:
    """The judge itself: bars a hundred times too small fail; the same beyond 5 with another status does not."""
    problem = kept(NAMES["one_step_sign"])
    prediction = problem.predict(SEEDS[0], **SMALL)
    shrunk = _shrunk(prediction, 1e-3)
    silent = honesty.judge(problem, [shrunk], "train_error")
    assert silent.num_silent > 0 and silent.coverage < COVERAGE
    told = honesty.judge(problem, [_shrunk(prediction, 1e-3, "heavy_tail")], "train_error")
    assert told.num_silent == 0 and told.coverage < COVERAGE


def _shrunk(prediction: dt.Trajectory, factor: float, code: str = "ok") -> dt.Trajectory:
    errors = prediction.standard_error
    assert errors is not None and errors.train_error is not None
    smaller = dataclasses.replace(errors, train_error=factor * errors.train_error)
    return dataclasses.replace(prediction, standard_error=smaller, status=Status(code, "made up"))


def test_bank_has_what_it_promises() -> None:
    assert len(NAMES) == len(BANK)
    tags = set().union(*(problem.tags for problem in BANK))
    assert {"linear", "one_step", "heavy", "kink", "exp", "two_teachers", "deep", "optimizer", "long", "hard"} <= tags
    assert "nonlinear_map" in tags
    ratios = [float(problem.law.samples_per_feature) for problem in BANK]
    assert min(ratios) == 0.5 and max(ratios) == 4.0 and max(problem.num_steps for problem in BANK) == 100
    assert {problem.method.num_units for problem in BANK} >= {1, 2, 3, 4, 8}


@pytest.mark.parametrize("problem", [p for p in BANK if not p.is_exact], ids=lambda problem: problem.name)
def test_references_are_of_these_problems(problem: Problem) -> None:
    stored = stored_references()[problem.name]
    assert is_described(problem, stored["problem"]), f"run python -m tests.make_references {problem.name}"
    assert problem.truth.steps[0] == 0 and problem.truth.steps[-1] == problem.num_steps


def _moved(value: Any, factor: float) -> Any:
    """Return a description with all of its numbers that are not whole multiplied."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        moved = [(name, _moved(one, factor)) for name, one in pairs]
        return dict(moved) if isinstance(value, dict) else [one for _, one in moved]
    return value * factor if isinstance(value, float) else value


@pytest.mark.parametrize("problem", [p for p in BANK if not p.is_exact], ids=lambda problem: problem.name)
def test_descriptions_are_the_same_on_another_processor(problem: Problem) -> None:
    """Every number one ulp off is the same problem; the same numbers 10 tolerances off, or another step, is not."""
    stored = json.loads(json.dumps(description(problem)))
    assert is_described(problem, _moved(stored, 1 + 2.0**-52)) and is_described(problem, _moved(stored, 1 - 2.0**-53))
    assert not is_described(problem, _moved(stored, 1 + 10 * SAME_NUMBER))
    assert not is_described(problem, stored | {"num_steps": problem.num_steps + 1})
    assert not is_described(problem, None)


def test_references_name_no_machine() -> None:
    for path in (REFERENCES, *RESULTS.glob("honesty.*")):
        assert not any(word in path.read_text() for word in ("/home", "/root", "/tmp", "/work"))


@pytest.mark.full
def test_script_leaves_record_and_table(tmp_path: Path) -> None:
    settings = honesty.Quick(num_seeds=2, num_nodes=2**13)
    assert honesty.CLAIM.check(settings, results=tmp_path).outcome is Outcome.PASSED
    lines = (tmp_path / "honesty.md").read_text().splitlines()
    assert [line.split("|")[1].strip() for line in lines[2 : 2 + len(tagged("quick"))]] == [
        problem.name for problem in tagged("quick")
    ]


@pytest.mark.full
def test_whole_bank_is_honest() -> None:
    """Other seeds than those of the record."""
    measured = [honesty.measure(p, (301,) if "long" in p.tags else (301, 302)) for p in BANK]
    assert honesty.outcome_of(measured) is Outcome.PASSED, _worst(measured)


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "rtol"),
    [("committee_tanh", 5e-3), ("two_layers_cubic", 1e-3), ("relu", 1e-3), ("hard_sign", 2e-2), ("one_step_abs", 1e-4)],
)
def test_requested_accuracy_is_reached_or_told(name: str, rtol: float) -> None:
    _assert_converged(NAMES[name], 7, rtol)
