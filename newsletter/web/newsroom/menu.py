"""The site's menu: what each role finds in it."""

from collections.abc import Iterator
from dataclasses import dataclass

from newsletter.accounts.roles import Role


@dataclass(frozen=True, slots=True)
class Place:
    """One line of the menu; `role` is the least that sees it."""

    url: str
    name: str
    role: Role


NEWSROOM = (
    Place("/newsroom/today", "Today", Role.VIEWER),
    Place("/newsroom/editions", "Editions", Role.VIEWER),
    Place("/newsroom/stories", "Story inbox", Role.WRITER),
    Place("/newsroom/media", "Pictures", Role.WRITER),
    Place("/newsroom/slots", "Daily slots", Role.VIEWER),
    Place("/newsroom/reports", "Reports", Role.VIEWER),
)
OFFICE = (
    Place("/office/lists", "Lists", Role.VIEWER),
    Place("/office/subscribers", "Subscribers", Role.ADMIN),
    Place("/office/segments", "Segments", Role.EDITOR),
    Place("/office/suppressions", "Suppressions", Role.ADMIN),
    Place("/office/imports", "Imports", Role.ADMIN),
    Place("/office/exports", "Exports", Role.ADMIN),
    Place("/office/transports", "Transports", Role.ADMIN),
    Place("/office/accounts", "People with access", Role.ADMIN),
    Place("/office/api-keys", "API keys", Role.ADMIN),
    Place("/office/audit", "Audit log", Role.ADMIN),
    Place("/office/settings", "Settings", Role.ADMIN),
)


def menu_of(role: Role) -> Iterator[tuple[str, list[Place]]]:
    """The menu's parts that hold anything for this role."""
    for title, places in (("Newsroom", NEWSROOM), ("Office", OFFICE)):
        if shown := [place for place in places if role.includes(place.role)]:
            yield title, shown
