"""How the bridge listens."""

import asyncio
import socket

from mailroom.local.serving import bound_socket


async def test_an_answer_does_not_wait_for_the_clients_acknowledgement() -> None:
    """Nagle's algorithm would hold back its second part."""
    nodelay = asyncio.get_running_loop().create_future()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ours = writer.get_extra_info("socket")
        nodelay.set_result(ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    listener = bound_socket("127.0.0.1", 0)
    async with await asyncio.start_server(accepted, sock=listener):
        _, writer = await asyncio.open_connection(*listener.getsockname())
        assert await asyncio.wait_for(nodelay, 10)
        writer.close()
