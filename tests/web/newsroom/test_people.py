"""Who got an edition, who did not, and why: one search answers it, with the server's own words."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from newsletter.db import reading, transaction
from newsletter.deliver.sender import Sender
from newsletter.devmail.script import Phase, Reply, Rule, Script
from newsletter.models import DeliveryState, Role, Subscriber
from newsletter.plan import planner
from newsletter.report.people import every_person, people_in_state, refusals_of
from tests import newsroom
from tests.site import Site, text_of
from tests.smtpd import checked_devmail

NO_MAILBOX = Rule(
    phase=Phase.RCPT,
    recipient="^(cy|di)@",
    action=Reply(code=550, enhanced="5.1.1", text="no mailbox <cy@readers.example> here"),
)
FULL = Rule(
    phase=Phase.RCPT, recipient="^eve@", action=Reply(code=552, enhanced="5.2.2", text="full")
)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def edition_id(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Mailed to Ada and Bo; Cy, Di and Eve were refused; Fay had left."""
    monkeypatch.setattr(planner, "BATCH", 2)
    settings = newsroom.settings_for(tmp_path)
    with checked_devmail(script=Script(rules=(NO_MAILBOX, FULL))) as peer:
        transport = newsroom.add_transport(engine, peer.port)
        list_id = newsroom.add_list(engine)
        people = newsroom.add_readers(engine, list_id, ["Ada", "Bo", "Cy", "Di", "Eve", "Fay"])
        newsroom.leave(engine, list_id, people[-1])
        edition_id = newsroom.sending_edition(engine, settings, [list_id], transport)
        with Sender(engine, settings) as sender:
            sender.drain(seconds=20)
        yield edition_id


def addresses(engine: Engine, edition_id: int, state: DeliveryState) -> list[str]:
    found = every_person(engine, edition_id, state)
    return sorted(person.address.partition("@")[0] for person in found)


def test_everybody_is_found_in_their_state_and_the_states_hold_everybody(
    engine: Engine, edition_id: int
) -> None:
    by_state = {state: addresses(engine, edition_id, state) for state in DeliveryState}

    assert by_state[DeliveryState.SENT] == ["ada", "bo"]
    assert by_state[DeliveryState.FAILED] == ["cy", "di", "eve"]
    assert by_state[DeliveryState.EXCLUDED] == ["fay"]
    assert sum(map(len, by_state.values())) == 6


def test_pages_of_one_hold_nobody_twice(engine: Engine, edition_id: int) -> None:
    seen, after = [], None
    with reading(engine) as session:
        while True:
            page = people_in_state(session, edition_id, DeliveryState.FAILED, after=after, limit=1)
            seen += [person.subscriber_id for person in page.people]
            after = page.next
            if after is None:
                break

    assert len(seen) == len(set(seen)) == 3


def test_refusals_are_counted_by_provider_and_answer_without_anybody_s_address(
    engine: Engine, edition_id: int
) -> None:
    with reading(engine) as session:
        found = refusals_of(session, edition_id)

    assert [(each.people, each.code, each.enhanced) for each in found] == [
        (2, 550, "5.1.1"),
        (1, 552, "5.2.2"),
    ]
    assert "cy@readers" not in found[0].reply
    assert "no mailbox" in found[0].reply


def test_why_did_she_not_get_it_is_one_search(site: Site, edition_id: int) -> None:
    editor = site.member(Role.EDITOR)

    answer = editor.get(f"/newsroom/editions/{edition_id}/people?q=CY@readers.example")

    said = text_of(answer)
    assert "failed" in said
    assert "550 5.1.1" in said
    assert "refused by the server" in said


def test_who_left_before_it_was_planned_is_told_so(site: Site, edition_id: int) -> None:
    answer = site.member(Role.EDITOR).get(
        f"/newsroom/editions/{edition_id}/people?q=fay@readers.example"
    )

    assert "left out unsubscribed" in text_of(answer)


def test_an_address_that_nobody_has_is_said_to_be_nobody_s(site: Site, edition_id: int) -> None:
    editor = site.member(Role.EDITOR)

    unknown = editor.get(f"/newsroom/editions/{edition_id}/people?q=zoe@readers.example")
    none_at_all = editor.get(f"/newsroom/editions/{edition_id}/people?q=not an address")

    assert unknown.status_code == none_at_all.status_code == 404
    assert "no subscriber" in unknown.text


def test_the_file_of_a_state_is_safe_for_spreadsheets(
    site: Site, engine: Engine, edition_id: int
) -> None:
    with transaction(engine) as session:
        for person in session.query(Subscriber).filter_by(name="Cy"):
            person.name = "=HYPERLINK(1)"

    answer = site.member(Role.EDITOR).get(
        f"/newsroom/editions/{edition_id}/people.csv?state=failed"
    )

    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert answer.headers["content-disposition"].startswith("attachment")
    assert {row["reason"] for row in rows} == {"refused"}
    assert "'=HYPERLINK(1)" in {row["name"] for row in rows}


def test_the_pages_show_the_sum_and_the_refusals(site: Site, edition_id: int) -> None:
    editor = site.member(Role.EDITOR)

    failed = editor.get(f"/newsroom/editions/{edition_id}/people?state=failed")
    refused = editor.get(f"/newsroom/editions/{edition_id}/failures")

    assert "eve@readers.example" in failed.text
    assert "smaller providers" in refused.text
    assert "5.1.1" in refused.text


def test_somebody_of_another_list_sees_nobody(site: Site, engine: Engine, edition_id: int) -> None:
    other = newsroom.add_list(engine, "evening")
    stranger = site.member(Role.EDITOR, lists={other: Role.EDITOR})
    viewer = site.member(Role.VIEWER)

    for path in ("people", "people?q=cy@readers.example", "people.csv", "failures"):
        assert stranger.get(f"/newsroom/editions/{edition_id}/{path}").status_code == 404
    assert viewer.get(f"/newsroom/editions/{edition_id}/people").status_code == 403


@pytest.mark.parametrize("query", ["state=gone", "state=failed&reason=x", "after=x"])
def test_an_address_that_was_altered_shows_no_traceback(
    site: Site, edition_id: int, query: str
) -> None:
    answer = site.member(Role.EDITOR).get(f"/newsroom/editions/{edition_id}/people?{query}")

    assert answer.status_code in (200, 404)
