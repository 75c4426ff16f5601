"""SIGKILL at every step and at random: what was acknowledged is there and whole, what was not is
there whole or not at all, and nobody who comes later waits."""

import random
import threading
import time
from collections.abc import Callable, Collection, Iterable
from multiprocessing.connection import Connection
from pathlib import Path
from signal import SIGKILL

import pytest
from spool_life import LIFE, UNDER_WAY, Places, perform, places, prepared
from spool_steps import die, fate_at
from spool_world import entries, entry, harm, heard, speaking

from mailroom.adapters.spool.spool import Spool
from mailroom.models.spool import Entry, Queue, decoded, encoded


def perform_until(folder: Path, act: str, data: bytes, number: int, said: Connection) -> None:
    spool = Spool(folder)
    with fate_at(number, die):
        perform(spool, act, decoded(data))
    said.send_bytes(b"done")


def killed_at(spool: Spool, act: str, it: Entry, number: int) -> bool:
    """Whether it died; then it acknowledged nothing."""
    with speaking(perform_until, spool.folder, act, encoded(it), number) as (process, said):
        acknowledged = heard(said) == [b"done".decode()]
        process.join(60)
        assert process.exitcode == (0 if acknowledged else -SIGKILL)
        return not acknowledged


@pytest.mark.parametrize("act", LIFE)
def test_killed_at_every_step(act: str, spool: Spool) -> None:
    bystander = entry("Do not disturb")
    spool.append(bystander)
    number, died, found = 0, True, set()
    while died:
        number += 1
        it = prepared(spool, act)
        died = killed_at(spool, act, it, number)
        found.add(places(spool, it.name.file))
        assert places(spool, it.name.file) in (UNDER_WAY[act] if died else {LIFE[act]})
        assert harm(spool) == []
        assert entries(spool)[bystander.name.file] == bystander
        # Nobody has to clean up: the same is simply done again.
        begun = time.monotonic()
        perform(spool, act, it)
        assert time.monotonic() - begun < 5
        assert places(spool, it.name.file) == LIFE[act]
    # From before the first change to after the last one: no step was left out.
    assert found == UNDER_WAY[act]
    assert number > 5


def live(spool: Spool, say: Callable[[str], None], dice: random.Random) -> None:
    """One entry's life after the other, each as long as chance has it."""
    while True:
        it = entry(f"{dice.random()}")
        for act in list(LIFE)[: dice.randint(1, len(LIFE))]:
            say(f"{it.name.file} {act} begun")
            perform(spool, act, it)
            say(f"{it.name.file} {act} done")


def live_in_threads(folder: Path, seed: int, said: Connection) -> None:
    spool, saying = Spool(folder), threading.Lock()

    def say(line: str) -> None:
        with saying:
            said.send_bytes(line.encode())

    for n in range(3):
        dice = random.Random(f"{seed}/{n}")
        threading.Thread(target=live, args=(spool, say, dice), daemon=True).start()
    threading.Event().wait()


def allowed(lines: Iterable[str]) -> dict[str, Collection[Places]]:
    """By file, from the last that was heard of it."""
    ledger: dict[str, Collection[Places]] = {}
    for line in lines:
        file, act, how = line.split()
        ledger[file] = {LIFE[act]} if how == "done" else UNDER_WAY[act]
    return ledger


def kill_two(folder: Path, dice: random.Random) -> list[str]:
    """Two users of a spool, each killed while it works; all that they said."""
    with (
        speaking(live_in_threads, folder, dice.random()) as (one, first),
        speaking(live_in_threads, folder, dice.random()) as (other, second),
    ):
        lines = [first.recv_bytes().decode(), second.recv_bytes().decode()]
        for process in (one, other):
            # Chance decides how far it gets; nothing waits for this to be enough.
            time.sleep(dice.uniform(0, 0.02))
            process.kill()
        return lines + heard(first) + heard(second)


def test_killed_at_random(spool: Spool, pytestconfig: pytest.Config) -> None:
    kills, seed = pytestconfig.getoption("--spool-kills"), random.randrange(2**32)
    dice = random.Random(seed)
    ledger: dict[str, Collection[Places]] = {}
    for _ in range((kills + 1) // 2):
        heard_now = allowed(kill_two(spool.folder, dice))
        for file, may_be in heard_now.items():
            assert places(spool, file) in may_be, f"{file}, seed {seed}"
            # Where it is now it stays, whoever is killed later.
            ledger[file] = {places(spool, file)}
    assert [file for file, may_be in ledger.items() if places(spool, file) not in may_be] == []
    there = {file for queue in Queue for file in entries(spool, queue)}
    assert there == {file for file, (place,) in ledger.items() if place}
    assert harm(spool) == []
    begun = time.monotonic()
    spool.append(entry())
    assert time.monotonic() - begun < 5
    print(f"{kills} kills: {len(ledger)} entries, {len(there)} in the spool")
