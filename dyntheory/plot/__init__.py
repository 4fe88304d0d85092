"""Figures for papers: curves, agreement, sizes, live runs; `dyntheory.plot.gallery` has the pictures of the field."""

from dyntheory.plot.charge_figures import charge_animation, charge_field
from dyntheory.plot.designs import design
from dyntheory.plot.linear_figures import mode_curves
from dyntheory.plot.live_figure import live
from dyntheory.plot.memories import hopfield_phases, recall
from dyntheory.plot.one_pass_figure import one_pass
from dyntheory.plot.perceptrons import implicit_bias, learned_online
from dyntheory.plot.signals import signal_map
from dyntheory.plot.sizes import finite_size
from dyntheory.plot.style import save_figure
from dyntheory.plot.sweeps import phase_diagram, slices
from dyntheory.plot.trajectories import agreement, curves, preactivations

__all__ = [
    "agreement",
    "charge_animation",
    "charge_field",
    "curves",
    "design",
    "finite_size",
    "hopfield_phases",
    "implicit_bias",
    "learned_online",
    "live",
    "mode_curves",
    "one_pass",
    "phase_diagram",
    "preactivations",
    "recall",
    "save_figure",
    "signal_map",
    "slices",
]
