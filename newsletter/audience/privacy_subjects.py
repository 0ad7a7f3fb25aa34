"""Everything that the tables say of one person, subject by subject, as plain values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from enum import Enum, IntEnum
from typing import Any

from sqlalchemy import Select, and_, func, select
from sqlalchemy.orm import Session

from newsletter.audience.evidence import evidence_of
from newsletter.audience.sections import hidden_among
from newsletter.audience.subscribers import written_fields
from newsletter.audience.tags import tags_of
from newsletter.models import (
    EVERYWHERE,
    AddressMove,
    Attempt,
    Deferral,
    Delivery,
    Edition,
    Engagement,
    Event,
    Invitation,
    LiftedSuppression,
    Link,
    ListSection,
    MailingList,
    RecipientOfTests,
    Revision,
    Settlement,
    SignupRequest,
    Subscriber,
    SubscriberChange,
    Subscription,
    Suppression,
    SystemMail,
)

Rows = list[dict[str, Any]]
EVERY_LIST = "every list"


@dataclass(frozen=True, slots=True)
class Traces:
    """What a person is found by: their number, name, and every address that they had and have."""

    subscriber_id: int
    name: str
    addresses: frozenset[str]
    """As they are mailed, and as they are compared."""
    hashes: frozenset[bytes]


def _profile(session: Session, traces: Traces) -> Rows:
    person = session.get_one(Subscriber, traces.subscriber_id)
    return [
        {
            "number": person.id,
            **written_fields(session, person),
            "tags": ", ".join(tags_of(session, person.id)),
            "known since": _plain(person.created_at),
            "first known by import": person.import_id,
            "followed a link about": _plain(person.clicked_at),
        }
    ]


def _subscriptions(session: Session, traces: Traces) -> Rows:
    rows = session.execute(
        select(Subscription, MailingList)
        .join(MailingList, MailingList.id == Subscription.list_id)
        .where(Subscription.subscriber_id == traces.subscriber_id)
        .order_by(Subscription.joined_at, Subscription.list_id)
    ).all()
    return [
        {
            "list": mailing_list.slug,
            "name": mailing_list.name,
            "status": _plain(subscription.status),
            "joined at": _plain(subscription.joined_at),
            "left at": _plain(subscription.left_at),
            "sections not wanted": ", ".join(_hidden(session, subscription)),
            "import": subscription.import_id,
        }
        for subscription, mailing_list in rows
    ]


def _hidden(session: Session, subscription: Subscription) -> list[str]:
    sections = session.scalars(
        select(ListSection)
        .where(ListSection.list_id == subscription.list_id)
        .order_by(ListSection.position, ListSection.bit)
    ).all()
    return [section.name for section in hidden_among(sections, subscription.hidden_sections)]


def _consents(session: Session, traces: Traces) -> Rows:
    return [
        {
            "list": each.list_slug,
            "kind": _plain(each.kind),
            "at": _plain(each.at),
            "evidence": each.details,
        }
        for each in evidence_of(session, traces.subscriber_id)
    ]


def _changes(session: Session, traces: Traces) -> Rows:
    change = SubscriberChange
    return _read(
        session,
        select(
            change.at,
            change.field,
            change.before,
            change.after,
            change.cause,
            change.by,
            change.reference,
        )
        .where(change.subscriber_id == traces.subscriber_id)
        .order_by(change.id),
    )


def _suppressions(session: Session, traces: Traces) -> Rows:
    return _read(
        session,
        select(
            func.coalesce(MailingList.slug, EVERY_LIST).label("list"),
            Suppression.reason,
            Suppression.source,
            Suppression.reply_class.label("class"),
            Suppression.created_at.label("since"),
        )
        .outerjoin(
            MailingList,
            and_(MailingList.id == Suppression.list_id, Suppression.list_id != EVERYWHERE),
        )
        .where(Suppression.address_hash.in_(traces.hashes))
        .order_by(Suppression.created_at, Suppression.list_id),
    )


def _lifted_suppressions(session: Session, traces: Traces) -> Rows:
    lifted = LiftedSuppression
    return _read(
        session,
        select(
            func.coalesce(MailingList.slug, EVERY_LIST).label("list"),
            lifted.reason,
            lifted.source,
            lifted.reply_class.label("class"),
            lifted.created_at.label("since"),
            lifted.lifted_at.label("until"),
            lifted.lifted_by.label("lifted by"),
            lifted.why,
        )
        .outerjoin(
            MailingList, and_(MailingList.id == lifted.list_id, lifted.list_id != EVERYWHERE)
        )
        .where(lifted.address_hash.in_(traces.hashes))
        .order_by(lifted.id),
    )


def _requests(session: Session, traces: Traces) -> Rows:
    request = SignupRequest
    slugs = {row.id: row.slug for row in session.scalars(select(MailingList))}
    found = session.scalars(
        select(request).where(request.address_hash.in_(traces.hashes)).order_by(request.id)
    )
    return [
        {
            "kind": each.kind.value,
            "address": each.address,
            "lists": ", ".join(slugs.get(list_id, "") for list_id in each.list_ids),
            "language": each.language,
            "zone": each.zone,
            "wording": each.wording,
            "form": each.form_url,
            "ip": each.ip,
            "user agent": each.user_agent,
            "requested at": _plain(each.requested_at),
            "answer": _plain(each.answer),
            "answered at": _plain(each.answered_at),
            "confirmed at": _plain(each.confirmed_at),
            "invited by": each.invited_by,
            "reason": each.reason,
        }
        for each in found
    ]


def _address_moves(session: Session, traces: Traces) -> Rows:
    move = AddressMove
    return _read(
        session,
        select(
            move.new_address.label("new address"),
            move.asked_at.label("asked at"),
            move.old_agreed_at.label("old address agreed at"),
            move.new_agreed_at.label("new address agreed at"),
            move.done_at.label("done at"),
        )
        .where(move.subscriber_id == traces.subscriber_id)
        .order_by(move.asked_at),
    )


def _invitations(session: Session, traces: Traces) -> Rows:
    return _read(
        session,
        select(MailingList.slug.label("list"), Invitation.by, Invitation.at)
        .join(MailingList, MailingList.id == Invitation.list_id)
        .where(Invitation.address_hash.in_(traces.hashes))
        .order_by(Invitation.id),
    )


def _deliveries(session: Session, traces: Traces) -> Rows:
    subject = (
        select(Revision.subject)
        .where(
            Revision.edition_id == Delivery.edition_id,
            Revision.number == func.coalesce(Delivery.revision, Edition.approved_revision),
        )
        .scalar_subquery()
    )
    return _read(
        session,
        _of_editions(
            session,
            select(
                Delivery.edition_id.label("edition"),
                subject.label("subject"),
                MailingList.slug.label("list"),
                Delivery.state,
                Delivery.reason,
                Delivery.sent_at.label("sent at"),
                Delivery.attempts,
                Delivery.code.label("answer"),
                Deferral.first_at.label("first tried at"),
                Deferral.next_at.label("tried again at"),
            )
            .join(Edition, Edition.id == Delivery.edition_id)
            .join(MailingList, MailingList.id == Delivery.list_id)
            .outerjoin(
                Deferral,
                and_(
                    Deferral.edition_id == Delivery.edition_id,
                    Deferral.subscriber_id == Delivery.subscriber_id,
                ),
            )
            .order_by(Delivery.edition_id),
            Delivery,
            traces,
        ),
    )


def _attempts(session: Session, traces: Traces) -> Rows:
    query = select(
        Attempt.edition_id.label("edition"),
        Attempt.at,
        Attempt.state,
        Attempt.reason,
        Attempt.code.label("answer"),
        Attempt.enhanced,
        Attempt.reply.label("words"),
        Attempt.reply_class.label("class"),
    ).order_by(Attempt.at, Attempt.id)
    return _read(session, _of_editions(session, query, Attempt, traces))


def _doubts(session: Session, traces: Traces) -> Rows:
    query = select(
        Settlement.edition_id.label("edition"),
        Settlement.at,
        Settlement.state.label("settled to be"),
        Settlement.evidence,
        Settlement.by,
    ).order_by(Settlement.at, Settlement.id)
    return _read(session, _of_editions(session, query, Settlement, traces))


def _opens_and_clicks(session: Session, traces: Traces) -> Rows:
    query = (
        select(
            Engagement.edition_id.label("edition"),
            Link.url.label("link"),
            Engagement.first_at.label("first at"),
            Engagement.times,
        )
        .outerjoin(
            Link,
            and_(Link.edition_id == Engagement.edition_id, Link.number == Engagement.link),
        )
        .order_by(Engagement.first_at, Engagement.link)
    )
    return _read(session, _of_editions(session, query, Engagement, traces))


def _events(session: Session, traces: Traces) -> Rows:
    query = (
        select(Event.at, Event.kind, Event.edition_id.label("edition"), Link.url.label("link"))
        .outerjoin(Link, and_(Link.edition_id == Event.edition_id, Link.number == Event.link))
        .order_by(Event.at, Event.sequence)
    )
    return _read(session, _of_editions(session, query, Event, traces))


def _single_mails(session: Session, traces: Traces) -> Rows:
    """Without what they were filled with: links in it act for whoever has them."""
    mail = SystemMail
    return _read(
        session,
        select(
            mail.kind,
            mail.to_address.label("to"),
            MailingList.slug.label("list"),
            mail.state,
            mail.created_at.label("written at"),
            mail.ended_at.label("ended at"),
            mail.attempts,
            mail.reply.label("answer"),
        )
        .outerjoin(MailingList, MailingList.id == mail.list_id)
        .where(mail.to_address.in_(traces.addresses))
        .order_by(mail.id),
    )


def _test_recipients(session: Session, traces: Traces) -> Rows:
    entry = RecipientOfTests
    return _read(
        session,
        select(entry.pattern, entry.added_at, entry.added_by)
        .where(entry.pattern.in_(traces.addresses))
        .order_by(entry.pattern),
    )


SUBJECTS: Mapping[str, Callable[[Session, Traces], Rows]] = {
    "profile": _profile,
    "subscriptions": _subscriptions,
    "consents": _consents,
    "changes": _changes,
    "suppressions": _suppressions,
    "lifted suppressions": _lifted_suppressions,
    "sign-up requests": _requests,
    "address moves": _address_moves,
    "invitations": _invitations,
    "deliveries": _deliveries,
    "attempts": _attempts,
    "doubts": _doubts,
    "opens and clicks": _opens_and_clicks,
    "events": _events,
    "single mails": _single_mails,
    "test recipients": _test_recipients,
}


def _of_editions(
    session: Session, query: Select[*tuple[Any, ...]], table: Any, traces: Traces
) -> Select[*tuple[Any, ...]]:
    """Their keys begin with the edition: without naming it each table would be read whole."""
    editions = list(session.scalars(select(Edition.id).where(Edition.started_at.is_not(None))))
    return query.where(table.edition_id.in_(editions), table.subscriber_id == traces.subscriber_id)


def _read(session: Session, query: Select[*tuple[Any, ...]]) -> Rows:
    rows = session.execute(query).mappings()
    return [{name: _plain(value) for name, value in row.items()} for row in rows]


def _plain(value: object) -> object:
    match value:
        case IntEnum():
            return value.name.lower().replace("_", " ")
        case Enum():
            return value.value
        case datetime() | date() | time():
            return value.isoformat()
        case _:
            return value
