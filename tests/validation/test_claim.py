"""A claim can pass, fail and stay open; its record says so, and is left by itself only of what is claimed."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from dyntheory.plot.style import new_figure
from validation import claim as claims
from validation.claim import Claim
from validation.record import Outcome

DOC = """Claim: Three is
at least the bound.

PASS RULE. It is; beyond 100 no one knows.
"""


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run.

    Args:
        bound: what three is compared with.
    """

    bound: int = 2


def judge(found: int, settings: Settings) -> tuple[Outcome, dict[str, Any]]:
    if settings.bound > 100:
        return Outcome.UNRESOLVED, {"found": found}
    return (Outcome.PASSED if found >= settings.bound else Outcome.FAILED), {"found": found}


def draw(found: int, settings: Settings) -> Figure:
    return new_figure(1, 1)


THREE = Claim(
    "three", DOC, pass_rule="It is.", settings=Settings, quick=Settings(1), measure=lambda _: 3, judge=judge, draw=draw
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where claims are recorded by themselves."""
    monkeypatch.setattr(claims, "RESULTS", tmp_path / "home")
    return tmp_path / "home"


@pytest.mark.parametrize(("bound", "outcome", "status"), [(2, "passed", 0), (4, "failed", 1), (101, "unresolved", 3)])
def test_exit_status_and_record_say_how_it_fared(
    bound: int, outcome: str, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert THREE.command(["--bound", str(bound), "--results", str(tmp_path)]) == status
    assert capsys.readouterr().out == f"found  3\n{outcome}: Three is at least the bound.\n"
    record = json.loads((tmp_path / "three.json").read_text())
    assert list(record) == ["name", "claim", "pass_rule", "settings", "numbers", "outcome", "provenance"]
    assert (record["outcome"], record["settings"], record["numbers"]) == (outcome, {"bound": bound}, {"found": 3})
    assert record["claim"] == THREE.text == "Three is at least the bound."
    assert (tmp_path / "three.png").exists()


@pytest.mark.parametrize(
    ("arguments", "bound"), [(["--quick"], 1), (["--quick", "--bound", "3"], 3), (["--bound=3"], 3)]
)
def test_what_is_not_claimed_leaves_nothing_behind_unless_asked(arguments: list[str], bound: int, home: Path) -> None:
    seen: list[Settings] = []
    watched = dataclasses.replace(THREE, measure=lambda settings: seen.append(settings) or 3)
    assert watched.command(arguments) == 0
    assert seen == [Settings(bound)] and not home.exists()


def test_what_is_claimed_is_recorded_where_it_can_be_checked(home: Path) -> None:
    assert dataclasses.replace(THREE, is_claimed=lambda _: False).command([]) == 0 and not home.exists()
    assert THREE.command([]) == 0
    assert sorted(path.name for path in home.iterdir()) == ["three.json", "three.png"]


def test_a_claim_without_a_figure_keeps_its_table(tmp_path: Path) -> None:
    dataclasses.replace(THREE, draw=None, table=lambda found, _: [f"| {found} |"]).check(results=tmp_path)
    assert (tmp_path / "three.md").read_text() == "| 3 |\n"


def test_help_shows_the_rule_and_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        THREE.command(["--help"])
    shown = capsys.readouterr().out
    assert "PASS RULE. It is" in shown and "what three is compared with" in shown
