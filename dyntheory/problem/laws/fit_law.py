"""From (X, y) to a law, before any training: spectrum, signal and noise power, the low orders of the link.

Everything here is an estimate from second moments and from what a linear fit leaves out; `FittedLaw.unidentified` says
what it could not see. What no function of one direction explains counts as noise, whether it is noise or not.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, NamedTuple

import numpy as np

from dyntheory.ground.arrays import ArrayLike
from dyntheory.ground.checks import check_count, check_finite, check_name
from dyntheory.ground.identity.factory import requested
from dyntheory.ground.identity.request import remember
from dyntheory.ground.storage.marks import Axes
from dyntheory.ground.storage.saved import Saved
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.laws.links import HermiteSeries, Link
from dyntheory.problem.laws.row_statistics import spectral_moments
from dyntheory.problem.laws.spectra import Spectrum

NOISE = ("auto", "least_squares", "moments")
FREE_ROWS = 1.25  # rows a column above which least squares tells noise from signal
SIGNIFICANT = 3.0
NUM_GROUPS = 8
MIN_CORRELATION = 0.5


class Powers(NamedTuple):
    """Variance of the labels in two parts, with the sum as it was measured.

    Args:
        signal: of the linear part.
        noise: of the rest.
    """

    signal: float
    noise: float


@dataclasses.dataclass(frozen=True)
class FittedLaw(Saved):
    """A law that has the second moments of a data set.

    Args:
        law: for `predict`; its features are those of the centred inputs, in their own units, its labels centred.
        signal_power: variance of the labels that a linear function explains.
        noise_power: variance that neither it nor the link's higher orders explain.
        link_coefficients: c_1, c_2, c_3 of φ(z) = Σ c_k h_k(z), h_k Hermite polynomials of variance one; those not told
            from zero are zero.
        input_mean: subtract it from new rows.
        label_mean: add it to predictions.
        unidentified: what could not be told, one sentence each.
    """

    law: TeacherStudent
    signal_power: float
    noise_power: float
    link_coefficients: tuple[float, float, float]
    input_mean: Annotated[np.ndarray, Axes("feature")]
    label_mean: float
    unidentified: tuple[str, ...]

    def __str__(self) -> str:
        total = self.signal_power + self.noise_power + sum(c**2 for c in self.link_coefficients[1:])
        lines = [
            f"variance of the labels {total:.4g}: linear {self.signal_power / total:.0%}, "
            f"higher orders of one direction {1 - (self.signal_power + self.noise_power) / total:.0%}, "
            f"the rest {self.noise_power / total:.0%}",
            *(f"not identified: {one}" for one in self.unidentified),
        ]
        return "\n".join(lines)


def moment_powers(inputs: ArrayLike, labels: ArrayLike, *, is_white: bool = False) -> Powers:
    """Return signal and noise power by moments, for any ratio of rows to columns.

    y = Xβ + ε with rows of covariance Σ; T = ‖Xᵀy‖²/(n(n + 1)), m_1 = tr S/p, m_2 = tr S²/p − (tr S)²/(pn), S = XᵀX/n:

        signal = (m_1/m_2) (T − (p m_1/(n(n + 1))) ‖y‖²),    noise = ‖y‖²/n − signal.

    Scaling:
        Errors are of the order √(n + p)/n of the label's variance. Right when the coefficients are spread over the
        eigenvalues alike; with white inputs (m_1 = m_2 = 1) for any coefficients.

    Args:
        inputs: X, (n, p), columns of mean zero.
        labels: y, (n,), of mean zero.
        is_white: the covariance is known to be the identity.

    Reference: `dicker2014variance`.
    """
    rows, targets = np.asarray(inputs, dtype=float), np.asarray(labels, dtype=float)
    (n, p), total = rows.shape, float(targets @ targets)
    first, second = (1.0, 1.0) if is_white else spectral_moments(rows)
    along = float(np.sum((rows.T @ targets) ** 2)) / (n * (n + 1))
    signal = first / second * (along - p * first / (n * (n + 1)) * total)
    return Powers(signal, total / n - signal)


def fit_law(inputs: ArrayLike, labels: ArrayLike, *, num_samples: int | None = None, noise: str = "auto") -> FittedLaw:
    """Estimate the law of a data set: spectrum, teacher along it, noise, and the link up to third order.

    Eigenvalues are those of the sample covariance, drawn together about their mean so that their second moment has no
    part from sampling. Noise comes from least squares where there are more rows than columns, else from moments. The
    teacher's power is an unbiased mean over groups of neighbouring eigenvalues. Orders two and three of the link are
    correlations of the labels with Hermite polynomials of predictions for rows left out, kept where they stand three
    standard errors from zero.

    Scaling:
        Inputs and labels are centred and otherwise taken as they are: train on the centred inputs.

    Args:
        inputs: X, (N, p).
        labels: y, (N,), numbers; ±1 for two classes.
        num_samples: n, rows that will be trained on; default N. Sets `samples_per_feature` = n/p.
        noise: "least_squares", "moments", or "auto": the first with 1.25 rows a column and more.

    Raises:
        ValueError: shapes that do not fit, too few rows, labels that do not vary.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(2000, 20))
        >>> fitted = fit_law(rows, rows[:, 0] + 0.5 * np.random.default_rng(1).normal(size=2000))
        >>> round(fitted.signal_power, 1), round(fitted.noise_power, 2)
        (1.0, 0.25)

    Reference: `dicker2014variance` for moments; `ledoit2004well` for drawing eigenvalues together.
    """
    rows, targets, means = _centred(inputs, labels)
    n, p = rows.shape
    check_name("noise", noise, NOISE)
    by_least_squares = noise == "least_squares" or (noise == "auto" and n >= FREE_ROWS * p)
    if by_least_squares and n <= p + 1:
        raise ValueError(f"`noise='least_squares'` needs more rows than columns, got {n} × {p}: take 'moments'.")
    notes: list[str] = []
    values, basis, raw = _eigenvalues(rows, notes)
    linear = _least_squares(rows, targets) if by_least_squares else moment_powers(rows, targets)
    linear = _possible(linear, notes)
    coefficients, explained = (linear.signal**0.5, 0.0, 0.0), 0.0
    if by_least_squares and linear.signal > 0:
        coefficients = _link(rows, targets, linear, notes)
        explained = min(sum(c**2 for c in coefficients[1:]), linear.noise)
    else:
        notes.append("the link beyond its linear part: that takes more rows than columns")
    alignment = _alignment(rows, targets, (values, basis, raw), linear, notes)
    notes.append("nonlinear parts of the labels outside of one direction: they count as noise")
    count = n if num_samples is None else check_count("num_samples", num_samples)
    law = TeacherStudent(
        samples_per_feature=count / p,
        link=_named_link(coefficients),
        noise_std=float(np.sqrt(linear.noise - explained)),
        features=Spectrum(values, alignment),
    )
    remember(law, requested(fit_law, inputs, labels, num_samples=num_samples, noise=noise))
    return FittedLaw(law, linear.signal, linear.noise - explained, coefficients, *means, tuple(notes))


def _centred(inputs: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, float]]:
    check_finite("inputs", inputs)
    check_finite("labels", labels)
    rows, targets = np.asarray(inputs, dtype=float), np.asarray(labels, dtype=float)
    if rows.ndim != 2 or targets.shape != rows.shape[:1]:
        raise ValueError(f"`inputs` must be (N, p) and `labels` (N,), got {rows.shape} and {targets.shape}.")
    if len(rows) < 10:
        raise ValueError(f"`inputs` must have ten rows or more, got {len(rows)}.")
    mean, label_mean = rows.mean(axis=0), float(targets.mean())
    rows, targets = rows - mean, targets - label_mean
    if not np.any(rows) or not np.any(targets):
        raise ValueError("`inputs` and `labels` must vary.")
    return rows, targets, (mean, label_mean)


def _eigenvalues(rows: np.ndarray, notes: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return estimated eigenvalues in decreasing order, sample eigenvectors (p, rank), sample eigenvalues."""
    n, p = rows.shape
    _, singular, vectors = np.linalg.svd(rows, full_matrices=False)
    raw = np.concatenate([singular**2 / n, np.zeros(p - len(singular))])
    mean, second = spectral_moments(rows)
    spread, measured = second - mean**2, float(np.mean(raw**2)) - mean**2
    if spread <= 0:
        notes.append("differences between eigenvalues: the inputs look white at this number of rows")
        return np.full(p, mean), vectors.T, raw
    factor = float(np.sqrt(spread / measured))
    if factor < 0.9:
        notes.append(
            f"single eigenvalues: with {n / p:.3g} rows a column their spread was {1 / factor:.2g} times wider"
        )
    return mean + factor * (raw - mean), vectors.T, raw  # the factor is below one, so all stay positive


def _least_squares(rows: np.ndarray, targets: np.ndarray) -> Powers:
    n, rank = len(rows), int(np.linalg.matrix_rank(rows))
    fit = rows @ np.linalg.lstsq(rows, targets, rcond=None)[0]
    noise = float(np.sum((targets - fit) ** 2)) / (n - rank - 1)
    return Powers(float(targets @ targets) / (n - 1) - noise, noise)


def _possible(powers: Powers, notes: list[str]) -> Powers:
    """Return powers that are not negative, and say where one was."""
    total = powers.signal + powers.noise
    if powers.signal < 0:
        notes.append(f"any linear signal: its power came out as {powers.signal:.2g}, zero is taken")
        return Powers(0.0, total)
    if powers.noise < 0:
        notes.append(f"any noise: its power came out as {powers.noise:.2g}, zero is taken")
        return Powers(total, 0.0)
    return powers


def _link(rows: np.ndarray, targets: np.ndarray, powers: Powers, notes: list[str]) -> tuple[float, float, float]:
    """Return c_1, c_2, c_3 from predictions for rows left out: E[y h_k(ẑ)] = c_k ρ^k with ρ = corr(ẑ, z)."""
    left, singular, _ = np.linalg.svd(rows, full_matrices=False)
    left = left[:, singular > 1e-10 * singular.max()]
    fit, leverage = left @ (left.T @ targets), np.sum(left**2, axis=1) + 1.0 / len(rows)
    first = powers.signal**0.5
    if leverage.max() > 1 - 1e-9:
        notes.append("the link beyond its linear part: a row has a column of its own")
        return first, 0.0, 0.0
    index = targets - (targets - fit) / (1.0 - leverage)
    index = (index - index.mean()) / index.std()
    correlation = float(np.mean(targets * index)) / first
    if correlation < MIN_CORRELATION:
        notes.append(
            f"the link beyond its linear part: left-out predictions have correlation {correlation:.2g} with it"
        )
        return first, 0.0, 0.0
    correlation, found = min(correlation, 1.0), [first]
    rest = targets - first * correlation * index
    for order, polynomial in ((2, (index**2 - 1) / 2**0.5), (3, (index**3 - 3 * index) / 6**0.5)):
        products = rest * (polynomial - polynomial.mean())
        value, error = float(products.mean()), float(products.std() / len(rows) ** 0.5)
        is_seen = abs(value) > SIGNIFICANT * error
        found.append(value / correlation**order if is_seen else 0.0)
        if not is_seen:
            notes.append(f"order {order} of the link: {value:.2g} ± {error:.2g} is not told from zero")
    return found[0], found[1], found[2]


def _alignment(
    rows: np.ndarray,
    targets: np.ndarray,
    spectrum: tuple[np.ndarray, np.ndarray, np.ndarray],
    powers: Powers,
    notes: list[str],
) -> np.ndarray:
    """Return a_j, the mean of p b_j² − noise over groups of neighbouring eigenvalues, with mean λ a = 1."""
    (values, basis, raw), (n, p) = spectrum, rows.shape
    if powers.signal == 0 or n <= p or values[0] == values[-1]:
        if n <= p:
            notes.append("how the teacher lies along the eigenvalues: fewer rows than columns, alike is taken")
        return np.full(p, 1.0 / values.mean())
    kept = raw > 1e-10 * raw[0]
    safe = np.where(kept, raw, 1.0)
    coefficients = np.where(kept, (basis.T @ (rows.T @ targets)) / (n * safe), 0.0)
    unbiased = np.where(kept, raw * (coefficients**2 - powers.noise / (n * safe)), 0.0)  # power of the label
    groups = np.array_split(np.arange(p), min(NUM_GROUPS, p))
    grouped = np.concatenate(
        [np.full(len(g), max(unbiased[g].sum(), 0.0) / max(values[g].sum(), 1e-300)) for g in groups]
    )
    if any(unbiased[g].sum() < 0 for g in groups):
        notes.append("the teacher along some group of eigenvalues: less than the noise there, none is taken")
    total = float(np.mean(values * grouped))
    if total <= 0:
        notes.append("how the teacher lies along the eigenvalues: alike is taken")
        return np.full(p, 1.0 / values.mean())
    return grouped / total


def _named_link(coefficients: tuple[float, float, float]) -> Link:
    """Return φ = Σ c_k h_k under a name that has its numbers."""
    shown = ", ".join(f"{c:.4g}" for c in coefficients)
    return Link(f"hermite({shown})", HermiteSeries(coefficients), smooth=not any(coefficients[1:]), has_jump=False)
