"""The table [law]: laws, spectra of features and priors of teachers by name, with their numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dyntheory.problem.laws import priors
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.laws.mixture import gaussian_mixture
from dyntheory.problem.laws.spectra import Spectrum, power_law, two_level
from dyntheory.shell.tables.array_file import load_arrays
from dyntheory.shell.tables.entries import COUNT, MOMENT, NAME, NUMBER, NUMBERS, Choice, Kind, build, table_of

PRIORS = {
    "gaussian": Choice(priors.gaussian, {"std": NUMBER, "mean": NUMBER}),
    "bernoulli_gauss": Choice(
        priors.bernoulli_gauss, {"density": NUMBER, "std": NUMBER}, {"density": "the part of entries that are not zero"}
    ),
    "rademacher": Choice(priors.rademacher, {"scale": NUMBER, "density": NUMBER}),
    "discrete": Choice(
        priors.discrete,
        {"values": NUMBERS, "probabilities": NUMBERS},
        {"values": "what an entry may be", "probabilities": "one for each value"},
    ),
    "laplace": Choice(priors.laplace, {"scale": NUMBER}),
}
PRIOR = table_of("a prior", PRIORS)
SPECTRA = {
    "spectrum": Choice(
        Spectrum,
        {"eigenvalues": NUMBERS, "alignment": NUMBERS, "shares": NUMBERS},
        {"eigenvalues": "a list of numbers, or the name of a file of them"},
    ),
    "power_law": Choice(
        power_law,
        {"exponent": NUMBER, "num_modes": COUNT, "target_exponent": NUMBER},
        {"exponent": "of the eigenvalues", "num_modes": "how many eigenvalues"},
    ),
    "two_level": Choice(
        two_level,
        {"share": NUMBER, "ratio": NUMBER, "alignment": NUMBERS},
        {"share": "the part of strong features", "ratio": "strong eigenvalue over weak"},
    ),
}


def _is_prior_or_list(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and all(isinstance(one, dict) for one in value))


def _read_priors(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return tuple(build(f"{name}[{place}]", one, PRIORS) for place, one in enumerate(value))
    return build(name, value, PRIORS)


TEACHER_PRIOR = Kind(f"{PRIOR.description}, or a list of them", _is_prior_or_list, _read_priors)
SAMPLES = {"samples_per_feature": "it is n/d"}
LAWS = {
    "teacher_student": Choice(
        TeacherStudent,
        {
            **{"samples_per_feature": NUMBER, "link": NAME, "noise_std": NUMBER, "teacher_second_moment": MOMENT},
            **{"teacher_prior": TEACHER_PRIOR, "features": table_of("a spectrum", SPECTRA)},
        },
        SAMPLES,
    ),
    "gaussian_mixture": Choice(
        gaussian_mixture,
        {
            **{"samples_per_feature": NUMBER, "separation": NUMBER, "num_classes": COUNT, "balance": NUMBER},
            "teacher_prior": TEACHER_PRIOR,
        },
        {**SAMPLES, "separation": "the distance of a mean from the origin"},
    ),
}


def read_law(entries: Mapping[str, Any]) -> TeacherStudent:
    """Return the law of a table whose numbers are all there; see `with_files`."""
    return build("law", entries, LAWS)


def with_files(entries: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    """Return the table with the numbers of `features` in place of names of files.

    What was computed then belongs to the numbers, whatever becomes of the file.

    Args:
        entries: the table; where `features.eigenvalues`, `alignment` or `shares` is a name, the file holds one number
            a line, or is a vector in NumPy's format (.npy).
        directory: where relative names start.

    Raises:
        ValueError: the file is missing or is not a vector of numbers.
    """
    features = entries.get("features")
    if not isinstance(features, dict):
        return dict(entries)
    read = {
        key: _vector(f"law.features.{key}", directory / value)
        for key, value in features.items()
        if key in SPECTRA["spectrum"].kinds and isinstance(value, str)
    }
    return {**entries, "features": {**features, **read}}


def _vector(entry: str, path: Path) -> list[float]:
    try:
        numbers = load_arrays(path).get("", np.empty(0)) if path.suffix == ".npy" else np.loadtxt(path, ndmin=1)
        if numbers.ndim != 1 or not numbers.size:
            raise ValueError(f"its shape is {numbers.shape}.")
        return [float(number) for number in numbers]
    except FileNotFoundError:
        raise ValueError(f"`{entry}` names {path}, which does not exist.") from None
    except Exception as error:  # on damaged bytes NumPy raises whatever comes first
        raise ValueError(f"`{entry}` names {path}, which must hold one number a line: {error}") from error
