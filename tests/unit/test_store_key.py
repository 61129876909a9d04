"""A store knows its key and refuses another; a key is made only for a store in which there is nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import delete

from syncd.secrets import SecretFault, make_key
from syncd.service import key as keys
from syncd.service.key import SETTING, fingerprint, key_path, open_store
from syncd.settings import Configuration, Settings
from syncd.store import Store
from syncd.store import tables as t
from tests.servers.postgres import fresh_database

Make = Callable[..., Configuration]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A configuration by the name of its state folder, all on one store."""
    url = fresh_database() or f"sqlite:///{tmp_path / 'shared' / 'store.db'}"

    def made(state: str = "state", store: str = url) -> Configuration:
        values = {"version": 1, "state": str(tmp_path / state), "profiles": {}, "store": store}
        values["crm"] = {"url": url}
        return Configuration(tmp_path / "syncd.yaml", Settings.model_validate(values))

    return made


def used(configuration: Configuration, name: str = "sequence") -> bytes:
    """A store in which something stands."""
    store, key = open_store(configuration)
    with store.transaction() as tx:
        tx.set_setting(name, "7")
    store.close()
    return key


def settings(configuration: Configuration) -> dict[str, str]:
    store = Store.open(configuration.url(configuration.settings.store))
    found = {str(name): str(value) for name, value in store.dump()["setting"]}
    store.close()
    return found


def test_case_p7_a_new_store_makes_a_key_and_knows_it(make: Make) -> None:
    key = used(make())
    assert settings(make())[SETTING] == fingerprint(key)
    assert used(make()) == key
    assert key.hex() not in str(settings(make()))


def test_a_dump_is_in_the_order_of_its_keys(make: Make) -> None:
    """Two worlds are compared by it, and a server gives rows back in any order."""
    configuration = make()
    store = Store.open(configuration.url(configuration.settings.store))
    with store.transaction() as tx:
        for name in ("b", "c", "a"):
            tx.set_setting(name, "7")
        tx.set_setting("b", "8")
    assert [name for name, _ in store.dump()["setting"]] == ["a", "b", "c"]
    store.close()


def test_case_p7_a_lost_key_is_an_error_that_says_what_to_do_and_no_new_key(make: Make) -> None:
    used(make(), "forgotten 0123456789")
    before = settings(make())
    key_path(make()).unlink()
    with pytest.raises(SecretFault, match=r"is gone: .*syncd\.key\. Put it back from a backup"):
        open_store(make())
    assert not key_path(make()).exists()
    assert settings(make()) == before


def test_case_p7_another_key_is_refused(make: Make) -> None:
    used(make())
    key_path(make()).unlink()
    make_key(key_path(make()))
    with pytest.raises(SecretFault, match="not the key with which the store was written"):
        open_store(make())
    assert key_path(make()).exists()


def test_case_p7_a_store_from_before_takes_the_key_that_lies_beside_it(make: Make) -> None:
    key = used(make())
    _without_fingerprint(make())
    assert used(make()) == key
    assert settings(make())[SETTING] == fingerprint(key)


def test_case_p7_a_store_from_before_without_its_key_is_refused(make: Make) -> None:
    used(make())
    _without_fingerprint(make())
    key_path(make()).unlink()
    with pytest.raises(SecretFault, match="is gone"):
        open_store(make())


def _without_fingerprint(configuration: Configuration) -> None:
    store = Store.open(configuration.url(configuration.settings.store))
    with store.transaction() as tx:
        tx.connection.execute(delete(t.setting).where(t.setting.c.name == SETTING))
    store.close()


def test_case_p7_a_second_syncd_on_one_store_needs_a_copy_of_the_key(make: Make) -> None:
    key = used(make("here"))
    with pytest.raises(SecretFault, match="copy it from the syncd that shares the store"):
        open_store(make("there"))
    key_path(make("there")).parent.mkdir()
    key_path(make("there")).write_bytes(key_path(make("here")).read_bytes())
    key_path(make("there")).chmod(0o600)
    assert used(make("there")) == key


def test_case_p7_two_stores_may_have_one_key(make: Make, tmp_path: Path) -> None:
    assert used(make()) == used(make(store=f"sqlite:///{tmp_path / 'second.db'}"))


def test_case_p7_a_crm_in_the_same_database_is_no_content_of_the_store(make: Make) -> None:
    from syncd.crm.database import Crm

    with_crm = make()
    crm = Crm.open(with_crm.settings.crm.url)
    crm.create("task", {"subject": "x"}, by="")
    crm.close()
    assert len(used(with_crm)) == 32


def test_case_p7_of_two_that_begin_at_once_one_key_counts(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """On one machine both have it; on two machines the other is told to copy it, and leaves no key of its own."""
    Store.open(make().url(make().settings.store)).close()
    claim, gate = keys._claimed, threading.Barrier(3)

    def together(store: Store, mine: str) -> str | None:
        gate.wait(30)
        return claim(store, mine)

    monkeypatch.setattr(keys, "_claimed", together)
    found: dict[str, object] = {}

    def work(name: str, state: str) -> None:
        try:
            store, found[name] = open_store(make(state))
            store.close()
        except SecretFault as error:
            found[name] = error

    threads = [threading.Thread(target=work, args=a) for a in (("a", "here"), ("b", "here"), ("c", "there"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found["a"] == found["b"] or isinstance(found["c"], bytes)
    kept = [s for s in ("here", "there") if key_path(make(s)).exists()]
    assert kept == (["there"] if isinstance(found["c"], bytes) else ["here"])


@pytest.mark.parametrize("content", ["", "00\n", "nonsense\n", "00" * 31])
def test_case_p7_half_a_key_is_none(make: Make, content: str) -> None:
    """As a crash may have left it: an empty key would make digests that anybody can make."""
    key_path(make()).parent.mkdir()
    key_path(make()).write_text(content)
    key_path(make()).chmod(0o600)
    with pytest.raises(SecretFault, match="no key of syncd"):
        open_store(make())
