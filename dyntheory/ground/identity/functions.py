"""Functions, classes and modules by what they do: code, constants, defaults, closures, and the globals they use.

A function is its code object: where it stands in its file and what the file is called do not count. The bytes of the
code depend on Python's minor version, which whoever compares must compare, too. Functions of a library are known by
their name; those made inside one of its functions by that, their code and what they close over.

What a function finds out while it runs (`globals()`, `eval`, a file) cannot be seen from outside and is refused.
"""

from __future__ import annotations

import builtins
import dis
import functools
import importlib
import types
from collections.abc import Iterator
from typing import Any

from dyntheory.ground.identity.libraries import version_of_library
from dyntheory.ground.identity.walk import Part, Walk

BLIND = ("eval", "exec", "globals", "locals", "vars", "open", "input", "__import__")
_READS = (  # methods and library functions whose outcome lies outside the program
    "fromfile genfromtxt getenv environ import_module load loadmat loadtxt memmap open_memmap perf_counter read_bytes "
    "read_csv read_parquet read_table read_text time urlopen"
)
READS = frozenset(_READS.split())
ALSO_OF_PEOPLE = frozenset(("load", "time"))  # common names of a person's own, refused of libraries alone
MADE_BY_PYTHON = frozenset(
    (
        "__module__",
        "__qualname__",
        "__doc__",
        "__dict__",
        "__weakref__",
        "__annotations__",
        "__annotate__",
        "__annotate_func__",
        "__annotations_cache__",
        "__classcell__",
        "__classdictcell__",
        "__conditional_annotations__",
        "__firstlineno__",
        "__static_attributes__",
        "__dataclass_fields__",
        "__dataclass_params__",
        "__match_args__",
        "__abstractmethods__",
        "_abc_impl",
        "__parameters__",
        "__orig_bases__",
        "__type_params__",
        "__slotnames__",
        "__subclasshook__",
        "__protocol_attrs__",
        "__non_callable_proto_members__",
        "_is_protocol",
        "_is_runtime_protocol",
        "__slots__",
    )
)
SKIPPED = frozenset(("EXTENDED_ARG", "CACHE", "NOP", "NOT_TAKEN"))
LOOKS_UP = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")
TAKES_OUT = ("LOAD_ATTR", "LOAD_METHOD")
MISSING = object()


def describe_function(function: types.FunctionType, walk: Walk) -> list[Part]:
    """Return what tells a Python function from any other."""
    version, code = version_of_library(function.__globals__.get("__name__")), function.__code__
    ignored = () if "__wrapped__" in code.co_names else ("__wrapped__",)
    attributes = {name: value for name, value in vars(function).items() if name not in ignored}
    own: list[Part] = ["function", *describe_code(code, walk)]
    own += walk.named(zip(code.co_freevars, function.__closure__ or (), strict=True), f"{code.co_name}'s closure over")
    own += walk.digests([function.__defaults__, function.__kwdefaults__], f"a default of {code.co_name}")
    if version is not None:
        return [version, str(function.__globals__["__name__"]), code.co_qualname, *own]
    own += walk.named(attributes.items(), f"{code.co_name}'s attribute")
    return [*own, *walk.named(_globals_of(code, function, walk), f"{code.co_name}'s use of")]


def describe_cell(cell: types.CellType, walk: Walk) -> list[Part]:
    """Return what a cell of a closure holds; one that nothing was put into says so."""
    try:
        return ["cell", walk.digest(cell.cell_contents)]
    except ValueError as error:
        if str(error) != "Cell is empty":
            raise
        return ["empty cell"]


def describe_code(code: types.CodeType, walk: Walk) -> list[Part]:
    """Return what a code object does: nothing about lines and files."""
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    constants = walk.digests(code.co_consts, f"a constant of {code.co_name}")
    return ["code", code.co_name, code.co_code, code.co_exceptiontable, repr(counts), repr(names), *constants]


def _globals_of(code: types.CodeType, function: types.FunctionType, walk: Walk) -> Iterator[tuple[str, Any]]:
    """Yield dotted names and values of what code looks up by name, that of functions inside it included."""
    known: dict[str, Any] = {}
    found = [one for one in dis.get_instructions(code) if one.opname not in SKIPPED]
    for index, one in enumerate(found):
        if one.opname in LOOKS_UP:
            known |= dict([_looked_up(one.argval, found[index + 1 :], function, walk)])
        elif one.opname in TAKES_OUT and one.argval in READS - ALSO_OF_PEOPLE:
            _refuse_reading(one.argval, function, walk)
        elif one.opname == "IMPORT_NAME":
            known |= dict([_imported(one.argval, found[:index], code, function, walk)])
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            known |= dict(_globals_of(constant, function, walk))
    yield from sorted((name, value) for name, value in known.items() if value is not MISSING)


def _looked_up(name: str, rest: list[dis.Instruction], function: types.FunctionType, walk: Walk) -> tuple[str, Any]:
    """Return a global, or of a module what is taken out of it."""
    value = function.__globals__.get(name, MISSING)
    if value is MISSING:
        if name in BLIND and hasattr(builtins, name):
            _refuse_reading(name, function, walk)
        return name, getattr(builtins, name, MISSING)
    for one in rest:
        if not isinstance(value, types.ModuleType) or one.opname not in TAKES_OUT:
            break
        name, value = f"{name}.{one.argval}", getattr(value, one.argval, MISSING)
    if getattr(value, "__name__", "") in READS and version_of_library(getattr(value, "__module__", None) or ""):
        _refuse_reading(name, function, walk)
    return name, value


def _refuse_reading(name: str, function: types.FunctionType, walk: Walk) -> None:
    walk.refuse(f"{function.__qualname__} calls `{name}`, whose outcome cannot be seen from outside")


def _imported(
    name: str, before: list[dis.Instruction], code: types.CodeType, function: types.FunctionType, walk: Walk
) -> tuple[str, Any]:
    """Return the module that a function imports while it runs; `import a.b` binds a."""
    level, taken = (before[-2].argval, before[-1].argval) if len(before) > 1 else (0, None)
    package = function.__globals__.get("__package__") or ""
    try:
        value = importlib.import_module("." * level + name, package) if level else importlib.import_module(name)
    except (ImportError, TypeError, ValueError):
        walk.refuse(f"{function.__qualname__} imports {name or 'a package'}, which is not there")
    if taken is None and not level:
        value = importlib.import_module(name.partition(".")[0])
    reading = [other for other in sorted(ALSO_OF_PEOPLE & {*code.co_names}) if hasattr(value, other)]
    if reading and version_of_library(value.__name__):
        _refuse_reading(f"{name}.{reading[0]}", function, walk)
    return f"import {'.' * level}{name}", value


def describe_module(module: types.ModuleType, walk: Walk) -> list[Part]:
    """Return a library by its name; of a module of the user all that it holds."""
    version = version_of_library(module.__name__)
    if version is not None:
        return ["module", version, module.__name__]
    held = sorted((name, value) for name, value in vars(module).items() if not name.startswith("__"))
    return ["module", *walk.named(held, f"{module.__name__}'s")]


def describe_class(cls: type, walk: Walk) -> list[Part]:
    """Return what tells a class of the user from any other: bases, methods, attributes."""
    named = cls.__dict__.get("__slots__", ())
    slots = (named,) if isinstance(named, str) else tuple(named)
    members = sorted((n, m) for n, m in vars(cls).items() if n not in MADE_BY_PYTHON and n not in slots)
    bases = walk.digests(cls.__bases__, f"a base of {cls.__name__}")
    return ["class", cls.__qualname__, repr(slots), *bases, *walk.named(members, f"{cls.__name__}'s")]


def describe_wrapper(value: Any, walk: Walk) -> list[Part] | None:
    """Return a method, a property or a function in one of Python's own wrappers; None for all else."""
    if isinstance(value, types.MethodType):
        return ["method", walk.digest(value.__func__), walk.digest(value.__self__)]
    if type(value) is functools.partial:  # a subclass may do something else with what it holds
        return ["partial", *walk.digests([value.func, value.args, value.keywords])]
    if isinstance(value, staticmethod | classmethod):
        return [type(value).__name__, walk.digest(value.__func__)]
    if isinstance(value, property):
        return ["property", *walk.digests([value.fget, value.fset, value.fdel])]
    if isinstance(value, functools.cached_property):
        return ["cached property", walk.digest(value.func)]
    if isinstance(value, types.BuiltinFunctionType | types.MethodWrapperType):
        return ["builtin", value.__qualname__, walk.digest(value.__self__)]
    if isinstance(value, types.MethodDescriptorType | types.WrapperDescriptorType | types.ClassMethodDescriptorType):
        return ["builtin", value.__qualname__, walk.digest(value.__objclass__)]
    if isinstance(value, types.GetSetDescriptorType | types.MemberDescriptorType):
        return ["slot", value.__name__]
    return None
