"""Real inputs: rows to draw without replacement in place of random ones, `simulate(..., inputs=digits_pixels())`."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from dyntheory.ground.checks import check_nonnegative


def digits_pixels(*, whiten: bool = True, min_fraction: float = 0.10) -> np.ndarray:
    """Return the pixels of scikit-learn's bundled handwritten digits, centred and whitened.

    Whitening is x ↦ C^{-1/2}(x − mean), C the covariance of all rows: the columns that come back have mean zero and
    are exactly uncorrelated with variance one. What is left of the images is in the higher moments.

    Args:
        whiten: False returns the pixels centred, and nothing else.
        min_fraction: keep pixels that are nonzero in more than this fraction of the rows: 0.10 keeps 48, 0 keeps all
            61 that are not constant.

    Returns:
        The rows, shape (1797, pixels).

    Raises:
        ModuleNotFoundError: scikit-learn is not installed.
        ValueError: `min_fraction` is outside [0, 1) or no pixel is left.
    """
    check_nonnegative("min_fraction", min_fraction, "a fraction of the rows")
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "The digits come with scikit-learn, which is not installed: pip install 'dyntheory[data]'."
        ) from error
    images, _ = load_digits(return_X_y=True)
    pixels = np.asarray(images, dtype=float)
    kept = np.mean(pixels != 0, axis=0) > min_fraction
    if not kept.any():
        raise ValueError(f"`min_fraction` must leave a pixel: none is nonzero in more than {min_fraction} of the rows.")
    centred = pixels[:, kept] - pixels[:, kept].mean(axis=0)
    return _whitened(centred) if whiten else centred


def _whitened(centred: np.ndarray) -> np.ndarray:
    covariance = centred.T @ centred / centred.shape[0]
    variances, directions = np.linalg.eigh(covariance)
    return centred @ (directions / np.sqrt(variances)) @ directions.T


DATASETS: dict[str, Callable[[], np.ndarray]] = {
    "digits": digits_pixels,
    "digits_all": functools.partial(digits_pixels, min_fraction=0.0),
}
