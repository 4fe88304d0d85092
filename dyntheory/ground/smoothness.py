"""What is known of the kinks of a map, which is not the same as being smooth with bounded derivatives.

`smooth` is the assumption of the published theorem: four bounded derivatives. z³ and e^z are not smooth in that sense,
yet a derivative along fixed nodes is right for them; it is wrong only where nodes cross a kink.
"""

from __future__ import annotations


def known_kink(has_kink: bool | None, smooth: bool | None) -> bool | None:
    """Return whether there is a kink: what was said, else what `smooth` says of it; None when nobody said.

    A map that is not smooth counts as kinked until somebody says that it only grows fast.
    """
    if has_kink is not None or smooth is None:
        return has_kink
    return not smooth


def either(first: bool | None, second: bool | None) -> bool | None:
    """Return whether one of them holds: yes if one does, unknown if one is unknown."""
    if first or second:
        return True
    return None if first is None or second is None else False
