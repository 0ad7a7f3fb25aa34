"""Decides what of the promise was broken, from the witness, the books and what a fault allows."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from newsletter.drill.evidence import Accepted, Books, Person
from newsletter.models import DeliveryState

LEAVING_TAKES = timedelta(seconds=3)
"""How long after somebody left a message that was on its way may still arrive."""
_UNFINISHED = (DeliveryState.WAITING, DeliveryState.DEFERRED)


@dataclass(slots=True)
class Allowance:
    """What a fault may cost, people by subscriber id; everything else is a breach."""

    uncertain: int = 0
    failed: set[int] = field(default_factory=set)
    left: dict[int, datetime] = field(default_factory=dict)
    """When each of them unsubscribed or was erased."""
    is_cancelled: bool = False
    breakers: frozenset[str] = frozenset()
    """By one of these rules something must have been held; none: by none."""


@dataclass(frozen=True, slots=True)
class Evidence:
    audience: Mapping[int, Person]
    accepted: list[Accepted]
    books: Books
    allowed: Allowance
    altered: list[Accepted]
    """Messages that are not, octet for octet, the approved revision made out to their reader."""
    leaks: list[str]
    """Which log holds what it must not hold."""
    held_by: frozenset[str] = frozenset()
    """The rules by which something was held meanwhile."""


@dataclass(frozen=True, slots=True)
class Breach:
    """`invariant` is its number, `people` the addresses concerned."""

    invariant: str
    what: str
    people: tuple[str, ...] = ()

    def __str__(self) -> str:
        shown = ", ".join(self.people[:10]) + (" …" if len(self.people) > 10 else "")
        return f"{self.invariant}: {self.what}" + (f": {shown}" if shown else "")


@dataclass(frozen=True, slots=True)
class Tally:
    lost: int
    twice: int
    uncertain: int


def breaches(evidence: Evidence) -> list[Breach]:
    checks = (
        _nobody_twice,
        _everybody_in_one_state,
        _nobody_left_waiting,
        _few_uncertain,
        _counters_are_true,
        _nobody_who_left,
        _approved_content,
        _quiet_logs,
        _breaker_opened,
    )
    return [breach for check in checks for breach in check(evidence)]


def tally(evidence: Evidence) -> Tally:
    states = Counter(row.state for row in evidence.books.rows.values())
    return Tally(
        lost=len(_lost(evidence)),
        twice=len(_twice(evidence)),
        uncertain=states[DeliveryState.UNCERTAIN],
    )


def _twice(evidence: Evidence) -> list[str]:
    times = Counter(each.address for each in evidence.accepted)
    return sorted(address for address, count in times.items() if count > 1)


def _lost(evidence: Evidence) -> list[str]:
    """Who should have been mailed, was not, and is not named in the books as such."""
    accepted = {each.address for each in evidence.accepted}
    lost = []
    for subscriber_id, person in evidence.audience.items():
        if not person.may_be_mailed or person.address in accepted:
            continue
        row = evidence.books.rows.get(subscriber_id)
        if row is None or not _accounts_for(row.state, subscriber_id, evidence.allowed):
            lost.append(person.address)
    return sorted(lost)


def _accounts_for(state: DeliveryState, subscriber_id: int, allowed: Allowance) -> bool:
    """Whether the books may say this of somebody who got nothing."""
    match state:
        case DeliveryState.UNCERTAIN:
            return True
        case DeliveryState.FAILED:
            return subscriber_id in allowed.failed
        case DeliveryState.EXCLUDED:
            return subscriber_id in allowed.left
        case DeliveryState.CANCELLED:
            return allowed.is_cancelled
        case _:
            return False


def _nobody_twice(evidence: Evidence) -> Iterator[Breach]:
    if twice := _twice(evidence):
        yield Breach("I1", "accepted twice", tuple(twice))


def _everybody_in_one_state(evidence: Evidence) -> Iterator[Breach]:
    rows, people = evidence.books.rows, evidence.audience
    accepted = {each.address for each in evidence.accepted}
    known = {person.address: subscriber_id for subscriber_id, person in people.items()}
    if strangers := accepted - known.keys():
        yield Breach("I2", "accepted for people who are on no list", _sorted(strangers))
    if rows.keys() - people.keys():
        yield Breach("I2", f"{len(rows.keys() - people.keys())} deliveries to nobody")
    if lost := _lost(evidence):
        yield Breach("I2", "lost: never mailed, and the books do not say so", tuple(lost))
    unknown = [
        address
        for address in accepted & known.keys()
        if known[address] not in rows
        or rows[known[address]].state not in (DeliveryState.SENT, DeliveryState.UNCERTAIN)
    ]
    if unknown:
        yield Breach(
            "I2", "accepted, and neither sent nor uncertain in the books", _sorted(unknown)
        )


def _nobody_left_waiting(evidence: Evidence) -> Iterator[Breach]:
    books = evidence.books
    if not books.is_over:
        yield Breach("I3", f"the edition did not end, it is {books.status.state}")
    waiting = [
        evidence.audience[subscriber_id].address
        for subscriber_id, row in books.rows.items()
        if row.state in _UNFINISHED and subscriber_id in evidence.audience
    ]
    if waiting:
        yield Breach("I3", "left waiting", _sorted(waiting))


def _few_uncertain(evidence: Evidence) -> Iterator[Breach]:
    uncertain = [
        evidence.audience[subscriber_id].address
        for subscriber_id, row in evidence.books.rows.items()
        if row.state is DeliveryState.UNCERTAIN and subscriber_id in evidence.audience
    ]
    if len(uncertain) > evidence.allowed.uncertain:
        what = f"{len(uncertain)} uncertain where {evidence.allowed.uncertain} may be"
        yield Breach("I4", what, _sorted(uncertain))


def _counters_are_true(evidence: Evidence) -> Iterator[Breach]:
    books = evidence.books
    counted: dict[int, Counter[DeliveryState]] = {number: Counter() for number in books.batches}
    for row in books.rows.values():
        counted.setdefault(row.batch, Counter())[row.state] += 1
    for number, rows in counted.items():
        counters = books.batches.get(number, {})
        wrong = [
            f"{state.name.lower()} {counters.get(state, 0)} for {rows[state]} rows"
            for state in DeliveryState
            if counters.get(state, 0) != rows[state]
        ]
        if wrong:
            yield Breach("I5", f"batch {number} counts {', '.join(wrong)}")
    totals = Counter(row.state for row in books.rows.values())
    status = books.status
    if sum(status.excluded.values()) != totals[DeliveryState.EXCLUDED]:
        yield Breach("I5", "the reasons of the excluded do not add up")
    if status.planned != len(books.rows):
        yield Breach("I5", f"planned is {status.planned} for {len(books.rows)} rows")
    witnessed = len({each.address for each in evidence.accepted})
    if not status.sent <= witnessed <= status.sent + status.uncertain:
        yield Breach(
            "I5", f"{witnessed} accepted, {status.sent} sent and {status.uncertain} uncertain"
        )


def _nobody_who_left(evidence: Evidence) -> Iterator[Breach]:
    first: dict[str, datetime] = {}
    for each in evidence.accepted:
        first.setdefault(each.address, each.at)
    left_before = [
        person.address
        for person in evidence.audience.values()
        if not person.may_be_mailed and person.address in first
    ]
    if left_before:
        yield Breach("I6", "mailed though they had left", _sorted(left_before))
    late = [
        evidence.audience[subscriber_id].address
        for subscriber_id, left_at in evidence.allowed.left.items()
        if first.get(evidence.audience[subscriber_id].address, left_at) > left_at + LEAVING_TAKES
    ]
    if late:
        yield Breach("I6", "mailed long after they left", _sorted(late))


def _approved_content(evidence: Evidence) -> Iterator[Breach]:
    if evidence.altered:
        people = {each.address for each in evidence.altered}
        yield Breach("I7", "mailed something else than the approved revision", _sorted(people))


def _quiet_logs(evidence: Evidence) -> Iterator[Breach]:
    for leak in evidence.leaks:
        yield Breach("I8", leak)


def _sorted(people: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(people))


def _breaker_opened(evidence: Evidence) -> Iterator[Breach]:
    expected = evidence.allowed.breakers
    if expected and not expected & evidence.held_by:
        opened = ", ".join(sorted(evidence.held_by)) or "none"
        yield Breach("I9", f"{' or '.join(sorted(expected))} should have held it, but {opened} did")
