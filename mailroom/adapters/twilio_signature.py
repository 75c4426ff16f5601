"""Whether Twilio wrote a request: its `X-Twilio-Signature`.

Base64 of HMAC-SHA1, keyed with the auth token, over the exact URL that Twilio called and, after
it, name and value of every form parameter in the order of the names. Of JSON only the URL is
signed, and the URL carries the body's hash as `bodySHA256`.
https://www.twilio.com/docs/usage/security#validating-requests

The package `twilio` would do the same, with two HTTP clients and a JWT library besides.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from urllib.parse import parse_qs, urlsplit

Parameters = Iterable[tuple[str, str]]

DEFAULT_PORTS = {"https": 443, "http": 80}


def signature_of(token: str, url: str, parameters: Parameters = ()) -> str:
    # A parameter that comes twice with one value is signed once (Twilio's own libraries).
    signed = url + "".join(name + value for name, value in sorted(set(parameters)))
    digest = hmac.digest(token.encode(), signed.encode("utf-8", "surrogatepass"), "sha1")
    return base64.b64encode(digest).decode()


def is_signed(token: str, url: str, signature: str, parameters: Parameters = ()) -> bool:
    """In constant time, with the URL's port and without it: Twilio leaves it out of some."""
    parameters = list(parameters)
    given = signature.encode("utf-8", "surrogatepass")
    matches = [
        hmac.compare_digest(signature_of(token, spelled, parameters).encode(), given)
        for spelled in _with_and_without_port(url)
    ]
    return any(matches)


def is_signed_json(token: str, url: str, signature: str, body: bytes) -> bool:
    [stated, *more] = parse_qs(urlsplit(url).query).get("bodySHA256", [""])
    same = hmac.compare_digest(hashlib.sha256(body).hexdigest().encode(), stated.lower().encode())
    return is_signed(token, url, signature) and same and not more


def _with_and_without_port(url: str) -> tuple[str, str]:
    """The URL as it is, and with its port taken away or the default one put in."""
    parts = urlsplit(url)
    name, colon, port = parts.netloc.rpartition(":")
    if colon and port.isdigit():
        return url, parts._replace(netloc=name).geturl()
    with_port = f"{parts.netloc}:{DEFAULT_PORTS.get(parts.scheme, 443)}"
    return url, parts._replace(netloc=with_port).geturl()
