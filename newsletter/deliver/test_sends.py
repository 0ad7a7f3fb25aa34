"""Test sends: an edition as its readers would get it, to people who are no readers of it.

They leave no delivery behind and count in no figure. They wait in the outbox, so that they are ahead
of every edition.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from newsletter.addresses import Address, address_hash
from newsletter.audience.suppression import suppressed_among
from newsletter.deliver.test_recipients import not_allowed
from newsletter.errors import InputError, NotFoundError, StateError
from newsletter.models import (
    Edition,
    MailingList,
    RecipientOfTests,
    Subscriber,
    Subscription,
    SystemMail,
    SystemMailKind,
    SystemMailState,
)
from newsletter.outbox import post
from newsletter.plan.hiding import hiding_of
from newsletter.plan.stored import lists_of

MOST_AT_ONCE = 20
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class ResultOfTest:
    """`reply` is the server's last answer, or what kept us from getting one; empty before the first."""

    address: str
    state: SystemMailState
    reply: str

    @property
    def is_known(self) -> bool:
        """Whether there is something to tell, even if another try follows."""
        return bool(self.reply)


def request_test(
    session: Session,
    edition_id: int,
    *,
    to: Sequence[Address],
    by: str,
    most_per_minute: int,
    list_slug: str | None = None,
    persona: Address | None = None,
    also_allowed: Collection[str] = (),
    now: datetime,
) -> list[int]:
    """Post the newest revision to each of `to`; returns the mails' ids, in that order.

    It is dressed as the edition's first list, or the one named; with `persona` it greets that
    subscriber, leaves out what they hide, and comes from the first list of the edition that they are
    on. `also_allowed` are keys of addresses that need not be listed. Raises `InputError` when
    somebody must not be mailed, `StateError` when too many tests were sent in the last minute.
    """
    edition = session.get(Edition, edition_id)
    if edition is None:
        raise NotFoundError("There is no edition {edition}.", edition=edition_id)
    to = list({address.key: address for address in to}.values())
    lists = lists_of(session, edition_id)
    reader = _reader(session, persona, lists)
    mailing_list = _choose_list(lists, list_slug, reader)
    _require_allowed(session, [each for each in to if each.key not in also_allowed])
    _require_not_suppressed(session, to, mailing_list)
    _require_room(session, len(to), most_per_minute, now)
    data = {
        "edition_id": edition_id,
        "revision": edition.revision,
        "list_id": mailing_list.id,
        "by": by,
        **_persona_data(reader, mailing_list),
        "hidden": _hidden(session, edition, reader, mailing_list),
    }
    posted = [
        post(
            session,
            SystemMailKind.TEST,
            to=address,
            data=data,
            list_id=mailing_list.id,
            now=now,
        )
        for address in to
    ]
    return [mail_id for mail_id in posted if mail_id is not None]


def results_of(session: Session, mail_ids: Sequence[int]) -> list[ResultOfTest]:
    mails = session.scalars(select(SystemMail).where(SystemMail.id.in_(mail_ids)))
    found = {mail.id: mail for mail in mails}
    return [
        ResultOfTest(mail.to_address, mail.state, mail.reply)
        for mail in (found[mail_id] for mail_id in mail_ids)
    ]


@dataclass(frozen=True, slots=True)
class _Reader:
    subscriber_id: int
    name: str
    joined_at: dict[int, datetime]
    hidden_sections: dict[int, int]
    """By list, as their subscription has them."""
    """When they joined, by list, in the edition's order of lists."""


def _reader(
    session: Session, persona: Address | None, lists: Sequence[MailingList]
) -> _Reader | None:
    if persona is None:
        return None
    rows = session.execute(
        select(
            Subscriber.id,
            Subscriber.name,
            Subscription.list_id,
            Subscription.joined_at,
            Subscription.hidden_sections,
        )
        .join(Subscription, Subscription.subscriber_id == Subscriber.id)
        .where(Subscriber.address_key == persona.key)
    ).all()
    joined = {row.list_id: row.joined_at for row in rows}
    in_order = {each.id: joined[each.id] for each in lists if each.id in joined}
    if not in_order:
        raise InputError(
            "{persona} is on none of the edition's lists, so no reader to greet as.",
            persona=persona,
        )
    hidden = {row.list_id: row.hidden_sections for row in rows}
    return _Reader(rows[0].id, rows[0].name, in_order, hidden)


def _choose_list(
    lists: Sequence[MailingList], slug: str | None, reader: _Reader | None
) -> MailingList:
    if slug is not None:
        for each in lists:
            if each.slug == slug:
                return each
        slugs = ", ".join(each.slug for each in lists)
        raise InputError(
            "The edition does not go to the list {slug!r}; choose from: {slugs}",
            slug=slug,
            slugs=slugs,
        )
    if reader is not None:
        return next(each for each in lists if each.id in reader.joined_at)
    return lists[0]


def _require_allowed(session: Session, to: Sequence[Address]) -> None:
    # Locked, so that two requests at once cannot both take the last of a minute's tests.
    patterns = session.scalars(
        select(RecipientOfTests).order_by(RecipientOfTests.pattern).with_for_update()
    ).all()
    refused = not_allowed(patterns, to)
    if refused:
        raise InputError(
            "Test mails may not go to {addresses}; an admin allows it with: newsletter "
            "test-recipient add ADDRESS",
            addresses=_listed(refused),
        )


def _require_not_suppressed(
    session: Session, to: Sequence[Address], mailing_list: MailingList
) -> None:
    by_hash = {address_hash(address): address for address in to}
    refused = suppressed_among(session, list(by_hash), list_id=mailing_list.id)
    if refused:
        raise InputError(
            "{addresses} must not be mailed: suppressed.",
            addresses=_listed(by_hash[each] for each in refused),
        )


def _require_room(session: Session, wanted: int, most: int, now: datetime) -> None:
    if wanted > MOST_AT_ONCE:
        raise InputError("A test goes to at most {most} addresses at once.", most=MOST_AT_ONCE)
    lately = session.scalar(
        select(func.count()).where(
            SystemMail.kind == SystemMailKind.TEST, SystemMail.created_at > now - MINUTE
        )
    )
    if (lately or 0) + wanted > most:
        raise StateError(
            "{lately} test mails were sent within the last minute, and {most} are "
            "allowed; wait a minute and try again.",
            lately=lately,
            most=most,
        )


def _persona_data(reader: _Reader | None, mailing_list: MailingList) -> dict[str, Any]:
    if reader is None:
        return {"name": "", "joined_on": None}
    joined_at = reader.joined_at.get(mailing_list.id)
    return {
        "persona_id": reader.subscriber_id,  # so that an erasure finds it
        "name": reader.name,
        "joined_on": joined_at.date().isoformat() if joined_at else None,
    }


def _hidden(
    session: Session, edition: Edition, reader: _Reader | None, mailing_list: MailingList
) -> int:
    """As `Compiled.without` takes it. Raises `InputError` when nothing would be left of the edition."""
    if reader is None or not (bits := reader.hidden_sections.get(mailing_list.id, 0)):
        return 0
    hiding = hiding_of(session, edition.id, edition.revision).get(mailing_list.id)
    if hiding is None:
        return 0
    if hiding.leaves_nothing(bits):
        raise InputError("That reader hides every section of this edition, and gets nothing.")
    return hiding.places(bits)


def _listed(addresses: Iterable[Address]) -> str:
    return ", ".join(sorted(map(str, addresses)))
