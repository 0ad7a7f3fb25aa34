"""The decisions of the breakers, each a table of numbers."""

from datetime import timedelta

import pytest

from newsletter.deliver.breakers import (
    Counted,
    domain_is_dead,
    edition_is_broken,
    edition_is_rejected,
    route_blocks,
    route_defers,
    route_held_for,
    sender_is_unauthentic,
)

GOOGLE = 1
OTHER = 0


@pytest.mark.parametrize(
    ("rejected", "people", "expected"),
    [
        (49, 49, False),
        (10, 50, False),
        (11, 50, True),
        (10, 199, False),
        (10, 200, False),
        (11, 200, True),
        (50_000, 1_000_000, False),
        (50_001, 1_000_000, True),
        (0, 1_000_000, False),
    ],
)
def test_r40_an_edition_is_paused_when_too_many_are_refused_for_good(
    rejected: int, people: int, expected: bool
) -> None:
    assert edition_is_rejected(rejected=rejected, people=people) is expected


@pytest.mark.parametrize(
    ("unsendable", "people", "expected"),
    [
        (0, 20, False),
        (2, 2, False),
        (3, 3, True),
        (3, 20, True),
        (3, 599, True),
        (3, 600, False),
        (4, 601, True),
    ],
)
def test_r46_an_edition_is_paused_when_its_messages_cannot_be_made(
    unsendable: int, people: int, expected: bool
) -> None:
    assert edition_is_broken(unsendable=unsendable, people=people) is expected


@pytest.mark.parametrize(
    ("tried", "deferred", "expected"), [(49, 49, False), (50, 15, False), (50, 16, True)]
)
def test_r44_a_route_is_held_when_it_defers_too_many(
    tried: int, deferred: int, expected: bool
) -> None:
    assert route_defers(Counted(tried=tried, deferred=deferred)) is expected


@pytest.mark.parametrize(
    ("route", "tried", "blocked", "expected"),
    [
        (GOOGLE, 10_000, 4, False),
        (GOOGLE, 10_000, 5, True),
        (OTHER, 10_000, 5, False),
        (OTHER, 10_000, 501, True),
        (OTHER, 20, 5, True),
    ],
)
def test_r44_a_route_is_held_when_it_blocks_us_and_small_domains_do_so_by_proportion(
    route: int, tried: int, blocked: int, expected: bool
) -> None:
    assert route_blocks(Counted(tried=tried, blocked=blocked), route=route) is expected


@pytest.mark.parametrize(
    ("tried", "unauthentic", "expected"),
    [(2, 2, False), (3, 3, True), (300, 3, False), (299, 3, True)],
)
def test_r42_a_from_domain_is_held_when_its_mail_is_not_believed(
    tried: int, unauthentic: int, expected: bool
) -> None:
    counted = Counted(tried=tried, unauthentic=unauthentic)

    assert sender_is_unauthentic(counted) is expected


@pytest.mark.parametrize(("rejected", "expected"), [(9, False), (10, True)])
def test_r45_a_domain_that_refuses_all_of_ten_people_is_held(rejected: int, expected: bool) -> None:
    assert domain_is_dead(rejected=rejected) is expected


@pytest.mark.parametrize(
    ("times", "minutes"), [(0, 30), (1, 60), (2, 120), (3, 240), (4, 240), (1000, 240)]
)
def test_r44_a_route_is_held_longer_each_time_up_to_four_hours(times: int, minutes: int) -> None:
    assert route_held_for(times) == timedelta(minutes=minutes)
