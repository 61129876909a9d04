"""Which folders of a mailbox are read, and which are looked at only to see what was moved there. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

#: Special-use attributes (RFC 6154) of folders that are never read unless they are named.
NEVER = frozenset({"\\junk", "\\trash", "\\drafts", "\\all", "\\flagged", "\\important"})
#: What servers without SPECIAL-USE call them.
_USUAL = {
    "\\sent": (
        "sent",
        "sent items",
        "sent messages",
        "sent mail",
        "gesendet",
        "gesendete objekte",
        "gesendete elemente",
    ),
    "\\drafts": ("drafts", "entwürfe", "draft"),
    "\\junk": ("junk", "spam", "junk e-mail", "junk email", "bulk mail"),
    "\\trash": ("trash", "deleted items", "deleted messages", "papierkorb", "gelöschte elemente"),
    "\\archive": ("archive", "archiv", "archives"),
}


@dataclass(frozen=True)
class Folder:
    """A folder of the mailbox."""

    name: str
    attributes: frozenset[str]
    #: Only looked at, to see which known messages were moved there; nothing in it may cross.
    excluded: bool = False


def chosen(
    listed: Iterable[tuple[frozenset[str], str, str]], wanted: Sequence[str], excluded: Sequence[str]
) -> list[Folder]:
    """The folders to be read, and those that are excluded by name. Names may hold * and ?, or be a
    special use such as \\Sent; INBOX is known however it is spelt (RFC 3501 §5.1)."""
    found: list[Folder] = []
    every = [(frozenset(attributes), delimiter, name) for attributes, delimiter, name in listed]
    specials = {a for attributes, _, _ in every for a in attributes}
    for attributes, delimiter, name in every:
        if attributes & {"\\noselect", "\\nonexistent"}:
            continue
        uses = attributes | _by_name(name, delimiter, specials)
        if any(_is(name, delimiter, uses, e) for e in excluded):
            found.append(Folder(name, uses, excluded=True))
        elif any(_is(name, delimiter, uses, w) for w in wanted):
            if not uses & NEVER or any(_is(name, delimiter, uses, w) and "*" not in w for w in wanted):
                found.append(Folder(name, uses))
    return sorted(found, key=lambda f: (f.name.upper() != "INBOX", f.name))


def _by_name(name: str, delimiter: str, specials: Iterable[str]) -> frozenset[str]:
    last = name.rsplit(delimiter, 1)[-1] if delimiter else name
    have = set(specials)
    return frozenset(use for use, names in _USUAL.items() if use not in have and last.casefold() in names)


def _is(name: str, delimiter: str, uses: frozenset[str], wanted: str) -> bool:
    """True when the folder is the one wanted, or lies under it ("Private/*" is written out; a "/" stands
    for whatever the server puts between names)."""
    if wanted.startswith("\\"):
        return wanted.lower() in uses
    plain = name.replace(delimiter, "/") if delimiter and delimiter != "/" else name
    if wanted.upper() == "INBOX":
        return plain.upper() == "INBOX"
    return fnmatchcase(plain.casefold(), wanted.casefold())


def plain_name(name: str, delimiter: str) -> str:
    """The folder's name as configurations write it: with "/" between its parts."""
    return name.replace(delimiter, "/") if delimiter and delimiter != "/" else name
