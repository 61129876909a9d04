"""Messages that programs and people with bad intentions write (scenario M6): name -> octets."""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import format_datetime

from tests.scenarios.mail import TODAY, message

MEGABYTE = 1024 * 1024


def head(subject: str, more: str = "") -> bytes:
    """A header section that crosses."""
    lines = [
        "From: Kim <kim@acme.example>",
        "To: ann@us.example",
        f"Subject: {subject}",
        f"Date: {format_datetime(TODAY)}",
        f"Message-ID: <{subject.replace(' ', '.')}@monster.example>",
        "MIME-Version: 1.0",
    ]
    return ("\r\n".join(lines) + "\r\n" + more).encode()


def monsters() -> Iterator[tuple[str, bytes]]:
    """One after the other, as some are large."""
    yield "nul bytes", head("nul bytes") + b"X-Nul: a\0b\r\n\r\nbefore\0after\0\r\n"
    yield "million headers", head("million headers") + b"X-Many: value\r\n" * 1_000_000 + b"\r\nwords\r\n"
    yield "endless line", head("endless line") + b"\r\n" + b"x" * (5 * MEGABYTE)
    yield "endless header", head("endless header") + b"X-Long: " + b"y" * (2 * MEGABYTE) + b"\r\n\r\nwords\r\n"
    yield "endless subject", head("endless subject " + "z" * 200_000) + b"\r\nwords\r\n"
    yield (
        "many people",
        head("many people").replace(
            b"To: ann@us.example", b"To: " + b",\r\n ".join(b"p%d@acme.example" % n for n in range(20_000))
        )
        + b"\r\nwords\r\n",
    )
    yield "no body", head("no body")
    yield "lying charset", head("lying charset", "Content-Type: text/plain; charset=utf-8\r\n") + b"\r\nGr\xfc\xdfe\r\n"
    yield "unknown charset", head("unknown charset", "Content-Type: text/plain; charset=x-klingon\r\n") + b"\r\nnuq\r\n"
    yield "utf-7", head("utf-7", "Content-Type: text/plain; charset=utf-7\r\n") + b"\r\n+AGE-\r\n"
    yield (
        "codec that is none",
        head("codec that is none", "Content-Type: text/plain; charset=base64\r\n") + b"\r\nYQ==\r\n",
    )
    yield (
        "bad base64",
        (
            head("bad base64", "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n")
            + b"\r\n!!!@@@###\r\nZZZ\r\n"
        ),
    )
    yield "raw eight bits", head("raw eight bits").replace(b"Kim <", b"K\xefm <") + b"\r\nna\xefve\r\n"
    yield "bad words", head("bad words =?utf-8?b?////?= =?x?q?=?= =?utf-8?q?=C3?=") + b"\r\nwords\r\n"
    yield "no boundary", head("no boundary", 'Content-Type: multipart/mixed; boundary="never"\r\n') + b"\r\nwords\r\n"
    yield "nested", nested(100)
    yield "thousand parts", thousand_parts()
    yield (
        "bad html",
        message("bad html", "plain", html="<p>" * 20_000 + "<table><td>&#0;&#x110000;<b" + "</div>" * 1000),
    )
    yield (
        "only html",
        head("only html", "Content-Type: text/html\r\n") + b"\r\n<html><script>x</script><p>Hello</p>\r\n",
    )
    yield (
        "winmail",
        head("winmail", 'Content-Type: application/ms-tnef; name="winmail.dat"\r\n') + b"\r\nx\x9f>\x22" * 500,
    )
    yield "file names", file_names()
    yield "message inside", inside()
    yield "two of each", head("two of each") + head("two of each once more") + b"\r\nwords\r\n"
    yield (
        "date of nonsense",
        head("date of nonsense").replace(format_datetime(TODAY).encode(), b"Thu, 99 Foo 99999") + b"\r\n",
    )
    yield (
        "calendar of nonsense",
        (
            head("calendar of nonsense", "Content-Type: text/calendar; method=REQUEST\r\n")
            + b"\r\nBEGIN:VCALENDAR\r\nUID"
        ),
    )


def nested(depth: int) -> bytes:
    """multipart in multipart in multipart."""
    made = head("nested", 'Content-Type: multipart/mixed; boundary="b0"\r\n') + b"\r\n"
    for n in range(depth):
        made += f'--b{n}\r\nContent-Type: multipart/mixed; boundary="b{n + 1}"\r\n\r\n'.encode()
    made += f"--b{depth}\r\nContent-Type: text/plain\r\n\r\ndeep words\r\n--b{depth}--\r\n".encode()
    return made


def thousand_parts() -> bytes:
    """Ten thousand attachments of a few octets."""
    made = head("thousand parts", 'Content-Type: multipart/mixed; boundary="b"\r\n') + b"\r\n"
    part = b"--b\r\nContent-Type: application/x; name=f%d\r\nContent-Disposition: attachment\r\n\r\nx\r\n"
    return made + b"".join(part % n for n in range(10_000)) + b"--b--\r\n"


def file_names() -> bytes:
    """Attachments with names that lead elsewhere, break lines, or are too long."""
    made = head("file names", 'Content-Type: multipart/mixed; boundary="b"\r\n') + b"\r\n"
    names = (
        'filename="../../etc/passwd"',
        "filename*=utf-8''a%0D%0Ab%00c",
        "filename*0=long; filename*1=" + "er" * 400,
    )
    for name in names:
        made += b"--b\r\nContent-Type: application/x\r\nContent-Disposition: attachment; " + name.encode()
        made += b"\r\n\r\nx\r\n"
    return made + b"--b--\r\n"


def inside() -> bytes:
    """A message that was forwarded as an attachment, with one inside."""
    inner = message("inner", "inner words", files={"inner.pdf": b"x" * 100})
    made = head("message inside", 'Content-Type: multipart/mixed; boundary="b"\r\n') + b"\r\n--b\r\n\r\nouter words\r\n"
    return made + b"--b\r\nContent-Type: message/rfc822\r\n\r\n" + inner + b"\r\n--b--\r\n"
