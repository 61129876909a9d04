"""Files that hang on a message or an activity: what they are called, and their octets where they cross."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class File:
    """One file."""

    name: str
    #: Media type, such as application/pdf.
    type: str
    #: Octets, about: as the message says.
    size: int
    #: Its octets in pieces, where the mapping lets them cross; None where only the name does.
    content: Sequence[bytes] | None = field(default=None, compare=False, repr=False)


class Files(tuple[File, ...]):
    """Files in their order; equal when they are called the same, of the same types and sizes."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Files) and sorted(map(_key, self)) == sorted(map(_key, other))

    def __hash__(self) -> int:
        return hash(tuple(sorted(map(_key, self))))

    def __repr__(self) -> str:
        return f"Files({len(self)})"


def _key(file: File) -> tuple[str, str, int]:
    return file.name, file.type, file.size
