"""Whoever is on a page sees in the menu where that is."""

import re

import pytest
from sqlalchemy import Engine

from newsletter.models import Role
from newsletter.web.newsroom.menu import NEWSROOM, OFFICE, OWN
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.site import SCREENS
from tests.newsroom import add_list
from tests.site import Site

PLACES = (*NEWSROOM, *OFFICE, OWN)
NOWHERE = re.compile(
    r"/newsroom|/office"  # lead on
    r"|/office/letterhead(/specimen)?|/office/segment-(count|people)"  # parts of pages
)
SHOWN = [
    screen
    for screen in SCREENS
    if screen.get and not screen.is_open and not screen.is_unfinished
    if not NOWHERE.fullmatch(screen.path)
]


@pytest.mark.parametrize("screen", SHOWN, ids=lambda screen: screen.path)
def test_every_screen_belongs_to_one_place_that_its_readers_see(screen: Screen) -> None:
    places = [place for place in PLACES if place.holds(screen.path)]

    assert len(places) == 1
    assert screen.role is None or screen.role.includes(places[0].role)


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/newsroom/editions/new", "Editions"),
        ("/office/lists/harbour/edit", "Lists"),
        ("/office/new-list", "Lists"),
        ("/office/sending-domains", "Transports"),
        ("/office/providers", "Transports"),
        ("/office/new-transport", "Transports"),
        ("/account/second-factor", "Ada Admin"),
    ],
)
def test_the_place_is_marked_in_the_menu(site: Site, engine: Engine, path: str, place: str) -> None:
    add_list(engine)

    page = site.member(Role.ADMIN).get(path)

    menu = page.text.partition('<nav class="menu"')[2].partition("</nav>")[0]
    marked = re.findall(r'aria-current="page">([^<]*)', menu)
    assert page.status_code == 200
    assert marked == [place]
