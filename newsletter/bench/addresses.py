"""Addresses to ask for: one or more of each screen of staff that reads something, and readers' pages."""

import re
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote, urlencode

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from newsletter.addresses import parse_address
from newsletter.deliver.providers import providers
from newsletter.models import (
    Account,
    Archive,
    Delivery,
    Edition,
    EditionList,
    EditionState,
    Import,
    MailingList,
    Segment,
    Subscriber,
    Transport,
)
from newsletter.tokens import SubscriptionRef, Tokens
from newsletter.web.newsroom.site import SCREENS

_PLACE = re.compile(r"\{(\w+)(?::\w+)?\}")
_MADE = (EditionState.DRAFT, EditionState.IN_REVIEW, EditionState.SCHEDULED)

_Examples = Mapping[str, Sequence[str]]
_SECOND: _Examples = {
    "number": ("1",),
    "kept": ("1",),
    "state": ("deferred", "failed", "uncertain"),
    "sheet": ("sum", "stories", "links", "time", "lists", "days", "editions"),
}
"""What may stand at the second place of an address, by the place's name."""


def staff_paths(session: Session) -> Iterator[str]:
    """Of each screen for who is signed in, as far as the database holds something to show."""
    examples = _examples(session)
    for screen in SCREENS:
        if screen.get is None or screen.is_open:
            continue
        places = _PLACE.findall(screen.path)
        beginning = screen.path.partition("{")[0]
        firsts = examples.get(beginning, ()) if places else ("",)
        for first in firsts:
            path = _PLACE.sub(first, screen.path, count=1)
            seconds = _SECOND[places[1]] if len(places) > 1 else ("",)
            yield from (_PLACE.sub(each, path) for each in seconds)
    yield from _searches(session, examples)


def public_paths(session: Session, tokens: Tokens) -> Iterator[str]:
    """Of what anybody may open, and of what one reader's links lead to."""
    yield from ("/", "/s", "/link", "/sign-in", "/reset", "/health/live", "/health/ready")
    yield from archive_starts(session)
    shown = select(MailingList).where(MailingList.retired_at.is_(None)).order_by(MailingList.id)
    for mailing_list in session.scalars(shown.limit(2)):
        yield f"/s/{mailing_list.slug}"
        for public_id in _published(session, mailing_list.id):
            yield f"/archive/{mailing_list.slug}/{public_id}"
            yield f"/e/{public_id}"
    yield from _of_a_reader(session, tokens)


def archive_starts(session: Session) -> Iterator[str]:
    """From where all of the public archive is found."""
    open_lists = select(MailingList.slug).where(
        MailingList.archive != Archive.OFF, MailingList.retired_at.is_(None)
    )
    for slug in session.scalars(open_lists.order_by(MailingList.id)):
        yield from (f"/archive/{slug}{each}" for each in ("", "/feed.atom", "/feed.json"))


def _published(session: Session, list_id: int) -> Iterator[str]:
    """The newest edition of a list that went out, and its very first."""
    sent = (
        select(Edition.public_id)
        .join(EditionList, EditionList.edition_id == Edition.id)
        .where(EditionList.list_id == list_id, Edition.started_at.is_not(None))
        .limit(1)
    )
    for order in (Edition.id.desc(), Edition.id):
        yield from session.scalars(sent.order_by(order))


def _of_a_reader(session: Session, tokens: Tokens) -> Iterator[str]:
    newest = select(Delivery).where(Delivery.edition_id == _newest_with_rows(session)).limit(1)
    for each in session.scalars(newest):
        ref = SubscriptionRef(each.list_id, each.edition_id, each.subscriber_id)
        yield f"/u/{tokens.unsubscribe(ref)}"
        yield f"/p/{tokens.preferences(ref)}"


def _searches(session: Session, examples: _Examples) -> Iterator[str]:
    """The same screens, asked for something."""
    people = select(Subscriber).order_by(Subscriber.id)
    middle = (session.scalar(select(func.max(Subscriber.id))) or 0) // 2
    for person in session.scalars(people.where(Subscriber.id >= middle).limit(1)):
        local, _, domain = person.address.partition("@")
        name = person.name.partition(" ")[0]
        for words in (person.address, local[:3], name, f"@{domain}", f"#{person.id}", "zzzzzz"):
            yield "/office/subscribers?" + urlencode({"q": words})
        yield "/office/suppressions?" + urlencode({"q": person.address})
        for slug in examples["/office/lists/"]:
            of_list = {"list": slug, "state": "confirmed"}
            yield "/office/subscribers?" + urlencode(of_list)
            yield "/office/subscribers?" + urlencode({**of_list, "q": local[:3]})
            yield "/office/subscribers?" + urlencode({**of_list, "state": "unsubscribed"})
            yield "/newsroom/editions?" + urlencode({"list": slug, "state": "sent"})
            yield f"/newsroom/reports/{slug}?days=365"
        for edition_id in examples["/newsroom/editions/"]:
            here = f"/newsroom/editions/{edition_id}"
            yield f"{here}/people?q={quote(person.address)}"
            yield from (f"{here}/people?state={state}" for state in ("sent", "excluded"))
            yield from (f"{here}/compose?mode={mode}" for mode in ("text", "cards"))
            yield from (f"{here}/preview?view={view}" for view in ("text", "source"))


def _examples(session: Session) -> _Examples:
    """An edition that has its readers' rows, two that are being made, the largest list, and so on."""
    newest = _newest_with_rows(session)
    made = session.scalars(select(Edition.id).where(Edition.state.in_(_MADE)).order_by(Edition.id))
    editions = (*(() if newest is None else (newest,)), *made.all()[-2:])
    lists = session.scalars(select(MailingList.slug).order_by(MailingList.id).limit(1)).all()
    people = session.scalars(select(Subscriber.id).order_by(Subscriber.id).limit(1))
    return {
        "/newsroom/editions/": tuple(map(str, editions)),
        "/newsroom/reports/": lists,
        "/office/lists/": lists,
        "/office/subscribers/": tuple(map(str, people)),
        "/office/segments/": session.scalars(select(Segment.name).limit(1)).all(),
        "/office/imports/": tuple(map(str, session.scalars(select(Import.id).limit(1)))),
        "/office/accounts/": tuple(map(str, session.scalars(select(Account.id).limit(1)))),
        "/office/transports/": tuple(map(str, session.scalars(select(Transport.id).limit(1)))),
        "/office/sending-domains/": tuple(_sender_domains(session)),
        "/office/providers/": tuple(providers())[:1],
    }


def _newest_with_rows(session: Session) -> int | None:
    has_rows = exists().where(Delivery.edition_id == Edition.id)
    return session.scalar(
        select(Edition.id)
        .where(Edition.started_at.is_not(None), has_rows)
        .order_by(Edition.id.desc())
        .limit(1)
    )


def _sender_domains(session: Session) -> Iterator[str]:
    for address in session.scalars(select(MailingList.sender_address).limit(1)):
        yield parse_address(address).domain
