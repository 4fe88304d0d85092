"""Which modules are libraries: what they hold is known by its name and their version, and is not looked into.

Of a library are Python's own modules, dyntheory, and what was installed from an index. A folder installed in place
(`pip install -e .`, `pip install .`) changes under the same version, so its code counts itself.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import sysconfig
from importlib import metadata
from pathlib import Path
from typing import Any

from dyntheory.ground.version import __version__

PLACES = {"site-packages", "dist-packages"}


def version_of_library(module: Any) -> str | None:
    """Return the version of the library that a module of this name belongs to, None where it is the user's."""
    return _version(module.partition(".")[0]) if isinstance(module, str) else None


def name_in_library(value: Any) -> str | None:
    """Return "library version: module.name" of what can be imported from a library, None for all else."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if name is None:
        name = getattr(value, "__name__", None)
    version = version_of_library(module)
    if version is None or not isinstance(name, str):
        return None
    found: Any = sys.modules.get(str(module))
    for part in name.split("."):
        found = getattr(found, part, None)
    return f"{version}: {module}.{name}" if found is value else None


@functools.cache
def _version(top: str) -> str | None:
    if top == "dyntheory":
        return f"dyntheory {__version__}"
    file = getattr(sys.modules.get(top), "__file__", None)
    paths = sysconfig.get_paths()
    if top in sys.stdlib_module_names:
        is_own = file is None or _is_inside(file, paths["stdlib"]) or _is_inside(file, paths["platstdlib"])
        return f"python {sys.version_info[0]}.{sys.version_info[1]}" if is_own else None
    if file is None or not PLACES & {*Path(file).parts}:
        return None
    for distribution in _distributions(top):
        if _is_inside(file, str(distribution.locate_file(""))) and not _is_in_place(distribution):
            return f"{distribution.name} {distribution.version}"
    return None


def _distributions(top: str) -> list[metadata.Distribution]:
    """Return what may have installed the package: what has its name, else all that say so, which takes a second."""
    try:
        return [metadata.distribution(top)]
    except metadata.PackageNotFoundError:
        return [metadata.distribution(name) for name in _names_of_distributions().get(top, ())]


@functools.cache
def _names_of_distributions() -> dict[str, list[str]]:
    return dict(metadata.packages_distributions())


def _is_in_place(distribution: metadata.Distribution) -> bool:
    """Whether it was installed from a folder or a repository (PEP 610)."""
    origin = distribution.read_text("direct_url.json")
    return origin is not None and "archive_info" not in json.loads(origin)


def _is_inside(file: str, folder: str) -> bool:
    return os.path.realpath(file).startswith(os.path.join(os.path.realpath(folder), ""))
