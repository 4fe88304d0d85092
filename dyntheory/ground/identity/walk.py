"""The walk through a value and all it refers to: digests of digests, each object once, circles closed.

A reference back to an object whose digest is being made is written as the number of levels up, so a digest does not
depend on where the walk began. A digest without such a reference to something outside of it is kept for the next time
the same object is met.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, TypeAlias

Part: TypeAlias = str | bytes | memoryview
LIMIT = 100_000


class Walk:
    """One walk.

    Args:
        describe: (value, walk) -> texts and digests that tell the value from any other; asks `digest` for its parts.
    """

    def __init__(self, describe: Callable[[Any, Walk], Iterable[Part]]) -> None:
        self._describe = describe
        self._known: dict[int, tuple[bytes, Any]] = {}  # the object beside its digest: it must outlive its id
        self._open: dict[int, int] = {}
        self._lowest = math.inf
        self._trail: list[str] = []
        self._count = 0

    def digest(self, value: Any, label: str = "") -> bytes:
        """Return the digest of a value; the label, if there is one, says where it stands.

        Raises:
            ValueError: something in it cannot be seen.
        """
        place = id(value)
        if place in self._known:
            return self._known[place][0]
        depth = len(self._open)
        if place in self._open:
            self._lowest = min(self._lowest, self._open[place])
            return joined(["again", str(depth - self._open[place])])
        self._count += 1
        if self._count > LIMIT:
            self.refuse("refers to too much to be looked through")
        outside, self._lowest = self._lowest, math.inf
        self._open[place] = depth
        self._trail.append(label)
        found = joined(self._describe(value, self))
        self._trail.pop()
        del self._open[place]
        if self._lowest >= depth:
            self._known[place] = (found, value)
            self._lowest = math.inf
        self._lowest = min(outside, self._lowest)
        return found

    def digests(self, values: Iterable[Any], label: str = "") -> list[Part]:
        """Return the digests of several values, their number before them."""
        found: list[Part] = [self.digest(value, label) for value in values]
        return [str(len(found)), *found]

    def named(self, values: Iterable[tuple[Any, Any]], label: str = "") -> list[Part]:
        """Return names and digests of named values."""
        found: list[Part] = []
        for name, value in values:
            found += [str(name), self.digest(value, f"{label} `{name}`")]
        return [str(len(found)), *found]

    def refuse(self, why: str) -> NoReturn:
        """Say that the value at hand cannot be identified.

        Raises:
            ValueError: always.
        """
        trail = ", ".join(label.strip() for label in self._trail if label) or "this value"
        raise ValueError(
            f"A computation that uses it cannot be told from another, so it cannot be resumed: {trail}, {why}. Take it "
            "out of what the computation uses, or run without a checkpoint."
        )


def joined(parts: Iterable[Part]) -> bytes:
    """Return the digest of parts in order; no two lists of parts have the same bytes."""
    found = hashlib.sha256()
    for part in parts:
        content = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        found.update(len(content).to_bytes(8, "little"))
        found.update(content)
    return found.digest()
