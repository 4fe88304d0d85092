"""Right values for what public callables take: by name of a parameter, and by callable where that says too little."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray
from matplotlib.figure import Figure

import dyntheory as dt
from dyntheory import closed_forms, kernels, priors, spectra
from dyntheory.gaussian.nodes import NodeSet
from dyntheory.verbs.studies.size_fits import LimitFit

KEY = jax.random.key(0)
LAW = dt.TeacherStudent(2.0, "sin", 0.1)
METHOD = dt.gradient_descent(dt.MLP((2,), "tanh"), optax.sgd, learning_rate=0.3)
NODES = NodeSet(np.zeros((6, 2**8)), np.full(2**8, 2.0**-8))
ROWS = np.random.default_rng(0).normal(size=(20, 3))
CURVE = np.array([2.0, 1.0])
KEPT = {"recorded_preactivations": np.ones((2, 4, 1)), "labels": np.ones(4), "sample_weights": np.full(4, 0.25)}
THEORY = dt.Trajectory(
    np.arange(2),
    **dict.fromkeys(("train_loss", "test_loss", "train_error", "test_error"), CURVE),
    standard_error=dt.Trajectory(np.arange(2), train_error=0.1 * CURVE, test_error=0.1 * CURVE),
    provenance={"kind": "prediction"},
    **KEPT,
)
PAIR = kernels.serial(kernels.dense(3), kernels.relu(), kernels.dense(1))
EYE = np.eye(3)
SPECTRUM = kernels.Spectrum(np.ones(3), np.ones(3))
AGREEMENT = dt.compare(THEORY, THEORY, allowance=0.0)
RATIOS = {"features_per_input": 2.0, "samples_per_input": 3.0}
TARGET = {"eigenvalues": np.ones(3), "target_coefficients": np.ones(3)}
MODES = {"num_features": 2.0, "num_samples": 2.0, **TARGET}
FIT = LimitFit(*[CURVE] * 5)
SWEPT = {"noise_std": [0.1, 0.2], "learning_rate": [0.1, 0.2]}
SWEEP = xarray.Dataset(
    {name: ((*SWEPT, "step"), np.ones((2, 2, 2))) for name in ("test_error", "test_error_standard_error")}
    | {"status": (tuple(SWEPT), np.full((2, 2), "ok"))},
    SWEPT,
)
ONE_PASS = dt.OnlineTrajectory(
    np.arange(6.0),
    1.0 / np.arange(1, 7),
    1.0 / np.arange(1, 7),
    np.ones((6, 1, 1)),
    np.ones((6, 1, 1)),
    np.ones((1, 1)),
)
SIZES = dt.FiniteSize(np.array([1, 2, 3]), THEORY, (THEORY,) * 3, {"test_error": FIT}, {}, {}, {}, AGREEMENT)
ONLINE = dt.perceptron.OnlineCurve(CURVE[::-1], CURVE, CURVE, CURVE)
BIAS = dt.perceptron.implicit_bias(np.eye(2), [1, 1])
FLOW = dt.perceptron.LogisticFlow(CURVE[::-1], np.eye(2), np.eye(2), CURVE, CURVE, CURVE, BIAS)

GIVEN: dict[str, Any] = {  # by name: a right value for what has no default
    "law": LAW,
    "method": METHOD,
    "num_steps": 1,
    "key": KEY,
    "num_features": 30,
    "num_samples": 60,
    "num_runs": 2,
    "num_nodes": 2**9,
    "inputs": ROWS,
    "labels": ROWS[:, 0],
    "methods": [METHOD],
    "theory": THEORY,
    "samples_per_feature": 2.0,
    "separation": 1.0,
    "hidden": (2,),
    "network": dt.MLP((2,), "tanh"),
    "fraction": 0.5,
    "std": 0.1,
    "rate": 0.1,
    "learning_rate": 0.1,
    "penalty": 0.1,
    "threshold": 1.0,
    "prior": priors.rademacher(),
    "channel": "gaussian",
    "optimizer": optax.sgd,
    "value": 0.3,
    "head": METHOD.init_head(KEY),
    "joint_second_moment": np.eye(3),
    "nodes": NODES,
    "test_nodes": NODES,
    "width": 4,
    "window": 3,
    "degree": 2,
    "apply": lambda w, x: x @ w,
    "params": np.ones(3),
    "x1": ROWS,
    "x": ROWS,
    "kernel": EYE,
    "targets": np.ones(3),
    "spectrum": spectra.power_law(1.0, num_modes=3),
    "noise_std": 0.1,
    "time": 1.0,
    "ratio": 2.0,
}
SITES = {"potential": "relu", "protons": np.eye(2), "electrons": np.eye(2)}
MOMENTS = [0.0, 0.1]
PATHS = dt.charges.descend(**SITES, learning_rate=0.1, num_steps=1)
CHARGE_RUNS = dt.charges.simulate(**SITES, learning_rate=0.1, num_steps=1, num_runs=3, key=KEY)
LINEAR = {"correlation": np.eye(2), "weights": [np.eye(2)] * 2}
LINEAR_PATHS = dt.deep_linear.descend(**LINEAR, learning_rate=0.1, num_steps=1)
LINEAR_RUNS = dt.deep_linear.simulate(**LINEAR, learning_rate=0.1, num_steps=1, num_runs=3, key=KEY)
CALLS: dict[str, dict[str, Any]] = {  # by callable: right values of its own
    **{f"charges.{name}": SITES for name in ("loss", "forces", "curvature", "descend", "simulate")},
    "charges.flow": {**SITES, "times": MOMENTS},
    "charges.compare": {"theory": PATHS, "runs": CHARGE_RUNS},
    "charges.from_network": {
        "network": dt.MLP((2,), "erf"),
        "law": dt.TeacherStudent(1.0, "erf"),
        "first_layer": dt.FirstLayer.from_weights(np.ones((3, 2)), np.ones((3, 1))),
        "head": {"layer_2": {"weights": np.ones((1, 2))}},
    },
    "charges.laplacian": {"potential": "erf", "points": np.eye(2), "source": np.ones(2)},
    "charges.potential_of": {"activation": "tanh"},
    "charges.spherical_yukawa": {"num_features": 3, "screening": 1.0},
    "charges.yukawa": {"num_features": 3, "screening": 1.0},
    **{f"deep_linear.{name}": LINEAR for name in ("descend", "simulate", "effective_start")},
    "deep_linear.flow": {**LINEAR, "times": MOMENTS},
    "deep_linear.exact": {**LINEAR, "times": MOMENTS},
    "deep_linear.compare": {"theory": LINEAR_PATHS, "runs": LINEAR_RUNS},
    "deep_linear.modes": {"strengths": [1.0, 0.5], "initial": 0.1, "times": MOMENTS},
    "deep_linear.half_time": {"strengths": [1.0, 0.5], "initial": 0.1},
    "FlaxNetwork": {"module": lambda rngs: None, "num_units": 2},
    "GeneralFirstOrderMethod": {
        "name": "own",
        "num_units": 1,
        **{name: getattr(METHOD, name) for name in ("init_shared", "sample_map", "feature_map", "loss", "error")},
    },
    "sensitivity": {"problem": lambda rate: {"law": LAW, "method": METHOD}},
    "finite_size": {"sizes": (20, 30, 40)},
    "sweep": {"over": {"noise_std": [0.1, 0.2]}, "num_steps": 1},
    "design": {"over": {"learning_rate": (0.1, 0.5)}},
    "boundary": {"over": {"noise_std": [0.1]}, "num_steps": 1, "along": "learning_rate", "between": (0.1, 5.0)},
    "FeatureMean": {"function": lambda shared, teacher, w: w},
    "compare": {"*": (THEORY,)},
    "load": {"path": "x.nc"},
    "from_flax_hyperparameters": {"learning_rate": 0.1},
    "flax_hyperparameters": {"learning_rate": 0.1},
    "hyperparameters_at_width": {"from_width": 8, "to_width": 16, "learning_rate": 0.1},
    "gradient_descent": {"learning_rate": 0.1},
    "kernels.attention": {"num_heads": 2, "head_width": 4},
    "kernels.elementwise": {"function": jnp.tanh},
    "kernels.kernel_evolution": {"checkpoints": [np.ones(3)] * 2},
    "kernels.kernel_spectrum": {},
    "kernels.learning_curve": {"spectrum": SPECTRUM, "num_samples": 2.0},
    "kernels.ntk_product": {"vector": np.ones(len(ROWS))},
    "kernels.overfitting_kind": {"curve": kernels.LearningCurve(*[jnp.arange(2.0, 5.0)] * 6)},
    "kernels.polynomial": {"coefficients": (1.0, 2.0)},
    "kernels.posterior": {"train_train": EYE, "test_train": EYE, "labels": np.ones(3)},
    "kernels.power_law": {"capacity": 2.0, "source": 0.5, "num_modes": 3},
    "kernels.sgd_moments": {"batch_size": 1, "labels": np.ones(3)},
    "kernels.tiled_kernel": {"network": PAIR},
    "kernels.train": {"kernels": EYE, "labels": np.ones(3)},
    "kernels.train_on_loss": {"loss": "squared", "num_steps": 1, "learning_rate": 0.1, "labels": np.ones(3)},
    "WideNetwork": {"depth": 2},
    "wide.predict": {"network": dt.WideNetwork(), "learning_rate": 0.1},
    "wide.simulate": {"network": dt.WideNetwork(), "learning_rate": 0.1, "width": 4},
    "wide.prediction_cost": {"network": dt.WideNetwork()},
    "wide.best_rates": {"network": dt.WideNetwork(), "rates": (0.1, 0.2, 0.3)},
    "wide.classify": {"a": (0.0, 1.0), "b": (0.0, 0.0), "c": -1.0},
    "wide.transfer": {"from_width": 8, "to_width": 16, "learning_rate": 0.1},
    "online.committee": {"activation": "erf", "weights": [1.0]},
    "online.escape_times": {"found": ONE_PASS, "level": 0.5},
    "online.find_plateaus": {"found": ONE_PASS},
    "online.least_squares": {"law": dt.TeacherStudent(1.0)},
    "online.simulate_least_squares": {"law": dt.TeacherStudent(1.0)},
    "online.adaptive_least_squares": {"law": dt.TeacherStudent(1.0)},
    "online.simulate_adaptive_least_squares": {"law": dt.TeacherStudent(1.0)},
    "plot.one_pass": {"theory": ONE_PASS},
    "memory.hopfield": {"load": 0.05},
    "memory.multi_user": {"load": 0.5, "noise_variance": 0.1},
    "memory.matched_filter": {"load": 0.5, "noise_variance": 0.1},
    "memory.linear_detector": {"load": 0.5, "noise_variance": 0.1},
    "memory.detection_lines": {"load": 2.0},
    "memory.dense_capacity": {"order": 3},
    "memory.dense_overlap": {"load": 0.1, "order": 3},
    "memory.phase_lines": {"temperature": 0.5},
    "memory.Recall.iterate": {"num_steps": 1},
    "memory.Recall.simulate": {"num_spins": 20, "key": KEY},
    "perceptron.gardner_capacity": {},
    "perceptron.gardner_margin": {"samples_per_feature": 1.0},
    "perceptron.implicit_bias": {"labels": np.sign(ROWS[:, 0])},
    "perceptron.largest_margin": {"labels": np.sign(ROWS[:, 0])},
    "perceptron.least_squares_limit": {},
    "perceptron.logistic_flow": {"labels": np.sign(ROWS[:, 0]), "log_times": [1.0]},
    "perceptron.num_dichotomies": {"num_inputs": 4, "num_features": 2},
    "perceptron.predict": {"rule": "hebb", "times": [0.0, 1.0]},
    "perceptron.separable_fraction": {"num_inputs": 4, "num_features": 2},
    "perceptron.simulate": {"rule": "hebb", "times": [0.0, 1.0], "num_features": 10},
    "perceptron.train": {"labels": np.sign(ROWS[:, 0])},
    "kernels.residual": {"*": (kernels.dense(4),)},
    "closed_forms.MarginLoss": {"name": "own", "value": jnp.abs, "pull": jnp.add, "corners": jnp.abs},
    "closed_forms.compressed_sensing_threshold": {"delta": 0.5},
    "closed_forms.edge_of_chaos": {"activation": "tanh"},
    "closed_forms.hermite_coefficients": {"activation": "tanh"},
    "closed_forms.lasso_state_evolution": {"threshold_ratio": 1.0},
    "closed_forms.least_squares_flow": {"times": 1.0},
    "closed_forms.least_squares_gd": {"steps": 2},
    "closed_forms.logistic_mle": {"samples_per_feature": 9.0, "signal_power": 1.0},
    "closed_forms.margin_loss": {"value": jnp.abs, "prox": jnp.add},
    "closed_forms.mei_montanari_excess": RATIOS | {"linear": 0.5, "nonlinear": 0.5},
    "closed_forms.misspecified": {"visible_fraction": 0.5},
    "closed_forms.power_law": {"num_samples": 10.0, "capacity": 2.0, "source": 0.5},
    "closed_forms.projected_features": MODES,
    "closed_forms.random_features": RATIOS | {"activation": "relu"},
    "closed_forms.rational_gd": {"samples_per_feature": 2, "learning_rate": Fraction(1, 2), "step": 1},
    "closed_forms.ridge_general": {"num_samples": 2.0, **TARGET},
    "closed_forms.accelerated_bounds": {"steps": 3},
    "closed_forms.adam_drift": {"gradients": [3.0, -1.0, -1.0]},
    "closed_forms.decayed_minimum": {"curvature": 1.0, "minimum": 1.0, "penalty": 0.1},
    "closed_forms.descent_bounds": {"steps": 3},
    "closed_forms.momentum_rate": {"curvature": 1.0},
    "closed_forms.noise_floor": {"curvature": 1.0},
    "closed_forms.optimal_momentum": {"smallest": 0.1, "largest": 1.0},
    "closed_forms.quadratic_descent": {"curvature": 1.0, "steps": 3},
    "closed_forms.batch_norm_growth": {"activation": "tanh"},
    "closed_forms.signal_layers": {"activation": "erf", "weight_variance": 1.0, "num_layers": 2},
    "closed_forms.signal_limit": {"activation": "erf", "weight_variance": 1.0},
    "closed_forms.spiked_wigner": {"signal_strength": 2.0},
    "closed_forms.spiked_wigner_amp": {"signal_strength": 2.0, "side_information": 0.1},
    "plot.agreement": {"report": AGREEMENT},
    "plot.charge_field": {"found": PATHS, "potential": "relu"},
    "plot.charge_animation": {"found": PATHS, "potential": "relu", "path": "x.gif"},
    "plot.mode_curves": {"theory": LINEAR_PATHS},
    "plot.finite_size": {"report": SIZES},
    "plot.phase_diagram": {"sweep": SWEEP},
    "plot.design": {"found": dt.Design(dt.Choice({"learning_rate": 0.5}, 3, 0.5, 0.01), None, (0.5,))},
    "plot.signal_map": {
        "found": closed_forms.SignalLimit(*[np.ones((2, 3))] * 7),
        "weight_std": [1.0, 2.0],
        "bias_std": [0.1, 0.2, 0.3],
    },
    "plot.slices": {"sweep": SWEEP.isel(noise_std=0)},
    "plot.hopfield_phases": {},
    "plot.implicit_bias": {"flow": FLOW},
    "plot.learned_online": {"theory": ONLINE},
    "plot.recall": {"path": dt.memory.RecallPath(*[np.arange(2.0)] * 5)},
    "plot.live": {"run": THEORY},
    "plot.preactivations": {"runs": THEORY, "step": 0},
    "plot.save_figure": {"fig": Figure(), "path": "x.png"},
    "closed_forms.marchenko_pastur.moment": {"order": 2},
    "closed_forms.marchenko_pastur.density": {"eigenvalue": 1.0},
    "kernels.bridge.tangent_prediction": {"head": METHOD.init_head(KEY)},
    "priors.GaussianMixture": {"probabilities": [1.0], "means": [0.0], "stds": [1.0]},
    "priors.QuantilePrior": {"function": lambda u: u},
    "priors.bernoulli_gauss": {"density": 0.5},
    "priors.discrete": {"values": [1.0], "probabilities": [1.0]},
    "spectra.Spectrum": {"eigenvalues": [1.0]},
    "spectra.power_law": {"exponent": 1.0, "num_modes": 3},
    "spectra.two_level": {"share": 0.5, "ratio": 2.0},
    "FirstLayer.from_weights": {"weights": np.ones((3, 2)), "teacher_weights": np.ones((3, 1))},
    "Trajectory.at": {"step": 0},
    "Trajectory.expect": {"fn": jnp.sum, "step": 0},
    "Trajectory.preactivations": {"step": 0},
    "Trajectory.save": {"path": "x.nc"},
    "kernels.Layer.init": {"input_shape": (3,)},
    "kernels.TrainedKernel.predict": {"time": 1.0},
    "gallery.draw": {"data": None},
    "gallery.summary": {"data": None},
}
