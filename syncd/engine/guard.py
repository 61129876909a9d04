"""Nothing is deleted in bulk without a person's word (design §5, Guard). Pure."""

from __future__ import annotations

#: That many entries or more, and none would be left: somebody is asked first.
ALL = 3


def limit(links: int) -> int:
    """How many deletions one pass may make by itself: 10, or a fifth of the pairing's links."""
    return max(10, links // 5)


def holding(pairing: str) -> str:
    """The setting that says that deletions of a pairing wait for a person's word: however few of them are left."""
    return f"held\n{pairing}"


def allows(deletions: int, links: int, approved: int, *, emptied: bool, waiting: bool = False) -> bool:
    """True when that many deletions may go through.

    Args:
        deletions: how many this pass would make.
        links: how many links the pairing has whose item is there.
        approved: how many an administrator has let through.
        emptied: the replica is empty and was not before.
        waiting: deletions were held before, and nobody has said yet that they are meant.
    """
    if deletions <= approved:
        return True
    emptied = emptied or deletions >= max(ALL, links)
    return not emptied and not waiting and deletions <= limit(links)
