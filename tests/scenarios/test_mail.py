"""Mail (scenarios M1-M7, P1, P2, P5): from real mailboxes on Dovecot into the CRM, and nothing back."""

from __future__ import annotations

import uuid
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from syncd.cli.radicale import Server
from syncd.crm.database import Crm
from tests.scenarios.mail import TODAY, MailDesk, Maker, message
from tests.servers.dovecot import Dovecot


@pytest.mark.everywhere
def test_a_customers_mail_is_an_e_mail_of_the_crm(desk_of: Maker) -> None:
    """M1: in and out by direction, at contact and account; the second pass does nothing."""
    desk = desk_of("ann")
    desk.deliver("ann", message("Offer", "Dear Ann,\nhere is our offer.\n", files={"offer.pdf": b"x" * 3000}))
    desk.deliver("ann", message("Thanks", sender="Ann <ann@us.example>", to="Kim <kim@acme.example>"), "Sent")
    before = desk.state("ann")
    desk.sync(status=0)
    by_subject = {m["subject"]: m for m in desk.mails()}
    assert set(by_subject) == {"Offer", "Thanks"}
    offer, thanks = by_subject["Offer"], by_subject["Thanks"]
    assert (offer["direction"], offer["contact"], offer["account"]) == ("in", "kim", "acme")
    assert (thanks["direction"], thanks["contact"], thanks["account"]) == ("out", "kim", "acme")
    assert offer["notes"] == "Dear Ann,\nhere is our offer."
    assert [(f["name"], f["type"]) for f in offer["attachments"]] == [("offer.pdf", "application/pdf")]
    assert {p["address"]: p["role"] for p in offer["participants"]} == {
        "kim@acme.example": "from",
        "ann@us.example": "to",
    }
    assert offer["status"] == "completed"
    desk.quiet()
    assert desk.state("ann") == before


@pytest.mark.everywhere
def test_lesson_6_one_message_that_many_hold_is_one_activity(desk_of: Maker) -> None:
    """M1, lesson 6: five recipients, one e-mail; and two mails with one Message-ID stay two."""
    desk = desk_of("ann", "bob", "cid", "dora", "eve")
    everyone = ", ".join(f"{u}@us.example" for u in desk.boxes)
    one = message("For all", to=everyone)
    for user in desk.boxes:
        desk.deliver(user, one)
    desk.sync(status=0)
    mail = desk.mail()
    assert {p["address"] for p in mail["participants"]} == {
        "kim@acme.example",
        *(f"{u}@us.example" for u in desk.boxes),
    }
    desk.quiet()
    desk.deliver("ann", message("One of two", mid="same@acme.example", at=TODAY - timedelta(hours=1)))
    desk.deliver("ann", message("Two of two", mid="same@acme.example"))
    desk.deliver("bob", message("Two of two", mid="same@acme.example"))
    desk.deliver("bob", message("No id", mid=""))
    desk.deliver("cid", message("No id", mid=""))
    desk.sync(status=0)
    assert sorted(m["subject"] for m in desk.mails()) == ["For all", "No id", "One of two", "Two of two"]
    desk.quiet()


NOT_FOR_THE_CRM = {
    "internal": message("Secret zero", sender="Bob <bob@us.example>"),
    "list": message("Secret one", List_Id="<talk.acme.example>"),
    "automatic": message("Secret two", Auto_Submitted="auto-replied"),
    "suppress": message("Secret three", X_Auto_Response_Suppress="All"),
    "bulk": message("Secret four", Precedence="bulk"),
    "bounce": message("Secret five", Return_Path="<>"),
    "private": message("Secret six", Sensitivity="Private"),
    "personal": message("Secret seven", Sensitivity="Personal"),
    "confidential": message("Secret eight", Sensitivity="Company-Confidential"),
    "stranger": message("Secret nine", sender="Someone <someone@elsewhere.example>"),
    "spam": message("Secret ten", X_Spam_Flag="YES"),
    "blocked": message("Secret eleven", cc="x@doctor.example"),
}


@pytest.mark.either
@pytest.mark.everywhere
def test_lesson_30_what_is_none_of_the_crms_business_leaves_no_trace_but_a_count(desk_of: Maker) -> None:
    """M2, P1, lesson 30: each exclusion, counted by its kind; and reading sets no flag."""
    desk = desk_of("ann", "bob", own=", mail: {exclude-folders: [Home], block: [doctor.example]}")
    for mail in NOT_FOR_THE_CRM.values():
        desk.deliver("ann", mail)
    desk.deliver("ann", message("Secret twelve"), "Home")
    desk.deliver("ann", message("Secret thirteen"), "Junk")
    desk.deliver("ann", message("Secret fourteen"), "Drafts")
    desk.deliver("ann", message("Secret fifteen"), flags=(b"Private",))
    desk.deliver("ann", message("Secret sixteen"), flags=(b"$Junk",))
    desk.deliver("ann", message("Seventeen crosses"), flags=(b"\\Seen",))
    before = desk.state("ann")
    result = desk.sync(status=0)["ann"]
    assert desk.mail()["subject"] == "Seventeen crosses"
    assert result["passed-over"] == {"internal": 1, "list": 1, "automatic": 3, "bounce": 1, "unknown": 1, "spam": 2}
    assert result["withheld"] == 6
    totals = desk.run("status", "--json").json["pairings"][0]["totals"]
    assert (totals["read"], totals["created_crm"], totals["withheld"], totals["passed_over_list"]) == (16, 1, 6, 1)
    assert b"Secret" not in desk.everything_written()
    assert desk.state("ann") == before
    why = desk.run("explain", desk.named("ann", "Secret one")).out
    assert "not the CRM's business, as the mapping says: list" in why
    again = desk.run("sync", "--json", "--full", status=0)
    assert "Secret" not in again.out + again.err
    assert b"Secret" not in desk.everything_written()


@pytest.mark.either
@pytest.mark.everywhere
def test_encrypted_mail_crosses_by_its_headers_only(desk_of: Maker) -> None:
    """M2: OpenPGP and S/MIME."""
    desk = desk_of("ann")
    parts = (
        b"From: Kim <kim@acme.example>\r\nTo: ann@us.example\r\nSubject: Sealed\r\nMessage-ID: <s1@acme.example>\r\n"
        b"Date: " + format_datetime(TODAY).encode() + b"\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary="b"\r\n\r\n'
        b"--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n"
        b"--b\r\nContent-Type: application/octet-stream; name=secret.asc\r\n\r\nSecretSecret\r\n--b--\r\n"
    )
    desk.deliver("ann", parts)
    desk.sync(status=0)
    mail = desk.mail()
    assert (mail["subject"], mail["notes"], mail["attachments"]) == ("Sealed", "", [])
    assert b"secret.asc" not in desk.everything_written()


@pytest.mark.everywhere
def test_a_thread_hangs_where_its_first_message_hangs(desk_of: Maker) -> None:
    """M3: by reference number, by thread, and after a correction in the CRM."""
    desk = desk_of("ann")
    desk.deliver("ann", message("[OPP-1] Our project", mid="first@acme.example"))
    desk.sync(status=0)
    first = desk.mail()
    assert (first["account"], first["transactions"]) == ("acme", ["opportunity OPP-1"])
    desk.deliver("ann", message("Quite another subject", answers="first@acme.example", mid="second@acme.example"))
    desk.sync(status=0)
    second = next(m for m in desk.mails() if m["guid"] != first["guid"])
    assert (second["account"], second["transactions"]) == ("acme", ["opportunity OPP-1"])
    desk.edit(first["guid"], "--account", "beta", "--transaction", "opportunity:OPP-2")
    desk.deliver("ann", message("Later", answers="first@acme.example", mid="third@acme.example"))
    desk.deliver("ann", message("From a stranger", sender="x@new.example", answers="first@acme.example"))
    desk.deliver("ann", message("Re: [OPP-1] Our project", mid="fourth@acme.example"))
    desk.sync(status=0)
    found = {m["subject"]: m for m in desk.mails()}
    for subject in ("Later", "From a stranger"):
        assert (found[subject]["account"], found[subject]["transactions"]) == ("beta", ["opportunity OPP-2"])
    assert found["[OPP-1] Our project"]["transactions"] == ["opportunity OPP-2"]
    assert found["[OPP-1] Our project"]["account"] == "beta"
    desk.quiet()
    desk.again()
    assert desk.show(first["guid"])["account"] == "beta"


@pytest.mark.either
@pytest.mark.everywhere
def test_lesson_29_public_providers_match_nobody_by_domain(desk_of: Maker) -> None:
    """Lesson 29: gmail.com is no company; acme.example is."""
    desk = desk_of("ann")
    desk.deliver("ann", message("Known at Gmail", sender="pat@gmail.com"))
    desk.deliver("ann", message("Stranger at Gmail", sender="other@gmail.com"))
    desk.deliver("ann", message("Colleague of Kim", sender="new@acme.example"))
    desk.sync(status=0)
    found = {m["subject"]: (m["account"], m["contact"]) for m in desk.mails()}
    assert found == {"Known at Gmail": ("beta", "pat"), "Colleague of Kim": ("acme", None)}


@pytest.mark.everywhere
def test_lesson_28_nothing_comes_twice_when_mail_moves(desk_of: Maker) -> None:
    """M4, lesson 28: moved, copied, its folder renamed, UIDVALIDITY another; deleted: it stays in the CRM."""
    desk = desk_of("ann", folders="folders: [INBOX, \\Sent] => folders: [INBOX, \\Sent, Customers, Clients]")
    for n in range(3):
        desk.deliver("ann", message(f"Mail {n}"))
    desk.sync(status=0)
    desk.move("ann", "Mail 0", "Customers")
    desk.quiet()
    desk.copy("ann", "Mail 1", "Customers")
    desk.quiet()
    desk.rename("ann", "Customers", "Clients")
    desk.quiet()
    desk.remake("ann", "Clients")  # a folder of the same name, with another identity
    desk.quiet()
    desk.remove("ann", "Mail 2")
    desk.quiet()
    desk.again()
    assert sorted(m["subject"] for m in desk.mails()) == ["Mail 0", "Mail 1", "Mail 2"]
    assert all(m["status"] == "completed" for m in desk.mails())


@pytest.mark.everywhere
def test_what_becomes_private_is_taken_back(desk_of: Maker) -> None:
    """P2: moved to an excluded folder, or given an excluded keyword; its history and the ledger too."""
    desk = desk_of("ann", "bob", own=", mail: {exclude-folders: [Home]}")
    both = message("Shared with Bob", to="ann@us.example, bob@us.example")
    desk.deliver("ann", both)
    desk.deliver("bob", both)
    desk.deliver("ann", message("Moved away", "Terribly secret words\n"))
    desk.deliver("ann", message("Marked private", "Terribly secret words\n"))
    desk.sync(status=0)
    assert len(desk.mails()) == 3
    for subject in ("Moved away", "Shared with Bob"):
        desk.move("ann", subject, "Home")
    desk.flag("ann", "Marked private", b"Private")
    result = desk.sync()["ann"]
    assert result["redacted"] == 2
    assert [m["subject"] for m in desk.mails()] == ["Shared with Bob"]
    assert b"Terribly secret" not in desk.everything_written()
    desk.quiet()
    desk.again()
    assert [m["subject"] for m in desk.mails()] == ["Shared with Bob"]
    desk.move("ann", "Moved away", "INBOX", folder="Home")
    desk.flag("ann", "Marked private", b"Private", on=False)
    desk.sync()
    assert sorted(m["subject"] for m in desk.mails()) == ["Marked private", "Moved away", "Shared with Bob"]


@pytest.mark.everywhere
def test_a_forgotten_employee_leaves_nothing_in_the_store(desk_of: Maker) -> None:
    """P5: forget removes every byte, and the next pass does not bring them back."""
    desk = desk_of("ann", "bob")
    desk.deliver("ann", message("[OPP-1] Of Ann", mid="of-ann@acme.example"))
    desk.sync()
    desk.run("forget", "ann", "--yes")
    assert b"box" not in desk.store_bytes()
    assert b"ann/" not in desk.store_bytes()
    assert "ann" not in desk.sync()


@pytest.mark.either
@pytest.mark.everywhere
def test_an_invitation_and_its_appointment_show_each_other(desk_of: Maker) -> None:
    """M5: linked by the UID, whichever comes first; not a second appointment."""
    desk = desk_of("ann")
    calendar = (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\n"
        "UID:meet-1@acme.exa\r\n mple\r\nDTSTAMP:20261101T000000Z\r\nDTSTART:20261201T100000Z\r\n"
        "SUMMARY:Meet\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    desk.deliver("ann", message("Invitation: Meet", invite=calendar))
    desk.sync(status=0)
    mail = desk.show(desk.mail()["guid"])
    assert mail["appointment"] == "meet-1@acme.example"
    assert [a["kind"] for a in desk.activities()] == ["e-mail"]
    crm = Crm.open(desk.database or f"sqlite:///{desk.folder / 'crm.db'}")
    values = {"subject": "Meet", "starts": "20261201T100000Z", "ends": "20261201T110000Z", "uid": "meet-1@acme.example"}
    meeting = crm.create("appointment", {**values, "owner": "ann"}, by="ann")
    crm.close()
    assert desk.show(mail["guid"])["followers"] == [["appointment", meeting.guid]]
    assert desk.show(meeting.guid)["predecessors"] == [["e-mail", mail["guid"]]]


@pytest.mark.either
@pytest.mark.everywhere
def test_a_follow_up_of_a_mail(desk_of: Maker) -> None:
    """M7, the CRM's half: same account and contact, both show each other."""
    desk = desk_of("ann")
    desk.deliver("ann", message("[OPP-1] Please call"))
    desk.sync(status=0)
    mail = desk.mail()
    task = desk.run("crm", "follow-up", mail["guid"], "task", "--due", "2027-01-15").out.strip()
    made = desk.show(task)
    assert (made["kind"], made["owner"], made["account"], made["contact"]) == ("task", "ann", "acme", "kim")
    assert ["e-mail", mail["guid"]] in made["predecessors"]
    assert ["task", task] in desk.show(mail["guid"])["followers"]
    desk.quiet()


@pytest.mark.either
def test_a_follow_up_task_of_a_mail_is_in_the_task_list(desk_of: Maker, server: Server) -> None:
    """M7, whole: mail from Dovecot, the task made in the CRM, its to-do on Radicale; done there, done here."""
    path = server.calendar("ann", f"t{uuid.uuid4().hex[:10]}", "VTODO")
    profile = f"  tasks: {{connector: caldav, url: '{server.url}', mapping: tasks}}"
    account = f"      - {{profile: tasks, username: ann, password: 'env:TASKS', calendar: {path}}}"
    desk = desk_of("ann", more=(profile,), accounts=lambda user: account)
    desk.deliver("ann", message("Please call"))
    desk.run("sync", TASKS="ann")
    mail = desk.mail()
    task = desk.run("crm", "follow-up", mail["guid"], "--subject", "Call Kim", "--due", "2027-01-15").out.strip()
    desk.run("sync", TASKS="ann")
    todo = server.request("ann", "GET", path)[1]
    assert "SUMMARY:Call Kim" in todo
    assert "DUE;VALUE=DATE:20270115" in todo
    body = todo[todo.index("BEGIN:VTODO") : todo.index("END:VTODO")]
    done = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\n" + body
    (href,) = [h for h in hrefs(server, path) if h != path]
    status = "STATUS:COMPLETED"
    body = "\r\n".join(line for line in done.split("\r\n") if not line.startswith("STATUS:"))
    assert server.put("ann", href, f"{body.rstrip()}\r\n{status}\r\nEND:VTODO\r\nEND:VCALENDAR\r\n") in (201, 204)
    desk.run("sync", TASKS="ann")
    assert desk.show(task)["status"] == "completed"


def hrefs(server: Server, path: str) -> list[str]:
    body = '<?xml version="1.0"?><propfind xmlns="DAV:"><prop><getetag/></prop></propfind>'
    text = server.request("ann", "PROPFIND", path, body, Depth="1")[1]
    return [part.split("</")[0] for part in text.split("<href>")[1:]]


@pytest.mark.everywhere
def test_a_drop_folder_files_what_is_put_there_and_takes_it_back(desk_of: Maker) -> None:
    """Put into the folder: at that account and transaction, unknown senders too. Taken out: not any more."""
    drop = "  #write-back =>   drop-folders: {CRM/Big: {account: acme, transaction: OPP-1}}\n  #write-back"
    desk = desk_of("ann", drop=drop)
    desk.deliver("ann", message("From a stranger", sender="x@nowhere.example"))
    desk.deliver("ann", message("From Lee", sender="lee@beta.example"))
    desk.deliver("ann", message("From a list", List_Id="<l.example>"))
    desk.sync()
    assert [m["subject"] for m in desk.mails()] == ["From Lee"]
    every = ("From a stranger", "From Lee", "From a list")
    for subject in every:
        desk.move("ann", subject, "CRM/Big")
    desk.sync()
    found = {m["subject"]: (m["account"], m["transactions"]) for m in desk.mails()}
    assert found == dict.fromkeys(every, ("acme", ["opportunity OPP-1"]))
    desk.quiet()
    for subject in every:
        desk.move("ann", subject, "INBOX", folder="CRM/Big")
    desk.sync()
    found = {m["subject"]: (m["account"], m["transactions"]) for m in desk.mails()}
    assert found == {"From Lee": ("beta", [])}
    desk.quiet()


@pytest.mark.parametrize("way", ["keyword", "copy", "move"])
@pytest.mark.everywhere
def test_the_mailbox_shows_what_was_logged(desk_of: Maker, way: str) -> None:
    """A keyword, a copy or a move, where the mapping asks; nothing else changes."""
    value = "$SyncdLogged" if way == "keyword" else "Logged"
    desk = desk_of("ann", back=f"  #write-back: {{keyword: $SyncdLogged}} =>   write-back: {{{way}: {value}}}")
    desk.deliver("ann", message("Logged mail", mid="logged@acme.example"), flags=(b"\\Flagged",))
    desk.deliver("ann", message("Secret", List_Id="<l.example>"))
    desk.sync(status=0)
    state = desk.state("ann")
    if way == "keyword":
        assert sorted(state["INBOX"].values()) == [(), (b"$SyncdLogged", b"\\Flagged")]
    else:
        assert list(state["Logged"].values()) == [(b"\\Flagged",)]
        assert len(state["INBOX"]) == (2 if way == "copy" else 1)
    desk.quiet()
    assert desk.state("ann") == state
    desk.again()
    assert desk.state("ann") == state
    assert desk.mail()["subject"] == "Logged mail"


@pytest.mark.either
def test_an_e_mail_written_in_the_crm_is_put_into_sent(desk_of: Maker) -> None:
    """APPEND, never send: once, with its people; and what came from a mailbox is not put there again."""
    desk = desk_of("ann", "bob", way="direction: to-crm => direction: both")
    desk.deliver("ann", message("Received"))
    guid = desk.create(
        "--subject", "Our answer", "--notes", "Dear Kim,\nyes.", "--direction", "out",
        "--from", f"{TODAY:%Y-%m-%d %H:%M}",
        "--participant", "kim@acme.example", "--participant", "bob@us.example", kind="e-mail",
    )  # fmt: skip
    desk.sync(status=0)
    desk.quiet()
    with desk.mailbox("ann") as client:
        client.select_folder("Sent", readonly=True)
        (uid,) = client.search()
        text = client.fetch([uid], ["BODY.PEEK[]", "FLAGS"])[uid]
    sent = text[b"BODY[]"].decode()
    assert "Subject: Our answer" in sent
    assert "Dear Kim," in sent
    assert b"\\Seen" in text[b"FLAGS"]
    assert not desk.state("bob")["Sent"]
    assert sorted(m["subject"] for m in desk.mails()) == ["Our answer", "Received"]
    desk.again()
    assert len(desk.state("ann")["Sent"]) == 1
    assert desk.show(guid)["notes"] == "Dear Kim,\nyes."


@pytest.mark.everywhere
def test_a_flagged_mail_is_a_task(desk_of: Maker) -> None:
    """The flag makes the task, done makes the flag go, unflagged is done."""
    desk = desk_of("ann", mapping="flagged")
    desk.deliver("ann", message("Do this"), flags=(b"\\Flagged",))
    desk.deliver("ann", message("Do that"), flags=(b"\\Flagged", b"\\Seen"))
    desk.deliver("ann", message("Just read"))
    desk.sync(status=0)
    tasks = {t["subject"]: t for t in desk.activities()}
    assert {(t["kind"], s, t["status"]) for s, t in tasks.items()} == {
        ("task", "Do this", "open"),
        ("task", "Do that", "open"),
    }
    desk.edit(tasks["Do this"]["guid"], "--status", "completed")
    desk.flag("ann", "Do that", b"\\Flagged", on=False)
    desk.sync(status=0)
    assert {t["status"] for t in desk.activities()} == {"completed"}
    assert sorted(desk.state("ann")["INBOX"].values()) == [(), (), (b"\\Seen",)]
    desk.quiet()
    desk.flag("ann", "Just read", b"\\Flagged")
    desk.sync(status=0)
    assert len(desk.activities()) == 3


@pytest.mark.either
@pytest.mark.parametrize("unknown", ["park", "lead"])
@pytest.mark.everywhere
def test_mail_of_somebody_whom_the_crm_does_not_know(desk_of: Maker, unknown: str) -> None:
    desk = desk_of("ann", unknown=f"unknown: skip => unknown: {unknown}")
    desk.deliver("ann", message("First contact", sender="Max New <max@new.example>"))
    desk.deliver("ann", message("Robot", sender="robot@new.example", Auto_Submitted="auto-generated"))
    result = desk.sync()["ann"]
    if unknown == "park":
        assert result["parked"] == 1
        assert "drop folder" in desk.run("status", "--json", status=(0, 1)).out
        assert desk.mails() == []
        (desk.folder / "c.csv").write_text("id,name,account,address\nmax,Max,acme,max@new.example\n")
        desk.run("crm", "import", "contacts", "c.csv")
        desk.again()
        assert desk.mail()["contact"] == "max"
        assert desk.sync()["ann"]["parked"] == 0
    else:
        (lead,) = desk.mail()["transactions"]
        assert lead.startswith("lead LEAD-")
        leads = desk.run("crm", "people", "transactions", "--json").json["transactions"]
        assert [t["description"] for t in leads if t["type"] == "lead"] == ["Max New <max@new.example>"]
        desk.again()
        assert len(desk.run("crm", "people", "transactions", "--json").json["transactions"]) == 3


@pytest.mark.either
@pytest.mark.parametrize("content", ["headers-only", "text", "full"])
@pytest.mark.everywhere
def test_how_much_of_a_mail_crosses(desk_of: Maker, content: str, tmp_path: Path) -> None:
    desk = desk_of("ann", content=f"content: text                   # => content: {content}  #")
    attached = bytes(range(256)) * 40
    desk.deliver("ann", message("Three parts", "The words\n", files={"plan.pdf": attached}))
    desk.sync(status=0)
    mail = desk.mail()
    assert mail["notes"] == ("" if content == "headers-only" else "The words")
    assert [f["name"] for f in mail["attachments"]] == ([] if content == "headers-only" else ["plan.pdf"])
    done = desk.run("crm", "attachments", mail["guid"], "--save", str(tmp_path / "out"))
    saved = [p.read_bytes() for p in (tmp_path / "out").glob("*")] if (tmp_path / "out").exists() else []
    assert saved == ([attached] if content == "full" else [])
    assert ("by name only" in done.out) is (content == "text")
    desk.quiet()


@pytest.mark.either
def test_init_sets_up_a_mailbox(mail_server: Dovecot, tmp_path: Path) -> None:
    """B1 for mail: from nothing to a first pass, following only what the program says."""
    desk = MailDesk(tmp_path, Server("", 0), dovecot=mail_server, boxes={"ann": "initbox"})
    desk.deliver("ann", message("First mail"))
    words = ("--username", "initbox", "--name", "Ann", "--address", "ann@us.example", "--zone", "UTC")
    bad = desk.run("init", "--url", mail_server.url, *words, "--secret-in", "file", stdin="wrong\n", status=3)
    assert "refuses the sign-in" in bad.err
    done = desk.run("init", "--url", mail_server.url, *words, "--secret-in", "file", stdin="initbox\n")
    assert "INBOX and Sent will be read" in done.out
    (tmp_path / "a.csv").write_text("id,name\nacme,Acme\n")
    (tmp_path / "c.csv").write_text("id,name,account,address\nkim,Kim,acme,kim@acme.example\n")
    desk.run("crm", "import", "accounts", "a.csv")
    desk.run("crm", "import", "contacts", "c.csv")
    desk.run("plan")
    desk.run("sync")
    (mail,) = desk.activities("--kind", "e-mail", as_="initbox")
    assert mail["subject"] == "First mail"


@pytest.mark.either
@pytest.mark.everywhere
def test_quotes_and_signature_are_cut_where_the_mapping_asks(desk_of: Maker) -> None:
    desk = desk_of("ann", cut="quotes: keep, signature: keep => quotes: cut, signature: cut")
    body = "Yes, that is fine.\n\n-- \nKim\nAcme\n\n"
    body += "On Mon, 3 Nov 2025 at 10:00, Ann <ann@us.example> wrote:\n> Shall we?\n"
    desk.deliver("ann", message("Re: Question", body))
    desk.sync(status=0)
    assert desk.mail()["notes"] == "Yes, that is fine."


@pytest.mark.parametrize(
    "own",
    ["block: [kim@acme.example]", "exclude-folders: [INBOX]", "exclude-keywords: [Health]"],
)
def test_what_an_employee_excludes_later_is_taken_back(desk_of: Maker, own: str) -> None:
    """P1: as if the mapping had said so."""
    desk = desk_of("ann")
    desk.deliver("ann", message("Results", "The results are here.\n"), flags=(b"Health",))
    desk.sync(status=0)
    assert desk.mail()["notes"] == "The results are here."
    place = desk.folder / "syncd.yaml"
    told = place.read_text(encoding="utf-8")
    place.write_text(told.replace("secrets/ann'}", f"secrets/ann', mail: {{{own}}}}}"), encoding="utf-8")
    desk.sync(status=0)
    desk.sync(status=0)
    assert b"results are here" not in desk.everything_written()
    assert desk.mails() == []


@pytest.mark.parametrize("says", ["CLASS:PRIVATE", "class;x=y:Secret", "CLASS:PUBLIC", ""])
@pytest.mark.parametrize("content", ["text", "headers-only"])
def test_an_invitation_that_says_inside_that_it_is_private_does_not_cross(
    desk_of: Maker, says: str, content: str
) -> None:
    """P1: its headers say nothing of it."""
    desk = desk_of("ann", own=f", mail: {{content: {content}}}")
    lines = ["BEGIN:VCALENDAR", "METHOD:REQUEST", "BEGIN:VEVENT", "UID:inv", "DTSTART:20261210T100000Z", says,
             "SUMMARY:Biopsy", "END:VEVENT", "END:VCALENDAR"]  # fmt: skip
    invite = "".join(f"{line}\r\n" for line in lines if line)
    desk.deliver("ann", message("Invitation: Biopsy", "Biopsy at ten", invite=invite))
    desk.sync(status=0)
    crosses = "PRIVATE" not in says and "Secret" not in says
    assert (b"Biopsy" in desk.everything_written()) is crosses
    assert len(desk.mails()) == crosses


@pytest.mark.everywhere
def test_mail_that_is_older_than_the_window_goes_with_the_folder_that_is_made_for_it(desk_of: Maker) -> None:
    """P1: an excluded folder that comes later takes old mail back too, whatever its age."""
    desk = desk_of("ann")
    for subject in ("Old one", "Old two"):
        desk.deliver("ann", message(subject))
    desk.sync(status=0)
    assert {m["subject"] for m in desk.mails()} == {"Old one", "Old two"}
    desk.days = 60
    desk.sync(status=0)
    desk.move("ann", "Old one", "Private")
    desk.sync(status=0)
    desk.sync(status=0)
    assert {m["subject"] for m in desk.mails()} == {"Old two"}
