"""Counts what becomes of a claimed batch, and holds what the breakers say to hold.

Counters are written in the transaction that records a window's outcomes, and only when something in
it went badly; what went well is added then, or when the batch ends.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from newsletter.db import Model, upsert
from newsletter.deliver import breakers, warm_up
from newsletter.deliver.breakers import Counted
from newsletter.deliver.claims import Claim, Reader
from newsletter.deliver.classes import classify
from newsletter.deliver.holds import Trip, hold, last_held, times_held, tried
from newsletter.deliver.outcome import Outcome, Reply
from newsletter.models import (
    Domain,
    DomainTrouble,
    EditionHealth,
    HoldScope,
    Reason,
    ReplyClass,
    Route,
    Traffic,
)

TRAFFIC_KEPT = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class _Refused:
    reader: Reader
    reply: Reply
    reply_class: ReplyClass

    @property
    def is_block(self) -> bool:
        """We are unwelcome: not only too fast, and not only with this one reader."""
        if self.reply_class is ReplyClass.BLOCK_RATE:
            return self.reply.is_permanent
        return self.reply_class in breakers.UNWELCOME

    @property
    def is_rejected(self) -> bool:
        return self.reply.is_permanent and self.reply_class in breakers.REJECTED


class Watch:
    """`sender_domains` are those of the lists that the batch's readers came by."""

    def __init__(self, claim: Claim, sender_domains: Mapping[int, str]) -> None:
        self._claim = claim
        self._sender_domains = sender_domains
        self._readers = {reader.subscriber_id: reader for reader in claim.readers}
        self._accepted: list[Reader] = []
        self._tried: set[int] = set()

    def observe(self, session: Session, outcomes: Sequence[Outcome], *, now: datetime) -> None:
        """Take in a window's outcomes, in the transaction that has recorded them."""
        refused, unsendable = [], 0
        self._tried.update(outcome.subscriber_id for outcome in outcomes)
        for outcome in outcomes:
            reader, reply = self._readers[outcome.subscriber_id], outcome.reply
            if reply is not None and reply.is_positive:
                self._accepted.append(reader)
            elif reply is not None:
                reply_class = classify(reply) or ReplyClass.UNKNOWN
                refused.append(_Refused(reader, reply, reply_class))
            unsendable += outcome.reason is Reason.UNSENDABLE
        if refused or unsendable:
            self._write(session, refused, unsendable, now)

    def accepted(self, outcomes: Sequence[Outcome]) -> None:
        """Take in a window in which everybody was accepted: there is nothing to write yet."""
        for outcome in outcomes:
            self._tried.add(outcome.subscriber_id)
            self._accepted.append(self._readers[outcome.subscriber_id])

    def close(self, session: Session, *, now: datetime) -> None:
        """Write what went well since the last window in which something did not."""
        if self._accepted:
            self._write(session, [], 0, now)
        claim = self._claim
        unused = len(claim.readers) - len(self._tried)
        if unused:
            warm_up.give_back(
                session, claim.transport_id, claim.route, unused, reserved_at=claim.at
            )

    def _write(
        self, session: Session, refused: Sequence[_Refused], unsendable: int, now: datetime
    ) -> None:
        # In this order everywhere: two workers of one edition write to the same rows.
        senders = self._count_traffic(session, refused, now)
        rejected = [each for each in refused if each.is_rejected]
        if rejected or unsendable:
            self._judge_edition(session, rejected, unsendable, now)
        self._judge_domains(session, rejected, now)
        if refused:
            self._judge_route(session, refused, now)
            self._judge_senders(session, senders, refused, now)
        self._accepted.clear()

    def _count_traffic(
        self, session: Session, refused: Sequence[_Refused], now: datetime
    ) -> list[str]:
        """Returns the From domains that were counted for."""
        tries: dict[str, Counter[str]] = defaultdict(Counter)
        for reader in self._accepted:
            tries[self._sender_domains[reader.list_id]]["tried"] += 1
        for each in refused:
            counted = tries[self._sender_domains[each.reader.list_id]]
            counted["tried"] += 1
            is_late = not each.reply.is_permanent
            # a server that turns every stranger away once says nothing about us.
            counted["deferred"] += is_late and each.reply_class is not ReplyClass.SOFT_GREYLISTED
            counted["blocked"] += each.is_block
            counted["unauthentic"] += each.reply_class is ReplyClass.BLOCK_AUTH
        for sender_domain in sorted(tries):
            self._add_traffic(session, sender_domain, tries[sender_domain], now)
        self._count_warm_up(session, sum(tries.values(), Counter()), now)
        return sorted(tries)

    def _count_warm_up(self, session: Session, tries: Counter[str], now: datetime) -> None:
        claim = self._claim
        warm_up.observe(
            session,
            claim.transport_id,
            claim.route,
            tried=tries["tried"],
            deferred=tries["deferred"],
            blocked=tries["blocked"],
            now=now,
        )

    def _add_traffic(
        self, session: Session, sender_domain: str, tries: Counter[str], now: datetime
    ) -> None:
        key = {
            "transport_id": self._claim.transport_id,
            "route": self._claim.route,
            "sender_domain": sender_domain,
        }
        counted = {name: tries[name] for name in ("tried", "deferred", "blocked", "unauthentic")}
        minute = now.replace(second=0, microsecond=0)
        _add(session, Traffic, key | {"minute": minute}, counted)
        session.execute(
            delete(Traffic)
            .filter_by(**key)
            .where(Traffic.minute < now - TRAFFIC_KEPT)
            .execution_options(synchronize_session=False)
        )

    def _judge_edition(
        self, session: Session, rejected: Sequence[_Refused], unsendable: int, now: datetime
    ) -> None:
        edition_id = self._claim.lease.edition_id
        _add(
            session,
            EditionHealth,
            {"edition_id": edition_id},
            {"hard": len(rejected), "unsendable": unsendable, "tried_before": 0},
        )
        health = session.get_one(EditionHealth, edition_id, populate_existing=True)
        people = tried(session, edition_id) - health.tried_before
        rule, reason = "", ""
        if breakers.edition_is_broken(unsendable=health.unsendable, people=people):
            rule = "R-46"
            reason = f"{health.unsendable} of {people} messages of edition {edition_id} could not be made."
        elif breakers.edition_is_rejected(rejected=health.hard, people=people):
            rule = "R-40"
            reason = (
                f"{health.hard} of {people} people of edition {edition_id} were refused for good."
            )
        if rule:
            words = rejected[-1].reply.text if rejected else ""
            trip = Trip(HoldScope.EDITION, str(edition_id), rule, reason, reply=words)
            hold(session, trip, now=now)

    def _judge_domains(self, session: Session, rejected: Sequence[_Refused], now: datetime) -> None:
        alive = {reader.domain_id for reader in self._accepted}
        troubled = session.scalars(select(DomainTrouble.domain_id)).all()
        if alive.intersection(troubled):
            session.execute(delete(DomainTrouble).where(DomainTrouble.domain_id.in_(alive)))
        by_domain = Counter(each.reader.domain_id for each in rejected)
        for domain_id in sorted(by_domain.keys() - alive):
            _add(session, DomainTrouble, {"domain_id": domain_id}, {"hard": by_domain[domain_id]})
            trouble = session.get_one(DomainTrouble, domain_id, populate_existing=True)
            if breakers.domain_is_dead(rejected=trouble.hard):
                self._hold_domain(session, domain_id, trouble.hard, rejected, now)

    def _hold_domain(
        self,
        session: Session,
        domain_id: int,
        people: int,
        rejected: Sequence[_Refused],
        now: datetime,
    ) -> None:
        name = session.scalar(select(Domain.name).where(Domain.id == domain_id))
        words = next(each.reply.text for each in rejected if each.reader.domain_id == domain_id)
        reason = f"{name} refused {people} people for good and accepted nobody."
        trip = Trip(HoldScope.RECIPIENT_DOMAIN, str(domain_id), "R-45", reason, reply=words)
        hold(session, trip, now=now)
        # Counted anew when a person has lifted it.
        session.execute(delete(DomainTrouble).where(DomainTrouble.domain_id == domain_id))

    def _judge_route(self, session: Session, refused: Sequence[_Refused], now: datetime) -> None:
        claim = self._claim
        of_route = (Traffic.transport_id == claim.transport_id, Traffic.route == claim.route)
        held_at = last_held(
            session, HoldScope.ROUTE, str(claim.route), transport_id=claim.transport_id
        )
        hour = _counted(session, *of_route, since=_later(now - breakers.BLOCKED_WITHIN, held_at))
        minutes = _counted(
            session, *of_route, since=_later(now - breakers.DEFERRED_WITHIN, held_at)
        )
        name = session.scalar(select(Route.name).where(Route.id == claim.route))
        if breakers.route_blocks(hour, route=claim.route):
            reason = f"Route {name} blocked {hour.blocked} of {hour.tried} tries within an hour."
            words = _words(refused, lambda each: each.is_block)
        elif breakers.route_defers(minutes):
            reason = (
                f"Route {name} deferred {minutes.deferred} of {minutes.tried} tries in 5 minutes."
            )
            words = _words(refused, lambda each: not each.reply.is_permanent)
        else:
            return
        trip = Trip(
            HoldScope.ROUTE,
            str(claim.route),
            "R-44",
            reason,
            transport_id=claim.transport_id,
            reply=words,
        )
        times = times_held(session, trip, since=now - breakers.ROUTE_REMEMBERED)
        hold(session, replace(trip, lasts=breakers.route_held_for(times)), now=now)

    def _judge_senders(
        self,
        session: Session,
        sender_domains: Iterable[str],
        refused: Sequence[_Refused],
        now: datetime,
    ) -> None:
        for sender_domain in sender_domains:
            held_at = last_held(session, HoldScope.SENDER_DOMAIN, sender_domain)
            hour = _counted(
                session,
                Traffic.route == self._claim.route,
                Traffic.sender_domain == sender_domain,
                since=_later(now - breakers.BLOCKED_WITHIN, held_at),
            )
            if not breakers.sender_is_unauthentic(hour):
                continue
            reason = (
                f"{hour.unauthentic} of {hour.tried} tries from {sender_domain} were refused"
                " within an hour because it could not be told that the mail is ours."
            )
            words = _words(refused, lambda each: each.reply_class is ReplyClass.BLOCK_AUTH)
            trip = Trip(HoldScope.SENDER_DOMAIN, sender_domain, "R-42", reason, reply=words)
            hold(session, trip, now=now)


def _words(refused: Sequence[_Refused], speaks: Callable[[_Refused], bool]) -> str:
    return next((each.reply.text for each in refused if speaks(each)), "")


def _later(one: datetime, other: datetime | None) -> datetime:
    return one if other is None else max(one, other)


def _counted(session: Session, *where: ColumnElement[bool], since: datetime) -> Counted:
    columns = (Traffic.tried, Traffic.deferred, Traffic.blocked, Traffic.unauthentic)
    sums = session.execute(
        select(*map(func.sum, columns)).where(*where, Traffic.minute > since)
    ).one()
    return Counted(*(count or 0 for count in sums))


def _add(
    session: Session,
    table: type[Model],
    key: Mapping[str, object],
    counted: Mapping[str, int],
) -> None:
    """Add to the counters of one row, which is made when it is not there."""
    statement = upsert(session, table).values(**key, **counted)
    columns: dict[str, InstrumentedAttribute[int]] = {
        name: getattr(table, name) for name in counted
    }
    session.execute(
        statement.on_conflict_do_update(
            index_elements=list(key),
            set_={name: column + counted[name] for name, column in columns.items()},
        )
    )
