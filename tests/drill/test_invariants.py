"""The checker must find whatever is planted; a drill is worth no more than this."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from newsletter.drill.evidence import Accepted, Books, Person, Row
from newsletter.drill.invariants import Allowance, Evidence, breaches, tally
from newsletter.models import DeliveryState, EditionState
from newsletter.report.editions import EditionStatus

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ADA, BO, CY, DEE = 1, 2, 3, 4
PEOPLE = {
    ADA: Person("ada@kestrel.example", may_be_mailed=True),
    BO: Person("bo@kestrel.example", may_be_mailed=True),
    CY: Person("cy@kestrel.example", may_be_mailed=True),
    DEE: Person("dee@kestrel.example", may_be_mailed=False),
}
SENT = DeliveryState.SENT
ALL_IS_WELL = {ADA: SENT, BO: SENT, CY: SENT, DEE: DeliveryState.EXCLUDED}


def accepted(*people: int, at: datetime = NOON) -> list[Accepted]:
    return [
        Accepted(order, at, PEOPLE[each].address, "f00d") for order, each in enumerate(people, 1)
    ]


def evidence(
    states: Mapping[int, DeliveryState] = ALL_IS_WELL,
    mailed: list[Accepted] | None = None,
    allowed: Allowance | None = None,
) -> Evidence:
    """An edition whose books are in order for these states: everybody in batch 1."""
    count = {state: list(states.values()).count(state) for state in DeliveryState}
    status = EditionStatus(
        edition_id=1,
        public_id="x",
        state=EditionState.SENT,
        is_planned=True,
        planned=len(states),
        waiting=count[DeliveryState.WAITING],
        deferred=count[DeliveryState.DEFERRED],
        sent=count[SENT],
        excluded={"unsubscribed": count[DeliveryState.EXCLUDED]},
        failed=count[DeliveryState.FAILED],
        uncertain=count[DeliveryState.UNCERTAIN],
        cancelled=count[DeliveryState.CANCELLED],
        opens=0,
        clicks=0,
        clickers=0,
        unsubscribes=0,
    )
    books = Books(
        is_over=True,
        rows={each: Row(state, batch=1, list_id=1) for each, state in states.items()},
        batches={1: count},
        status=status,
    )
    return Evidence(
        audience=PEOPLE,
        accepted=accepted(ADA, BO, CY) if mailed is None else mailed,
        books=books,
        allowed=allowed or Allowance(),
        altered=[],
        leaks=[],
    )


def found(seen: Evidence) -> dict[str, tuple[str, ...]]:
    return {breach.invariant: breach.people for breach in breaches(seen)}


def names(*people: int) -> tuple[str, ...]:
    return tuple(PEOPLE[each].address for each in people)


def test_an_edition_that_reached_everybody_breaks_nothing() -> None:
    seen = evidence()

    assert found(seen) == {}
    assert (tally(seen).lost, tally(seen).twice, tally(seen).uncertain) == (0, 0, 0)


def test_a_planted_double_is_found_and_named() -> None:
    seen = evidence(mailed=accepted(ADA, BO, CY, BO))

    assert found(seen) == {"I1": names(BO)}
    assert tally(seen).twice == 1


@pytest.mark.parametrize(
    "state", [SENT, DeliveryState.FAILED, DeliveryState.EXCLUDED, DeliveryState.CANCELLED]
)
def test_whoever_got_nothing_is_lost_whatever_the_books_say(state: DeliveryState) -> None:
    seen = evidence(ALL_IS_WELL | {BO: state}, mailed=accepted(ADA, CY))

    assert found(seen)["I2"] == names(BO)
    assert tally(seen).lost == 1


def test_whoever_has_no_delivery_is_lost() -> None:
    seen = evidence({ADA: SENT, CY: SENT, DEE: DeliveryState.EXCLUDED}, mailed=accepted(ADA, CY))

    assert found(seen)["I2"] == names(BO)
    assert tally(seen).lost == 1


def test_what_a_fault_may_do_to_somebody_is_no_loss() -> None:
    states = {
        ADA: DeliveryState.FAILED,
        BO: DeliveryState.EXCLUDED,
        CY: DeliveryState.UNCERTAIN,
        DEE: DeliveryState.EXCLUDED,
    }
    seen = evidence(
        states, mailed=[], allowed=Allowance(uncertain=1, failed={ADA}, left={BO: NOON})
    )

    assert found(seen) == {}
    assert (tally(seen).lost, tally(seen).uncertain) == (0, 1)


def test_a_cancelled_edition_may_leave_people_out() -> None:
    states = ALL_IS_WELL | {CY: DeliveryState.CANCELLED}
    seen = evidence(states, mailed=accepted(ADA, BO), allowed=Allowance(is_cancelled=True))

    assert found(seen) == {}


@pytest.mark.parametrize("state", [DeliveryState.FAILED, DeliveryState.CANCELLED])
def test_somebody_mailed_of_whom_the_books_say_otherwise_is_found(state: DeliveryState) -> None:
    seen = evidence(ALL_IS_WELL | {BO: state}, allowed=Allowance(failed={BO}, is_cancelled=True))

    assert found(seen)["I2"] == names(BO)


def test_somebody_mailed_who_is_on_no_list_is_found() -> None:
    stranger = Accepted(4, NOON, "eve@kestrel.example", "f00d")

    assert found(evidence(mailed=[*accepted(ADA, BO, CY), stranger]))["I2"] == (stranger.address,)


@pytest.mark.parametrize("state", [DeliveryState.WAITING, DeliveryState.DEFERRED])
def test_somebody_left_waiting_is_found(state: DeliveryState) -> None:
    seen = evidence(ALL_IS_WELL | {CY: state}, mailed=accepted(ADA, BO))

    assert found(seen)["I3"] == names(CY)
    assert tally(seen).lost == 1


def test_an_edition_that_does_not_end_is_found() -> None:
    seen = evidence()
    seen = replace(seen, books=replace(seen.books, is_over=False))

    assert found(seen) == {"I3": ()}


def test_one_more_uncertain_than_the_fault_allows_is_found() -> None:
    states = ALL_IS_WELL | {BO: DeliveryState.UNCERTAIN, CY: DeliveryState.UNCERTAIN}

    assert found(evidence(states, allowed=Allowance(uncertain=2))) == {}
    assert found(evidence(states, allowed=Allowance(uncertain=1))) == {"I4": names(BO, CY)}


@pytest.mark.parametrize("state", list(DeliveryState))
def test_a_counter_that_is_one_too_high_is_found(state: DeliveryState) -> None:
    seen = evidence()
    counters = dict(seen.books.batches[1])
    counters[state] += 1
    seen = replace(seen, books=replace(seen.books, batches={1: counters}))

    assert "I5" in found(seen)


def test_counters_that_contradict_the_witness_are_found() -> None:
    seen = evidence()
    status = replace(seen.books.status, sent=2)
    seen = replace(seen, books=replace(seen.books, status=status))

    assert "I5" in found(seen)


def test_reasons_of_exclusion_that_do_not_add_up_are_found() -> None:
    seen = evidence()
    status = replace(seen.books.status, excluded={"unsubscribed": 2})
    seen = replace(seen, books=replace(seen.books, status=status))

    assert "I5" in found(seen)


def test_somebody_mailed_who_had_left_before_is_found() -> None:
    seen = evidence(mailed=accepted(ADA, BO, CY, DEE))

    assert found(seen)["I6"] == names(DEE)


@pytest.mark.parametrize(("seconds", "is_late"), [(-5, False), (2, False), (30, True)])
def test_mail_on_its_way_may_still_arrive_soon_after_somebody_left(
    seconds: int, is_late: bool
) -> None:
    arrived = NOON + timedelta(seconds=seconds)
    mailed = accepted(ADA, BO) + accepted(CY, at=arrived)
    seen = evidence(mailed=mailed, allowed=Allowance(left={CY: NOON}))

    assert ("I6" in found(seen)) is is_late


def test_altered_content_and_talkative_logs_are_found() -> None:
    seen = replace(evidence(), altered=accepted(ADA), leaks=["upkeep.log holds a secret"])

    assert found(seen) == {"I7": names(ADA), "I8": ()}


def test_a_breaker_that_should_have_opened_and_did_not_is_found() -> None:
    expected = Allowance(breakers=frozenset({"R-43", "R-44"}))

    assert found(evidence(allowed=expected)) == {"I9": ()}
    assert found(replace(evidence(allowed=expected), held_by=frozenset({"R-40"}))) == {"I9": ()}
    assert found(replace(evidence(allowed=expected), held_by=frozenset({"R-44"}))) == {}
