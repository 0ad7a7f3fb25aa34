import gzip
import hashlib
import io
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, func, select
from sqlalchemy.orm import Session

from newsletter import queue
from newsletter.addresses import parse_address
from newsletter.audience import import_run
from newsletter.audience.attributes import add_attribute
from newsletter.audience.evidence import evidence_of
from newsletter.audience.history import Origin
from newsletter.audience.import_archives import unpacked
from newsletter.audience.import_merge import Outcome
from newsletter.audience.import_report import ImportReport, report_of, write_report
from newsletter.audience.import_run import Problem, run_import
from newsletter.audience.import_work import run_waiting
from newsletter.audience.importing import (
    ImportPlan,
    cancel_import,
    import_file,
    receive_file,
    resume_import,
    start_import,
)
from newsletter.audience.lists import NewList, create_list
from newsletter.audience.rows import Rejection
from newsletter.audience.subscribers import edit_subscriber
from newsletter.audience.suppression import is_suppressed, suppress
from newsletter.audience.tags import set_tags, tags_of
from newsletter.db import reading, transaction
from newsletter.errors import InputError, StateError
from newsletter.models import (
    AttributeKind,
    ChangeCause,
    ConsentEvent,
    ConsentKind,
    Domain,
    Import,
    ImportChunk,
    ImportState,
    LegalBasis,
    Subscriber,
    SubscriberChange,
    SubscriberTag,
    Subscription,
    SubscriptionStatus,
    Suppression,
    SuppressionReason,
    Zone,
)

FILES = Path(__file__).parent.parent / "data" / "imports"
NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
CONSENT = ImportPlan(basis=LegalBasis.CONSENT)
READER = Origin(ChangeCause.PREFERENCES, "reader")
EDITOR = Origin(ChangeCause.ADMIN, "ed")
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


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_run, "utc_now", lambda: NOW)


def run(
    engine: Engine,
    list_id: int,
    text: str,
    plan: ImportPlan = CONSENT,
    *,
    source: str = "people.csv",
) -> ImportReport:
    stream = io.BytesIO(text.encode())
    return import_file(engine, stream, plan, list_id=list_id, file_name=source, by="ed", now=NOW)


def run_later(
    engine: Engine, list_id: int, text: str, monkeypatch: pytest.MonkeyPatch
) -> ImportReport:
    with monkeypatch.context() as patched:
        patched.setattr(import_run, "utc_now", lambda: LATER)
        return run(engine, list_id, text)


def run_file(engine: Engine, list_id: int, name: str) -> ImportReport:
    with (FILES / name).open("rb") as stream:
        return import_file(
            engine, stream, CONSENT, list_id=list_id, file_name=name, by="ed", now=NOW
        )


def started(engine: Engine, list_id: int, text: str, plan: ImportPlan = CONSENT) -> int:
    import_id = receive_file(
        engine, [text.encode()], list_id=list_id, file_name="people.csv", by="ed", now=NOW
    )
    start_import(engine, import_id, plan)
    return import_id


def report(engine: Engine, import_id: int) -> ImportReport:
    with reading(engine) as session:
        return report_of(session, import_id)


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
                SubscriberTag.__table__,
                SubscriberChange.__table__,
            )
        ]


def history(session: Session) -> set[tuple[int, str, str | None, str | None, str | None]]:
    """Changes by imports."""
    return {
        (change.subscriber_id, change.field, change.before, change.after, change.reference)
        for change in session.scalars(
            select(SubscriberChange).where(SubscriberChange.cause == ChangeCause.IMPORT)
        )
    }


def test_a_semicolon_file_from_a_spreadsheet_is_read_whole(
    engine: Engine, list_id: int, session: Session
) -> None:
    report = run_file(engine, list_id, "semicolons-bom-crlf.csv")

    ada, joerg = session.scalars(select(Subscriber).order_by(Subscriber.address_key))
    assert report.outcomes == {"created": 2}
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
    text = "email,name,status\nada@readers,Ada,active\nbo@readers.example,Bo,bo@readers.example\n"

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
    ("word", "status", "reason"),
    [
        ("subscribed", CONFIRMED, None),
        ("Confirmed", CONFIRMED, None),
        ("active", CONFIRMED, None),
        ("pending", PENDING, None),
        ("unconfirmed", PENDING, None),
        ("UNSUBSCRIBED", UNSUBSCRIBED, None),
        ("bounced", CONFIRMED, SuppressionReason.BOUNCED),
        ("cleaned", CONFIRMED, SuppressionReason.BOUNCED),
        ("complained", UNSUBSCRIBED, SuppressionReason.COMPLAINED),
        ("blocklisted", UNSUBSCRIBED, SuppressionReason.IMPORTED),
    ],
)
@pytest.mark.parametrize("store", ["sqlite"])
def test_each_status_word_means_one_thing_with_its_date(
    engine: Engine,
    list_id: int,
    session: Session,
    word: str,
    status: SubscriptionStatus,
    reason: SuppressionReason | None,
) -> None:
    text = f"email,status,unsubscribed_at\nada@readers.example,{word},2025-03-04 05:06:07\n"

    report = run(engine, list_id, text)

    then = datetime(2025, 3, 4, 5, 6, 7, tzinfo=UTC)
    found = session.scalars(select(Suppression)).one_or_none()
    assert statuses(session) == {"ada@readers.example": status}
    assert report.statuses == {status: 1}
    assert (found and found.reason, found and found.created_at) == (reason, reason and then)
    if status is UNSUBSCRIBED:
        assert session.scalars(select(Subscription.left_at)).one() == then


@pytest.mark.parametrize("word", ["perhaps", "", "non-subscribed"])
@pytest.mark.parametrize("store", ["sqlite"])
def test_who_has_an_unknown_status_is_not_mailable(
    engine: Engine, list_id: int, session: Session, word: str
) -> None:
    report = run(engine, list_id, f"email,status\nada@readers.example,{word}\n")

    assert report.outcomes == {"unknown status": 1}
    assert statuses(session) == {}


@pytest.mark.parametrize("store", ["sqlite"])
def test_a_status_for_the_file_counts_where_the_file_says_nothing(
    engine: Engine, list_id: int, session: Session
) -> None:
    text = "email,status\nada@readers.example,\nbo@readers.example,active\n"

    run(engine, list_id, text, replace(CONSENT, status="Unsubscribed"))

    assert statuses(session) == {
        "ada@readers.example": UNSUBSCRIBED,
        "bo@readers.example": CONFIRMED,
    }


def test_t31_t32_every_new_subscription_has_its_evidence(
    engine: Engine, list_id: int, session: Session
) -> None:
    text = (
        "email,status,optin_time,optin_ip\n"
        "ada@readers.example,active,2024-01-02,192.0.2.7\nbo@readers.example,unsubscribed,,\n"
    )
    plan = ImportPlan(basis=LegalBasis.SOFT_OPT_IN, note="customers of 2024")

    report = run(engine, list_id, text, plan, source="export.csv")

    events = session.scalars(select(ConsentEvent).order_by(ConsentEvent.id)).all()
    assert [event.kind for event in events] == [ConsentKind.IMPORTED] * 2
    assert [event.evidence for event in events] == [
        {
            "import": report.import_id,
            "line": 2,
            "status": "confirmed",
            "consented_at": "2024-01-02",
            "consent_ip": "192.0.2.7",
        },
        {"import": report.import_id, "line": 3, "status": "unsubscribed"},
    ]
    assert {event.list_id for event in events} == {list_id}
    assert evidence_of(session, events[0].subscriber_id)[0].details == {
        **events[0].evidence,
        "file": "export.csv",
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "by": "ed",
        "basis": LegalBasis.SOFT_OPT_IN,
        "note": "customers of 2024",
    }


def test_every_row_carries_the_number_of_its_import(
    engine: Engine, list_id: int, session: Session
) -> None:
    report = run(engine, list_id, "email,tags\nada@readers.example,vip\n")

    for column in (Subscriber.import_id, Subscription.import_id, SubscriberTag.import_id):
        assert session.scalars(select(column)).all() == [report.import_id]


def test_importing_the_same_file_twice_changes_nothing(
    engine: Engine, list_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "email,name,zone,status,tags\n"
        "ada@readers.example,Ada,Europe/London,active,vip\n"
        "bo@readers.example,,,unsubscribed,\n"
        "cy@readers.example,Cy,,bounced,\n"
        "di@readers.example,Di,,pending,\n"
        "ADA@readers.example,,,bounced,\n"
    )
    first = run(engine, list_id, text)
    before = everything(engine)

    second = run_later(engine, list_id, text, monkeypatch)

    assert everything(engine) == before
    assert first.outcomes == {"created": 2, "now suppressed": 2, "address repeated": 1}
    assert second.outcomes == {
        "unchanged": 2,
        "skipped: suppressed": 2,
        "address repeated": 1,
    }
    assert second.statuses == first.statuses


def test_nobody_who_left_comes_back(engine: Engine, list_id: int, session: Session) -> None:
    run(engine, list_id, "email,status\nbo@readers.example,unsubscribed\n")

    report = run(engine, list_id, "email,status\nBo@Readers.example,confirmed\n")

    assert statuses(session) == {"bo@readers.example": UNSUBSCRIBED}
    assert report.outcomes == {"unsubscribed before": 1}
    assert report.statuses == {UNSUBSCRIBED: 1}


def test_t32_a_suppressed_or_erased_address_is_skipped_and_nobody_is_made_of_it(
    engine: Engine, list_id: int, session: Session
) -> None:
    cy = parse_address("cy@readers.example")
    with transaction(engine) as writing:
        suppress(writing, cy, reason=SuppressionReason.COMPLAINED, source="arf", now=NOW)

    report = run(engine, list_id, "email\ncy@readers.example\nada@readers.example\n")

    assert report.outcomes == {"created": 1, "skipped: suppressed": 1}
    assert statuses(session) == {"ada@readers.example": CONFIRMED}
    assert is_suppressed(session, cy, list_id=list_id)


def test_who_is_suppressed_and_there_still_leaves_when_the_file_says_so(
    engine: Engine, list_id: int, session: Session
) -> None:
    run(engine, list_id, "email,status\ncy@readers.example,bounced\n")

    report = run(engine, list_id, "email,status\ncy@readers.example,unsubscribed\n")

    assert statuses(session) == {"cy@readers.example": UNSUBSCRIBED}
    assert report.outcomes == {"skipped: suppressed": 1}


@pytest.mark.parametrize(
    ("before", "wanted", "after"),
    [
        ("pending", "pending", PENDING),
        ("pending", "active", CONFIRMED),
        ("pending", "bounced", PENDING),
        ("pending", "unsubscribed", UNSUBSCRIBED),
        ("active", "pending", CONFIRMED),
        ("active", "active", CONFIRMED),
        ("active", "unsubscribed", UNSUBSCRIBED),
        ("active", "complained", UNSUBSCRIBED),
        ("unsubscribed", "pending", UNSUBSCRIBED),
        ("unsubscribed", "active", UNSUBSCRIBED),
        ("unsubscribed", "unsubscribed", UNSUBSCRIBED),
    ],
)
@pytest.mark.parametrize("store", ["sqlite"])
def test_a_status_only_moves_towards_the_door(
    engine: Engine,
    list_id: int,
    session: Session,
    before: str,
    wanted: str,
    after: SubscriptionStatus,
) -> None:
    run(engine, list_id, f"email,status\nada@readers.example,{before}\n")

    report = run(engine, list_id, f"email,status\nada@readers.example,{wanted}\n")

    assert statuses(session) == {"ada@readers.example": after}
    assert report.statuses == {after: 1}


def test_an_import_moves_the_status_of_people_who_are_there(
    engine: Engine, list_id: int, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(
        engine,
        list_id,
        "email,status\nada@readers.example,active\nbo@readers.example,pending\n"
        "cy@readers.example,active\n",
    )

    report = run_later(
        engine,
        list_id,
        "email,status\nada@readers.example,unsubscribed\nbo@readers.example,active\n"
        "cy@readers.example,pending\n",
        monkeypatch,
    )

    ada = session.scalars(select(Subscriber).where(Subscriber.address_key.startswith("ada"))).one()
    events = session.scalar(select(func.count()).select_from(ConsentEvent))
    assert session.get_one(Subscription, (list_id, ada.id)).left_at == LATER
    assert report.outcomes == {"updated": 2, "unchanged": 1}
    assert report.statuses == {CONFIRMED: 2, UNSUBSCRIBED: 1}
    assert events == 5


def test_what_is_known_is_kept_and_what_is_unknown_is_filled_in(
    engine: Engine, list_id: int, session: Session
) -> None:
    with transaction(engine) as writing:
        add_attribute(writing, "team", AttributeKind.TEXT, label="Team", now=NOW)
    run(
        engine,
        list_id,
        "email,name,language,attribute team\n"
        "ada@readers.example,Countess,fr,red\nbo@readers.example,,,\n",
    )

    report = run(
        engine,
        list_id,
        "email,name,zone,language,attribute team\n"
        "ada@readers.example,Ada,Europe/London,en,blue\nBO@readers.example,Bo,Asia/Tokyo,ja,blue\n",
    )

    ada, bo = session.scalars(select(Subscriber).order_by(Subscriber.address_key))
    zones = {zone.id: zone.name for zone in session.scalars(select(Zone))}
    assert (ada.name, ada.language, zones[ada.zone_id or 0]) == ("Countess", "fr", "Europe/London")
    assert (bo.name, bo.language, zones[bo.zone_id or 0]) == ("Bo", "ja", "Asia/Tokyo")
    assert (ada.attributes, bo.attributes) == ({"team": "red"}, {"team": "blue"})
    assert bo.address == "bo@readers.example"
    assert report.outcomes == {"updated": 2}
    assert history(session) == {
        (ada.id, "zone", None, "Europe/London", "import 2"),
        (bo.id, "name", None, "Bo", "import 2"),
        (bo.id, "language", None, "ja", "import 2"),
        (bo.id, "zone", None, "Asia/Tokyo", "import 2"),
        (bo.id, "attribute team", None, "blue", "import 2"),
    }


def test_with_overwrite_the_file_replaces_all_but_what_the_person_said(
    engine: Engine, list_id: int, session: Session
) -> None:
    with transaction(engine) as writing:
        add_attribute(writing, "team", AttributeKind.TEXT, label="Team", now=NOW)
    run(engine, list_id, "email,name,language,attribute team\nada@readers.example,A,fr,red\n")
    with transaction(engine) as writing:
        edit_subscriber(writing, 1, {"name": "Ada"}, origin=READER, now=NOW)

    report = run(
        engine,
        list_id,
        "email,name,language,attribute team\nada@readers.example,Countess,en,blue\n",
        replace(CONSENT, overwrites=True),
    )

    ada = session.get_one(Subscriber, 1)
    assert (ada.name, ada.language, ada.attributes) == ("Ada", "en", {"team": "blue"})
    assert report.outcomes == {"updated": 1}
    assert {row for row in history(session) if row[4] == "import 2"} == {
        (1, "language", "fr", "en", "import 2"),
        (1, "attribute team", "red", "blue", "import 2"),
    }


@pytest.mark.parametrize("overwrites", [True, False])
@pytest.mark.parametrize(
    ("origins", "expected"),
    [
        ([EDITOR], "Imported"),
        ([READER], ""),
        ([READER, EDITOR], "Imported"),
        ([EDITOR, READER], ""),
    ],
)
@pytest.mark.parametrize("store", ["sqlite"])
def test_an_import_leaves_alone_what_the_person_changed_last(
    engine: Engine,
    list_id: int,
    session: Session,
    origins: list[Origin],
    expected: str,
    overwrites: bool,
) -> None:
    run(engine, list_id, "email,name\nada@readers.example,Ada\n")
    with transaction(engine) as writing:
        for name, origin in zip(["A.", ""][-len(origins) :], origins, strict=True):
            edit_subscriber(writing, 1, {"name": name}, origin=origin, now=NOW)

    run(
        engine,
        list_id,
        "email,name\nada@readers.example,Imported\n",
        replace(CONSENT, overwrites=overwrites),
    )

    assert session.get_one(Subscriber, 1).name == expected


def test_tags_of_the_file_and_of_its_rows_are_put_on_with_their_history(
    engine: Engine, list_id: int, session: Session
) -> None:
    run(engine, list_id, "email\nada@readers.example\n")
    with transaction(engine) as writing:
        set_tags(writing, 1, ["old"], origin=EDITOR, now=NOW)

    report = run(
        engine,
        list_id,
        'email,tags\nada@readers.example,"""VIP"",old"\nbo@readers.example,\n',
        replace(CONSENT, tags=("Spring",)),
    )

    assert tags_of(session, 1) == ["old", "spring", "vip"]
    assert tags_of(session, 2) == ["spring"]
    assert report.outcomes == {"updated": 1, "created": 1}
    assert {row for row in history(session) if row[4] == "import 2"} == {
        (1, "tags", "old", "old, spring, vip", "import 2")
    }


@pytest.mark.parametrize("store", ["sqlite"])
def test_a_value_that_the_schema_refuses_is_reported(
    engine: Engine, list_id: int, session: Session
) -> None:
    with transaction(engine) as writing:
        add_attribute(writing, "born", AttributeKind.DATE, label="Born", now=NOW)

    report = run(
        engine,
        list_id,
        "email,attribute born\nada@readers.example,1815-12-10\nbo@readers.example,long ago\n",
    )

    assert [session.get_one(Subscriber, 1).attributes] == [{"born": "1815-12-10"}]
    assert report.problems == (Problem(3, "attribute born", Rejection.BAD_ATTRIBUTE, "long ago"),)


def test_a_person_may_be_on_two_lists(engine: Engine, list_id: int, session: Session) -> None:
    with transaction(engine) as writing:
        weekly = create_list(writing, _new_list("weekly"), now=NOW).id
    run(engine, list_id, "email\nada@readers.example\n")

    report = run(engine, weekly, "email\nada@readers.example\n")

    assert report.of(Outcome.CREATED) == 1
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
    monkeypatch.setattr(import_run, "RECORDS_PER_SLICE", per_slice)
    text = (
        "email,status\nada@readers.example,active\nbo@readers.example,active\n"
        "cy@readers.example,active\n"
        "Ada@readers.example,unsubscribed\nBo@readers.example,bounced\nCy@readers.example,pending\n"
        "ADA@readers.example,unsubscribed\nBO@readers.example,unsubscribed\n"
    )

    report = run(engine, list_id, text)

    assert statuses(session) == {
        "ada@readers.example": UNSUBSCRIBED,
        "bo@readers.example": UNSUBSCRIBED,
        "cy@readers.example": CONFIRMED,
    }
    assert report.statuses == {UNSUBSCRIBED: 2, CONFIRMED: 1}
    assert report.people == 3
    assert is_suppressed(session, parse_address("bo@readers.example"), list_id=list_id)
    assert report.rejected == {Rejection.REPEATED: 5}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("", "the file is empty"),
        ("name,zone", "no column holds the address"),
        ("email,name,e-mail", "columns 1 and 3 both hold the address"),
        (",".join(f"c{number}" for number in range(10_000)), "10000 columns; keep at most 200"),
    ],
    ids=["empty", "no address", "twice", "too many"],
)
@pytest.mark.parametrize("store", ["sqlite"])
def test_s24_a_header_of_no_use_is_refused(
    engine: Engine, list_id: int, header: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        run(engine, list_id, header)


@pytest.mark.parametrize("store", ["sqlite"])
def test_a_file_of_only_a_header_is_an_empty_import(engine: Engine, list_id: int) -> None:
    report = run(engine, list_id, "email,name\n")

    assert (report.state, report.lines, report.people) == (ImportState.DONE, 0, 0)


class _Pipe(io.BytesIO):
    def seekable(self) -> bool:
        return False

    def seek(self, offset: int, whence: int = 0) -> int:
        raise io.UnsupportedOperation


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("store", ["sqlite"])
def test_a_pipe_is_read_as_well_packed_or_not(
    engine: Engine, list_id: int, pack: Callable[[bytes], bytes]
) -> None:
    stream = _Pipe(pack(b"email\nada@readers.example\n"))

    import_id = receive_file(
        engine, unpacked(stream), list_id=list_id, file_name="<stdin>", by="ed", now=NOW
    )
    start_import(engine, import_id, CONSENT)
    run_import(engine, import_id)

    assert report(engine, import_id).outcomes == {"created": 1}


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-8-sig"])
@pytest.mark.parametrize("store", ["sqlite"])
def test_s24_a_file_is_read_in_its_own_encoding(
    engine: Engine, list_id: int, session: Session, encoding: str
) -> None:
    raw = "email,name\r\nbjoern@readers.example,Björn Müller\r\n".encode(encoding)

    import_file(engine, io.BytesIO(raw), CONSENT, list_id=list_id, file_name="x", by="ed", now=NOW)

    assert session.scalars(select(Subscriber.name)).all() == ["Björn Müller"]


@pytest.mark.parametrize("store", ["sqlite"])
def test_what_an_encoding_does_not_have_costs_its_own_line(engine: Engine, list_id: int) -> None:
    raw = "email,name\nada@readers.example,Ada\nbo@readers.example,Bö\n".encode("cp1252")

    found = import_file(
        engine,
        io.BytesIO(raw),
        replace(CONSENT, encoding="ascii"),
        list_id=list_id,
        file_name="x",
        by="ed",
        now=NOW,
    )

    assert found.outcomes == {"created": 1, "not in the encoding": 1}


@pytest.mark.parametrize("store", ["sqlite"])
def test_progress_ends_at_the_files_size(
    engine: Engine, list_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_run, "RECORDS_PER_SLICE", 1_000)
    text = "email\n" + "".join(f"r{number}@readers.example\n" for number in range(5_000))
    import_id = started(engine, list_id, text)
    seen: list[tuple[int, int]] = []

    run_import(engine, import_id, on_progress=lambda done, total: seen.append((done, total)))

    assert {total for _, total in seen} == {len(text)}
    assert len(seen) == 5
    assert seen[-1][0] == len(text)
    assert seen == sorted(seen)


MANY = "email,status\n" + "".join(
    f"r{number % 23}@readers.example,{'bounced' if number % 7 == 3 else 'active'}\n"
    + ("nonsense,active\n" if number % 5 == 0 else "")
    for number in range(60)
)


@pytest.mark.parametrize("slices", [1, 2, 5])
def test_an_import_that_died_goes_on_without_a_half_or_a_double_row(
    engine: Engine, list_id: int, monkeypatch: pytest.MonkeyPatch, slices: int
) -> None:
    with transaction(engine) as session:
        other = create_list(session, _new_list("other"), now=NOW).id
    monkeypatch.setattr(import_run, "RECORDS_PER_SLICE", 9)
    whole = run(engine, other, MANY.replace("@", "@other."))
    import_id = started(engine, list_id, MANY)
    done = 0

    def pull_the_plug(_read: int, _total: int) -> None:
        nonlocal done
        done += 1
        if done == slices:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_import(engine, import_id, on_progress=pull_the_plug)
    resume_import(engine, import_id, is_background=False)
    run_import(engine, import_id)

    resumed = report(engine, import_id)
    assert resumed.outcomes == whole.outcomes
    assert resumed.statuses == whole.statuses
    assert [problem.line for problem in resumed.problems] == [
        problem.line for problem in whole.problems
    ]


def test_who_takes_an_import_up_stops_whoever_was_at_it(engine: Engine, list_id: int) -> None:
    text = "email\n" + "".join(f"r{number}@readers.example\n" for number in range(50))
    import_id = started(engine, list_id, text)
    states: list[ImportState] = []

    def take_over(_read: int, _total: int) -> None:
        if not states:
            resume_import(engine, import_id, is_background=False)
            states.append(run_import(engine, import_id))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(import_run, "RECORDS_PER_SLICE", 10)
        states.append(run_import(engine, import_id, on_progress=take_over))

    assert states == [ImportState.DONE, ImportState.DONE]
    assert report(engine, import_id).outcomes == {"created": 50}


def test_two_imports_of_the_same_file_at_once_make_everybody_once(
    engine: Engine, list_id: int, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_run, "RECORDS_PER_SLICE", 20)
    text = "email\n" + "".join(f"r{number}@readers.example\n" for number in range(200))
    numbers = [started(engine, list_id, text) for _ in range(2)]

    with ThreadPoolExecutor(2) as pool:
        states = list(pool.map(lambda number: run_import(engine, number), numbers))

    outcomes = [report(engine, number).outcomes for number in numbers]
    assert states == [ImportState.DONE] * 2
    assert sum(each.get("created", 0) for each in outcomes) == 200
    assert sum(each.get("unchanged", 0) for each in outcomes) == 200
    assert session.scalar(select(func.count()).select_from(ConsentEvent)) == 200


def cancel(engine: Engine, import_id: int) -> None:
    cancel_import(engine, import_id, now=NOW)


def test_a_cancelled_import_stops_at_its_next_slice_and_forgets_its_file(
    engine: Engine, list_id: int, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_run, "RECORDS_PER_SLICE", 10)
    text = "email\n" + "".join(f"r{number}@readers.example\n" for number in range(50))
    import_id = started(engine, list_id, text)

    state = run_import(
        engine,
        import_id,
        on_progress=lambda _read, _total: cancel(engine, import_id),
    )

    assert state is ImportState.CANCELLED
    assert len(statuses(session)) == 10
    assert session.scalars(select(ImportChunk)).all() == []
    with pytest.raises(StateError):
        resume_import(engine, import_id, is_background=False)


def test_a_dry_run_reports_the_same_and_changes_nothing(engine: Engine, list_id: int) -> None:
    run(
        engine,
        list_id,
        "email,status\nr1@readers.example,unsubscribed\nr2@readers.example,pending\n",
    )
    before = everything(engine)

    dry = run(engine, list_id, MANY, replace(CONSENT, is_dry_run=True, tags=("new",)))

    assert everything(engine) == before
    real = run(engine, list_id, MANY, replace(CONSENT, tags=("new",)))
    assert dry.outcomes == real.outcomes
    assert dry.problems == real.problems


def test_a_worker_takes_what_waits_and_what_a_dead_one_left(
    engine: Engine, list_id: int, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_run, "RECORDS_PER_SLICE", 1)
    background = replace(CONSENT, is_background=True)
    text = "email\nada@readers.example\nbo@readers.example\n"
    monkeypatch.setattr(queue, "ring", lambda *_: None)
    dead = started(engine, list_id, text, background)
    waiting = started(engine, list_id, "email\ncy@readers.example\n", background)
    own = started(engine, list_id, "email\ndi@readers.example\n")
    run_import(engine, dead, should_stop=lambda: True)

    run_waiting(engine, now=NOW, should_stop=lambda: False)
    unfinished = {number: report(engine, number).state for number in (dead, waiting, own)}
    run_waiting(engine, now=NOW + timedelta(minutes=3), should_stop=lambda: False)

    assert unfinished == {
        dead: ImportState.RUNNING,
        waiting: ImportState.DONE,
        own: ImportState.WAITING,
    }
    assert report(engine, dead).outcomes == {"created": 2}
    assert len(statuses(session)) == 3


def test_the_file_of_an_import_that_nobody_went_on_with_is_not_kept(
    engine: Engine, list_id: int, session: Session
) -> None:
    receive_file(
        engine, [b"email\nada@readers.example\n"], list_id=list_id, file_name="x", by="ed", now=NOW
    )

    run_waiting(engine, now=NOW + timedelta(days=8), should_stop=lambda: False)

    assert session.scalars(select(Import.state)).all() == [ImportState.CANCELLED]
    assert session.scalars(select(ImportChunk)).all() == []


def test_each_line_is_in_the_report_that_is_downloaded(engine: Engine, list_id: int) -> None:
    done = run(
        engine,
        list_id,
        "email,name\na@readers.example,A\nb@readers.example,B\n\nc@readers.example,C\nnobody,N\n",
    )

    written = io.StringIO()
    with reading(engine) as session:
        write_report(session, done.import_id, written)
    assert written.getvalue().splitlines() == [
        "first_line,last_line,outcome,field,text",
        "2,3,created,,",
        "5,5,created,,",
        "6,6,invalid address,address,n***",
    ]


@pytest.mark.parametrize("store", ["sqlite"])
def test_an_import_begins_once(engine: Engine, list_id: int) -> None:
    import_id = started(engine, list_id, "email\nada@readers.example\n")
    run_import(engine, import_id)

    with pytest.raises(StateError):
        start_import(engine, import_id, CONSENT)
    with pytest.raises(StateError):
        run_import(engine, import_id)


@pytest.mark.parametrize("store", ["sqlite"])
def test_s24_memory_stays_flat_however_long_the_file(
    engine: Engine, list_id: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_run, "RECORDS_PER_SLICE", 500)

    def peak_of(people: int) -> int:
        path = tmp_path / f"{people}.csv"
        with path.open("w") as file:
            file.write("email\n")
            file.writelines(f"r{number}@readers.example\n" for number in range(people))
        tracemalloc.start()
        with path.open("rb") as stream:
            import_file(engine, stream, CONSENT, list_id=list_id, file_name="x", by="ed", now=NOW)
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
            st.sampled_from(["active", "unsubscribed", "bounced", "pending", "perhaps"]),
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
    second = run(engine, list_id, text)

    for report in (first, second):
        assert report.lines == report.people + sum(report.rejected.values())
    assert everything(engine) == before
    assert second.of(Outcome.CREATED) == second.of(Outcome.UPDATED) == 0
    assert sum(second.statuses.values()) == len(before[1])


def test_s12_what_no_store_can_hold_costs_no_import(engine: Engine, list_id: int) -> None:
    text = "email,optin_ip,x\x00y\nada@readers.example,\x00\ud7ff\u2028,\x00\n"

    assert run(engine, list_id, text).outcomes == {"created": 1}


@pytest.mark.parametrize("store", ["sqlite"])
def test_what_breaks_off_each_time_is_not_tried_for_ever(
    engine: Engine, list_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_run, "MOST_TAKES", 3)
    import_id = started(engine, list_id, "email\nada@readers.example\n")

    with monkeypatch.context() as patched:
        patched.setattr(import_run, "_report", lambda *_: 1 / 0)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                run_import(engine, import_id)

    assert run_import(engine, import_id) is ImportState.FAILED
    assert report(engine, import_id).error.startswith("It was broken off 3 times")


def test_a_dry_run_keeps_its_file_for_a_week_and_is_followed_by_the_import(
    engine: Engine, list_id: int, session: Session
) -> None:
    text = "email,name\nada@readers.example,Ada\nnobody,Bo\n"
    number = started(engine, list_id, text, replace(CONSENT, is_dry_run=True))
    run_import(engine, number)
    tried = report(engine, number).outcomes

    start_import(engine, number, replace(CONSENT, columns={"name": "ignore"}))
    run_import(engine, number)

    assert report(engine, number).outcomes == tried
    assert set(session.scalars(select(Subscriber.name))) == {""}
    assert session.scalars(select(ImportChunk)).all() == []
    with pytest.raises(StateError, match="was started already"):
        start_import(engine, number, CONSENT)


def test_the_file_of_a_dry_run_that_nothing_followed_is_not_kept(
    engine: Engine, list_id: int, session: Session
) -> None:
    number = started(engine, list_id, MANY, replace(CONSENT, is_dry_run=True))
    run_import(engine, number)

    run_waiting(engine, now=NOW + timedelta(days=8), should_stop=lambda: False)

    assert session.scalars(select(ImportChunk)).all() == []
    assert report(engine, number).state is ImportState.DONE
    with pytest.raises(StateError, match="was started already"):
        start_import(engine, number, CONSENT)


@pytest.mark.parametrize(
    ("before", "says", "after"),
    [
        ("bounced", "complained", "complained"),
        ("imported", "on request", "on request"),
        ("complained", "bounced", "complained"),
        ("bounced", "blocked", "bounced"),
    ],
)
def test_b23_a_files_complaint_takes_the_place_of_what_a_machine_said(
    engine: Engine, list_id: int, session: Session, before: str, says: str, after: str
) -> None:
    ada = parse_address("ada@readers.example")
    with transaction(engine) as writing:
        suppress(writing, ada, reason=SuppressionReason(before), source="dsn", now=NOW)

    run(engine, list_id, f"email,status\nada@readers.example,{says}\n")

    assert session.scalars(select(Suppression.reason)).all() == [after]


@pytest.mark.parametrize("slice_records", [1, 100])
def test_of_two_lines_the_complaint_counts_whichever_comes_first(
    engine: Engine,
    list_id: int,
    session: Session,
    monkeypatch: pytest.MonkeyPatch,
    slice_records: int,
) -> None:
    monkeypatch.setattr(import_run, "RECORDS_PER_SLICE", slice_records)

    run(
        engine,
        list_id,
        "email,status\nada@readers.example,bounced\nada@readers.example,complained\n",
    )

    entry = session.scalars(select(Suppression)).one()
    assert (entry.reason, entry.import_id) == (SuppressionReason.COMPLAINED, 1)


def test_s09_an_import_for_its_list_alone_suppresses_nobody_elsewhere(
    engine: Engine, list_id: int, session: Session
) -> None:
    run(
        engine,
        list_id,
        "email,status\nada@readers.example,complained\n",
        replace(CONSENT, is_narrow=True),
    )

    assert session.scalars(select(Suppression.list_id)).all() == [list_id]
    with pytest.raises(InputError, match="not yours"):
        run(engine, list_id, MANY, replace(CONSENT, is_narrow=True, overwrites=True))
