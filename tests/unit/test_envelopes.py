"""Answers of real servers and of Microsoft's documentation, read as our calls read them: without a crash, each
with the outcome that its manifest names. The files lie beside the checkout, and only there."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from connectors.exchange.access import Access
from connectors.exchange.autodiscover import read_answer
from connectors.exchange.event import event_record
from connectors.exchange.faults import port_error
from connectors.exchange.feed import _changes
from connectors.exchange.message import excluded_record, files_of, message_record, text_of
from connectors.exchange.soap import Mailbox, _service
from connectors.exchange.stream import news
from connectors.exchange.task import task_record
from connectors.exchange.xml import M, T, children, item_id, local
from syncd.model.record import Record
from syncd.ports import CursorExpired, Gone, PortError, Rejected, Transient

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "ews"
SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"
#: Answers to calls that we make.
OURS = (
    "SyncFolderItemsResponse", "GetItemResponse", "FindItemResponse", "CreateItemResponse", "UpdateItemResponse",
    "DeleteItemResponse", "MoveItemResponse", "CopyItemResponse", "FindFolderResponse", "GetFolderResponse",
    "CreateFolderResponse", "GetAttachmentResponse", "SubscribeResponse", "UnsubscribeResponse",
    "GetStreamingEventsResponse", "Fault",
)  # fmt: skip
pytestmark = [
    pytest.mark.either,
    pytest.mark.skipif(not (CORPUS / "MANIFEST.tsv").is_file(), reason="no corpus of envelopes beside the checkout"),
]


def rows() -> list[tuple[str, str, str]]:
    """(file, operation, response codes) of every envelope of the manifest."""
    if not (CORPUS / "MANIFEST.tsv").is_file():
        return []
    found = []
    for line in (CORPUS / "MANIFEST.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        parts = [*line.split("\t"), "", "", "", ""]
        found.append((parts[0], parts[2], parts[4]))
    return found


ROWS = rows()
WHOLE = [r for r in ROWS if any(r[0].rpartition("/")[2].startswith(name + "--") for name in OURS)]


@pytest.fixture(scope="module")
def mailbox() -> Mailbox:
    return Mailbox(
        Access("https://mail.example.com/EWS/Exchange.asmx", "a", lambda: "b", "ann@us.example", auth="basic")
    )


def envelope(name: str) -> Any:
    """The envelope, or None for a file that is no XML by itself."""
    try:
        return etree.fromstring((CORPUS / name).read_bytes())
    except etree.XMLSyntaxError:
        return None


def test_the_corpus_is_there_in_full() -> None:
    by_folder = {f: sum(r[0].startswith(f) for r in ROWS) for f in ("docs", "exchangelib-tests", "evolution-traces")}
    assert by_folder == {"docs": 264, "exchangelib-tests": 45, "evolution-traces": 93}
    assert len(WHOLE) > 120


@pytest.mark.parametrize("name", [r[0] for r in ROWS])
def test_every_envelope_is_read_without_a_crash(name: str, mailbox: Mailbox) -> None:
    """Whatever it is an answer to: items in it become records or a PortError, never another exception."""
    data = (CORPUS / name).read_bytes()
    root = envelope(name)
    if root is None:
        assert answers(mailbox, "GetItem", data) is None
        return
    for element in root.iter():
        kind = local(element)
        if kind in ("CalendarItem", "Task", "Message", "MeetingRequest", "MeetingResponse", "MeetingCancellation"):
            if element.tag.startswith(T):
                found = record(kind, element)
                assert isinstance(found, Record | PortError | ValueError)
    for changes in root.iter(M + "Changes"):
        assert all(c.ref for c in _changes(changes.getparent(), "message"))
    news(data)


def record(kind: str, element: Any) -> Any:
    """As the replicas read it."""
    ref = item_id(element)[0] or "x"
    try:
        if kind == "CalendarItem":
            return event_record(ref, element, {}, "Europe/Berlin", "ann@us.example")
        if kind == "Task":
            return task_record(ref, element)
        text_of(element), files_of(element), excluded_record(ref, element, "INBOX")
        return message_record(ref, element, "INBOX")
    except (PortError, ValueError) as error:
        return error


def answers(mailbox: Mailbox, operation: str, data: bytes) -> Any:
    """The response messages as our service gives them; the PortError of a fault; None for what is no SOAP."""
    from exchangelib.util import DummyResponse

    service = _service(operation)(account=mailbox.account)
    logging.getLogger("exchangelib").setLevel(logging.CRITICAL + 1)
    try:
        _, body = service._get_soap_parts(response=DummyResponse(content=data))
        messages = list(service._get_elements_in_response(service._get_soap_messages(body=body)))
    except Exception as error:
        made = port_error(error)
        return made if "cannot be read" not in str(made) else None
    return [port_error(m, one_item=True) if isinstance(m, Exception) else m for m in messages]


@pytest.mark.parametrize(("name", "codes"), [(r[0], r[2]) for r in WHOLE], ids=[r[0] for r in WHOLE])
def test_answers_to_our_calls_have_the_outcome_that_the_manifest_names(name: str, codes: str, mailbox: Mailbox) -> None:
    file = name.rpartition("/")[2]
    operation = file.partition("--")[0].removesuffix("Response")
    data = (CORPUS / name).read_bytes()
    if operation == "GetStreamingEvents":  # the one answer that is read as it comes
        assert news(data) or b">Closed<" in data
        return
    found = answers(mailbox, "GetItem" if operation == "Fault" else operation, data)
    if operation == "Fault":
        assert found is None or isinstance(found, PortError)
        if "ErrorServerBusy" in codes:
            assert isinstance(found, Transient)
        return
    assert found is not None
    wanted = [c for c in codes.replace(",", " ").split() if c]
    if isinstance(found, PortError):
        assert wanted == [] or set(wanted) - {"NoError"}
        return
    got = {"NoError" if not isinstance(m, PortError) else "Error" for m in found}
    assert got <= ({"Error" if c != "NoError" else c for c in wanted} or {"NoError", "Error"})
    for message in found:
        if isinstance(message, PortError):
            assert "ErrorInvalidSyncStateData" not in codes or isinstance(message, CursorExpired | Gone | Rejected)
        else:
            for part in ("Items", "Folders", "Attachments", "Changes"):
                list(children(message, part))


@pytest.mark.parametrize("name", [r[0] for r in ROWS if "GetUserSettingsResponseMessage" in r[0]])
def test_autodiscover_answers_name_a_server_or_say_why_not(name: str) -> None:
    root = envelope(name)
    try:
        found = read_answer(root, "mail.example.com") if root is not None else ""
    except PortError as error:
        found = str(error)
    assert isinstance(found, str)
