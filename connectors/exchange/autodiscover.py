"""Where a mailbox is kept, asked of the server that the configuration names (SOAP Autodiscover, MS-OXWSADISC).

No host is guessed from an address and none is looked up in DNS: whoever answers there would be given the
password. What was found is kept in this process only and asked for again after a while.
"""

from __future__ import annotations

import threading
import time
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from connectors.exchange.xml import xml_text
from syncd.outlook.hosts import ONLINE_MESSAGE, online
from syncd.ports import AuthFailed, Rejected, Transient

A = "{http://schemas.microsoft.com/exchange/2010/Autodiscover}"
SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"
WSA = "{http://www.w3.org/2005/08/addressing}"
PATH = "/autodiscover/autodiscover.svc"
_ACTION = "http://schemas.microsoft.com/exchange/2010/Autodiscover/Autodiscover/GetUserSettings"
#: Seconds for which an answer is believed.
KEPT = 6 * 3600.0
_LOCK = threading.Lock()
_KNOWN: dict[tuple[str, str], tuple[str, float]] = {}


def place_of(session: Any, endpoint: str, address: str, timeout: float) -> str:
    """The EWS address of a mailbox; the configured one when the server does not know. Raises PortErrors."""
    now = time.monotonic()
    with _LOCK:
        known = _KNOWN.get((endpoint, address))
    if known is not None and known[1] > now:
        return known[0]
    found = _asked(session, endpoint, address, timeout) or endpoint
    with _LOCK:
        _KNOWN[endpoint, address] = (found, now + KEPT)
    return found


def _asked(session: Any, endpoint: str, address: str, timeout: float) -> str:
    import requests
    from lxml import etree

    parts = urlsplit(endpoint)
    url = urlunsplit((parts.scheme, parts.netloc, PATH, "", ""))
    try:
        answer = session.post(
            url,
            data=_request(url, address),
            headers={"Content-Type": "text/xml; charset=utf-8"},
            timeout=timeout,
            allow_redirects=False,
        )
    except requests.exceptions.RequestException as error:
        raise Transient(f"Autodiscover does not answer ({type(error).__name__})") from None
    if answer.status_code == 401:
        raise AuthFailed("the server refuses the sign-in (401)")
    if answer.status_code != 200:
        raise Transient(f"Autodiscover answers {answer.status_code}")
    try:
        return read_answer(etree.fromstring(answer.content), parts.netloc)
    except etree.XMLSyntaxError:
        raise Transient("Autodiscover's answer cannot be read") from None


def _request(url: str, address: str) -> bytes:
    from lxml import etree

    made = etree.Element(f"{SOAP}Envelope", nsmap={"s": SOAP[1:-1], "a": A[1:-1], "w": WSA[1:-1]})
    header = etree.SubElement(made, f"{SOAP}Header")
    etree.SubElement(header, f"{A}RequestedServerVersion").text = "Exchange2013"
    etree.SubElement(header, f"{WSA}Action").text = _ACTION
    etree.SubElement(header, f"{WSA}To").text = url
    message = etree.SubElement(etree.SubElement(made, f"{SOAP}Body"), f"{A}GetUserSettingsRequestMessage")
    request = etree.SubElement(message, f"{A}Request")
    user = etree.SubElement(etree.SubElement(request, f"{A}Users"), f"{A}User")
    etree.SubElement(user, f"{A}Mailbox").text = xml_text(address)
    wanted = etree.SubElement(request, f"{A}RequestedSettings")
    for name in ("InternalEwsUrl", "ExternalEwsUrl"):
        etree.SubElement(wanted, f"{A}Setting").text = name
    return bytes(etree.tostring(made, xml_declaration=True, encoding="utf-8"))


def read_answer(envelope: Any, host: str) -> str:
    """The EWS address in an answer, "" when it says none: the one at this host before another. Raises
    Rejected for a mailbox in Exchange Online, AuthFailed for one that is not there."""
    response = next(envelope.iter(f"{A}UserResponse"), None)
    if response is None:
        return ""
    code = response.findtext(f"{A}ErrorCode") or "NoError"
    redirect = response.findtext(f"{A}RedirectTarget") or ""
    if code in ("RedirectAddress", "RedirectUrl"):
        if online(urlsplit(redirect).hostname or redirect.rpartition("@")[2]) or "onmicrosoft.com" in redirect:
            raise Rejected(ONLINE_MESSAGE)
        raise Rejected("Autodiscover sends this mailbox elsewhere: name that server in a profile of its own")
    if code == "InvalidUser":
        raise AuthFailed("Autodiscover knows no mailbox with this address")
    if code != "NoError":
        return ""
    said = {s.findtext(f"{A}Name") or "": s.findtext(f"{A}Value") or "" for s in response.iter(f"{A}UserSetting")}
    found = [said[name] for name in ("ExternalEwsUrl", "InternalEwsUrl") if said.get(name)]
    if any(online(urlsplit(url).hostname or "") for url in found):
        raise Rejected(ONLINE_MESSAGE)
    here = [url for url in found if urlsplit(url).netloc == host]
    safe = [url for url in found if urlsplit(url).scheme == "https"]
    return next(iter([*here, *safe]), "")
