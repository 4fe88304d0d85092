"""Which labels a loss is about: ±1, classes by their indicator vectors, or any numbers.

The logistic loss of a real label is a number like any other, and its "rate of wrong signs" is none: refused.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.methods.method import GeneralFirstOrderMethod

NUM_LABELS = 256
TOLERANCE = 1e-6


def check_labels(labels: Any, method: GeneralFirstOrderMethod, *, name: str = "labels", cure: str = "") -> None:
    """Refuse labels that the loss of a method is not about.

    Args:
        labels: (n,) or (n, outputs).
        method: with `label_kind` "signs", "classes" (indicators or probabilities), "either" or None.
        name: what they are called in the message.
        cure: what to do, beside taking another loss.

    Raises:
        ValueError: numbers where signs or classes are needed.
    """
    given = np.asarray(labels, dtype=float)
    wants_classes = method.label_kind == "classes" or (method.label_kind == "either" and given.ndim > 1)
    if method.label_kind is None or (_are_classes(given) if wants_classes else _are_signs(given)):
        return
    wanted = "indicator vectors of classes" if wants_classes else "-1 and 1"
    raise ValueError(
        f"{name} must be {wanted} for the loss of {method.description or method.name}, got such as "
        f"{np.round(given[:3], 3).tolist()}: {cure or _cure(given, wants_classes)}take a loss for numbers, "
        "loss='squared'."
    )


def _cure(labels: np.ndarray, wants_classes: bool) -> str:
    """Return what makes classes that are counted what a loss wants."""
    found = np.unique(labels) if labels.ndim == 1 else np.empty(0)
    if not len(found) or not np.array_equal(found, np.arange(len(found))):
        return ""
    if wants_classes:
        return f"pass np.eye({len(found)})[y], or "
    return "of classes 0 and 1 pass 2 * y - 1, or " if len(found) == 2 else ""


def check_labels_of(law: TeacherStudent, method: GeneralFirstOrderMethod) -> None:
    """Refuse a law whose labels the loss of a method is not about, found by drawing some; see `check_labels`."""
    if method.label_kind is None:
        return
    random = np.random.default_rng(0)
    sizes = (law.num_teacher_units, law.num_outputs)
    drawn = jax.vmap(law.label)(*(jnp.asarray(random.standard_normal((NUM_LABELS, size))) for size in sizes))
    link = getattr(law.link, "name", law.link)
    cure = "take the link 'sign', 'probit' or 'logistic' (with its noise inside) or 'argmax', or "
    check_labels(drawn, method, name=f"Labels of the law (link {link!r})", cure=cure)


def _are_signs(labels: np.ndarray) -> bool:
    return bool(np.all(np.abs(np.abs(labels) - 1.0) < TOLERANCE))


def _are_classes(labels: np.ndarray) -> bool:
    if labels.ndim < 2:
        return False
    return bool(np.all(labels > -TOLERANCE) and np.all(np.abs(labels.sum(axis=-1) - 1.0) < TOLERANCE))
