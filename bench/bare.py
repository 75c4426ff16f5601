"""The yardsticks: a workflow with three activities that do nothing and one signal, and one with
one activity."""

import asyncio
import json
import sys
import time
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

TASK_QUEUE = "bench-bare"
FINISHED: dict[str, asyncio.Event] = {}


@activity.defn
async def nothing(name: str) -> None:
    if name:
        FINISHED[name].set()


@workflow.defn
class Bare:
    def __init__(self) -> None:
        self.spoken = False

    @workflow.run
    async def run(self, name: str) -> None:
        for last in ("", "", name):
            if last:
                await workflow.wait_condition(lambda: self.spoken)
            await workflow.execute_activity(
                nothing, last, start_to_close_timeout=timedelta(seconds=60)
            )

    @workflow.signal
    def command(self) -> None:
        self.spoken = True


@workflow.defn
class BareStep:
    @workflow.run
    async def run(self, name: str) -> None:
        await workflow.execute_activity(nothing, name, start_to_close_timeout=timedelta(seconds=60))


async def three_steps(client: Client, name: str) -> None:
    handle = await client.start_workflow(Bare.run, name, id=name, task_queue=TASK_QUEUE)
    await handle.signal(Bare.command)


async def one_step(client: Client, name: str) -> None:
    await client.start_workflow(BareStep.run, name, id=name, task_queue=TASK_QUEUE)


STARTS = {3: three_steps, 1: one_step}


async def one(client: Client, name: str, limit: asyncio.Semaphore, steps: int) -> None:
    async with limit:
        finished = FINISHED[name] = asyncio.Event()
        await STARTS[steps](client, name)
        await finished.wait()
        del FINISHED[name]


async def serve(address: str) -> None:
    """Reads rounds from standard input, one JSON line each; answers with the rate."""
    client = await Client.connect(address)
    workflows = [Bare, BareStep]
    async with Worker(client, task_queue=TASK_QUEUE, workflows=workflows, activities=[nothing]):
        while line := await asyncio.to_thread(sys.stdin.readline):
            asked = json.loads(line)
            limit = asyncio.Semaphore(asked["concurrency"])
            begun = time.perf_counter()
            names = [f"bare-{asked['round']}-{n}" for n in range(asked["mails"])]
            await asyncio.gather(*(one(client, name, limit, asked["steps"]) for name in names))
            rate = asked["mails"] / (time.perf_counter() - begun)
            sys.stdout.write(json.dumps({"rate": rate}) + "\n")
            sys.stdout.flush()
    await asyncio.sleep(0.2)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
