"""`.env.example` and the settings say the same; bad values are named in one sentence."""

import re
from pathlib import Path

import pytest

from mailroom.adapters.settings import (
    BadConfiguration,
    Settings,
    load_config_file,
    load_settings,
    owners_of,
)

EXAMPLE = Path(__file__).parents[2] / ".env.example"


def example() -> dict[str, str]:
    lines = EXAMPLE.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if re.match(r"[A-Z_]+=", line))


def test_the_example_lists_every_setting_and_no_other() -> None:
    assert {name.lower() for name in example()} == set(Settings.model_fields)


def test_the_example_gives_the_defaults() -> None:
    defaults = Settings(_env_file=None)  # type: ignore[call-arg]
    from_example = Settings(_env_file=EXAMPLE)  # type: ignore[call-arg]
    assert from_example == defaults


def test_every_setting_of_the_example_is_explained() -> None:
    assert EXAMPLE.read_text().count("\n# ") >= 15


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("YOUR_PHONE_NUMBER", "0123"),
        ("USER_RESPONSE_TIMEOUT", "soon"),
        ("SMS_FORMAT", "long"),
        ("MAX_RETRY_ATTEMPTS", "0"),
        ("MAILROOM_BODIES_DAYS", "-1"),
        ("MAILROOM_ROWS_DAYS", "29"),
        ("MAILROOM_SPOOL_LONGEST_RETRY_MS", "0"),
        ("MAILROOM_SPOOL_SHORT_LOOKS", "-1"),
    ],
)
def test_a_bad_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(BadConfiguration, match=name):
        load_settings()


def test_the_longest_pause_is_not_below_the_first() -> None:
    assert load_settings(mailroom_spool_retry_ms=300, mailroom_spool_longest_retry_ms=300)
    with pytest.raises(BadConfiguration) as refused:
        load_settings(mailroom_spool_retry_ms=300)
    assert str(refused.value) == (
        "MAILROOM_SPOOL_LONGEST_RETRY_MS, 250, is below the first pause; set it to 300 or more, or "
        "lower MAILROOM_SPOOL_RETRY_MS."
    )


def test_owner_and_templates_come_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mailroom.toml"
    file.write_text(
        '[owner]\nname = "Ada"\naddresses = ["ada@example.org"]\n'
        '[[templates]]\nname = "hello"\nsubject = ["hello"]\ntext = "Hi {first_name}"\n'
    )
    config = load_config_file(file)
    [owner] = owners_of(Settings(_env_file=None, email_address="a@b.org"), config).values()  # type: ignore[call-arg]
    assert owner.name == "Ada"
    assert owner.addresses == ("a@b.org", "ada@example.org")
    assert [template.name for template in config.templates] == ["hello"]


@pytest.mark.parametrize("content", ["[owner", "[owner]\ncolour = 1", "[[templates]]\nname = 1"])
def test_a_bad_file_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "mailroom.toml"
    file.write_text(content)
    with pytest.raises(BadConfiguration, match=r"mailroom\.toml"):
        load_config_file(file)
