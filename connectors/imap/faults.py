"""What goes wrong at an IMAP server, in the port's words; a server's own words may quote what was asked."""

from __future__ import annotations

import imaplib
import re
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from imapclient.exceptions import IMAPClientAbortError, IMAPClientError, LoginError, ProtocolError

from syncd.ports import AuthFailed, PortError, Rejected, Transient

#: Response codes that say "not now" or "not you" (RFC 5530, RFC 9051 §7.1).
_LATER = ("UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG", "THROTTLED", "OVERQUOTA")
_REFUSED = ("AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED", "PRIVACYREQUIRED", "CONTACTADMIN")
_SECONDS = re.compile(r"(?:retry|wait|try again)\D{0,20}(\d{1,5}) ?(s|sec|m|min)", re.IGNORECASE)


@contextmanager
def errors() -> Iterator[None]:
    """Whatever goes wrong, in the port's words; a server's own words may quote what was asked."""
    try:
        yield
    except PortError:
        raise
    except LoginError as error:
        if isinstance(error.__context__, imaplib.IMAP4.abort):  # the line was lost, nobody refused
            raise later(str(error), "the connection was lost") from None
        raise _sign_in_fault(str(error)) from None
    except ssl.SSLCertVerificationError as error:
        raise Transient(f"the server's certificate cannot be trusted: {error.verify_message}") from None
    except (IMAPClientAbortError, imaplib.IMAP4.abort) as error:
        raise later(str(error), "the connection was lost") from None
    except ProtocolError:
        raise Garbled("the server's answer cannot be read") from None
    except IMAPClientError as error:
        raise refusal("command", [str(error).encode()]) from None
    except (ValueError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise Garbled(f"the server's answer cannot be read ({type(error).__name__})") from None
    except TimeoutError:
        raise Transient("the server does not answer") from None
    except socket.gaierror:
        raise Transient("the server's name cannot be found") from None
    except OSError as error:
        raise Transient(f"the server cannot be reached ({error.strerror or type(error).__name__})") from None


class Garbled(Transient):
    """An answer that is no IMAP: about one message, perhaps, so the others are asked for without it."""


def later(said: str, otherwise: str) -> Transient:
    found = _SECONDS.search(said)
    seconds = float(found[1]) * (60 if found and found[2].lower().startswith("m") else 1) if found else None
    return Transient("the server asks to wait" if found else otherwise, seconds)


def _sign_in_fault(said: str) -> PortError:
    if any(f"[{code}" in said for code in _LATER):
        return later(said, "the server cannot sign anybody in now")
    return AuthFailed("the server refuses the sign-in")


def refusal(command: str, data: Sequence[Any]) -> PortError:
    said = b" ".join(d for d in data if isinstance(d, bytes)).decode("ascii", "replace")
    if any(f"[{code}" in said for code in _LATER):
        return later(said, "the server is not ready")
    if any(f"[{code}" in said for code in _REFUSED):
        return AuthFailed("the server refuses the sign-in")
    code = re.search(r"\[([A-Z-]{3,30})", said)
    return Rejected(f"the server refuses {command}{f' ({code[1]})' if code else ''}")
