"""What is known of the covariance of the columns, as the spectrum that an estimate goes by."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.checks import check_nonnegative
from dyntheory.ground.linear_algebra import gauss_rule
from dyntheory.ground.names import check_name
from dyntheory.problem.laws.rows import Standardisation, numeric_rows
from dyntheory.problem.laws.spectra import Spectrum
from dyntheory.verbs.estimation.weight_responses import ColumnSpectrum, KnownSpectrum, SampleSpectrum

COVARIANCES = ("sample", "isotropic", "shrinkage")
Covariance: TypeAlias = str | ArrayLike | Spectrum
MOST_MODES = 256
NUM_CHAINS = 4
ZERO = 1e-12
MOST_SPREAD = 2.0


class ChosenSpectrum(NamedTuple):
    """The spectrum, which of its groups every row is in, and what was chosen in words."""

    spectrum: ColumnSpectrum
    groups: Int[Array, " samples"]
    name: str


def chosen_spectrum(
    covariance: Covariance | None,
    rows: Float[np.ndarray, "n d"],
    standardisation: Standardisation,
    *,
    num_groups: int,
    num_steps: int,
) -> ChosenSpectrum:
    """Return the spectrum for a choice of covariance.

    Args:
        covariance: a name of `COVARIANCES`, eigenvalues (p,) or a `Spectrum`, both relative to their mean since the
            columns have variance one, or unlabelled rows (N, d); None is "sample".
        rows: the standardised rows.
        standardisation: of the rows, applied to unlabelled ones.
        num_groups: with "sample", into how many groups of like leverage rows are put; n gives every row its own, 0
            finds the spectrum by Lanczos' process and no leverages.
        num_steps: T; a spectrum with more eigenvalues is replaced by its Gauss rule, which is exact.

    Raises:
        TypeError: none of these.
        ValueError: an unknown name, eigenvalues or rows that are not.
    """
    one = jnp.zeros(len(rows), int)
    check_covariance(covariance, standardisation)
    if covariance is None or isinstance(covariance, str):
        name = covariance or "sample"
        if name == "sample":
            return _sample_spectrum(rows, num_groups) if num_groups else _pooled_spectrum(rows, num_steps)
        values = np.ones(1) if name == "isotropic" else shrunk_eigenvalues(rows)
        return ChosenSpectrum(_known(values, None, num_steps), one, name)
    if isinstance(covariance, Spectrum):
        values, shares = np.asarray(covariance.values), np.asarray(covariance.weights)
        known = _known(values / (shares @ values), shares, num_steps)
        return ChosenSpectrum(known, one, f"spectrum with {covariance.num_modes} eigenvalues")
    given = np.asarray(covariance)
    if given.ndim == 2:
        pool = standardisation(numeric_rows("covariance", given))
        return ChosenSpectrum(_known(shrunk_eigenvalues(pool), None, num_steps), one, f"pool of {len(pool)} rows")
    return ChosenSpectrum(_known(given / given.mean(), None, num_steps), one, f"{len(given)} given eigenvalues")


def check_covariance(covariance: Covariance | None, standardisation: Standardisation) -> None:
    """Refuse what is no choice of covariance, before anything is trained.

    Raises:
        TypeError: none of the kinds.
        ValueError: an unknown name, eigenvalues or rows that are not, rows in other units, a matrix of covariances.
    """
    if covariance is None or isinstance(covariance, Spectrum):
        return
    if isinstance(covariance, str):
        check_name("covariance", covariance, COVARIANCES)
        return
    given = np.asarray(covariance)
    if given.ndim == 2:
        _check_pool(numeric_rows("covariance", given), standardisation)
        return
    if given.ndim != 1 or given.dtype.kind not in "fiu":
        raise TypeError(
            f"`covariance` must be one of {', '.join(COVARIANCES)}, eigenvalues (p,), a Spectrum, or unlabelled rows "
            f"(N, {len(standardisation.mean)}), got {covariance!r}."
        )
    check_nonnegative("covariance", given)
    if not given.max(initial=0.0) > 0:
        raise ValueError("`covariance` must have a positive eigenvalue.")


def _check_pool(rows: np.ndarray, standardisation: Standardisation) -> None:
    """Require rows of the same columns in the same units."""
    if rows.shape[0] == rows.shape[1] and np.allclose(rows, rows.T, rtol=1e-10, atol=0):
        raise ValueError(
            "`covariance` is a symmetric matrix, and two axes mean unlabelled rows (N, d): of a matrix S pass "
            "eigenvalues, np.linalg.eigvalsh(S / np.sqrt(np.outer(np.diag(S), np.diag(S)))), since columns are scaled "
            "to variance one."
        )
    ratio = float(np.median(np.mean(np.square(standardisation(rows, "covariance")), axis=0)))
    if not 1 / MOST_SPREAD <= ratio <= MOST_SPREAD:
        raise ValueError(
            f"The unlabelled rows in `covariance` spread {ratio:.3g} times as much as the training rows around their "
            "means (median over columns of the mean squares): both must have the same columns in the same units."
        )


def _known(values: np.ndarray, shares: np.ndarray | None, num_steps: int) -> KnownSpectrum:
    weights = np.full(len(values), 1.0 / len(values)) if shares is None else shares
    # λ R_t(λ) is a polynomial of degree t + 1 at most.
    return KnownSpectrum(*gauss_rule(jnp.asarray(values, float), jnp.asarray(weights, float), num_steps // 2 + 2))


def _sample_spectrum(rows: np.ndarray, num_groups: int) -> ChosenSpectrum:
    n, d = rows.shape
    left, singular, _ = np.linalg.svd(rows, full_matrices=False)
    kept = singular > ZERO * singular[0]
    values, leverages = np.square(singular[kept]) / d, np.square(left[:, kept])
    if len(values) > MOST_MODES:
        values, leverages = _merged(values, leverages)
    total = leverages @ (values / (values + values.mean()))
    order = np.argsort(total, kind="stable")
    parts = np.array_split(order, min(num_groups, n))
    groups = np.empty(n, int)
    for index, part in enumerate(parts):
        groups[part] = index
    means = np.stack([leverages[part].mean(axis=0) for part in parts])
    spectrum = SampleSpectrum(jnp.asarray(values), jnp.asarray(means), jnp.asarray([len(part) for part in parts]))
    name = "sample" if len(parts) == n else f"sample, rows in {len(parts)} groups"
    return ChosenSpectrum(spectrum, jnp.asarray(groups), name)


def num_chains_modes(num_samples: int, num_features: int, num_steps: int) -> int:
    """Return how many eigenvalues stand for the spectrum where it is found by Lanczos' process."""
    return NUM_CHAINS * min(num_steps // 2 + 2, num_samples, num_features)


def _pooled_spectrum(rows: np.ndarray, num_steps: int) -> ChosenSpectrum:
    """Return one group for all rows: (1/n) tr f(XXᵀ/d) as a mean of vᵀ f v over random signs v, each a Gauss rule.

    A rule of T/2 + 2 nodes is exact for the polynomials of T steps; the mean over signs has an error of order 1/√n.

    Reference: `golub1969calculation` for the rule of a quadratic form.
    """
    n, d = rows.shape
    count = num_chains_modes(n, d, num_steps) // NUM_CHAINS
    start = np.random.default_rng(0).choice([-1.0, 1.0], (n, NUM_CHAINS)) / np.sqrt(n)
    basis, diagonal, beside = [start], [], []
    for _ in range(count):  # all chains at once: the rows are read once for all of them
        image = rows @ (rows.T @ basis[-1]) / d
        diagonal.append(np.sum(basis[-1] * image, axis=0))
        known = np.stack(basis)
        for _ in range(2):
            image = image - np.einsum("jnc,jc->nc", known, np.einsum("jnc,nc->jc", known, image))
        beside.append(np.linalg.norm(image, axis=0))
        basis.append(image / np.maximum(beside[-1], ZERO * diagonal[0]))
    values, weights = [], []
    for chain in range(NUM_CHAINS):
        inner, off = np.array(diagonal)[:, chain], np.array(beside)[:-1, chain]
        off = np.where(np.minimum.accumulate(off) > ZERO * inner[0], off, 0.0)  # ended: what follows has no weight
        nodes, vectors = np.linalg.eigh(np.diag(inner) + np.diag(off, 1) + np.diag(off, -1))
        values.append(np.maximum(nodes, 0.0))
        weights.append(np.square(vectors[0]) / NUM_CHAINS)
    spectrum = SampleSpectrum(
        jnp.asarray(np.concatenate(values)), jnp.asarray(np.concatenate(weights))[None], jnp.asarray([n])
    )
    return ChosenSpectrum(spectrum, jnp.zeros(n, int), "sample, all rows together")


def _merged(values: np.ndarray, leverages: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return neighbouring eigenvalues put together, each pair of the sum of their leverages and their mean."""
    parts = np.array_split(np.arange(len(values)), MOST_MODES)
    return np.array([values[p].mean() for p in parts]), np.stack([leverages[:, p].sum(axis=1) for p in parts], axis=1)


def shrunk_eigenvalues(rows: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " d"]:
    """Return the eigenvalues of the covariance by analytical nonlinear shrinkage, mean kept.

    Every sample eigenvalue is divided by |1 − c − c λ m(λ)|², c = d/n, with the density and its Hilbert transform by a
    kernel of locally proportional width n^{−1/3}.

    Args:
        rows: centred.

    Reference: `ledoit2020analytical`, equations 4.3 to 4.8.
    """
    n, d = rows.shape
    n = n - 1  # one degree of freedom went into the means
    raw = np.sort(np.linalg.svd(rows, compute_uv=False)[: min(n, d)] ** 2 / n)
    width = min(n ** (-1.0 / 3.0), 0.4)
    spread = width * raw[None, :]
    x = (raw[:, None] - raw[None, :]) / spread
    root = np.sqrt(5.0)
    density = np.mean(3.0 / (4.0 * root) * np.maximum(1.0 - x**2 / 5.0, 0.0) / spread, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithm = np.log(np.abs((root - x) / (root + x)))
        inner = -3.0 / (10.0 * np.pi) * x + 3.0 / (4.0 * root * np.pi) * (1.0 - x**2 / 5.0) * logarithm
    inner = np.where(np.abs(np.abs(x) - root) < ZERO, -3.0 / (10.0 * np.pi) * x, inner)
    hilbert = np.mean(inner / spread, axis=1)
    ratio = d / n
    if d <= n:
        found = raw / ((np.pi * ratio * raw * density) ** 2 + (1.0 - ratio - np.pi * ratio * raw * hilbert) ** 2)
    else:
        shape = 3.0 / (10.0 * width**2)
        edge = 3.0 / (4.0 * root * width) * (1.0 - 1.0 / (5.0 * width**2))
        null = (shape + edge * np.log((1.0 + root * width) / (1.0 - root * width))) / np.pi * np.mean(1.0 / raw)
        lowest = 1.0 / (np.pi * (d - n) / n * null)
        # Density and transform are those of the n eigenvalues that are not zero.
        found = raw / (np.pi**2 * raw**2 * (density**2 + hilbert**2))
        found = np.concatenate([np.full(d - n, lowest), found])
    return found * np.mean(np.square(rows)) / np.mean(found)
