"""Starts one of Temporal's servers with the SDK and stops it again; exits with 0 if it ran.

A program of its own, so that a download that hangs can be ended and the server's output stays
off the user's terminal:

    python sdk_server.py cli|test-server --download-to FOLDER    fetches it there first
    python sdk_server.py cli|test-server --existing FILE
"""

import argparse
import asyncio
import sys

from temporalio.testing import WorkflowEnvironment

# The SDK's thread that reports the end of `shutdown` may still hold the interpreter lock when the
# interpreter goes away, which aborts the process (exit 134; seen in 16 of 76 runs, in 0 of 60 with
# this pause).
SECONDS_FOR_THE_SDKS_THREADS = 0.2


async def start_and_stop(kind: str, *, existing: str | None, download_to: str | None) -> None:
    try:
        environment = await start(kind, existing=existing, download_to=download_to)
        await environment.shutdown()
    finally:
        await asyncio.sleep(SECONDS_FOR_THE_SDKS_THREADS)


async def start(kind: str, *, existing: str | None, download_to: str | None) -> WorkflowEnvironment:
    if kind == "cli":
        return await WorkflowEnvironment.start_local(
            dev_server_existing_path=existing, download_dest_dir=download_to
        )
    return await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=existing, download_dest_dir=download_to
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["cli", "test-server"])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--existing")
    source.add_argument("--download-to")
    given = parser.parse_args()
    try:
        asyncio.run(
            start_and_stop(given.kind, existing=given.existing, download_to=given.download_to)
        )
    except RuntimeError as error:  # a chain of clauses, of which the last says why
        sys.exit(str(error).rpartition(": ")[2])


if __name__ == "__main__":
    main()
