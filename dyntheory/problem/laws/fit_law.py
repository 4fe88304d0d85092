"""From (X, y) to a law, before any training: spectrum, signal and noise power, the low orders of the link.

Everything here is an estimate from second moments and from what a linear fit leaves out; `FittedLaw.unidentified` says
what it could not see. What no function of one direction explains counts as noise, whether it is noise or not.
"""

from __future__ import annotations

import dataclasses
import warnings
from typing import Annotated, NamedTuple

import numpy as np

from dyntheory.ground.arrays import ArrayLike, OptionalArray
from dyntheory.ground.checks import check_count
from dyntheory.ground.identity.factory import requested
from dyntheory.ground.identity.request import remember
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.names import check_name
from dyntheory.ground.status import DyntheoryWarning
from dyntheory.ground.storage.marks import Axes
from dyntheory.ground.storage.saved import Saved
from dyntheory.problem.laws.label_powers import Powers, moment_powers
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.laws.links import HermiteSeries, Link
from dyntheory.problem.laws.row_statistics import spectral_moments
from dyntheory.problem.laws.rows import FEWEST_ROWS, Standardisation, checked_labels, numeric_rows, standardised
from dyntheory.problem.laws.spectra import Spectrum

NOISE = ("auto", "least_squares", "moments")
FREE_ROWS = 1.25  # rows a column above which least squares tells noise from signal
SIGNIFICANT = 3.0
NUM_GROUPS = 8
MIN_CORRELATION = 0.5
OWN_UNITS = 4.0  # mean variance of the columns, or one over it, beyond which their units are not those of the theory


@dataclasses.dataclass(frozen=True)
class FittedLaw(Saved):
    """A law that has the second moments of a data set.

    Args:
        law: for `predict`; its features are those of the centred inputs, in their own units or standardised, its labels
            centred.
        signal_power: variance of the labels that a linear function explains.
        noise_power: variance that neither it nor the link's higher orders explain.
        link_coefficients: c_1, c_2, c_3 of φ(z) = Σ c_k h_k(z), h_k Hermite polynomials of variance one; those not told
            from zero are zero.
        input_mean: subtract it from new rows.
        label_mean: add it to predictions.
        unidentified: what could not be told, one sentence each.
        input_scale: divide new rows by it after the mean; None where columns were taken in their own units.
    """

    law: TeacherStudent
    signal_power: float
    noise_power: float
    link_coefficients: tuple[float, float, float]
    input_mean: Annotated[np.ndarray, Axes("feature")]
    label_mean: float
    unidentified: tuple[str, ...]
    input_scale: Annotated[OptionalArray, Axes("feature")] = None

    def __str__(self) -> str:
        total = self.signal_power + self.noise_power + sum(c**2 for c in self.link_coefficients[1:])
        lines = [
            f"variance of the labels {total:.4g}: linear {self.signal_power / total:.0%}, "
            f"higher orders of one direction {1 - (self.signal_power + self.noise_power) / total:.0%}, "
            f"the rest {self.noise_power / total:.0%}",
            *(f"not identified: {one}" for one in self.unidentified),
        ]
        return "\n".join(lines)


def fit_law(
    inputs: ArrayLike,
    labels: ArrayLike,
    *,
    num_samples: int | None = None,
    noise: str = "auto",
    standardise: bool = False,
) -> FittedLaw:
    """Estimate the law of a data set: spectrum, teacher along it, noise, and the link up to third order.

    Eigenvalues are those of the sample covariance, drawn together about their mean so that their second moment has no
    part from sampling. Noise comes from least squares where there are more rows than columns, else from moments. The
    teacher's power is an unbiased mean over groups of neighbouring eigenvalues. Orders two and three of the link are
    correlations of the labels with Hermite polynomials of predictions for rows left out, kept where they stand three
    standard errors from zero.

    Scaling:
        Inputs and labels are centred and otherwise taken as they are: train on the centred inputs. First-layer weights
        are O(1), so columns must have a variance of about one in the mean; in other units nothing is learned, or
        training explodes, and a warning says so. With `standardise` the law is that of columns of variance one, as
        `estimate` trains on, and does not depend on their units.

    Args:
        inputs: X, (N, p).
        labels: y, (N,), numbers; ±1 for two classes.
        num_samples: n, rows that will be trained on; default N. Sets `samples_per_feature` = n/p.
        noise: "least_squares", "moments", or "auto": the first with 1.25 rows a column and more.
        standardise: bring every column to variance one first.

    Raises:
        TypeError: `standardise` is not a boolean.
        ValueError: shapes that do not fit, too few rows, entries that are not finite numbers, labels that do not vary,
            constant columns to be standardised.

    Warns:
        DyntheoryWarning: columns in units of their own, of mean variance above 4 or below 1/4.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(2000, 20))
        >>> fitted = fit_law(rows, rows[:, 0] + 0.5 * np.random.default_rng(1).normal(size=2000))
        >>> round(fitted.signal_power, 1), round(fitted.noise_power, 2)
        (1.0, 0.25)

    Reference: `dicker2014variance` for moments; `ledoit2004well` for drawing eigenvalues together.
    """
    if not isinstance(standardise, bool | np.bool_):
        raise TypeError(f"`standardise` must be True or False, got {standardise!r}.")
    rows, targets, units = _centred(inputs, labels, standardise=bool(standardise))
    given = {"num_samples": num_samples, "noise": noise, "standardise": standardise}
    check_arguments(fit_law, {"inputs": inputs, "labels": labels, **given})
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
    remember(law, requested(fit_law, *(np.asarray(one, dtype=float) for one in (inputs, labels)), **given))
    powers = linear.signal, linear.noise - explained
    scale = units.inputs.scale if standardise else None
    return FittedLaw(law, *powers, coefficients, units.inputs.mean, units.label_mean, tuple(notes), scale)


class _Units(NamedTuple):
    inputs: Standardisation
    label_mean: float


def _centred(inputs: ArrayLike, labels: ArrayLike, *, standardise: bool) -> tuple[np.ndarray, np.ndarray, _Units]:
    given = numeric_rows("inputs", inputs)
    targets = checked_labels("labels", labels, len(given))
    if targets.ndim != 1:
        raise ValueError(f"`inputs` must be (N, p) and `labels` (N,), got {given.shape} and {targets.shape}.")
    if len(given) < FEWEST_ROWS:
        raise ValueError(f"`inputs` must have ten rows or more, got {len(given)}.")
    label_mean = float(targets.mean())
    if standardise:
        rows, units = standardised(given)
    else:
        units = Standardisation(given.mean(axis=0), np.ones(given.shape[1]))
        rows = given - units.mean
    targets = targets - label_mean
    if not np.any(rows) or not np.any(targets):
        raise ValueError("`inputs` and `labels` must vary.")
    variance = float(np.mean(np.square(rows)))
    if not 1.0 / OWN_UNITS <= variance <= OWN_UNITS:
        warnings.warn(
            f"The columns have a mean variance of {variance:.3g}, and weights of order one expect about 1: the law is "
            "that of training on columns in their own units. Pass `standardise=True` for columns of variance one, as "
            "`estimate` takes them.",
            DyntheoryWarning,
            stacklevel=3,
        )
    return rows, targets, _Units(units, label_mean)


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
