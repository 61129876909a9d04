"""The configuration file: which CRM, which profiles, which employees with which accounts.

Strict like the mappings: an unknown key is an error with file, line, column and the nearest word.
Secrets stand here by reference only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, field_validator

from syncd.mapping.loader import load, locate
from syncd.mapping.mail import Mail, Party, faults
from syncd.mapping.strict import Strict
from syncd.model.people import normal_address
from syncd.outlook.hosts import ONLINE_MESSAGE, online
from syncd.secrets import check_reference
from syncd.strict_yaml import BadDocument, Problem, nearest, read, validated

#: Where the configuration is looked for, in this order.
PLACES = ("syncd.yaml", "~/.config/syncd/syncd.yaml", "/etc/syncd/syncd.yaml")


def _reference(value: str) -> str:
    check_reference(value)
    return value


def _zone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError(f'no time zone "{value}"{nearest(value, sorted(available_timezones()))}')
    return value


@cache
def _connectors() -> list[str]:
    return sorted(point.name for point in entry_points(group="syncd.connectors"))


def _installed(value: str) -> str:
    """A connector joins by its entry point alone: what is installed is what may be named here."""
    names = _connectors()
    if value not in names:
        raise ValueError(f'no connector "{value}" is installed{nearest(value, names)}')
    return value


def _server(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https", "imap", "imaps") or not parts.hostname:
        raise ValueError("an address begins with https:// (or http://; for mail imaps:// or imap://) and names a host")
    if parts.password:
        raise ValueError("no password in the address: give it by reference, as password")
    return value


def _database(value: str) -> str:
    scheme, colon, rest = value.partition("://")
    if not colon or scheme.partition("+")[0] not in ("sqlite", "postgresql", "postgres") or not rest:
        raise ValueError("a database is given as sqlite:///FILE or postgresql://USER@HOST/NAME")
    return value


def _host(value: str) -> str:
    if urlsplit(f"//{value}").hostname != value.lower():
        raise ValueError("another host is given by its name alone, such as dav2.example.com")
    return value.lower()


def _address(value: str) -> str:
    if "@" not in value:
        raise ValueError("this is no e-mail address")
    return normal_address(value)


Secret = Annotated[str, AfterValidator(_reference)]
Zone = Annotated[str, AfterValidator(_zone)]
Url = Annotated[str, AfterValidator(_server)]
Address = Annotated[str, AfterValidator(_address)]
Database = Annotated[str, AfterValidator(_database)]
Host = Annotated[str, AfterValidator(_host)]


class BuiltinCrm(Strict):
    """The CRM that is built in."""

    #: Which CRM.
    connector: Literal["builtin"] = "builtin"
    #: SQLAlchemy URL; a relative SQLite path counts from the configuration file.
    url: Database = "sqlite:///crm.db"
    #: Rehearse another CRM's limits: SAP CRM holds 40 characters and no series.
    subject_length: int | None = Field(None, alias="subject-length", ge=1)
    #: False: each occurrence of a series is an appointment of its own.
    series: bool = True


class OAuth(Strict):
    """Where access tokens come from: the account's password is its refresh token (RFC 6749 §6)."""

    #: Address of the token endpoint.
    token_url: Url = Field(alias="token-url")
    #: Id under which syncd is registered there.
    client_id: str = Field(alias="client-id")
    #: Reference of its secret, when it has one.
    client_secret: Secret | None = Field(None, alias="client-secret")
    #: What is asked for; as granted if left out.
    scope: str = ""


#: Which ways to sign in each kind of server knows.
SCHEMES = {"caldav": ("http", "https"), "imap": ("imap", "imaps"), "exchange": ("http", "https")}
AUTHS = {
    "caldav": ("", "basic", "digest", "bearer"),
    "imap": ("", "plain", "login", "xoauth2", "oauthbearer"),
    "exchange": ("", "basic", "ntlm", "kerberos", "bearer"),
}
#: What each kind of server keeps.
ITEMS = {"caldav": ("event", "todo"), "imap": ("message",), "exchange": ("event", "todo", "message")}
#: Keys of a profile that only some kinds of server know.
_ONLY = {
    "oauth": ("imap", "exchange"),
    "master": ("imap",),
    "access": ("exchange",),
    "connections": ("exchange",),
    "autodiscover": ("exchange",),
    "also": ("caldav",),
}


class Profile(Strict):
    """A groupware system, and the mapping under which its accounts are synced."""

    #: Which kind of groupware.
    connector: Annotated[str, AfterValidator(_installed)]
    #: Address of the server.
    url: Url
    #: A shipped mapping, or a file beside this one.
    mapping: str = "appointments"
    #: How to sign in; the server says it if left out.
    auth: Literal["", "basic", "digest", "bearer", "ntlm", "kerberos", "plain", "login", "xoauth2", "oauthbearer"] = ""
    #: For mail and Exchange: where access tokens come from.
    oauth: OAuth | None = None
    #: For mail: how a service account (username) names the mailbox that it opens: "sasl" for the authorization
    #: identity of SASL, or a pattern such as "{user}*{master}".
    master: str = "sasl"
    #: For Exchange: how a service account (username) opens the mailboxes of others: "impersonation" or "delegate".
    access: Literal["", "impersonation", "delegate"] = ""
    #: For Exchange: most connections to the server, shared by all its mailboxes.
    connections: int = Field(8, ge=1, le=27)
    #: For Exchange: ask Autodiscover where each mailbox is kept; the address above serves those it does not know.
    autodiscover: bool = False
    #: File with the certificate authority of a server of your own.
    ca: str | None = None
    #: Other hosts to which the server may redirect; it is signed in to there too.
    also: list[Host] = []
    #: Seconds without a word of the server before it counts as not answering.
    timeout: int = Field(60, ge=1, le=600)


class OwnMail(Strict):
    """What the employee wants of the own mailbox; it can only narrow what the mapping lets cross."""

    #: Folders that are read, instead of the mapping's.
    folders: list[str] = []
    #: Folders of which nothing ever crosses, nor of those below them, beside the mapping's.
    exclude_folders: list[str] = Field([], alias="exclude-folders")
    #: Keywords of messages of which nothing crosses, beside the mapping's.
    exclude_keywords: list[str] = Field([], alias="exclude-keywords")
    #: Addresses and domains of whom nothing crosses, beside the mapping's.
    block: list[Party] = []
    #: headers-only, text or full; the narrower of this and the mapping's counts.
    content: Literal["headers-only", "text", "full"] = "full"


class Account(Strict):
    """One collection of an employee."""

    #: The profile of the server that it is kept at.
    profile: str
    #: To tell several accounts of one employee apart; the profile's name if left out.
    name: str = ""
    #: Name to sign in with.
    username: str = ""
    #: Reference of the password or token: keyring:, credential:, file:, env:.
    password: Secret | None = None
    #: Command that prints an access token, instead of a password.
    token_command: str = Field("", alias="token-command")
    #: Path of the calendar or task list on the server; at Exchange the name of a folder, if not the usual one.
    calendar: str = ""
    #: Of several calendars (or task lists) of an employee the one that takes what comes from the CRM; the first that
    #: is not read-only if none says so.
    default: bool = False
    #: Mailbox that a service account opens; the account's own if left out.
    mailbox: str = ""
    #: What the employee wants of the own mailbox.
    mail: OwnMail = Field(default_factory=lambda: OwnMail.model_validate({}))
    #: Nothing is ever written there.
    read_only: bool = Field(False, alias="read-only")


class EmployeeEntry(Strict):
    """Whose groupware is synced."""

    #: A short name of your choice; the CRM knows the employee by the address.
    id: str = Field(pattern=r"^[A-Za-z0-9_.@-]{1,64}$")
    #: E-mail addresses, one or several; the first is the one that the CRM knows. One that an employee had before
    #: stays among them: the CRM's activities go on naming it.
    addresses: list[Address] = Field(min_length=1)
    #: In which whole days and floating times are read.
    zone: Zone = "UTC"
    #: Calendars and task lists.
    accounts: list[Account] = Field(min_length=1)

    @field_validator("addresses", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


def _listen(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if value and (not colon or not host or not port.isdigit() or int(port) > 65535):
        raise ValueError("where to listen is given as HOST:PORT, e.g. 127.0.0.1:9464")
    return value


def _hour(value: str) -> str:
    hour, _, minute = value.partition(":")
    if not (hour.isdigit() and minute.isdigit() and int(hour) < 24 and int(minute) < 60):
        raise ValueError('a time of day (UTC) is given as "HH:MM", in quotes')
    return value


class Service(Strict):
    """How the service runs."""

    #: Seconds between two passes over a pairing in which something happens.
    interval: int = Field(60, ge=1, le=86400)
    #: A pairing in which nothing happens is looked at less often, up to this; seconds.
    quiet_interval: int = Field(300, alias="quiet-interval", ge=1, le=86400)
    #: Passes at a time.
    workers: int = Field(4, ge=1, le=64)
    #: No more passes than this at one server at a time.
    per_server: int = Field(4, alias="per-server", ge=1, le=64)
    #: HOST:PORT for /health and /metrics; empty for neither.
    listen: Annotated[str, AfterValidator(_listen)] = "127.0.0.1:9464"
    #: A pairing that has not agreed for so many seconds is late: /health goes red.
    late: int = Field(3600, ge=1)
    #: When everything is compared in full and old records go; UTC.
    nightly: Annotated[str, AfterValidator(_hour)] = "02:30"
    #: Days for which the records of `syncd explain` are kept.
    keep_decisions: int = Field(90, alias="keep-decisions", ge=1)
    #: Days for which the privacy ledger is kept.
    keep_ledger: int = Field(400, alias="keep-ledger", ge=1)


class Settings(Strict):
    """A whole configuration file."""

    #: The form of this file.
    version: Literal[1]
    #: Folder of the databases below and of the key of the store's digests; counts from this file.
    state: str = "."
    #: SQLAlchemy URL of syncd's own store.
    store: Database = "sqlite:///store.db"
    #: The CRM.
    crm: BuiltinCrm = Field(default_factory=lambda: BuiltinCrm.model_validate({}))
    #: Name to profile: a groupware system and the mapping of its accounts.
    profiles: dict[str, Profile]
    #: Who is synced.
    employees: list[EmployeeEntry] = []
    #: How `syncd run` works.
    service: Service = Field(default_factory=lambda: Service.model_validate({}))


def _unfit(profile: Profile) -> Iterator[tuple[str, str]]:
    """What does not go with the profile's connector: (key, message)."""
    kind = profile.connector
    schemes, auths = SCHEMES.get(kind), AUTHS.get(kind)
    if schemes and urlsplit(profile.url).scheme not in schemes:
        yield "url", f"the address of a {kind} server begins with {schemes[-1]}:// (or {schemes[0]}://)"
    if auths and profile.auth not in auths:
        yield "auth", f"a {kind} server knows {', '.join(a for a in auths if a)}"
    for key, kinds in _ONLY.items():
        if key in profile.model_fields_set and kind in SCHEMES and kind not in kinds:
            yield key, f'"{key}" is not for a {kind} server'
    if kind == "exchange" and online(urlsplit(profile.url).hostname or ""):
        yield "url", ONLINE_MESSAGE


#: What the items of a kind lie in.
_NAMES = {"event": "calendar", "todo": "task list", "message": "mailbox"}


def _collection(profile: Profile, account: Account, employee: EmployeeEntry) -> tuple[str, ...]:
    """What tells one collection from all others, as far as the configuration says it."""
    at, server = urlsplit(account.calendar), urlsplit(profile.url)
    host = (at.netloc or server.netloc).casefold().removesuffix(":443" if server.scheme == "https" else ":80")
    if profile.connector == "caldav" and account.calendar:
        return host, unquote(at.path).strip("/")
    host += unquote(server.path).rstrip("/")  # a profile may name the calendar
    named = account.mailbox or (account.username if profile.connector != "exchange" else "")
    return host, (named or employee.addresses[0]).casefold(), account.calendar


class Configuration:
    """A configuration file that has been read and checked."""

    def __init__(self, path: Path, settings: Settings) -> None:
        self.path = path
        self.settings = settings

    @property
    def folder(self) -> Path:
        """Relative paths count from here."""
        return self.path.resolve().parent

    @property
    def state(self) -> Path:
        """Where databases and the key lie."""
        return self.folder / Path(self.settings.state).expanduser()

    def url(self, url: str) -> str:
        """A database URL with its SQLite path made absolute."""
        if url.startswith("sqlite:///") and not url.startswith("sqlite:////"):
            return f"sqlite:///{self.state / url.removeprefix('sqlite:///')}"
        return url


def find(given: Path | None) -> Path:
    """The configuration file: as given, by SYNCD_CONFIG, or in one of the usual places.

    Raises BadDocument when there is none.
    """
    if given is not None:
        return given
    if os.environ.get("SYNCD_CONFIG"):
        return Path(os.environ["SYNCD_CONFIG"])
    for place in PLACES:
        path = Path(place).expanduser()
        if path.is_file():
            return path
    raise BadDocument([Problem(PLACES[0], 1, 1, "there is no configuration here yet: make one with: syncd init")])


def load_configuration(path: Path) -> Configuration:
    """Reads and checks the configuration and every mapping that it names. Raises BadDocument."""
    document, position = read(path)
    settings = validated(Settings, document, position, str(path))
    problems: list[Problem] = []

    def fault(where: tuple[str | int, ...], message: str) -> None:
        problems.append(Problem(str(path), *position(where), message))

    mails: dict[str, Mail] = {}
    kinds: dict[str, tuple[str, str]] = {}
    owners: dict[tuple[str, ...], tuple[str, str, str]] = {}
    for name, profile in settings.profiles.items():
        for key, message in _unfit(profile):
            fault(("profiles", name, key), message)
        try:
            lens = load(locate(profile.mapping, path.resolve().parent))
            mails[name], kinds[name] = lens.mapping.mail, (lens.mapping.item, lens.mapping.activity)
            if lens.mapping.item not in ITEMS.get(profile.connector, (lens.mapping.item,)):
                fault(("profiles", name, "mapping"), f'a {profile.connector} server has no items "{lens.mapping.item}"')
        except FileNotFoundError as error:
            fault(("profiles", name, "mapping"), str(error))
        except BadDocument as error:
            problems += error.problems
        if profile.ca is not None and not (path.resolve().parent / Path(profile.ca).expanduser()).is_file():
            fault(("profiles", name, "ca"), f'there is no file "{profile.ca}"')
    ids: set[str] = set()
    for number, employee in enumerate(settings.employees):
        if employee.id in ids:
            fault(("employees", number, "id"), f'a second employee "{employee.id}"')
        ids.add(employee.id)
        names: set[str] = set()
        for at, account in enumerate(employee.accounts):
            where = ("employees", number, "accounts", at)
            if account.profile not in settings.profiles:
                message = f'no profile "{account.profile}"{nearest(account.profile, list(settings.profiles))}'
                fault((*where, "profile"), message)
            name = account.name or account.profile
            if name in names:
                fault((*where, "name"), f'a second account "{name}": give each a name of its own')
            names.add(name)
            if account.profile in kinds and kinds[account.profile][0] != "message":  # one message is one log
                profile = settings.profiles[account.profile]
                place = (*kinds[account.profile], *_collection(profile, account, employee))
                owner, first, mapping = owners.setdefault(place, (employee.id, name, profile.mapping))
                what = _NAMES[kinds[account.profile][0]]
                if owner != employee.id:
                    said = "what lies in it would be in the CRM once for each"
                    fault(where, f'this is the {what} of "{owner}" too: {said}')
                elif first != name and mapping == profile.mapping:
                    fault(where, f'this is the {what} of the account "{first}" too: one of the two is enough')
            own = account.mail
            if account.profile in mails:
                for _, message in faults(mails[account.profile], own.exclude_keywords, own.exclude_folders):
                    fault((*where, "mail"), message)
    if problems:
        raise BadDocument(problems)
    return Configuration(path, settings)
