"""`mailroom doctor` with a Twilio number: what is wrong is named, and how to mend it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread

import pytest
import uvicorn
from fake_bridge import Run
from twilio_world import ACCOUNT_SID, AUTH_TOKEN, NUMBER, PUBLIC_URL, WEBHOOK, Twilio

from mailroom.local import serving

Findings = dict[str, dict[str, str]]
Doctor = Callable[..., Findings]


@contextmanager
def in_a_thread(twilio: Twilio) -> Iterator[None]:
    """The command line has an event loop of its own."""
    listener = serving.bound_socket("127.0.0.1", 0)
    listener.listen()
    twilio.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = uvicorn.Server(
        uvicorn.Config(twilio.app(), log_config=None, lifespan="off", timeout_keep_alive=75)
    )
    thread = Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def twilio() -> Iterator[Twilio]:
    """With the number as docs/twilio.md sets it up."""
    ours = {
        "phone_number": NUMBER,
        "sms_url": f"{PUBLIC_URL}{WEBHOOK}",
        "sms_method": "POST",
        "capabilities": {"voice": True, "sms": True, "mms": False, "fax": False},
    }
    running = Twilio(numbers=[ours])
    with in_a_thread(running):
        yield running


@pytest.fixture
def doctor(run: Run, twilio: Twilio, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """Findings by check, with the settings of docs/twilio.md but for those given."""

    def examine(**given: str) -> Findings:
        known = {
            "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
            "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
            "TWILIO_FROM_NUMBER": NUMBER,
            "TWILIO_API_URL": twilio.url,
            "MAILROOM_PUBLIC_URL": PUBLIC_URL,
            "YOUR_PHONE_NUMBER": "+12025550123",
        }
        for name, value in (known | given).items():
            monkeypatch.setenv(name, value)
        return {found["check"]: found for found in json.loads(run("doctor", "-o", "json").stdout)}

    return examine


def test_a_number_that_is_set_up_is_well(doctor: Doctor) -> None:
    findings = doctor()
    for check in ("Twilio", "Twilio number", "SMS gateway", "owner", "public URL"):
        assert findings[check]["level"] == "ok", findings[check]
    assert "Twilio sends the texts" in findings["SMS gateway"]["finding"]


def test_without_twilio_nothing_is_said(doctor: Doctor) -> None:
    findings = doctor(TWILIO_ACCOUNT_SID="", TWILIO_AUTH_TOKEN="", TWILIO_FROM_NUMBER="")
    assert not [check for check in findings if check.startswith("Twilio")]


@pytest.mark.parametrize("name", ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"])
def test_wrong_credentials_are_named_and_not_shown(doctor: Doctor, name: str) -> None:
    findings = doctor(**{name: "AC-not-this-one"})
    assert findings["Twilio"]["level"] == "failed"
    assert name in findings["Twilio"]["mend"]
    assert "not-this-one" not in json.dumps(findings)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"TWILIO_FROM_NUMBER": ""}, "TWILIO_FROM_NUMBER not set"),
        ({"SMS_GATEWAY_URL": "http://127.0.0.1:9"}, "SMS_GATEWAY_URL are both set"),
        ({"TWILIO_API_URL": "http://127.0.0.1:9"}, "TWILIO_API_URL"),
        ({"TWILIO_API_URL": "nonsense"}, "TWILIO_API_URL"),
    ],
)
def test_a_configuration_that_cannot_work_is_named(
    doctor: Doctor, given: dict[str, str], named: str
) -> None:
    found = doctor(**given)["Twilio"]
    assert found["level"] == "failed"
    assert named in found["mend"]


@pytest.mark.parametrize(("status", "level"), [("suspended", "failed"), ("closed", "failed")])
def test_an_account_that_is_not_active_is_named(
    doctor: Doctor, twilio: Twilio, status: str, level: str
) -> None:
    twilio.status = status
    found = doctor()["Twilio"]
    assert (found["level"], status in found["finding"]) == (level, True)


def test_a_trial_account_is_told_of(doctor: Doctor, twilio: Twilio) -> None:
    twilio.kind = "Trial"
    found = doctor()["Twilio"]
    assert found["level"] == "warning"
    assert "Verify YOUR_PHONE_NUMBER" in found["mend"]


def test_a_number_of_somebody_else_is_named(doctor: Doctor) -> None:
    found = doctor(TWILIO_FROM_NUMBER="+12025550111")["Twilio number"]
    assert found["level"] == "failed"
    assert "TWILIO_FROM_NUMBER" in found["mend"]


@pytest.mark.parametrize(
    ("is_so", "level", "says"),
    [
        ({"sms_url": "https://demo.twilio.com/welcome/sms/reply"}, "warning", "demo.twilio.com"),
        ({"sms_url": ""}, "warning", "nobody"),
        ({"sms_method": "GET"}, "warning", "GET"),
        ({"capabilities": {"sms": False}}, "failed", "sends no texts"),
    ],
)
def test_a_number_that_does_not_reach_us_is_named(
    doctor: Doctor, twilio: Twilio, is_so: dict[str, object], level: str, says: str
) -> None:
    twilio.numbers[0].update(is_so)
    found = doctor()["Twilio number"]
    assert found["level"] == level
    assert says in found["finding"]


def test_without_an_outside_address_nothing_reaches_us(doctor: Doctor) -> None:
    found = doctor(MAILROOM_PUBLIC_URL="")["Twilio number"]
    assert found["level"] == "failed"
    assert "MAILROOM_PUBLIC_URL" in found["mend"]
