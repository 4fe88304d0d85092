"""Outcomes join to the worst, and numbers are shown as a table."""

from validation.record import Outcome, aligned, joint_outcome


def test_outcomes_join_to_the_worst() -> None:
    assert joint_outcome([Outcome.PASSED, Outcome.UNRESOLVED]) is Outcome.UNRESOLVED
    assert joint_outcome([Outcome.PASSED, Outcome.FAILED, Outcome.UNRESOLVED]) is Outcome.FAILED
    assert (Outcome.PASSED.exit_status, Outcome.FAILED.exit_status, Outcome.UNRESOLVED.exit_status) == (0, 1, 3)


def test_numbers_are_shown_one_a_line() -> None:
    assert list(aligned({"a": 1, "longer": [2]})) == ["a       1", "longer  [2]"] and not list(aligned({}))
