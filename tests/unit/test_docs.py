"""The pages in `docs/` say what the code does."""

import json
import re
import tomllib
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute
from standardwebhooks import Webhook
from temporalio import workflow

from mailroom.adapters.settings import ConfigFile, OwnerSection, Settings
from mailroom.adapters.templates import TemplateDrafter
from mailroom.bridge import (
    agent_tokens,
    attachments,
    forget,
    health,
    kumomta,
    letter_actions,
    letter_bulk,
    letter_overview,
    letter_reading,
    letter_rules,
    letters,
    owners,
    queue_export,
    queue_kumomta,
    queue_legacy,
    queue_metrics,
    queue_migrations,
    queue_operations,
    queue_queues,
    queue_reading,
    queue_searching,
    queue_submitting,
    queue_suppressions,
    queue_suspensions,
    retention,
    session_events,
    sessions,
    sms,
    spool,
    stats,
    twilio,
    unsubscribe,
    workflows,
)
from mailroom.bridge.sms import GatewayMessage
from mailroom.models.agent_mail import LetterState
from mailroom.models.names import (
    REASON_BY_OPERATOR,
    REASON_BY_OWNER,
    REASON_LATER_MAIL,
    REASON_NO_ANSWER,
    REASON_SEND_UNKNOWN,
    REASON_SUPERSEDED,
)
from mailroom.models.states import MailState, Stage
from mailroom.models.templates import DraftRequest
from workflows.agent_mail import AgentMailWorkflow
from workflows.email_reply import EmailReplyWorkflow
from workflows.mailbox_drain import MailboxDrainWorkflow
from workflows.queue_operation import QueueOperationWorkflow
from workflows.queue_release import QueueReleaseWorkflow
from workflows.search_attributes import ALL

ROOT = Path(__file__).parents[2]
DOCS = {path.name: path.read_text() for path in (ROOT / "docs").glob("*.md")}
ALL_DOCS = "\n".join(DOCS.values())


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", DOCS[page], re.MULTILINE | re.DOTALL)


# --- configuration.md


def rows() -> dict[str, str]:
    """Variable and its default, as the tables give them."""
    found = re.findall(
        r"^\| `([A-Z_]+)` \| (.*?) \| .+ \|$", DOCS["configuration.md"], re.MULTILINE
    )
    assert len(found) == len(dict(found)), "a variable stands there twice"
    return dict(found)


def test_the_table_has_every_setting_and_no_other() -> None:
    assert {name.lower() for name in rows()} == set(Settings.model_fields)


def test_the_table_gives_the_defaults() -> None:
    defaults = Settings.model_construct()
    for name, given in rows().items():
        assert given == _shown(getattr(defaults, name.lower())), name


def _shown(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value.value if isinstance(value, Enum) else value}`"


async def test_the_example_of_the_file_can_be_used() -> None:
    config = ConfigFile.model_validate(tomllib.loads(blocks("configuration.md", "toml")[0]))
    assert set(OwnerSection.model_fields) - config.owner.model_fields_set == {
        "id", "phone", "templates", "imap", "smtp", "delegate", "delegate_after"
    }  # fmt: skip
    drafted = await TemplateDrafter(config.templates).draft(
        DraftRequest(
            sender_name="Shop",
            sender_address="billing@shop.example",
            subject="Invoice 7",
            body="",
            owner_name=config.owner.name,
        )
    )
    assert drafted.source == "template invoice"
    assert '"Invoice 7" has arrived' in drafted.text


def test_the_example_of_several_owners_can_be_used() -> None:
    config = ConfigFile.model_validate(tomllib.loads(blocks("configuration.md", "toml")[1]))
    ada, bob = config.owners
    assert ada.imap
    assert ada.smtp
    assert bob.templates


# --- operations.md

_HANDLERS = [
    workflow._Definition.must_from_class(each)
    for each in (
        EmailReplyWorkflow,
        AgentMailWorkflow,
        MailboxDrainWorkflow,
        QueueOperationWorkflow,
        QueueReleaseWorkflow,
    )
]
# What one step tells another is nothing to type.
_OF_STEPS = {"unanswered_by"}


@pytest.mark.parametrize(
    ("typed", "handlers"),
    [
        (r"(?:workflow signal .*?|`)--name (\w+)", {n for each in _HANDLERS for n in each.signals}),
        (
            r"workflow update execute .*?--name (\w+)",
            {n for each in _HANDLERS for n in each.updates},
        ),
        (
            r"workflow query .*?--(?:name|query_type) (\w+)",
            {n for each in _HANDLERS for n in each.queries},
        ),
    ],
)
def test_every_handler_that_can_be_typed_is_shown(typed: str, handlers: set[str]) -> None:
    assert set(re.findall(typed, DOCS["operations.md"])) == handlers - _OF_STEPS


def test_queries_use_registered_search_attributes() -> None:
    named = set(re.findall(r"\b(Mail[A-Z]\w+)=", DOCS["operations.md"]))
    assert named
    assert named <= {key.name for key in ALL}
    states = set(re.findall(r'MailState="(\w+)"', DOCS["operations.md"]))
    assert states <= {*MailState, *LetterState}


def test_words_that_are_shown_are_plain_json() -> None:
    typed = re.findall(r"--input '(.*?)'", DOCS["operations.md"])
    assert typed
    for word in typed:
        assert isinstance(json.loads(word), str)


def test_every_reason_and_every_stage_that_fails_is_explained() -> None:
    explained = re.findall(r"^\| `\w+`(?:, `([^`]+)`)?.* \|", DOCS["operations.md"], re.MULTILINE)
    reasons = {REASON_BY_OPERATOR, REASON_BY_OWNER, REASON_NO_ANSWER, REASON_SEND_UNKNOWN}
    reasons |= {REASON_SUPERSEDED, REASON_LATER_MAIL}
    assert reasons | {f"{stage} failed" for stage in Stage} <= set(explained)


# --- http.md


def routes() -> set[str]:
    found = set()
    for router in (
        agent_tokens.router,
        attachments.router,
        forget.router,
        health.router,
        kumomta.router,
        letter_actions.router,
        letter_bulk.router,
        letter_overview.router,
        letter_reading.router,
        letter_rules.router,
        letters.router,
        owners.router,
        queue_kumomta.router,
        queue_legacy.router,
        queue_metrics.router,
        queue_export.router,
        queue_migrations.router,
        queue_operations.router,
        queue_queues.router,
        queue_reading.router,
        queue_searching.router,
        queue_submitting.router,
        queue_suppressions.router,
        queue_suspensions.router,
        retention.router,
        session_events.router,
        sessions.router,
        sms.router,
        spool.router,
        stats.router,
        twilio.router,
        unsubscribe.router,
        workflows.router,
    ):
        for route in router.routes:
            assert isinstance(route, APIRoute)
            path = route.path.replace(":path}", "}")
            found |= {f"{method} {path}" for method in route.methods or ()}
    return found


def test_every_route_has_its_example() -> None:
    shown = set(re.findall(r"^### `([A-Z]+ /\S*)`$", DOCS["http.md"], re.MULTILINE))
    assert shown == routes()


def test_examples_of_json_are_json() -> None:
    examples = blocks("http.md", "json")
    assert examples
    assert all(isinstance(json.loads(example), dict | list) for example in examples)


def test_the_example_of_signing_is_believed() -> None:
    namespace: dict[str, Any] = {}
    exec(blocks("http.md", "python")[0], namespace)
    secret = "whsec_bWFpbHJvb20tdGVzdHMtd2ViaG9vay1rZXk="
    body, headers = namespace["delivery"](secret, "in-1", "+12025550123", "1")
    Webhook(secret).verify(body, headers)
    message = GatewayMessage.model_validate_json(body)
    assert (message.message_id, message.sender, message.body) == ("in-1", "+12025550123", "1")
    assert message.timestamp is not None
    assert message.timestamp <= datetime.now(UTC)


# --- all of them


def test_links_lead_somewhere() -> None:
    for page, text in DOCS.items():
        for target, anchor in re.findall(r"\]\((?!http)([\w./-]*)(?:#([\w-]+))?\)", text):
            there = DOCS.get(target or page)
            assert there or (ROOT / "docs" / target).exists(), f"{page}: {target}"
            if anchor and there:
                assert anchor in _anchors(there), f"{page}: #{anchor}"


def _anchors(text: str) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


def test_variables_that_are_named_exist() -> None:
    named = set(re.findall(r"`((?:MAILROOM|SMS|DB|GMAIL|TEMPORAL|EMAIL)_[A-Z_]+)\b", ALL_DOCS))
    assert {name.lower() for name in named} <= set(Settings.model_fields)
