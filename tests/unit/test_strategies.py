"""Every letter has its arm for ever, and the arms get their shares."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mailroom.models.agent_mail import Delivery
from mailroom.models.strategies import Notification, Strategy, apart, strategy_of

QUIET = Strategy(name="quiet", share=30, delivery=Delivery.QUEUE)
SILENT = Strategy(name="silent", share=20.5, notification=Notification.NONE)


def test_arms_get_their_shares_and_the_rest_is_control() -> None:
    arms = Counter(strategy_of(f"{n:032x}", (QUIET, SILENT)) for n in range(20_000))
    shares = {arm: round(100 * count / 20_000) for arm, count in arms.items()}
    assert shares["quiet"] == pytest.approx(30, abs=2)
    assert shares["silent"] == pytest.approx(20.5, abs=2)
    assert shares[None] == pytest.approx(49.5, abs=2)


@given(st.text())
def test_a_letter_keeps_its_arm(letter_id: str) -> None:
    arm = strategy_of(letter_id, (QUIET, SILENT))
    assert arm == strategy_of(letter_id, (QUIET, SILENT))
    whole = Strategy(name="all", share=100, delivery=Delivery.QUEUE)
    assert strategy_of(letter_id, (whole,)) == "all"
    assert strategy_of(letter_id, ()) is None
    wider = QUIET.model_copy(update={"share": 60})
    assert arm != "quiet" or strategy_of(letter_id, (wider,)) == "quiet", (
        "a wider arm keeps its own"
    )


def test_another_arm_after_it_moves_no_letter_of_the_first() -> None:
    ids = [f"{n:032x}" for n in range(500)]
    quiet = [each for each in ids if strategy_of(each, (QUIET,)) == "quiet"]
    assert quiet
    assert [each for each in ids if strategy_of(each, (QUIET, SILENT)) == "quiet"] == quiet


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"name": "a", "share": 10}, "changes nothing"),
        ({"name": "control", "share": 10, "delivery": "queue"}, "control is the arm"),
        ({"name": "a", "share": 0, "delivery": "queue"}, "greater than 0"),
        ({"name": "a", "share": 101, "delivery": "queue"}, "less than or equal to 100"),
        ({"name": "a", "share": float("nan"), "delivery": "queue"}, "share"),
        ({"name": "a b", "share": 1, "delivery": "queue"}, "name"),
        ({"name": "a", "share": 1, "delivery": "pigeon"}, "delivery"),
    ],
)
def test_what_is_no_arm_is_refused(wrong: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Strategy.model_validate(wrong)


def test_arms_are_apart() -> None:
    apart((QUIET, SILENT))
    apart(Strategy(name=f"a{n}", share=10.0 / 3, delivery=Delivery.QUEUE) for n in range(30))
    with pytest.raises(ValueError, match="Two strategies have the name quiet"):
        apart((QUIET, QUIET))
    with pytest.raises(ValueError, match=r"are 110\.5 %; 100 % is all there is"):
        apart((QUIET, SILENT, Strategy(name="b", share=60, delivery=Delivery.QUEUE)))
