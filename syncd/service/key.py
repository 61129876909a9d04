"""Opens the store together with the key of its digests, and only with that one.

With another key nothing in the store would be known again: everything would be made once more, and who
was forgotten would be synced again. So the store keeps a fingerprint of its key (a keyed digest of a
constant, from which no key can be found), and a key is made only for a store in which there is nothing.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from syncd.engine.digest import Digester
from syncd.secrets import SecretFault, make_key, read_key
from syncd.settings import Configuration
from syncd.store import Store
from syncd.store import tables as t

#: Under what the store keeps the fingerprint.
SETTING = "key"


def key_path(configuration: Configuration) -> Path:
    """Where the key of the store's digests lies."""
    return configuration.state / "syncd.key"


def fingerprint(key: bytes) -> str:
    """By which a store knows its key."""
    return Digester(key, SETTING).text("the key of this store")


def open_store(configuration: Configuration) -> tuple[Store, bytes]:
    """The store, and its key. A store from before there were fingerprints takes the key that lies beside it.

    Raises StoreFault; SecretFault for a key that is gone, or another store's.
    """
    store = Store.open(configuration.url(configuration.settings.store))
    try:
        return store, _key_of(store, key_path(configuration))
    except BaseException:
        store.close()
        raise


def _key_of(store: Store, path: Path) -> bytes:
    key = read_key(path)
    made = key is None
    if key is None:
        if not _empty(store):
            raise SecretFault(
                f"the key of this store is gone: {path}. Put it back from a backup, or copy it from the syncd that "
                "shares the store. No other key will do. If it is lost, begin with an empty store: items and "
                "activities find each other again; who was forgotten must first be taken out of the configuration"
            )
        key = make_key(path)
    if _claimed(store, fingerprint(key)) != fingerprint(key):
        if made:  # another syncd was a moment earlier
            path.unlink(missing_ok=True)
        raise SecretFault(
            f"this is not the key with which the store was written: {path}. Put back the one that belongs to the "
            "store; a syncd that shares a store with another needs a copy of the other's syncd.key"
        )
    return key


def _empty(store: Store) -> bool:
    """True when nothing was ever kept there: no fingerprint either."""
    with store.reading() as tx:
        return not any(
            tx.connection.execute(select(1).select_from(table).limit(1)).first()
            for table in t.metadata.sorted_tables
            if table is not t.lease
        )


def _claimed(store: Store, mine: str) -> str | None:
    """The store's fingerprint; `mine` where it had none."""
    with store.reading() as tx:
        known = tx.setting(SETTING)
    if known is None:
        try:
            with store.transaction() as tx:
                tx.connection.execute(insert(t.setting).values(name=SETTING, value=mine))
        except IntegrityError:
            pass  # another syncd was a moment earlier
        with store.reading() as tx:
            known = tx.setting(SETTING)
    return known
