"""iCalendar as content lines that can be edited in place (RFC 5545 §3.1).

A line that nobody edits is written back as it came, folding included, so whatever we do not know
survives. This is the reader because it must keep the file, not understand it; the values of the few
properties that we map are read in `read`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, tzinfo

_UNFOLD = re.compile(r"\r?\n[ \t]")
_NAME = re.compile(r"^[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)?$")
#: The most usual line: no parameters.
_PLAIN = re.compile(r"([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)?):")
_PARAM = re.compile(r';([A-Za-z0-9-]+)=((?:"[^"]*"|[^";:,])*(?:,(?:"[^"]*"|[^";:,])*)*)')
_ESCAPED = re.compile(r"\\([\\;,nN:\"])")
#: Longest line that is read, in characters: a megabyte of description is a fault, not a meeting.
LONGEST = 10_000_000


class BadCalendar(ValueError):
    """Text that is no iCalendar object; says the line, quotes nothing."""


@dataclass
class Line:
    """One content line; `raw` is how it came, "" once it has been edited."""

    name: str
    params: dict[str, str]
    value: str
    raw: str = ""

    def set(self, value: str) -> None:
        """Another value; the parameters stay."""
        if value != self.value:
            self.value, self.raw = value, ""

    def text(self) -> str:
        """The line as it is written, folded at 75 octets."""
        if self.raw:
            return self.raw
        head = self.name + "".join(f";{k}={_quoted(v)}" for k, v in self.params.items())
        return fold(f"{head}:{self.value}")


@dataclass
class Component:
    """BEGIN to END, with its lines and components in their order."""

    name: str
    parts: list[Line | Component] = field(default_factory=list)
    #: Of an object: the zone in which its owner reads days.
    zone: tzinfo = UTC

    def lines(self, name: str) -> list[Line]:
        """Its own lines of that name."""
        return [p for p in self.parts if p.name == name and isinstance(p, Line)]

    def line(self, name: str) -> Line | None:
        """Its first line of that name."""
        for part in self.parts:
            if part.name == name and isinstance(part, Line):
                return part
        return None

    def components(self, *names: str) -> list[Component]:
        """Its components of these names."""
        return [p for p in self.parts if isinstance(p, Component) and (not names or p.name in names)]

    def remove(self, name: str) -> None:
        """Takes all its lines of that name away."""
        self.parts = [p for p in self.parts if not (isinstance(p, Line) and p.name == name)]

    def put(self, name: str, value: str, params: dict[str, str] | None = None) -> Line:
        """Sets the line of that name, or adds it behind the other lines. With `params`, they are
        replaced too."""
        line = self.line(name)
        if line is None:
            line = Line(name, params or {}, value)
            last = max((i for i, p in enumerate(self.parts) if isinstance(p, Line)), default=-1)
            self.parts.insert(last + 1, line)
            return line
        if params is not None and params != line.params:
            line.params, line.raw = params, ""
        line.set(value)
        return line

    def walk(self) -> Iterator[str]:
        """Every line as text."""
        yield f"BEGIN:{self.name}"
        for part in self.parts:
            if isinstance(part, Line):
                yield part.text()
            else:
                yield from part.walk()
        yield f"END:{self.name}"


def parse(text: str, zone: tzinfo = UTC) -> Component:
    """The VCALENDAR in the text, of somebody who reads days in that zone. Raises BadCalendar with the line's number."""
    root: Component | None = None
    stack: list[Component] = []
    number = 0
    for raw in re.split(r"\r?\n(?![ \t])", text.lstrip("\ufeff")):
        number += 1
        at, number = number, number + raw.count("\n")
        if not raw.strip():
            continue
        if len(raw) > LONGEST:
            raise BadCalendar(f"line {at} is longer than {LONGEST} characters")
        line = _line(_UNFOLD.sub("", raw), raw, at) if "\n" in raw else _line(raw, raw, at)
        if line.name == "BEGIN":
            made = Component(line.value.strip().upper())
            if stack:
                stack[-1].parts.append(made)
            elif root is None:
                root = made
            else:
                raise BadCalendar(f"line {at}: a second object begins")
            stack.append(made)
        elif line.name == "END":
            if not stack or stack[-1].name != line.value.strip().upper():
                raise BadCalendar(f"line {at}: END without its BEGIN")
            stack.pop()
        elif not stack:
            raise BadCalendar(f"line {at} stands outside of an object")
        else:
            stack[-1].parts.append(line)
    if root is None or stack:
        raise BadCalendar("the object does not end" if root else "there is no iCalendar object")
    if root.name != "VCALENDAR":
        raise BadCalendar("the object is no VCALENDAR")
    root.zone = zone
    return root


def _line(text: str, raw: str, at: int) -> Line:
    plain = _PLAIN.match(text)
    if plain is not None:
        return Line(plain[1].upper(), {}, text[plain.end() :], _with_crlf(raw))
    name = text[: min((n for n in (text.find(";"), text.find(":")) if n >= 0), default=len(text))]
    if not _NAME.match(name):
        raise BadCalendar(f"line {at} is no content line")
    params: dict[str, str] = {}
    place = len(name)
    while place < len(text) and text[place] == ";":
        found = _PARAM.match(text, place)
        if found is None:
            raise BadCalendar(f"line {at} has a parameter that cannot be read")
        params[found[1].upper()] = found[2].strip('"') if found[2].count('"') == 2 else found[2]
        place = found.end()
    if place >= len(text) or text[place] != ":":
        raise BadCalendar(f"line {at} has no value")
    return Line(name.upper(), params, text[place + 1 :], _with_crlf(raw))


def _with_crlf(raw: str) -> str:
    return raw.replace("\r\n", "\n").replace("\n", "\r\n") if "\n" in raw else raw


def written(root: Component) -> str:
    """The object as text, CRLF at the end of each line."""
    return "\r\n".join(root.walk()) + "\r\n"


def fold(line: str) -> str:
    """The line in pieces of at most 75 octets (RFC 5545 §3.1)."""
    pieces: list[str] = []
    piece, size = "", 0
    for char in line:
        octets = len(char.encode("utf-8", "surrogatepass"))
        if size + octets > 75:
            pieces.append(piece)
            piece, size = " ", 1
        piece, size = piece + char, size + octets
    return "\r\n".join([*pieces, piece])


def _quoted(value: str) -> str:
    return f'"{value}"' if re.search(r"[:;,]", value) and '"' not in value else value


def unescape(text: str) -> str:
    """A TEXT value as people read it (RFC 5545 §3.3.11)."""
    return _ESCAPED.sub(lambda m: "\n" if m[1] in "nN" else m[1], text)


def escape(text: str) -> str:
    """Words as a TEXT value; control characters that no calendar may hold go."""
    clean = "".join(c for c in text.replace("\r\n", "\n").replace("\r", "\n") if c >= " " or c in "\n\t")
    return clean.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def split_list(text: str) -> list[str]:
    """A list of TEXT values, apart at commas that are not escaped (the backslash before a comma may be one that is
    escaped itself)."""
    return [unescape(part[0]) for part in re.finditer(r"(?:[^\\,]|\\.|\\$)+", text)]
