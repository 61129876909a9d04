"""A server that speaks Exchange Web Services, over HTTP, with a state of its own.

It holds what is asked and what it answers to Microsoft's schema, keeps an outbox of every mail that Exchange
would have sent, and knows no client: docs/exchange-double.md says where each of its rules comes from.
"""

from tests.servers.exchange.http import ExchangeServer, Trouble, exchange

__all__ = ["ExchangeServer", "Trouble", "exchange"]
