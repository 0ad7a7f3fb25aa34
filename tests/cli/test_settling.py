"""`newsletter edition uncertain`, `edition correct` and `db arm` at a terminal."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, select

from newsletter.cli import database, edition
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.deliver import claims, ledger
from newsletter.deliver.epoch import disarm
from newsletter.deliver.recovery import recover
from newsletter.errors import InputError, StateError
from newsletter.models import (
    THE_ONE,
    DeliveryState,
    Edition,
    Installation,
    Settlement,
)
from newsletter.settings import get_settings
from newsletter.tokens import DeliveryRef, Purpose, Tokens
from tests.newsroom import (
    MORNING,
    add_list,
    add_readers,
    add_transport,
    assert_ledger_is_exact,
    sending_edition,
    states_of,
)

pytestmark = pytest.mark.parametrize("store", ["sqlite"])

LEASE = timedelta(seconds=60)
SENT, UNCERTAIN, WAITING = DeliveryState.SENT, DeliveryState.UNCERTAIN, DeliveryState.WAITING
BRIEFING = """\
[Harbour Brief] The Harbour Is Shut After All

[Port]

The Harbour Is Shut

Nobody knows for how long, and the ferries lie at the quay since this morning. (Gazette)
"""


@pytest.fixture(autouse=True)
def _own_installation(
    own_bells: None, own_database: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWSLETTER_STATE_DIR", str(tmp_path))


@pytest.fixture
def edition_id(engine: Engine, tmp_path: Path) -> int:
    """Ada, Bo and Cy are in doubt: the host that mailed them was lost."""
    list_id = add_list(engine)
    add_readers(engine, list_id, ["Ada", "Bo", "Cy"])
    made = sending_edition(engine, get_settings(), [list_id], add_transport(engine, 25))
    with transaction(engine) as session:
        claimed = claims.claim(session, now=MORNING, lease=LEASE)
        assert claimed is not None
        upto = claimed.readers[-1].subscriber_id
        ledger.intend(session, claimed.lease, upto=upto, now=MORNING, extend=LEASE)
    recover(engine, tmp_path, now=MORNING + 2 * LEASE)
    return made


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(edition.command, arguments, input=stdin)


def states(engine: Engine, edition_id: int) -> list[DeliveryState]:
    return [state for _, state in sorted(states_of(engine, edition_id).items())]


def test_who_is_in_doubt_is_named_for_people_and_for_programs(edition_id: int) -> None:
    told = run("uncertain", str(edition_id))
    listed = run("uncertain", str(edition_id), "--json")

    assert "ada@readers.example  worker_died" in told.output
    assert [row["address"] for row in json.loads(listed.output)] == [
        "ada@readers.example",
        "bo@readers.example",
        "cy@readers.example",
    ]


def test_a_person_settles_by_name_and_the_rest_at_once(engine: Engine, edition_id: int) -> None:
    ended = run(
        "uncertain", str(edition_id), "--sent=ADA@readers.example", "--resend=bo@readers.example"
    )

    assert ended.exit_code == 0
    assert states(engine, edition_id) == [SENT, WAITING, UNCERTAIN]

    ended = run("uncertain", str(edition_id), "--all-sent")

    assert states(engine, edition_id) == [SENT, WAITING, SENT]
    assert "Nobody" in ended.output
    with reading(engine) as session:
        assert all(session.scalars(select(Settlement.by)))
    assert_ledger_is_exact(engine, edition_id)


def test_all_of_them_are_sent_again(engine: Engine, edition_id: int) -> None:
    run("uncertain", str(edition_id), "--all-resend")

    assert states(engine, edition_id) == [WAITING] * 3
    assert_ledger_is_exact(engine, edition_id)


def test_the_relays_log_counts_before_what_is_decided_for_all(
    engine: Engine, edition_id: int
) -> None:
    ada = min(states_of(engine, edition_id))
    token = Tokens(get_settings().secret_keys).delivery(
        Purpose.MESSAGE_ID, DeliveryRef(edition_id, ada)
    )
    log = f"x: message-id=<{token}@{get_settings().mail_domain}> status=sent\n"

    ended = run("uncertain", str(edition_id), "--relay-log=-", "--all-resend", stdin=log)

    assert ended.exit_code == 0
    assert states(engine, edition_id) == [SENT, WAITING, WAITING]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--all-sent", "--all-resend"], "contradict"),
        (["--sent=zoe@readers.example"], "zoe@readers.example: not in doubt"),
        (["--sent=ada@readers.example", "--resend=ada@readers.example"], "contradict"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    engine: Engine, edition_id: int, arguments: list[str], words: str
) -> None:
    ended = run("uncertain", str(edition_id), *arguments)

    assert isinstance(ended.exception, InputError)
    assert words in str(ended.exception)
    assert states(engine, edition_id) == [UNCERTAIN] * 3


def test_a_correction_is_put_beside_and_withdrawn(
    engine: Engine, edition_id: int, tmp_path: Path
) -> None:
    file = tmp_path / "corrected.txt"
    file.write_text(BRIEFING)

    made = run("correct", str(edition_id), str(file))
    dropped = run("correct", str(edition_id), "--drop")
    nothing = run("correct", str(edition_id), "--drop")

    assert "revision 2 as a correction; revision 1 is sent" in made.output, made.output
    assert dropped.exit_code == 0
    assert isinstance(nothing.exception, StateError)
    assert isinstance(run("correct", str(edition_id)).exception, InputError)
    with reading(engine) as session:
        assert session.get_one(Edition, edition_id).revision == 1


def test_a_refused_database_is_armed_by_a_person(engine: Engine) -> None:
    disarm(engine, now=utc_now())

    refused = CliRunner().invoke(database.command, ["arm"], input="n\n")
    with reading(engine) as session:
        still = session.get_one(Installation, THE_ONE).disarmed_at
    ended = CliRunner().invoke(database.command, ["arm", "--yes"])

    assert (refused.exit_code, ended.exit_code) == (1, 0)
    assert still is not None
    assert "The database may send." in ended.output
    with reading(engine) as session:
        assert session.get_one(Installation, THE_ONE).disarmed_at is None
