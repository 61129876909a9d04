"""The gate between the engine and a groupware replica: every item that comes through has been admitted.

The engine has no other way to an item (a test looks for one). It gets `Admission`s, never a record as the
server holds it; the connector's own object, in which an edit is made, stays behind the gate too.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from syncd.model.fields import Fields
from syncd.model.record import Record
from syncd.ports import (
    Capabilities,
    Expecting,
    Gone,
    Marking,
    Page,
    PortError,
    Replica,
    Stale,
    Telling,
    Written,
    telling_of,
)
from syncd.privacy import NOTHING_GIVEN, Admission, Given, Policy, admit

#: Connectors' objects that are kept for the edit that may follow, at most; others are read once more.
MOST_KEPT = 500


class Gate:
    """One replica for one pass."""

    def __init__(self, replica: Replica, policy: Policy) -> None:
        self._real = replica
        self._policy = policy
        self._natives: OrderedDict[str, tuple[str, Any]] = OrderedDict()
        self._telling: Telling | None = None

    def guards(self, replica: Replica) -> bool:
        """True when it stands before just this replica."""
        return self._real is replica

    @property
    def capabilities(self) -> Capabilities:
        """What the replica can hold."""
        return self._real.capabilities

    def telling(self) -> Telling:
        """What the server does with a write into a meeting that has guests; asked once a pass."""
        if self._telling is None:
            self._telling = telling_of(self._real)
        return self._telling

    def marking(self) -> Marking | None:
        """The replica as one that can show what was logged, if it can."""
        real = getattr(self._real, "real", self._real)
        return real if isinstance(real, Marking) else None

    # -- reading -------------------------------------------------------------------------------------------

    def changes(self, cursor: str) -> Iterator[Page]:
        """See `Replica.changes`: refs and versions only."""
        return self._real.changes(cursor)

    def expect(self, refs: Sequence[str]) -> None:
        """See `Expecting`."""
        if isinstance(self._real, Expecting):
            self._real.expect(refs)

    def fetch(
        self, refs: Sequence[str], given: Mapping[str, Given] = MappingProxyType({})
    ) -> dict[str, Admission | PortError]:
        """Each ref's item, admitted, or why there is none. `given`: what of them the CRM has made private."""
        if not refs:
            return {}
        found = self._real.fetch(refs)
        return {ref: self._admitted(found.get(ref, Gone("not there")), given.get(ref, NOTHING_GIVEN)) for ref in refs}

    def one(self, ref: str, given: Given = NOTHING_GIVEN) -> Admission | PortError:
        """One item."""
        return self.fetch([ref], {ref: given})[ref]

    def find(self, key: str, uid: str, given: Given = NOTHING_GIVEN) -> Admission | None:
        """See `Replica.find`."""
        found = self._real.find(key, uid)
        if found is None:
            return None
        admission = self._admitted(found, given)
        assert isinstance(admission, Admission)
        return admission

    def _admitted(self, found: Record | PortError, given: Given) -> Admission | PortError:
        if isinstance(found, PortError):
            return found
        self._natives[found.ref] = (found.version, found.native)
        self._natives.move_to_end(found.ref)
        while len(self._natives) > MOST_KEPT:
            self._natives.popitem(last=False)
        return admit(found, self._policy, given)

    # -- writing -------------------------------------------------------------------------------------------

    def create(self, fields: Fields, key: str, *, kind: str, uid: str) -> Written:
        """See `Replica.create`."""
        return self._real.create(fields, key, kind=kind, uid=uid, owner="")

    def update(self, shown: Record, changes: Fields, *, tell: bool) -> Written:
        """See `Replica.update`: writes into the item of which `shown` was admitted, as the difference from
        that. Raises Stale when the item has changed since."""
        return self._real.update(self._whole(shown), changes, tell=tell)

    def delete(self, shown: Record, *, tell: bool) -> None:
        """See `Replica.delete`."""
        self._real.delete(self._whole(shown), tell=tell)

    def _whole(self, shown: Record) -> Record:
        """The admitted record with the connector's own object of the same version."""
        if shown.ref not in self._natives:
            found: Mapping[str, Record | PortError] = self._real.fetch([shown.ref])
            again = self._admitted(found.get(shown.ref, Gone("not there")), Given(whole=True))
            if isinstance(again, PortError):
                raise again
        version, native = self._natives[shown.ref]
        if version != shown.version:
            raise Stale("changed meanwhile")
        return replace(shown, native=native)


__all__ = ["Gate"]
