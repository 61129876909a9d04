"""Scenario B2 for each key of each file: every typo has its place, says the nearest word, changes nothing.

The two documents below hold every key that there is; a new key must join them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from syncd.mapping.loader import check_words, load_text
from syncd.mapping.schema import MappingFile
from syncd.settings import Settings, load_configuration
from syncd.strict_yaml import BadDocument, Place, Problem, _models_in, parse

pytestmark = pytest.mark.either

CONFIGURATION = """\
version: 1
state: .
store: sqlite:///store.db
crm:
  connector: builtin
  url: sqlite:///crm.db
  subject-length: 40
  series: false
profiles:
  calendar:
    connector: caldav
    url: https://cloud.example.com/dav/
    mapping: appointments
    auth: digest
    ca: our-ca.pem
    also: [dav2.example.com]
    timeout: 30
employees:
  - id: ann
    addresses: [ann@example.com]
    zone: Europe/Berlin
    accounts:
      - profile: calendar
        name: work
        username: ann
        password: keyring:ann
        calendar: /calendars/ann/work/
        default: true
        read-only: false
service:
  interval: 60
  quiet-interval: 300
  workers: 4
  per-server: 4
  listen: 127.0.0.1:9464
  late: 3600
  nightly: "02:30"
  keep-decisions: 90
  keep-ledger: 400
"""

MAPPING = """\
version: 1
item: event
activity: appointment
direction: both
guests: wait
window:
  past: 30d
  future: 365d
include:
  any:
    - category: [CRM]
    - sensitivity: [public]
    - status: [confirmed]
  all:
    - show-as: [busy]
    - attendee: known-contact
    - all-day: false
exclude:
  - category: [Skip]
privacy:
  private: withhold
  confidential: busy-only
  busy-subject: Busy
fields:
  subject:
    from: summary
    overflow: note-line
  time: time
  location:
    from: location
    direction: to-crm
  notes:
    from: description
    merge: text
  status:
    from: status
    values:
      confirmed: open
      tentative: open
      cancelled: rejected
    back:
      open: confirmed
      rejected: cancelled
  private:
    from: sensitivity
    values:
      public: "false"
      private: "true"
    back:
      "true": private
conflicts:
  default: newest
  status: [organizer, crm]
deletions:
  item-gone: cancel
  activity-gone: delete
  activity-rejected: cancel
  past: keep
"""
EXCHANGE_CONFIGURATION = """\
version: 1
profiles:
  outlook:
    connector: exchange
    url: https://mail.example.com/EWS/Exchange.asmx
    mapping: appointments
    auth: ntlm
    access: impersonation
    connections: 8
    autodiscover: true
employees:
  - id: ann
    addresses: [ann@example.com]
    accounts:
      - profile: outlook
        username: service
        password: keyring:service
"""

MAIL_CONFIGURATION = """\
version: 1
profiles:
  mail:
    connector: imap
    url: imaps://imap.example.com
    mapping: mail
    auth: xoauth2
    master: sasl
    oauth:
      token-url: https://login.example.com/token
      client-id: syncd
      client-secret: keyring:client
      scope: mail
employees:
  - id: ann
    addresses: [ann@example.com]
    accounts:
      - profile: mail
        username: service
        password: keyring:refresh
        token-command: get-token ann
        mailbox: ann@example.com
        mail:
          folders: [INBOX]
          exclude-folders: [Home]
          exclude-keywords: [Home]
          block: [example.net]
          content: text
"""

MAIL_MAPPING = """\
version: 1
item: message
activity: e-mail
direction: to-crm
window:
  past: 30d
include:
  any:
    - folder: [INBOX]
    - flagged: true
exclude:
  - kind: [invitation]
mail:
  folders: [INBOX, \\Sent]
  exclude-folders: [Private]
  exclude-keywords: [Private]
  block: [someone@example.org]
  never: [internal, list]
  internal-domains: [example.com]
  content: full
  text:
    quotes: cut
    signature: keep
  largest-attachment: 5
  unknown: park
  by-domain: true
  public-providers: [example.net]
  references: ['\\[([A-Z]+-\\d+)\\]']
  drop-folders:
    CRM:
      account: ACME
      transaction: OPP-1
  write-back:
    keyword: $SyncdLogged
    copy: Logged
    move: Done
fields:
  subject: subject
  time: date
"""
CRM_WORDS = {"status": ("open", "in-process", "completed", "rejected")}
#: Keys of the file's own choice, and words of the CRM: they are found wrong where they are used.
OWN: dict[Place, str] = {
    ("profiles", "calendar"): "profile",
    ("profiles", "mail"): "profile",
    ("profiles", "outlook"): "profile",
    ("mail", "drop-folders", "CRM"): "any",
    ("fields", "status", "back", "open"): "",
    ("fields", "status", "back", "rejected"): "",
}


#: Values that are free words, and keys that may stand with nothing behind them.
FREE_WORDS = {
    "state",
    "employees.0.accounts.0.name",
    "employees.0.accounts.0.username",
    "employees.0.accounts.0.calendar",
    "privacy.busy-subject",
    "employees.0.accounts.0.token-command",
    "employees.0.accounts.0.mailbox",
    "profiles.mail.master",
    "profiles.mail.oauth.client-id",
    "profiles.mail.oauth.scope",
    "mail.drop-folders.CRM.account",
    "mail.drop-folders.CRM.transaction",
    "mail.write-back.copy",
    "mail.write-back.move",
}
#: (`auth` and `listen` have an empty word.)
SECTIONS = {
    "crm", "profiles.calendar.also", "employees", "service", "window", "include", "include.any", "include.all",
    "exclude", "privacy", "conflicts", "deletions", "profiles.calendar.auth", "service.listen",
    "profiles.mail.auth", "profiles.outlook.auth", "profiles.outlook.access", "employees.0.accounts.0.mail",
    "employees.0.accounts.0.mail.folders", "employees.0.accounts.0.mail.exclude-folders",
    "employees.0.accounts.0.mail.exclude-keywords", "employees.0.accounts.0.mail.block", "mail", "mail.folders",
    "mail.exclude-folders", "mail.exclude-keywords", "mail.block", "mail.never", "mail.internal-domains", "mail.text",
    "mail.public-providers", "mail.references", "mail.drop-folders", "mail.write-back", "mail.write-back.keyword",
}  # fmt: skip


def places(node: Any, at: Place = ()) -> Iterator[Place]:
    """Every key of the document."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield (*at, key)
            yield from places(value, (*at, key))
    if isinstance(node, list):
        for number, value in enumerate(node):
            yield from places(value, (*at, number))


def keys_of(text: str) -> list[Place]:
    return list(places(parse(text, "f.yaml")[0]))


def said(kind: str, text: str, folder: Path) -> list[Problem]:
    """What is wrong with the document; [] when nothing is."""
    try:
        if kind.endswith("mapping"):
            lens = load_text(text, "f.yaml")
            (folder / "f.yaml").write_text(text)
            check_words(lens.mapping, CRM_WORDS, folder / "f.yaml")
        else:
            (folder / "our-ca.pem").touch()
            (folder / "f.yaml").write_text(text)
            load_configuration(folder / "f.yaml")
    except BadDocument as error:
        return list(error.problems)
    return []


def models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for info in model.model_fields.values():
        for inner in _models_in(info.annotation):
            yield from models(inner)


DOCUMENTS = {
    "configuration": CONFIGURATION,
    "mail configuration": MAIL_CONFIGURATION,
    "exchange configuration": EXCHANGE_CONFIGURATION,
    "mapping": MAPPING,
    "mail mapping": MAIL_MAPPING,
}
CASES = [
    pytest.param(kind, at, id=f"{kind}-{'-'.join(map(str, at))}")
    for kind, text in DOCUMENTS.items()
    for at in keys_of(text)
]


@pytest.mark.parametrize(("kind", "model"), [("configuration", Settings), ("mapping", MappingFile)])
def test_the_documents_are_fine_and_hold_every_key(kind: str, model: type[BaseModel], tmp_path: Path) -> None:
    kinds = [k for k in DOCUMENTS if k == kind or k.endswith(f" {kind}")]
    assert [said(k, DOCUMENTS[k], tmp_path) for k in kinds] == [[] for _ in kinds]
    held = {place[-1] for k in kinds for place in keys_of(DOCUMENTS[k])}
    known = {info.alias or name for part in models(model) for name, info in part.model_fields.items()}
    assert known - held == set()


@pytest.mark.parametrize(("kind", "at"), CASES)
def test_each_misspelled_key_is_named_with_its_place_and_the_nearest_word(kind: str, at: Place, tmp_path: Path) -> None:
    text = DOCUMENTS[kind]
    line, column = parse(text, "f.yaml")[1](at)
    lines = text.splitlines()
    row, key = lines[line - 1], str(at[-1])
    wrong = key + key[-1]
    lines[line - 1] = row[: column - 1] + row[column - 1 :].replace(key, wrong, 1)
    problems = said(kind, "\n".join(lines) + "\n", tmp_path)
    where = OWN.get(at)
    assert problems or where == "any", "nobody noticed"
    assert where is not None or line in {p.line for p in problems}
    text_of = "\n".join(str(p) for p in problems)
    if where == "any":  # any folder may have any name
        return
    assert wrong in text_of
    assert f'did you mean "{key}"' in text_of or key in ("true", "false") or where == "profile"


@pytest.mark.parametrize(("kind", "at"), CASES)
@pytest.mark.parametrize("wrong", ["{zzz: zzz}", "zzz zzz", ""], ids=["mapping", "word", "nothing"])
def test_each_wrong_value_is_named_with_its_place(kind: str, at: Place, wrong: str, tmp_path: Path) -> None:
    text = DOCUMENTS[kind]
    _, position = parse(text, "f.yaml")
    line, _ = position(at)
    lines = text.splitlines()
    row = lines[line - 1]
    key = str(at[-1])
    head = row[: row.index(key) + len(key)]
    head += '"' if f'"{key}"' in row else ""
    indent = len(row) - len(row.lstrip())
    end = line
    while end < len(lines) and (len(lines[end]) - len(lines[end].lstrip()) > indent):
        end += 1
    problems = said(kind, "\n".join([*lines[: line - 1], f"{head}: {wrong}", *lines[end:]]) + "\n", tmp_path)
    fine = {"zzz zzz": FREE_WORDS, "": FREE_WORDS | SECTIONS}.get(wrong, set())
    if ".".join(str(p) for p in at) in fine:
        assert problems == []
        return
    assert problems, "nobody noticed"
    assert all(p.line >= 1 and p.column >= 1 for p in problems)
    assert line in {p.line for p in problems}
    assert not re.search(r"pydantic|Input should|NoneType", "\n".join(map(str, problems)))
