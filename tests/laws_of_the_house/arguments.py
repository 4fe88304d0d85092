"""What every public callable takes: a call that is right, and of what kind each parameter is.

A public callable without a row in `CALLS`, or a parameter without a kind, fails the walk.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import dyntheory as dt
from dyntheory import closed_forms, estimators, gallery, kernels, plot, priors, spectra, wide
from dyntheory.closed_forms import marchenko_pastur
from dyntheory.flows import charges, deep_linear, memory, online, perceptron
from dyntheory.ground.storage.saved import Saved
from dyntheory.kernels import bridge
from tests.laws_of_the_house.kinds import LEGIT, NUMBERS, OF_KIND, OTHERWISE
from tests.laws_of_the_house.right_values import CALLS, EYE, GIVEN, PAIR, ROWS, THEORY

INSIDE = ("gauss_angles",)  # of traced values, for the closed forms beside it
BROADCASTING = ("closed_forms.", "deep_linear.half_time", "memory.", "perceptron.gardner", "perceptron.separable")
SINGLE = ("data_spectrum", "Recall")
RECORDS = (dt.Status, priors.Prior, kernels.Layer, kernels.TrainedKernel)


def _doors() -> dict[str, Any]:
    found = {"": dt, "kernels": kernels, "closed_forms": closed_forms, "plot": plot, "priors": priors}
    flows = {
        "charges": charges,
        "deep_linear": deep_linear,
        "memory": memory,
        "online": online,
        "perceptron": perceptron,
    }
    return found | flows | {"spectra": spectra, "estimators": estimators, "gallery": gallery, "wide": wide}


def _is_record(value: Any) -> bool:
    """Return whether a class holds what a verb has made, and what it is given: named tuples, results, exceptions."""
    if not isinstance(value, type):
        return False
    is_tuple = issubclass(value, tuple) and hasattr(value, "_fields")
    return is_tuple or issubclass(value, Saved | Exception) or value in RECORDS


def _is_warning(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Warning)


def public_callables() -> dict[str, Callable[..., Any]]:
    """Return every public function and class by name, but for records."""
    found: dict[str, Any] = {}
    for door, module in _doors().items():
        for name in module.__all__:
            value = getattr(module, name)
            if callable(value) and not _is_record(value) and not _is_warning(value):
                found[f"{door}.{name}".removeprefix(".")] = value
    for door, module in {"closed_forms.marchenko_pastur": marchenko_pastur, "kernels.bridge": bridge}.items():
        own = {name: one for name, one in vars(module).items() if getattr(one, "__module__", "") == module.__name__}
        names = [
            name for name, one in own.items() if not name.startswith("_") and name not in INSIDE and not _is_record(one)
        ]
        found |= {f"{door}.{name}": own[name] for name in names}
    return found


METHODS: dict[str, Callable[..., Any]] = {  # methods that a user calls
    "FirstLayer.from_weights": dt.FirstLayer.from_weights,
    "Trajectory.at": THEORY.at,
    "Trajectory.expect": THEORY.expect,
    "Trajectory.preactivations": THEORY.preactivations,
    "Trajectory.save": THEORY.save,
    "kernels.Layer.init": PAIR.init,
    "kernels.Layer.kernel": PAIR.kernel,
    "memory.Recall.iterate": memory.hopfield(0.05, 0.1).iterate,
    "memory.Recall.simulate": memory.hopfield(0.05, 0.1).simulate,
    "kernels.TrainedKernel.predict": kernels.train(EYE, np.ones(3)).predict,
}


class Case(NamedTuple):
    """One public callable with a right call, and what each of its parameters takes."""

    name: str
    function: Callable[..., Any]
    given: dict[str, Any]
    kinds: dict[str, str]

    def legit(self, parameter: str) -> set[str]:
        """Return which of the wrong values are right here."""
        kind = self.kinds[parameter]
        right = set(LEGIT[kind.removesuffix("?")].split()) | ({"none"} if kind.endswith("?") else set())
        broadcasts = self.name.startswith(BROADCASTING) and not any(one in self.name for one in SINGLE)
        return right | {"deep"} if broadcasts and kind.removesuffix("?") in NUMBERS else right

    def call(self, parameter: str, value: Any) -> Any:
        """Call with one value in place of the right one."""
        parameters = inspect.signature(self.function).parameters
        if parameter in parameters and parameters[parameter].kind is inspect.Parameter.VAR_POSITIONAL:
            lead = [self.given[name] for name, one in parameters.items() if one.kind is one.POSITIONAL_OR_KEYWORD]
            return self.function(*lead, value)
        given = self.given | {parameter: value}
        rest = given.pop("*", ())
        if rest:
            lead = [name for name, one in parameters.items() if one.kind is one.POSITIONAL_OR_KEYWORD]
            return self.function(*map(given.pop, lead), *rest, **given)
        return self.function(**given)


def _fitted(cls: Any) -> Callable[..., Any]:
    """Return what makes an estimator of scikit-learn's form and fits it: its constructor may not look at arguments."""

    @functools.wraps(cls)
    def fit(**given: Any) -> Any:
        return cls(**(given | {"num_steps": given.get("num_steps", 1)})).fit(ROWS, np.sign(ROWS[:, 0]))

    return fit


def cases() -> list[Case]:
    """Return every public callable that takes anything."""
    found = []
    for name, function in (public_callables() | METHODS).items():
        parameters = inspect.signature(function).parameters
        is_keyword = inspect.Parameter.VAR_KEYWORD
        needed = {
            one.name: GIVEN[one.name]
            for one in parameters.values()
            if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, is_keyword) and one.name in GIVEN
        }
        names = [one for one in parameters if parameters[one].kind is not is_keyword]
        kinds = {one: OTHERWISE.get(f"{name}.{one}") or OF_KIND[one] for one in names}
        # Without the hook of the tests, which refuses some values before the library is asked.
        plain = function if inspect.ismethod(function) else inspect.unwrap(function)
        called = _fitted(function) if name.startswith("estimators.") else plain
        found.append(Case(name, called, needed | CALLS.get(name, {}), kinds))
    return [case for case in found if case.kinds]
