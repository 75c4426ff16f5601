"""Histories of mails that may wait somewhere, replayed: today's code must go the same way."""

import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from worker import WORKFLOWS
from workflows.sandbox import sandbox

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))


def replayer() -> Replayer:
    return Replayer(
        workflows=WORKFLOWS,
        workflow_runner=sandbox(),
        data_converter=pydantic_data_converter,
    )


def saved(path: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(f"saved/{path.stem}", path.read_text())


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_a_saved_history_replays(path: Path) -> None:
    replayed = await replayer().replay_workflow(saved(path), raise_on_replay_failure=False)
    assert replayed.replay_failure is None


async def test_another_way_is_noticed() -> None:
    [approved] = [path for path in HISTORIES if path.stem == "approved"]
    text = approved.read_text().replace('"name": "send_reply"', '"name": "write_owner"')
    other = WorkflowHistory.from_json("email-reply/other", json.loads(text))
    with pytest.raises(NondeterminismError):
        await replayer().replay_workflow(other)


def test_every_story_is_saved() -> None:
    from save_histories import STORIES

    assert set(STORIES) <= {path.stem for path in HISTORIES}
