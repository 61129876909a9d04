"""Nothing is deleted in bulk without a person's word (design §5, Guard). Pure."""

from __future__ import annotations


def limit(links: int) -> int:
    """How many deletions one pass may make by itself: 10, or a fifth of the pairing's links."""
    return max(10, links // 5)


def allows(deletions: int, links: int, approved: int, *, emptied: bool) -> bool:
    """True when that many deletions may go through.

    Args:
        deletions: how many this pass would make.
        links: how many links the pairing has whose item is there.
        approved: how many an administrator has let through.
        emptied: the replica is empty and was not before.
    """
    if deletions <= approved:
        return True
    return not emptied and deletions <= limit(links)
