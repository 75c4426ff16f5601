"""Dovecot, an IMAP server, for tests and measurements: found, or installed from Debian, and run
in a folder of its own as an unprivileged user."""

import asyncio
import grp
import os
import pwd
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailroom.local.progress import GaveUp, after, run, step

HOW_TO_INSTALL = (
    "install Dovecot 2.3 so that `dovecot` is on PATH or in /usr/sbin "
    "(Debian: apt-get install dovecot-imapd)"
)
APT_TIMEOUT = 15 * 60.0
START_SECONDS = 20.0
NOBODY = "nobody"

# Everything as one user without privileges: root can't have a mailbox in Dovecot.
CONFIG = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
protocols = imap
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 1
disable_plaintext_auth = yes
ssl = required
ssl_cert = <{folder}/certificate.pem
ssl_key = <{folder}/key.pem
mail_location = maildir:{folder}/mail/%u
mail_fsync = always
auth_failure_delay = 0
namespace inbox {{
  inbox = yes
  mailbox Sent {{
    auto = create
    special_use = \\Sent
  }}
}}
{more}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/users/%u
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/mail/%u
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    address = 127.0.0.1
    port = {port}
    ssl = yes
  }}
}}
service imap {{
  process_limit = 64
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""
WITHOUT_IDLE = "imap_capability = IMAP4rev1 LITERAL+ UIDPLUS"
WITHOUT_SENT = """\
namespace inbox {
  mailbox Sent {
    auto = no
    special_use =
  }
}
"""
# Whose a token is, Dovecot asks a server, as Google's own do: `{tokens}` and the token.
LOGIN_BY_OAUTH = """\
auth_mechanisms = plain login xoauth2
passdb {{
  driver = oauth2
  mechanisms = xoauth2
  args = {folder}/oauth2.conf
}}
"""
TOKENS = "tokeninfo_url = {tokens}\nusername_attribute = email\n"


def dovecot() -> Path | None:
    """The server of this system, if there is one."""
    found = shutil.which("dovecot") or shutil.which("dovecot", path="/usr/sbin:/usr/local/sbin")
    return Path(found) if found else None


async def dovecot_or_debians() -> Path | None:
    """The one of this system; where we may, Debian's package is installed to have one."""
    if dovecot() is None and os.geteuid() == 0 and shutil.which("apt-get"):
        await _install()
    return dovecot()


async def _install() -> None:
    apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]
    install = [*apt, "-o", "DPkg::Lock::Timeout=120", "-y", "install", "--no-install-recommends"]
    give_up = after(APT_TIMEOUT)
    async with step("Installing Debian's dovecot-imapd for the IMAP tests (once)"):
        try:
            await run([*apt, "update"], give_up=give_up)
            await run([*install, "dovecot-imapd"], give_up=give_up)
        except GaveUp:
            return  # the caller finds none and says so


@dataclass
class Dovecot:
    """A server that can be stopped and started; `ca` vouches for it as localhost."""

    binary: Path
    folder: Path
    port: int
    more: str = ""
    tokens: str = ""

    host = "localhost"

    @property
    def ca(self) -> Path:
        return self.folder / "certificate.pem"

    def set_password(self, user: str, password: str) -> None:
        """Dovecot reads a file again when a second has passed, and at its start."""
        users = self.folder / "users"
        users.mkdir(exist_ok=True)
        (users / user).write_text(f"{user}:{{PLAIN}}{password}\n")
        self._hand_over(users)

    async def start(self) -> None:
        account = _account()
        (self.folder / "dovecot.conf").write_text(self._config(account))
        (self.folder / "oauth2.conf").write_text(TOKENS.format(tokens=self.tokens))
        self._hand_over(self.folder)
        self._process = await asyncio.create_subprocess_exec(
            self.binary, "-F", "-c", self.folder / "dovecot.conf",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=(self.folder / "stderr.log").open("ab"),
            start_new_session=True,
            **_as_user(account),
        )  # fmt: skip
        await self._until_listening()

    def _config(self, account: pwd.struct_passwd) -> str:
        by_token = LOGIN_BY_OAUTH.format(folder=self.folder) if self.tokens else ""
        return CONFIG.format(
            folder=self.folder,
            port=self.port,
            user=account.pw_name,
            group=_group(account),
            uid=account.pw_uid,
            gid=account.pw_gid,
            more=self.more + by_token,
        )

    async def _until_listening(self) -> None:
        async with asyncio.timeout(START_SECONDS):
            while self._process.returncode is None:
                with suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    return
                await asyncio.sleep(0.02)
        raise RuntimeError(f"Dovecot did not start; {self.folder}/stderr.log says why.")

    async def stop(self) -> None:
        """With its sessions."""
        if self._process.returncode is None:
            self._process.terminate()
        await self._process.wait()

    def forget_uids(self, user: str) -> None:
        """While stopped: all mail gets new UIDs, under a new UIDVALIDITY."""
        for name in ("dovecot-uidlist", "dovecot-uidvalidity*", "dovecot.index*"):
            for file in (self.folder / "mail" / user).glob(name):
                file.unlink()

    def _hand_over(self, path: Path) -> None:
        if os.geteuid() != 0:
            return
        account = _account()
        for one in (path, *path.rglob("*")):
            os.chown(one, account.pw_uid, account.pw_gid, follow_symlinks=False)


def _account() -> pwd.struct_passwd:
    return pwd.getpwnam(NOBODY) if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())


def _group(account: pwd.struct_passwd) -> str:
    return grp.getgrgid(account.pw_gid).gr_name


def _as_user(account: pwd.struct_passwd) -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


@asynccontextmanager
async def running(
    binary: Path, port: int, more: str = "", tokens: str = ""
) -> AsyncIterator[Dovecot]:
    """In a folder in /tmp: its sockets need a short path that everybody may enter. `more` is
    configuration; `tokens` is a URL that an access token is put after to learn whose it is."""
    folder = Path(tempfile.mkdtemp(prefix="dovecot-", dir="/tmp"))
    try:
        await certify("DNS:localhost", folder)
        server = Dovecot(binary, folder, port, more=more, tokens=tokens)
        await server.start()
        try:
            yield server
        finally:
            await server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def certify(name: str, folder: Path) -> None:
    """A key and a certificate for `name` that vouches for itself."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=mailroom tests", "-addext", f"subjectAltName={name}"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    await run(command, give_up=after(START_SECONDS))
