"""The entries of the table of numbers: calls of public names at small sizes, none of which moves with the code."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import dyntheory as dt
from dyntheory import closed_forms as cf
from dyntheory import gallery
from dyntheory import kernels as k
from tests.registry import default_rows

KEY = jax.random.key(5)
LAW = dt.TeacherStudent(2.0, "sin_mixture", 0.3)
ROWS = np.random.default_rng(3).normal(size=(80, 30))
LABELS = np.sin(ROWS[:, :3].sum(axis=1))
Entries = dict[str, Callable[[], Any]]


def problems() -> Entries:
    """Return every row of the registry, predicted and simulated."""
    entries: Entries = {}
    for row in default_rows():

        def asked(row: Any = row) -> tuple[Any, Any, dict[str, Any]]:
            method = row.make()
            return row.labelled.law, method, {"first_layer": row.first_layer(method.num_units), "key": KEY}

        def predicted(asked: Any = asked) -> Any:
            law, method, options = asked()
            return dt.predict(law, method, num_steps=3, num_nodes=2**11, **options)

        def simulated(asked: Any = asked) -> Any:
            law, method, options = asked()
            return dt.simulate(law, method, num_steps=3, num_features=40, num_runs=2, num_test_nodes=2**8, **options)

        entries |= {f"predict {row}": predicted, f"simulate {row}": simulated}
    return entries


def tanh_network(optimizer: Any = optax.sgd, **numbers: float) -> dt.GeneralFirstOrderMethod:
    """Return the reference method."""
    return dt.gradient_descent(dt.MLP((2, 2), "tanh"), optimizer, **(numbers or {"learning_rate": 0.4}))


def predictions() -> Entries:
    """Return predictions with their options, and what else is asked of the limit."""
    adam = tanh_network(optax.adam, learning_rate=0.05)

    def rates(rate: float) -> dict[str, Any]:
        return {"law": LAW, "method": tanh_network(learning_rate=rate)}

    return {
        "predict rtol": lambda: dt.predict(LAW, tanh_network(), num_steps=4, rtol=0.02, num_nodes=2**11, key=KEY),
        "predict heads": lambda: dt.predict(LAW, tanh_network(), num_steps=3, num_nodes=2**11, num_heads=2, key=KEY),
        "predict drop": lambda: dt.predict(LAW, adam, num_steps=6, num_nodes=2**12, drop_below=1e-3, key=KEY),
        "predict long": lambda: dt.predict(LAW, tanh_network(), num_steps=40, num_nodes=2**12, key=KEY),
        "predict diverged": lambda: dt.predict(LAW, tanh_network(learning_rate=40.0), num_steps=9, key=KEY),
        "sensitivity": lambda: dt.sensitivity(rates, 0.3, num_steps=3, num_nodes=2**11, key=KEY),
        "responses": lambda: dt.responses(LAW, tanh_network(), num_steps=3, num_nodes=2**11, key=KEY),
        "applicability": lambda: dt.applicability(
            LAW, tanh_network(), num_steps=4, num_samples=80, num_features=30, inputs=ROWS
        ),
        "prediction_cost": lambda: dt.prediction_cost(LAW, adam, num_steps=9, num_nodes=2**12),
    }


def simulations() -> Entries:
    """Return ensembles with their options, and what compares them with predictions."""
    adam = tanh_network(optax.adam, learning_rate=0.05)
    sizes: dict[str, Any] = {"num_steps": 3, "num_features": 60, "num_runs": 4, "key": KEY}

    def compared() -> Any:
        theory = dt.predict(LAW, tanh_network(), num_steps=3, num_nodes=2**11, key=KEY)
        return dt.compare(theory, dt.simulate(LAW, tanh_network(), **sizes)), theory.preactivations(2)

    def extrapolated() -> Any:
        return dt.finite_size(LAW, tanh_network(), num_steps=3, sizes=(20, 40, 80), num_runs=4, key=KEY)

    return {
        "simulate revealed": lambda: dt.simulate(LAW, adam, matrix="revealed", **sizes),
        "simulate rademacher": lambda: dt.simulate(LAW, adam, inputs="rademacher", num_heads=2, **sizes),
        "simulate rows": lambda: dt.simulate(
            LAW, tanh_network(), inputs=np.tile(ROWS, (3, 1)), **{**sizes, "num_features": 30, "num_runs": 2}
        ),
        "simulate rtol": lambda: dt.simulate(LAW, tanh_network(), rtol=0.1, dtype="float32", **sizes),
        "compare": compared,
        "finite_size": extrapolated,
    }


def estimates() -> Entries:
    """Return what is said of one training run, and of rows before any training."""
    data = (ROWS, LABELS)
    spectrum = np.linspace(0.5, 1.5, ROWS.shape[1])
    batches = dt.mini_batches(tanh_network(), 0.5)
    methods = [tanh_network(learning_rate=rate) for rate in (0.1, 0.3)]
    return {
        "estimate": lambda: dt.estimate(*data, tanh_network(), num_steps=5, key=KEY),
        "estimate spectrum": lambda: dt.estimate(
            *data, tanh_network(), num_steps=5, covariance=spectrum, key=KEY, test_data=data
        ),
        "estimate mini-batches": lambda: dt.estimate(*data, batches, num_steps=5, covariance="shrinkage", key=KEY),
        "teacher_direction": lambda: dt.teacher_direction(*data, tanh_network(), num_steps=8, key=KEY),
        "tune": lambda: dt.tune(*data, methods, num_steps=4, key=KEY),
        "assumption_report": lambda: dt.assumption_report(*data),
        "fit_law": lambda: dt.fit_law(*data),
        "fit_law moments": lambda: dt.fit_law(*data, num_samples=60, noise="moments"),
    }


def kernel_networks() -> dict[str, tuple[Any, tuple[int, ...]]]:
    """Return architectures with the shape of their inputs."""
    flat, image = (6, 5), (3, 6, 6, 2)
    units = {
        name: getattr(k, name)() for name in ("abs", "cos", "erf", "exp", "gaussian", "gelu", "relu", "sin", "sign")
    }
    dense = {
        name: (k.serial(k.dense(32, weight_std=1.4, bias_std=0.1), unit, k.dense(8), unit, k.dense(1)), flat)
        for name, unit in units.items()
    }
    conv = k.serial(k.conv(4, (3, 3)), k.relu(), k.average_pool((2, 2)), k.conv(4, (3, 3)), k.gelu())
    return dense | {
        "leaky": (k.serial(k.dense(8), k.layer_norm(), k.leaky_relu(0.2), k.dense(1)), flat),
        "polynomial": (k.serial(k.dense(8), k.polynomial([0.3, 1.0, 0.5]), k.dense(1)), flat),
        "residual": (k.serial(k.dense(8), k.residual(k.relu(), k.dense(8)), k.dropout(0.8), k.dense(1)), flat),
        "elementwise": (k.serial(k.dense(8), k.elementwise(jnp.tanh), k.dense(1)), flat),
        "conv": (k.serial(conv, k.flatten(), k.dense(1)), image),
        "pooled": (k.serial(conv, k.global_average_pool(), k.dense(1)), image),
    }


def kernels() -> Entries:
    """Return kernels of architectures, and what is computed from kernels."""
    entries: Entries = {}
    for name, (network, shape) in kernel_networks().items():
        x = np.random.default_rng(0).normal(size=shape)
        entries[f"kernel {name}"] = lambda network=network, x=x: network.kernel(x, x[:2])
    x = np.random.default_rng(4).normal(size=(12, 5))
    y, fresh = np.sin(x[:, :1]), x[:4] + 0.3
    network = k.serial(k.dense(16), k.relu(), k.dense(1))
    spectrum = k.power_law(1.5, 0.7, 50)

    def trained() -> Any:
        model = k.train(network.kernel(x), y, ridge=0.01)
        cross = network.kernel(fresh, x)
        times = np.array([0.5, 3.0, np.inf])
        return [model.predict(cross, time=time) for time in times], k.posterior(
            network.kernel(x), y, cross, noise_std=0.2
        )

    def empirical() -> Any:
        with jax.enable_x64(True):
            params = network.init(KEY, x.shape)
            return k.empirical_ntk(network.apply, params, jnp.asarray(x))

    return entries | {
        "kernel train": trained,
        "empirical_ntk": empirical,
        "learning_curve": lambda: k.learning_curve(spectrum, np.array([5.0, 20.0, 45.0]), ridge=1e-3, noise_std=0.1),
        "spectrum_of": lambda: k.spectrum_of(network.kernel(x).nngp, y),
        "sgd_moments": lambda: k.sgd_moments(network.kernel(x).ntk, y, learning_rate=0.1, batch_size=4, num_steps=9),
        "train_on_loss": lambda: k.train_on_loss(network.kernel(x).ntk, np.sign(y), "logistic", times=[0.5, 4.0]),
        "solve": lambda: k.solve(network.kernel(x).ntk, y, ridge=0.1),
        "kernel_evolution": lambda: k.kernel_evolution(
            lambda w, x: x @ w**2, [np.ones(5), np.array([2.0, 1, 1, 0, 1])], x, y[:, 0]
        ),
    }


def least_squares() -> Entries:
    """Return closed forms of regression on Gaussian inputs at a few points."""
    alpha = np.array([0.4, 0.9, 1.3, 3.0])
    x = np.random.default_rng(6).normal(size=(40, 12))
    data = cf.from_data(x, x[:, 0] + 0.1 * x[:, 1])
    prior = dt.priors.bernoulli_gauss(0.2)
    return {
        "ridgeless": lambda: cf.ridgeless(alpha, noise_std=0.5),
        "ridge": lambda: cf.ridge(alpha, 0.1, noise_std=0.5),
        "optimal": lambda: (cf.optimal_penalty(alpha, noise_std=0.5), cf.optimal_ridge(alpha, noise_std=0.5)),
        "misspecified": lambda: cf.misspecified(alpha, visible_fraction=0.6, noise_std=0.5),
        "least_squares_gd": lambda: cf.least_squares_gd(2.0, 0.3, steps=np.arange(20), noise_std=0.5),
        "least_squares_flow": lambda: cf.least_squares_flow(0.5, times=np.linspace(0, 9, 7), noise_std=0.5),
        "rational_gd": lambda: cf.rational_gd(2, Fraction(1, 4), step=4)._asdict() | {},
        "lasso": lambda: cf.lasso(0.5, penalty=0.2, prior=prior, noise_std=0.1),
        "lasso_state_evolution": lambda: cf.lasso_state_evolution(
            0.5, threshold_ratio=1.2, prior=prior, noise_std=0.1, num_steps=9
        ),
        "bayes": lambda: cf.bayes_state_evolution(0.5, prior=prior, noise_std=0.1, num_steps=9),
        "from_data": lambda: data,
        "ridge_general": lambda: cf.ridge_general([5, 10, 20], 0.05, **data._asdict()),
        "projected": lambda: cf.projected_features([4, 8, 16], 20, 0.05, **data._asdict()),
    }


def theories() -> Entries:
    """Return the other closed forms at a few points."""
    return {
        "random_features": lambda: cf.random_features(1.0, 3.0, penalty=1e-3, activation="relu", noise_std=0.2),
        "hermite": lambda: cf.hermite_coefficients("relu"),
        "mei_montanari": lambda: cf.mei_montanari_excess(
            1.0, 3.0, penalty=1e-3, linear=0.5, nonlinear=0.3, noise_std=0.2
        ),
        "convex_erm": lambda: cf.convex_erm(2.0, penalty=0.1, loss="hinge", teacher="sign"),
        "convex_erm logistic": lambda: cf.convex_erm(2.0, penalty=0.1, loss="logistic", teacher="logistic"),
        "logistic_mle": lambda: cf.logistic_mle(6.0, signal_power=2.0),
        "max_margin": lambda: cf.max_margin(2.0, teacher="sign"),
        "separability": lambda: cf.separability_threshold(),
        "power_law": lambda: cf.power_law(np.array([10.0, 100.0]), capacity=1.5, source=0.6, penalty=1e-3),
        "spiked_wigner": lambda: cf.spiked_wigner(np.array([0.7, 1.5])),
        "spiked_wigner_amp": lambda: cf.spiked_wigner_amp(1.5, 0.1, num_steps=5),
        "edge_of_chaos": lambda: cf.edge_of_chaos("tanh", 0.05),
        "compressed_sensing": lambda: cf.compressed_sensing_threshold(np.array([0.2, 0.6])),
        "marchenko_pastur": lambda: cf.marchenko_pastur.density(np.linspace(0.1, 3, 9), 0.5),
    }


def pictures() -> Entries:
    """Return the numbers behind the pictures of the field."""
    return {
        "gallery double": lambda: gallery.double_descent(seed=1),
        "gallery benign": lambda: gallery.benign_overfitting(seed=1),
        "gallery stopping": lambda: gallery.early_stopping(),
        "gallery features": lambda: gallery.random_features(),
    }


def entries() -> Entries:
    """Return all entries by name."""
    formulas = {f"closed form {name}": call for name, call in (least_squares() | theories()).items()}
    return problems() | predictions() | simulations() | estimates() | kernels() | formulas | pictures()
