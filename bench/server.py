"""A CalDAV server in memory, for measurements that Radicale would be the bottleneck of.

It serves as many calendars as are asked for (``/u0/cal/`` and on) and answers in a millisecond: RFC
4918, 4791 and 6578 as far as a sync client speaks them. The conformance suite runs against it like
against any other server. ``python -m bench.server PORT CALENDARS EVENTS``.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

from lxml import etree

_NS = {"D": "DAV:", "C": "urn:ietf:params:xml:ns:caldav"}
_HEAD = (
    '<?xml version="1.0" encoding="utf-8"?><D:multistatus xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" '
    'xmlns:CS="http://calendarserver.org/ns/">'
)
_REASONS = {200: "OK", 201: "Created", 204: "No Content", 207: "Multi-Status", 404: "Not Found", 403: "Forbidden"}
#: Status, headers, body.
Answer = tuple[int, dict[str, str], bytes]


def event(number: int, now: datetime, whose: int = 0) -> str:
    """An event as people have them: the bench's only made-up content. Each calendar has its own."""
    day = now + timedelta(days=number % 300)
    return (
        f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//bench//EN\r\nBEGIN:VEVENT\r\nUID:bench-{whose}-{number}\r\n"
        f"DTSTAMP:20261101T000000Z\r\nSUMMARY:Event number {number}\r\n"
        f"DTSTART:{day:%Y%m%d}T{8 + number % 9:02}0000Z\r\nDURATION:PT1H\r\nLOCATION:Room {number % 7}\r\n"
        f"DESCRIPTION:What event {number} is about\\, in a few words.\r\nCATEGORIES:Work\r\nCLASS:PUBLIC\r\n"
        "END:VEVENT\r\nEND:VCALENDAR\r\n"
    )


@dataclass
class Calendar:
    """One collection: its objects by name, and the order in which they changed."""

    objects: dict[str, tuple[str, str]] = field(default_factory=dict)
    #: Name -> number of its last change; the highest number is the sync-token.
    changed: dict[str, int] = field(default_factory=dict)
    log: deque[tuple[int, str]] = field(default_factory=deque)
    number: int = 0

    def put(self, name: str, text: str) -> str:
        """Stores an object; returns its ETag."""
        etag = f'"{blake2b(text.encode(), digest_size=12).hexdigest()}"'
        self.objects[name] = (etag, text)
        self._note(name)
        return etag

    def remove(self, name: str) -> None:
        """Deletes an object."""
        del self.objects[name]
        self._note(name)

    def since(self, number: int) -> Iterable[str]:
        """Names that changed after `number`, the latest change of each."""
        for at, name in reversed(self.log):
            if at <= number:
                return
            if self.changed[name] == at:
                yield name

    def _note(self, name: str) -> None:
        self.number += 1
        self.changed[name] = self.number
        self.log.append((self.number, name))


class Dav:
    """What is asked, answered."""

    def __init__(self, calendars: int, events: int) -> None:
        now = datetime.now(UTC)
        self.calendars = {f"/u{n}/cal/": Calendar() for n in range(calendars)}
        for whose, calendar in enumerate(self.calendars.values()):
            for number in range(events):
                calendar.put(f"bench-{number}.ics", event(number, now, whose))

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        """One request."""
        path = unquote(target.split("?")[0])
        folder, _, name = path.rpartition("/")
        if method == "MKCALENDAR":
            self.calendars.setdefault(path.rstrip("/") + "/", Calendar())
            return 201, {}, b""
        if method == "OPTIONS":
            return 200, {"DAV": "1, 3, calendar-access", "Allow": "OPTIONS, GET, PUT, DELETE, PROPFIND, REPORT"}, b""
        calendar = self.calendars.get(folder + "/")
        if calendar is None:
            return 404, {}, b""
        if name:
            return self._object(calendar, method, name, headers, body)
        if method == "PROPFIND":
            return self._propfind(calendar, folder + "/", headers)
        if method == "REPORT":
            return self._report(calendar, folder + "/", etree.fromstring(body))
        return 405, {}, b""

    def _object(self, calendar: Calendar, method: str, name: str, headers: dict[str, str], body: bytes) -> Answer:
        held = calendar.objects.get(name)
        wanted = headers.get("if-match")
        if (wanted and (held is None or wanted not in ("*", held[0]))) or (
            headers.get("if-none-match") == "*" and held
        ):
            return 412, {}, b""
        if method == "PUT":
            etag = calendar.put(name, body.decode())
            return (204 if held else 201), {"ETag": etag}, b""
        if held is None:
            return 404, {}, b""
        if method == "DELETE":
            calendar.remove(name)
            return 204, {}, b""
        return 200, {"ETag": held[0], "Content-Type": "text/calendar; charset=utf-8"}, held[1].encode()

    def _propfind(self, calendar: Calendar, path: str, headers: dict[str, str]) -> Answer:
        parts = [
            f"<D:response><D:href>{quote(path)}</D:href><D:propstat><D:prop><D:resourcetype><D:collection/><C:calendar/>"
            f"</D:resourcetype><D:displayname>cal</D:displayname><CS:getctag>{calendar.number}</CS:getctag>"
            "<C:supported-calendar-component-set><C:comp name='VEVENT'/></C:supported-calendar-component-set>"
            f"<D:current-user-principal><D:href>{quote(path)}</D:href></D:current-user-principal>"
            "</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
        ]
        if headers.get("depth") == "1":
            parts += [_response(path + name, etag) for name, (etag, _) in calendar.objects.items()]
        return _multistatus(parts)

    def _report(self, calendar: Calendar, path: str, asked: etree._Element) -> Answer:
        kind = etree.QName(asked).localname
        if kind == "sync-collection":
            return self._sync(calendar, path, asked.findtext("D:sync-token", "", _NS).strip())
        if kind == "calendar-multiget":
            hrefs = [unquote(h.text or "") for h in asked.findall("D:href", _NS)]
            found = [(h, calendar.objects.get(h.rpartition("/")[2])) for h in hrefs]
            return _multistatus(_response(h, *held) if held else _gone(h) for h, held in found)
        texts = {t.text or "" for t in asked.iter("{urn:ietf:params:xml:ns:caldav}text-match")}
        lines = [f"UID:{t}\r\n" for t in texts]  # a query by UID; without one, everything
        matches = [(n, o) for n, o in calendar.objects.items() if not lines or any(line in o[1] for line in lines)]
        return _multistatus(_response(path + name, etag, text) for name, (etag, text) in matches)

    def _sync(self, calendar: Calendar, path: str, token: str) -> Answer:
        number = token.rpartition("/")[2] if token else "0"
        if not number.isdigit() or int(number) > calendar.number:
            return 403, {"Content-Type": "text/xml"}, b'<D:error xmlns:D="DAV:"><D:valid-sync-token/></D:error>'
        parts = []
        for name in calendar.since(int(number)):
            held = calendar.objects.get(name)
            if held is not None:
                parts.append(_response(path + name, held[0]))
            elif token:
                parts.append(_gone(path + name))
        return _multistatus(parts, f"<D:sync-token>http://bench.example/{calendar.number}</D:sync-token>")


def _response(path: str, etag: str, text: str | None = None) -> str:
    data = "" if text is None else f"<C:calendar-data>{escape(text)}</C:calendar-data>"
    return (
        f"<D:response><D:href>{quote(path)}</D:href><D:propstat><D:prop><D:getetag>{escape(etag)}</D:getetag>{data}"
        "<D:getcontenttype>text/calendar</D:getcontenttype></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>"
        "</D:response>"
    )


def _gone(path: str) -> str:
    return f"<D:response><D:href>{quote(path)}</D:href><D:status>HTTP/1.1 404 Not Found</D:status></D:response>"


def _multistatus(parts: Iterable[str], more: str = "") -> Answer:
    body = _HEAD + "".join(parts) + more + "</D:multistatus>"
    return 207, {"Content-Type": "application/xml; charset=utf-8"}, body.encode()


async def serve(dav: Dav, port: int) -> None:
    """HTTP/1.1 with connections that stay open; any user with any password."""

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, target, _ = head[0].split(" ", 2)
                headers = {
                    k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)
                }
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                if "authorization" in headers:
                    status, sent, content = dav.answer(method, target, headers, body)
                else:
                    status, sent, content = 401, {"WWW-Authenticate": 'Basic realm="bench"'}, b""
                lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Answer')}", f"Content-Length: {len(content)}"]
                lines += [f"{k}: {v}" for k, v in sent.items()]
                writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + content)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(client, "127.0.0.1", port, limit=1 << 20, backlog=1024)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Dav(int(sys.argv[2]), int(sys.argv[3])), int(sys.argv[1])))
