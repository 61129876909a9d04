"""An e-mail written in the CRM, as the message that goes into Sent. It is stored there, never sent."""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from syncd.mail.headers import own_id
from syncd.model.fields import Fields
from syncd.model.people import People


def message_of(fields: Fields, key: str) -> bytes:
    """The message's octets."""
    made = EmailMessage(policy=SMTP)
    made["Message-ID"] = own_id(key)
    made["Subject"] = " ".join(str(fields.get("subject") or "").split())
    if fields.get("date") is not None:
        made["Date"] = format_datetime(fields["date"].start)
    people: People = fields.get("correspondents") or People()
    for role, header in (("from", "From"), ("to", "To"), ("cc", "Cc")):
        named = [p for p in people.values() if (p.role or "to") == role]
        if named:
            made[header] = ", ".join(_mailbox(p.name, p.address) for p in named)
    made.set_content(str(fields.get("text") or ""))
    return made.as_bytes()


def _mailbox(name: str, address: str) -> str:
    from email.utils import formataddr

    return formataddr((" ".join(name.split()), address))
