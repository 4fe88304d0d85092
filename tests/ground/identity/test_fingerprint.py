"""Two computations have one fingerprint exactly when they do the same: what a function does counts, not where it is."""

import dataclasses
import functools
import operator
import sys
import threading
import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx

import dyntheory as dt
from dyntheory.ground.identity.fingerprint import fingerprint
from tests.registry import LAWS, OPTIMIZERS, default_rows

PROGRAM = '''
import functools
import math
import jax
import jax.numpy as jnp
import {settings}

SCALE = 1.5

class Base:
    offset = 1.0

    def shifted(self, z):
        return z + self.offset

class Link(Base):
    __slots__ = ("factor",)

    def __init__(self, factor):
        self.factor = factor

    def __call__(self, z):
        return self.factor * self.shifted(z)

class Fixed:
    """A callable whose numbers are of its class."""

    power = 2

    @property
    def doubled(self):
        return 2 * self.power

    @functools.cached_property
    def slow(self):
        return 3 * self.power

    def __call__(self, z):
        return z**self.doubled + self.slow

def helper(z):
    return 2.0 * z

def deep(z):
    return helper(z) + 1

def even(n):
    return True if n == 0 else odd(n - 1)

def odd(n):
    return False if n == 0 else even(n - 1)

def decorated(function):
    @functools.wraps(function)
    def wrapper(z):
        return 3 * function(z)
    return wrapper

@decorated
def wrapped(z):
    return z

@jax.jit
def compiled(z):
    return helper(z)

@jax.custom_jvp
def special(z):
    return z

special.defjvp(lambda primals, tangents: (special(primals[0]), 5.0 * tangents[0]))

def of_module(z):
    return {settings}.rate * z

def imports(z):
    import {settings} as found
    return found.rate * z

def nested(z):
    def inner(y):
        return 4 * y + SCALE
    return jax.vmap(inner)(z)

def defaults(z, power=2, *, shift=1.0):
    return z**power + shift

def make(value):
    return lambda z: value * z

def empty():
    if False:
        value = 1.0
    return lambda z: value * z

one, other = (lambda z: z), (lambda z: 2 * z)
WANTED = dict(
    one=one, other=other, deep=deep, link=Link(2.0), method=Link(2.0).shifted, fixed=Fixed(), even=even,
    wrapped=wrapped, compiled=compiled, special=special, of_module=of_module, imports=imports, nested=nested,
    defaults=defaults, closure=make(1.0), empty=empty(), partial=functools.partial(defaults, power=3),
    own_class=Link, library=lambda z: jnp.tanh(z) + math.pi,
)
'''
CHANGES = {  # what is written differently, and which of the values above do something else then
    ("lambda z: 2 * z)", "lambda z: 3 * z)"): {"other"},
    ("SCALE = 1.5", "SCALE = 1.6"): {"nested"},
    ("2.0 * z", "2.5 * z"): {"deep", "compiled"},
    ("offset = 1.0", "offset = 1.1"): {"link", "method", "own_class"},
    ("self.factor * self", "self.factor + self"): {"link", "method", "own_class"},
    ("Link(2.0)", "Link(2.1)"): {"link", "method"},
    ("power = 2\n", "power = 4\n"): {"fixed"},
    ("return 2 * self.power", "return 5 * self.power"): {"fixed"},
    ("False if n == 0", "None if n == 0"): {"even"},
    ("3 * function(z)", "4 * function(z)"): {"wrapped"},
    ("5.0 * tangents", "6.0 * tangents"): {"special"},
    ("4 * y", "5 * y"): {"nested"},
    ("power=2, *", "power=5, *"): {"defaults", "partial"},
    ("shift=1.0", "shift=2.0"): {"defaults", "partial"},
    ("make(1.0)", "make(1.5)"): {"closure"},
    ("power=3", "power=4"): {"partial"},
    ("jnp.tanh", "jnp.sin"): {"library"},
    ("value = 1.0", "value = 2.0"): set(),
}


def _run(source: str, monkeypatch: pytest.MonkeyPatch, *, rate: float = 1.0, name: str = "a") -> dict[str, str]:
    """Run a program as a module of its own beside a module with settings; return the fingerprints of its values."""
    module, settings = types.ModuleType(f"program_{name}"), types.ModuleType("program_settings")
    settings.rate = rate  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "program_settings", settings)
    exec(compile(source.replace("{settings}", "program_settings"), f"{name}.py", "exec"), vars(module))
    return {key: fingerprint(value) for key, value in vars(module)["WANTED"].items()}


def test_what_a_function_uses_counts_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    before = _run(PROGRAM, monkeypatch)
    assert len(set(before.values())) == len(before)
    moved = "\n\n# elsewhere\n" + PROGRAM.replace("\n\n", "\n\n\n").replace("class Link", "UNUSED = 7\n\nclass Link")
    assert _run(moved, monkeypatch, name="b") == before
    for (old, new), changed in CHANGES.items():
        assert old in PROGRAM, old
        after = _run(PROGRAM.replace(old, new), monkeypatch)
        assert {name for name in before if before[name] != after[name]} == changed, (old, new)
    after = _run(PROGRAM, monkeypatch, rate=1.5)
    assert {name for name in before if before[name] != after[name]} == {"of_module", "imports"}


def test_the_same_object_has_one_fingerprint_before_and_after_use(monkeypatch: pytest.MonkeyPatch) -> None:
    scope: dict[str, Any] = {"__name__": "used"}
    monkeypatch.setitem(sys.modules, "program_settings", types.ModuleType("program_settings"))
    exec(PROGRAM.replace("{settings}", "program_settings"), scope)
    for name, arguments in (("fixed", 2.0), ("compiled", jnp.ones(2)), ("special", 1.0), ("nested", jnp.ones(2))):
        value = scope["WANTED"][name]
        before = fingerprint(value)
        value(arguments)
        assert fingerprint(value) == before, name


def _closure(value: Any) -> Any:
    return lambda z: (value, z)


BLIND = "def blind(z): return globals()['SCALE'] * z"
STATEFUL = (sys.__stderr__, threading.Lock(), np.frompyfunc(lambda z: z, 1, 1), (i for i in range(3)))


@pytest.mark.parametrize("held", STATEFUL, ids=lambda held: type(held).__name__)
def test_what_cannot_be_seen_is_refused_by_name(held: Any) -> None:
    with pytest.raises(ValueError, match=r"cannot be resumed: .*closure over `value`.*Take it out"):
        fingerprint(dt.TeacherStudent(2.0, link=_closure(held)))


def test_what_is_only_known_while_it_runs_is_refused() -> None:
    scope: dict[str, Any] = {"SCALE": 1.0}
    exec(BLIND, scope)
    with pytest.raises(ValueError, match="blind calls `globals`"):
        fingerprint(scope["blind"])
    with pytest.raises(ValueError, match="being traced"):
        jax.jit(lambda x: fingerprint([x]))(1.0)


READING = {
    "np.load": "def read(z):\n    import numpy as np\n    return np.load('scale.npy') * z",
    "loadtxt": "def read(z):\n    return NP.loadtxt('scale.txt') * z",
    "load": "from numpy import load\ndef read(z):\n    return load('scale.npy') * z",
    "read_text": "from pathlib import Path\ndef read(z):\n    return float(Path('scale').read_text()) * z",
    "getenv": "import os\ndef read(z):\n    return float(os.getenv('SCALE', '1')) * z",
    "environ": "import os\ndef read(z):\n    return float(os.environ['SCALE']) * z",
    "import_module": "import importlib\ndef read(z):\n    return importlib.import_module('mine').SCALE * z",
    "time": "import time\ndef read(z):\n    return time.time() * z",
}


@pytest.mark.parametrize("name", READING)
def test_what_is_read_while_it_runs_is_refused(name: str) -> None:
    scope: dict[str, Any] = {"NP": np}
    exec(READING[name], scope)
    with pytest.raises(ValueError, match=f"read calls `.*{name.removeprefix('np.')}`, whose outcome cannot be seen"):
        fingerprint(scope["read"])


class _Store:
    def load(self, z: Any) -> Any:
        return z


def test_names_of_a_persons_own_that_libraries_have_too_are_no_reading() -> None:
    store = _Store()
    assert fingerprint(lambda z: store.load(z)) == fingerprint(lambda z: store.load(z))


def test_a_package_imported_by_the_name_of_a_part_counts_whole(tmp_path: Any, monkeypatch: Any) -> None:
    """`import mine.part` binds `mine`, whose own values the function then uses."""
    scope: dict[str, Any] = {}
    exec("def scaled(z):\n    import mine.part\n    return mine.SCALE * z", scope)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "part.py").write_text("OTHER = 3.0\n")
    (tmp_path / "mine" / "__init__.py").write_text("SCALE = 2.0\n")
    first = fingerprint(scope["scaled"])
    module = sys.modules["mine"]
    monkeypatch.setattr(module, "SCALE", 2.5)
    assert fingerprint(scope["scaled"]) != first
    monkeypatch.setattr(module, "SCALE", 2.0)
    assert fingerprint(scope["scaled"]) == first
    for name in ("mine", "mine.part"):
        sys.modules.pop(name)


class _Point:
    __slots__ = ("__hidden", "shown")

    def __init__(self, shown: float, hidden: float) -> None:
        self.shown, self.__hidden = shown, hidden


class _Deep(linen.Module):
    width: int

    @linen.compact
    def __call__(self, h: jax.Array) -> jax.Array:
        return linen.Dense(1)(jnp.tanh(linen.Dense(self.width)(h)))


class _Scaled(functools.partial):  # pyright: ignore[reportMissingTypeArgument]
    """A wrapper with a number of its own, which a partial function has not."""

    def __init__(self, function: Any, gain: float = 1.0) -> None:
        del function
        self.gain = gain

    def __new__(cls, function: Any, gain: float = 1.0) -> Any:
        del gain
        return super().__new__(cls, function)

    def __call__(self, x: Any) -> Any:
        return self.gain * self.func(x)


class _Cached:
    """A number that follows from nothing where somebody has put another in its place."""

    @functools.cached_property
    def scale(self) -> float:
        return 1.0


def _overwritten(scale: float) -> _Cached:
    cached = _Cached()
    cached.scale = scale
    return cached


class _Louder(dt.MLP):
    """A network with a number that is no field."""

    def __init__(self, gain: float) -> None:
        super().__init__((2,))
        object.__setattr__(self, "gain", gain)


def _wrapping(function: Any) -> Any:
    @functools.wraps(function)
    def through(z: Any) -> Any:
        return through.__wrapped__(z)

    return through


DIFFERENT: tuple[Any, ...] = (
    *(_overwritten(2.0), _overwritten(3.0), _Louder(1.0), _Louder(2.0)),
    *(_wrapping(lambda z: z), _wrapping(lambda z: 2 * z)),
    *(functools.partial(jnp.tanh), _Scaled(jnp.tanh, 1.0), _Scaled(jnp.tanh, 3.0), _Scaled(jnp.sin, 3.0)),
    *(1, 1.0, "1", b"1", True, None, (1,), [1], {1}, {1: 1}, 1j, -0.0, 0.0, slice(1), range(1), frozenset({1})),
    *([[1], 2], [1, [2]], ["ab"], ["a", "b"], np.array([1]), np.array([1.0]), np.array([[1.0]]), np.float32(1)),
    *(np.ma.array([1.0], mask=[True]), jax.random.key(1), jax.random.key(2), jax.random.key(1, impl="rbg")),
    *(_Point(1.0, 2.0), _Point(1.0, 3.0), _Point(2.0, 2.0), operator.itemgetter(1), operator.itemgetter(2)),
    *(optax.exponential_decay(0.1, 10, 0.9), optax.exponential_decay(0.1, 10, 0.8), optax.constant_schedule(0.1)),
    *(optax.sgd(0.1), optax.sgd(0.2), optax.adam(0.1), optax.join_schedules([optax.constant_schedule(0.2)], [])),
    *(jnp.tanh, jnp.sin, np.sin, jax.nn.relu, jnp.add, len, "".join, "-".join, jax.vmap(jnp.sin), jax.grad(jnp.sin)),
    *(_Deep(3), _Deep(4), nnx.Linear(2, 3, rngs=nnx.Rngs(0)), nnx.Linear(2, 3, rngs=nnx.Rngs(1)), nnx.Linear),
    *(dt.TeacherStudent(2.0), dt.TeacherStudent(2.0, "sin"), dt.TeacherStudent(2.0, noise_std=0.1)),
    *(dt.FlaxNetwork(_Deep(3), 2), dt.FlaxNetwork(_Deep(4), 2), dt.MLP((2,)), dt.MLP((2,), activation=jnp.sin)),
    *(dt.kernels.dense(1).flax(), dt.kernels.dense(2).flax(), dt.priors.QuantilePrior(jnp.sin)),
)


def test_different_values_have_different_fingerprints() -> None:
    found = [fingerprint(value) for value in DIFFERENT]
    assert len(set(found)) == len(found)
    assert [fingerprint(value) for value in DIFFERENT] == found
    assert fingerprint([1.5, 2.5]) == fingerprint([float("1.5"), float("2.5")])


def test_a_cached_property_counts_by_its_value() -> None:
    fresh, used = _Cached(), _Cached()
    assert used.scale == 1.0
    assert fingerprint(fresh) == fingerprint(used) == fingerprint(_overwritten(1.0))


def test_sharing_and_circles_do_not_count() -> None:
    inner = [1.0, 2.0]
    assert fingerprint([inner, inner]) == fingerprint([[1.0, 2.0], [1.0, 2.0]])
    deep: Any = []
    for _ in range(10_000):
        deep = [deep]
    with pytest.raises(ValueError, match="nested too deeply"):
        fingerprint(deep)
    around: list[Any] = [1]
    around.append(around)
    twice: list[Any] = [1]
    twice.append(twice)
    assert fingerprint(around) == fingerprint(twice) != fingerprint([1, [1]])
    wide: Any = [0]
    for _ in range(60):
        wide = [wide, wide]  # 2^60 paths, 61 objects
    assert fingerprint(wide) == fingerprint(functools.reduce(lambda one, _: [one, one], range(60), [0]))


ROWS = [row if i % 6 == 3 else pytest.param(row, marks=pytest.mark.full) for i, row in enumerate(default_rows())]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_all_that_the_registry_has_can_be_identified(row: Any) -> None:
    """Anew it is the same; with other numbers, where the optimizer has some, it is not."""
    law, method = row.labelled.law, row.make()
    found = fingerprint((law, method))
    assert fingerprint((dataclasses.replace(law), row.make())) == found
    if row.network is None or OPTIMIZERS[row.method][1]:
        assert fingerprint((law, row.make(1.01))) != found


def test_laws_are_told_apart() -> None:
    assert len({fingerprint(labelled.law) for labelled in LAWS.values()}) == len(LAWS)
