"""Columns of words that are meant as numbers: one odd entry, a unit behind every number, another sign for minus.

As words they would become an indicator column for every number. A few numbers among words are categories: 0, 1, 2, 3+.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from dyntheory.shell.tables.raw_columns import listed, quoted

MOST_NUMBERS = 10
DECORATION = re.compile(r"[\s%‰$€£¥°()_:\u2212\u2013]")


def check_words(name: str, words: Sequence[str]) -> None:
    """Require that different words of a column are not numbers for the most part.

    Raises:
        ValueError: they are; names those that are not, or not written as one.
    """
    odd = [word for word in words if not _is_number(word)]
    plain = sum(_is_number(DECORATION.sub("", word)) for word in words)
    if plain > MOST_NUMBERS and 2 * plain > len(words) and odd:
        shown = listed([repr(word) for word in odd], most=3)
        raise ValueError(
            f"Column {name!r} holds numbers and also {shown}: write them as numbers, empty these entries, or leave the "
            f"column out with --drop {quoted([name])}."
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text  # Python reads 1_000
