"""Configuration -> what a pass needs: store, CRM, pairings. Connectors are found by entry point."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from syncd.engine.digest import Digester
from syncd.engine.pairing import Employee, OwnMail, Pairing, pairing_name
from syncd.mapping.lens import Lens
from syncd.mapping.loader import check_words, load, locate
from syncd.ports import AuthFailed, Capabilities, Crm, Replica
from syncd.secrets import SecretFault, resolve
from syncd.service.forget import forgotten
from syncd.service.key import open_store
from syncd.service.probe import probed
from syncd.settings import Account, Configuration, EmployeeEntry
from syncd.store import Store


class NoConnector(Exception):
    """No installed package offers a connector of that name."""


@cache
def connector(name: str) -> Callable[[Mapping[str, Any]], Any]:
    """The factory that the entry point ``syncd.connectors`` names. Raises NoConnector."""
    for point in entry_points(group="syncd.connectors", name=name):
        return cast(Callable[[Mapping[str, Any]], Any], point.load())
    raise NoConnector(f'no connector "{name}" is installed')


def pairing_id(employee: str, account: Account) -> str:
    """How the pairing of an account is called."""
    return pairing_name(employee, account.name or account.profile)


@dataclass
class House:
    """Everything opened for one configuration."""

    configuration: Configuration
    store: Store
    key: bytes
    crm: Crm
    #: Every pairing of the configuration: whoever reads the CRM's feed takes note of its news for all.
    pairings: list[Pairing] = field(default_factory=list)
    #: Those that were asked for; the replicas of the others are not opened.
    chosen: list[Pairing] = field(default_factory=list)
    #: Pairing -> its account, and the host that it is kept at.
    accounts: dict[str, Account] = field(default_factory=dict)
    owners: dict[str, EmployeeEntry] = field(default_factory=dict)
    servers: dict[str, str] = field(default_factory=dict)

    def replica(self, pairing: str) -> Replica:
        """The pairing's collection, with its secret read anew; one whose secret cannot be had says so
        whenever it is asked."""
        account = self.accounts[pairing]
        profile = self.configuration.settings.profiles[account.profile]
        lens = load(locate(profile.mapping, self.configuration.folder))
        return _replica(self.configuration, account, lens, self.owners[pairing])

    def secret_mark(self, pairing: str) -> str:
        """A keyed digest of the pairing's secret as it is now, to see that it was replaced."""
        reference = self.accounts[pairing].password
        try:
            secret = resolve(reference, self.configuration.folder) if reference else ""
        except SecretFault:
            secret = ""
        return Digester(self.key, "secret").text(secret)

    def close(self) -> None:
        """Gives everything back."""
        for pairing in self.pairings:
            with suppress(AttributeError):
                pairing.replica.close()  # type: ignore[attr-defined]
        with suppress(AttributeError):
            self.crm.crm.close()  # type: ignore[attr-defined]
        self.store.close()

    def __enter__(self) -> House:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_house(configuration: Configuration, only: Iterable[str] = ()) -> House:
    """Opens store, CRM and the pairings (if any are named, only those of these employees or ids).

    Raises SecretFault (for the store's own key), StoreFault, NoConnector, and BadDocument for a
    mapping that speaks of what the CRM does not have.
    """
    settings = configuration.settings
    store, key = open_store(configuration)
    crm = connector(settings.crm.connector)(crm_options(configuration))
    house = House(configuration, store, key, crm)
    wanted = set(only)
    lenses: dict[str, Lens] = {}
    with store.reading() as tx:
        left_alone = forgotten(tx, key, [e.id for e in settings.employees])
    for employee in settings.employees:
        if employee.id in left_alone:
            continue
        for account in employee.accounts:
            name = pairing_id(employee.id, account)
            profile = settings.profiles[account.profile]
            if account.profile not in lenses:
                path = locate(profile.mapping, configuration.folder)
                lenses[account.profile] = load(path)
                check_words(lenses[account.profile].mapping, crm.capabilities.words, path)
            lens = lenses[account.profile]
            chosen = not wanted or bool({name, employee.id} & wanted)
            kind = lens.mapping.item
            replica = _replica(configuration, account, lens, employee) if chosen else Shut(kind, "not asked for")
            house.owners[name] = employee
            house.accounts[name], house.servers[name] = account, urlsplit(profile.url).netloc
            own = OwnMail(tuple(account.mail.exclude_keywords), tuple(account.mail.block), account.mail.content)
            told = _settings(key, employee, account)
            house.pairings.append(Pairing(name, person(employee), replica, crm, "crm", lens, own, settings=told))
            house.chosen += house.pairings[-1:] if chosen else []
    defaults = _defaults(house)
    house.pairings = [replace(p, default=p.id in defaults) for p in house.pairings]
    asked = {p.id for p in house.chosen}
    house.chosen = [p for p in house.pairings if p.id in asked]
    return house


def _settings(key: bytes, employee: EmployeeEntry, account: Account) -> str:
    """What the configuration says that changes the meaning of what is read, as a digest: whose it is, and what is
    not to cross of it (which is nobody's business)."""
    mail = account.mail.model_dump(mode="json")
    said = {"addresses": sorted(employee.addresses), "zone": str(employee.zone), "mail": mail}
    return Digester(key, "settings").text(json.dumps(said, sort_keys=True))


def _defaults(house: House) -> frozenset[str]:
    """The pairings that take what comes from the CRM: of each employee one for each kind of item, the one that
    says so, else the first into which something may be written."""

    def rank(pairing: Pairing) -> tuple[bool, bool]:
        account = house.accounts[pairing.id]
        return account.default, not account.read_only and pairing.lens.mapping.direction != "to-crm"

    found: dict[tuple[str, str], Pairing] = {}
    for pairing in house.pairings:
        place = (pairing.employee.id, pairing.lens.mapping.item)
        if place not in found or rank(pairing) > rank(found[place]):
            found[place] = pairing
    return frozenset(p.id for p in found.values())


class Shut:
    """An account that is not opened, as its secret cannot be had: every call says so, the others go on."""

    requests = 0

    def __init__(self, kind: str, why: str) -> None:
        self.capabilities = Capabilities(kinds=frozenset({kind}))
        self._why = why

    def _fail(self, *_: object, **__: object) -> Any:
        raise AuthFailed(self._why)

    changes = fetch = create = update = delete = find = _fail


def _replica(configuration: Configuration, account: Account, lens: Lens, employee: EmployeeEntry) -> Replica:
    try:
        return open_replica(configuration, account, lens, employee)
    except SecretFault as error:
        return Shut(lens.mapping.item, str(error))


def _asks_flag(lens: Lens) -> bool:
    mapping = lens.mapping
    return any(c.flagged is not None for c in (*mapping.include.any, *mapping.include.all, *mapping.exclude))


def person(employee: EmployeeEntry) -> Employee:
    """The engine's view of an employee."""
    return Employee(employee.id, tuple(employee.addresses), ZoneInfo(employee.zone))


def crm_options(configuration: Configuration) -> dict[str, Any]:
    """What the CRM's connector is opened with."""
    options = configuration.settings.crm.model_dump(by_alias=True)
    options["url"] = configuration.url(options["url"])
    return options


def open_replica(configuration: Configuration, account: Account, lens: Lens, employee: EmployeeEntry) -> Replica:
    """One account's collection. Raises SecretFault."""
    profile = configuration.settings.profiles[account.profile]
    options: dict[str, Any] = {
        **profile.model_dump(by_alias=True, exclude={"connector", "mapping"}),
        **account.model_dump(by_alias=True, exclude={"profile", "name", "password", "mail", "default"}),
        "kind": lens.mapping.item,
        "fields": [rule.item for rule in lens.rules.values() if rule.direction != "to-crm"],
        "address": employee.addresses[0],
        "addresses": list(employee.addresses),
        "zone": employee.zone,
        "state": str(configuration.state),
        "probed": probed(configuration, account.profile),
    }
    if lens.mapping.item == "message":
        options |= {
            "mail": lens.mapping.mail.model_dump(by_alias=True),
            "own-mail": account.mail.model_dump(by_alias=True),
            "days": lens.mapping.window.past.days,
            "flagged": any(rule.item == "flagged" for rule in lens.rules.values()) or _asks_flag(lens),
        }
    if profile.oauth is not None and profile.oauth.client_secret is not None:
        options["oauth"]["client-secret"] = resolve(profile.oauth.client_secret, configuration.folder)
    if account.password is not None:
        options["password"] = resolve(account.password, configuration.folder)
    if options.get("ca"):
        options["ca"] = str(configuration.folder / Path(options["ca"]).expanduser())
    return cast(Replica, connector(profile.connector)(options))
