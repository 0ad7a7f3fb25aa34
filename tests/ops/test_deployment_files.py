"""What Dockerfile, docker-compose.yml and .env.example promise, read from the files themselves."""

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from newsletter.cli import COMMANDS
from newsletter.errors import SettingError
from newsletter.queue import Queue
from newsletter.settings import PREFIX, PROJECT_ROOT, Settings, read_settings

DOCKERFILE = (PROJECT_ROOT / "Dockerfile").read_text()
COMPOSE_TEXT = (PROJECT_ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = YAML(typ="safe").load(COMPOSE_TEXT)
SAMPLE = (PROJECT_ROOT / ".env.example").read_text()
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
LONG_RUNNING = {name: service for name, service in SERVICES.items() if name != "migrate"}

final_stage = DOCKERFILE.rpartition("\nFROM ")[2]


def test_the_image_runs_as_an_unprivileged_user_and_has_a_health_check() -> None:
    user = re.findall(r"^USER (\S+)$", final_stage, re.M)

    assert user == ["newsletter"]
    assert re.search(r"^HEALTHCHECK ", final_stage, re.M)


def test_the_final_stage_installs_nothing() -> None:
    assert not re.search(r"\b(pip|apt-get|uv|gcc|hatchling)\b", final_stage)


def test_the_image_installs_only_what_the_hashed_locks_name() -> None:
    installs = re.findall(r"pip .*?install .*?(?=&&|\n[A-Z])", DOCKERFILE, re.S)

    assert installs
    for each in installs:
        assert "--require-hashes" in each or "--no-deps /tmp/wheel" in each


def test_the_image_takes_in_no_secret_and_no_history() -> None:
    ignored = (PROJECT_ROOT / ".dockerignore").read_text().splitlines()

    taken = [line[1:] for line in ignored if line.startswith("!")]

    assert "*" in ignored
    assert all((PROJECT_ROOT / each).exists() for each in taken)
    assert {".env", ".git", "var", "tests"}.isdisjoint(taken)


def test_no_image_floats() -> None:
    images = [service["image"] for service in SERVICES.values()]
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.M)

    for image in images + bases:
        tag = image.partition(":")[2]
        assert tag, image
        assert "latest" not in tag, image


@pytest.mark.parametrize("name", sorted(LONG_RUNNING))
def test_each_service_says_how_it_is_and_comes_back(name: str) -> None:
    service = LONG_RUNNING[name]

    assert service["healthcheck"]["test"]
    assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", sorted(OURS))
def test_each_of_our_services_has_time_to_stop_and_keeps_its_state(name: str) -> None:
    service = OURS[name]

    assert int(service["stop_grace_period"].removesuffix("s")) > 45
    assert service["volumes"] == ["state:/var/lib/newsletter"]
    assert service["environment"]["NEWSLETTER_STATE_DIR"] == "/var/lib/newsletter"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]


def test_workers_can_be_multiplied() -> None:
    worker = SERVICES["worker"]

    assert "container_name" not in worker
    assert "ports" not in worker
    assert "deliver@%h" in worker["command"]


def test_everything_that_uses_the_tables_waits_for_the_migration() -> None:
    waiting = {
        name
        for name, service in OURS.items()
        if "migrate" in service.get("depends_on", {})
        and service["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    }

    assert waiting == set(OURS) - {"migrate", "mailbox"}


def test_the_broker_keeps_what_it_was_given() -> None:
    command = " ".join(SERVICES["valkey"]["command"])

    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command


def test_each_queue_has_a_consumer() -> None:
    consumed = {
        queue
        for service in OURS.values()
        if "-Q" in service["command"]
        for queue in service["command"][service["command"].index("-Q") + 1].split(",")
    }

    assert consumed == {queue.value for queue in Queue}


@pytest.mark.parametrize("name", sorted(OURS))
def test_each_container_runs_a_command_that_exists(name: str) -> None:
    program, *arguments = OURS[name]["command"]

    if program == "newsletter":
        assert arguments[0] in COMMANDS
    else:
        assert (program, arguments[:2]) == ("celery", ["--app", "workers.app"])


@pytest.mark.parametrize(
    "file", ["Dockerfile", "docker-compose.yml", ".env.example"], ids=lambda name: Path(name).name
)
def test_each_variable_is_a_setting(file: str) -> None:
    named = re.findall(rf"\b{PREFIX}([A-Z_]+)\b", (PROJECT_ROOT / file).read_text())

    assert {name for name in named if name.lower() not in Settings.model_fields} == set()


def test_each_setting_reaches_the_containers() -> None:
    environment = OURS["web"]["environment"]

    assert set(environment) == {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}


def test_each_variable_of_the_compose_file_is_explained_in_the_sample() -> None:
    asked = set(re.findall(r"\$\{([A-Z_]+)", COMPOSE_TEXT))

    explained = set(re.findall(r"^#?([A-Z_]+)=", SAMPLE, re.M))

    assert asked == explained


def test_no_secret_has_a_default() -> None:
    for name in ("POSTGRES_PASSWORD", "NEWSLETTER_SECRET_KEYS", "NEWSLETTER_ADDRESS_KEY"):
        assert re.findall(rf"\${{{name}(..)", COMPOSE_TEXT), name
        assert set(re.findall(rf"\${{{name}(..)", COMPOSE_TEXT)) == {":?"}


def test_production_refuses_the_sample_as_it_stands() -> None:
    values = dict(re.findall(rf"^{PREFIX}([A-Z_]+)=(.*)$", SAMPLE, re.M))

    with pytest.raises(SettingError, match="sample secret"):
        read_settings(**{name.lower(): value for name, value in values.items()})
