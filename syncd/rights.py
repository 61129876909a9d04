"""Who may read what syncd keeps: nobody but the user who runs it, whatever the umask says.

Files with content or keys have mode 0600, folders that are made for them 0700. SQLite gives its -wal, -shm
and -journal the rights of the database. What somebody made before is left as it is, and said.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
#: What SQLite puts beside a database.
BESIDE = ("-wal", "-shm", "-journal")


def make_folder(folder: Path) -> None:
    """Makes the folder, and those above it that are missing. Raises OSError."""
    missing = [f for f in (folder, *folder.parents) if not f.exists()]
    for each in reversed(missing):
        with suppress(FileExistsError):
            each.mkdir(mode=0o700)
            each.chmod(0o700)  # the umask may have taken from the owner too


def new_file(path: Path) -> int:
    """A new file, open to be written. Raises OSError, FileExistsError among them."""
    made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.fchmod(made, 0o600)
    return made


def make_file(path: Path) -> None:
    """An empty file where there is none, so that whoever fills it does not choose its rights. Raises OSError.

    One that is there is not touched: to close a file gives up all locks that this process has on it (POSIX fcntl),
    and without them another process takes a database in use for abandoned (sqlite.org/howtocorrupt.html, 2.2).
    """
    with suppress(FileExistsError):
        os.close(new_file(path))


def narrow_if_empty(folder: Path) -> None:
    """A folder of one's own in which nothing lies yet becomes its owner's alone: what syncd puts there is
    all that it will hold."""
    with suppress(OSError):
        found = folder.stat()
        shared = found.st_mode & stat.S_ISVTX or found.st_uid != os.geteuid() or folder.is_mount()
        if not shared and not any(folder.iterdir()):
            folder.chmod(0o700)


def too_wide(files: Iterable[Path], folders: Iterable[Path]) -> Iterator[str]:
    """A line for each that others than its owner may read, and what to do."""
    for path in files:
        mode = _mode(path)
        if mode & _OTHERS:
            yield f"others may read {path} (mode {mode:04o}): chmod 600 {path}"
    for path in folders:
        mode = _mode(path)
        if mode & _OTHERS:
            yield f"others may look into {path} (mode {mode:04o}): chmod 700 {path}"


def inside(folder: Path) -> list[Path]:
    """What lies in the folder, as far as whoever asks may look."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _mode(path: Path) -> int:
    """0 where there is nothing to be seen."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0
