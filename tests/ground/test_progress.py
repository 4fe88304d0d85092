"""Nothing moves on the screen of a program."""

import pytest

from dyntheory.ground.progress import progress_bar


def test_no_progress_unless_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("theory", patience=0.0) as report:
        report(0.5, "half way")
    printed = capsys.readouterr()
    assert printed.out == printed.err == ""
