"""Exchange: calendar, tasks and mail of a mailbox behind Exchange Web Services.

exchangelib carries the SOAP: sign-in, sessions, versions, impersonation. It takes two seconds to import, so
it is imported when the first request is made. What is asked and what is answered is read and written here,
element by element: an item that cannot be read stops no other, and a property that we do not know survives.
"""

from connectors.exchange.open import connector

__all__ = ["connector"]
