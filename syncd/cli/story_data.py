"""What stands in the demo's calendars and CRM: a few weeks of two employees' work, made up."""

from __future__ import annotations

from datetime import datetime, timedelta

_HEAD = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//Phone//Calendar 7//EN\n"
_BERLIN = """\
BEGIN:VTIMEZONE
TZID:Europe/Berlin
BEGIN:DAYLIGHT
DTSTART:19810329T020000
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
END:DAYLIGHT
BEGIN:STANDARD
DTSTART:19961027T030000
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
END:STANDARD
END:VTIMEZONE
"""
_PACIFIC = """\
BEGIN:VTIMEZONE
TZID:Pacific
BEGIN:STANDARD
DTSTART:19501105T020000
TZOFFSETFROM:-0700
TZOFFSETTO:-0800
RRULE:FREQ=YEARLY;BYMINUTE=0;BYHOUR=2;BYDAY=1SU;BYMONTH=11
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:19500312T020000
TZOFFSETFROM:-0800
TZOFFSETTO:-0700
RRULE:FREQ=YEARLY;BYMINUTE=0;BYHOUR=2;BYDAY=2SU;BYMONTH=3
END:DAYLIGHT
END:VTIMEZONE
"""


def employees_csv() -> dict[str, str]:
    """The CSV files that the demo imports."""
    return {
        "employees": "id,name,address\nann,Ann Berger,ann@example.com\nbob,Bob Ito,bob@example.com\n",
        "accounts": "id,name,address,phone,city\nacme,Acme GmbH,info@acme.example,+49 30 1234,Berlin\n"
        "borealis,Borealis Inc.,office@borealis.example,+1 415 555 0100,San Francisco\n",
        "contacts": "id,name,account,address,function\npat,Pat Meyer,acme,pat@acme.example,Purchasing\n"
        "kim,Kim Sato,borealis,kim@borealis.example,CFO\n",
        "transactions": "id,type,description,account,owner,status,ends\n"
        "op1,opportunity,Acme press line,acme,ann,open,\nct7,contract,Borealis service,borealis,bob,open,2027-01-31\n",
    }


def _day(now: datetime, days: int) -> str:
    return f"{now + timedelta(days=days):%Y%m%d}"


def _event(now: datetime, uid: str, days: int, begin: str, end: str, *lines: str) -> str:
    day = _day(now, days)
    body = "\n".join(lines)
    return (
        f"{_HEAD}{_BERLIN}BEGIN:VEVENT\nUID:{uid}@phone\nDTSTAMP:20261101T080000Z\n"
        f"DTSTART;TZID=Europe/Berlin:{day}T{begin}00\nDTEND;TZID=Europe/Berlin:{day}T{end}00\n{body}\n"
        "END:VEVENT\nEND:VCALENDAR"
    )


def notes_event(now: datetime) -> str:
    """A meeting as Lotus Notes writes it: a zone of its own, X-LOTUS properties."""
    day = _day(now, 6)
    return (
        "BEGIN:VCALENDAR\nX-LOTUS-CHARSET:UTF-8\nVERSION:2.0\n"
        f"PRODID:-//Lotus Development Corporation//NONSGML Notes 8.5.2//EN_S\n{_PACIFIC}"
        f"BEGIN:VEVENT\nDTSTART;TZID=Pacific:{day}T090000\nDTEND;TZID=Pacific:{day}T100000\nTRANSP:OPAQUE\n"
        "DTSTAMP:20261101T213544Z\nSEQUENCE:0\nCLASS:PUBLIC\nDESCRIPTION:Numbers for the first quarter\\n\n"
        "SUMMARY:Forecast Q1\nLOCATION:Room 4\nUID:4F3A2C5E9D1B0A6C88257D0E005F2B11-Lotus_Notes_Generated\n"
        "X-LOTUS-BROADCAST:FALSE\nX-LOTUS-UPDATE-SEQ:1\nX-LOTUS-UPDATE-WISL:$S:1;$L:1;$B:1;$R:1;$E:1;$W:1;$O:1;$M:1\n"
        "X-LOTUS-NOTESVERSION:2\nX-LOTUS-APPTTYPE:0\nX-LOTUS-CHILD-UID:4F3A2C5E9D1B0A6C88257D0E005F2B11\n"
        "END:VEVENT\nEND:VCALENDAR"
    )


def mail_free_event(now: datetime) -> str:
    """What a client appends to the weekly series to move its third occurrence."""
    third = _day(now, 2 + 14)
    return (
        "END:VEVENT\r\nBEGIN:VEVENT\r\nUID:weekly@phone\r\nDTSTAMP:20261101T080000Z\r\n"
        f"RECURRENCE-ID;TZID=Europe/Berlin:{third}T090000\r\nDTSTART;TZID=Europe/Berlin:{third}T150000\r\n"
        f"DTEND;TZID=Europe/Berlin:{third}T153000\r\nSUMMARY:Weekly stand-up\r\nEND:VEVENT"
    )


def calendars(now: datetime) -> dict[str, dict[str, str]]:
    """User -> path -> event."""
    shared = (
        "SUMMARY:Joint visit to Acme",
        "LOCATION:Berlin",
        "ORGANIZER;CN=Ann Berger:mailto:ann@example.com",
        "ATTENDEE;CN=Bob Ito;PARTSTAT=ACCEPTED:mailto:bob@example.com",
        "ATTENDEE;CN=Pat Meyer;PARTSTAT=NEEDS-ACTION:mailto:pat@acme.example",
    )
    ann = {
        "call": _event(now, "call", 1, "1000", "1030", "SUMMARY:Call with Kim", "CATEGORIES:Borealis"),
        "visit": _event(now, "visit", 4, "1300", "1500", *shared),
        "interview": _event(now, "interview", 5, "1100", "1200", "SUMMARY:Interview candidate 7"),
        "lunch": _event(now, "lunch", 7, "1230", "1330", "SUMMARY:Lunch with Borealis", "LOCATION:Roof"),
        "dentist": _event(now, "dentist", 3, "0800", "0830", "SUMMARY:Dentist", "CLASS:PRIVATE"),
        "weekly": _event(now, "weekly", 2, "0900", "0930", "SUMMARY:Weekly stand-up", "RRULE:FREQ=WEEKLY;COUNT=10"),
        "fair": f"{_HEAD}BEGIN:VEVENT\nUID:fair@phone\nDTSTAMP:20261101T080000Z\nDTSTART;VALUE=DATE:{_day(now, 12)}\n"
        f"DTEND;VALUE=DATE:{_day(now, 15)}\nSUMMARY:Trade fair\nEND:VEVENT\nEND:VCALENDAR",
        "past": _event(now, "past", -8, "1600", "1700", "SUMMARY:Kick-off Acme press line", "CATEGORIES:Acme"),
    }
    bob = {"forecast": notes_event(now), "visit": _event(now, "visit", 4, "1300", "1500", *shared)}
    return {
        "ann": {f"/ann/work/{name}.ics": text for name, text in ann.items()},
        "bob": {f"/bob/notes/{name}.ics": text for name, text in bob.items()},
    }
