"""Talks WebDAV: the caldav library's client is the transport and does the sign-in; here its answers
become the port's errors, with limits on what an answer may cost.

Nothing is retried here: the engine decides when to come back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from lxml import etree

from syncd.ports import AuthFailed, CursorExpired, Gone, PortError, Rejected, Stale, Transient

#: No answer of a server is longer than this, in bytes.
LARGEST = 64_000_000
TIMEOUT = 60.0
NS = {"D": "DAV:", "C": "urn:ietf:params:xml:ns:caldav", "CS": "http://calendarserver.org/ns/"}


class InternalError(Transient):
    """The server answers 500: it may be out of order, or not able to do just this."""


@dataclass(frozen=True)
class Answer:
    """A server's answer that was not an error."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Resource:
    """One response of a multistatus."""

    href: str
    #: The response's own status; 404 is a deletion, one inside a propstat is a missing property.
    status: int
    #: {namespace}name -> element, of propstats with 200.
    props: Mapping[str, Any]

    def text(self, name: str) -> str:
        """A property's text, e.g. ``D:getetag``."""
        found = self.props.get(_clark(name))
        return (found.text or "").strip() if found is not None else ""


@dataclass
class Dav:
    """A signed-in connection to one server."""

    url: str
    username: str = ""
    password: str = field(default="", repr=False)
    #: basic, digest or bearer; "" lets the server choose.
    auth: str = ""
    verify: bool | str = True
    requests: int = 0
    _client: Any = field(default=None, repr=False)

    @property
    def client(self) -> Any:
        """The caldav library's client; it is imported here, where it is needed."""
        if self._client is None:
            from caldav.davclient import DAVClient

            if self.auth == "bearer":
                from caldav.requests import HTTPBearerAuth

                self._client = DAVClient(self.url, auth=HTTPBearerAuth(self.password), ssl_verify_cert=self.verify)
            else:
                self._client = DAVClient(
                    self.url,
                    username=self.username or None,
                    password=self.password or None,
                    ssl_verify_cert=self.verify,
                    auth_type=self.auth or ("basic" if self.username else None),
                )
        return self._client

    def close(self) -> None:
        """Gives the connection back."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def request(self, method: str, href: str, body: str = "", headers: Mapping[str, str] | None = None) -> Answer:
        """One request. Raises the port's error for every answer that is none."""
        import niquests

        target = urljoin(self.url, href)
        if urlsplit(target).netloc != urlsplit(self.url).netloc:
            raise Rejected("the server points to another host")
        self.requests += 1
        sent = {"Content-Type": "application/xml; charset=utf-8", **(headers or {})}
        try:
            with self.client.session.request(
                method,
                target,
                data=body.encode("utf-8", "surrogatepass") if body else None,
                headers=sent,
                auth=self.client.auth,
                timeout=TIMEOUT,
                verify=self.verify,
                allow_redirects=False,
                stream=True,
            ) as found:
                content = b""
                for chunk in found.iter_content(65536):
                    content += chunk
                    if len(content) > LARGEST:
                        raise Rejected(f"an answer is longer than {LARGEST} bytes")
                answer = Answer(
                    int(found.status_code or 0), {k.lower(): str(v) for k, v in found.headers.items()}, content
                )
        except niquests.exceptions.SSLError:
            raise AuthFailed(f"the certificate of {urlsplit(target).hostname} is not trusted") from None
        except niquests.exceptions.RequestException as error:
            raise Transient(f"{urlsplit(target).netloc} does not answer ({type(error).__name__})") from None
        if answer.status == 401 and self.client.auth is None and self.username and "www-authenticate" in answer.headers:
            self.client.build_auth_object(self.client.extract_auth_types(answer.headers["www-authenticate"]))
            return self.request(method, href, body, headers)
        if answer.status in (301, 302, 307, 308) and "location" in answer.headers and method != "PUT":
            return self._redirected(method, target, answer.headers["location"], body, headers)
        _raise_for(answer)
        return answer

    def _redirected(
        self, method: str, target: str, location: str, body: str, headers: Mapping[str, str] | None
    ) -> Answer:
        there = urljoin(target, location)
        if there == target:
            raise Rejected("the server redirects in a circle")
        if getattr(self, "_hops", 0) > 5:
            raise Rejected("the server redirects too often")
        self._hops = getattr(self, "_hops", 0) + 1
        try:
            return self.request(method, there, body, headers)
        finally:
            self._hops -= 1

    def multistatus(self, method: str, href: str, body: str, depth: str) -> tuple[list[Resource], str]:
        """A PROPFIND or REPORT: its responses, and the sync-token if it has one."""
        answer = self.request(method, href, body, {"Depth": depth})
        tree = parse_xml(answer.body)
        if tree.tag != _clark("D:multistatus"):
            raise Rejected("this is no CalDAV server: the answer is no multistatus")
        token = tree.findtext("D:sync-token", default="", namespaces=NS)
        return list(_resources(tree)), token.strip()


def parse_xml(body: bytes) -> Any:
    """The document, without entities from anywhere. Raises Rejected."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        tree = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise Rejected("the server's answer is no XML: is the address right?") from None
    if b"<!DOCTYPE" in body[:2000]:
        raise Rejected("the server's answer has a DOCTYPE")
    return tree


def _resources(tree: Any) -> Iterator[Resource]:
    for response in tree.findall("D:response", NS):
        href = unquote(urlsplit((response.findtext("D:href", default="", namespaces=NS)).strip()).path)
        status = _status(response.findtext("D:status", default="", namespaces=NS))
        props: dict[str, Any] = {}
        for propstat in response.findall("D:propstat", NS):
            if _status(propstat.findtext("D:status", default="HTTP/1.1 200", namespaces=NS)) == 200:
                for prop in propstat.findall("D:prop/*", NS):
                    props[prop.tag] = prop
        yield Resource(href, status or 200, props)


def _status(line: str) -> int:
    parts = line.split()
    return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0


def _clark(name: str) -> str:
    prefix, _, local = name.partition(":")
    return f"{{{NS[prefix]}}}{local}"


def _raise_for(answer: Answer) -> None:
    if answer.status < 400:
        return
    if b"valid-sync-token" in answer.body[:20000]:
        raise CursorExpired("the server no longer knows the sync-token")
    raise error_for(answer.status, answer.headers)


def error_for(status: int, headers: Mapping[str, str]) -> PortError:
    """The port's error for a status (design §4)."""
    if status == 401:
        return AuthFailed("the server refuses the sign-in (401)")
    if status in (404, 410):
        return Gone(f"not there ({status})")
    if status == 412:
        return Stale("changed meanwhile (412)")
    if status == 500:
        return InternalError("the server is not ready (500)", _retry_after(headers))
    if status in (408, 423, 425, 429, 502, 503, 504, 507):
        return Transient(f"the server is not ready ({status})", _retry_after(headers))
    return Rejected(f"the server refuses ({status})")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    value = headers.get("retry-after", "")
    if value.isdigit():
        return float(value)
    with suppress(ValueError, TypeError):
        from datetime import UTC, datetime

        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    return None
