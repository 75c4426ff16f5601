"""A bridge whose Temporal and PostgreSQL are not there (yet) takes what comes, and keeps it."""

from pathlib import Path

import aiosmtplib
import httpx
import pytest
from pydantic import SecretStr
from world import PHONE, Handset, eventually, mail

from mailroom.adapters.settings import Settings
from mailroom.adapters.spool.place import SpoolUnusable
from mailroom.adapters.spool.spool import Spool
from mailroom.local.production import bridging
from mailroom.models.spool import Kind, Queue

SECRET = "whsec_c2VjcmV0IG9mIGEgdGVzdCwgbG9uZyBlbm91Z2g="


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        db_host="127.0.0.1",
        db_port=1,
        temporal_address="127.0.0.1:1",
        mailroom_token=SecretStr("a token"),
        sms_webhook_secret=SecretStr(SECRET),
        your_phone_number=PHONE,
        mailroom_data_dir=tmp_path,
        mailroom_config=tmp_path / "none.toml",
        mailroom_port=0,
        mailroom_smtp_port=0,
    )


async def test_it_keeps_mail_and_texts(settings: Settings) -> None:
    async with bridging(settings, smtp=True) as (url, smtp):
        headers = {"Authorization": "Bearer a token"}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as http:
            health = await http.get("/health")
            assert (health.status_code, health.json()["status"]) == (503, "degraded")
            posted = await http.post("/emails", content=mail(subject="One"))
            assert (posted.status_code, posted.json()["spooled"]) == (202, True)
            assert (await Handset(http, SECRET).say("1"))["outcome"] == "kept"
            phone = Handset(http, SECRET)
            receipt = b'{"message_id": "gw-1", "status": "delivered"}'
            taken = await http.post(
                "/orchestrator/sms-status", content=receipt, headers=phone.signature(receipt)
            )
            assert taken.status_code == 204
            host, port = smtp.removeprefix("smtp://").split(":")
            async with aiosmtplib.SMTP(hostname=host, port=int(port)) as client:
                await client.sendmail("jo@example.com", ["you@mailroom.test"], mail(subject="Two"))

            async def says_four() -> bool:
                # The spool is counted beside what comes: a look may be a moment old.
                return bool((await http.get("/health")).json()["spooled"] == 4)

            await eventually(says_four)
    kept = Spool(settings.spool_dir).counts(Queue.INBOUND)
    assert kept == {Kind.MAIL: 2, Kind.TEXT: 1, Kind.RECEIPT: 1}


async def test_a_second_one_on_the_same_spool_is_refused(settings: Settings) -> None:
    async with bridging(settings, smtp=False):
        with pytest.raises(SpoolUnusable, match=r"Another Mailroom uses the spool .* already"):
            async with bridging(settings, smtp=False):
                pytest.fail("two bridges have one spool")
    async with bridging(settings, smtp=False) as addresses:
        assert len(addresses) == 1
