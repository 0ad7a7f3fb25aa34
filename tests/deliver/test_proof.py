"""An edition that cannot be made is held before anybody is mailed, and nobody else waits for it."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, select, update

from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.deliver.proof import proven
from newsletter.deliver.sender import Sender
from newsletter.deliver.warm_up import Plan, start
from newsletter.devmail.peer import DevMail
from newsletter.errors import RenderError
from newsletter.models import (
    CompiledEdition,
    DeliveryState,
    EditionState,
    Hold,
    HoldScope,
    WarmUpDay,
)
from newsletter.tokens import Tokens
from tests.newsroom import (
    add_list,
    add_readers,
    add_transport,
    assert_ledger_is_exact,
    count_states,
    edition_of,
    sending_edition,
    settings_for,
)
from tests.smtpd import smtpd

__all__ = ["smtpd"]

SENT, WAITING = DeliveryState.SENT, DeliveryState.WAITING


def damage(engine: Engine, edition_id: int, form: bytes) -> None:
    with transaction(engine) as session:
        session.execute(
            update(CompiledEdition)
            .where(CompiledEdition.edition_id == edition_id)
            .values(form=form)
        )


@pytest.mark.parametrize("form", [b"", b"no form at all"])
def test_r46_an_edition_that_cannot_be_made_is_paused_before_anybody_is_mailed(
    engine: Engine, tmp_path: Path, smtpd: DevMail, form: bytes
) -> None:
    settings = settings_for(tmp_path)
    list_id, transport = add_list(engine), add_transport(engine, smtpd.port)
    add_readers(engine, list_id, ["Ada", "Bo", "Cy"])
    broken = sending_edition(engine, settings, [list_id], transport)
    sound = sending_edition(engine, settings, [list_id], transport)
    damage(engine, broken, form)

    with Sender(engine, settings) as sender:
        sender.drain(seconds=20)

    assert count_states(engine, broken) == {WAITING: 3}
    assert edition_of(engine, broken).state is EditionState.PAUSED
    assert count_states(engine, sound) == {SENT: 3}
    assert len(smtpd.messages()) == 3
    with reading(engine) as session:
        held = session.scalars(select(Hold)).one()
    assert (held.scope, held.key, held.rule) == (HoldScope.EDITION, str(broken), "R-46")
    assert "damaged" in held.reason
    assert_ledger_is_exact(engine, broken)


def test_an_edition_that_cannot_be_made_takes_nothing_of_a_days_cap(
    engine: Engine, tmp_path: Path, smtpd: DevMail
) -> None:
    settings = settings_for(tmp_path)
    list_id, transport = add_list(engine), add_transport(engine, smtpd.port)
    add_readers(engine, list_id, ["Ada", "Bo"])
    edition_id = sending_edition(engine, settings, [list_id], transport)
    damage(engine, edition_id, b"")
    with transaction(engine) as session:
        start(session, transport, Plan(), now=utc_now())

    with Sender(engine, settings) as sender:
        sender.drain(seconds=20)

    with reading(engine) as session:
        assert session.scalars(select(WarmUpDay.reserved)).all() == [0]


def test_an_edition_that_can_be_made_is_proven_without_a_word(
    engine: Engine, tmp_path: Path
) -> None:
    settings = settings_for(tmp_path)
    list_id, transport = add_list(engine), add_transport(engine, 25)
    edition_id = sending_edition(engine, settings, [list_id], transport)
    with reading(engine) as session:
        form = session.get_one(CompiledEdition, (edition_id, 1, list_id)).form
    tokens = Tokens(settings.secret_keys)

    assert proven(form, tokens, list_id=list_id, now=utc_now()).sender_domain == "harbour.example"
    with pytest.raises(RenderError, match="No message of it can be made"):
        proven(form[:-9], tokens, list_id=list_id, now=utc_now())
