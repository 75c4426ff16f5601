"""`docker-compose.yml` and the `Dockerfile`, held against what the code reads.

No engine is needed: the files are parsed, and variables replaced as Compose does it.
"""

import ast
import importlib
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from mailroom.adapters.settings import BadConfiguration, Settings
from mailroom.adapters.twilio import account_of
from mailroom.cli.keeping import is_here
from mailroom.cli.main import app as command_line
from mailroom.local import production
from mailroom.local.servers import DYNAMIC_CONFIG
from worker import GRACEFUL_STOP, activities, database_url
from workflows import search_attributes

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DEFAULTS = Settings.model_construct()

OURS = {"worker", "bridge", "schema", "search-attributes"}
LONG_RUNNING = {"postgres", "temporal", "temporal-ui", "worker", "bridge", "mail-catcher"}
JOBS = {"temporal-schema", "namespace", "schema", "search-attributes"}

FILLED_IN = {
    "DB_PASSWORD": "secret",
    "EMAIL_ADDRESS": "ada@example.org",
    "YOUR_PHONE_NUMBER": "+12025550123",
    "MAILROOM_TOKEN": "a-token",
    "MAILROOM_PUBLIC_URL": "https://mailroom.example.org",
    "SMS_GATEWAY_URL": "https://sms.example.org",
    "SMS_WEBHOOK_SECRET": "whsec_c2VjcmV0",
}


def example() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if re.match(r"[A-Z_]+=", line))


class Missing(Exception):
    """Compose would not start: a variable that must be set is empty."""


_VARIABLE = re.compile(
    r"\$\$|\$\{(?P<name>[A-Z_]+)(?:(?P<how>:[-+?])(?P<word>(?:[^{}]|\{[^{}]*\})*))?\}"
)


def replaced(text: str, env: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        given, word = env.get(found["name"], ""), found["word"] or ""
        match found["how"]:
            case ":?" if not given:
                raise Missing(found["name"])
            case ":-" if not given:
                return replaced(word, env)
            case ":+":
                return replaced(word, env) if given else ""
        return given

    return _VARIABLE.sub(value, text)


def environment(service: str, **env: str) -> dict[str, str]:
    """What a service is given, with an `.env` that was copied and filled in."""
    given = SERVICES[service].get("environment", {})
    return {
        name: replaced(value, example() | FILLED_IN | env)
        for name, value in given.items()
        if isinstance(value, str)
    }


@pytest.fixture
def settings_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The settings that a process of ours reads in its container."""

    def read(service: str, **env: str) -> Settings:
        for name in Settings.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)
        for name, value in environment(service, **env).items():
            monkeypatch.setenv(name, value)
        dotenv = tmp_path / ".env"
        dotenv.write_text(COMPOSE["configs"]["catcher"]["content"] if service == "worker" else "")
        return Settings(_env_file=dotenv)

    return read


# --- Variables


@pytest.mark.parametrize("service", sorted(OURS))
def test_every_variable_of_ours_is_a_setting(service: str) -> None:
    names = set(SERVICES[service]["environment"])
    assert names <= {name.upper() for name in Settings.model_fields}


def test_every_variable_to_fill_in_is_in_the_example() -> None:
    assert set(re.findall(r"\$\{([A-Z_]+)", TEXT)) <= set(example())


def test_what_must_be_filled_in_is_asked_for() -> None:
    # A gateway or Twilio: that is asked for by worker and bridge.
    theirs = {"SMS_GATEWAY_URL", "SMS_WEBHOOK_SECRET"}
    assert set(re.findall(r"\$\{([A-Z_]+):\?", TEXT)) == set(FILLED_IN) - theirs
    with pytest.raises(Missing, match="YOUR_PHONE_NUMBER"):
        environment("worker", YOUR_PHONE_NUMBER="")


def test_no_secret_stands_in_the_file() -> None:
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|PWD|TOKEN|SECRET|KEY", name):
                assert str(value).startswith("${"), name


def test_defaults_are_those_of_the_settings() -> None:
    for name, default in re.findall(r"^  +([A-Z_]+): \$\{\1:-(.*)\}$", TEXT, re.MULTILINE):
        if name.lower() in Settings.model_fields and default and default != "mail-catcher":
            assert default.lower() == str(getattr(DEFAULTS, name.lower())).lower(), name


def test_worker_and_bridge_have_what_they_need(settings_of: Any) -> None:
    worker, bridge = settings_of("worker"), settings_of("bridge")
    assert worker.sms_gateway_url
    assert worker.gmail_smtp_server
    assert bridge.sms_webhook_secret
    for settings in (worker, bridge):
        assert database_url(settings).password == "secret"
        assert settings.public_url == "https://mailroom.example.org"
    shared = set(environment("worker")) & set(environment("bridge"))
    assert {"MAILROOM_TOKEN", "EMAIL_ADDRESS", "YOUR_PHONE_NUMBER"} <= shared
    for name in shared:
        assert environment("worker")[name] == environment("bridge")[name]


def test_twilio_needs_no_secret_of_a_gateway(settings_of: Any) -> None:
    twilio = {"TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": "t", "SMS_GATEWAY_URL": ""}
    number = {"TWILIO_FROM_NUMBER": "+12025550177", "SMS_WEBHOOK_SECRET": ""}
    bridge = settings_of("bridge", **twilio, **number)
    assert bridge.sms_webhook_secret is None
    assert account_of(bridge)
    assert production._webhook_secret(bridge) is None
    with pytest.raises(BadConfiguration, match="SMS_WEBHOOK_SECRET"):
        production._webhook_secret(settings_of("bridge", SMS_WEBHOOK_SECRET=""))


def test_a_worker_could_make_its_activities_of_it(settings_of: Any) -> None:
    names = {name.lower() for name in SERVICES["worker"]["environment"]}
    read = set(
        re.findall(r"settings\.([a-z_]+)", Path(activities.__code__.co_filename).read_text())
    )
    elsewhere = {"temporal_api_key", "temporal_tls"}  # for a cluster that is not this one
    assert read & set(Settings.model_fields) - names <= elsewhere


# --- Mail out


def test_without_a_server_replies_go_to_the_catcher(settings_of: Any) -> None:
    settings = settings_of("worker", EMAIL_PASSWORD="of a server that is not set")
    assert settings.gmail_smtp_server == "mail-catcher"
    assert settings.gmail_smtp_port == 1025
    assert settings.email_password is None


@pytest.mark.parametrize(("given", "port"), [("", 465), ("465", 465), ("587", 587)])
def test_a_server_that_is_set_is_used(settings_of: Any, given: str, port: int) -> None:
    settings = settings_of(
        "worker", GMAIL_SMTP_SERVER="smtp.example.org", GMAIL_SMTP_PORT=given, EMAIL_PASSWORD="pw"
    )
    assert settings.gmail_smtp_server == "smtp.example.org"
    assert settings.gmail_smtp_port == port
    assert settings.email_password.get_secret_value() == "pw"


# --- Processes


def test_the_services_are_those_of_the_design() -> None:
    assert set(SERVICES) == LONG_RUNNING | JOBS


@pytest.mark.parametrize("service", sorted(OURS))
def test_commands_exist(service: str) -> None:
    (command,) = SERVICES[service]["command"]
    group = typer.main.get_command(command_line)
    assert command in getattr(group, "commands", {})
    assert re.search(r'^ENTRYPOINT \["mailroom"\]$', DOCKERFILE, re.MULTILINE)


def test_jobs_do_their_work() -> None:
    assert SERVICES["schema"]["command"] == ["migrate"]
    assert SERVICES["search-attributes"]["command"] == ["search-attributes"]
    assert vars(production)["ALL"] is search_attributes.ALL


def test_what_runs_long_is_watched_and_restarted() -> None:
    for name in LONG_RUNNING:
        check = SERVICES[name]["healthcheck"]
        assert check["test"][0] in {"CMD", "CMD-SHELL"}
        assert {"interval", "timeout", "retries"} <= set(check), name
        assert SERVICES[name]["restart"] == "unless-stopped"


def test_every_service_keeps_its_logs_small() -> None:
    for name, service in SERVICES.items():
        assert {"max-size", "max-file"} <= set(service["logging"]["options"]), name


def test_jobs_end_and_are_waited_for() -> None:
    waited_for = set()
    for service in SERVICES.values():
        for name, how in service.get("depends_on", {}).items():
            done = "service_completed_successfully" if name in JOBS else "service_healthy"
            assert how == {"condition": done}
            waited_for.add(name)
    assert waited_for >= JOBS
    for job in JOBS:
        assert SERVICES[job]["restart"].startswith("on-failure:")
        assert "healthcheck" not in SERVICES[job]


@pytest.mark.parametrize("service", ["worker", "bridge"])
def test_nothing_starts_before_what_it_needs(service: str) -> None:
    assert set(_before(service)) >= JOBS | {"postgres", "temporal"}


def _before(service: str) -> Iterator[str]:
    for name in SERVICES[service].get("depends_on", {}):
        yield name
        yield from _before(name)


def test_a_worker_has_time_to_end_what_it_began() -> None:
    grace = SERVICES["worker"]["stop_grace_period"]
    assert re.fullmatch(r"\d+s", grace)
    assert int(grace[:-1]) > GRACEFUL_STOP.total_seconds()


def test_the_health_check_of_the_worker_fits_the_code() -> None:
    command, flag, script = SERVICES["worker"]["healthcheck"]["test"][1:]
    assert (command, flag) == ("python", "-c")
    for node in ast.walk(ast.parse(script)):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module or "")
            for name in node.names:
                imported = getattr(module, name.name, None)
                assert imported or importlib.import_module(f"{node.module}.{name.name}")


# --- Addresses


def test_addresses_and_ports_meet(settings_of: Any) -> None:
    for name in ("worker", "bridge", "schema"):
        settings = settings_of(name)
        assert (settings.db_host, settings.db_port) == ("postgres", 5432)
    for name in ("worker", "bridge", "search-attributes", "namespace"):
        assert environment(name)["TEMPORAL_ADDRESS"] == "temporal:7233"
    assert environment("temporal-ui")["TEMPORAL_ADDRESS"] == "temporal:7233"
    assert environment("temporal")["POSTGRES_SEEDS"] == "postgres"
    assert environment("temporal-schema")["SQL_HOST"] == "postgres"
    bridge = settings_of("bridge")
    assert (bridge.mailroom_port, bridge.mailroom_smtp_port) == (
        DEFAULTS.mailroom_port,
        DEFAULTS.mailroom_smtp_port,
    )
    assert bridge.mailroom_host == bridge.mailroom_smtp_host == "0.0.0.0"
    assert bridge.mailroom_url == f"http://bridge:{DEFAULTS.mailroom_port}"
    assert (
        f"127.0.0.1:{DEFAULTS.mailroom_port}/health" in SERVICES["bridge"]["healthcheck"]["test"][3]
    )


def test_published_ports_are_the_defaults_and_on_this_machine_only() -> None:
    published = {
        name: [replaced(port, example()) for port in service["ports"]]
        for name, service in SERVICES.items()
        if "ports" in service
    }
    assert published == {
        "bridge": ["127.0.0.1:8003:8003", "127.0.0.1:2525:2525"],
        "temporal": ["127.0.0.1:7233:7233"],
        "temporal-ui": ["127.0.0.1:8233:8080"],
        "mail-catcher": ["127.0.0.1:8025:8025"],
    }
    assert (DEFAULTS.mailroom_port, DEFAULTS.mailroom_smtp_port) == (8003, 2525)
    assert (DEFAULTS.mailroom_temporal_port, DEFAULTS.mailroom_temporal_ui_port) == (7233, 8233)
    public = {name for port in SERVICES["bridge"]["ports"] for name in re.findall("[A-Z_]+", port)}
    assert public == {"MAILROOM_HOST", "MAILROOM_SMTP_HOST"}


def test_temporal_is_set_as_in_the_local_stack() -> None:
    target = environment("temporal")["DYNAMIC_CONFIG_FILE_PATH"]
    assert {"source": "temporal-settings", "target": target} in SERVICES["temporal"]["configs"]
    content = yaml.safe_load(COMPOSE["configs"]["temporal-settings"]["content"])
    as_options = {
        f"{name}={str(value).lower()}"
        for name, [setting] in content.items()
        for value in setting.values()
    }
    assert as_options == set(DYNAMIC_CONFIG)


# --- Files


def test_volumes_and_configs_that_are_used_are_declared() -> None:
    volumes, configs = set(), set()
    for service in SERVICES.values():
        sources = [volume.split(":")[0] for volume in service.get("volumes", [])]
        volumes |= {source for source in sources if not source.startswith(".")}
        configs |= {config["source"] for config in service.get("configs", [])}
    assert volumes == set(COMPOSE["volumes"]) >= {"postgres", "blobs"}
    assert configs == set(COMPOSE["configs"])


@pytest.mark.parametrize("service", ["worker", "bridge"])
def test_blobs_and_the_config_file_are_where_the_code_looks(service: str, settings_of: Any) -> None:
    (folder,) = re.findall(r"^WORKDIR (/srv.*)$", DOCKERFILE, re.MULTILINE)
    mounted = dict(volume.split(":")[:2] for volume in SERVICES[service]["volumes"])
    settings = settings_of(service)
    assert mounted["blobs"] == str(folder / settings.blobs_dir)
    assert mounted["./config"] == str(folder / settings.mailroom_config.parent)
    # A new volume takes its owner from the folder in the image.
    assert mounted["blobs"] in DOCKERFILE.split()


def test_the_spool_is_a_volume_and_said_to_be_the_bridges(settings_of: Any) -> None:
    (folder,) = re.findall(r"^WORKDIR (/srv.*)$", DOCKERFILE, re.MULTILINE)
    mounted = dict(volume.split(":")[:2] for volume in SERVICES["bridge"]["volumes"])
    settings = settings_of("bridge")
    assert mounted["spool"] == str(folder / settings.spool_dir)
    assert mounted["spool"] in DOCKERFILE.split()
    assert is_here(settings), "while it is down, `mailroom email import` would not use it"
    assert not is_here(settings_of("worker"))


def test_the_catcher_file_is_where_the_settings_look() -> None:
    (folder,) = re.findall(r"^WORKDIR (/srv.*)$", DOCKERFILE, re.MULTILINE)
    wanted = {"source": "catcher", "target": f"{folder}/{Settings.model_config['env_file']}"}
    assert wanted in SERVICES["worker"]["configs"]


# --- Images


def test_every_image_is_pinned() -> None:
    images = {service["image"] for service in SERVICES.values()}
    images |= set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))
    for image in images:
        name, _, tag = image.partition(":")
        # PostgreSQL's versions have two numbers.
        numbers = r"\d+\.\d+" if name == "postgres" else r"\d+\.\d+\.\d+"
        assert re.match(rf"v?{numbers}(?![.\d])", tag), image


def test_images_fit_together() -> None:
    ours = f"mailroom:{PYPROJECT['project']['version']}"
    assert {SERVICES[name]["image"] for name in OURS} == {ours}
    assert all(SERVICES[name]["build"] == "." for name in OURS)
    server = SERVICES["temporal"]["image"].partition(":")[2]
    for name in ("temporal-schema", "namespace"):
        assert SERVICES[name]["image"].startswith(f"temporalio/admin-tools:{server}-")
    assert len(set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))) == 1


def test_the_image_has_what_was_locked_and_all_that_is_packaged() -> None:
    assert "--require-hashes" in DOCKERFILE
    assert "--requirement requirements.lock" in DOCKERFILE
    wheel = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["only-include"], PYPROJECT["project"]["readme"]}
    assert _copied() == needed | {"requirements.lock", "pyproject.toml"}


def _copied() -> set[str]:
    lines = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)
    return {source for line in lines for source in line.split()}


def test_nothing_else_gets_into_the_image() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    assert {line[1:] for line in ignored if line.startswith("!")} == _copied()


def test_the_image_keeps_bytecode_and_runs_as_nobody_in_particular() -> None:
    assert "PYTHONDONTWRITEBYTECODE" not in DOCKERFILE + TEXT
    assert "compileall" in DOCKERFILE
    assert re.search(r"^USER mailroom$", DOCKERFILE, re.MULTILINE)
    assert not re.search(r"^HEALTHCHECK", DOCKERFILE, re.MULTILINE)
    assert set(re.findall(r"^EXPOSE (.*)$", DOCKERFILE, re.MULTILINE)) == {
        f"{DEFAULTS.mailroom_port} {DEFAULTS.mailroom_smtp_port}"
    }
