"""What the library claims: one script a claim, each with its rule, its measurement and what came out when it last ran.

`CLAIMS` has them by name. A script is imported when its claim is asked for, not before.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from validation.claim import Claim

FOLDER = Path(__file__).parent
OPENING = "Claim: "


def sentence(doc: str | None) -> str:
    """Return what a script claims: the first paragraph of its docstring, after "Claim: "."""
    first = (doc or "").split("\n\n")[0]
    if not first.startswith(OPENING):
        raise ValueError(f'The docstring of a claim must begin with "{OPENING}", got "{first}".')
    return " ".join(first.removeprefix(OPENING).split())


class Claims(Mapping[str, "Claim[Any, Any]"]):
    """The claims of a folder by name: its scripts whose docstring begins with "Claim: "."""

    def __getitem__(self, name: str) -> Claim[Any, Any]:
        """Import a script and return its claim."""
        if name not in self:
            raise KeyError(name)
        return importlib.import_module(f"validation.{name}").CLAIM

    def __iter__(self) -> Iterator[str]:
        return (path.stem for path in sorted(FOLDER.glob("*.py")) if path.read_text().startswith(f'"""{OPENING}'))

    def __contains__(self, name: object) -> bool:
        return name in list(self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def text(self, name: str) -> str:
        """Return what is claimed, without importing the script."""
        return sentence(ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text())))


CLAIMS = Claims()
