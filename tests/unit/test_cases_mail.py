"""Mail as it comes: the cases of strangers' mail, and what is of their kind."""

from __future__ import annotations

import base64
from email.message import EmailMessage, MIMEPart

import pytest
from imapclient.response_types import BodyData

from connectors.imap.read import _file_name, _pairs
from connectors.imap.read import part_of as part_from
from syncd.mail.headers import read_headers
from syncd.mail.structure import Part, attachments
from syncd.mail.text import decoded, undone, undone_text

# -- M1 ----------------------------------------------------------------------------------------------------------------

SAID = [
    ("gb2312", "gbk", "朱镕基 来访"),
    ("GB2312", "gb18030", "𠀀 会议"),
    ("shift_jis", "cp932", "会議①は明日"),
    ("ks_c_5601-1987", "cp949", "똠방각하 회의"),
    ("euc-kr", "cp949", "똠방"),
    ("iso-8859-1", "cp1252", "the “offer” – 10 €"),
    ("us-ascii", "cp1252", "Grüße"),
    ("us-ascii", "utf-8", "Grüße"),
    ("", "utf-8", "Grüße"),
    ("x-nobody-knows", "utf-8", "Grüße"),
    ("x-nobody-knows", "cp1252", "Grüße"),
    ("iso-8859-9", "cp1254", "İstanbul “toplantı”"),
    ("tis-620", "cp874", "ประชุม “ด่วน”"),
    ("big5", "big5hkscs", "會議 喺"),
    ("windows-1251", "cp1251", "встреча"),
    ("koi8-r", "koi8-r", "встреча"),
    ("utf-7", "utf-7", "Grüße"),
    ("iso-2022-kr", "iso2022_kr", "회의"),
    ("iso-2022-jp", "iso2022_jp", "会議"),
    ("iso-8859-15", "iso8859-15", "10 €"),
    ("utf-16", "utf-16", "Grüße"),
    ("utf-16", "utf-16-le", "Grüße"),
    ("utf-16be", "utf-16-be", "Grüße"),
    ("utf-8*en", "utf-8", "Grüße"),
    ('"utf-8"', "utf-8", "Grüße"),
]


@pytest.mark.parametrize(("charset", "codec", "text"), SAID)
def test_case_m1_the_name_of_a_charset_means_what_everybody_reads(charset: str, codec: str, text: str) -> None:
    assert decoded(text.encode(codec), charset) == text


@pytest.mark.parametrize(
    ("charset", "codec", "text"), [s for s in SAID if s[0] and not s[1].startswith(("utf-16", "utf-7"))]
)
def test_case_m1_in_subjects_and_the_names_of_files_too(charset: str, codec: str, text: str) -> None:
    octets, charset = text.encode(codec), charset.strip('"')
    word = f"=?{charset}?B?{base64.b64encode(octets).decode()}?="
    assert read_headers(f"Subject: Re: {word} now\r\n".encode()).subject == f"Re: {text} now"
    assert _file_name(f"{word}.txt") == f"{text}.txt"
    if "*" not in charset:
        quoted = "".join(f"%{octet:02X}" for octet in octets)
        assert _file_name(_pairs((b"filename*", f"{charset}''{quoted}".encode()))["filename"]) == text


@pytest.mark.parametrize("charset", ["utf-8", "gb2312", "shift_jis", "euc-kr"])
def test_case_m1_what_is_no_character_is_replaced_by_itself(charset: str) -> None:
    said = {"utf-8": "Grüße an Müller", "gb2312": "朱镕基", "shift_jis": "会議", "euc-kr": "회의"}[charset]
    codec = {"gb2312": "gbk", "shift_jis": "cp932", "euc-kr": "cp949", "utf-8": "utf-8"}[charset]
    text = decoded(said.encode(codec) + b" \xff and " + said.encode(codec), charset)
    assert text.startswith(said) and text.endswith(said)
    assert "\ufffd" in text


def test_case_m1_what_was_cut_off_ends_before_its_last_character() -> None:
    assert decoded("Grüße ü".encode()[:-1], "utf-8") == "Grüße "
    assert decoded("会議".encode("cp932")[:-1], "shift_jis") == "会"


def test_case_m1_no_control_of_the_second_kind_reaches_the_crm() -> None:
    every = decoded(bytes(range(256)), "iso-8859-1") + decoded(bytes(range(256)), "iso-8859-2")
    assert not any(0x7F <= ord(c) < 0xA0 or (ord(c) < 32 and c not in "\t\n") for c in every)


def test_words_in_a_subject_keep_what_stands_between_them() -> None:
    one = "=?utf-8?Q?Gr=C3=BC=C3=9Fe?="
    assert read_headers(f"Subject: {one}\r\n {one}\r\n".encode()).subject == "GrüßeGrüße"
    assert read_headers(f"Subject: {one} to =?broken?".encode()).subject == "Grüße to =?broken?"
    assert read_headers(f"Subject: Ü {one} ü\r\n".encode()).subject == "Ü Grüße ü"


# -- M2 ----------------------------------------------------------------------------------------------------------------


def part_of(message: MIMEPart, section: str = "") -> Part:
    """As a server tells of it."""
    inner = message.get_payload()
    kind = message.get_content_type()
    if isinstance(inner, list):
        parts = tuple(part_of(p, f"{section}.{n}".strip(".")) for n, p in enumerate(inner, 1))
        return Part(section, kind, parts=parts)
    return Part(
        section or "1", kind, name=message.get_filename() or "",
        attached=message.get_content_disposition() == "attachment", identified="Content-ID" in message,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("disposition", "name", "cid", "where", "counts"),
    [
        ("inline", "IMG_0001.jpg", False, "mixed", True),
        ("", "IMG_0001.jpg", False, "mixed", True),
        ("inline", "", False, "mixed", True),
        ("inline", "IMG_0001.jpg", True, "mixed", True),
        ("attachment", "IMG_0001.jpg", False, "mixed", True),
        ("inline", "logo.png", True, "related", False),
        ("", "logo.png", True, "related", False),
        ("", "", True, "related", False),
        ("attachment", "plan.png", True, "related", True),
        ("inline", "logo.png", False, "related", True),
    ],
)
def test_case_m2_a_picture_is_a_file_unless_the_html_shows_it(
    disposition: str, name: str, cid: bool, where: str, counts: bool
) -> None:
    text, picture = EmailMessage(), MIMEPart()
    text.set_content("Look")
    text.add_alternative("<p>Look</p>", subtype="html")
    picture["Content-Type"] = "image/jpeg" + (f'; name="{name}"' if name else "")
    if disposition:
        picture["Content-Disposition"] = disposition + (f'; filename="{name}"' if name else "")
    if cid:
        picture["Content-ID"] = "<a@b>"
    picture.set_payload("")
    whole = MIMEPart()
    whole["Content-Type"] = f"multipart/{where}"
    whole.attach(text)
    whole.attach(picture)
    assert [p.type for p in attachments(part_of(whole))] == (["image/jpeg"] if counts else [])


# -- M3 ----------------------------------------------------------------------------------------------------------------

WORDS = "Grüße aus Köln, wir sehen uns am Montag um zehn Uhr im Büro. " * 6
FOOTER = b"_______________________________________________\r\nsales mailing list\r\nsales@lists.example\r\n"


@pytest.mark.parametrize(
    "text", ["Hello\r\nthis is no base64 at all", "Test", "Hello", "a b c", "Dear Ann,\r\n\r\nyes\r\n"]
)
def test_case_m3_what_says_that_it_is_base64_and_is_not_is_read_as_it_is(text: str) -> None:
    said = undone_text(text.encode(), "base64")
    assert said == text.encode() or text == "Test"  # which is base64, as it happens


@pytest.mark.parametrize("words", [WORDS, WORDS[:-1], WORDS[:-2], "Yes", "Hallo!", "Grüße"])
@pytest.mark.parametrize("ends", [b"\r\n", b"\n"])
def test_case_m3_what_a_list_has_put_below_base64_is_text(words: str, ends: bytes) -> None:
    held = base64.encodebytes(words.encode()).replace(b"\n", ends)
    assert undone_text(held, "base64").decode() == words
    with_footer = undone_text(held + FOOTER, "base64").decode()
    assert with_footer.startswith(words)
    assert "sales mailing list" in with_footer


@pytest.mark.parametrize("junk", [b"", b"\r\n", b"!", b"="])
def test_of_a_file_what_is_no_base64_is_overlooked(junk: bytes) -> None:
    octets = bytes(range(255)) * 3
    held = base64.encodebytes(octets)
    assert undone(held[:104] + junk + held[104:], "base64") == octets
    assert undone(held + FOOTER, "base64").startswith(octets)


def test_base64_that_was_cut_off_is_read_as_far_as_it_goes() -> None:
    held = base64.encodebytes(("x" * 3000).encode())
    for end in range(len(held) - 90, len(held)):
        assert set(undone_text(held[:end], "base64")) == {ord("x")}


# -- as a server tells of it -------------------------------------------------------------------------------------------


def test_a_picture_that_has_a_content_id_is_known_by_its_structure() -> None:
    def picture(cid: bytes | None) -> tuple[object, ...]:
        return (b"IMAGE", b"PNG", (b"NAME", b"logo.png"), cid, None, b"BASE64", 100, None, (b"INLINE", None), None)

    text = (b"TEXT", b"HTML", (b"CHARSET", b"UTF-8"), None, None, b"7BIT", 10, 1, None, None, None)
    for cid, files in ((b"<a@b>", 0), (None, 1)):
        whole = part_from(BodyData.create((text, picture(cid), b"RELATED")))
        assert len(attachments(whole)) == files
