"""The one place where HTTP clients are made."""

import httpx


def http_client(timeout_seconds: float = 20.0) -> httpx.AsyncClient:
    """No redirects: only configured hosts are spoken to. No retries: Temporal retries."""
    return httpx.AsyncClient(timeout=timeout_seconds, follow_redirects=False)
