"""The server's HTTP: sign-in, impersonation, versions, faults on demand, and streams of notifications."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from lxml import etree

from tests.servers.exchange.handlers import Caller, Fault, Operations, Quirks
from tests.servers.exchange.mail import deliver
from tests.servers.exchange.schema import M, T, local, violations
from tests.servers.exchange.store import Item, Mailbox, Store

SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"
ERRORS = "http://schemas.microsoft.com/exchange/services/2006/errors"


@dataclass
class Trouble:
    """Something that goes wrong with requests: `kind` is an HTTP status, or busy, message, hang, half,
    garbage, lost (done, but nobody is told), drop (not done), code (a response code for each thing)."""

    kind: str
    #: Only of this operation; of any if left out.
    operation: str = ""
    #: Only of this mailbox.
    mailbox: str = ""
    times: int = 1
    #: Requests that go well first.
    after: int = 0
    #: Seconds that the server asks to wait, or that it hangs.
    seconds: float = 0
    code: str = "ErrorInternalServerError"


@dataclass
class ExchangeServer:
    """The running server, and what a test may do to it."""

    port: int = 0
    tls: bool = False
    store: Store = field(default_factory=Store)
    quirks: Quirks = field(default_factory=Quirks)
    #: User -> password; a user's own mailbox has the address in `addresses`, or the user's name.
    users: dict[str, str] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    #: Users who may impersonate everybody.
    services: set[str] = field(default_factory=set)
    delegates: dict[str, set[str]] = field(default_factory=dict)
    #: Bearer token -> user.
    token: Callable[[str], str | None] = lambda token: None
    schemes: tuple[str, ...] = ("Basic",)
    #: Address -> where Autodiscover says that it is kept, or the address to which it redirects.
    places: dict[str, str] = field(default_factory=dict)
    troubles: list[Trouble] = field(default_factory=list)
    #: (operation, mailbox) of every request that was answered.
    log: list[tuple[str, str]] = field(default_factory=list)
    #: Answers of the server itself that break the schema; a test's end looks here.
    faults_of_its_own: list[str] = field(default_factory=list)
    #: Requests that broke the schema.
    refused: list[str] = field(default_factory=list)
    #: Seconds between two signs of life on a stream.
    heartbeat: float = 5.0
    streams: int = 0
    stopping: bool = False

    def __post_init__(self) -> None:
        self.operations = Operations(self.store, self.quirks, self.delegates)

    @property
    def url(self) -> str:
        """Where it is."""
        host = "https://localhost" if self.tls else "http://127.0.0.1"
        return f"{host}:{self.port}/EWS/Exchange.asmx"

    @property
    def outbox(self) -> list[Any]:
        """Every mail that Exchange would have sent."""
        return self.store.outbox

    @property
    def told(self) -> list[str]:
        """What others than those who asked have heard: mails, and what happened in their mailboxes."""
        return [f"mail: {o.why} to {', '.join(o.to)}" for o in self.store.outbox] + self.store.meddled

    def forget_told(self) -> list[str]:
        """What others have heard, which a test has meant; then nobody has heard anything."""
        found = self.told
        self.store.outbox.clear()
        self.store.meddled.clear()
        return found

    def add_user(self, user: str, password: str | None = None, address: str = "") -> Mailbox:
        """A user with a mailbox."""
        self.users[user] = password if password is not None else user
        self.addresses[user] = address or (user if "@" in user else f"{user}@us.example")
        return self.store.mailbox(self.addresses[user])

    def deliver(self, address: str, mail: bytes, folder: str = "inbox") -> Item:
        """A mail arrives."""
        with self.store.lock:
            return deliver(self.store.mailbox(address), mail, folder)

    def asked(self, operation: str = "") -> int:
        """How many requests came, of one operation or of all."""
        return sum(not operation or name == operation for name, _ in self.log)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "Microsoft-IIS/10.0", ""
    timeout = 60
    disable_nagle_algorithm = True
    double: ExchangeServer

    def log_message(self, *args: Any) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        """A look with a browser."""
        self._plain(200 if self._user() else 401)

    do_OPTIONS = do_HEAD = do_GET

    def do_POST(self) -> None:
        """A request."""
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        user = self._user()
        if user is None:
            self._plain(401)
            return
        if self.path.lower() == "/autodiscover/autodiscover.svc":
            self._send(200, self._discovered(content))
            return
        if not self.path.lower().startswith("/ews/exchange.asmx"):
            self._plain(404)
            return
        try:
            envelope: Any = etree.fromstring(content)
            request = envelope.find(f"{SOAP}Body")[0]
        except (etree.XMLSyntaxError, TypeError, IndexError):
            self._fault(Fault("ErrorInvalidRequest", whole=True), "Exchange2016")
            return
        version = envelope.find(f"{SOAP}Header/{T}RequestServerVersion")
        wanted = version.get("Version", "") if version is not None else "Exchange2007"
        self._act(request, envelope, user, wanted)

    def _act(self, request: Any, envelope: Any, user: str, wanted: str) -> None:
        double = self.double
        trouble = self._trouble(local(request), envelope)
        if trouble is not None and trouble.kind not in ("lost", "half"):
            self._make(trouble, request)
            return
        try:
            if wanted not in double.quirks.versions:
                raise Fault("ErrorInvalidServerVersion", whole=True)
            wrong = violations(request, request=True)
            if wrong:
                double.refused += wrong
                raise Fault("ErrorSchemaValidation", wrong[0], whole=True)
            caller = self._caller(envelope, user)
            double.log.append((local(request), caller.address))
            if local(request) == "GetStreamingEvents":
                self._stream(request, caller, wanted)
                return
            answer = double.operations.answer(request, caller)
        except Fault as fault:
            self._fault(fault, wanted)
            return
        double.faults_of_its_own += violations(answer, request=False)
        data = self._envelope(answer)
        if trouble is not None and trouble.kind == "lost":
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            return
        if trouble is not None:
            self._send(200, data, cut=len(data) // 2)
            return
        self._send(200, data)

    def _discovered(self, content: bytes) -> bytes:
        """SOAP Autodiscover: where a mailbox is kept [20]."""
        a = "{http://schemas.microsoft.com/exchange/2010/Autodiscover}"
        asked: Any = etree.fromstring(content)
        address = (asked.findtext(f".//{a}User/{a}Mailbox") or "").lower()
        self.double.log.append(("GetUserSettings", address))
        made = etree.Element(f"{SOAP}Envelope", nsmap={"s": SOAP[1:-1]})
        body = etree.SubElement(made, f"{SOAP}Body")
        response = etree.SubElement(etree.SubElement(body, f"{a}GetUserSettingsResponseMessage"), f"{a}Response")
        etree.SubElement(response, f"{a}ErrorCode").text = "NoError"
        user = etree.SubElement(etree.SubElement(response, f"{a}UserResponses"), f"{a}UserResponse")
        place = self.double.places.get(address, self.double.url if address in self.double.store.mailboxes else "")
        code = "InvalidUser" if not place else "RedirectAddress" if "@" in place else "NoError"
        etree.SubElement(user, f"{a}ErrorCode").text = code
        etree.SubElement(user, f"{a}RedirectTarget").text = place if "@" in place else None
        settings = etree.SubElement(user, f"{a}UserSettings")
        for name in ("InternalEwsUrl", "ExternalEwsUrl") if code == "NoError" else ():
            one = etree.SubElement(settings, f"{a}UserSetting")
            etree.SubElement(one, f"{a}Name").text = name
            etree.SubElement(one, f"{a}Value").text = place
        return bytes(etree.tostring(made, xml_declaration=True, encoding="utf-8"))

    # -- who ------------------------------------------------------------------------------------------------------

    def _user(self) -> str | None:
        scheme, _, rest = self.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic" and "Basic" in self.double.schemes:
            with suppress(ValueError):
                name, _, password = base64.b64decode(rest).decode().partition(":")
                return name if self.double.users.get(name) == password else None
        if scheme == "Bearer" and "Bearer" in self.double.schemes:
            return self.double.token(rest)
        if "NTLM" in self.double.schemes:
            return self._ntlm(scheme, rest) if scheme in ("NTLM", "Negotiate") else self.__dict__.get("_ntlm_user")
        return None

    def _ntlm(self, scheme: str, rest: str) -> str | None:
        """NTLM signs in a connection (MS-NTHT §3.1): three messages, then the connection is that user's."""
        import spnego

        known: Any = self.__dict__.get("_ntlm_context")
        if known is None or known.complete:
            known = self.__dict__["_ntlm_context"] = spnego.server(protocol="ntlm")
        try:
            token = known.step(base64.b64decode(rest))
        except spnego.exceptions.SpnegoError:
            self.__dict__.pop("_ntlm_context", None)
            return None
        if known.complete:
            self.__dict__["_ntlm_user"] = str(known.client_principal).rpartition("\\")[2]
            return str(self.__dict__["_ntlm_user"])
        self.__dict__["_challenge"] = f"{scheme} {base64.b64encode(token or b'').decode()}"
        return None

    def _caller(self, envelope: Any, user: str) -> Caller:
        """Whose mailbox: the user's own, or the one that is impersonated [2]."""
        own = self.double.addresses.get(user, user).lower()
        wanted = envelope.find(f"{SOAP}Header/{T}ExchangeImpersonation/{T}ConnectingSID")
        if wanted is None:
            return Caller(user, own)
        address = (wanted[0].text or "").lower()
        if user not in self.double.services:
            raise Fault("ErrorImpersonateUserDenied", whole=True)
        if address not in self.double.store.mailboxes:
            missing = "SOAP:Client" if self.double.quirks.faults_for_mailboxes else "ErrorNonExistentMailbox"
            raise Fault(missing, whole=True)
        return Caller(user, address)

    # -- trouble ----------------------------------------------------------------------------------------------------

    def _trouble(self, operation: str, envelope: Any) -> Trouble | None:
        impersonated = envelope.find(f"{SOAP}Header/{T}ExchangeImpersonation/{T}ConnectingSID")
        address = (impersonated[0].text or "").lower() if impersonated is not None else ""
        with self.double.store.lock:
            for trouble in self.double.troubles:
                if trouble.times <= 0 or trouble.operation not in ("", operation):
                    continue
                if trouble.mailbox and trouble.mailbox.lower() != address:
                    continue
                if trouble.after > 0:
                    trouble.after -= 1
                    continue
                trouble.times -= 1
                return trouble
        return None

    def _make(self, trouble: Trouble, request: Any) -> None:
        kind = trouble.kind
        if kind == "busy":
            self._fault(Fault("ErrorServerBusy", whole=True), "", trouble.seconds)
        elif kind in ("message", "code"):
            code = "ErrorServerBusy" if kind == "message" else trouble.code
            self._send(200, self._envelope(_refusal(local(request), code, trouble.seconds)))
        elif kind == "hang":
            deadline = time.monotonic() + trouble.seconds
            while time.monotonic() < deadline and not self.double.stopping:
                time.sleep(0.05)
            self.close_connection = True
        elif kind == "garbage":
            self._send(200, b"<html><body>It works!</body></html>")
        elif kind == "drop":
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
        else:
            self._plain(int(kind), trouble.seconds)

    # -- answers ----------------------------------------------------------------------------------------------------

    def _plain(self, status: int, seconds: float = 0) -> None:
        self.send_response(status)
        if status == 401:
            challenge = self.__dict__.pop("_challenge", "")
            for scheme in (challenge,) if challenge else self.double.schemes:
                self.send_header("WWW-Authenticate", scheme if scheme != "Basic" else 'Basic realm="127.0.0.1"')
        if seconds:
            self.send_header("Retry-After", str(int(seconds) or 1))
        if status in (301, 302, 307):
            self.send_header("Location", "https://elsewhere.example/EWS/Exchange.asmx")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, status: int, data: bytes, cut: int = 0) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/xml; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(data[:cut] if cut else data)
        if cut:
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

    def _envelope(self, body: Any) -> bytes:
        made = etree.Element(f"{SOAP}Envelope", nsmap={"s": SOAP[1:-1]})
        header = etree.SubElement(made, f"{SOAP}Header")
        names = ("MajorVersion", "MinorVersion", "MajorBuildNumber", "MinorBuildNumber")
        build = dict(zip(names, (str(n) for n in self.double.quirks.build), strict=True))
        etree.SubElement(header, f"{T}ServerVersionInfo", {**build, "Version": "V2017_07_11"}, nsmap={"h": T[1:-1]})
        etree.SubElement(made, f"{SOAP}Body").append(body)
        return bytes(etree.tostring(made, xml_declaration=True, encoding="utf-8"))

    def _fault(self, fault: Fault, wanted: str, seconds: float = 0) -> None:
        """A SOAP fault comes with status 500 [15]; a client fault of another make with 200, and no code of EWS
        [22]."""
        if fault.code == "SOAP:Client":
            made = etree.Element(f"{SOAP}Fault")
            etree.SubElement(made, "faultcode").text = fault.code
            etree.SubElement(made, "faultstring").text = "E-3334: no such thing"
            envelope = etree.Element(f"{SOAP}Envelope", nsmap={"SOAP": SOAP[1:-1]})
            etree.SubElement(envelope, f"{SOAP}Header")
            etree.SubElement(envelope, f"{SOAP}Body").append(made)
            self._send(200, bytes(etree.tostring(envelope)))
            return
        made = etree.Element(f"{SOAP}Fault")
        etree.SubElement(made, "faultcode").text = f"a:{fault.code}"
        etree.SubElement(made, "faultstring").text = fault.text
        detail = etree.SubElement(made, "detail")
        etree.SubElement(detail, f"{{{ERRORS}}}ResponseCode").text = fault.code
        etree.SubElement(detail, f"{{{ERRORS}}}Message").text = fault.text
        if seconds:
            xml = etree.SubElement(detail, f"{T}MessageXml")
            etree.SubElement(xml, f"{T}Value", Name="BackOffMilliseconds").text = str(int(seconds * 1000))
        self._send(500, self._envelope(made))

    # -- streams ----------------------------------------------------------------------------------------------------

    def _stream(self, request: Any, caller: Caller, wanted: str) -> None:
        """One envelope after another until the time is up [16]."""
        refs = [e.text or "" for e in request.find(f"{M}SubscriptionIds")]
        minutes = int(request.findtext(f"{M}ConnectionTimeout") or 1)
        self.send_response(200)
        self.send_header("Content-Type", "text/xml; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        known = self.double.operations.subscriptions
        unknown = [r for r in refs if r not in known]
        if self.double.quirks.one_machine_each and not unknown:
            unknown = [r for r in refs if known[r].mailbox is not known[refs[0]].mailbox]
        deadline, spoke = time.monotonic() + minutes * 60, 0.0
        self.double.streams += 1
        in_passing = self.double.quirks.drops_in_passing
        try:
            if unknown and not in_passing:
                self._chunk(_events([], "Closed", unknown))
                return
            while time.monotonic() < deadline and not self.double.stopping:
                unknown = [r for r in refs if r not in known]
                if unknown:  # they are dropped, and the stream goes on [24]
                    refs = [r for r in refs if r in known]
                    self._chunk(_events([], "OK" if in_passing and refs else "Closed", unknown))
                    if not in_passing or not refs:
                        return
                news = self.double.operations.news(refs)
                if news or time.monotonic() - spoke >= self.double.heartbeat or not spoke:
                    self._chunk(_events(news, "OK"))
                    spoke = time.monotonic()
                with self.double.store.bell:
                    self.double.store.bell.wait(0.2)
            self._chunk(_events([], "Closed"))
        except OSError:
            pass
        finally:
            self.double.streams -= 1
            self.close_connection = True
            with suppress(OSError):
                self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, answer: Any) -> None:
        data = self._envelope(answer)
        self.double.faults_of_its_own += violations(answer, request=False)
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()


def _events(news: list[Any], status: str, unknown: list[str] | None = None) -> Any:
    made = etree.Element(f"{M}GetStreamingEventsResponse", nsmap={"m": M[1:-1], "t": T[1:-1]})
    messages = etree.SubElement(made, f"{M}ResponseMessages")
    one = etree.SubElement(
        messages, f"{M}GetStreamingEventsResponseMessage", ResponseClass="Error" if unknown else "Success"
    )
    if unknown:
        etree.SubElement(one, f"{M}MessageText").text = "The specified subscription was not found."
    etree.SubElement(one, f"{M}ResponseCode").text = "ErrorSubscriptionNotFound" if unknown else "NoError"
    if unknown:
        etree.SubElement(one, f"{M}DescriptiveLinkKey").text = "0"
    if news:
        etree.SubElement(one, f"{M}Notifications").extend(news)
    if unknown:
        ids = etree.SubElement(one, f"{M}ErrorSubscriptionIds")
        for ref in unknown:
            etree.SubElement(ids, f"{T}SubscriptionId").text = ref
    etree.SubElement(one, f"{M}ConnectionStatus").text = status
    return made


def _refusal(operation: str, code: str, seconds: float) -> Any:
    made = etree.Element(f"{M}{operation}Response", nsmap={"m": M[1:-1], "t": T[1:-1]})
    messages = etree.SubElement(made, f"{M}ResponseMessages")
    one = etree.SubElement(messages, f"{M}{operation}ResponseMessage", ResponseClass="Error")
    for tag, text in (("MessageText", "No."), ("ResponseCode", code), ("DescriptiveLinkKey", "0")):
        etree.SubElement(one, M + tag).text = text
    if seconds:
        xml = etree.SubElement(one, f"{M}MessageXml")
        etree.SubElement(xml, f"{T}Value", Name="BackOffMilliseconds").text = str(int(seconds * 1000))
    return made


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news; anything else is a fault of the server's own."""
        import sys
        import traceback

        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            self.double.faults_of_its_own.append("".join(traceback.format_exception(error)))  # type: ignore[attr-defined]


@contextmanager
def exchange(double: ExchangeServer | None = None, tls: tuple[Path, Path] | None = None) -> Iterator[ExchangeServer]:
    """Runs the server on a free port of this machine; at its end nothing of it may have broken a rule."""
    double = double or ExchangeServer()
    handler = type("Handler", (_Handler,), {"double": double})
    server = _Server(("127.0.0.1", 0), handler)
    server.double = double  # type: ignore[attr-defined]
    double.port, double.tls = server.server_address[1], tls is not None
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield double
    finally:
        double.stopping = True
        with double.store.bell:
            double.store.bell.notify_all()
        server.shutdown()
        server.server_close()
        thread.join(10)
    assert double.faults_of_its_own == [], double.faults_of_its_own[:3]
    assert double.told == [], double.told[:3]
