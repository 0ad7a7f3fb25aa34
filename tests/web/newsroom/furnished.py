"""A seeded newsroom with something of everything in it, so that no page of the site is empty."""

import io
from dataclasses import replace
from datetime import datetime, timedelta

from PIL import Image as Picture
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from newsletter.accounts.api_keys import create_api_key
from newsletter.accounts.audit import record
from newsletter.accounts.people import Rights, create_account
from newsletter.accounts.scopes import Scope
from newsletter.audience.importing import ImportPlan, import_file, receive_file
from newsletter.audience.segments.saved import create_segment
from newsletter.compose.formatting import format_briefing
from newsletter.compose.media import keep_picture, reencode
from newsletter.db import transaction
from newsletter.deliver.dkim_keys import create_key
from newsletter.models import (
    Alarm,
    AlarmKind,
    Attempt,
    Candidate,
    CandidateState,
    DeliveryState,
    DkimAlgorithm,
    Edition,
    Feed,
    Hold,
    HoldAction,
    HoldScope,
    Inspection,
    InspectionKind,
    LegalBasis,
    MailingList,
    Reason,
    Role,
    Subscriber,
    SubscriberTag,
    SystemMail,
    SystemMailKind,
    SystemMailState,
    Tag,
)
from newsletter.plan import schedule
from newsletter.plan.alarm_calls import set_target
from newsletter.plan.approval import approve_edition
from newsletter.plan.correcting import note_correction
from newsletter.plan.drafts import cut_revision, draft_of, save_draft
from newsletter.plan.editions import content_of, create_edition
from newsletter.plan.marks import note_test
from newsletter.plan.planner import plan_edition
from newsletter.plan.review import add_comment, submit_edition
from newsletter.seed.content import make_briefing
from newsletter.settings import Settings

BY = "Wim Writer"
PEOPLE = b"email,name,tags\nnew@readers.example,New,quay\nnobody.example,Nobody,\n"


def furnish(engine: Engine, settings: Settings, *, now: datetime) -> None:
    """The database must be seeded."""
    _put_people_with_access(engine, now)
    _put_imports(engine, now)
    _put_inbox(engine, now)
    _put_troubles(engine, now)
    _put_an_edition_in_review(engine, settings, now)
    _put_an_edition_under_correction(engine, settings, now)


def _put_people_with_access(engine: Engine, now: datetime) -> None:
    with transaction(engine) as session:
        create_account(
            session, "vera@harbour.example", "Vera Viewer", Rights(Role.VIEWER), by=BY, now=now
        )
        create_api_key(
            session,
            "the web site",
            [Scope.LISTS_READ],
            list_ids=None,
            by=BY,
            expires_at=now + timedelta(days=30),
            now=now,
        )
        record(
            session,
            actor=BY,
            account_id=None,
            action="list changed",
            details={"name": "x"},
            now=now,
        )


def _put_imports(engine: Engine, now: datetime) -> None:
    """One that has been done, and one that waits to be understood."""
    import_file(
        engine,
        io.BytesIO(PEOPLE),
        ImportPlan(basis=LegalBasis.CONSENT, note="at the quay", tags=("quay",)),
        list_id=1,
        file_name="people.csv",
        by=BY,
        now=now,
    )
    receive_file(engine, [PEOPLE], list_id=1, file_name="more.csv", by=BY, now=now)


def _put_inbox(engine: Engine, now: datetime) -> None:
    with transaction(engine) as session:
        feed = Feed(
            list_id=1,
            url="https://gazette.example/feed",
            name="Gazette",
            next_at=now,
            error="It answered 500.",
            created_at=now,
            created_by=BY,
        )
        session.add(feed)
        session.flush()
        for number, state in enumerate(CandidateState):
            session.add(
                Candidate(
                    list_id=1,
                    feed_id=feed.id,
                    url=f"https://gazette.example/{number}",
                    url_key=bytes([number]) * 16,
                    title="A crane falls",
                    summary="Nobody was hurt.",
                    source="Gazette",
                    published_at=now,
                    found_at=now,
                    seen_at=now,
                    state=state,
                    error="It answered 404." if state is CandidateState.UNREADABLE else None,
                )
            )
        picture = io.BytesIO()
        Picture.new("RGB", (800, 400), "#246").save(picture, "PNG")
        keep_picture(session, reencode(picture.getvalue()), name="quay.png", by=BY, now=now)
        create_segment(
            session, "locals", "language = en", description="Who lives here", created_by=BY, now=now
        )


def _put_troubles(engine: Engine, now: datetime) -> None:
    """Alarms, holds, what a look at a transport found, and what servers said."""
    with transaction(engine) as session:
        set_target(session, 1, "https://desk.example/alarms", by=BY, now=now)
        session.add(
            Alarm(
                kind=AlarmKind.UNREADY,
                list_id=1,
                slot_date=now.date(),
                at=now,
                text="Nothing is approved.",
            )
        )
        session.add(
            Hold(
                scope=HoldScope.TRANSPORT,
                key="1",
                transport_id=1,
                action=HoldAction.SUSPEND,
                rule="refused",
                reason="Nine in ten were refused.",
                reply="550 5.7.1 Go away",
                since=now,
            )
        )
        for kind, key in (
            (InspectionKind.TRANSPORT, "1"),
            (InspectionKind.DOMAIN, "harbour-press.example"),
        ):
            session.add(
                Inspection(
                    kind=kind,
                    key=key,
                    asked_at=now,
                    asked_by=BY,
                    begun_at=now,
                    ended_at=now,
                    findings=[
                        {
                            "health": "warning",
                            "subject": "SPF",
                            "finding": "None.",
                            "remedy": "Publish it.",
                        }
                    ],
                )
            )
        create_key(session, "harbour-press.example", "n1", algorithm=DkimAlgorithm.RSA, now=now)
        tag = Tag(name="harbour")
        session.add(tag)
        session.flush()
        first = session.scalars(select(Subscriber.id).order_by(Subscriber.id).limit(1)).one()
        session.add(SubscriberTag(subscriber_id=first, tag_id=tag.id))


def _put_an_edition_in_review(engine: Engine, settings: Settings, now: datetime) -> None:
    with transaction(engine) as session:
        edition = _edition(session, settings, now, stories=30)
        mail = SystemMail(
            reference="a-test",
            kind=SystemMailKind.TEST,
            to_address="wim@harbour.example",
            list_id=1,
            data={},
            state=SystemMailState.FAILED,
            reply="550 5.1.1 Nobody here",
            next_at=now,
            created_at=now,
            ended_at=now,
        )
        session.add(mail)
        session.flush()
        note_test(session, edition, [mail.id], by=BY, now=now)
        submit_edition(session, edition.id, note="The crane?", by=BY, settings=settings, now=now)
        add_comment(session, edition.id, "Who says so?", story=1, by="Edda Editor", now=now)
        stale = draft_of(session, edition.id)
        changed = replace(stale.content, subject="Another subject")
        save_draft(session, edition.id, changed, based_on=stale.version - 1, by=BY, now=now)


def _put_an_edition_under_correction(engine: Engine, settings: Settings, now: datetime) -> None:
    """Paused, with people that were refused, and a correction that waits for its approval."""
    with transaction(engine) as session:
        edition_id = _edition(session, settings, now).id
        approve_edition(session, edition_id, approved_by="Edda Editor", settings=settings, now=now)
        schedule.send_now(session, edition_id, now=now)
    plan_edition(engine, edition_id, now=now)
    with transaction(engine) as session:
        schedule.pause(session, edition_id)
        draft = draft_of(session, edition_id)
        changed = replace(draft.content, subject="The right subject")
        save_draft(session, edition_id, changed, based_on=draft.version, by=BY, now=now)
        cut_revision(session, edition_id, settings=settings, by=BY, now=now)
        note_correction(session, edition_id, "The subject was wrong.", by=BY, now=now)
        for reader in session.scalars(select(Subscriber.id).order_by(Subscriber.id).limit(3)):
            session.add(
                Attempt(
                    edition_id=edition_id,
                    subscriber_id=reader,
                    at=now,
                    lease_token=1,
                    state=DeliveryState.DEFERRED,
                    reason=Reason.BUSY,
                    code=451,
                    reply="451 4.7.1 Try again later",
                )
            )


def _edition(session: Session, settings: Settings, now: datetime, *, stories: int = 12) -> Edition:
    briefing = make_briefing("The Harbour Morning", now.date(), stories=stories)
    return create_edition(
        session,
        content_of(briefing, format_briefing(briefing)),
        lists=[session.get_one(MailingList, 1)],
        settings=settings,
        created_by=BY,
        now=now,
    )
