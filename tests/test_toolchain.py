"""Where the servers come from, and what the lock file promises a new machine."""

import asyncio
import re
import shutil
import time
import tomllib
from pathlib import Path

import pytest

from mailroom.local import recipes, toolchain
from mailroom.local.progress import Finished, GaveUp, after, run, stalled, step
from mailroom.local.recipes import Recipe, RecipeFailed
from mailroom.local.toolchain import ToolMissing, temporal_cli, time_skipping_server

ROOT = Path(__file__).parent.parent
NEW = "temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)"
OLD = "temporal version 1.1.2 (Server 1.25.1, UI 2.31.2)"


def script(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def cli(path: Path, says: str = NEW) -> Path:
    return script(path, f"echo '{says}'")


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH, so that this machine's own `temporal` and `go` don't count."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for command in ("cp", "env"):
        (folder / command).symlink_to(shutil.which(command) or command)
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def closed(folder: Path) -> None:
    (folder / "half").write_text("of it")
    raise RecipeFailed("the download failed: no route to host")


class Counted:
    """A recipe that works, slowly enough for another process to come along."""

    def __init__(self, says: str = NEW) -> None:
        self.says = says
        self.times = 0

    async def __call__(self, folder: Path) -> None:
        self.times += 1
        await asyncio.sleep(0.05)
        cli(folder / "temporal", self.says)


@pytest.mark.parametrize(
    ("says", "verdict"),
    [
        (NEW, True),
        ("temporal version 1.3.0 (Server 1.27.1, UI 2.36.0)", True),
        ("temporal version 2.0.0", True),
        ("temporal version 1.10.0", True),
        ("temporal version 0.0.0-DEV (Server 1.29.1, UI 2.42.1)", True),
        ("temporal version 0.0.0-DEV (Server 1.22.0, UI 2.21.3)", False),
        (OLD, False),
        ("temporal version 0.13.2 (Server 1.24.2)", False),
        ("temporal version 0.0.0-DEV", False),
        ("something else called temporal", False),
        ("", False),
    ],
)
def test_which_cli_is_new_enough(says: str, verdict: bool) -> None:
    assert toolchain.new_enough(says) is verdict


async def test_a_setting_comes_before_path(on_path: Path, cache: Path, tmp_path: Path) -> None:
    cli(on_path / "temporal")
    chosen = cli(tmp_path / "chosen")
    assert await temporal_cli(explicit=chosen, cache=cache, ways=()) == chosen


async def test_a_setting_that_does_not_run_is_not_passed_over(on_path: Path, cache: Path) -> None:
    cli(on_path / "temporal")
    with pytest.raises(ToolMissing, match="correct the setting or remove it"):
        await temporal_cli(explicit=cache / "nothing", cache=cache, ways=())


async def test_path_comes_before_the_cache(on_path: Path, cache: Path) -> None:
    cli(cache / "temporal" / "temporal")
    assert await temporal_cli(cache=cache, ways=()) == cache / "temporal" / "temporal"
    cli(on_path / "temporal")
    assert await temporal_cli(cache=cache, ways=()) == on_path / "temporal"


@pytest.mark.parametrize("body", [f"echo '{OLD}'", f"echo '{NEW}'; exit 1", "exit 127"])
async def test_one_on_path_that_is_no_good_is_passed_over(
    body: str, on_path: Path, cache: Path
) -> None:
    script(on_path / "temporal", body)
    cached = cli(cache / "temporal" / "temporal")
    assert await temporal_cli(cache=cache, ways=()) == cached


async def test_the_ways_are_tried_in_order_and_only_once(on_path: Path, cache: Path) -> None:
    works, never = Counted(), Counted()
    ways: tuple[Recipe, ...] = (closed, works, never)
    first = await temporal_cli(cache=cache, ways=ways)
    assert first == await temporal_cli(cache=cache, ways=ways) == cache / "temporal" / "temporal"
    assert (works.times, never.times) == (1, 0)


async def test_two_at_once_set_it_up_once(on_path: Path, cache: Path) -> None:
    works = Counted()
    both = (temporal_cli(cache=cache, ways=[works]) for _ in range(2))
    one, other = await asyncio.gather(*both)
    assert one == other
    assert works.times == 1


async def test_a_broken_one_in_the_cache_is_replaced(on_path: Path, cache: Path) -> None:
    cli(cache / "temporal" / "temporal", OLD)
    works = Counted()
    await temporal_cli(cache=cache, ways=[works])
    assert works.times == 1
    assert NEW in (cache / "temporal" / "temporal").read_text()


async def test_nothing_half_made_stays_behind(on_path: Path, cache: Path) -> None:
    (cache / "work-temporal-of-a-killed-process").mkdir(parents=True)
    with pytest.raises(ToolMissing):
        await temporal_cli(cache=cache, ways=[closed])
    assert names_in(cache) == ["temporal.lock"]


async def test_when_nothing_works_one_sentence_says_what_to_do(on_path: Path, cache: Path) -> None:
    with pytest.raises(ToolMissing) as missing:
        await temporal_cli(cache=cache, ways=[closed, Counted(OLD), recipes.build_cli])
    assert str(missing.value) == (
        "The Temporal CLI could not be set up (the download failed: no route to host; "
        "what was fetched does not run here; there is no `go`): install it "
        "(https://docs.temporal.io/cli) so that `temporal` is on PATH, "
        "or install Go 1.21 or newer (https://go.dev/dl) and try again."
    )


async def test_a_cache_that_cannot_be_written_to(on_path: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ToolMissing, match="set MAILROOM_CACHE_DIR to a folder"):
        await temporal_cli(cache=tmp_path / "file" / "cache", ways=())


async def test_the_build_asks_go_for_the_pinned_version(on_path: Path, cache: Path) -> None:
    cli(on_path / "made-by-go")
    script(
        on_path / "go",
        f'cp {on_path}/made-by-go "$GOBIN/temporal"; echo "# $*" >>"$GOBIN/temporal"',
    )
    built = await temporal_cli(cache=cache, ways=[recipes.build_cli])
    assert f"github.com/temporalio/cli/cmd/temporal@v{recipes.CLI_VERSION}" in built.read_text()


async def test_a_failed_build_says_why(on_path: Path, cache: Path) -> None:
    script(on_path / "go", "echo downloading; echo 'go: no such version' >&2; exit 1")
    with pytest.raises(ToolMissing, match=r"\(`go install` failed: go: no such version\)"):
        await temporal_cli(cache=cache, ways=[recipes.build_cli])


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("downloading\ngo: no such version\n\n", "go: no such version"),
        (
            "[ERROR] No such artifact\n[ERROR] [Help 1] where the manual is",
            "[ERROR] No such artifact",
        ),
        ("", "exit status 2"),
        ("x" * 1000, "x" * 300),
    ],
)
def test_the_line_that_says_why(output: str, reason: str) -> None:
    assert Finished(2, output).reason == reason


async def test_the_test_server_in_java_needs_java(on_path: Path, cache: Path) -> None:
    folder = cache / f"temporal-test-server-{recipes.TEST_SERVER_VERSION}"
    server = script(folder / "temporal-test-server", "exit 0")
    assert await time_skipping_server(cache=cache, ways=()) == server
    (folder / "lib").mkdir()
    with pytest.raises(ToolMissing, match="install Java and Maven"):
        await time_skipping_server(cache=cache, ways=())
    script(on_path / "java", "exit 0")
    assert await time_skipping_server(cache=cache, ways=()) == server


async def test_a_download_that_stands_still_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailroom.local.progress.SECONDS_BETWEEN_LOOKS", 0.05)
    with pytest.raises(GaveUp):
        await run(["sleep", "60"], give_up=stalled(tmp_path, 0.1))


def test_a_slow_download_that_grows_is_not_ended(tmp_path: Path) -> None:
    give_up = stalled(tmp_path, 0.02)
    time.sleep(0.03)
    (tmp_path / "file").write_text("more")
    assert not give_up()
    time.sleep(0.03)
    assert give_up()


async def test_what_a_command_started_ends_with_it(tmp_path: Path) -> None:
    await run(["sh", "-c", "(sleep 0.2; touch survived) &"], give_up=after(5), cwd=tmp_path)
    await asyncio.sleep(0.4)
    assert not (tmp_path / "survived").exists()


async def test_progress_is_a_line_now_and_then_without_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mailroom.local.progress.SECONDS_BETWEEN_LINES", 0.02)
    async with step("Building"):
        await asyncio.sleep(0.05)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[:2] == ["Building ...", "Building ... 0 s"]


def test_a_line_for_each_thing(
    on_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli(on_path / "temporal")
    assert toolchain.main(["--cache", str(cache)]) == 0
    assert [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()] == [
        "Temporal CLI",
        "PostgreSQL",
    ]


def pins() -> dict[str, str]:
    """The lock file's entries by name, each with its hashes and comments."""
    entries = re.split(r"^(?=[a-z0-9])", (ROOT / "requirements.lock").read_text(), flags=re.M)[1:]
    return {entry.split("==")[0]: entry for entry in entries}


def wanted() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lists = [
        project["build-system"]["requires"],
        project["project"]["dependencies"],
        project["project"]["optional-dependencies"]["dev"],
    ]
    names = [re.match(r"[\w.-]+", line) for lines in lists for line in lines]
    return [re.sub(r"[-_.]+", "-", name[0]).lower() for name in names if name]


def test_the_lock_file_names_no_address() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    assert not re.search(r"^\s*-(-index|-extra-index|-find|-trusted|i |f )", lock, flags=re.M)


def test_every_pin_has_a_version_and_a_hash() -> None:
    assert len(pins()) > 50
    for name, entry in pins().items():
        assert re.match(r"\S+==\S+ \\\n +--hash=sha256:[0-9a-f]{64}", entry), name


@pytest.mark.parametrize("name", wanted())
def test_what_the_project_asks_for_is_locked(name: str) -> None:
    assert name in pins()
