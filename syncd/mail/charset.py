"""What the name of a charset means in mail. Programs name a small charset and write a larger one that holds it: what
readers take a name for is the WHATWG's table of labels (encoding.spec.whatwg.org, §4.2), where that has it.
"""

from __future__ import annotations

import codecs
import re

#: Python's codec -> the labels that readers take for it.
_LABELS = {
    "cp1252": "us-ascii ascii ansi_x3.4-1968 iso-8859-1 iso8859-1 iso_8859-1 latin1 latin-1 l1 cp819 ibm819"
    " windows-1252 x-cp1252",
    "gb18030": "gb2312 gb_2312-80 csgb2312 chinese gbk x-gbk cp936 windows-936 euc-cn gb18030",
    "cp932": "shift_jis shift-jis sjis x-sjis ms_kanji csshiftjis windows-31j ms932 cp932",
    "cp949": "euc-kr euckr ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 korean iso-ir-149 windows-949 cp949",
    "big5hkscs": "big5 big5-hkscs cn-big5 csbig5 x-x-big5",
    "cp1254": "iso-8859-9 iso8859-9 latin5 l5 windows-1254",
    "cp874": "iso-8859-11 iso8859-11 tis-620 dos-874 windows-874",
    "utf-8": "utf-8 utf8 unicode-1-1-utf-8 unicode-1-1-utf8 utf-8-sig",
    "iso2022_jp_ext": "iso-2022-jp csiso2022jp",
    "utf-16-le": "utf-16 utf-16le unicode ucs-2 iso-10646-ucs-2 csunicode",
    "utf-16-be": "utf-16be unicodefffe",
    "iso8859_8": "iso-8859-8-i iso-8859-8-e logical",
    "mac_roman": "macintosh x-mac-roman mac",
}  # fmt: skip
_CODECS = {label: codec for codec, labels in _LABELS.items() for label in labels.split()}
#: Of a charset that is named by mistake more often than meant: what the octets are if they are that.
_UNSAID = frozenset({"", "us-ascii", "ascii", "ansi_x3.4-1968", "unknown-8bit", "x-unknown", "default", "8bit"})
#: What Python calls text encodings beside charsets.
_NO_CHARSETS = frozenset({"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape", "mbcs", "oem"})
#: What Python makes of octets that are no character of Shift_JIS.
_NO_SHIFT_JIS = dict.fromkeys([0x80, 0xA0, *range(0xF8F0, 0xF8F4)], "\ufffd")
#: An octet beyond ASCII that begins a character of UTF-8, with one that goes on.
_UTF8 = re.compile(rb"[\xc2-\xf4][\x80-\xbf]")


def codec_of(name: str) -> str:
    """Python's codec for a charset's name; "" for one that nobody knows."""
    label = name.strip().strip("\"'").partition("*")[0].lower()
    if label in _CODECS:
        return _CODECS[label]
    try:
        found = codecs.lookup(label)
    except (LookupError, ValueError):
        return ""
    return found.name if found._is_text_encoding and found.name not in _NO_CHARSETS else ""


def as_text(content: bytes, charset: str) -> str:
    """The octets as a reader shows them. A charset that is unknown, or that is not what it says, gives way to UTF-8 if
    they are that; what is left that is no character is replaced, by itself. What was cut off inside its last
    character ends before it."""
    codec = codec_of(charset)
    if codec.startswith("utf-16"):  # the mark at its beginning knows better
        codec = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}.get(content[:2], codec)
    label = charset.strip().strip("\"'").lower()
    first = ["utf-8"] if label in _UNSAID else [codec, "utf-8"]
    for name in dict.fromkeys(n for n in first if n):
        try:
            return _decoded(content, name, "strict")
        except (UnicodeError, ValueError):
            continue
    if codec in ("", "utf-8") and not _UTF8.search(content):
        codec = "cp1252"  # it says so, and there is not one character of it
    try:
        return _decoded(content, codec or "utf-8", "replace")
    except UnicodeError:  # there are codecs that want a beginning, and replace nothing there
        return _decoded(content, "cp1252", "replace")


def _decoded(content: bytes, codec: str, errors: str) -> str:
    text = codecs.getincrementaldecoder(codec)(errors).decode(content, final=False)
    return text.translate(_NO_SHIFT_JIS) if codec == "cp932" else text
