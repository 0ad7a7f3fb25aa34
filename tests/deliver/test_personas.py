"""A test mail that greets as a reader is that reader's mail: without what they hide."""

from email import message_from_bytes, policy

import pytest
from sqlalchemy import Engine

from newsletter.addresses import parse_address
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.deliver.system_letters import write
from newsletter.deliver.test_recipients import allow_tests
from newsletter.deliver.test_sends import request_test
from newsletter.errors import InputError
from newsletter.models import SystemMail
from newsletter.settings import Settings
from newsletter.tokens import Tokens
from tests.deliver.test_hidden_sections import briefing, hide
from tests.newsroom import MORNING, add_readers, add_transport
from tests.plan.test_hiding import a_list_with_sections, planned

ADA = parse_address("ada@readers.example")
ED = parse_address("ed@desk.example")


@pytest.fixture
def edition_id(engine: Engine, settings: Settings) -> int:
    """Ada hides Sport, Bo everything."""
    add_transport(engine, 25)
    list_id = a_list_with_sections(engine)
    ada, bo = add_readers(engine, list_id, ["Ada", "Bo"])
    hide(engine, list_id, ada, 0b10)
    hide(engine, list_id, bo, 0b11)
    with transaction(engine) as session:
        allow_tests(session, "@desk.example", by="Ed", now=MORNING)
    return planned(engine, settings, briefing(), list_id)


def test_what_the_persona_hides_is_left_out(
    engine: Engine, settings: Settings, edition_id: int
) -> None:
    texts = []
    for persona in (None, ADA):
        with transaction(engine) as session:
            [mail_id] = request_test(
                session,
                edition_id,
                to=[ED],
                by="Ed",
                most_per_minute=9,
                persona=persona,
                now=utc_now(),
            )
        with reading(engine) as session:
            outgoing = write(
                session,
                session.get_one(SystemMail, mail_id),
                settings=settings,
                tokens=Tokens(settings.secret_keys),
                now=utc_now(),
            )
        message = message_from_bytes(outgoing.parcel.content, policy=policy.default)
        texts.append("".join(part.get_content() for part in message.iter_parts()))

    whole, hers = texts
    assert "Nil to nil." in whole
    assert "Ships again." in hers
    assert "Nil to nil." not in hers
    assert "Cup lost." not in hers


def test_a_persona_who_hides_everything_gets_nothing(engine: Engine, edition_id: int) -> None:
    with transaction(engine) as session, pytest.raises(InputError, match="gets nothing"):
        request_test(
            session,
            edition_id,
            to=[ED],
            by="Ed",
            most_per_minute=9,
            persona=parse_address("bo@readers.example"),
            now=utc_now(),
        )
