"""Reads the YAML that administrators edit, and says file, line, column and the nearest valid word.

Strict on purpose: no duplicate keys, no anchors, no tags, no unknown keys, 16 MB at most.
Knows nothing of what the documents mean: a pydantic model says that.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

M = TypeVar("M", bound=BaseModel)
#: Where in a document: keys and positions in lists.
Place = tuple[str | int, ...]
MOST_BYTES, DEEPEST = 16_000_000, 50
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, where, and what would be right."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class BadDocument(Exception):
    """A document that cannot be used; `problems` holds every fault that was found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(p) for p in problems))
        self.problems = tuple(problems)


def nearest(word: str, valid: Sequence[str]) -> str:
    """`` (did you mean "x"?)``, or the list when nothing is near."""
    close = difflib.get_close_matches(str(word), valid, n=1, cutoff=0.6)
    if close:
        return f' (did you mean "{close[0]}"?)'
    return f" (one of: {', '.join(valid)})" if 0 < len(valid) <= 25 else ""


def read(path: Path) -> tuple[Any, Callable[[Place], tuple[int, int]]]:
    """The document, and a function from a path in it to (line, column), both from 1.

    Raises BadDocument when it is no YAML, or more YAML than configuration needs.
    """
    name = str(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadDocument([Problem(name, 1, 1, f"cannot be read: {error.strerror}")]) from None
    if len(raw) > MOST_BYTES:
        raise BadDocument([Problem(name, 1, 1, f"larger than {MOST_BYTES} bytes")])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        column = error.start - (raw.rfind(b"\n", 0, error.start) + 1) + 1
        raise BadDocument([Problem(name, line, column, "not UTF-8")]) from None
    return parse(text, name)


def parse(text: str, name: str) -> tuple[Any, Callable[[Place], tuple[int, int]]]:
    """As `read`, from text."""
    import yaml

    builder = _Builder(name)
    try:
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            builder.take(event, yaml)
    except yaml.MarkedYAMLError as error:
        problem = (error.problem or error.context or "not YAML").split("\n")[0]
        raise builder.fault(error.problem_mark or error.context_mark, problem) from None
    except yaml.reader.ReaderError as error:
        before = text.encode("utf-8", "surrogatepass")[: error.position]
        line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
        raise BadDocument([Problem(name, line, column, "a character that YAML does not allow")]) from None
    except (yaml.YAMLError, ValueError) as error:
        raise builder.fault(None, f"not YAML ({type(error).__name__})") from None
    document = builder.root
    if document is None:
        raise builder.fault(None, "the file is empty")
    if not isinstance(document, dict):
        raise builder.fault(None, "expected keys and values (key: value)")
    return document, lambda where: _position(document, builder.places, where)


class _Builder:
    """Dicts, lists and scalars from a parser's events, and where each key and entry stands."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.root: Any = None
        self.places: dict[Place, tuple[int, int]] = {}
        self._documents = 0
        #: (container, its place); and of a mapping the key that waits for its value.
        self._stack: list[tuple[Any, Place]] = []
        self._keys: list[str | None] = []

    def fault(self, mark: Any, message: str) -> BadDocument:
        """A problem at a mark of the parser."""
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        return BadDocument([Problem(self.name, line, column, message)])

    def take(self, event: Any, yaml: Any) -> None:
        """One event. Raises BadDocument."""
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise self.fault(event.start_mark, "anchors and aliases are not allowed here: write it out")
        if isinstance(event, yaml.NodeEvent) and event.tag is not None:
            raise self.fault(event.start_mark, "tags are not allowed here")
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise self.fault(event.start_mark, "a second document begins: one file is one document")
        elif isinstance(event, yaml.CollectionEndEvent):
            self._stack.pop()
            self._keys.pop()
        elif isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.CollectionStartEvent):
            made: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
            if self._stack and isinstance(self._stack[-1][0], dict) and self._keys[-1] is None:
                raise self.fault(event.start_mark, "a key is one word or text")
            if len(self._stack) >= DEEPEST:
                raise self.fault(event.start_mark, "nested too deeply")
            self._stack.append((made, self._put(made, event.start_mark)))
            self._keys.append(None)

    def _scalar(self, event: Any) -> None:
        if self._stack and isinstance(self._stack[-1][0], dict) and self._keys[-1] is None:
            (container, place), key = self._stack[-1], str(event.value)
            if key in container:
                raise self.fault(event.start_mark, f'duplicate key "{key}"')
            self.places[(*place, key)] = (event.start_mark.line + 1, event.start_mark.column + 1)
            self._keys[-1], container[key] = key, None
        else:
            self._put(_value(event.value) if event.implicit[0] else str(event.value), event.start_mark)

    def _put(self, value: Any, mark: Any) -> Place:
        """The value goes where it belongs; returns its place."""
        if not self._stack:
            self.root = value
            return ()
        container, place = self._stack[-1]
        if isinstance(container, list):
            where = (*place, len(container))
            container.append(value)
            self.places[where] = (mark.line + 1, mark.column + 1)
            return where
        key, self._keys[-1] = self._keys[-1], None
        assert key is not None
        container[key] = value
        return (*place, key)


def _value(text: str) -> Any:
    """What a word without quotes means (YAML 1.2 §10.3, the core schema)."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text.lower() in ("true", "false") and text in (text.lower(), text.upper(), text.capitalize()):
        return text.lower() == "true"
    if len(text) < 30 and _INTEGER.fullmatch(text):
        return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
    return float(text) if len(text) < 60 and _FLOAT.fullmatch(text) else text


def _position(document: Any, places: Mapping[Place, tuple[int, int]], where: Place) -> tuple[int, int]:
    """Line and column of the deepest part of `where` that stands in the document."""
    node: Any = document
    place: Place = ()
    for part in where:
        if (*place, part) in places:
            node, place = node[part], (*place, part)
    return places.get(place, (1, 1))


def validated(model: type[M], document: Any, position: Callable[[Place], tuple[int, int]], name: str) -> M:
    """The document as `model`. Raises BadDocument with every fault, each with its place."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        problems = []
        for fault in error.errors(include_url=False):
            where = tuple(p for p in fault["loc"])
            line, column = position(where)
            problems.append(Problem(name, line, column, _said(model, fault, where)))
        raise BadDocument(sorted(set(problems), key=lambda p: (p.line, p.column))) from None


def _said(model: type[BaseModel], fault: Any, where: Place) -> str:
    key = str(where[-1]) if where else ""
    kind = fault["type"]
    if kind == "extra_forbidden":
        return f'unknown key "{key}"{nearest(key, _keys_at(model, where[:-1]))}'
    if kind == "missing":
        return f'"{key}" is missing'
    if kind in ("literal_error", "enum"):
        valid = [w.strip("'") for w in fault["ctx"]["expected"].replace(" or ", ", ").split(", ")]
        return f'"{fault["input"]}" is no valid value of "{key}"{nearest(str(fault["input"]), valid)}'
    message = _PLAIN.get(kind) or fault["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return f"{key}: {message}" if key else message


#: What pydantic's errors mean to someone who edits YAML.
_PLAIN = {
    "string_type": "expected text (in quotes, if it looks like a number)",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "list_type": "expected a list: [one, two]",
    "dict_type": "expected keys and values (key: value)",
    "model_type": "expected keys and values (key: value)",
    "model_attributes_type": "expected keys and values (key: value)",
}


def _keys_at(model: type[BaseModel], where: Place) -> list[str]:
    """Valid keys of the model that stands at `where`."""
    current: list[type[BaseModel]] = [model]
    for part in where:
        following: list[type[BaseModel]] = []
        for each in current:
            for name, info in each.model_fields.items():
                if part in (name, info.alias):
                    following += _models_in(info.annotation)
        current = following or current
    return sorted({info.alias or name for m in current for name, info in m.model_fields.items()})


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for part in getattr(annotation, "__args__", ()) for m in _models_in(part)]
