"""A translation is shown where there is one: on pages, in notices, errors, findings and names."""

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo

from newsletter.compose.briefing import Section
from newsletter.models import Role
from newsletter.web.newsroom import pages
from tests.desk import Desk
from tests.newsroom import a_briefing
from tests.site import Site, text_of

PAGE = "/office/accounts"
GERMAN = {
    "Daily slots": "Tägliche Termine",
    "{name} may sign in again.": "{name} darf wieder herein.",
    "{name} is shut out.": "{wer} ist ausgesperrt.",
    "{name} is shut out; let them in first": "{name} ist ausgesperrt; erst hereinlassen",
    "{address} has an account already": "{address} hat schon ein Konto",
    "{domain} takes no mail": "{domain} nimmt keine Post",
    "Edition {edition} is {state}; only a draft is reviewed.": (
        "Ausgabe {edition} ist {state}; geprüft wird nur ein Entwurf."
    ),
    "approved": "freigegeben",
    "write 1 to {longest} of a-z, 0-9 and - between them, like morning-briefing": (
        "schreiben Sie 1 bis {longest} Zeichen"
    ),
    "The section “{section}” has no story; add one or remove it.": (
        "Der Abschnitt „{section}“ hat keine Meldung."
    ),
    "Mend what the checks found": "Beheben, was gefunden wurde",
    "error": "Fehler",
    "admin": "Verwalterin",
    "{role} of every list": "{role} jeder Liste",
    "name": "Name",
    "it must not be empty": "darf nicht leer sein",
}


@pytest.fixture
def in_german(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    catalog = Catalog(locale="de")
    for words, translation in GERMAN.items():
        catalog.add(words, translation)
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


@pytest.mark.usefixtures("in_german")
def test_a_translation_is_shown_where_there_is_one(site: Site) -> None:
    said = text_of(site.member(Role.VIEWER).get("/account"))

    assert "Tägliche Termine" in said
    assert "Sign out" in said


@pytest.mark.usefixtures("in_german")
def test_a_notice_is_translated_with_its_values(site: Site) -> None:
    admin, editor = site.member(Role.ADMIN), site.member(Role.EDITOR)
    url = f"{PAGE}/{editor.account_id}"

    admin.post(f"{url}/disable")
    in_english = text_of(admin.get(PAGE))
    admin.post(f"{url}/enable")
    in_german = text_of(admin.get(url))

    # Its translation names a place that there is not.
    assert "Edda Editor is shut out." in in_english
    assert "Edda Editor darf wieder herein." in in_german


@pytest.mark.usefixtures("in_german")
def test_the_page_of_an_error_is_translated_with_its_values(site: Site) -> None:
    admin, editor = site.member(Role.ADMIN), site.member(Role.EDITOR)
    url = f"{PAGE}/{editor.account_id}"
    admin.post(f"{url}/disable")

    answer = admin.post(f"{url}/mail")

    assert answer.status_code == 409
    assert "Edda Editor ist ausgesperrt; erst hereinlassen" in text_of(answer)


@pytest.mark.usefixtures("in_german")
def test_a_state_within_an_error_is_translated_with_it(site: Site, desk: Desk) -> None:
    edition_id = desk.approved()

    answer = site.member(Role.WRITER).post(f"/newsroom/editions/{edition_id}/review")

    assert f"Ausgabe {edition_id} ist freigegeben; geprüft wird nur ein Entwurf." in text_of(answer)


@pytest.mark.usefixtures("in_german")
def test_what_is_wrong_with_a_field_is_translated_beside_it(site: Site) -> None:
    admin = site.member(Role.ADMIN)
    fields = {"name": "Bo", "role": "writer", "email": "bo@harbour.example"}
    admin.post(f"{PAGE}/invite", fields)

    answer = admin.post(f"{PAGE}/invite", fields)

    assert answer.status_code == 422
    assert 'id="email-error">bo@harbour.example hat schon ein Konto</p>' in answer.text


@pytest.mark.usefixtures("in_german")
def test_findings_and_the_next_step_are_translated(site: Site, desk: Desk) -> None:
    briefing = a_briefing()
    empty = replace(briefing, sections=(*briefing.sections, Section("Wetter", ())))
    edition_id = desk.draft(empty)

    writer = site.member(Role.WRITER)

    checks = text_of(writer.get(f"/newsroom/editions/{edition_id}/checks"))
    overview = text_of(writer.get(f"/newsroom/editions/{edition_id}"))

    assert "Der Abschnitt „Wetter“ hat keine Meldung." in checks
    assert "Beheben, was gefunden wurde" in overview


@pytest.mark.usefixtures("in_german")
def test_the_names_of_roles_are_translated(site: Site) -> None:
    page = text_of(site.member(Role.ADMIN).get(PAGE))

    assert "Verwalterin jeder Liste" in page
