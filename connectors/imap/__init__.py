"""Mail: a mailbox behind IMAP4rev1 (RFC 3501), as a replica of messages."""

from connectors.imap.open import connector
from connectors.imap.replica import ImapReplica

__all__ = ["ImapReplica", "connector"]
