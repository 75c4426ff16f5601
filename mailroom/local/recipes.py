"""Ways to get Temporal's servers onto this machine, each an async function of one folder.

A recipe puts the server's executable into the empty folder it is given, under the name `CLI` or
`TEST_SERVER`, or raises `RecipeFailed` with a clause that says why.
"""

import shutil
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from mailroom.local.progress import GaveUp, after, run, stalled, step

CLI = "temporal"
TEST_SERVER = "temporal-test-server"

# From v1.6.0 on the CLI's go.mod has a replace directive, which `go install` refuses.
CLI_VERSION = "1.5.1"
TEST_SERVER_VERSION = "1.38.0"

# A machine without internet should get to the build soon; a slow line may take its time.
DOWNLOAD_STALLED_AFTER = 20.0
BUILD_TIMEOUT = 45 * 60.0
START_TIMEOUT = 60.0

POM = f"""\
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>mailroom</groupId>
  <artifactId>test-server</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>io.temporal</groupId>
      <artifactId>temporal-test-server</artifactId>
      <version>{TEST_SERVER_VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""

# Found from the script's own place, because the folder is moved into the cache once it is whole.
WRAPPER = """\
#!/bin/sh
exec java -cp "$(dirname "$0")/lib/*" io.temporal.testserver.TestServer "$@"
"""


class RecipeFailed(Exception):
    """This way is closed on this machine; another may be open."""


Recipe = Callable[[Path], Awaitable[None]]


async def download_cli(folder: Path) -> None:
    """The dev server that the SDK downloads for itself."""
    async with step("Downloading the Temporal CLI (once)"):
        await _sdk_download("cli", folder, CLI)


async def download_test_server(folder: Path) -> None:
    """The time-skipping server that the SDK downloads for itself."""
    async with step("Downloading Temporal's time-skipping test server (once)"):
        await _sdk_download("test-server", folder, TEST_SERVER)


async def _sdk_download(kind: str, folder: Path, name: str) -> None:
    give_up = stalled(folder, DOWNLOAD_STALLED_AFTER)
    await _must_run("the download", *_sdk_server(kind, "--download-to", folder), give_up=give_up)
    _only_file(folder).rename(folder / name)


def _sdk_server(kind: str, *source: str | Path) -> list[str | Path]:
    # -P: this folder's modules must not hide others of the same name.
    script = Path(__file__).with_name("sdk_server.py")
    return [sys.executable, "-P", script, kind, *source]


def _only_file(folder: Path) -> Path:
    files = list(folder.iterdir())
    if len(files) != 1:
        raise RecipeFailed(f"the download left {len(files)} files instead of one")
    return files[0]


async def build_cli(folder: Path) -> None:
    """Compiles the CLI, server and UI included, with Go. CGO is off: no C compiler is needed."""
    _must_have("go")
    strip = f"-s -w -X github.com/temporalio/cli/temporalcli.Version={CLI_VERSION}"
    source = f"github.com/temporalio/cli/cmd/temporal@v{CLI_VERSION}"
    settings = ["env", f"GOBIN={folder}", "CGO_ENABLED=0"]
    async with step("Building the Temporal CLI with Go (about 4 minutes, once)"):
        await _must_run("`go install`", *settings, "go", "install", "-ldflags", strip, source)


async def copy_test_server(folder: Path) -> None:
    """The Java server from Maven's central repository, behind a script that starts it."""
    _must_have("java")
    _must_have("mvn")
    (folder / "pom.xml").write_text(POM)
    copy = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
    options = ["-DincludeScope=runtime", f"-DoutputDirectory={folder / 'lib'}"]
    async with step("Fetching Temporal's time-skipping test server with Maven (once)"):
        await _must_run("Maven", "mvn", "-B", "-q", copy, *options, cwd=folder)
        server = folder / TEST_SERVER
        server.write_text(WRAPPER)
        server.chmod(0o755)
        probe = _sdk_server("test-server", "--existing", server)
        await _must_run("its first start", *probe, give_up=after(START_TIMEOUT))


def is_java(server: Path) -> bool:
    """Whether this is the script of `copy_test_server`, rather than a native executable."""
    return (server.parent / "lib").is_dir()


def _must_have(command: str) -> None:
    if shutil.which(command) is None:
        raise RecipeFailed(f"there is no `{command}`")


async def _must_run(
    what: str,
    *command: str | Path,
    give_up: Callable[[], bool] | None = None,
    cwd: Path | None = None,
) -> None:
    try:
        finished = await run(command, give_up=give_up or after(BUILD_TIMEOUT), cwd=cwd)
    except GaveUp:
        raise RecipeFailed(f"{what} stood still and was ended") from None
    if finished.status != 0:
        raise RecipeFailed(f"{what} failed: {finished.reason}")
