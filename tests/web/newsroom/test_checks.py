"""The gate: what was found, who knows about it, and what an admin lets pass."""

import re
from dataclasses import replace

from newsletter.compose.briefing import Briefing, Section
from newsletter.models import EditionState, Role
from tests.desk import Desk
from tests.newsroom import a_briefing
from tests.site import Site, text_of

FINDING = re.compile(r'name="finding" value="([0-9a-f]{64})"')


def with_an_empty_section() -> Briefing:
    return replace(a_briefing(), sections=(*a_briefing().sections, Section("Weather", ())))


def test_findings_are_grouped_with_what_to_do(site: Site, desk: Desk) -> None:
    edition_id = desk.draft(with_an_empty_section())

    page = text_of(site.member(Role.VIEWER).get(f"/newsroom/editions/{edition_id}/checks"))

    assert "1 error keeps it from being approved." in page
    assert "The section “Weather” has no story; add one or remove it." in page
    assert page.index("Errors") < page.index("Warnings")


def test_a_changed_draft_is_checked_when_somebody_asks(site: Site, desk: Desk) -> None:
    edition_id = desk.draft()
    desk.change(edition_id)
    writer = site.member(Role.WRITER)

    before = text_of(writer.get(f"/newsroom/editions/{edition_id}/checks"))
    writer.post(f"/newsroom/editions/{edition_id}/checks")
    after = text_of(writer.get(f"/newsroom/editions/{edition_id}/checks"))

    assert "It has changed since it was checked" in before
    assert "Revision 2" in after
    assert desk.edition(edition_id).revision == 2


def test_a_warning_is_known_by_name_until_somebody_takes_it_back(site: Site, desk: Desk) -> None:
    edition_id = desk.draft()
    editor = site.member(Role.EDITOR)
    url = f"/newsroom/editions/{edition_id}/checks"
    finding = FINDING.findall(editor.get(url).text)[0]

    editor.post(f"{url}/acknowledge", {"finding": finding})
    known = text_of(editor.get(url))
    editor.post(f"{url}/take-back", {"finding": finding})
    counts = text_of(editor.get(url))

    assert "Edda Editor knows about it" in known
    assert "knows about it" not in counts
    assert desk.audited() == ["warning acknowledged"]


def test_a_finding_that_is_gone_is_not_acknowledged(site: Site, desk: Desk) -> None:
    edition_id = desk.draft()

    answer = site.member(Role.EDITOR).post(
        f"/newsroom/editions/{edition_id}/checks/acknowledge", {"finding": "0" * 64}
    )

    assert answer.status_code == 422


def test_only_an_admin_with_a_reason_lets_errors_pass(site: Site, desk: Desk) -> None:
    edition_id = desk.draft(with_an_empty_section())
    url = f"/newsroom/editions/{edition_id}/checks/override"
    admin = site.member(Role.ADMIN)

    by_editor = site.member(Role.EDITOR).post(url, {"reason": "It is the weather's day off."})
    without = admin.post(url, {"reason": "ok"})
    given = admin.post(url, {"reason": "It is the weather's day off."})

    assert (by_editor.status_code, without.status_code, given.status_code) == (403, 422, 303)
    page = text_of(admin.get(f"/newsroom/editions/{edition_id}/checks"))
    assert "Let pass by Ada Admin" in page
    assert "Nothing keeps it from being approved." in page
    assert desk.audited() == ["errors let pass"]
    assert desk.state(edition_id) is EditionState.DRAFT
