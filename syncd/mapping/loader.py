"""Loads mapping files: from a path, or one that we ship, checked as a whole.

Raises `syncd.strict_yaml.BadDocument` with file:line:column for every fault.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from syncd.mapping.lens import Lens
from syncd.mapping.schema import MappingFile, crm_problems_of, problems_of, warnings_of
from syncd.strict_yaml import BadDocument, Place, Problem, nearest, parse, read, validated


def shipped_folder() -> Path:
    """Where the mappings lie that come with syncd (an installation, or a checkout)."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "shipped" / "mappings"
    return installed if installed.is_dir() else package.parent / "mappings"


def shipped() -> dict[str, Path]:
    """Name -> file of the mappings that come with syncd."""
    return {path.stem: path for path in sorted(shipped_folder().glob("*.yaml"))}


def locate(name: str, folder: Path) -> Path:
    """The file of a mapping named in the configuration: a path beside it, or a shipped name.

    Raises FileNotFoundError with the nearest valid name.
    """
    path = (folder / name).expanduser()
    if path.is_file():
        return path
    known = shipped()
    if name in known:
        return known[name]
    raise FileNotFoundError(f'no mapping "{name}"{nearest(name, list(known))}')


def load(path: Path) -> Lens:
    """The mapping in the file, compiled. Raises BadDocument."""
    return _compiled(*read(path), str(path))


def load_text(text: str, name: str) -> Lens:
    """As `load`, from text; `name` stands in the faults. Raises BadDocument."""
    return _compiled(*parse(text, name), name)


def _compiled(document: Any, position: Callable[[Place], tuple[int, int]], name: str) -> Lens:
    mapping = validated(MappingFile, document, position, name)
    faults = [Problem(name, *position(where), message) for where, message in problems_of(mapping)]
    if faults:
        raise BadDocument(faults)
    return Lens(mapping, digest_of(mapping))


def digest_of(mapping: MappingFile) -> str:
    """Short text that changes whenever the mapping's meaning may have (then all is compared anew)."""
    return hashlib.sha256(mapping.model_dump_json(by_alias=True).encode()).hexdigest()[:16]


def warnings(path: Path) -> Iterator[Problem]:
    """What the mapping in the file would lose. Raises BadDocument."""
    document, position = read(path)
    mapping = validated(MappingFile, document, position, str(path))
    for where, message in warnings_of(mapping):
        yield Problem(str(path), *position(where), message)


def check_words(mapping: MappingFile, words: Mapping[str, Sequence[str]], path: Path) -> None:
    """Raises BadDocument when the mapping, read from `path`, uses words that the CRM does not take."""
    faults = crm_problems_of(mapping, words)
    if faults:
        _, position = read(path)
        raise BadDocument([Problem(str(path), *position(where), message) for where, message in faults])


def json_schema() -> dict[str, Any]:
    """JSON Schema of a mapping file, for editors."""
    schema = MappingFile.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **json.loads(json.dumps(schema))}
