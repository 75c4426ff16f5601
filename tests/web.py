"""An app on loopback, for servers that aren't ours."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI


@contextlib.asynccontextmanager
async def web_server(app: FastAPI) -> AsyncIterator[str]:
    """Its URL, as long as it runs."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    # Longer than clients keep a connection: else one may be closed while a request comes.
    config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_keep_alive=75)
    server = uvicorn.Server(config)
    # Ctrl-C is for the test run.
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
