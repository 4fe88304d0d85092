"""Two-layer learning as electrodynamics: units of the teacher are fixed charges, those of the student move."""

from dyntheory.flows.charges.agreement import ChargeAgreement, compare
from dyntheory.flows.charges.configuration import Charges, from_network
from dyntheory.flows.charges.energy import Forces, forces, loss
from dyntheory.flows.charges.flowing import descend, flow
from dyntheory.flows.charges.harmonic import spherical_yukawa, yukawa
from dyntheory.flows.charges.hessian import Curvature, curvature, laplacian
from dyntheory.flows.charges.named import POTENTIALS, error_function
from dyntheory.flows.charges.potentials import Potential
from dyntheory.flows.charges.results import ChargePaths
from dyntheory.flows.charges.sampling import simulate
from dyntheory.flows.charges.series import hermite, potential_of

__all__ = [
    "POTENTIALS",
    "ChargeAgreement",
    "ChargePaths",
    "Charges",
    "Curvature",
    "Forces",
    "Potential",
    "compare",
    "curvature",
    "descend",
    "error_function",
    "flow",
    "forces",
    "from_network",
    "hermite",
    "laplacian",
    "loss",
    "potential_of",
    "simulate",
    "spherical_yukawa",
    "yukawa",
]
