"""Tests mirror `dyntheory/` room by room; `laws_of_the_house/` holds what every room obeys."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
PROGRAMS = ROOT / "tests" / "programs"
