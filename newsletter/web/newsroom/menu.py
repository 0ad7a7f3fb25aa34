"""The site's menu: what each role finds in it."""

from collections.abc import Iterator
from dataclasses import dataclass

from newsletter.accounts.roles import Role
from newsletter.words import Words


@dataclass(frozen=True, slots=True)
class Place:
    """One line of the menu; `role` is the least that sees it.

    `more` are addresses of its pages that do not stand below its own.
    """

    url: str
    name: str
    role: Role
    more: tuple[str, ...] = ()

    def holds(self, path: str) -> bool:
        return any(path == url or path.startswith(f"{url}/") for url in (self.url, *self.more))


NEWSROOM = (
    Place("/newsroom/today", "Today", Role.VIEWER),
    Place("/newsroom/editions", "Editions", Role.VIEWER),
    Place("/newsroom/stories", "Story inbox", Role.WRITER),
    Place("/newsroom/media", "Pictures", Role.WRITER),
    Place("/newsroom/slots", "Daily slots", Role.VIEWER),
    Place("/newsroom/reports", "Reports", Role.VIEWER),
)
OFFICE = (
    Place("/office/lists", "Lists", Role.VIEWER, ("/office/new-list",)),
    Place("/office/subscribers", "Subscribers", Role.ADMIN, ("/office/new-subscriber",)),
    Place("/office/segments", "Segments", Role.EDITOR, ("/office/new-segment",)),
    Place("/office/suppressions", "Suppressions", Role.ADMIN),
    Place("/office/imports", "Imports", Role.ADMIN),
    Place("/office/exports", "Exports", Role.ADMIN),
    Place(
        "/office/transports",
        "Transports",
        Role.ADMIN,
        ("/office/new-transport", "/office/sending-domains", "/office/providers"),
    ),
    Place("/office/accounts", "People with access", Role.ADMIN),
    Place("/office/api-keys", "API keys", Role.ADMIN),
    Place("/office/audit", "Audit log", Role.ADMIN),
    Place("/office/settings", "Settings", Role.ADMIN),
)
OWN = Place("/account", "Your account", Role.VIEWER)
"""At the menu's foot, under the name of who is signed in."""


def menu_of(role: Role) -> Iterator[tuple[str, list[Place]]]:
    """The menu's parts that hold anything for this role."""
    for title, places in ((Words("Newsroom"), NEWSROOM), (Words("Office"), OFFICE)):
        if shown := [place for place in places if role.includes(place.role)]:
            yield title, shown
