"""A problem is the same on another machine, where all that is computed on the way to it is rounded differently."""

import dataclasses
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.ground.identity import request
from dyntheory.ground.precision import double_precision
from dyntheory.kernels import duals
from dyntheory.problem import prepared
from dyntheory.problem.laws import first_layer, fit_law, mixture, priors, spectra
from dyntheory.problem.laws.first_layer import FirstLayer
from dyntheory.problem.networks.network import MLP
from dyntheory.problem.prepared import Given, identity_of, prepare

RNG = np.random.default_rng(0)
ROWS, LABELS, DRAW = RNG.normal(size=(40, 4)), RNG.normal(size=40), RNG.normal(size=(12, 3))
DATA = ROWS + ROWS[:, [1, 0, 3, 2]] ** 2
SGD = dt.gradient_descent(MLP((2,)), optax.sgd, learning_rate=0.1)
AMP = dt.bayes_amp(dt.priors.rademacher())
Problem = tuple[dt.TeacherStudent, dt.GeneralFirstOrderMethod, Given]


def _law(**changes: Any) -> dt.TeacherStudent:
    return dt.TeacherStudent(2.0, "sin", 0.3, **changes)


MADE: dict[str, Callable[[float], Problem]] = {  # of one number
    "power law": lambda x: (_law(features=spectra.power_law(0.5 * x, num_modes=20, target_exponent=0.8)), SGD, Given()),
    "two levels": lambda x: (_law(features=spectra.two_level(0.3, 7.0 * x)), SGD, Given()),
    "spectrum of rows": lambda x: (_law(features=spectra.spectrum_of(x * DATA)), SGD, Given()),
    "laplace": lambda x: (_law(teacher_prior=priors.laplace(0.7 * x)), SGD, Given()),
    "laplace in a method": lambda x: (_law(), dt.bayes_amp(priors.laplace(0.7 * x)), Given()),
    "two priors": lambda x: (_law(teacher_prior=(priors.laplace(x), priors.laplace(0.5))), SGD, Given()),
    "clouds": lambda x: (mixture.gaussian_mixture(2.0, 1.0, balance=0.4 * x), SGD, Given()),
    "fitted": lambda x: (fit_law.fit_law(DATA, LABELS * x).law, SGD, Given()),
    "learning rate": lambda x: (_law(), dt.gradient_descent(MLP((2,)), optax.sgd, learning_rate=0.1 * x), Given()),
    "draw": lambda x: (_law(), SGD, Given(first_layer=FirstLayer.from_weights(x * DRAW[:, :2], DRAW[:, 2:]))),
    "moments": lambda x: (_law(), SGD, Given(first_layer=FirstLayer(second_moment=x * np.eye(2)))),
}


def _nudged(tree: Any) -> Any:
    """Return the same with every float moved by one unit in its last place."""

    def nudge(leaf: Any) -> Any:
        if isinstance(leaf, float) or jnp.issubdtype(getattr(leaf, "dtype", int), jnp.floating):
            moved = np.nextafter(np.asarray(leaf), np.inf)
            return jnp.asarray(moved) if isinstance(leaf, jax.Array) else moved[()]
        return leaf

    return jax.tree.map(nudge, tree)


def _another_machine(patch: pytest.MonkeyPatch) -> None:
    """Round all that is derived from what was asked for up by an ulp."""

    def after(module: Any, name: str) -> None:
        original = getattr(module, name)
        patch.setattr(module, name, lambda *arguments, **more: _nudged(original(*arguments, **more)))

    def before(module: Any, name: str) -> None:
        original = getattr(module, name)
        patch.setattr(module, name, lambda *arguments, **more: original(*_nudged(arguments), **_nudged(more)))

    after(spectra, "_normalised")
    before(spectra, "Spectrum")
    before(fit_law, "Spectrum")
    before(fit_law, "HermiteSeries")
    after(priors, "GaussianMixture")
    after(mixture, "ndtri")
    after(prepared, "joint_second_moment")
    after(jax.random, "normal")  # of which heads are drawn
    check = FirstLayer._check_draw

    def check_draw(self: FirstLayer) -> None:
        check(self)
        for name in ("second_moment", "teacher_overlap"):
            object.__setattr__(self, name, _nudged(getattr(self, name)))

    patch.setattr(first_layer.FirstLayer, "_check_draw", check_draw)


@pytest.fixture(autouse=True)
def _not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every link anew, and leave those that other tests hold as they are."""
    monkeypatch.setattr(mixture, "_two_classes", mixture._two_classes.__wrapped__)


def _identity(name: str, number: float = 1.0) -> dict[str, Any]:
    law, method, given = MADE[name](number)
    key = jax.random.key(3)
    with double_precision():
        ready = prepare(law, method, key, head=given.head, first_layer=given.first_layer, num_heads=1)
        return identity_of(ready, given, key)


@pytest.fixture
def elsewhere() -> Callable[[str], dict[str, Any]]:
    """Return what gives the identity of a problem on another machine."""

    def identity(name: str) -> dict[str, Any]:
        with pytest.MonkeyPatch.context() as patch:
            _another_machine(patch)
            return _identity(name)

    return identity


@pytest.mark.parametrize("name", MADE)
def test_identities_rest_on_what_was_asked(name: str, elsewhere: Callable[[str], dict[str, Any]]) -> None:
    here = _identity(name)
    assert elsewhere(name) == here == _identity(name)
    other = _identity(name, 1 + 1e-9)
    changed = {field for field in here if here[field] != other[field]}
    assert len(changed) == 1 and changed <= {"law", "method", "first_layer"}


DERIVED = ("power law", "two levels", "spectrum of rows", "laplace", "laplace in a method", "clouds", "fitted")


@pytest.mark.parametrize("name", DERIVED)
def test_the_other_machine_is_another_one(
    name: str, elsewhere: Callable[[str], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: by the bits of what was computed, the problem would be another one there."""
    monkeypatch.setattr("dyntheory.ground.identity.fingerprint.request_of", lambda value: None)
    assert elsewhere(name) != _identity(name)


def test_a_head_that_was_given_counts_and_one_that_was_drawn_does_not() -> None:
    law, method, _ = MADE["learning rate"](1.0)
    key = jax.random.key(3)
    with double_precision():
        head = method.init_head(jax.random.key(1))
        found = []
        for one in (None, head, _nudged(head)):
            ready = prepare(law, method, key, head=one, first_layer=None, num_heads=1)
            found.append(identity_of(ready, Given(one), key)["head"])
    assert len(set(found)) == 3 and found[0] is None


def test_a_changed_copy_counts_by_its_numbers() -> None:
    """What was asked for goes with the object, not with copies that hold something else, nor with its arrays."""
    spectrum = spectra.power_law(0.5, num_modes=4)
    assert request.request_of(spectrum) == request.request_of(spectra.power_law(np.float64(0.5), num_modes=4))
    assert request.request_of(spectrum) != request.request_of(spectra.power_law(0.5, num_modes=5))
    for copy in (dataclasses.replace(spectrum), jax.tree.map(lambda leaf: 1.0 * leaf, spectrum)):
        assert request.request_of(copy) is None
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(spectrum.eigenvalues)[0] = 3.0
    asked: list[str | None] = []
    jax.jit(lambda x: asked.append(request.request_of(spectra.power_law(x, num_modes=3))))(0.5)
    assert asked == [None]


def test_duals_are_known_by_what_was_asked_for() -> None:
    assert request.request_of(duals.sinusoid(1.0, 2.0, 0.3)) == request.request_of(duals.sinusoid(1, 2, 0.3))
    assert request.request_of(dt.kernels.rbf(0.7)) != request.request_of(dt.kernels.rbf(0.7 + 1e-12))


def test_the_threshold_between_two_clouds_is_in_double_precision() -> None:
    """It was computed in whatever precision the first caller had, and kept for all others."""
    cells = mixture._two_classes(0.3).function.__closure__ or ()
    assert [cell.cell_contents for cell in cells] == [pytest.approx(NormalDist().inv_cdf(0.3), rel=1e-14)]
