"""The section ``mail`` of a mapping: which mail is the CRM's business, what of it crosses, where it is filed."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from syncd.mapping.strict import Strict
from syncd.model.names import matches, one_form, one_forms
from syncd.model.people import normal_address, normal_domain

#: Kinds of mail, as headers, flags and the CRM show them (facts: mail).
Trait = Literal[
    "internal",
    "list",
    "automatic",
    "bounce",
    "spam",
    "draft",
    "deleted",
    "unknown",
    "encrypted",
    "invitation",
    "attachment",
]


def _pattern(value: str) -> str:
    try:
        found = re.compile(value)
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from None
    if found.groups != 1:
        raise ValueError("a reference has one group in parentheses: the number")
    if len(value) > 200 or re.search(r"[+*}]\)[+*{]", value):
        raise ValueError("a reference that may take for ever to look for")
    return value


def _party(value: str) -> str:
    text = value.strip().removeprefix("@")
    made = normal_address(text) if "@" in text else normal_domain(text)
    if not made or " " in made or "." not in made.rpartition("@")[2]:
        raise ValueError("an e-mail address, or a domain such as example.com")
    return made


Reference = Annotated[str, AfterValidator(_pattern)]
Party = Annotated[str, AfterValidator(_party)]


class Place(Strict):
    """Where what lies in a folder is filed."""

    #: Id of the account.
    account: str = ""
    #: Number of the business transaction, such as OPP-1234.
    transaction: str = ""

    @model_validator(mode="after")
    def _somewhere(self) -> Place:
        if not self.account and not self.transaction:
            raise ValueError("a folder files at an account, a transaction, or both")
        return self


class Text(Strict):
    """What of the text crosses."""

    #: Earlier messages that it quotes: keep them, or cut them off.
    quotes: Literal["keep", "cut"] = "keep"
    #: Signatures.
    signature: Literal["keep", "cut"] = "keep"


class WriteBack(Strict):
    """How the mailbox shows what was logged; nothing is shown if left out."""

    #: A keyword that the message gets, such as $SyncdLogged.
    keyword: str = Field("", pattern=r"^[$A-Za-z0-9_.-]{0,64}$")
    #: A folder into which it is copied.
    copy_: str = Field("", alias="copy")
    #: A folder into which it is moved.
    move: str = ""


class Mail(Strict):
    """Which mail is the CRM's business, what of it crosses, where it is filed."""

    #: Folders that are read: names, patterns with *, or special uses such as \Sent (RFC 6154).
    folders: list[str] = ["INBOX", "\\Sent"]
    #: Folders of which nothing ever crosses, nor of those below them; what was logged is taken back when it is moved
    #: there.
    exclude_folders: list[str] = Field([], alias="exclude-folders")
    #: Keywords, or categories, that do the same.
    exclude_keywords: list[str] = Field([], alias="exclude-keywords")
    #: Addresses and domains of whom nothing ever crosses.
    block: list[Party] = []
    #: Kinds of mail that are none of the CRM's business.
    never: list[Trait] = ["internal", "list", "automatic", "bounce", "spam", "draft", "deleted"]
    #: Domains of the company itself, beside the addresses of its employees.
    internal_domains: list[Party] = Field([], alias="internal-domains")
    #: What crosses: headers-only; text: and its words and what attachments are called; full: and attachments.
    content: Literal["headers-only", "text", "full"] = "text"
    #: What of the text crosses.
    text: Text = Field(default_factory=lambda: Text.model_validate({}))
    #: Attachments of more than so many megabytes cross by name only.
    largest_attachment: int = Field(10, alias="largest-attachment", ge=1, le=30)
    #: Mail of correspondents whom the CRM does not know: skip it (as `never` does that names them, whatever
    #: stands here), park it for somebody to look at, make a lead, take it as it is. Of flagged mail, if left
    #: out: take it.
    unknown: Literal["skip", "park", "lead", "take"] = "skip"
    #: Also file by domain: at the one account to which all known at that domain belong.
    by_domain: bool = Field(True, alias="by-domain")
    #: Providers at which anybody has an address, beside the usual ones: never filed by domain.
    public_providers: list[Party] = Field([], alias="public-providers")
    #: Regular expressions of reference numbers in the subject; the group is the transaction's number.
    references: list[Reference] = [r"\[([A-Za-z]{2,12}-?\d{1,12})\]"]
    #: Folder to where what lies in it is filed; taken out of the folder it is taken back.
    drop_folders: dict[str, Place] = Field({}, alias="drop-folders")
    #: How the mailbox shows what was logged.
    write_back: WriteBack = Field(default_factory=lambda: WriteBack.model_validate({}), alias="write-back")


def strangers(mail: Mail, activity: str) -> Literal["skip", "park", "lead", "take"]:
    """What is done with mail of correspondents whom the CRM does not know. Two keys speak of it, `never` and
    `unknown`, and the stricter counts; of flagged mail (`activity` task) the flag speaks, where they do not."""
    if "unknown" in mail.never:
        return "skip"
    if activity == "task" and "unknown" not in mail.model_fields_set:
        return "take"
    return mail.unknown


def passed_over(mail: Mail, activity: str) -> frozenset[str]:
    """The kinds of mail that are none of the CRM's business."""
    return frozenset([*mail.never, *(["unknown"] if strangers(mail, activity) == "skip" else [])])


def faults(
    mail: Mail, keywords: Sequence[str] = (), folders: Sequence[str] = ()
) -> Iterator[tuple[tuple[str, ...], str]]:
    """What would take back at once what it has logged: (place, message). `keywords` and `folders`: what is
    excluded beside what the mapping excludes."""
    back = mail.write_back
    kept = one_forms((*mail.exclude_keywords, *keywords))
    if back.keyword and one_form(back.keyword) in kept:
        yield ("write-back", "keyword"), f'"{back.keyword}" is excluded too: what is logged would be taken back at once'
    for key, name in (("copy", back.copy_), ("move", back.move)):
        if name and _excluded(name, (*mail.exclude_folders, *folders)):
            yield ("write-back", key), f'"{name}" is excluded too: what is logged would be taken back'


def contradictions(mail: Mail, fed: Collection[str]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Keys that contradict each other, and which of them counts: (place, message). `fed`: the fields of a
    message that the mapping asks for."""
    given = mail.model_fields_set
    if "unknown" in mail.never and mail.unknown != "skip":
        yield (
            ("unknown",),
            f'"never" names unknown correspondents: their mail is skipped, "{mail.unknown}" has no effect',
        )
    for name in mail.folders:
        if not name.startswith("\\") and _excluded(name, mail.exclude_folders):
            yield ("folders",), f'"{name}" is excluded: nothing of it is read'
    for name in mail.drop_folders:
        if _excluded(name, mail.exclude_folders):
            yield ("drop-folders", name), f'"{name}" is excluded: nothing of it is read'
    for party in mail.internal_domains:
        if any(party == b or party.endswith(f".{b}") for b in mail.block):
            yield ("block",), f'"{party}" is internal and blocked: nothing to or from colleagues there crosses'
    if mail.content == "headers-only":
        for name in ("text", "attachments", "invitation"):
            if name in fed:
                yield ("content",), f'"headers-only": the field that is fed from "{name}" stays empty'
        if "text" in given:
            yield ("text",), '"content: headers-only": no text crosses that could be cut'
    if mail.content != "full" and "largest_attachment" in given:
        yield ("largest-attachment",), f'"content: {mail.content}": attachments cross by name only'
    if mail.content == "full" and "attachment" in mail.never:
        yield ("never",), '"content: full": but mail with attachments never crosses'
    if "invitation" in mail.never and "invitation" in fed:
        yield ("never",), 'a field is fed from "invitation", but invitations never cross'
    if not mail.by_domain and "public_providers" in given:
        yield ("public-providers",), '"by-domain: false": nothing is filed by domain anyway'


def _excluded(name: str, patterns: Sequence[str]) -> bool:
    above = [name[:at] for at, letter in enumerate(name) if letter == "/"]
    below = [each for each in above if each.upper() != "INBOX"]  # many servers keep everything there
    return any(matches(each, p) for p in patterns for each in (name, *below))
