"""What a reader hides is not in the mail that a real server received."""

from dataclasses import replace
from email import message_from_bytes, policy

from sqlalchemy import Engine

from newsletter.compose.briefing import Briefing, KeyPoint, Section, Span, Story
from newsletter.db import reading, transaction
from newsletter.deliver.sender import Sender
from newsletter.devmail.peer import DevMail
from newsletter.models import Delivery, DeliveryState, Reason, Subscription
from newsletter.settings import Settings
from tests.newsroom import (
    a_briefing,
    add_readers,
    add_transport,
    assert_ledger_is_exact,
)
from tests.plan.test_hiding import a_list_with_sections, planned
from tests.smtpd import checked_devmail


def briefing() -> Briefing:
    port = Section("Port", (Story("The quay is open", ((Span("Ships again."),),)),))
    sport = Section("Sport", (Story("The cup is lost", ((Span("Nil to nil."),),)),))
    points = (KeyPoint("Quay open.", 1), KeyPoint("Cup lost.", 2))
    return replace(a_briefing(), sections=(port, sport), key_points=points)


def hide(engine: Engine, list_id: int, subscriber_id: int, mask: int) -> None:
    with transaction(engine) as session:
        session.get_one(Subscription, (list_id, subscriber_id)).hidden_sections = mask


def received(peer: DevMail) -> dict[str, tuple[str, str]]:
    """Text and HTML by who got it."""
    mails = {}
    for mail in peer.messages():
        message = message_from_bytes(mail.content, policy=policy.default)
        text, html = (part.get_content() for part in message.iter_parts())
        mails[mail.rcpt_to[0].partition("@")[0]] = (text, html)
    return mails


def test_each_reader_gets_the_sections_they_want(engine: Engine, settings: Settings) -> None:
    with checked_devmail() as peer:
        add_transport(engine, peer.port)
        list_id = a_list_with_sections(engine)
        _, bo, cy, dee = add_readers(engine, list_id, ["ada", "bo", "cy", "dee"])
        hide(engine, list_id, bo, 0b10)
        hide(engine, list_id, cy, 0b01)
        edition_id = planned(engine, settings, briefing(), list_id)
        hide(engine, list_id, dee, 0b11)  # after the planning, before the claim

        with Sender(engine, settings) as sender:
            sender.drain(seconds=20)

        mails = received(peer)
        assert set(mails) == {"ada", "bo", "cy"}
        for name, (has_port, has_sport) in {
            "ada": (True, True),
            "bo": (True, False),
            "cy": (False, True),
        }.items():
            for part in mails[name]:
                assert ("The quay is open" in part) is has_port
                assert ("Quay open." in part) is has_port
                assert ("The cup is lost" in part) is has_sport
                assert ("Cup lost." in part) is has_sport
        assert " 1. Cup lost." in mails["cy"][0]
        with reading(engine) as session:
            left = session.get_one(Delivery, (edition_id, dee))
            assert (left.state, left.reason) == (DeliveryState.EXCLUDED, Reason.NOTHING_LEFT)
        assert_ledger_is_exact(engine, edition_id, peer)
