"""Calendars and task lists on CalDAV servers, as people's clients and Lotus Notes write them."""

from connectors.caldav.replica import CaldavReplica, connector

__all__ = ["CaldavReplica", "connector"]
