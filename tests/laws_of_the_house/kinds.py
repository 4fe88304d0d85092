"""Of what kind each parameter of a public callable is, by its name, and which wrong values are right for a kind.

Kinds stand here a second time, beside the annotations that the library reads, so that neither can be wrong alone.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

WRONG: dict[str, Any] = {
    "none": None,
    "complex": 1 + 2j,
    "text": "abc",
    "digits": "0.5",
    "bytes": b"2",
    "dict": {"a": 1},
    "words": ["a", "b"],
    "function": lambda x: x,
    "object": object(),
    "nan": float("nan"),
    "inf": float("inf"),
    "minus": -1,
    "zero": 0,
    "half": 1.5,
    "true": True,
    "huge": 10**400,
    "masked": np.ma.masked_array([1.0, 2.0], [True, False]),
    "empty": np.zeros(0),
    "deep": np.ones((2, 1, 2, 1, 2)),
    "class": int,
    "module": math,
    "path": Path("x"),
}
NUMBERS = ("positive", "at least zero", "number", "part", "cosine")
LEGIT: dict[str, str] = {  # by kind: which of the values above are right
    "count": "",
    "count or zero": "zero",
    "whole numbers": "deep",
    "integer": "zero minus",
    "positive": "half",
    "at least zero": "half zero",
    "number": "half zero minus",
    "probability": "",
    "part": "zero",
    "cosine": "zero minus",
    "correlation": "zero",
    "rational": "zero huge",
    "positive rational": "huge",
    "flag": "true",
    "name": "",
    "text": "text digits",
    "path": "text digits path",
    "function": "function",
    "function or flag": "function true",
    "thing": "",
    "rate or schedule": "half function",
    "time": "half zero inf",
    "rows with positions": "deep",
    "anything": " ".join(WRONG),
}
NAMES: dict[str, str] = {  # by kind: parameters that are of it; "?" lets None through
    "count": """num_features num_samples num_runs num_heads num_units num_outputs max_nodes max_runs num_resamples
        width head_width num_modes batch_size max_iterations num_test num_inputs hidden sizes window max_sweeps
        num_knots from_width to_width depth num_layers max_steps num_frames num_spins max_updates num_points""",
    "count or zero": "num_steps degree step unit rank order sample_noise feature_noise seed",
    "count?": "num_nodes block_size strides population record_every",
    "positive": """samples_per_feature learning_rate threshold gamma scale std source ratio memory max_operations
        weight_std delta smallest largest smoothness threshold_ratio capacity features_per_input samples_per_input
        signal_strength output_multiplier feature_learning time gain input_variance load noise_variance
        initial_length""",
    "positive?": "rtol tolerance step_size max_memory max_trainings",
    "at least zero": """noise_std penalty ridge separation drop_below momentum epsilon score_std value_std
        exponent signal_power initial_power nonlinear_power linear nonlinear variance side_information times
        weight_variance bias_variance branch_variance curvature gap distance head_rate screening temperature""",
    "at least zero?": "bias_std allowance",
    "number": "frequency amplitude phase slope mean value rate skip minimum",
    "probability": "balance level share fraction density",
    "part": "strong_convexity first_decay second_decay",
    "flag": """replacement accelerated resume use_bias starts_at_zero is_in_theorem drops diagonal nesterov center
        standardise from_differences force rematerialize centred is_linear amsgrad decoupled exact_overlaps
        train_charges stiff find_margin""",
    "flag?": "keep_runs keep_preactivations keep_kernels smooth has_kink has_feature_nodes trace logy on_sphere",
    "name": """matrix dtype metric metrics noise initialization padding scaling normalization parameterization
        combine trained parametrisation rule""",
    "text": "name description",
    "text?": "title label_kind label color",
    "path": "path",
    "path?": "checkpoint",
    "function": """fn link loss activation apply problem function prox pull corners teacher quantity init_shared
        init_head init_sample init_feature sample_map feature_map output error head_of after_samples
        after_features""",
    "function?": "progress",
    "thing": """input_shape law method key inputs labels network prior report theory runs run spectrum data curve
        layers branches fig kernel kernels targets x1 x vector test_train train_train joint_second_moment nodes
        test_nodes coefficients probabilities means stds eigenvalues target_coefficients optimizer channel methods
        values num_classes num_test_nodes over between sweep a b rates protons electrons points correlation
        log_times""",
    "thing?": """first_layer mesh record ax feature_nodes draw test_data weights teacher_weights initial
        test_initial x2 head_optimizer estimate alignment shares second_moment teacher_overlap
        teacher_second_moment teacher_prior features test_test covariance noise_coefficients prediction executor
        test_inputs test_labels masks width_ratios standard_rates widths proton_charges electron_charges finer""",
    "anything": "head params checkpoints module hyperparameters",
    "name?": "early_stopping x y along",
    "part?": "start_overlap",
    "correlation": "initial_overlap",
    "count or zero?": "random_state",
}
OF_KIND = {name: kind for kind, names in NAMES.items() for name in names.split()}
FLOWS = {  # of the doors `charges` and `deep_linear`
    **{f"charges.{name}.potential": "thing" for name in ("loss", "forces", "flow", "descend", "simulate", "curvature")},
    **{f"{door}.{name}.times": "thing" for door, name in (("charges", "flow"), ("deep_linear", "flow"))},
    "charges.laplacian.potential": "thing",
    "charges.laplacian.source": "thing",
    "charges.yukawa.width": "positive",
    "charges.potential_of.activation": "function",
    **{f"deep_linear.{name}.weights": "thing" for name in ("flow", "descend", "simulate", "exact", "effective_start")},
    "deep_linear.exact.times": "thing",
    "deep_linear.modes.times": "thing",
    "deep_linear.modes.initial": "at least zero",
    "deep_linear.modes.strengths": "thing",
    "deep_linear.modes.rtol": "positive",
    "deep_linear.half_time.strengths": "positive",
    "deep_linear.half_time.initial": "positive",
    "deep_linear.half_time.share": "part",
    **{f"{door}.{name}.tolerance": "positive" for door in ("charges",) for name in ("flow", "descend", "simulate")},
    "charges.flow.rtol": "positive",
    "deep_linear.flow.rtol": "positive",
    **{f"plot.{name}.potential": "thing" for name in ("charge_field", "charge_animation")},
    **{f"plot.{name}.found": "thing" for name in ("charge_field", "charge_animation")},
    **{f"plot.{name}.run": "count or zero" for name in ("charge_field", "charge_animation")},
    "plot.mode_curves.alignment": "flag",
    "closed_forms.signal_layers.correlation": "cosine",
}
OTHERWISE: dict[str, str] = FLOWS | {  # where a parameter of that name is of another kind
    **dict.fromkeys(("kernels.solve.method", "kernels.empirical_ntk.method"), "name"),
    "kernels.kernel_evolution.method": "name",
    **dict.fromkeys(("proximal_gradient.penalty", "ista.penalty", "fista.penalty"), "at least zero"),
    **dict.fromkeys(("predict.num_heads", "simulate.num_heads"), "count"),
    **dict.fromkeys(("prediction_cost.num_nodes", "kernels.elementwise.num_nodes"), "count"),
    **dict.fromkeys(("fit_law.num_samples", "closed_forms.data_spectrum.num_features"), "count?"),
    "state_evolution.record": "anything",
    "memory.capacity.temperature": "part",
    **dict.fromkeys(("memory.dense_capacity.order", "memory.dense_overlap.order"), "count"),
    "memory.exponential_capacity.flipped": "part",
    "perceptron.gardner_capacity.margin": "at least zero",
    "perceptron.separable_fraction.num_inputs": "whole numbers",
    "perceptron.separable_fraction.num_features": "whole numbers",
    "perceptron.predict.rtol": "positive",
    "perceptron.logistic_flow.rtol": "positive",
    **dict.fromkeys((f"perceptron.{name}.times" for name in ("predict", "simulate")), "thing"),
    "perceptron.train.num_classes": "count?",
    "memory.Recall.simulate.algorithm": "name",
    "state_evolution.memory": "flag",
    "sweep.theory": "flag",
    "design.early_stopping": "flag",
    "design.search": "text",
    "FirstLayer.from_weights.weights": "thing",
    "FirstLayer.from_weights.teacher_weights": "thing",
    "kernels.TrainedKernel.predict.time": "time",
    "kernels.Layer.kernel.x1": "rows with positions",
    "kernels.TrainedKernel.predict.step": "thing?",
    "kernels.TrainedKernel.predict.test_train": "thing?",
    "generalized_amp.loss": "thing?",
    "generalized_amp.prior": "thing?",
    "generalized_amp.channel": "function",
    "finite_size.theory": "thing?",
    **dict.fromkeys(
        ("sweep.law", "sweep.method", "boundary.law", "boundary.method", "design.law", "design.method"), "function"
    ),
    **dict.fromkeys(("sweep.first_layer", "design.first_layer"), "function?"),
    **dict.fromkeys(
        ("sweep.num_steps", "boundary.num_steps", "plot.slices.step", "plot.phase_diagram.step"), "count or zero?"
    ),
    "boundary.tolerance": "positive",
    "design.confirm": "thing?",
    "sweep.simulation": "thing?",
    "design.over": "thing",
    "design.tied": "thing",
    "boundary.along": "text",
    "plot.phase_diagram.boundary": "anything",
    "plot.design.found": "thing",
    "plot.recall.path": "thing",
    "plot.recall.runs": "thing?",
    "plot.learned_online.runs": "thing?",
    "plot.implicit_bias.flow": "thing",
    **dict.fromkeys((f"plot.signal_map.{name}" for name in ("found", "weight_std", "bias_std")), "thing"),
    "plot.phase_diagram.sweep": "anything",
    "plot.slices.sweep": "anything",
    "simulate.inputs": "function",
    **dict.fromkeys(("wide.predict.inputs", "wide.simulate.inputs", "wide.prediction_cost.inputs"), "thing"),
    "wide.best_rates.inputs": "thing",
    "wide.classify.c": "number",
    "wide.best_rates.optimizer": "function",
    **dict.fromkeys(("wide.simulate.width", "WideNetwork.width", "wide.prediction_cost.num_directions"), "count?"),
    **dict.fromkeys(("wide.predict.drop_below", "wide.best_rates.drop_below"), "positive"),
    "wide.prediction_cost.num_nodes": "count",
    **{
        f"online.{name}.learning_rate": "rate or schedule"
        for name in ("predict", "simulate", "least_squares", "simulate_least_squares")
    },
    **dict.fromkeys(("online.predict.num_features", "online.least_squares.num_features"), "count?"),
    "online.find_asymptote.learning_rate": "positive",
    "online.least_squares.rtol": "positive",
    "online.adaptive_least_squares.rtol": "positive",
    **dict.fromkeys(("online.find_plateaus.found", "online.escape_times.found", "online.committee.weights"), "thing"),
    **dict.fromkeys(("online.find_plateaus.width", "online.escape_times.level"), "positive"),
    "applicability.inputs": "thing?",
    "assumption_report.labels": "thing?",
    "kernels.kernel_evolution.labels": "thing?",
    "kernels.hermite.degree": "count or zero",
    "kernels.erf.scale": "number",
    "kernels.solve.kernel": "function",
    "kernels.overfitting_kind.tolerance": "positive",
    "TeacherStudent.separation": "at least zero?",
    "TeacherStudent.teacher_second_moment": "at least zero?",
    "label_noise.std": "at least zero",
    "dropout.rate": "part",
    "kernels.dropout.rate": "part",
    "kernels.elementwise.degree": "count",
    "kernels.power_law.capacity": "positive",
    "kernels.train_on_loss.num_steps": "count or zero",
    "kernels.train_on_loss.times": "thing?",
    "kernels.sgd_moments.test_train": "thing?",
    "kernels.train_on_loss.test_train": "thing?",
    "kernels.train.learning_rate": "positive?",
    "kernels.train_on_loss.learning_rate": "positive",
    "kernels.tiled_kernel.path": "path?",
    "enable_compilation_cache.folder": "path?",
    "kernels.tiled_kernel.progress": "function or flag",
    "kernels.train.noise_std": "at least zero",
    "kernels.learning_curve.num_samples": "positive",
    "kernels.residual.layers": "thing",
    "closed_forms.from_data.labels": "thing",
    "closed_forms.convex_erm.loss": "name",
    "closed_forms.edge_of_chaos.activation": "function",
    **dict.fromkeys([f"closed_forms.{name}.variance" for name in ("signal_limit", "signal_layers")], "positive"),
    "closed_forms.margin_loss.value": "function",
    "closed_forms.least_squares_gd.steps": "at least zero",
    "closed_forms.least_squares_gd.learning_rate": "at least zero",
    "closed_forms.MarginLoss.value": "function",
    **dict.fromkeys(
        [f"closed_forms.{name}.learning_rate" for name in ("momentum_rate", "noise_floor", "quadratic_descent")],
        "at least zero",
    ),
    "closed_forms.quadratic_descent.steps": "at least zero",
    "closed_forms.quadratic_descent.initial": "number",
    "closed_forms.optimal_momentum.method": "name",
    "closed_forms.decayed_minimum.curvature": "positive",
    "closed_forms.adam_drift.gradients": "rows with positions",
    **dict.fromkeys([f"closed_forms.{name}.steps" for name in ("descent_bounds", "accelerated_bounds")], "positive"),
    "closed_forms.marchenko_pastur.quadrature.num_nodes": "count",
    "closed_forms.marchenko_pastur.density.eigenvalue": "number",
    "kernels.bridge.ScaledNetwork.scale": "positive",
    "kernels.bridge.tangent_prediction.network": "thing",
    "closed_forms.misspecified.visible_fraction": "part",
    "closed_forms.power_law.penalty": "at least zero?",
    "closed_forms.lasso.penalty": "positive",
    "closed_forms.convex_erm.penalty": "at least zero",
    "closed_forms.projected_features.num_features": "positive",
    "closed_forms.projected_features.num_samples": "positive",
    "closed_forms.ridge_general.num_samples": "positive",
    "closed_forms.power_law.num_samples": "positive",
    "plot.finite_size.step": "count or zero?",
    "gallery.double_descent.num_samples": "thing",
    "gallery.double_descent.num_runs": "thing",
    "gallery.random_features.num_inputs": "thing",
    "gallery.random_features.num_runs": "thing",
    "priors.gaussian.mean": "number",
    **{f"estimators.{name}.learning_rate": "positive?" for name in ("NetworkClassifier", "NetworkRegressor")},
    "spectra.power_law.target_exponent": "number?",
}
RATIONALS = ("samples_per_feature", "learning_rate", "signal_power", "initial_power", "noise_variance")
OTHERWISE |= {f"closed_forms.rational_gd.{name}": "rational" for name in RATIONALS}
OTHERWISE["closed_forms.rational_gd.samples_per_feature"] = "positive rational"
