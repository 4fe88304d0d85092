"""Reference formulas of the field in closed form: nothing is iterated to a limit of its own, nothing is simulated.

float64 throughout, arrays broadcast, safe under jit, vmap and grad; results are named tuples of arrays. Penalties are
those of (1/n)‖y − Xb‖² + λ‖b‖², errors carry no factor ½, α = n/d is `samples_per_feature`;
`lasso` and `convex_erm` sum over the samples, as their docstrings say.
"""

from dyntheory.closed_forms import marchenko_pastur
from dyntheory.closed_forms.adaptive_steps import adam_drift, decayed_minimum
from dyntheory.closed_forms.bayes import bayes_state_evolution
from dyntheory.closed_forms.compressed_sensing import RecoveryThreshold, compressed_sensing_threshold
from dyntheory.closed_forms.convergence_bounds import (
    AcceleratedBounds,
    DescentBounds,
    accelerated_bounds,
    descent_bounds,
)
from dyntheory.closed_forms.empirical_risk import ErmRisk, LogisticMle, convex_erm, logistic_mle
from dyntheory.closed_forms.feature_regression import (
    HermiteCoefficients,
    RandomFeaturesRisk,
    hermite_coefficients,
    random_features,
)
from dyntheory.closed_forms.general_ridge import SpectralRisk, ridge_general
from dyntheory.closed_forms.gradient_descent import Curve, least_squares_flow, least_squares_gd
from dyntheory.closed_forms.least_squares import (
    Risk,
    misspecified,
    optimal_penalty,
    optimal_ridge,
    ridge,
    ridgeless,
)
from dyntheory.closed_forms.margin_losses import MarginLoss, margin_loss
from dyntheory.closed_forms.mei_montanari import mei_montanari_excess
from dyntheory.closed_forms.momentum_methods import (
    OptimalMomentum,
    momentum_rate,
    noise_floor,
    optimal_momentum,
    quadratic_descent,
)
from dyntheory.closed_forms.normalized_moments import batch_norm_growth
from dyntheory.closed_forms.projected import projected_features
from dyntheory.closed_forms.rational import rational_gd
from dyntheory.closed_forms.scaling_laws import PowerLawRisk, power_law
from dyntheory.closed_forms.separation import MaxMargin, max_margin, separability_threshold
from dyntheory.closed_forms.signal_depth import SignalLayers, signal_layers
from dyntheory.closed_forms.signal_fixed_points import SignalLimit, signal_limit
from dyntheory.closed_forms.signal_propagation import EdgeOfChaos, edge_of_chaos
from dyntheory.closed_forms.sparse_regression import LassoRisk, StateEvolution, lasso, lasso_state_evolution
from dyntheory.closed_forms.spectra import DataSpectrum, data_spectrum, from_data
from dyntheory.closed_forms.spiked_matrix import SpikedWigner, spiked_wigner, spiked_wigner_amp

__all__ = [
    "AcceleratedBounds",
    "Curve",
    "DataSpectrum",
    "DescentBounds",
    "EdgeOfChaos",
    "ErmRisk",
    "HermiteCoefficients",
    "LassoRisk",
    "LogisticMle",
    "MarginLoss",
    "MaxMargin",
    "OptimalMomentum",
    "PowerLawRisk",
    "RandomFeaturesRisk",
    "RecoveryThreshold",
    "Risk",
    "SignalLayers",
    "SignalLimit",
    "SpectralRisk",
    "SpikedWigner",
    "StateEvolution",
    "accelerated_bounds",
    "adam_drift",
    "batch_norm_growth",
    "bayes_state_evolution",
    "compressed_sensing_threshold",
    "convex_erm",
    "data_spectrum",
    "decayed_minimum",
    "descent_bounds",
    "edge_of_chaos",
    "from_data",
    "hermite_coefficients",
    "lasso",
    "lasso_state_evolution",
    "least_squares_flow",
    "least_squares_gd",
    "logistic_mle",
    "marchenko_pastur",
    "margin_loss",
    "max_margin",
    "mei_montanari_excess",
    "misspecified",
    "momentum_rate",
    "noise_floor",
    "optimal_momentum",
    "optimal_penalty",
    "optimal_ridge",
    "power_law",
    "projected_features",
    "quadratic_descent",
    "random_features",
    "rational_gd",
    "ridge",
    "ridge_general",
    "ridgeless",
    "separability_threshold",
    "signal_layers",
    "signal_limit",
    "spiked_wigner",
    "spiked_wigner_amp",
]
