"""Which servers are Exchange Online, and which are not."""

from __future__ import annotations

#: Hosts of Exchange Online.
ONLINE = (
    "outlook.office365.com",
    "outlook.office.com",
    "outlook.com",
    "office365.us",
    "partner.outlook.cn",
    "office.com",
)
ONLINE_MESSAGE = (
    "Exchange Online has closed Exchange Web Services: this connector is for Exchange Server "
    "(2016 and later, Subscription Edition) and servers that speak EWS"
)


def online(host: str) -> bool:
    """True for a host of Exchange Online."""
    host = host.lower().rstrip(".")
    return any(host == name or host.endswith("." + name) for name in ONLINE)
