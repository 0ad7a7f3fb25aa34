"""The office's suppressions: who is never mailed, why, and how they may be again."""

from collections.abc import Mapping
from typing import IO, Any
from urllib.parse import urlencode

from starlette.responses import Response

from newsletter.accounts.roles import Role
from newsletter.addresses import Address, parse_address
from newsletter.audience.fields import refuse
from newsletter.audience.lists import list_by_slug
from newsletter.audience.suppression import (
    SoughtSuppressions,
    recent_suppressions,
    suppress,
    suppressions_of,
)
from newsletter.audience.suppression_export import write_csv
from newsletter.audience.suppression_import import SuppressionReport, import_suppressions
from newsletter.audience.suppression_lifting import ONLY_BY_THEMSELVES, lift, lifted_of
from newsletter.db import reading
from newsletter.errors import AddressError, InputError
from newsletter.models import (
    EVERYWHERE,
    LiftedSuppression,
    MailingList,
    Suppression,
    SuppressionReason,
)
from newsletter.web.api.files import as_text, download
from newsletter.web.newsroom.edits import mistakes, typed_in
from newsletter.web.newsroom.pages import said
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.subscribers import list_called, own_lists
from newsletter.web.newsroom.visit import Visit
from newsletter.words import Words

ON_A_PAGE = 50
LARGEST_FILE = 32 * 1024 * 1024
PROBLEMS_SHOWN = 100
EVERY_LIST = "every"
FILTERS = ("list", "reason", "source")


def index(visit: Visit) -> Response:
    return _index(visit)


def add(visit: Visit) -> Response:
    try:
        address = _address(visit.form.get("address"))
        list_id, where = _scope(visit, visit.form.get("list"))
        reason = _reason(visit.form.get("reason"))
    except InputError as error:
        return _index(visit, mistakes(error, ("address", "list", "reason")))
    is_new = suppress(
        visit.session,
        address,
        reason=reason,
        source=f"office, {visit.by}",
        list_id=list_id,
        now=visit.now,
    )
    visit.audit("suppressed", where=where, reason=reason.value)
    notice = (
        Words("{address} is never mailed from {where}.", address=address, where=where)
        if is_new
        else Words("{address} was there before.", address=address)
    )
    return visit.go("/office/suppressions", notice)


def take_back(visit: Visit) -> Response:
    """By the rules: what the person themselves said stays (B-23)."""
    address = _address(visit.form.get("address"))
    list_id, where = _scope(visit, visit.form.get("list"))
    why = visit.form.get("why")
    lift(visit.session, address, list_id=list_id, by=visit.by, why=why, now=visit.now)
    visit.audit("suppression lifted", where=where, why=why)
    return visit.go(
        "/office/suppressions",
        "Mail from {where} may go to {address} again.",
        where=where,
        address=address,
    )


def import_form(visit: Visit) -> Response:
    visit.require(Role.ADMIN, ())
    return _import_page(visit)


def take_file(visit: Visit) -> Response:
    """In transactions of its own, since a file may be long; once more with the same changes nothing."""
    visit.require(Role.ADMIN, ())
    upload = visit.form.files.get("file")
    try:
        if upload is None:
            refuse("file", "choose a file first")
        # With nothing asked of the visit's own session: on SQLite the import would wait for it.
        list_id, where = _scope_apart(visit, visit.form.get("list"))
        report = import_suppressions(
            visit.deps.engine,
            upload.file,
            reason=_reason(visit.form.get("reason")),
            source=visit.form.get("source") or f"office, {visit.by}",
            list_id=list_id,
            now=visit.now,
        )
    except InputError as error:
        return _import_page(visit, wrong=mistakes(error, ("file", "list", "reason", "source")))
    visit.audit("suppressions imported", where=where, new=report.new, known=report.known)
    return _import_page(visit, report=report, where=where)


def hand_out(visit: Visit) -> Response:
    """All entries, or those of one list, as hashes: the addresses are kept nowhere."""
    list_id, where = _list_id(visit, visit.form.get("list")), visit.form.get("list") or "all"
    engine = visit.deps.engine

    def write(file: IO[bytes]) -> None:
        with as_text(file) as text:
            write_csv(engine, text, list_id=list_id)

    visit.audit("suppressions exported", where=where)
    return download(write, media_type="text/csv", name="suppressions.csv")


def _index(visit: Visit, wrong: Mapping[str, str] | None = None) -> Response:
    lists = visit.lists(Role.ADMIN)
    asked, looked_up, misspelt = visit.query("address"), None, ""
    if asked:
        try:
            looked_up = _look_up(visit, _address(asked), lists)
        except InputError as error:
            misspelt = said(error)
    return visit.page(
        "office/suppressions.html",
        status=422 if wrong else 200,
        asked=asked,
        looked_up=looked_up,
        misspelt=misspelt,
        typed=typed_in(visit.form, ("address", "list", "reason")),
        wrong=wrong or {},
        only_themselves=ONLY_BY_THEMSELVES,
        **_choices(visit, lists),
        **_entries(visit),
    )


def _look_up(
    visit: Visit, address: Address, lists: list[MailingList]
) -> dict[str, list[Suppression] | list[LiftedSuppression]]:
    seen = {EVERYWHERE, *(each.id for each in lists)}
    return {
        "entries": [
            each for each in suppressions_of(visit.session, address) if each.list_id in seen
        ],
        "lifted": [each for each in lifted_of(visit.session, address) if each.list_id in seen],
    }


def _entries(visit: Visit) -> dict[str, Any]:
    reason = visit.query("reason")
    slug = visit.query("list")
    if not slug and own_lists(visit) is not None:
        return {"entries": [], "next_url": None, "first_url": None, "needs_list": True}
    page = recent_suppressions(
        visit.session,
        SoughtSuppressions(
            list_id=_list_id(visit, slug),
            reason=_reason(reason) if reason else None,
            source=visit.query("source") or None,
        ),
        after=visit.query("after") or None,
        limit=ON_A_PAGE,
    )
    return {
        "entries": page.entries,
        "next_url": _url(visit, page.next_after) if page.next_after else None,
        "first_url": _url(visit, None) if visit.query("after") else None,
        "needs_list": False,
    }


def _choices(visit: Visit, lists: list[MailingList]) -> dict[str, Any]:
    return {
        "lists": lists,
        "names": {each.id: each.name for each in lists},
        "slugs": {each.id: each.slug for each in lists},
        "reasons": list(SuppressionReason),
        "everywhere": EVERYWHERE,
        "every_list": EVERY_LIST,
        "may_all": visit.may(Role.ADMIN, ()),
    }


def _import_page(
    visit: Visit,
    *,
    report: SuppressionReport | None = None,
    where: str = "",
    wrong: Mapping[str, str] | None = None,
) -> Response:
    return visit.page(
        "office/suppressions_import.html",
        status=422 if wrong else 200,
        report=report,
        problems=report.problems[:PROBLEMS_SHOWN] if report else [],
        where=where,
        wrong=wrong or {},
        typed=typed_in(visit.form, ("list", "reason", "source")),
        **_choices(visit, visit.lists(Role.ADMIN)),
    )


def _url(visit: Visit, after: str | None) -> str:
    asked = {name: visit.query(name) for name in FILTERS} | {"after": after or ""}
    return f"/office/suppressions?{urlencode({name: text for name, text in asked.items() if text})}"


def _address(text: str) -> Address:
    try:
        return parse_address(text)
    except AddressError as error:
        raise InputError("{error}", field="address", error=error) from error


def _reason(text: str) -> SuppressionReason:
    try:
        return SuppressionReason(text)
    except ValueError:
        refuse("reason", "choose one of: {known}", known=", ".join(SuppressionReason))


def _list_id(visit: Visit, slug: str) -> int | None:
    """None: whatever the list is, which is for those who have every one."""
    if not slug:
        visit.require(Role.ADMIN, ())
        return None
    return EVERYWHERE if slug == EVERY_LIST else list_called(visit, slug).id


def _scope(visit: Visit, slug: str) -> tuple[int, str]:
    """What an entry is to hold for, in words too."""
    if slug in ("", EVERY_LIST):
        visit.require(Role.ADMIN, ())
        return EVERYWHERE, Words("every list")
    mailing_list = list_called(visit, slug)
    return mailing_list.id, f"“{mailing_list.name}”"


def _scope_apart(visit: Visit, slug: str) -> tuple[int, str]:
    """As `_scope`, for those who have every list."""
    if slug in ("", EVERY_LIST):
        return EVERYWHERE, Words("every list")
    with reading(visit.deps.engine) as session:
        mailing_list = list_by_slug(session, slug)
    return mailing_list.id, f"“{mailing_list.name}”"


SCREENS = (
    Screen("/office/suppressions", get=index, post=add, role=Role.ADMIN),
    Screen("/office/suppressions/lift", post=take_back, role=Role.ADMIN),
    Screen("/office/suppressions/export", post=hand_out, role=Role.ADMIN),
    Screen(
        "/office/suppressions/import",
        get=import_form,
        post=take_file,
        role=Role.ADMIN,
        largest_form=LARGEST_FILE,
    ),
)
