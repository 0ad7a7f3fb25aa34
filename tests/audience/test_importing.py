import hashlib
import io
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, func, select
from sqlalchemy.orm import Session

from newsletter.addresses import parse_address
from newsletter.audience import importing
from newsletter.audience.importing import ImportReport, Problem, import_csv, status_after
from newsletter.audience.lists import NewList, create_list
from newsletter.audience.rows import Rejection
from newsletter.audience.suppression import is_suppressed, suppress
from newsletter.db import reading, transaction
from newsletter.errors import InputError
from newsletter.models import (
    ConsentEvent,
    ConsentKind,
    Domain,
    Subscriber,
    Subscription,
    SubscriptionStatus,
    Suppression,
    SuppressionReason,
    Zone,
)

FILES = Path(__file__).parent.parent / "data" / "imports"
NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
PENDING, CONFIRMED, UNSUBSCRIBED = SubscriptionStatus


@pytest.fixture
def list_id(engine: Engine) -> int:
    with transaction(engine) as session:
        return create_list(session, _new_list("daily"), now=NOW).id


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    with reading(engine) as session:
        yield session


def _new_list(slug: str) -> NewList:
    return NewList(
        slug=slug,
        name="The Daily",
        sender_name="The Desk",
        sender_address="desk@courier.example",
        postal_address="4 Ropewalk Lane, Port Ellery",
    )


def run(
    engine: Engine,
    list_id: int,
    text: str,
    *,
    now: datetime = NOW,
    source: str = "people.csv",
) -> ImportReport:
    stream = io.BytesIO(text.encode())
    return import_csv(engine, stream, list_id=list_id, source=source, now=now)


def run_file(engine: Engine, list_id: int, name: str) -> ImportReport:
    with (FILES / name).open("rb") as stream:
        return import_csv(engine, stream, list_id=list_id, source=name, now=NOW)


def statuses(session: Session) -> dict[str, SubscriptionStatus]:
    found = session.execute(
        select(Subscriber.address, Subscription.status).join(
            Subscription, Subscription.subscriber_id == Subscriber.id
        )
    )
    return dict(found.all())


def everything(engine: Engine) -> list[list[tuple[Any, ...]]]:
    with reading(engine) as session:
        return [
            sorted((tuple(row) for row in session.execute(select(*table.columns))), key=repr)
            for table in (
                Subscriber.__table__,
                Subscription.__table__,
                ConsentEvent.__table__,
                Suppression.__table__,
                Domain.__table__,
                Zone.__table__,
            )
        ]


def test_a_semicolon_file_from_a_spreadsheet_is_read_whole(
    engine: Engine, list_id: int, session: Session
) -> None:
    report = run_file(engine, list_id, "semicolons-bom-crlf.csv")

    ada, joerg = session.scalars(select(Subscriber).order_by(Subscriber.address_key))
    assert (report.lines, report.people, report.created) == (2, 2, 2)
    assert report.ignored_columns == ("Zeit",)
    assert (ada.name, ada.language) == ("Ada Lovelace", "en")
    assert (joerg.address, joerg.name) == ("joerg@xn--bcher-kva.example", "Jörg Groß; jun.")
    assert session.get_one(Zone, ada.zone_id).name == "Europe/London"
    assert session.get_one(Domain, joerg.domain_id).name == "xn--bcher-kva.example"
    joined = session.get_one(Subscription, (list_id, joerg.id)).joined_at
    assert joined == datetime(2024, 1, 3, 9, tzinfo=UTC)


@pytest.mark.parametrize("store", ["sqlite"])
def test_a_tab_separated_file_is_read_as_well(engine: Engine, list_id: int) -> None:
    assert run_file(engine, list_id, "tabs.tsv").people == 2


def test_every_bad_line_is_reported_with_its_place_and_skipped(
    engine: Engine, list_id: int, session: Session
) -> None:
    report = run_file(engine, list_id, "every-rejection.csv")

    assert statuses(session) == {"ada@readers.example": CONFIRMED, "mo@readers.example": CONFIRMED}
    assert report.lines == report.people + sum(report.rejected.values())
    assert set(report.rejected) == set(Rejection)
    assert report.problems == (
        Problem(3, "address", Rejection.INVALID_ADDRESS, "n***"),
        Problem(4, "address", Rejection.REPEATED, "a***@r***.example is on line 2 already"),
        Problem(5, "zone", Rejection.UNKNOWN_ZONE, "Mars/Olympus_Mons"),
        Problem(6, "language", Rejection.UNKNOWN_LANGUAGE, "english please"),
        Problem(7, "status", Rejection.UNKNOWN_STATUS, "perhaps"),
        Problem(8, "joined", Rejection.BAD_DATE, "02/01/2024"),
        Problem(9, "joined", Rejection.BAD_DATE, "2999-01-01 is yet to come"),
        Problem(10, "line", Rejection.WRONG_FIELDS, "3 instead of 6"),
        Problem(11, "line", Rejection.BROKEN_QUOTES, ""),
        Problem(12, "name", Rejection.CONTROL_CHARACTER, "a line break or the like"),
        Problem(14, "name", Rejection.TOO_LONG, "201 characters, at most 200"),
        Problem(15, "address", Rejection.TOO_LONG, "l***@r***.example"),
    )


@pytest.mark.parametrize("store", ["sqlite"])
def test_s26_no_problem_shows_an_address(engine: Engine, list_id: int) -> None:
    text = "email,name,status\nada@readers,Ada,\nbo@readers.example,Bo,bo@readers.example\n"

    report = run(engine, list_id, text)

    assert "ada@" not in repr(report)
    assert "bo@" not in repr(report)


@pytest.mark.parametrize(
    "control", ["\r\n", "\n", "\r", "\x00", "\x0b", "\x85", "\u2028", "\u2029"]
)
@pytest.mark.parametrize("store", ["sqlite"])
def test_s12_no_control_character_comes_in_through_a_file(
    engine: Engine, list_id: int, session: Session, control: str
) -> None:
    text = (
        f'email,name\nada@readers.example,"Ada{control}Bcc: x"\n"bo{control}@readers.example",Bo\n'
    )

    report = run(engine, list_id, text)

    assert report.people == 0
    assert statuses(session) == {}


@pytest.mark.parametrize("store", ["sqlite"])
def test_only_the_first_thousand_problems_are_kept_but_all_are_counted(
    engine: Engine, list_id: int
) -> None:
    report = run(engine, list_id, "email\n" + "nobody\n" * 1_500)

    assert len(report.problems) == 1_000
    assert report.rejected == {Rejection.INVALID_ADDRESS: 1_500}


@pytest.mark.parametrize(
    ("word", "status", "suppressed"),
    [
        ("", CONFIRMED, False),
        ("subscribed", CONFIRMED, False),
        ("Confirmed", CONFIRMED, False),
        ("active", CONFIRMED, False),
        ("pending", PENDING, False),
        ("unconfirmed", PENDING, False),
        ("UNSUBSCRIBED", UNSUBSCRIBED, False),
        ("bounced", CONFIRMED, True),
        ("complained", CONFIRMED, True),
        ("blocked", CONFIRMED, True),
        ("suppressed", CONFIRMED, True),
    ],
)
@pytest.mark.parametrize("store", ["sqlite"])
def test_each_status_word_means_one_thing(
    engine: Engine,
    list_id: int,
    session: Session,
    word: str,
    status: SubscriptionStatus,
    suppressed: bool,
) -> None:
    report = run(engine, list_id, f"email,status\nada@readers.example,{word}\n")

    ada = parse_address("ada@readers.example")
    assert statuses(session) == {"ada@readers.example": status}
    assert report.by_status == {status: 1}
    assert report.suppressed == suppressed
    assert is_suppressed(session, ada, list_id=list_id) is suppressed


def test_every_new_subscription_has_its_evidence(
    engine: Engine, list_id: int, session: Session
) -> None:
    text = "email,status\nada@readers.example,\nbo@readers.example,unsubscribed\n"

    run(engine, list_id, text, source="export.csv")

    events = session.scalars(select(ConsentEvent).order_by(ConsentEvent.id)).all()
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert [event.kind for event in events] == [ConsentKind.IMPORTED] * 2
    assert [event.evidence for event in events] == [
        {"file": "export.csv", "sha256": digest, "line": 2, "status": "confirmed"},
        {"file": "export.csv", "sha256": digest, "line": 3, "status": "unsubscribed"},
    ]
    assert {event.list_id for event in events} == {list_id}


def test_importing_the_same_file_twice_changes_nothing(engine: Engine, list_id: int) -> None:
    text = (
        "email,name,zone,status\n"
        "ada@readers.example,Ada,Europe/London,\n"
        "bo@readers.example,,,unsubscribed\n"
        "cy@readers.example,Cy,,bounced\n"
        "di@readers.example,Di,,pending\n"
        "ADA@readers.example,,,bounced\n"
    )
    first = run(engine, list_id, text)
    before = everything(engine)

    second = run(engine, list_id, text, now=LATER)

    assert everything(engine) == before
    assert (first.created, first.updated, first.unchanged) == (4, 0, 0)
    assert (second.created, second.updated, second.unchanged) == (0, 0, 4)
    assert second.by_status == first.by_status
    assert second.suppressed == first.suppressed == 2


def test_nobody_who_left_comes_back(engine: Engine, list_id: int, session: Session) -> None:
    run(engine, list_id, "email,status\nbo@readers.example,unsubscribed\n")

    report = run(engine, list_id, "email,status\nBo@Readers.example,confirmed\n", now=LATER)

    assert statuses(session) == {"bo@readers.example": UNSUBSCRIBED}
    assert (report.stayed_away, report.unchanged) == (1, 1)
    assert report.by_status == {UNSUBSCRIBED: 1}


def test_t32_a_suppressed_person_stays_suppressed_and_is_counted(
    engine: Engine, list_id: int, session: Session
) -> None:
    cy = parse_address("cy@readers.example")
    with transaction(engine) as writing:
        suppress(writing, cy, reason=SuppressionReason.COMPLAINED, source="arf", now=NOW)

    report = run(engine, list_id, "email\ncy@readers.example\nada@readers.example\n")

    assert report.suppressed == 1
    assert is_suppressed(session, cy, list_id=list_id)


@pytest.mark.parametrize(
    ("before", "wanted", "after"),
    [
        (PENDING, PENDING, PENDING),
        (PENDING, CONFIRMED, CONFIRMED),
        (PENDING, UNSUBSCRIBED, UNSUBSCRIBED),
        (CONFIRMED, PENDING, CONFIRMED),
        (CONFIRMED, CONFIRMED, CONFIRMED),
        (CONFIRMED, UNSUBSCRIBED, UNSUBSCRIBED),
        (UNSUBSCRIBED, PENDING, UNSUBSCRIBED),
        (UNSUBSCRIBED, CONFIRMED, UNSUBSCRIBED),
        (UNSUBSCRIBED, UNSUBSCRIBED, UNSUBSCRIBED),
    ],
)
def test_a_status_only_moves_towards_the_door(
    before: SubscriptionStatus, wanted: SubscriptionStatus, after: SubscriptionStatus
) -> None:
    assert status_after(before, wanted) is after


def test_an_import_moves_the_status_of_people_who_are_there(
    engine: Engine, list_id: int, session: Session
) -> None:
    run(
        engine,
        list_id,
        "email,status\nada@readers.example,\nbo@readers.example,pending\ncy@readers.example,\n",
    )

    report = run(
        engine,
        list_id,
        "email,status\n"
        "ada@readers.example,unsubscribed\nbo@readers.example,\ncy@readers.example,pending\n",
        now=LATER,
    )

    ada = session.scalars(select(Subscriber).where(Subscriber.address_key.startswith("ada"))).one()
    left_at = session.get_one(Subscription, (list_id, ada.id)).left_at
    events = session.scalar(select(func.count()).select_from(ConsentEvent))
    assert statuses(session) == {
        "ada@readers.example": UNSUBSCRIBED,
        "bo@readers.example": CONFIRMED,
        "cy@readers.example": CONFIRMED,
    }
    assert left_at == LATER
    assert (report.updated, report.unchanged) == (2, 1)
    assert report.by_status == {CONFIRMED: 2, UNSUBSCRIBED: 1}
    assert events == 5


def test_what_a_person_set_is_kept_and_what_is_unknown_is_filled_in(
    engine: Engine, list_id: int, session: Session
) -> None:
    run(
        engine,
        list_id,
        "email,name,language\nada@readers.example,Countess,fr\nbo@readers.example,,\n",
    )

    report = run(
        engine,
        list_id,
        "email,name,zone,language\n"
        "ada@readers.example,Ada,Europe/London,en\nBO@readers.example,Bo,Asia/Tokyo,ja\n",
    )

    ada, bo = session.scalars(select(Subscriber).order_by(Subscriber.address_key))
    zones = {zone.id: zone.name for zone in session.scalars(select(Zone))}
    assert (ada.name, ada.language, zones[ada.zone_id or 0]) == ("Countess", "fr", "Europe/London")
    assert (bo.name, bo.language, zones[bo.zone_id or 0]) == ("Bo", "ja", "Asia/Tokyo")
    assert bo.address == "bo@readers.example"
    assert report.updated == 2


def test_a_person_may_be_on_two_lists(engine: Engine, list_id: int, session: Session) -> None:
    with transaction(engine) as writing:
        weekly = create_list(writing, _new_list("weekly"), now=NOW).id
    run(engine, list_id, "email\nada@readers.example\n")

    report = run(engine, weekly, "email\nada@readers.example\n")

    assert report.created == 1
    assert session.scalar(select(func.count()).select_from(Subscriber)) == 1
    assert session.scalar(select(func.count()).select_from(Subscription)) == 2


@pytest.mark.parametrize("per_slice", [1, 2, 100])
def test_of_two_lines_about_one_person_the_one_that_ends_mail_counts(
    engine: Engine,
    list_id: int,
    session: Session,
    per_slice: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importing, "PEOPLE_PER_SLICE", per_slice)
    text = (
        "email,status\nada@readers.example,\nbo@readers.example,\ncy@readers.example,\n"
        "Ada@readers.example,unsubscribed\nBo@readers.example,bounced\nCy@readers.example,pending\n"
        "ADA@readers.example,unsubscribed\nBO@readers.example,unsubscribed\n"
    )

    report = run(engine, list_id, text)

    assert statuses(session) == {
        "ada@readers.example": UNSUBSCRIBED,
        "bo@readers.example": UNSUBSCRIBED,
        "cy@readers.example": CONFIRMED,
    }
    assert report.by_status == {UNSUBSCRIBED: 2, CONFIRMED: 1}
    assert (report.people, report.created, report.suppressed) == (3, 3, 1)
    assert report.rejected == {Rejection.REPEATED: 5}


@pytest.mark.parametrize("store", ["sqlite"])
def test_a_file_that_is_not_utf8_imports_nobody(
    engine: Engine, list_id: int, session: Session
) -> None:
    with pytest.raises(InputError, match=r"line 3: .*UTF-8"):
        run_file(engine, list_id, "latin-1.csv")

    assert statuses(session) == {}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("", "the file is empty"),
        ("name,zone", "line 1: no column is called email"),
        ("ada@readers.example,Ada", "no column .* a\\*\\*\\*@r"),
        ("email,name,e-mail", "line 1: columns 1 and 3 both hold the address"),
        (",".join(f"c{number}" for number in range(10_000)), "10000 columns; keep at most 200"),
    ],
    ids=["empty", "no address", "no header", "twice", "too many"],
)
@pytest.mark.parametrize("store", ["sqlite"])
def test_a_header_of_no_use_is_refused(
    engine: Engine, list_id: int, header: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        run(engine, list_id, header)


@pytest.mark.parametrize("store", ["sqlite"])
def test_a_file_of_only_a_header_is_an_empty_import(engine: Engine, list_id: int) -> None:
    report = run(engine, list_id, "email,name\n")

    assert (report.lines, report.people) == (0, 0)


class _Pipe(io.BytesIO):
    def seekable(self) -> bool:
        return False

    def seek(self, offset: int, whence: int = 0) -> int:
        raise io.UnsupportedOperation


@pytest.mark.parametrize("store", ["sqlite"])
def test_a_pipe_is_read_as_well(engine: Engine, list_id: int) -> None:
    stream = _Pipe(b"email\nada@readers.example\n")

    report = import_csv(engine, stream, list_id=list_id, source="<stdin>", now=NOW)

    assert report.people == 1


@pytest.mark.parametrize("store", ["sqlite"])
def test_progress_ends_at_the_files_size(engine: Engine, list_id: int) -> None:
    text = "email\n" + "".join(f"r{number}@readers.example\n" for number in range(5_000))
    seen: list[tuple[int, int]] = []

    import_csv(
        engine,
        io.BytesIO(text.encode()),
        list_id=list_id,
        source="people.csv",
        now=NOW,
        on_progress=lambda done, total: seen.append((done, total)),
    )

    assert {total for _, total in seen} == {len(text)}
    assert len(seen) > 3
    assert seen[-1][0] == len(text)
    assert seen == sorted(seen)


def test_an_import_that_was_interrupted_is_finished_by_running_it_again(
    engine: Engine, list_id: int, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "PEOPLE_PER_SLICE", 2)
    text = "email\n" + "".join(f"r{number}@readers.example\n" for number in range(5))
    stream = io.BytesIO(text.encode())

    def pull_the_plug(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_csv(
            engine,
            stream,
            list_id=list_id,
            source="people.csv",
            now=NOW,
            on_progress=pull_the_plug,
        )
    again = run(engine, list_id, text)

    assert (again.created, again.unchanged) == (3, 2)
    assert len(statuses(session)) == 5


@pytest.mark.parametrize("store", ["sqlite"])
def test_s24_memory_stays_flat_however_long_the_file(
    engine: Engine, list_id: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "PEOPLE_PER_SLICE", 500)

    def peak_of(people: int) -> int:
        path = tmp_path / f"{people}.csv"
        with path.open("w") as file:
            file.write("email\n")
            file.writelines(f"r{number}@readers.example\n" for number in range(people))
        tracemalloc.start()
        with path.open("rb") as stream:
            import_csv(engine, stream, list_id=list_id, source="people.csv", now=NOW)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    assert peak_of(8_000) < 1.3 * peak_of(2_000)


_LINES = st.lists(
    st.one_of(
        st.builds(
            "{}@readers.example,{},{}".format,
            st.sampled_from(["ada", "Ada", "bo", "cy"]),
            st.sampled_from(["", "Name", '"Na""me"', '"', "N\x00", "名"]),
            st.sampled_from(["", "unsubscribed", "bounced", "pending", "perhaps"]),
        ),
        st.text(max_size=20),
    ),
    max_size=12,
)


@given(lines=_LINES)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@pytest.mark.parametrize("store", ["sqlite"])
def test_any_file_adds_up_and_changes_nothing_the_second_time(
    engine: Engine, list_id: int, lines: list[str]
) -> None:
    with transaction(engine) as session:
        for table in (ConsentEvent, Subscription, Subscriber, Suppression):
            session.execute(delete(table))
    text = "\n".join(["email,name,status", *lines])

    first = run(engine, list_id, text)
    before = everything(engine)
    second = run(engine, list_id, text, now=LATER)

    for report in (first, second):
        assert report.lines == report.people + sum(report.rejected.values())
        assert report.people == sum(report.by_status.values())
        assert report.people == report.created + report.updated + report.unchanged
    assert everything(engine) == before
    assert second.created == second.updated == 0
    assert first.suppressed == second.suppressed == len(before[3])
