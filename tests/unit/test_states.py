"""The transition table: the seed's diagram, and nothing besides what the design adds."""

from itertools import pairwise

import pytest

from mailroom.models.states import (
    STAGE_STATE,
    TRANSITIONS,
    IllegalTransition,
    MailState,
    ProcessedStatus,
    advance,
    is_final,
    processed_status,
)

HAPPY = [
    MailState.PENDING,
    MailState.AI_GENERATING,
    MailState.AI_GENERATED,
    MailState.SMS_SENDING,
    MailState.SMS_SENT,
    MailState.AWAITING_USER,
    MailState.USER_APPROVED,
    MailState.REPLY_SENT,
]


def test_the_seeds_twelve_states_and_no_others() -> None:
    assert len(MailState) == 12
    assert set(TRANSITIONS) == set(MailState)


def test_happy_path_is_legal() -> None:
    for current, following in pairwise(HAPPY):
        assert advance(current, following) is following


def test_an_edit_leads_back_to_the_draft() -> None:
    requested = advance(MailState.AWAITING_USER, MailState.USER_EDIT_REQUESTED)
    assert advance(requested, MailState.AI_GENERATING) is MailState.AI_GENERATING


@pytest.mark.parametrize(
    ("current", "following"),
    [
        (MailState.PENDING, MailState.REPLY_SENT),
        (MailState.AWAITING_USER, MailState.REPLY_SENT),
        (MailState.REPLY_SENT, MailState.USER_APPROVED),
        (MailState.USER_IGNORED, MailState.AI_GENERATING),
        (MailState.TIMEOUT, MailState.USER_APPROVED),
        (MailState.USER_APPROVED, MailState.TIMEOUT),
        (MailState.AI_GENERATED, MailState.AWAITING_USER),
    ],
)
def test_what_the_table_does_not_allow_is_refused(current: MailState, following: MailState) -> None:
    with pytest.raises(IllegalTransition, match="can't become"):
        advance(current, following)


def test_final_states() -> None:
    assert {state for state in MailState if is_final(state)} == {
        MailState.REPLY_SENT,
        MailState.USER_IGNORED,
        MailState.TIMEOUT,
    }


def test_retry_leads_from_failed_to_every_stage() -> None:
    assert set(STAGE_STATE.values()) <= TRANSITIONS[MailState.FAILED]


def test_every_state_can_be_reached() -> None:
    reached = {MailState.PENDING}
    while more := {s for state in reached for s in TRANSITIONS[state]} - reached:
        reached |= more
    assert reached == set(MailState)


def test_processed_status_of_the_seed() -> None:
    assert processed_status(MailState.AWAITING_USER) is ProcessedStatus.ORCHESTRATING
    assert processed_status(MailState.REPLY_SENT) is ProcessedStatus.SENT
    assert processed_status(MailState.USER_IGNORED) is ProcessedStatus.IGNORED
    assert processed_status(MailState.TIMEOUT) is ProcessedStatus.TIMEOUT
    assert processed_status(MailState.FAILED) is ProcessedStatus.FAILED
