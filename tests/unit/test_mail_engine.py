"""Mail and the engine: what the property test of mail has found, each by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from syncd.engine.context import Context
from syncd.engine.pairing import Employee, Moment, Pairing
from syncd.engine.passes import run_pass
from syncd.mapping.lens import Lens
from syncd.mapping.loader import load, shipped
from syncd.mapping.schema import Condition
from syncd.model.people import People
from syncd.model.record import UNREAD
from syncd.ports import Correspondent
from tests.memory_mail import MemoryFilingCrm, MemoryMailbox, fields, filing_crm, mailbox
from tests.properties.mail_world import lens as drop_lens
from tests.stores import new_store

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Office:
    """Ann and Bob, and a CRM that files."""

    def __init__(self, lens: Lens | None = None) -> None:
        self.now = NOW
        self.crm: MemoryFilingCrm = filing_crm(lambda: self.now)
        self.store = new_store()
        self.boxes: dict[str, MemoryMailbox] = {n: mailbox(n, lambda: self.now) for n in ("ann", "bob")}
        lens = lens or load(shipped()["mail"])
        self.pairings = [
            Pairing(f"{n}/mail", Employee(n, (f"{n}@us.example",)), box, self.crm, "crm", lens)
            for n, box in self.boxes.items()
        ]

    def deliver(
        self,
        ref: str,
        subject: str,
        *boxes: str,
        sender: str = "kim@acme.example",
        answers: tuple[str, ...] = (),
        folder: str = "INBOX",
    ) -> None:
        for name in boxes:
            content = fields(subject, NOW - timedelta(hours=1), sender=sender, text="words")
            self.boxes[name].deliver(ref, content, owner=sender, answers=answers, folder=folder)

    def sync(self, times: int = 1) -> None:
        for _ in range(times):
            for pairing in self.pairings:
                self.now += timedelta(minutes=1)
                run_pass(Context(pairing, self.store, Moment(self.now), b"k" * 32, self.pairings))

    def private(self, name: str, ref: str, on: bool = True) -> None:
        self.boxes[name].edit(ref, categories=frozenset({"Private"} if on else ()))

    def logged(self) -> dict[str, str]:
        return {str(r.fields["subject"]): str(r.fields.get("account") or "") for r in self.crm.records.values()}


def test_what_two_held_goes_when_the_second_makes_it_private_too() -> None:
    """The first to make it private leaves it to the other; the other takes it back."""
    office = Office()
    office.deliver("m", "Both have it", "ann", "bob")
    office.sync(2)
    office.private("ann", "m")
    office.sync(2)
    assert office.logged() == {"Both have it": "acme"}
    office.private("bob", "m")
    office.sync(2)
    assert office.crm.records == {}


def test_what_one_made_private_is_logged_for_the_other_who_gets_it_later() -> None:
    """It went because it was taken back, not because somebody wanted no such log."""
    office = Office()
    office.deliver("m", "Ann's", "ann")
    office.sync()
    office.private("ann", "m")
    office.sync()
    assert office.crm.records == {}
    office.deliver("m", "Ann's", "bob")
    office.sync(2)
    assert office.logged() == {"Ann's": "acme"}


def test_case_e3_mail_with_a_recipient_who_cannot_be_read_is_not_counted_as_internal() -> None:
    """Of Exchange's own address of somebody nobody can say whether it is inside; a colleague's is."""
    office = Office()
    content = fields("To whom?", NOW - timedelta(hours=1), sender="ann@us.example", text="words")
    alone = {**content, "correspondents": People()}
    office.boxes["ann"].deliver("unread", alone, owner="ann@us.example", traits=[UNREAD])
    office.boxes["ann"].deliver("inside", alone, owner="ann@us.example")
    ctx = Context(office.pairings[0], office.store, Moment(NOW), b"k" * 32, office.pairings)
    assert run_pass(ctx).passed_over == {"internal": 1, "unknown": 1}


def test_a_log_that_was_deleted_by_hand_stays_deleted() -> None:
    office = Office()
    office.deliver("m", "Nobody wants it", "ann")
    office.sync()
    office.crm.remove(next(iter(office.crm.records)))
    office.sync(2)
    office.boxes["ann"].edit("m", flagged=True)
    office.deliver("m", "Nobody wants it", "bob")
    office.sync(2)
    assert office.crm.records == {}


def test_an_answer_without_references_is_known_by_subject_and_correspondents() -> None:
    """As a last resort; another customer's mail of the same subject is another thread."""
    office = Office()
    office.deliver("m1", "Our plan", "ann")
    office.sync()
    office.crm.edit(next(iter(office.crm.records)), account="other", transactions=frozenset({"opportunity OPP-2"}))
    office.deliver("m2", "RE: Our plan", "ann")
    office.deliver("m3", "Re: Our plan", "ann", sender="lee@beta.example")
    office.sync()
    assert office.logged() == {"Our plan": "other", "RE: Our plan": "other", "Re: Our plan": "beta"}


def test_what_is_deleted_from_a_drop_folder_is_taken_back_unless_it_crosses_anyway() -> None:
    office = Office(drop_lens())
    office.deliver("d1", "Of a stranger", "ann", sender="who@new.example", folder="CRM")
    office.deliver("d2", "Of Kim", "ann", folder="CRM")
    office.sync()
    assert office.logged() == {"Of a stranger": "other", "Of Kim": "other"}
    for ref in ("d1", "d2"):
        office.boxes["ann"].remove(ref)
    office.sync(2)
    assert office.logged() == {"Of Kim": "other"}


def test_a_drop_folder_that_is_emptied_at_once_is_held() -> None:
    """The guard: more than ten, and more than a fifth, wait for a word."""
    office = Office(drop_lens())
    for n in range(20):
        office.deliver(f"d{n}", f"Of a stranger {n}", "ann", sender="who@new.example", folder="CRM")
    office.sync()
    for n in range(20):
        office.boxes["ann"].remove(f"d{n}")
    office.sync(2)
    assert len(office.logged()) == 20


def test_marks_are_shown_once_it_is_logged_and_taken_off_when_it_is_taken_back() -> None:
    office = Office(drop_lens())
    office.deliver("m1", "Logged", "ann")
    office.deliver("m2", "Nobody's", "ann", sender="who@new.example")
    office.sync()
    box = office.boxes["ann"]
    assert box.marked == {"m1": True}
    office.private("ann", "m1")
    office.sync()
    assert box.marked == {"m1": False}
    office.private("ann", "m1", on=False)
    office.sync()
    assert box.marked == {"m1": True}


def test_only_what_may_cross_is_read() -> None:
    office = Office()
    office.deliver("m1", "Of Kim", "ann")
    office.deliver("m2", "Of a stranger", "ann", sender="who@new.example")
    office.deliver("m3", "Of Bob", "ann", sender="bob@us.example")
    office.sync()
    assert {ref for ref, _ in office.boxes["ann"].asked} == {"m1"}


def test_nobody_becomes_a_lead_by_mail_that_does_not_cross() -> None:
    """Too old, a robot's, or left out by the mapping: no lead. One that crosses: one lead, once."""
    mapping = load(shipped()["mail"]).mapping
    mail = mapping.mail.model_copy(update={"unknown": "lead"})
    mapping = mapping.model_copy(update={"mail": mail, "exclude": [Condition.model_validate({"folder": ["Other"]})]})
    office = Office(Lens(mapping, "d"))
    office.deliver("m1", "Elsewhere", "ann", sender="a@new.example", folder="Other")
    office.boxes["ann"].deliver(
        "m2", fields("Old", NOW - timedelta(days=99), sender="b@new.example"), owner="b@new.example"
    )
    robot = fields("Robot", NOW, sender="c@new.example")
    office.boxes["ann"].deliver("m3", robot, owner="c@new.example", traits={"automatic"})
    office.deliver("m4", "Hello", "ann", sender="d@new.example")
    office.sync(2)
    assert office.crm.leads == {"d@new.example": "lead 1"}
    assert set(office.logged()) == {"Hello"}


def test_a_thread_is_known_by_subject_whoever_of_ours_is_in_copy() -> None:
    """Colleagues whom only the CRM knows are no correspondents: before and after are looked for alike."""
    office = Office()
    office.crm.parties["dora@us.example"] = Correspondent("employee")
    for ref, subject in (("m1", "Our plan"), ("m2", "Re: Our plan")):
        content = fields(subject, NOW - timedelta(hours=1), to="ann@us.example, dora@us.example")
        office.boxes["ann"].deliver(ref, content, owner="kim@acme.example")
        office.sync()
        if ref == "m1":
            office.crm.edit(next(iter(office.crm.records)), account="other")
    assert office.logged() == {"Our plan": "other", "Re: Our plan": "other"}


def test_a_second_mailboxs_copy_changes_nothing_that_somebody_has_corrected() -> None:
    office = Office()
    office.deliver("m1", "Ofer", "ann")
    office.sync()
    (ref,) = office.crm.records
    office.crm.edit(ref, subject="Offer")
    office.deliver("m1", "Ofer", "bob")
    office.sync(2)
    assert list(office.logged()) == ["Offer"]
