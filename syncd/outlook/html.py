"""HTML bodies of appointments: as the text that a person sees, and with a changed text put in.

Exchange rewrites HTML whenever it stores it, so bodies are compared by their text and written only when
the text changed; then whatever was not changed keeps its form, and a block with the link of an online
meeting is never touched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from html import escape
from typing import Any

#: Elements that begin on a line of their own.
_BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "center",
        "dd",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "html",
        "li",
        "main",
        "nav",
        "ol",
        "p",
        "pre",
        "section",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "ul",
    ]
)
_SILENT = frozenset({"head", "script", "style", "title", "meta", "link", "template", "noscript"})
#: A link by which one joins an online meeting.
_JOIN = re.compile(
    r"https?://(?:[\w.-]+\.)?(?:teams\.(?:microsoft|live)\.com/|meet\.[\w.-]+/|lync\.com/|zoom\.us/j/|webex\.com/)",
    re.IGNORECASE,
)
#: Deeper than this nobody reads.
_DEEPEST = 200
_SPACES = re.compile(r"[ \t\r\n\f]+")


def text_of(html: str) -> str:
    """The text of an HTML body, line by line as it is shown."""
    root = _parsed(html)
    return "\n".join(_lines(root)) if root is not None else ""


def html_of(text: str) -> str:
    """A body whose text this is."""
    return f"<html><body>\n{_paragraphs(text.splitlines())}</body></html>"


def edited(html: str, text: str) -> str:
    """The body with this text: blocks whose lines stay are left as they are, the others become plain lines.
    A block by which one joins an online meeting stays in any case."""
    root = _parsed(html)
    body = root.find("body") if root is not None else None
    if body is None:
        return html_of(text)
    blocks = list(_blocks(body))
    old = [(line, at) for at, block in enumerate(blocks) for line in block.lines]
    new = text.splitlines()
    matcher = SequenceMatcher(None, [line for line, _ in old], new, autojunk=False)
    kept: dict[int, int] = {}
    for a, b, size in matcher.get_matching_blocks():
        kept |= {a + n: b + n for n in range(size)}
    whole = _whole_blocks(blocks, kept)
    pieces: list[str] = []
    at = 0
    for number, block in enumerate(blocks):
        if number in whole:
            first = whole[number]
            pieces.append(_paragraphs(new[at:first]))
            pieces.append(block.html)
            at = first + len(block.lines)
        elif not block.lines:
            pieces.append(block.html)
        elif _JOIN.search(block.html):
            until = min((first for n, first in whole.items() if n > number), default=len(new))
            pieces += [_paragraphs(new[at:until]), block.html]
            at = until
    pieces.append(_paragraphs(new[at:]))
    head = html[: html.lower().find("<body")] if "<body" in html.lower() else "<html>"
    return f"{head}<body>\n{''.join(pieces)}</body></html>"


@dataclass(frozen=True)
class _Block:
    html: str
    lines: list[str]


def _whole_blocks(blocks: list[_Block], kept: dict[int, int]) -> dict[int, int]:
    """Blocks all of whose lines stay together, and the new line with which each begins."""
    found, at, reached = {}, 0, 0
    for number, block in enumerate(blocks):
        size = len(block.lines)
        first = kept.get(at)
        if size and first is not None and first >= reached and all(kept.get(at + n) == first + n for n in range(size)):
            found[number] = first
            reached = first + size
        at += size
    return found


def _parsed(html: str) -> Any:
    from lxml import etree
    from lxml import html as lxml_html

    if not html.strip():
        return None
    try:
        parser = lxml_html.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True)
        return lxml_html.document_fromstring(html.encode("utf-8", "replace"), parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError, ValueError):
        return None


def _blocks(body: Any) -> Iterator[_Block]:
    """The body's outermost pieces, with the lines that each makes; a single wrapper is looked into."""
    from lxml import etree

    inner = [c for c in body if isinstance(c.tag, str)]
    while len(inner) == 1 and not (body.text or "").strip() and not (inner[0].tail or "").strip():
        if inner[0].tag not in ("div", "center", "section") or not len(inner[0]):
            break
        body = inner[0]
        inner = [c for c in body if isinstance(c.tag, str)]
    run: list[str] = [escape(body.text or "")]
    for child in inner:
        markup = etree.tostring(child, encoding="unicode", method="html", with_tail=False)
        if child.tag in _BLOCKS:
            yield from _inline(run)
            yield _Block(markup, _of_fragment(markup))
            run = [escape(child.tail or "")]
        elif child.tag == "br":
            yield from _inline([*run, "<br>"])
            run = [escape(child.tail or "")]
        else:
            run += [markup, escape(child.tail or "")]
    yield from _inline(run)


def _inline(run: list[str]) -> Iterator[_Block]:
    markup = "".join(run)
    if markup.strip():
        yield _Block(f"<div>{markup.removesuffix('<br>') or '<br>'}</div>", _of_fragment(markup))


def _of_fragment(markup: str) -> list[str]:
    root = _parsed(f"<html><body>{markup}</body></html>")
    return list(_lines(root, keep_ends=True)) if root is not None else []


def _lines(root: Any, *, keep_ends: bool = False) -> Iterator[str]:
    """Lines of text; a paragraph (p, ul, table) is not set apart by an empty line: people write that themselves."""
    writer = _Writer()
    writer.walk(root, 0, pre=False)
    writer.end_line()
    lines = [line.replace("\xa0", " ").rstrip() for line in writer.lines]
    if not keep_ends:
        while lines and not lines[0]:
            del lines[0]
        while lines and not lines[-1]:
            del lines[-1]
    return iter(lines)


class _Writer:
    """Collects lines as a browser breaks them."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._line = ""
        self._open = False

    def walk(self, element: Any, depth: int, *, pre: bool) -> None:
        tag = element.tag if isinstance(element.tag, str) else ""
        if not tag or tag in _SILENT or depth > _DEEPEST:
            return
        block = tag in _BLOCKS
        pre = pre or tag == "pre"
        if block:
            self.end_line()
        if tag == "br":
            self.lines.append(self._line)
            self._line, self._open = "", False
        elif tag == "li":
            self._add("* ", pre=True)
        self._add(element.text or "", pre=pre)
        for child in element:
            self.walk(child, depth + 1, pre=pre)
            self._add(child.tail or "", pre=pre)
        if block:
            self.end_line()

    def end_line(self) -> None:
        """Ends the line, if there is anything on it."""
        if self._open and self._line.strip(" "):
            self.lines.append(self._line)
        self._line, self._open = "", False

    def _add(self, text: str, *, pre: bool) -> None:
        if not text:
            return
        if pre:
            *whole, last = text.replace("\r\n", "\n").split("\n")
            for line in whole:
                self.lines.append(self._line + line)
                self._line = ""
            text = last
        else:
            text = _SPACES.sub(" ", text)
            if not self._line or self._line.endswith(" "):
                text = text.removeprefix(" ")
        if text:
            self._line, self._open = self._line + text, True


def _paragraphs(lines: list[str]) -> str:
    return "".join(f"<div>{_inside(line) or '<br>'}</div>\n" for line in lines)


def _inside(line: str) -> str:
    """A line in which every blank is seen."""
    safe = escape(line, quote=False).replace("\t", "    ")
    return re.sub(r"^ | (?= )", "\xa0", safe)
