"""Calls to one mailbox, by exchangelib's services.

A request is made of elements by us and goes through exchangelib's service of that operation: it wraps it
into SOAP, impersonates, signs in, agrees on a version and finds faults. What comes back is the response
messages, one by one, each an element or the error that it tells of, so that one bad item stops no other.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from connectors.exchange.access import Access, account_of
from connectors.exchange.faults import ClientFault, of_fault, port_error
from connectors.exchange.guard import refuse_to_send
from connectors.exchange.xml import M, T, el
from syncd.ports import PortError, Rejected, Transient

#: exchangelib logs requests and answers when something goes wrong: they quote what is synced.
logging.getLogger("exchangelib").setLevel(logging.CRITICAL + 1)


#: Operations whose errors are about the item that they name, and not about the mailbox.
ABOUT_ITEMS = frozenset({"GetItem", "CreateItem", "UpdateItem", "DeleteItem", "CopyItem", "MoveItem", "GetAttachment"})
#: Operations that name nothing but a folder: what is wrong with them is wrong with that.
ABOUT_FOLDERS = frozenset({"SyncFolderItems", "GetFolder", "FindFolder", "Subscribe"})


@lru_cache(maxsize=32)
def _service(operation: str) -> type[Any]:
    """exchangelib's service of that name, answering with response messages as they are."""
    from exchangelib import errors, services

    base: type[Any] = getattr(services, {"Subscribe": "SubscribeToStreaming"}.get(operation, operation))

    class Service(base):  # type: ignore[misc]
        element_container_name = None
        ERRORS_TO_CATCH_IN_RESPONSE = (errors.EWSError,)
        WARNINGS_TO_CATCH_IN_RESPONSE = (errors.EWSWarning,)

        def _get_elements(self, payload: Any) -> Iterator[Any]:
            """One request and no second: what becomes of an error is the engine's to say."""
            yield from self._response_generator(payload=payload)

        def _extra_headers(self) -> dict[str, str]:
            """On which machine a group of subscriptions is made: that of its first mailbox."""
            anchor = getattr(self.account, "anchor", "")
            return {**super()._extra_headers(), **({"X-AnchorMailbox": anchor} if anchor else {})}

        def _response_generator(self, payload: Any) -> Iterator[Any]:
            return self._get_elements_in_response(self._get_response_xml(payload=payload))

        def _get_elements_in_response(self, response: Any) -> Iterator[Any]:
            for message in response:
                yield self._get_element_container(message)

        @classmethod
        def _raise_soap_errors(cls, fault: Any) -> None:
            """A fault that the library has no name for says by its code whose fault it is."""
            try:
                super()._raise_soap_errors(fault)
            except errors.SOAPError:
                raise of_fault(fault.findtext("faultcode") or "") from None

        def _get_element_container(self, message: Any, name: Any = None) -> Any:
            code = message.find(M + "ResponseCode")
            if message.get("ResponseClass") == "Success" and (code is None or code.text == "NoError"):
                return message
            error = self._get_exception(
                code=code.text if code is not None else "", text="", msg_xml=message.find(M + "MessageXml")
            )
            if type(error).__name__ == "ErrorServerBusy":
                error.back_off = _back_off(message)
            return error

    Service.__name__ = operation
    return Service


def _back_off(message: Any) -> float | None:
    """Seconds that a response message asks to wait (BackOffMilliseconds)."""
    for value in message.iter(T + "Value"):
        if value.get("Name") == "BackOffMilliseconds":
            try:
                return int(value.text) / 1000
            except (ValueError, TypeError):
                return None
    return None


def envelope(mailbox: Mailbox, payload: Any) -> tuple[bytes, dict[str, str]]:
    """A request as it goes over the wire, and its headers: for the one answer that exchangelib does not read."""
    refuse_to_send(payload)
    service = _service(payload.tag.rpartition("}")[2])(account=mailbox.account)
    return service.wrap(content=payload, api_version=mailbox.account.version.api_version), service._extra_headers()


@dataclass
class Mailbox:
    """One mailbox that we may open. Not for two threads at once; connections are shared (see `access`)."""

    access: Access
    requests: int = 0
    _account: Any = field(default=None, repr=False)

    @property
    def account(self) -> Any:
        """exchangelib's account. Raises PortErrors."""
        if self._account is None:
            self._account = account_of(self.access)
        return self._account

    def call(self, payload: Any, *, tell: bool = False) -> list[Any]:
        """One request: its response messages, each an element or a PortError about one item. `tell`: see
        `guard`. Raises PortErrors for what concerns the whole request, or the mailbox."""
        refuse_to_send(payload, tell=tell)
        self.requests += 1
        operation = payload.tag.rpartition("}")[2]
        try:
            service = _service(operation)(account=self.account)
            answers = list(service._get_elements(payload))
        except ClientFault as fault:
            if operation in ABOUT_FOLDERS:
                raise Rejected(f"{fault}: is there a mailbox with this address, and such a folder in it?") from None
            raise
        except PortError:
            raise
        except Exception as error:
            raise port_error(error) from None
        found = []
        for answer in answers:
            if isinstance(answer, Exception):
                made = port_error(answer, one_item=operation in ABOUT_ITEMS)
                if isinstance(made, Transient) and (operation != "GetItem" or made.retry_after is not None):
                    raise made
                answer = made
            found.append(answer)
        return found

    def one(self, payload: Any, *, tell: bool = False) -> Any:
        """The answer to a request about one thing. Raises PortErrors."""
        answers = self.call(payload, tell=tell)
        if not answers:
            raise Transient("the server's answer cannot be read (it is empty)")
        if isinstance(answers[0], PortError):
            raise answers[0]
        return answers[0]

    def folder(self, name: str, tag: str = "t:DistinguishedFolderId") -> Any:
        """The element of a folder: one that Exchange knows by a name ("calendar"), or by its id."""
        if tag == "t:FolderId":
            return el("t:FolderId", Id=name)
        if self.access.how != "delegate":
            return el("t:DistinguishedFolderId", Id=name)
        address = el("t:EmailAddress", text=self.access.mailbox)
        return el("t:DistinguishedFolderId", el("t:Mailbox", address), Id=name)
