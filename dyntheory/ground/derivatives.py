"""Values that object to being differentiated: a derivative that would be wrong is refused, a doubtful one warns.

The guard stands on a value, so forward and reverse mode meet it alike, and a parameter that enters through a closure is
seen too. Where nothing is differentiated it is the identity.
"""

from __future__ import annotations

import functools
import warnings

import jax

from dyntheory.ground.arrays import PyTree
from dyntheory.ground.status import DyntheoryWarning

DIFFERENCES = "`dyntheory.sensitivity` gives derivatives by wide-step differences on common nodes, with their error."


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def refusing(reason: str, values: PyTree) -> PyTree:
    """Return the values, which raise when they are differentiated.

    Args:
        reason: what is said then.
        values: any pytree of floating arrays.

    Raises:
        ValueError: when differentiated.
    """
    del reason
    return values


@refusing.defjvp
def _refuse(reason: str, primals: tuple[PyTree], tangents: tuple[PyTree]) -> tuple[PyTree, PyTree]:
    raise ValueError(reason)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def warning(reason: str, values: PyTree) -> PyTree:
    """Return the values, which issue a `DyntheoryWarning` when they are differentiated.

    Args:
        reason: what is said then.
        values: any pytree of floating arrays.
    """
    del reason
    return values


@warning.defjvp
def _warn(reason: str, primals: tuple[PyTree], tangents: tuple[PyTree]) -> tuple[PyTree, PyTree]:
    warnings.warn(reason, DyntheoryWarning, stacklevel=2)
    return primals[0], tangents[0]
