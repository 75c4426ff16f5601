"""Times as people text them, and when an owner may be texted."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from mailroom.models.owner import Hours, Owner, may_text_at
from mailroom.models.when import in_words, next_at
from mailroom.models.words import Approve, Edit, Snooze, Unclear, parse_word

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("1 in 2h", Approve(after=timedelta(hours=2))),
        ("1 IN 90 min", Approve(after=timedelta(minutes=90))),
        ("send in 3 days", Approve(after=timedelta(days=3))),
        ("1 at 9:00", Approve(at=time(9))),
        ("1 at 9", Approve(at=time(9))),
        ("1 at 9.30pm", Approve(at=time(21, 30))),
        ("approve at 12 am", Approve(at=time(0))),
        ("1 at 12 pm.", Approve(at=time(12))),
        ("4h", Snooze(length=timedelta(hours=4))),
        ("in 30 minutes", Snooze(length=timedelta(minutes=30))),
        ("Snooze 2 days", Snooze(length=timedelta(days=2))),
    ],
)
def test_times(text: str, command: object) -> None:
    assert parse_word(text).command == command


@pytest.mark.parametrize("text", ["K7M4 1 in 2h", "1 in 2h K7M4", "k7m4 4h", "4h #k7m4"])
def test_times_with_a_code(text: str) -> None:
    assert parse_word(text).code == "K7M4"


@pytest.mark.parametrize(
    "text", ["1 at 25:00", "1 at 9:75", "1 at 13pm", "1 at 0 am", "1 in 0h", "31d", "0m", "9999h"]
)
def test_times_that_cannot_be(text: str) -> None:
    command = parse_word(text).command
    assert isinstance(command, Unclear)
    assert "30 days" in command.why


@pytest.mark.parametrize("text", ["1 at nine", "1 in", "in 2h 1", "4 h h", "1 at 9:00 or 10:00"])
def test_what_only_looks_like_a_time_decides_nothing(text: str) -> None:
    assert isinstance(parse_word(text).command, Unclear)


def test_a_time_in_an_edit_is_part_of_it() -> None:
    assert parse_word("2 at 9:00 please").command == Edit(instructions="at 9:00 please")


def test_a_time_of_day_is_the_next_one_in_the_owners_zone() -> None:
    night = datetime(2026, 11, 21, 22, tzinfo=UTC)
    assert next_at(time(9), BERLIN, night) == datetime(2026, 11, 22, 8, tzinfo=UTC)
    assert next_at(time(23, 30), BERLIN, night) == datetime(2026, 11, 21, 22, 30, tzinfo=UTC)
    assert next_at(time(23), BERLIN, night) == datetime(2026, 11, 22, 22, tzinfo=UTC)


def test_a_time_of_day_keeps_over_the_change_of_the_clocks() -> None:
    before = datetime(2026, 10, 24, 12, tzinfo=UTC)  # the clocks go back that night
    assert next_at(time(9), BERLIN, before) == datetime(2026, 10, 25, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(30, "30 min"), (60, "1 h"), (90, "90 min"), (240, "4 h"), (1440, "1 day"), (4320, "3 days")],
)
def test_lengths_in_words(minutes: int, words: str) -> None:
    assert in_words(timedelta(minutes=minutes)) == words


# The owner's hours


def owner(begin: str, end: str, **more: object) -> Owner:
    hours = Hours(begin=time.fromisoformat(begin), end=time.fromisoformat(end))
    return Owner.model_validate({"id": "ada", "zone": "Europe/Berlin", "hours": hours, **more})


NOON, NIGHT = datetime(2026, 11, 21, 11, tzinfo=UTC), datetime(2026, 11, 21, 22, tzinfo=UTC)
MORNING = datetime(2026, 11, 22, 7, tzinfo=UTC)


def test_within_the_hours_texts_go_out_at_once() -> None:
    assert may_text_at(owner("08:00", "20:00"), NOON, vip=False) == NOON


def test_outside_of_them_they_wait_for_the_next_opening() -> None:
    assert may_text_at(owner("08:00", "20:00"), NIGHT, vip=False) == MORNING


def test_hours_can_go_over_midnight() -> None:
    assert may_text_at(owner("20:00", "02:00"), NIGHT, vip=False) == NIGHT
    evening = datetime(2026, 11, 21, 19, tzinfo=UTC)
    assert may_text_at(owner("20:00", "02:00"), NOON, vip=False) == evening


def test_vips_are_texted_at_night_unless_the_owner_sleeps() -> None:
    assert may_text_at(owner("08:00", "20:00"), NIGHT, vip=True) == NIGHT
    asleep = owner("08:00", "20:00", vips_at_any_hour=False)
    assert may_text_at(asleep, NIGHT, vip=True) == MORNING


def test_without_hours_texts_go_out_at_any_time() -> None:
    assert may_text_at(Owner(id="ada"), NIGHT, vip=False) == NIGHT
