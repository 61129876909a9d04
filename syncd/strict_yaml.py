"""Reads the YAML that administrators edit, and says file, line, column and the nearest valid word.

Strict on purpose: no duplicate keys, no anchors, no tags, no unknown keys, a megabyte at most.
Knows nothing of what the documents mean: a pydantic model says that.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

M = TypeVar("M", bound=BaseModel)
#: Where in a document: keys and positions in lists.
Place = tuple[str | int, ...]
MOST_BYTES = 1_000_000


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
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.events import AliasEvent, MappingStartEvent, ScalarEvent, SequenceStartEvent

    def fail(mark: Any, message: str) -> BadDocument:
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        return BadDocument([Problem(name, line, column, message)])

    try:
        for event in YAML(typ="rt").parse(text):
            if isinstance(event, AliasEvent) or getattr(event, "anchor", None):
                raise fail(event.start_mark, "anchors and aliases are not allowed here: write it out")
            is_node = isinstance(event, ScalarEvent | MappingStartEvent | SequenceStartEvent)
            if is_node and getattr(event, "tag", None) is not None:
                raise fail(event.start_mark, "tags are not allowed here")
        document = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        problem = (error.problem or "not YAML").split("\n")[0]
        if "duplicate key" in problem:
            problem = problem.split(" with value")[0].replace("found ", "")
        raise fail(error.problem_mark or error.context_mark, problem) from None
    except RecursionError:
        raise fail(None, "nested too deeply") from None
    except (YAMLError, ValueError) as error:
        raise fail(None, f"not YAML ({type(error).__name__})") from None
    if document is None:
        raise fail(None, "the file is empty")
    if not isinstance(document, dict):
        raise fail(None, "expected keys and values (key: value)")
    return document, lambda where: _position(document, where)


def _position(document: Any, where: Place) -> tuple[int, int]:
    """Line and column of the deepest part of `where` that stands in the document."""
    node, line, column = document, 0, 0
    for part in where:
        lc = getattr(node, "lc", None)
        try:
            if isinstance(node, dict) and part in node:
                line, column = lc.key(part) if lc else (line, column)
            elif isinstance(node, list) and isinstance(part, int) and part < len(node):
                line, column = lc.item(part) if lc else (line, column)
            else:
                continue
        except (KeyError, AttributeError, TypeError):
            continue
        node = node[part]
    return line + 1, column + 1


def plain(node: Any) -> Any:
    """The document as plain dicts, lists and scalars."""
    if isinstance(node, dict):
        return {str(k): plain(v) for k, v in node.items()}
    if isinstance(node, list):
        return [plain(v) for v in node]
    if isinstance(node, str):
        return str(node)
    if isinstance(node, bool) or node is None:
        return node
    if isinstance(node, int):
        return int(node)
    return float(node) if isinstance(node, float) else node


def validated(model: type[M], document: Any, position: Callable[[Place], tuple[int, int]], name: str) -> M:
    """The document as `model`. Raises BadDocument with every fault, each with its place."""
    try:
        return model.model_validate(plain(document))
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
