"""The largest margin of given rows, with a proof of it from both sides.

max_{|w| = 1} min_i z_i·w is the distance of the origin from the convex hull of the rows. Any w is a lower bound and any
point of the hull an upper one; where both meet, that is the margin, and where the hull holds the origin there is none.
The least w with z_i·w ≥ 1 is found as a least-distance problem: u ≥ 0 nearest to Zᵀu = 0, Σu = 1, then
w = Zᵀu/(1 − Σu).

Reference: `lawson1974solving`, chapter 23.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated

import numpy as np

from dyntheory.flows.perceptron.data import signed_rows
from dyntheory.ground.arrays import ArrayLike, OptionalArray
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.status import Outcome, Status
from dyntheory.ground.storage.marks import Axes
from dyntheory.ground.storage.saved import Saved

GAP = 1e-6  # of bounds that meet, in units of the margin
ROUNDING = 20 * np.finfo(float).eps  # of a sum that vanishes, in units of its terms and for every √row
SUPPORT = 1e-9


@dataclasses.dataclass(frozen=True)
class LargestMargin(Saved):
    """The hyperplane through the origin that stays farthest from all rows z_i.

    Args:
        margin: γ, smallest z_i·w/|w| of the weights below; a lower bound. Not positive where no plane separates.
        upper_bound: |Σ_i p_i z_i| of the weights p = duals/Σ duals: no margin is larger.
        is_separable: whether a plane separates. False is to rounding: a margin of 1e-15 of all rows counts as none.
            None where rounding does not let that be decided.
        weights: ŵ, the least w with z_i·w ≥ 1, (d,); None where there is none.
        duals: ŵ = Σ_i a_i z_i, positive at the support vectors; where no plane separates Σ_i a_i z_i = 0, Σ a_i = 1.
        radius: R, norm of the largest row.
        status: "unresolved" where the bounds do not meet.
    """

    margin: float
    upper_bound: float
    is_separable: bool | None
    weights: Annotated[OptionalArray, Axes("feature")]
    duals: Annotated[np.ndarray, Axes("row")]
    radius: float
    status: Status = dataclasses.field(default_factory=Status)

    @property
    def direction(self) -> np.ndarray | None:
        """ŵ/|ŵ|."""
        return None if self.weights is None else self.weights / np.linalg.norm(self.weights)

    @property
    def support(self) -> np.ndarray:
        """Numbers of the rows that hold the plane."""
        return np.flatnonzero(self.duals > SUPPORT * self.duals.max())

    @property
    def mistake_bound(self) -> float:
        """(R/γ)²; infinite where no plane separates."""
        return (self.radius / self.margin) ** 2 if self.is_separable else float("inf")


def largest_margin(inputs: ArrayLike, labels: ArrayLike) -> LargestMargin:
    """Find the largest margin of labelled inputs, or a proof that no plane through the origin separates them.

    Scaling:
        γ is a distance in the units of the inputs; `closed_forms.max_margin` has the limit of many Gaussian ones in
        those of one feature. For a plane with an offset append a column of ones.

    Args:
        inputs: (n, d).
        labels: (n,), −1 or 1.

    Returns:
        Bounds from both sides, the weights and their duals.

    Raises:
        ValueError: shapes that do not match, labels other than −1 and 1, numbers that are not finite.

    Example:
        >>> import numpy as np, dyntheory as dt
        >>> found = dt.perceptron.largest_margin(np.array([[1.0, 2.0], [-1.0, 2.0], [0.0, -3.0]]), [1, 1, -1])
        >>> found.margin, found.upper_bound, found.support.tolist()
        (2.0, 2.0, [0, 1])

    Reference: `lawson1974solving`; `cortes1995support`.
    """
    check_arguments(largest_margin, locals())
    return margin_of_rows(signed_rows(inputs, labels))


def margin_of_rows(rows: np.ndarray) -> LargestMargin:
    """Return the margin of rows z_i, (n, d)."""
    from scipy.optimize import nnls

    radius = float(np.linalg.norm(rows, axis=1).max())
    is_zero = ~rows.any(axis=1)
    if is_zero.any():
        where = is_zero.astype(float)
        return LargestMargin(0.0, 0.0, False, None, where / where.sum(), radius)
    scaled = rows / radius
    target = np.zeros(rows.shape[1] + 1)
    target[-1] = 1.0
    try:
        u, _ = nnls(np.concatenate([scaled.T, np.ones((1, len(rows)))]), target, maxiter=10 * sum(rows.shape))
    except RuntimeError as error:
        lost = Status(Outcome.UNRESOLVED, f"The solver of the margin stopped ({error}): rescale or drop rows.")
        return LargestMargin(-np.inf, np.inf, None, None, np.full(len(rows), np.nan), radius, lost)
    return _judged(scaled, u, radius)


def _judged(scaled: np.ndarray, u: np.ndarray, radius: float) -> LargestMargin:
    weights, duals = _polished(scaled, u)
    norm = np.linalg.norm(weights)
    lower = float((scaled @ weights).min() / norm) if norm > 0 else 0.0
    hull = float(np.linalg.norm(scaled.T @ duals) / duals.sum()) if duals.sum() > 0 else np.inf
    # In units of its terms, or a row that is small beside another would count as nothing.
    terms = duals @ np.linalg.norm(scaled, axis=1)
    if lower <= 0 and np.linalg.norm(scaled.T @ duals) < ROUNDING * np.sqrt(len(u)) * terms:
        return LargestMargin(radius * lower, radius * hull, False, None, duals / duals.sum(), radius)
    if lower > 0 and hull - lower <= GAP * hull:
        reach = (scaled @ weights).min() * radius
        return LargestMargin(radius * lower, radius * hull, True, weights / reach, duals / (reach * radius), radius)
    told = f"The margin is between {radius * lower:.3g} and {radius * hull:.3g}: it is close to what rounding can tell."
    is_separable = True if lower > 0 else None
    weights = weights / ((scaled @ weights).min() * radius) if lower > 0 else None
    return LargestMargin(
        radius * lower, radius * hull, is_separable, weights, duals, radius, Status(Outcome.UNRESOLVED, told)
    )


def _polished(scaled: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return w and its duals: from the support solved once more, where that keeps them positive."""
    weights = scaled.T @ u
    support = np.flatnonzero(u > 0)
    gap = 1 - u.sum()
    if gap > 0:
        gram = scaled[support] @ scaled[support].T
        found = np.linalg.lstsq(gram, np.ones(len(support)), rcond=None)[0]
        if (found > 0).all() and np.allclose(scaled[support] @ (scaled[support].T @ found), 1.0, rtol=1e-9):
            duals = np.zeros(len(u))
            duals[support] = found
            return scaled.T @ duals, duals
        return weights / gap, u / gap
    return weights, u
