"""Secrets by reference: ``keyring:NAME``, ``file:PATH``, ``credential:NAME``, ``env:NAME``.

A secret never stands in the configuration, a log or an error (design §9).
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from uuid import uuid4

from syncd.rights import make_folder, new_file

SERVICE = "syncd"
PLACES = ("keyring", "file", "credential", "env")


class SecretFault(Exception):
    """A secret that cannot be had; says the reference and what to do, never the secret."""


def check_reference(reference: str) -> None:
    """Raises ValueError when the text is no reference (a plain password, most likely)."""
    place, _, name = reference.partition(":")
    if place not in PLACES or not name:
        raise ValueError(
            "a secret is given by reference (keyring:NAME, file:PATH, credential:NAME or env:NAME), never in plain text"
        )


def resolve(reference: str, folder: Path) -> str:
    """The secret behind a reference; file paths count from `folder`. Raises SecretFault."""
    place, _, name = reference.partition(":")
    if place == "env":
        if name not in os.environ:
            raise SecretFault(f"{reference}: the environment variable is not set")
        return os.environ[name]
    if place == "credential":
        base = os.environ.get("CREDENTIALS_DIRECTORY")
        if not base:
            raise SecretFault(f"{reference}: not started by systemd with LoadCredential={name}")
        return _read(Path(base) / name, reference, strict=False)
    if place == "file":
        return _read((folder / name).expanduser(), reference, strict=True)
    return _from_keyring(name, reference)


def _read(path: Path, reference: str, *, strict: bool) -> str:
    try:
        mode = path.stat().st_mode
        if strict and mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise SecretFault(f"{reference}: others may read this file: chmod 600 {path}")
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise SecretFault(f"{reference}: {error.strerror}: {path}") from None
    except UnicodeDecodeError:
        raise SecretFault(f"{reference}: not UTF-8: {path}") from None


def _from_keyring(name: str, reference: str) -> str:
    import keyring
    from keyring.errors import KeyringError

    try:
        found = keyring.get_password(SERVICE, name)
    except KeyringError as error:
        raise SecretFault(f"{reference}: the keyring does not answer ({type(error).__name__})") from None
    if found is None:
        raise SecretFault(f"{reference}: not in the keyring: syncd secret set {name}")
    return found


def keyring_works() -> bool:
    """True when this machine has a keyring that keeps secrets."""
    import keyring
    from keyring.backends import fail, null

    return not isinstance(keyring.get_keyring(), fail.Keyring | null.Keyring)


def keep(name: str, secret: str, folder: Path, *, place: str = "") -> str:
    """Keeps a secret in the keyring, or in a file of mode 0600 under `folder`/secrets; returns the
    reference for the configuration. Raises SecretFault."""
    if place == "keyring" or (not place and keyring_works()):
        import keyring
        from keyring.errors import KeyringError

        try:
            keyring.set_password(SERVICE, name, secret)
        except KeyringError as error:
            raise SecretFault(f"the keyring does not take it ({type(error).__name__}): try --in file") from None
        return f"keyring:{name}"
    path = _file(name, folder)
    make_folder(path.parent)
    path.unlink(missing_ok=True)
    with os.fdopen(new_file(path), "w", encoding="utf-8") as file:
        file.write(secret + "\n")
    return f"file:{path.relative_to(folder)}"


def _file(name: str, folder: Path) -> Path:
    return folder / "secrets" / "".join(c if c.isalnum() or c in "-_.@" else "_" for c in name)


def reference_of(name: str, folder: Path) -> str | None:
    """Where a secret of that name is kept, or None."""
    if _file(name, folder).exists():
        return f"file:{_file(name, folder).relative_to(folder)}"
    if keyring_works():
        import keyring

        if keyring.get_password(SERVICE, name) is not None:
            return f"keyring:{name}"
    return None


def remove(name: str, folder: Path) -> bool:
    """Forgets a secret; False when there was none."""
    reference = reference_of(name, folder)
    if reference is None:
        return False
    if reference.startswith("file:"):
        _file(name, folder).unlink()
    else:
        import keyring

        keyring.delete_password(SERVICE, name)
    return True


#: Octets of the key of the store's digests.
KEY = 32


def read_key(path: Path) -> bytes | None:
    """The key in the file; None where there is no file. Raises SecretFault."""
    if not path.exists():
        return None
    try:
        found = bytes.fromhex(_read(path, f"file:{path}", strict=True))
    except ValueError:
        found = b""
    if len(found) != KEY:
        raise SecretFault(f"file:{path}: this is no key of syncd")
    return found


def make_key(path: Path) -> bytes:
    """A new key, kept in that file, mode 0600; the one that is there, when another syncd was a moment earlier.
    The file is there whole or not at all. Raises SecretFault."""
    beside = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        make_folder(path.parent)
        with os.fdopen(new_file(beside), "w", encoding="ascii") as file:
            file.write(os.urandom(KEY).hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(beside, path)
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            beside.rename(path)
        beside.unlink(missing_ok=True)
    except OSError as error:
        raise SecretFault(f"file:{path}: {error.strerror}") from None
    made = read_key(path)
    assert made is not None
    return made
