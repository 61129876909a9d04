"""Which folders of a mailbox are read, and which are looked at only to see what was moved there. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from syncd.model.names import matches, one_form

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


#: What a server lists: attributes, what it puts between the parts of a name, the name.
Listed = tuple[frozenset[str], str, str]


@dataclass(frozen=True)
class Folder:
    """A folder of the mailbox."""

    name: str
    attributes: frozenset[str]
    #: Only looked at, to see which known messages were moved there; nothing in it may cross.
    excluded: bool = False
    #: As configurations write it: with "/" between its parts, and without what the server puts before the
    #: names of one's own folders.
    plain: str = ""


def chosen(
    listed: Iterable[Listed], wanted: Sequence[str], excluded: Sequence[str], prefixes: Sequence[str] = ()
) -> list[Folder]:
    """The folders to be read, and those that are excluded by name, or lie below one. Names may hold * and ?, or be a
    special use such as \\Sent; INBOX is known however it is spelt (RFC 3501 §5.1). `prefixes`: what the server
    puts before the names of one's own folders (RFC 2342); names are meant without it, and found with it too."""
    found: list[Folder] = []
    above: list[str] = []
    for name, delimiter, uses in sorted(_readable(listed)):
        forms = plain_names(name, delimiter, prefixes)
        left = next((f for e in excluded for f in forms if _is(f, delimiter, uses, e, strict=True)), None)
        if left is None and delimiter and any(name.startswith(each) for each in above):
            left = forms[0]
        if left is not None:
            above += [name + delimiter] if delimiter and name.upper() != "INBOX" else []
            found.append(Folder(name, uses, True, left))
            continue
        met = [(f, w) for w in wanted for f in forms if _is(f, delimiter, uses, w)]
        if met and (not uses & NEVER or any("*" not in w for _, w in met)):
            plain = forms[0] if any(f == forms[0] for f, _ in met) else met[0][0]
            found.append(Folder(name, uses, False, plain))
    return sorted(found, key=lambda f: (f.name.upper() != "INBOX", f.name))


def unmatched(listed: Iterable[Listed], names: Sequence[str], prefixes: Sequence[str] = ()) -> list[str]:
    """Which of the names are no folder's; "Private/*" is not named beside "Private"."""
    readable = _readable(listed)
    asked = [n for n in dict.fromkeys(names) if not (n.endswith("/*") and n[:-2] in names)]
    return [
        name
        for name in asked
        if not any(_is(f, d, uses, name) for folder, d, uses in readable for f in plain_names(folder, d, prefixes))
    ]


def _readable(listed: Iterable[Listed]) -> list[tuple[str, str, frozenset[str]]]:
    """Name, delimiter and uses of the folders that can be opened."""
    every = [(frozenset(attributes), delimiter, name) for attributes, delimiter, name in listed]
    specials = {a for attributes, _, _ in every for a in attributes}
    return [
        (name, delimiter, attributes | _by_name(name, delimiter, specials))
        for attributes, delimiter, name in every
        if not attributes & {"\\noselect", "\\nonexistent"}
    ]


def _by_name(name: str, delimiter: str, specials: Iterable[str]) -> frozenset[str]:
    last = name.rsplit(delimiter, 1)[-1] if delimiter else name
    have = set(specials)
    return frozenset(use for use, names in _USUAL.items() if use not in have and one_form(last) in names)


def _is(plain: str, delimiter: str, uses: frozenset[str], wanted: str, *, strict: bool = False) -> bool:
    """True when the folder is the one wanted, or lies under it ("Private/*" is written out; a "/", or what the
    server itself puts between names, stands between the parts). `strict`: whatever servers put there does."""
    if wanted.startswith("\\"):
        return wanted.lower() in uses
    if wanted.upper() == "INBOX":
        return plain.upper() == "INBOX"
    if matches(plain, plain_name(wanted, delimiter)):
        return True
    return strict and matches(_unified(plain), _unified(wanted))


def _unified(name: str) -> str:
    return name.replace(".", "/").replace("\\", "/")


def plain_name(name: str, delimiter: str) -> str:
    """The folder's name with "/" between its parts."""
    return name.replace(delimiter, "/") if delimiter and delimiter != "/" else name


def plain_names(name: str, delimiter: str, prefixes: Sequence[str] = ()) -> list[str]:
    """The names by which configurations may know the folder: without the prefix first, then as it is."""
    whole = plain_name(name, delimiter)
    for prefix in sorted(prefixes, key=len, reverse=True):
        start = plain_name(prefix, delimiter)
        rest = whole[len(start) :]
        if start and rest and whole.casefold().startswith(start.casefold()) and rest.upper() != "INBOX":
            return [rest, whole]
    return [whole]
