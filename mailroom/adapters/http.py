"""The one place where HTTP clients are made."""

import httpx

THIS_MACHINE = ("all://127.0.0.1", "all://localhost", "all://[::1]")


def http_client(timeout_seconds: float = 20.0) -> httpx.AsyncClient:
    """No redirects: only configured hosts are spoken to. No retries: Temporal retries. A proxy
    of the environment is used, but not to this machine."""
    return httpx.AsyncClient(
        timeout=timeout_seconds,
        follow_redirects=False,
        mounts=dict.fromkeys(THIS_MACHINE, httpx.AsyncHTTPTransport()),
    )
