"""The rules of the house that no other tool checks: what exists is documented, wired and portable."""

import importlib
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from jinja2 import Environment, FileSystemLoader

from newsletter.cli import COMMANDS
from newsletter.db import Model
from newsletter.queue import QUEUE_OF, Job, Queue
from newsletter.settings import PREFIX, PROJECT_ROOT, SAMPLE_SECRET, TEMPLATES, Settings
from newsletter.web.newsroom.menu import NEWSROOM, OFFICE, Place
from workers import timetable
from workers.app import app

OPERATE = PROJECT_ROOT / "docs" / "operate.md"
COMMAND_LINE = PROJECT_ROOT / "docs" / "cli.md"
MAP = PROJECT_ROOT / "docs" / "map.md"
DECISIONS = PROJECT_ROOT / "docs" / "decisions"
LOCKS = sorted((PROJECT_ROOT / "requirements").glob("*.txt"))
PAGES = sorted(
    [*PROJECT_ROOT.glob("*.md"), *(PROJECT_ROOT / "docs").rglob("*.md")],
)

# Built from parts, so that this file does not find itself.
HOME_PATH = re.compile(r"(?<![\w./-])/(?:ro" + r"ot|ho" + r"me/\w+|Us" + r"ers/\w+|wo" + r"rk)/\w")
REGISTRY = re.compile(
    r"\b(?:py"
    + r"pi\.org|python"
    + r"hosted\.org|registry\.np"
    + r"mjs|artifact"
    + r"ory|index-u"
    + r"rl)",
    re.IGNORECASE,
)


def files_of_the_project() -> list[Path]:
    """Those that git keeps or would keep, as text."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [
        path
        for name in listed.stdout.splitlines()
        if (path := PROJECT_ROOT / name).is_file() and path.suffix != ".png"
    ]


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name: `edition send`."""
    for name, module in COMMANDS.items():
        command = importlib.import_module(f"newsletter.cli.{module}").command
        yield from walk(name, command)


def walk(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield name, command
        return
    for part, child in command.commands.items():
        yield from walk(f"{name} {part}", child)


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_each_setting_is_explained_to_the_operator(name: str) -> None:
    assert f"`{PREFIX}{name.upper()}`" in OPERATE.read_text()


def test_the_operators_page_explains_no_setting_that_is_gone() -> None:
    named = set(re.findall(rf"^\| `{PREFIX}([A-Z_]+)`", OPERATE.read_text(), re.MULTILINE))

    assert named == {name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_the_operators_page_knows_each_default(name: str) -> None:
    default = Settings.model_fields[name].default
    row = re.findall(rf"^\| `{PREFIX}{name.upper()}` \| ([^|]+) \|", OPERATE.read_text(), re.M)[0]

    if isinstance(default, tuple) or default == SAMPLE_SECRET:
        assert row == "a sample"
    elif isinstance(default, float):
        assert row == f"`{default:g}`"
    elif str(PROJECT_ROOT) in str(default):
        assert "var" in row
    else:
        assert row == f"`{default}`"


ALL_COMMANDS = dict(commands())


@pytest.mark.parametrize("name", sorted(ALL_COMMANDS))
def test_each_command_is_documented(name: str) -> None:
    assert f"### newsletter {name}\n" in COMMAND_LINE.read_text()


@pytest.mark.parametrize("name", sorted(ALL_COMMANDS))
def test_each_option_is_documented_with_its_command(name: str) -> None:
    section = COMMAND_LINE.read_text().partition(f"### newsletter {name}\n")[2].partition("\n##")[0]

    options = [
        option
        for parameter in ALL_COMMANDS[name].params
        if isinstance(parameter, click.Option)
        for option in parameter.opts
        if option.startswith("--")
    ]

    assert [option for option in options if f"`{option}" not in section] == []


def test_no_command_is_documented_that_is_gone() -> None:
    documented = re.findall(r"^### newsletter (.+)$", COMMAND_LINE.read_text(), re.MULTILINE)

    assert set(documented) == set(ALL_COMMANDS)


@pytest.mark.parametrize("job", list(Job))
def test_each_job_is_on_the_map(job: Job) -> None:
    assert f"`{job.name}`" in MAP.read_text()


def test_the_rows_on_the_map_are_those_that_the_build_enforces() -> None:
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    drawn = MAP.read_text().partition("## Who may import whom")[2].split("```")[1]

    rows = [re.split(r"\s{2,}", line)[0] for line in drawn.strip().splitlines()]

    enforced = ["workers", *(layer for layer in layers if layer != "__main__")]
    assert [set(row.split(" | ")) for row in rows] == [set(row.split(" | ")) for row in enforced]


def test_each_table_is_on_the_map() -> None:
    assert [name for name in Model.metadata.tables if f"`{name}`" not in MAP.read_text()] == []


def test_each_job_has_a_task_and_a_queue_and_each_task_is_a_job() -> None:
    app.loader.import_default_modules()

    ours = {name for name in app.tasks if name.startswith("newsletter.")}

    assert ours == {job.value for job in Job}
    assert set(QUEUE_OF) == set(Job)


def test_the_timetable_rings_only_for_jobs() -> None:
    assert {entry["task"] for entry in timetable.TIMETABLE.values()} <= {job.value for job in Job}
    assert set(QUEUE_OF.values()) == set(Queue)


@pytest.mark.parametrize(
    "template",
    sorted(path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob("*.*")),
)
def test_each_template_can_be_parsed(template: str) -> None:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, extensions=["jinja2.ext.i18n"]
    )
    # The e-mail templates use filters and marks of their own environments; their grammar is Jinja's.
    source = (TEMPLATES / template).read_text()

    assert environment.parse(source) is not None


@pytest.mark.parametrize("place", [*NEWSROOM, *OFFICE], ids=lambda place: place.url)
def test_each_page_of_the_menu_is_in_the_guide(place: Place) -> None:
    assert f"`{place.url}`" in (PROJECT_ROOT / "docs" / "newsroom.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(PROJECT_ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"!?\[[^\]]*\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"", page.read_text())

    local = [
        target.partition("#")[0]
        for pair in targets
        if (target := "".join(pair)) and "://" not in target and not target.startswith("#")
    ]

    assert [each for each in local if not (page.parent / each).exists()] == []


def test_each_decision_is_in_the_index_and_has_its_four_parts() -> None:
    index = (DECISIONS / "README.md").read_text()

    for record in DECISIONS.glob("[0-9]*.md"):
        text = record.read_text()
        assert f"({record.name})" in index, record.name
        for part in ("Context", "Decision", "Consequences", "Alternatives"):
            assert f"\n## {part}\n" in text, f"{record.name} has no {part}"


def test_no_file_names_a_machine_or_a_registry() -> None:
    found = [
        f"{path.relative_to(PROJECT_ROOT)}: {match[0]}"
        for path in files_of_the_project()
        for pattern in (HOME_PATH, REGISTRY)
        if (match := pattern.search(path.read_text(errors="replace")))
    ]

    assert found == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_holds_versions_and_hashes_and_no_address(lock: Path) -> None:
    text = lock.read_text()

    requirements = re.findall(r"^(\S+)==\S+.*(?:\\\n +--hash=sha256:[0-9a-f]{64}.*)+", text, re.M)

    assert len(requirements) == len(re.findall(r"^\S", text, re.M)) > 0
    assert not re.search(r"://|^#|^--", text, re.M)


def test_the_locks_hold_everything_that_pyproject_asks_for() -> None:
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]

    for lock, asked in {
        "runtime.txt": project["project"]["dependencies"],
        "build.txt": groups["build"],
        "dev.txt": project["project"]["dependencies"] + groups["dev"] + groups["build"],
    }.items():
        text = (PROJECT_ROOT / "requirements" / lock).read_text()
        locked = set(re.findall(r"^([\w.-]+)==", text, re.M))
        names = {re.split(r"[\[<>=; ]", each)[0] for each in asked}
        assert names - locked == set(), f"run make lock: {lock}"


def test_the_makefile_has_few_targets_and_explains_each() -> None:
    makefile = (PROJECT_ROOT / "Makefile").read_text()

    phony = re.findall(r"^\.PHONY: (.+)$", makefile, re.M)[0].split()
    explained = re.findall(r"^([a-z-]+):.*## ", makefile, re.M)

    assert sorted(phony) == sorted(explained)
    assert len(phony) <= 15
