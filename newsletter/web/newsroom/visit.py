"""One request of the site: who makes it, the transaction it works in, and its answer."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from newsletter.accounts import audit
from newsletter.accounts.installation import installation_settings
from newsletter.accounts.roles import Identity, Role
from newsletter.accounts.sessions import SignedIn, is_fresh
from newsletter.audience.lists import all_lists
from newsletter.db import GREATEST_KEY
from newsletter.errors import ForbiddenError, NotFoundError, StaleError
from newsletter.models import Edition, EditionList, MailingList
from newsletter.settings import Settings
from newsletter.web.client import client_ip
from newsletter.web.deps import Deps
from newsletter.web.newsroom import cookies, csrf
from newsletter.web.newsroom.cookies import Notice, Undo
from newsletter.web.newsroom.forms import Form
from newsletter.web.newsroom.menu import OWN, Place, menu_of
from newsletter.web.newsroom.pages import rendered, translated
from newsletter.web.numbers import whole_number
from newsletter.words import Words

NOT_HERE = Words("There is nothing at this address, or not for you.")
SHOW_AGAIN = Words("Show once more that it is you.")
NOT_ALLOWED = Words("Your role does not allow that. Ask an admin for it.")


@dataclass(slots=True)
class Visit:
    request: Request
    deps: Deps
    session: Session
    signed_in: SignedIn | None
    now: datetime
    form: Form = field(default_factory=Form)
    visitor: str = ""
    """What a browser that is not signed in was given for its forms."""
    new_session: tuple[str, timedelta] | None = None
    """The token that the answer signs the browser in with, and how long it is kept."""
    ends_session: bool = False

    @property
    def settings(self) -> Settings:
        return self.deps.settings

    @property
    def identity(self) -> Identity:
        """Only on a screen that is not open to everybody."""
        assert self.signed_in is not None
        return self.signed_in.identity

    @property
    def by(self) -> str:
        """Who did it, as rows say it."""
        return self.identity.name

    @property
    def zone(self) -> tzinfo:
        return ZoneInfo(self.identity.time_zone) if self.signed_in else ZoneInfo("UTC")

    @property
    def installation(self) -> str:
        """What an admin called all this."""
        return installation_settings(self.session).name

    @property
    def menu(self) -> Iterator[tuple[str, list[Place]]]:
        return menu_of(self.identity.role)

    @property
    def own_place(self) -> Place:
        return OWN

    def is_at(self, place: Place) -> bool:
        """Whether this page belongs to that line of the menu."""
        return place.holds(self.request.url.path)

    @property
    def path(self) -> Mapping[str, Any]:
        """The named parts of the address."""
        return self.request.path_params

    @property
    def network(self) -> str:
        """The browser's IP address; empty when the server does not know it."""
        return client_ip(self.request, self.settings.trusted_proxies)

    @property
    def is_part(self) -> bool:
        """Whether htmx asks, for a part of a page."""
        return self.request.headers.get("hx-request") == "true"

    def query(self, name: str, default: str = "") -> str:
        return self.request.query_params.get(name, default).strip()

    def require(self, role: Role, list_ids: Collection[int]) -> None:
        """Raises `ForbiddenError` unless the role is held on each of these lists; for no list at
        all, on every list there is. `NotFoundError` for who cannot even see them.
        """
        if self.identity.may(role, list_ids):
            return
        if not self.identity.may(Role.VIEWER, list_ids):
            raise NotFoundError(NOT_HERE)
        raise ForbiddenError(NOT_ALLOWED)

    def require_fresh(self) -> None:
        """Raises `StaleError`, which leads to the page that asks for the password or passkey again,
        for who has shown neither in the last ten minutes: for what is dangerous (S-31).
        """
        if self.signed_in is None or not is_fresh(self.signed_in, now=self.now):
            raise StaleError(SHOW_AGAIN)

    def may(self, role: Role, list_ids: Collection[int]) -> bool:
        return self.identity.may(role, list_ids)

    def lists(self, role: Role) -> list[MailingList]:
        """Those that the role is held on, by slug, retired ones too."""
        return [each for each in all_lists(self.session) if self.may(role, [each.id])]

    def lists_in_use(self, role: Role) -> list[MailingList]:
        return [each for each in self.lists(role) if each.retired_at is None]

    def edition(self, role: Role, name: str = "id") -> Edition:
        """The edition that the address names, if the role is held on every list it goes to."""
        return self.edition_numbered(self.number(name), role)

    def edition_numbered(self, number: int, role: Role) -> Edition:
        """The same for one that a form names."""
        found = self.session.get(Edition, number)
        if found is None:
            raise NotFoundError(NOT_HERE)
        of_edition = select(EditionList.list_id).where(EditionList.edition_id == found.id)
        self.require(role, self.session.scalars(of_edition).all())
        return found

    def number(self, name: str, *, greatest: int = GREATEST_KEY) -> int:
        """A number in the address's path. Raises `NotFoundError` for anything else."""
        number = whole_number(str(self.path[name]), greatest=greatest)
        if number is None:
            raise NotFoundError(NOT_HERE)
        return number

    def query_number(self, name: str, *, greatest: int = GREATEST_KEY) -> int | None:
        """One behind the address's question mark; None for anything else."""
        return whole_number(self.query(name), greatest=greatest)

    def page(self, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
        """A whole page, or, of a template whose name begins with `_`, a part of one."""
        told = cookies.read_notice(self.request, self.settings)
        is_part = template.rpartition("/")[2].startswith("_")
        given = {"visit": self, "notice": None if is_part else told, "form_token": self.form_token}
        response = HTMLResponse(rendered(f"newsroom/{template}", given | context), status)
        if told is not None and not is_part:
            cookies.drop_notice(response, self.settings)
        return response

    def go(
        self, url: str, notice: str | None = None, /, *, undo: Undo | None = None, **values: object
    ) -> Response:
        """To another page of the site, which then shows the notice once, with a button to undo it.

        `values` fill the places of the notice, which stands in the call for translators to see.
        """
        response: Response
        if self.is_part:
            response = Response(status_code=204, headers={"HX-Redirect": url})
        else:
            response = RedirectResponse(url, 303)
        if notice is not None:
            cookies.keep_notice(
                response, self.settings, Notice(translated(Words(notice, **values)), undo)
            )
        return response

    def form_token(self) -> Markup:
        """The hidden field that every form which posts must have."""
        return Markup('<input type="hidden" name="{}" value="{}">').format(csrf.FIELD, self.csrf)

    @property
    def csrf(self) -> str:
        if self.signed_in is not None:
            return self.signed_in.csrf
        return csrf.visitor_token(self.settings, self.visitor)

    def audit(self, action: str, subject: str = "", **details: object) -> None:
        """Note in the audit log what was done, in the same transaction (S-35)."""
        who = self.signed_in
        audit.record(
            self.session,
            actor=who.identity.name if who else "nobody signed in",
            account_id=who.identity.account_id if who else None,
            action=action,
            subject=subject,
            details=details,
            network=self.network or None,
            now=self.now,
        )
