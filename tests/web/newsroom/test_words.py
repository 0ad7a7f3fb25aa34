"""Every word of the pages can be gathered for translators, and a translation is shown."""

import tomllib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo

from newsletter.models import Role
from newsletter.settings import PROJECT_ROOT
from newsletter.web.newsroom import pages
from tests.site import Site, text_of


@pytest.fixture
def in_german(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    catalog = Catalog(locale="de")
    catalog.add("Daily slots", "Tägliche Termine")
    compiled = BytesIO()
    write_mo(compiled, catalog)
    folder = tmp_path / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "newsletter.mo").write_bytes(compiled.getvalue())
    monkeypatch.setattr(pages, "LOCALE", tmp_path)
    monkeypatch.setenv("LANGUAGE", "de")
    pages._environment.cache_clear()
    pages._translations.cache_clear()
    yield
    pages._environment.cache_clear()
    pages._translations.cache_clear()


def test_the_words_of_templates_notices_and_menu_are_gathered() -> None:
    with (PROJECT_ROOT / "pyproject.toml").open("rb") as file:
        mappings = tomllib.load(file)["tool"]["babel"]["mappings"]
    methods = [(each["pattern"], each["method"]) for each in mappings]

    found = {
        message
        for _, _, message, *_ in extract_from_dir(
            str(PROJECT_ROOT),
            methods,
            options_map={"templates/web/**.html": {"silent": "false"}},
            keywords={"_": None, "gettext": None, "ngettext": (1, 2), "go": (2,), "Place": (2,)},
            directory_filter=lambda folder: Path(folder).name not in {".venv", ".git", "var"},
        )
    }

    assert {"Sign out", "Daily slots", "It waits for somebody to look at it."} <= found


@pytest.mark.usefixtures("in_german")
def test_a_translation_is_shown_where_there_is_one(site: Site) -> None:
    said = text_of(site.member(Role.VIEWER).get("/account"))

    assert "Tägliche Termine" in said
    assert "Sign out" in said
