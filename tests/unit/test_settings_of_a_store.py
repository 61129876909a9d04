"""How the store finds its named values."""

from __future__ import annotations

from tests.stores import new_store


def test_settings_are_found_by_how_their_names_begin() -> None:
    """By the bytes of the names, also where a database sorts by a language, and with nothing taken for a pattern."""
    store = new_store()
    asked = ["asked\nann\nx", "asked\nann\n", "asked\nann%\nx", "asked\nAnn\nx", "asked\nannä\nx"]
    names = [*asked, "asked\n", "askee", "asked", "zuletzt"]
    with store.transaction() as tx:
        for name in names:
            tx.set_setting(name, f"value of {name}")
    with store.reading() as tx:
        assert set(tx.settings("asked\nann\n")) == {"asked\nann\nx", "asked\nann\n"}
        assert set(tx.settings("asked\n")) == {*asked, "asked\n"}
        assert set(tx.settings("")) >= set(names)
        assert tx.settings("asked\nann%") == {"asked\nann%\nx": "value of asked\nann%\nx"}
        assert tx.settings_of(("zuletzt", "never")) == {"zuletzt": "value of zuletzt"}
