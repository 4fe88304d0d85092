"""Claim: Closed forms of regression, random matrices and deep initialisation are what finite random problems do.

PASS RULE. For every quantity the mean over runs lies within 4 standard errors of the formula plus an allowance for the
finite size, 3/n relative (n the smaller dimension of the matrix) unless said otherwise (a first run with few samples
set the allowances of rules 3 and 4):

1. least squares and ridge: bias, variance and train error at γ = d/n from 0.3 to 3, at no, a small and the best
   penalty, and with hidden features; allowance 3/n over |1 − γ|, of the signal's power;
2. gradient descent and flow: train and test error at six times;
3. ridge on a power-law covariance: train and test error at five n; allowance (1 % + 3/n) of the test error;
4. a user's data: scikit-learn's ridge on n of the diabetes patients and of the digit images (parity as the target),
   tested on the rest, against `from_data` on all of them: train and test error; allowance 3 % of the test error,
   because the inputs are not Gaussian and the target is not linear;
5. eigenvalues: moments 1 to 4 of XᵀX/n; top eigenvalue and eigenvector of a spiked matrix at λ = 1.5, 2, 3;
6. edge of chaos: variance of a preactivation and growth of the squared gradient per layer in tanh, erf and ReLU
   networks of 600 units; allowance 2 % of the variance, 0.01 in the growth.

Standard errors must be small for this to say anything: a mean with one above 10 % of the scale leaves the claim
unresolved (exit status 3).

NEGATIVE CONTROLS, each of which must fail the same rule: ridge with the penalty halved (the convention with ½ in
front), gradient descent with η/α for η, and the initialisation (2, 0) of ReLU in a tanh network.
Exit status 1 when a rule fails or a control passes.

    python -m validation.closed_forms [--quick]    # writes validation/results/closed_forms.*

Reference: `hastie2022surprises`, `dobriban2018high`, `advani2020high`, `ali2019continuous`, `cui2021generalization`,
`marchenko1967distribution`, `benaych2011eigenvalues`, `schoenholz2017deep`.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from dyntheory import closed_forms
from dyntheory.plot.style import finish, new_figure
from validation.claim import Claim, Verdict
from validation.closed_form_cases import (
    ACTIVATIONS,
    SIGMA,
    TIMES,
    Found,
    Settings,
    data_cases,
    descent_cases,
    eigenvalue_cases,
    network_case,
    regression_cases,
    spectrum_cases,
    summary,
    verdict,
)
from validation.record import aligned

COLORS = ("#0b3c78", "#e8743b", "#3f7f5f", "#b48ac8")


def run(settings: Settings) -> Found:
    """Return all cases, and how far beyond its rule each control is."""
    cases = regression_cases(settings) | descent_cases(settings) | spectrum_cases(settings)
    cases |= data_cases(settings) | eigenvalue_cases(settings)
    for name in ACTIVATIONS:
        edge = closed_forms.edge_of_chaos(name, 0.5)
        found = network_case(name, (float(edge.weight_variance), float(edge.bias_variance)), 0.5, settings)
        cases[f"{name} network"] = found
    held = cases["best ridge"]
    halved = closed_forms.ridge(1 / held.axis, SIGMA**2 * held.axis / 2, noise_std=SIGMA)
    wrong = closed_forms.least_squares_gd(2.0, 0.15, steps=TIMES, initial_power=1.0, noise_std=SIGMA)
    controls = {
        "penalty halved": held.excess(np.stack([halved.bias, halved.variance, halved.train_error], axis=-1)),
        "η/α for η": cases["descent, α = 2"].excess(np.stack(wrong, axis=-1)),
        "(2, 0) with tanh": network_case("tanh", (2.0, 0.0), 0.5, settings).excess(),
    }
    return cases, controls


def judge(found: Found, settings: Settings) -> Verdict:
    """Apply the rule; keep the gaps on real data as well."""
    outcome, numbers = verdict(found)
    real = {name: found[0][name] for name in ("diabetes", "digits")}
    gaps = {
        name: dict(zip(held.names, (held.runs.mean(axis=0) / held.expected - 1).T, strict=True))
        for name, held in real.items()
    }
    return outcome, {**summary(found), "relative gap on real data": gaps, **numbers}


def draw(found: Found, settings: Settings) -> Figure:
    """Draw formulas as lines and means over runs as points for six of the cases."""
    cases, _ = found
    figure = new_figure(10.5, 6.2)
    shown = ("ridgeless", "best ridge", "descent, α = 2", "power law", "diabetes", "digits")
    for axes, name, letter in zip(figure.subplots(2, 3).flat, shown, "abcdef", strict=True):
        held, has_gamma = cases[name], "ridge" in name
        axis = held.axis + (0.5 if name.startswith("descent") else 0.0)
        fine = np.linspace(0.2, 3.2, 400)
        formula = closed_forms.ridgeless if name == "ridgeless" else closed_forms.optimal_ridge
        for k, (part, color, dash) in enumerate(zip(held.names, COLORS, ("-", "--", ":"), strict=False)):
            line = getattr(formula(1 / fine, noise_std=SIGMA), part) if has_gamma else held.expected[:, k]
            axes.plot(fine if has_gamma else axis, line, color=color, ls=dash, lw=1.5, label=part.replace("_", " "))
            mean, bars = held.runs.mean(axis=0)[:, k], 2 * held.errors[:, k]
            axes.errorbar(axis, mean, bars, fmt="osD"[k], color=color, mfc="white", ms=4.5, capsize=2)
        if has_gamma:
            axes.set_ylim(-0.05, 1.6 if name == "ridgeless" else 0.8)
        else:
            axes.set(xscale="log", yscale="log" if name == "power law" else "linear")
            axes.set_xticks(axis, [f"{x:g}" for x in held.axis])
            axes.xaxis.set_minor_locator(NullLocator())
        finish(axes, XLABELS[name], "mean squared error", f"({letter}) {TITLES[name]}")
        axes.legend(frameon=False, fontsize="small")
    return figure


XLABELS = {
    "ridgeless": r"$\gamma = d/n$",
    "best ridge": r"$\gamma = d/n$",
    "descent, α = 2": "step $t$ (drawn at $t$ + 1/2)",
    "power law": "number of samples $n$",
    "diabetes": "number of samples $n$",
    "digits": "number of samples $n$",
}
TITLES = {
    "ridgeless": "minimum-norm least squares",
    "best ridge": "ridge, best penalty",
    "descent, α = 2": r"gradient descent, $\alpha = 2$",
    "power law": "ridge, power-law covariance",
    "diabetes": "ridge on diabetes data",
    "digits": "ridge on digit images, parity",
}


CLAIM = Claim(
    "closed_forms",
    __doc__,
    pass_rule="See the docstring: within 4 standard errors plus a stated allowance; three controls fail.",
    settings=Settings,
    quick=Settings(num_samples=120, num_runs=30, num_data_runs=40, num_units=200, num_networks=30),
    measure=run,
    judge=judge,
    table=lambda found, _: aligned(summary(found)),
    draw=draw,
)


if __name__ == "__main__":
    raise SystemExit(CLAIM.command())
