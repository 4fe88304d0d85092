"""The bundled digits: sizes, exact whitening, and what is said when scikit-learn is absent."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from dyntheory.problem.laws.datasets import DATASETS, digits_pixels


@pytest.fixture
def _digits() -> None:
    pytest.importorskip("sklearn", reason="the extra `data` is not installed")


@pytest.mark.usefixtures("_digits")
@pytest.mark.parametrize(("name", "num_pixels"), [("digits", 48), ("digits_all", 61)])
def test_named_sets_are_centred_and_white(name: str, num_pixels: int) -> None:
    rows = DATASETS[name]()
    assert rows.shape == (1797, num_pixels)
    np.testing.assert_allclose(rows.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(rows.T @ rows / len(rows), np.eye(num_pixels), atol=1e-9)


@pytest.mark.usefixtures("_digits")
def test_rare_pixels_have_heavy_tails() -> None:
    fourth_moments = {name: float(np.mean(DATASETS[name]() ** 4)) for name in ("digits", "digits_all")}
    assert fourth_moments["digits"] < 6 < 50 < fourth_moments["digits_all"]


@pytest.mark.usefixtures("_digits")
def test_without_whitening_pixels_are_only_centred() -> None:
    from sklearn.datasets import load_digits

    rows = digits_pixels(whiten=False, min_fraction=0.0)
    pixels = np.asarray(load_digits(return_X_y=True)[0])
    pixels = pixels[:, pixels.std(axis=0) > 0]
    np.testing.assert_allclose(rows, pixels - pixels.mean(axis=0), atol=1e-12)


@pytest.mark.usefixtures("_digits")
@pytest.mark.parametrize("fraction", [1.0, -0.1, float("nan")])
def test_a_fraction_that_leaves_nothing_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="min_fraction"):
        digits_pixels(min_fraction=fraction)


def test_absent_scikit_learn_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'dyntheory\[data\]'"):
        digits_pixels()
