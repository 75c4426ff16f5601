"""Certificates of the tests' own."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Authority:
    """A certificate that vouches for itself, and contexts of both sides."""

    server: ssl.SSLContext
    trusting: ssl.SSLContext


def authority_for(names: str, folder: Path) -> Authority:
    """`names` as OpenSSL has them: DNS:mx.example.com,IP:127.0.0.1."""
    folder.mkdir(exist_ok=True)
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=mailroom tests", "-addext", f"subjectAltName={names}"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    return Authority(server, ssl.create_default_context(cafile=certificate))
