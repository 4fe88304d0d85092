"""Pictures of charges and of linear modes show what they were given, and refuse what they cannot draw."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dyntheory as dt

PROTONS = np.array([[1.0, 0.2], [-0.3, 0.9]])
PATHS = dt.charges.descend("erf", PROTONS, electrons=0.5 * np.ones((2, 2)), learning_rate=0.1, num_steps=4)
SPACE = dt.charges.descend("erf", np.eye(3), electrons=np.eye(3), learning_rate=0.1, num_steps=1)
LINEAR = dt.deep_linear.descend(np.diag([3.0, 1.0]), [0.5 * np.eye(2)] * 2, learning_rate=0.05, num_steps=40)


def test_paths_and_protons_are_drawn() -> None:
    axes = dt.plot.charge_field(PATHS, potential="erf", title="here").axes[0]
    lines = [line.get_xydata() for line in axes.get_lines()]
    assert any(np.array_equal(line, PATHS.positions[0, :, 0]) for line in lines)
    assert any(np.array_equal(line, PROTONS) for line in lines)
    assert axes.get_title() == "here"


def test_the_moving_picture_is_whole_or_not_there(tmp_path: Path) -> None:
    path = dt.plot.charge_animation(PATHS, tmp_path / "a.gif", potential="erf", num_frames=3)
    assert path.read_bytes()[:6] == b"GIF89a"
    with pytest.raises(FileExistsError):
        dt.plot.charge_animation(PATHS, path, potential="erf")
    assert list(tmp_path.iterdir()) == [path]


def test_electrons_that_have_arrived_are_drawn(tmp_path: Path) -> None:
    rest = dt.charges.descend("erf", PROTONS, electrons=PROTONS, learning_rate=0.1, num_steps=4)
    assert dt.plot.charge_animation(rest, tmp_path / "a.gif", potential="erf", num_frames=2).exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"potential": "relu"}, "`potential` must be that of `found`, erf"),
        ({"run": 1}, "`run` must be below 1"),
        ({"found": SPACE}, "two features"),
    ],
)
def test_what_cannot_be_drawn_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dt.plot.charge_field(**{"found": PATHS, "potential": "erf", **options})
    with pytest.raises(ValueError, match=r"it must end in \.gif or \.mp4"):
        dt.plot.charge_animation(PATHS, "a.png", potential="erf")


def test_modes_rise_beside_networks() -> None:
    figure = dt.plot.mode_curves(LINEAR, LINEAR, title="modes")
    curves = [line.get_ydata() for line in figure.axes[0].get_lines()]
    assert any(np.array_equal(curve, LINEAR.strengths[0, :, 1]) for curve in curves)
    aligned = dt.plot.mode_curves(LINEAR, alignment=True).axes[0]
    assert aligned.get_ylabel() == "alignment with the mode"
