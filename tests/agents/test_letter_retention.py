"""Letters that ended long ago go; dead and pinned ones, and what still runs, stay."""

from datetime import timedelta
from uuid import uuid4

import pytest
from house import House
from letters_world import Post

from mailroom.models.agent_mail import AgentMailInput, Letter, LetterState
from mailroom.models.letter_rows import LetterFilter
from mailroom.models.names import MAIL_TASK_QUEUE, agent_mail_id
from mailroom.models.retention import Retained
from mailroom.ports import Permanent
from workflows.agent_mail import AgentMailWorkflow
from workflows.retention import RetentionWorkflow

OVER = [LetterState.DELIVERED, LetterState.EXPIRED, LetterState.DISCARDED]


@pytest.fixture
async def post(dev_house: House) -> Post:
    return Post(dev_house.adapters.engines, dev_house.context.agents)


async def run(house: House) -> Retained:
    async with house.at_work():
        return await house.client.execute_workflow(
            RetentionWorkflow.run, id=f"retention-{uuid4()}", task_queue=MAIL_TASK_QUEUE
        )


async def old(post: Post, *letters: str, days: int) -> None:
    await post.run(
        "UPDATE agent_mail SET updated_at = now() - :ago WHERE id = ANY(:ids)",
        ids=list(letters),
        ago=timedelta(days=days),
    )


async def there(post: Post, *letters: str) -> set[str]:
    return {row.id for row in await post.views.rows(letters)}


async def has(house: House, blob: str) -> bool:
    try:
        await house.adapters.blobs.get(blob)
    except Permanent:
        return False
    return True


async def test_bodies_go_first_and_rows_later(dev_house: House, post: Post, marker: str) -> None:
    to = f"rig/{marker}"
    letters = [await post.letter(to, state, body=f"secret s{marker}") for state in OVER]
    young = await post.letter(to, LetterState.DELIVERED, body="Stays.")
    await old(post, *letters, days=91)
    assert (await run(dev_house)).bodies.letters == 3
    for each in letters:
        row = await post.row(each)
        assert (row.body, row.subject) == (None, "Work")
    assert (await post.views.page(LetterFilter(to=to, search=f"s{marker}"))).items == []
    assert (await post.row(young)).body == "Stays."
    assert (await run(dev_house)).bodies.letters == 0
    await old(post, *letters, days=401)
    assert (await run(dev_house)).rows.letters == 3
    assert await there(post, *letters, young) == {young}
    for each in letters:
        assert await post.views.timeline(each, to) == []
    assert await post.views.timeline(young, to) != []


async def test_what_waits_for_somebody_stays_however_old(
    dev_house: House, post: Post, marker: str
) -> None:
    to = f"rig/{marker}"
    dead = await post.letter(to, LetterState.DEAD_LETTER, body="Dead.")
    queued = await post.letter(to, body="Waits.")
    pinned = await post.letter(to, LetterState.DELIVERED, body="Pinned.", pinned=True)
    await old(post, dead, queued, pinned, days=2_000)
    done = await run(dev_house)
    assert (done.bodies.letters, done.rows.letters) == (0, 0)
    for each, body in ((dead, "Dead."), (queued, "Waits."), (pinned, "Pinned.")):
        assert (await post.row(each)).body == body


async def test_a_letter_that_may_escalate_stays_with_its_workflow(
    dev_house: House, post: Post, marker: str
) -> None:
    to = f"rig/{marker}"
    letter = await post.letter(to, LetterState.DELIVERED)
    mail = Letter(id=letter, sender="mayor/", to=to, thread=letter, sent_at=post.start)
    handle = await dev_house.client.start_workflow(
        AgentMailWorkflow.run,
        AgentMailInput(letter=mail),
        id=agent_mail_id(letter),
        task_queue="where no worker is",
    )
    await old(post, letter, days=500)
    done = await run(dev_house)
    assert (done.rows.letters, done.rows.running) == (0, 1)
    assert await there(post, letter) == {letter}
    await handle.terminate()
    assert (await run(dev_house)).rows.letters == 1
    assert await there(post, letter) == set()


async def test_a_body_that_another_letter_has_too_stays(
    dev_house: House, post: Post, marker: str
) -> None:
    blob = await dev_house.adapters.blobs.put(f"long {marker}".encode())
    to = f"rig/{marker}"
    first, second = [
        await post.letter(to, LetterState.DELIVERED, body=None, blob=blob) for _ in range(2)
    ]
    await old(post, first, days=91)
    assert (await run(dev_house)).bodies.letters == 1
    assert await has(dev_house, blob)
    await old(post, second, days=91)
    done = await run(dev_house)
    assert (done.bodies.letters, done.bodies.blobs) == (1, 1)
    assert not await has(dev_house, blob)


async def test_what_sessions_did_is_forgotten_with_the_rows(
    dev_house: House, post: Post, marker: str
) -> None:
    to = f"rig/{marker}"
    sessions = [await post.online(to) for _ in range(2)]
    await post.run(
        "UPDATE events SET at = now() - interval '500 days' WHERE message_id = :id", id=sessions[0]
    )
    await run(dev_house)
    left = [bool(await post.views.timeline(each, to)) for each in sessions]
    assert left == [False, True]


async def test_many_go_in_shares(
    dev_house: House, post: Post, marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.remove_old_ones.BATCH", 2)
    monkeypatch.setattr("activities.remove_old_ones.MOST", 4)
    letters = [await post.letter(f"rig/{marker}", LetterState.DELIVERED) for _ in range(9)]
    await old(post, *letters, days=401)
    done = await run(dev_house)
    assert (done.rows.letters, done.rows.more) == (9, False)
    assert await there(post, *letters) == set()
