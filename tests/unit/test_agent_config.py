"""`[agents]` of mailroom.toml: the defaults of the seeds, what is other for some and refused."""

import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from mailroom.adapters.settings import BadConfiguration, ConfigFile, load_config_file
from mailroom.models.agent_config import AgentsSection, terms_of
from mailroom.models.agent_handling import Mailbox, Overflow, Sessions
from mailroom.models.agent_mail import Delivery, Letter, Priority, Terms
from mailroom.models.agent_recipients import UnknownRecipient, recipients_of
from mailroom.models.agent_rules import MailRule
from mailroom.models.durations import Duration, Never, shown
from mailroom.models.strategies import CONTROL, Notification, Strategy

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DURATION: TypeAdapter[timedelta] = TypeAdapter(Duration)


def agents(toml: str) -> AgentsSection:
    return AgentsSection.model_validate(tomllib.loads(toml))


def letter(to: str = "rig/worker", **other: Any) -> Letter:
    about: dict[str, Any] = {
        "id": "a" * 32, "sender": "mayor/", "to": to, "thread": "a" * 32, "sent_at": NOW,
        "delivery": Delivery.AUTO,
    }  # fmt: skip
    return Letter.model_validate(about | other)


def terms(section: AgentsSection, address: str, priority: Priority) -> Terms:
    return terms_of(section.for_address(address), priority)


def test_the_defaults_are_those_of_the_seeds() -> None:
    section = AgentsSection()
    assert section.enable_priority_processing
    assert terms(section, "rig/worker", Priority.NORMAL) == Terms()
    assert section.scan_pause(Priority.LOW) == timedelta(seconds=30)
    assert (section.lease, section.confirmations_kept) == (timedelta(hours=1), timedelta(hours=1))
    box = section.for_address("rig/worker")
    assert box.offline_queue.model_dump() == {
        "enabled": True,
        "max_queue_size": 100,
        "ttl": timedelta(hours=24),
        "overflow": Overflow.DROP_OLDEST,
    }
    assert box.sessions is Sessions.LATEST
    assert box.tmux_sessions == ["rig-worker"]
    assert box.notification is Notification.ONCE
    assert section.known == {"overseer"}


def test_only_urgent_letters_escalate() -> None:
    within = [terms(AgentsSection(), "mayor/", each).acknowledge_within for each in Priority]
    assert within == [timedelta(minutes=10), None, None, None]
    assert not terms_of(
        agents("acknowledge_within = 0").for_address("a/"), Priority.URGENT
    ).acknowledge_within


def test_pauses_differ_by_priority() -> None:
    section = agents(
        'retry_after = "2m"\nretry_after_by_priority = { urgent = "10s" }\n'
        'scan_every_by_priority = { urgent = "5s" }\n'
        '[[mailboxes]]\naddress = "slow/"\nretry_after = "1h"'
    )
    assert terms(section, "rig/a", Priority.URGENT).retry_after == timedelta(seconds=10)
    assert terms(section, "rig/a", Priority.LOW).retry_after == timedelta(minutes=2)
    assert terms(section, "slow/", Priority.URGENT).retry_after == timedelta(hours=1)
    assert section.scan_pause(Priority.URGENT) == timedelta(seconds=5)
    assert section.scan_pause(Priority.HIGH) == timedelta(seconds=30)


def test_a_mailbox_changes_only_what_it_says() -> None:
    section = agents(
        """
        retry = { max_attempts = 5 }
        offline_queue = { max_queue_size = 7, ttl = "1h" }
        tmux = ["gt-{rig}-{worker}", "hq-{name}"]
        [[mailboxes]]
        address = "rig/*"
        offline_queue = { overflow = "reject" }
        delivery = "queue"
        [[mailboxes]]
        address = "Rig/Worker"
        retry = { initial_delay = "100ms" }
        offline_queue = { ttl = "2h" }
        delivery_by_priority = { urgent = "interrupt" }
        webhook = "https://agent.example/mail"
        webhook_secret_env = "WORKER_SECRET"
        command = ["deliver", "--quiet"]
        """
    )
    mayor, other, worker = map(section.for_address, ("mayor/", "rig/other", "rig/worker"))
    assert mayor.offline_queue == section.offline_queue
    assert other.offline_queue.overflow is worker.offline_queue.overflow is Overflow.REJECT
    assert (worker.offline_queue.max_queue_size, worker.offline_queue.ttl) == (
        7,
        timedelta(hours=2),
    )
    assert (worker.retry.max_attempts, worker.retry.initial_delay.microseconds) == (5, 100_000)
    assert [box.tmux_sessions for box in (mayor, worker)] == [["hq-mayor"], ["gt-rig-worker"]]
    assert (mayor.webhook, worker.webhook) == (None, "https://agent.example/mail")
    assert section.known == {"overseer", "rig/worker"}
    found = terms(section, "rig/worker", Priority.NORMAL)
    assert (found.confirm_retries, found.confirm_pause) == (5, timedelta(milliseconds=100))
    assert found.queue_ttl == timedelta(hours=2)


@pytest.mark.parametrize(
    ("wanted", "priority", "expected"),
    [
        (Delivery.AUTO, Priority.URGENT, Delivery.INTERRUPT),
        (Delivery.AUTO, Priority.HIGH, Delivery.QUEUE),
        (Delivery.AUTO, Priority.LOW, Delivery.QUEUE),
        (Delivery.INTERRUPT, Priority.LOW, Delivery.INTERRUPT),
        (Delivery.QUEUE, Priority.URGENT, Delivery.QUEUE),
    ],
)
def test_auto_means_what_the_recipient_wants(
    wanted: Delivery, priority: Priority, expected: Delivery
) -> None:
    section = agents('[[mailboxes]]\naddress = "rig/*"\ndelivery_by_priority = { high = "queue" }')
    assert section.for_address("rig/worker").settled(wanted, priority) is expected


def test_rules_then_the_recipients_wish_then_the_default_end() -> None:
    section = agents(
        """
        ttl = "1d"
        [[rules]]
        name = "night shift"
        match = { to = "rig/worker" }
        redirect = "night/worker"
        priority = "urgent"
        [[mailboxes]]
        address = "night/*"
        ttl = 0
        """
    )
    routed = section.routed(letter())
    assert routed.applied == ("rule 1 (night shift): redirected to night/worker, priority urgent",)
    [at_night] = routed.letters
    assert (at_night.to, at_night.delivery) == ("night/worker", Delivery.INTERRUPT)
    assert at_night.expires_at is None
    [by_day] = section.routed(letter(), rules=()).letters
    assert (by_day.to, by_day.delivery) == ("rig/worker", Delivery.QUEUE)
    assert by_day.expires_at == NOW + timedelta(days=1)
    assert section.known == {"overseer", "night/worker"}
    [own] = section.routed(letter("a/", expires_at=NOW + timedelta(hours=1))).letters
    assert own.expires_at == NOW + timedelta(hours=1)


def test_an_experiment_takes_letters_that_go_as_auto_to_who_has_no_wish() -> None:
    section = agents(
        """
        [[strategies]]
        name = "quiet"
        share = 50
        delivery = "queue"
        notification = "none"
        [[mailboxes]]
        address = "rig/worker"
        delivery = "interrupt"
        """
    )
    urgent = [
        section.settled(letter("mayor/", id=f"{n:032x}", priority=Priority.URGENT))
        for n in range(200)
    ]
    arms = {each.strategy: each for each in urgent}
    assert set(arms) == {"quiet", CONTROL}
    assert arms["quiet"].delivery is Delivery.QUEUE
    assert arms[CONTROL].delivery is Delivery.INTERRUPT
    assert section.notification_of(arms["quiet"]) is Notification.NONE
    assert section.notification_of(arms[CONTROL]) is Notification.ONCE
    assert section.settled(arms["quiet"]) == arms["quiet"], "settled twice is settled once"
    assert section.settled(letter("rig/worker")).strategy is None
    assert section.settled(letter("mayor/", delivery=Delivery.INTERRUPT)).strategy is None
    assert AgentsSection().settled(letter("mayor/")).strategy is None


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ("agents.colour = 1", "colour: Extra inputs are not permitted"),
        ('[agents.groups]\nstaff = ["rig/*"]', "'rig/*' is no address"),
        ('[agents.groups]\nstaff = ["@others"]', "'@others' is no address"),
        ("[agents.groups]\nstaff = []", "The group @staff has no members"),
        ('[agents.groups]\n"a b" = ["mayor/"]', "can't be the name of a group"),
        ('[agents.groups]\nstaff = ["a/"]\n"@Staff" = ["b/"]', "Two groups have the same name"),
        ('agents.tmux = ["{rig"]', "can't name a tmux session"),
        ("agents.retries = 13", "retries: Input should be less than or equal to 12"),
        ('agents.retry_after = "soon"', "retry_after:"),
        ("agents.retry_after = 0", "retry_after: it has to be more than 0 and 30d at most"),
        (
            'agents.retry_after = "31d"',
            "retry_after: it has to be more than 0 and 30d at most",
        ),
        ("agents.lease = true", "lease: it has to be seconds, such as 90"),
        ("agents.hooks = [[]]", "a command is a list of words"),
        ("agents.max_body_bytes = 0", "max_body_bytes:"),
        (
            '[[agents.mailboxes]]\naddress = "a/"\n[[agents.mailboxes]]\naddress = "A"',
            "Two mailboxes have",
        ),
        ('[[agents.mailboxes]]\naddress = "a b*"', "is no pattern"),
        ('[[agents.mailboxes]]\naddress = "a/"\nwebhook = "https://a.example/"', "belong together"),
        ('[[agents.mailboxes]]\naddress = "a/"\nwebhook_secret_env = "X"', "belong together"),
        (
            '[[agents.mailboxes]]\naddress = "a/"\nwebhook = "file:///etc/passwd"',
            "an address such as",
        ),
        ('[[agents.mailboxes]]\naddress = "a/"\nwebhook = "http://[/"', "an address such as"),
        (
            '[[agents.mailboxes]]\naddress = "a/"\nwebhook = "https://u:p@a.example/"',
            "no place for",
        ),
        ('[[agents.rules]]\nname = "r"\nmatch = {}\nstop = true', "has no condition"),
        ('[[agents.rules]]\nname = "r"\nmatch = { to = [] }\nstop = true', "has no condition"),
        ('[[agents.rules]]\nname = "r"\nmatch = { to = "a/" }', "does nothing"),
        (
            '[[agents.rules]]\nname = "r"\nmatch = { to = "a" }\nredirect = "A/"',
            "redirects a/ to itself",
        ),
        ('[[agents.rules]]\nname = "r"\nmatch = { to = "@staff" }\nstop = true', "is no address"),
        (
            '[[agents.strategies]]\nname = "a"\nshare = 60\ndelivery = "queue"\n'
            '[[agents.strategies]]\nname = "b"\nshare = 50\ndelivery = "queue"',
            "The shares of the strategies are 110 %",
        ),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(tmp_path: Path, toml: str, told: str) -> None:
    file = tmp_path / "mailroom.toml"
    file.write_text(toml)
    with pytest.raises(BadConfiguration) as refused:
        load_config_file(file)
    assert told in str(refused.value)
    assert "u:p" not in str(refused.value)


def test_the_overseers_owner_is_one(tmp_path: Path) -> None:
    file = tmp_path / "mailroom.toml"
    file.write_text('[agents]\noverseer_owner = "eve"')
    with pytest.raises(BadConfiguration, match=r"eve, the overseer_owner of .* is no owner"):
        load_config_file(file)
    file.write_text('[owner]\nid = "eve"\n[agents]\noverseer_owner = "eve"')
    assert load_config_file(file).agents.overseer_owner == "eve"


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (300, 300), (0.5, 0.5), ("5m", 300), ("30s", 30), ("24h", 86400), ("500ms", 0.5),
        ("1h30m", 5400), ("1h 30m", 5400), ("1.5h", 5400), ("7D", 604800), ("PT5M", 300),
        ("00:05:00", 300),
    ],
)  # fmt: skip
def test_lengths_of_time_are_written_as_people_do(written: object, seconds: float) -> None:
    assert DURATION.validate_python(written).total_seconds() == seconds


@pytest.mark.parametrize(
    "written", ["", " ", "soon", "5x", "m5", "5m5", "-5m", -1, 0, "0s", float("inf"), float("nan"),
                True, None, [], "9" * 400 + "s", "999999999d", 1e300, "٣m"],
)  # fmt: skip
def test_what_is_no_length_of_time_is_refused(written: object) -> None:
    with pytest.raises(ValidationError):
        DURATION.validate_python(written)


@given(st.text())
def test_any_text_is_a_length_of_time_or_refused(written: str) -> None:
    try:
        length = DURATION.validate_python(written)
    except ValidationError:
        return
    assert timedelta(0) < length <= timedelta(days=3650)


@given(st.integers(1, 10**11))
def test_a_shown_length_reads_back(milliseconds: int) -> None:
    length = timedelta(milliseconds=milliseconds)
    assert DURATION.validate_python(shown(length)) == length


def test_zero_is_never_where_there_may_be_none() -> None:
    for nothing in (0, 0.0, "0s", timedelta(0), None):
        assert TypeAdapter(Never).validate_python(nothing) is None
    with pytest.raises(ValidationError):
        TypeAdapter(Never).validate_python(False)
    assert TypeAdapter(Never).validate_python("1s") == timedelta(seconds=1)


GROUPS = {"@staff": ("mayor/", "rig/worker", "mayor/")}
KNOWN = {"mayor/", "rig/worker", "rig/witness", "overseer"}


@pytest.mark.parametrize(
    ("to", "sender", "recipients"),
    [
        ("Rig/Worker", None, ["rig/worker"]),
        ("mayor", "mayor/", ["mayor/"]),
        ("@staff", None, ["mayor/", "rig/worker"]),
        ("@Staff", "mayor/", ["rig/worker"]),
        ("rig/*", "rig/worker", ["rig/witness"]),
        ("*", "overseer", ["mayor/", "rig/witness", "rig/worker"]),
    ],
)
def test_a_letter_goes_to_each_once(to: str, sender: str | None, recipients: list[str]) -> None:
    assert recipients_of(to, GROUPS, KNOWN, sender) == recipients


@pytest.mark.parametrize(
    ("to", "told"),
    [
        ("rig/wroker", "Nobody is known as rig/wroker; did you mean rig/worker"),
        ("@stuff", "Nobody is known as @stuff; did you mean @staff?"),
        ("qqqqqqqqq", "Nobody is known as qqqqqqqqq/."),
        ("nowhere/*", "Nobody is known as nowhere/*."),
    ],
)
def test_an_unknown_recipient_is_told_who_is_near(to: str, told: str) -> None:
    with pytest.raises(UnknownRecipient) as unknown:
        recipients_of(to, GROUPS, KNOWN)
    assert str(unknown.value).startswith(told)


# --- docs/configuration.md

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text().split("## Agents\n")[1]
DOCUMENTED = set(re.findall(r"^\| `([a-z_.]+)` \| (.*?) \| .+ \|$", PAGE, re.MULTILINE))


def fields_of(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        if isinstance(field.default, BaseModel):
            yield from fields_of(type(field.default), f"{name}.")
        else:
            yield f"{prefix}{field.alias or name}", field


def written(default: object) -> str:
    match default:
        case timedelta():
            return f'`"{shown(default)}"`'
        case bool():
            return f"`{default}`".lower()
        case float() | int():
            return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"
        case None:
            return "none"
        case _:
            said = default if isinstance(default, str) else list(cast("Iterable[object]", default))
            return f"`{json.dumps(said if said or default == () else {})}`"


@pytest.mark.parametrize("model", [AgentsSection, Mailbox, MailRule, Strategy])
def test_every_field_stands_in_the_docs_with_its_default(model: type[BaseModel]) -> None:
    for name, field in fields_of(model):
        default = "needed" if field.is_required() else written(field.default)
        # There is no TOML for None; `ttl` is written as the 0 that means it.
        assert (name, "`0`" if name == "ttl" else default) in DOCUMENTED


def test_the_docs_name_no_field_that_is_not_there() -> None:
    known = [fields_of(model) for model in (AgentsSection, Mailbox, MailRule, Strategy)]
    assert {name for name, _ in DOCUMENTED} == {name for each in known for name, _ in each}


def test_the_example_of_the_docs_can_be_used() -> None:
    [example] = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    section = ConfigFile.model_validate(tomllib.loads(example)).agents
    worker = section.for_address("rig/worker")
    assert (worker.tmux_sessions, worker.retry.max_attempts) == (["gt-rig-worker"], 5)
    assert worker.settled(Delivery.AUTO, Priority.HIGH) is Delivery.QUEUE
    done = section.routed(letter(subject="Deploy", priority=Priority.HIGH))
    assert [each.to for each in done.letters] == ["night/worker", "overseer"]
    assert recipients_of("@staff", section.groups, section.known) == ["mayor/", "rig/worker"]
