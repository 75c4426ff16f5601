"""Where a spool may be, and whose it is."""

from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from spool_world import speaking

from mailroom.adapters.settings import Settings
from mailroom.adapters.spool.configured import patience_of, spool_of
from mailroom.adapters.spool.locks import Mode, Patience, QueueLock, SpoolBusy
from mailroom.adapters.spool.place import (
    NETWORK,
    SpoolUnusable,
    check_place,
    network_kind,
    only_daemon,
)
from mailroom.adapters.spool.spool import LOCKS
from mailroom.models.spool import Queue


class Mount(NamedTuple):
    mountpoint: str
    fstype: str


DISK, SHARE = Mount("/", "ext4"), Mount("/srv/mail", "nfs4")


@pytest.mark.parametrize(
    ("folder", "mounted", "kind"),
    [
        ("/var/spool", [DISK], None),
        ("/var/spool", [DISK, SHARE], None),
        ("/srv/mail", [DISK, SHARE], "nfs4"),
        ("/srv/mail/spool/deep", [DISK, SHARE], "nfs4"),
        ("/srv/mailbox", [DISK, SHARE], None),
        ("/srv/mail/local", [DISK, SHARE, Mount("/srv/mail/local", "xfs")], None),
        ("/srv/mail/local", [Mount("/srv/mail/local", "xfs"), SHARE, DISK], None),
        ("/srv/mail", [DISK, SHARE, Mount("/srv/mail", "ext4")], None),
        ("/srv/mail", [DISK, Mount("/srv/mail", "ext4"), SHARE], "nfs4"),
        ("/home/a", [Mount("/", "CIFS")], "CIFS"),
        ("/home/a", [], None),
    ],
)
def test_the_innermost_mount_decides(folder: str, mounted: list[Mount], kind: str | None) -> None:
    assert network_kind(Path(folder), mounted) == kind


@pytest.mark.parametrize("kind", sorted(NETWORK))
def test_a_network_file_system_is_refused_with_the_reason(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted = [DISK, Mount(str(tmp_path.resolve()), kind)]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: mounted)
    settings = Settings(_env_file=None, mailroom_spool_dir=tmp_path / "spool")
    with pytest.raises(SpoolUnusable, match=rf"network file system \({kind}\).*MAILROOM_SPOOL_DIR"):
        spool_of(settings)
    assert list(tmp_path.iterdir()) == []


def test_a_link_to_a_network_file_system_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = tmp_path / "share"
    share.mkdir()
    (tmp_path / "link").symlink_to(share)
    mounted = [DISK, Mount(str(share.resolve()), "nfs")]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: mounted)
    with pytest.raises(SpoolUnusable, match=r"\(nfs\)"):
        check_place(tmp_path / "link" / "spool")


def test_a_disk_of_this_machine_is_taken_with_the_settings(tmp_path: Path) -> None:
    settings = Settings(
        _env_file=None,
        mailroom_spool_dir=tmp_path / "spool",
        mailroom_spool_lock_seconds=0.05,
        mailroom_spool_retry_ms=3,
    )
    spool = spool_of(settings)
    assert spool.folder == tmp_path / "spool"
    assert spool.files(Queue.INBOUND) == []
    lock = QueueLock(spool.folder / LOCKS / "inbound.lock", Patience())
    with lock.held(Mode.WRITE), pytest.raises(SpoolBusy, match=r"more than 0\.05 s"):
        spool.files(Queue.INBOUND)


def test_the_settings_say_how_patient_a_spool_is() -> None:
    assert patience_of(Settings(_env_file=None)) == Patience()
    settings = Settings(
        _env_file=None,
        mailroom_spool_lock_seconds=5,
        mailroom_spool_retry_ms=20,
        mailroom_spool_longest_retry_ms=400,
        mailroom_spool_short_looks=0,
    )
    assert patience_of(settings) == Patience(
        timeout=5, first_pause=0.02, longest_pause=0.4, short_looks=0
    )


def run(folder: Path, said: Connection) -> None:
    with only_daemon(folder):
        said.send_bytes(b"running")
        said.poll(600)


def test_a_second_daemon_is_refused_in_one_sentence(folder: Path) -> None:
    with speaking(run, folder) as (_, said):
        assert said.recv_bytes() == b"running"
        with pytest.raises(SpoolUnusable) as refused, only_daemon(folder):
            pass
        assert str(refused.value) == (
            f"Another Mailroom uses the spool in {folder} already; stop it, or set "
            "MAILROOM_SPOOL_DIR."
        )


def test_a_second_daemon_in_the_same_process_is_refused_too(folder: Path) -> None:
    with (
        only_daemon(folder),
        pytest.raises(SpoolUnusable, match="Another Mailroom"),
        only_daemon(folder),
    ):
        pass


def test_the_next_one_starts_after_the_end_and_after_a_kill(folder: Path) -> None:
    for end in (b"stop", None):
        with speaking(run, folder) as (daemon, said):
            assert said.recv_bytes() == b"running"
            said.send_bytes(end) if end else daemon.kill()
            daemon.join(60)
            with only_daemon(folder):
                pass


def test_each_folder_has_a_daemon_of_its_own(tmp_path: Path) -> None:
    with only_daemon(tmp_path / "one"), only_daemon(tmp_path / "other"):
        assert (tmp_path / "one" / "locks" / "daemon.lock").exists()
