"""Mail: two worlds that differ only in what is withheld write the same bytes everywhere."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.engine.pairing import Employee, OwnMail, Pairing
from syncd.mapping.lens import Lens
from syncd.mapping.loader import load, shipped
from syncd.model.files import File, Files
from syncd.model.people import Participant, People, normal_address, normal_domain
from syncd.service.runner import run_one
from tests.depth import examples
from tests.memory_mail import fields, filing_crm, mailbox
from tests.properties.test_noninterference import SPELT, Recorder, words
from tests.stores import close_all, new_store

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
#: Why nothing of a message crosses.
REASONS = ("private", "confidential", "x-odd", "folder", "keyword", "blocked", "blocked name", "employee's keyword")

secrets = st.fixed_dictionaries(
    {
        "subject": words,
        "text": words,
        "priority": st.integers(0, 9),
        "people": st.lists(
            st.sampled_from(["kim@acme.example", "x@new.example", "bob@us.example", *SPELT]), max_size=3
        ),
        "files": st.lists(words, max_size=2),
        "invitation": words,
        "answers": st.lists(st.sampled_from(["public@mail", "nobody@mail"]), max_size=2),
    }
)


def lens() -> Lens:
    return load(shipped()["mail"])


def deliver(box: Any, ref: str, secret: dict[str, Any], reason: str) -> None:
    """A message of which nothing may cross."""
    named = {"blocked": ["x@doctor.example"], "blocked name": [SPELT[secret["priority"] % 3]]}
    people = [Participant(normal_address(a)) for a in [*secret["people"], *named.get(reason, [])]]
    made = fields(
        secret["subject"], NOW - timedelta(hours=2), text=secret["text"], priority=secret["priority"],
        invitation=secret["invitation"], attachments=Files([File(n, "x/y", 1) for n in secret["files"]]),
    )  # fmt: skip
    made["correspondents"] = People([*made["correspondents"].values(), *people])
    if reason in ("private", "confidential", "x-odd"):
        made["sensitivity"] = reason
    if "keyword" in reason:
        made["categories"] = frozenset({"Private" if reason == "keyword" else "Mine"})
    folder = "Home" if reason == "folder" else "INBOX"
    box.deliver(ref, made, folder=folder, answers=tuple(secret["answers"]), owner="kim@acme.example")


def written(messages: list[tuple[dict[str, Any], str]]) -> tuple[object, ...]:
    """Every byte of a world with these messages: CRM, store, logs, results."""
    now = NOW
    hub, store, recorder = filing_crm(lambda: now), new_store(), Recorder()
    box = mailbox("ann", lambda: now, excluded=frozenset({"Home"}))
    structlog.configure(processors=[recorder])
    own = OwnMail(exclude_keywords=("Mine",), block=("doctor.example", normal_domain("BÜCHER.example")))
    pairing = Pairing("ann/mail", Employee("ann", ("ann@us.example",)), box, hub, "crm", lens(), own)
    results = []

    def sync(*, full: bool = False) -> None:
        nonlocal now
        now += timedelta(minutes=5)
        results.append(json.dumps(run_one(pairing, [pairing], store, b"k" * 32, now, full=full).as_json()))

    box.deliver(
        "public", fields("Known", NOW - timedelta(hours=1), text="Words"), owner="kim@acme.example", uid="public@mail"
    )
    for number, (secret, reason) in enumerate(messages):
        deliver(box, f"s{number}", secret, reason)
    sync()
    for number, (secret, reason) in enumerate(messages):
        deliver(box, f"s{number}", {**secret, "subject": "again"}, reason)
    box.move("public", "moved", "Home")  # what had crossed becomes private
    sync()
    box.expire()
    sync(full=True)
    structlog.reset_defaults()
    dump = store.dump()
    close_all()
    asked = [a for a in box.asked if a[0] != "public"]
    return (
        dump,
        repr(sorted((r, a.fields, a.uid) for r, a in hub.records.items())),
        hub.history,
        recorder.lines,
        results,
        asked,
    )


@pytest.mark.either
@settings(max_examples=examples(60))
@given(st.lists(st.tuples(secrets, secrets, st.sampled_from(REASONS)), min_size=1, max_size=3))
def test_what_is_withheld_of_mail_changes_no_byte_anywhere(
    messages: list[tuple[dict[str, Any], dict[str, Any], str]],
) -> None:
    first = written([(a, reason) for a, _, reason in messages])
    second = written([(b, reason) for _, b, reason in messages])
    assert first == second
    assert first[5] == [], "nothing that may not cross is even read"
    assert first[1] == "[]", "what became private was taken back"
