"""The result of the wing: learning curves of a fixed data set, with outputs and kernels beside them."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import numpy as np

from dyntheory.ground.arrays import OptionalArray
from dyntheory.ground.storage.marks import Axes, Stacked
from dyntheory.results.trajectory import OptionalCurve, Trajectory

Kernels = Annotated[OptionalArray, Axes("step", "layer", "input", "input")]

WIDE = (
    *("train_outputs", "test_outputs", "alignment", "feature_alignment", "sharpness"),
    *("forward_kernels", "backward_kernels", "ntk"),
)


@dataclasses.dataclass(frozen=True)
class WideTrajectory(Trajectory):
    """Training of a wide network on given inputs, at states 0..T (before each update).

    Kernels are those of `dyntheory.wide`: Φ^l and G^l are means over the neurons of a layer, Θ is the tangent kernel
    in units in which ∂f/∂t = Σ_ν Θ D_ν. With several outputs signals run along the residuals, and G^l, Θ, the
    sharpness and the alignment, which would depend on them, are None.

    Args:
        train_outputs: f on the training inputs, (T+1, P) or (T+1, P, outputs).
        test_outputs: f on the test inputs, (T+1, P*) or (T+1, P*, outputs).
        alignment: (T+1,) of Θ with the labels, ⟨Θ, Y Yᵀ⟩/(|Θ| |Y Yᵀ|).
        feature_alignment: (T+1,) the same of the last layer's kernel Φ^L.
        sharpness: (T+1,) largest eigenvalue of Θ/P: of the Hessian's Gauss–Newton part for squared loss, so that
            gradient descent is stable below 2/sharpness.
        forward_kernels: Φ^l, (T+1, L, P, P), None when not kept.
        backward_kernels: G^l, (T+1, L, P, P), None when not kept.
        ntk: Θ, (T+1, P, P), None when not kept.
        standard_error: the same structure.
        per_run: single networks of a simulation.
    """

    train_outputs: Annotated[OptionalArray, Axes("step", "input", "output", least=2)] = None
    test_outputs: Annotated[OptionalArray, Axes("step", "test_input", "output", least=2)] = None
    alignment: OptionalCurve = None
    feature_alignment: OptionalCurve = None
    sharpness: OptionalCurve = None
    forward_kernels: Kernels = None
    backward_kernels: Kernels = None
    ntk: Annotated[OptionalArray, Axes("step", "input", "input")] = None
    standard_error: WideTrajectory | None = None
    per_run: Annotated[WideTrajectory | None, Stacked("run")] = None

    @property
    def num_inputs(self) -> int:
        """P."""
        return np.shape(self.train_outputs)[1]
