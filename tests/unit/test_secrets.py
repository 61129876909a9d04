"""Secrets by reference, from each place; what is said when one cannot be had never quotes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError

from syncd.secrets import SecretFault, keep, reference_of, remove, resolve

pytestmark = pytest.mark.either


class Drawer(KeyringBackend):
    """A keyring in memory, as the keyring library describes one."""

    priority = 1.0

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.held: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise KeyringLocked("locked")
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.held[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if (service, username) not in self.held:
            raise PasswordDeleteError("not there")
        del self.held[service, username]


@pytest.fixture
def drawer() -> Iterator[Drawer]:
    before, made = keyring.get_keyring(), Drawer()
    keyring.set_keyring(made)
    yield made
    keyring.set_keyring(before)


def test_a_keyring_keeps_a_secret_and_forgets_it(drawer: Drawer, tmp_path: Path) -> None:
    assert keep("ann@host", "swordfish", tmp_path) == "keyring:ann@host"
    assert resolve("keyring:ann@host", tmp_path) == "swordfish"
    assert reference_of("ann@host", tmp_path) == "keyring:ann@host"
    assert remove("ann@host", tmp_path) and not remove("ann@host", tmp_path)
    with pytest.raises(SecretFault, match="syncd secret set ann@host"):
        resolve("keyring:ann@host", tmp_path)


def test_a_locked_keyring_says_so(drawer: Drawer, tmp_path: Path) -> None:
    drawer.locked = True
    with pytest.raises(SecretFault, match="the keyring does not answer"):
        resolve("keyring:ann", tmp_path)


def test_a_file_is_its_owners_alone(tmp_path: Path) -> None:
    reference = keep("ann", "swordfish", tmp_path, place="file")
    path = tmp_path / reference.removeprefix("file:")
    assert path.stat().st_mode & 0o777 == 0o600
    assert resolve(reference, tmp_path) == "swordfish"
    path.chmod(0o640)
    with pytest.raises(SecretFault, match="chmod 600"):
        resolve(reference, tmp_path)
    path.chmod(0o600)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SecretFault, match="not UTF-8"):
        resolve(reference, tmp_path)
    assert remove("ann", tmp_path)
    with pytest.raises(SecretFault, match="No such file"):
        resolve(reference, tmp_path)


def test_the_environment_and_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SecretFault, match="not set"):
        resolve("env:SYNCD_TEST_SECRET", tmp_path)
    monkeypatch.setenv("SYNCD_TEST_SECRET", "swordfish")
    assert resolve("env:SYNCD_TEST_SECRET", tmp_path) == "swordfish"
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(SecretFault, match="LoadCredential=ann"):
        resolve("credential:ann", tmp_path)
    (tmp_path / "ann").write_text("swordfish\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert resolve("credential:ann", tmp_path) == "swordfish"
