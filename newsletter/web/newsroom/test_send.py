"""Sends an edition to a few colleagues as a test, and shows what the mail server said."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from starlette.responses import Response

from newsletter.accounts.roles import Role
from newsletter.addresses import Address, parse_address
from newsletter.deliver.test_recipients import allowed_patterns
from newsletter.deliver.test_sends import ResultOfTest, request_test, results_of
from newsletter.errors import InputError, StateError
from newsletter.models import Account, AccountList, EditionTest, SystemMail
from newsletter.plan.drafts import cut_revision
from newsletter.plan.marks import edition_tests, note_test
from newsletter.web.newsroom.pages import said
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import Visit
from newsletter.web.newsroom.way import Way, edition_page, way_of

MOST_COLLEAGUES = 100


@dataclass(frozen=True, slots=True)
class Colleague:
    name: str
    email: str
    is_self: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """A test and what became of its mails; none are known of one that was long ago."""

    test: EditionTest
    results: Sequence[ResultOfTest]

    @property
    def is_waiting(self) -> bool:
        return any(not each.is_known for each in self.results)


def show(visit: Visit) -> Response:
    return _page(way_of(visit, Role.WRITER))


def results(visit: Visit) -> Response:
    way = way_of(visit, Role.WRITER)
    return visit.page("edition/_test_results.html", way=way, shown=_shown(way))


def send(visit: Visit) -> Response:
    way = way_of(visit, Role.WRITER)
    form = visit.form
    typed = form.get("others").replace(",", " ").replace(";", " ").split()
    try:
        to = [parse_address(each) for each in (*form.every("to"), *typed)]
        _require_somebody(to)
        with visit.session.begin_nested():
            mail_ids = _request(way, to)
    except (InputError, StateError) as error:
        status = 422 if isinstance(error, InputError) else 409
        return _page(way_of(visit, Role.WRITER), mistake=said(error), status=status)
    note_test(visit.session, way.edition, mail_ids, by=visit.by, now=visit.now)
    visit.audit("test sent", str(way.edition.id), to=len(to), revision=way.edition.revision)
    return visit.go(f"{way.url}/test")


def _request(way: Way, to: Sequence[Address]) -> list[int]:
    visit, persona = way.visit, way.visit.form.get("persona")
    cut_revision(visit.session, way.edition.id, settings=visit.settings, by=visit.by, now=visit.now)
    return request_test(
        visit.session,
        way.edition.id,
        to=to,
        by=visit.by,
        most_per_minute=visit.settings.test_sends_per_minute,
        list_slug=visit.form.get("list") or None,
        persona=parse_address(persona) if persona else None,
        also_allowed=_colleagues_among(way, to),
        now=visit.now,
    )


def _page(way: Way, *, mistake: str | None = None, status: int = 200) -> Response:
    form = way.visit.form
    return edition_page(
        way,
        "test.html",
        "test",
        status=status,
        shown=_shown(way),
        colleagues=_colleagues(way),
        patterns=allowed_patterns(way.visit.session),
        chosen=form.every("to") or [way.visit.identity.email],
        others=form.get("others"),
        persona=form.get("persona"),
        slug=form.get("list"),
        mistake=mistake,
    )


def _require_somebody(to: Sequence[Address]) -> None:
    if not to:
        raise InputError("Choose at least one person to send the test to.")


def _colleagues_among(way: Way, to: Sequence[Address]) -> set[str]:
    """Whoever has access to the edition's lists may always be sent a test of it."""
    keys = {parse_address(each.email).key for each in _colleagues(way)}
    return keys & {each.key for each in to}


def _colleagues(way: Way) -> list[Colleague]:
    """People with access to every list of the edition; the visitor first."""
    visit = way.visit
    chosen = (
        select(Account)
        .where(Account.disabled_at.is_(None), Account.joined_at.is_not(None))
        .order_by(Account.name)
        .limit(MOST_COLLEAGUES)
    )
    for each in way.lists:
        holds = select(AccountList.account_id).where(AccountList.list_id == each.id)
        chosen = chosen.where(Account.is_narrowed.is_(False) | Account.id.in_(holds))
    own = visit.identity
    others = [
        Colleague(each.name, each.email, is_self=False)
        for each in visit.session.scalars(chosen)
        if each.id != own.account_id
    ]
    return [Colleague(own.name, own.email, is_self=True), *others]


def _shown(way: Way) -> list[Shown]:
    session = way.visit.session
    tests = edition_tests(session, way.edition.id)
    ids = [mail_id for test in tests for mail_id in test.mail_ids]
    there = set(session.scalars(select(SystemMail.id).where(SystemMail.id.in_(ids))))
    return [
        Shown(test, results_of(session, [each for each in test.mail_ids if each in there]))
        for test in tests
    ]


_TEST = "/newsroom/editions/{id}/test"
SCREENS = (
    Screen(_TEST, get=show, post=send, role=Role.WRITER),
    Screen(f"{_TEST}/results", get=results, role=Role.WRITER),
)
