"""`mailroom doctor` looks for DKIM keys, and asks a name server for their records."""

from collections.abc import AsyncIterator
from pathlib import Path

import dns.rcode
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from smtp_world import Zone, name_server

from mailroom.adapters.dkim import DkimKey, read_key
from mailroom.adapters.settings import Settings
from mailroom.cli import dkim_check
from mailroom.cli.findings import Finding, Level
from mailroom.models.outbound.dkim import DkimSection

NAME = "s1._domainkey.company.com"


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> DkimKey:
    file = tmp_path_factory.mktemp("keys") / "s1.pem"
    private = generate_private_key(65_537, 2_048)
    file.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return read_key(DkimSection(domain="company.com", selector="s1", key_file=file))


@pytest.fixture
async def zone() -> AsyncIterator[Zone]:
    async with name_server(Zone()) as running:
        yield running


async def found(zone: Zone, folder: Path, key_file: Path) -> Finding:
    config = folder / "mailroom.toml"
    config.write_text(f"""
        [outbound]
        nameservers = ["127.0.0.1:{zone.port}"]
        [[outbound.dkim]]
        domain = "company.com"
        selector = "s1"
        key_file = "{key_file}"
    """)
    [finding] = await dkim_check.dkim(Settings(mailroom_config=config))
    return finding


def published(zone: Zone, record: str) -> None:
    """In strings of 255 characters, which is the longest that the DNS has (RFC 1035 §3.3)."""
    strings = (record[at : at + 255] for at in range(0, len(record), 255))
    zone.records[NAME, "TXT"] = [" ".join(f'"{string}"' for string in strings)]


async def test_a_key_whose_record_is_there_is_fine(
    zone: Zone, key: DkimKey, tmp_path: Path
) -> None:
    published(zone, key.record.replace("; p=", ";  p = ").replace("MIIB", "MI IB"))
    finding = await found(zone, tmp_path, key.section.key_file)
    assert (finding.level, finding.finding) == (Level.OK, f"{NAME} signs, rsa")


async def test_a_record_that_is_missing_is_shown_to_be_published(
    zone: Zone, key: DkimKey, tmp_path: Path
) -> None:
    finding = await found(zone, tmp_path, key.section.key_file)
    assert finding.level is Level.WARNING
    assert finding.mend == f"Publish the TXT record {NAME} with: {key.record}"


@pytest.mark.parametrize("record", ["v=DKIM1; p=", "v=DKIM1; p=MIIB", "nonsense"])
async def test_a_record_of_another_key_fails(
    zone: Zone, key: DkimKey, tmp_path: Path, record: str
) -> None:
    published(zone, record)
    finding = await found(zone, tmp_path, key.section.key_file)
    assert finding.level is Level.FAILED
    assert "belongs to another key" in finding.finding


async def test_a_name_server_that_fails_is_no_fault_of_the_key(
    zone: Zone, key: DkimKey, tmp_path: Path
) -> None:
    zone.failures[NAME] = dns.rcode.SERVFAIL
    finding = await found(zone, tmp_path, key.section.key_file)
    assert finding.level is Level.WARNING
    assert "did not say" in finding.finding


async def test_a_key_that_is_not_there_fails(zone: Zone, tmp_path: Path) -> None:
    finding = await found(zone, tmp_path, tmp_path / "none.pem")
    assert finding.level is Level.FAILED
    assert "can't be read" in finding.finding
    assert not zone.asked


async def test_without_a_key_there_is_nothing_to_find(tmp_path: Path) -> None:
    assert await dkim_check.dkim(Settings(mailroom_config=tmp_path / "none.toml")) == []
