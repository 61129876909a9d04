"""What Exchange means: zones, words, HTML bodies."""

from __future__ import annotations

from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.model.fields import normal_text
from syncd.outlook.hosts import online
from syncd.outlook.html import edited, html_of, text_of
from syncd.outlook.words import IMPORTANCE, PRIORITIES, SENSITIVITY, TASK_STATUS, importance, word_for
from syncd.outlook.zones import iana_of, windows_of

pytestmark = pytest.mark.either
LINES = st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), max_size=40), max_size=8)


def test_windows_zones_are_those_of_cldr_and_stable() -> None:
    """Against the tables of two libraries; Windows -> IANA -> Windows is the same zone."""
    from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON
    from tzlocal.windows_tz import win_tz

    for name, iana in {**WINDOWS_TO_OLSON, **win_tz}.items():
        zone = iana_of(name)
        assert zone is not None, name
        if name in WINDOWS_TO_OLSON and iana not in ("Etc/UTC", "Etc/GMT"):
            assert getattr(zone, "key", "") == WINDOWS_TO_OLSON[name]
        assert windows_of(str(getattr(zone, "key", ""))) == name
    for name in ("Alberta Standard Time", "British Columbia Standard Time", "Manitoba Standard Time"):  # new in 2026
        assert iana_of(name) is not None


def test_every_zone_of_a_place_has_a_windows_name() -> None:
    places = [z for z in available_timezones() if "/" in z and not z.startswith(("Etc/", "posix/", "right/"))]
    assert [z for z in places if not windows_of(z)] == []
    assert isinstance(iana_of("Europe/Berlin"), ZoneInfo)
    assert iana_of("Customized Time Zone") is None
    assert iana_of("tzone://Microsoft/Custom") is None
    assert windows_of("Etc/UTC") == "UTC"


def test_a_word_that_means_the_same_stays() -> None:
    assert word_for(SENSITIVITY, "private", "Personal") == "Personal"
    assert word_for(SENSITIVITY, "private", "Normal") == "Private"
    assert word_for(TASK_STATUS, "in-process", "WaitingOnOthers") == "WaitingOnOthers"
    assert word_for(TASK_STATUS, "cancelled") == ""
    for priority in range(10):
        assert IMPORTANCE[importance(priority)] == PRIORITIES.get(priority, priority)


@given(LINES)
def test_text_comes_back_from_the_html_that_is_made_of_it(lines: list[str]) -> None:
    text = "\n".join(lines)
    assert normal_text(text_of(html_of(text))) == normal_text(text.replace("\xa0", " "))


BODIES = st.lists(
    st.sampled_from(
        ["<p>one</p>", "<p><b>two</b> words</p>", "<div>three<br>four</div>", "five<br>", "<ul><li>six</li></ul>",
         "<p>&nbsp;</p>", "<table><tr><td>seven</td></tr></table>", "<span>eight</span>"]
    ),
    max_size=6,
)  # fmt: skip


@given(BODIES, LINES, st.data())
def test_a_body_that_was_edited_says_the_new_text_and_keeps_what_stayed(
    parts: list[str], lines: list[str], data: st.DataObject
) -> None:
    html = f"<html><head><style>p {{}}</style></head><body>{''.join(parts)}</body></html>"
    old = text_of(html).splitlines()
    assert normal_text(text_of(edited(html, "\n".join(old)))) == normal_text("\n".join(old))
    at = data.draw(st.integers(0, len(old)))
    new = "\n".join([*old[:at], *lines, *old[at:]])
    assert normal_text(text_of(edited(html, new))) == normal_text(new.replace("\xa0", " "))
    if old == new.splitlines() and "<p><b>two</b> words</p>" in parts:
        assert "<b>two</b>" in edited(html, new)


JOIN = '<div>Join: <a href="https://teams.microsoft.com/l/meetup-join/1">here</a></div>'


@given(BODIES, BODIES, LINES, st.data())
def test_whatever_is_written_the_way_to_join_stays_and_no_line_is_doubled(
    before: list[str], behind: list[str], lines: list[str], data: st.DataObject
) -> None:
    html = f"<html><body>{''.join(before)}{JOIN}{''.join(behind)}</body></html>"
    old = [line for line in text_of(html).splitlines() if line != "Join: here"]
    first, last = sorted((data.draw(st.integers(0, len(old))), data.draw(st.integers(0, len(old)))))
    new = [*old[:first], *lines, *old[last:]]
    after = edited(html, "\n".join(new))
    assert "meetup-join/1" in after
    shown = [line for line in text_of(after).splitlines() if line != "Join: here"]
    assert normal_text("\n".join(shown)) == normal_text("\n".join(new).replace("\xa0", " "))


@pytest.mark.parametrize(
    "html", ["", "<", "<html", "plain", "<body>" + "<div>" * 300 + "x", "<p>\x00</p>", "<br>" * 50, "<!-- x -->"]
)
def test_broken_html_is_read_as_far_as_it_goes(html: str) -> None:
    assert isinstance(text_of(html), str)
    assert isinstance(edited(html, "new"), str)


def test_which_hosts_are_exchange_online() -> None:
    assert online("outlook.office365.com") and online("Eur.Outlook.Office365.COM.")
    assert not online("mail.example.com") and not online("outlook.example.com") and not online("notoutlook.com")
