"""Names that people give (folders, keywords, categories) and patterns of them, compared as people read them.

Servers and keyboards spell one letter in two ways (é as one sign, or as e with an accent), and a name may hold
brackets. What is excluded by its name must be found all the same, so every comparison of names is made here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache


def one_form(name: str) -> str:
    """The form in which names are compared: composed (NFC), without regard to case."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def one_forms(names: Iterable[str]) -> frozenset[str]:
    """All of them in that form."""
    return frozenset(one_form(name) for name in names)


def matches(name: str, pattern: str) -> bool:
    """True when the pattern means the name. Only ``*`` (anything) and ``?`` (one sign) are more than themselves."""
    return _compiled(one_form(pattern)).fullmatch(one_form(name)) is not None


@lru_cache(1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    signs = {"*": ".*", "?": "."}
    return re.compile("".join(signs.get(sign) or re.escape(sign) for sign in pattern), re.DOTALL)
