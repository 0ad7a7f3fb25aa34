"""The office's lists: what people subscribe to, who sends it, and the dress that it wears."""

from collections.abc import Mapping
from typing import cast

from sqlalchemy import select
from starlette.responses import Response

from newsletter.accounts.roles import Role
from newsletter.audience.lists import (
    ListChanges,
    NewList,
    create_list,
    edit_list,
    retire_list,
    sizes_of_lists,
)
from newsletter.audience.sections import sections_of
from newsletter.audience.zones import zone_choices
from newsletter.errors import InputError
from newsletter.models import ListFigures, ListTransport, MailingList, Transport
from newsletter.plan.coming import next_slots
from newsletter.plan.transports import assign_transports
from newsletter.render.theme import font_stacks
from newsletter.web.newsroom.edits import changed, mistakes, shown_before, typed_in
from newsletter.web.newsroom.letterhead import letterhead_of
from newsletter.web.newsroom.list_form import (
    DRESS,
    FIELDS,
    list_of,
    read,
    telling_of_approved,
    written,
)
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import Visit
from newsletter.web.public.snippet import form_snippet
from newsletter.words import Words

SHOWN_IN_MAIL = {*DRESS, "postal_address", "sender_name", "sender_address", "reply_to", "tracking"}


def index(visit: Visit) -> Response:
    lists = visit.lists(Role.VIEWER)
    return visit.page(
        "office/lists.html",
        lists=[each for each in lists if each.retired_at is None],
        retired=[each for each in lists if each.retired_at is not None],
        sizes=sizes_of_lists(visit.session),
        coming=next_slots(visit.session, lists, now=visit.now),
        may_create=visit.may(Role.ADMIN, ()),
    )


def show(visit: Visit) -> Response:
    mailing_list = list_of(visit, Role.VIEWER)
    used = visit.session.scalars(
        select(ListTransport.transport_id).where(ListTransport.list_id == mailing_list.id)
    ).all()
    return visit.page(
        "office/list.html",
        list=mailing_list,
        figures=visit.session.get(ListFigures, mailing_list.id),
        next_at=next_slots(visit.session, [mailing_list], now=visit.now).get(mailing_list.id),
        sections=sections_of(visit.session, mailing_list.id),
        transports=visit.session.scalars(select(Transport).order_by(Transport.name)).all(),
        used=used,
        fonts=font_stacks(),
        form_url=f"{visit.settings.base_url}/s/{mailing_list.slug}",
        snippet=form_snippet(mailing_list, visit.settings.base_url),
        may_edit=visit.may(Role.ADMIN, [mailing_list.id]),
        may_assign=visit.may(Role.ADMIN, ()),
    )


def new_form(visit: Visit) -> Response:
    visit.require(Role.ADMIN, ())
    blank = NewList(slug="", name="", sender_name="", sender_address="", postal_address="")
    return _form(visit, None, written(blank) | {"slug": ""})


def create(visit: Visit) -> Response:
    visit.require(Role.ADMIN, ())
    slug = visit.form.get("slug").lower()
    try:
        fields = read({name: visit.form.get(name) for name in FIELDS})
        made = create_list(visit.session, NewList(slug=slug, **fields), now=visit.now)
    except InputError as error:
        typed = typed_in(visit.form, ("slug", *FIELDS))
        return _form(visit, None, typed, mistakes(error, ("slug", *FIELDS)))
    visit.audit("list created", made.slug, list_id=made.id)
    return visit.go(f"/office/lists/{made.slug}", "The list “{name}” is there.", name=made.name)


def edit_form(visit: Visit) -> Response:
    mailing_list = list_of(visit, Role.ADMIN)
    values = written(mailing_list)
    return _form(visit, mailing_list, values, was=values)


def save(visit: Visit) -> Response:
    mailing_list = list_of(visit, Role.ADMIN)
    before = written(mailing_list)
    changes = changed(visit.form, FIELDS)
    try:
        edit_list(visit.session, mailing_list.slug, cast("ListChanges", read(changes)))
    except InputError as error:
        was = shown_before(visit.form, FIELDS)
        wrong = mistakes(error, FIELDS)
        return _form(visit, mailing_list, typed_in(visit.form, FIELDS), wrong, was=was)
    after = written(mailing_list)
    difference = {
        name: {"before": before[name], "after": after[name]}
        for name in FIELDS
        if before[name] != after[name]
    }
    if difference:
        visit.audit("list changed", mailing_list.slug, list_id=mailing_list.id, **difference)
    notice = (
        Words("“{list}” is saved.", list=mailing_list.name)
        if difference
        else Words("Nothing was changed.")
    )
    if SHOWN_IN_MAIL & difference.keys():
        notice = telling_of_approved(visit, mailing_list, notice)
    return visit.go(f"/office/lists/{mailing_list.slug}", notice)


def retire(visit: Visit) -> Response:
    mailing_list = list_of(visit, Role.ADMIN)
    retire_list(visit.session, mailing_list.slug, now=visit.now)
    visit.audit("list retired", mailing_list.slug, list_id=mailing_list.id)
    return visit.go("/office/lists", "“{list}” is retired.", list=mailing_list.name)


def choose_transports(visit: Visit) -> Response:
    mailing_list = list_of(visit, Role.ADMIN)
    visit.require(Role.ADMIN, ())
    wanted = visit.form.numbers("transport")
    chosen = visit.session.scalars(select(Transport).where(Transport.id.in_(wanted))).all()
    assign_transports(visit.session, mailing_list, chosen)
    names = [each.name for each in chosen]
    visit.audit("list transports changed", mailing_list.slug, transports=names)
    through = ", ".join(names) if names else Words("any transport")
    notice = Words(
        "Editions of “{list}” leave through {through}.", list=mailing_list.name, through=through
    )
    return visit.go(f"/office/lists/{mailing_list.slug}", notice)


def _form(
    visit: Visit,
    mailing_list: MailingList | None,
    values: Mapping[str, str],
    wrong: Mapping[str, str] | None = None,
    *,
    was: Mapping[str, str] | None = None,
) -> Response:
    slug = mailing_list.slug if mailing_list else ""
    return visit.page(
        "office/list_form.html",
        status=422 if wrong else 200,
        list=mailing_list,
        values=values,
        was=was or {},
        wrong=wrong or {},
        zones=[(name, name) for name in sorted({*zone_choices(), values["zone"] or "UTC"})],
        fonts=[(font, stack.name) for font, stack in font_stacks().items()],
        dress=",".join((*DRESS, "slug")),
        **letterhead_of(visit, values, slug),
    )


SCREENS = (
    Screen("/office/lists", get=index, role=Role.VIEWER),
    Screen("/office/new-list", get=new_form, post=create, role=Role.ADMIN),
    Screen("/office/lists/{slug}", get=show, role=Role.VIEWER),
    Screen("/office/lists/{slug}/edit", get=edit_form, post=save, role=Role.ADMIN),
    Screen("/office/lists/{slug}/retire", post=retire, role=Role.ADMIN),
    Screen("/office/lists/{slug}/transports", post=choose_transports, role=Role.ADMIN),
)
