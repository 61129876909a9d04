"""What goes wrong at an Exchange server, in the port's words; the server's own words may quote content."""

from __future__ import annotations

import re
from typing import Any

from syncd.ports import AuthFailed, CursorExpired, Gone, PortError, Rejected, Stale, Transient

#: Response codes (EWS messages.xsd, ResponseCodeType) by what is to be done.
LATER = frozenset(
    {
        "ErrorServerBusy", "ErrorTimeoutExpired", "ErrorInternalServerTransientError", "ErrorTooManyObjectsOpened",
        "ErrorExceededConnectionCount", "ErrorMailboxMoveInProgress", "ErrorMailboxStoreUnavailable",
        "ErrorADUnavailable", "ErrorADOperation", "ErrorConnectionFailed", "ErrorInsufficientResources",
        "ErrorBatchProcessingStopped", "ErrorExceededSubscriptionCount", "ErrorExceededFindCountLimit",
        "ErrorMailboxFailover", "ErrorNotEnoughMemory", "ErrorCrossSiteRequest",
    }
)  # fmt: skip
REFUSED = frozenset(
    {
        "ErrorAccessDenied", "ErrorImpersonateUserDenied", "ErrorImpersonationDenied", "ErrorImpersonationFailed",
        "ErrorImpersonationRequired", "ErrorNonExistentMailbox", "ErrorMissingEmailAddress", "ErrorAccountDisabled",
        "ErrorPasswordExpired", "ErrorPasswordChangeRequired", "ErrorUserNotAllowedByPolicy",
        "ErrorInvalidSmtpAddress", "UnauthorizedError", "ErrorCannotFindUser",
    }
)  # fmt: skip
NOT_THERE = frozenset(
    {
        "ErrorItemNotFound", "ErrorInvalidIdMalformed", "ErrorInvalidId", "ErrorInvalidIdEmpty", "ErrorInvalidIdXml",
        "ErrorInvalidIdNotAnItemAttachmentId", "ErrorInvalidIdStoreObjectIdTooLong", "ErrorFolderNotFound",
        "ErrorInvalidIdMalformedEwsLegacyIdFormat", "ErrorParentFolderNotFound", "ErrorSyncFolderNotFound",
        "ErrorCalendarOccurrenceIsDeletedFromRecurrence", "ErrorCalendarOccurrenceIndexIsOutOfRecurrenceRange",
    }
)  # fmt: skip
MEANWHILE = frozenset(
    {
        "ErrorIrresolvableConflict", "ErrorStaleObject", "ErrorInvalidChangeKey", "ErrorChangeKeyRequired",
        "ErrorChangeKeyRequiredForWriteOperations",
    }
)  # fmt: skip
EXPIRED = frozenset({"ErrorInvalidSyncStateData", "ErrorInvalidWatermark"})
#: What an administrator can do about it.
_HINTS = {
    "ErrorImpersonateUserDenied": "the service account may not impersonate this mailbox: give it the role "
    "ApplicationImpersonation with a scope that holds it",
    "ErrorImpersonationDenied": "the service account may not impersonate anybody: give it the role "
    "ApplicationImpersonation",
    "ErrorNonExistentMailbox": "there is no mailbox with this address",
    "ErrorCannotFindUser": "there is no mailbox with this address",
    "ErrorAccessDenied": "the account may not open this folder: as a delegate it needs the permission to it",
}


class ClientFault(Rejected):
    """A SOAP fault that blames the request, and says nothing more of it that could be told."""


def port_error(error: Exception, *, one_item: bool = False) -> PortError:
    """The error in the port's words. `one_item`: it is about one item of many, not about the mailbox."""
    if isinstance(error, PortError):
        return error
    name = type(error).__name__
    if name in LATER:
        return Transient(_why_later(name, error), _seconds(error))
    known = _by_name(name, one_item=one_item)
    if known is not None:
        return known
    said = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in said or "certificate verify failed" in said:
        return Transient("the server's certificate cannot be trusted")
    if "SSL" in said and name == "TransportError":
        return Transient("no encrypted connection can be made to the server")
    return Transient(f"the server's answer cannot be read ({name})")


def of_fault(code: str) -> PortError:
    """What a SOAP fault means whose code is not one of EWS' own (SOAP 1.1 §4.4.1): a client fault is about that
    request, which would be answered so for ever; a server fault is about the server. Some servers write EWS' code
    in its place."""
    name = code.strip().rpartition(":")[2]
    if name.partition(".")[0] == "Client":
        return ClientFault("the server refuses this request (a SOAP client fault)")
    if name in LATER:
        return Transient(f"the server is busy ({name})")
    known = _by_name(name, one_item=False)
    return known or Transient("the server has an error of its own (a SOAP server fault)")


def _by_name(name: str, *, one_item: bool) -> PortError | None:
    """What a response code means; None for a name that is none."""
    if name in REFUSED and not one_item:
        return AuthFailed(_HINTS.get(name, f"the server refuses the sign-in ({name})"))
    if name in NOT_THERE:
        return Gone(f"not there ({name})")
    if name in MEANWHILE:
        return Stale(f"changed meanwhile ({name})")
    if name in EXPIRED:
        return CursorExpired("the server no longer knows how far this folder has been read")
    if name.startswith("Error"):
        if name == "ErrorInternalServerError" and not one_item:
            return Transient("the server has an error of its own (ErrorInternalServerError)")
        return Rejected(f"the server refuses it ({name})")
    return None


def _why_later(name: str, error: Exception) -> str:
    said = str(error)
    if name == "ErrorTimeoutExpired" and said.startswith("Reraised from"):
        what = re.match(r"Reraised from (\w+)", said)
        if what and "Timeout" in what[1]:
            return "the server does not answer"
        if "NameResolution" in said or "Name or service" in said or "getaddrinfo" in said:
            return "the server's name cannot be found"
        return "the server cannot be reached, or ended the connection"
    return f"the server is busy ({name})"


def _seconds(error: Any) -> float | None:
    found = getattr(error, "back_off", None)
    return float(found) if isinstance(found, int | float) else None


def of_status(status: int, retry_after: str | None) -> PortError:
    """What an HTTP status other than 200 means."""
    if status == 401:
        return AuthFailed("the server refuses the sign-in (401)")
    if status == 403:
        return AuthFailed("the server does not let this account use Exchange Web Services (403)")
    if status == 404:
        return Transient("there are no Exchange Web Services at this address (404)")
    if status in (301, 302, 303, 307, 308):
        return Transient(f"the server sends elsewhere ({status}): check the address")
    return Transient(f"the server answers {status}", _retry(retry_after))


def _retry(text: str | None) -> float | None:
    try:
        found = float(text or "")
    except ValueError:
        return None
    return found if 0 < found < 86400 else None
