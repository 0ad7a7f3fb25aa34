"""The sections of a list: what headings mean, in which order, and which of them nobody can hide."""

from collections.abc import Mapping

from starlette.responses import Response

from newsletter.accounts.roles import Role
from newsletter.audience.fields import refuse
from newsletter.audience.sections import (
    SectionChanges,
    add_section,
    edit_section,
    retire_section,
    sections_of,
)
from newsletter.errors import InputError
from newsletter.models import MailingList
from newsletter.web.newsroom.edits import mistakes, typed_in
from newsletter.web.newsroom.list_form import list_of
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import Visit
from newsletter.words import Words


def show_sections(visit: Visit) -> Response:
    return _sections_page(visit, list_of(visit, Role.VIEWER))


def make_section(visit: Visit) -> Response:
    mailing_list = list_of(visit, Role.ADMIN)
    key, name = visit.form.get("key"), visit.form.get("name")
    try:
        add_section(
            visit.session,
            mailing_list,
            key,
            name=name,
            aliases=_aliases(visit),
            is_pinned=visit.form.has("is_pinned"),
        )
    except InputError as error:
        return _sections_page(visit, mailing_list, mistakes(error, ("key", "name", "aliases")))
    visit.audit("section added", mailing_list.slug, section=key, name=name)
    return _to_sections(visit, mailing_list, Words("The section “{name}” is there.", name=name))


def change_section(visit: Visit) -> Response:
    mailing_list = list_of(visit, Role.ADMIN)
    changes = SectionChanges(
        name=visit.form.get("name"), aliases=_aliases(visit), is_pinned=visit.form.has("is_pinned")
    )
    edited = edit_section(visit.session, mailing_list, visit.path["key"], changes)
    visit.audit("section changed", mailing_list.slug, section=edited.key, **changes)
    return _to_sections(visit, mailing_list, Words("“{name}” is saved.", name=edited.name))


def move_section(visit: Visit) -> Response:
    mailing_list = list_of(visit, Role.ADMIN)
    position = visit.form.number("position")
    if position is None:
        refuse("position", "write its place among the sections, from 1")
    moved = edit_section(visit.session, mailing_list, visit.path["key"], {"position": position})
    visit.audit("section moved", mailing_list.slug, section=moved.key, position=moved.position)
    return _to_sections(
        visit,
        mailing_list,
        Words("“{name}” is number {position} now.", name=moved.name, position=moved.position),
    )


def drop_section(visit: Visit) -> Response:
    mailing_list = list_of(visit, Role.ADMIN)
    gone = retire_section(visit.session, mailing_list, visit.path["key"], now=visit.now)
    visit.audit("section retired", mailing_list.slug, section=gone.key)
    notice = Words(
        "“{name}” is retired: everybody gets what stands under its headings.", name=gone.name
    )
    return _to_sections(visit, mailing_list, notice)


def _aliases(visit: Visit) -> list[str]:
    return [line.strip() for line in visit.form.text("aliases").splitlines() if line.strip()]


def _sections_page(
    visit: Visit, mailing_list: MailingList, wrong: Mapping[str, str] | None = None
) -> Response:
    return visit.page(
        "office/list_sections.html",
        status=422 if wrong else 200,
        list=mailing_list,
        sections=sections_of(visit.session, mailing_list.id),
        typed=typed_in(visit.form, ("key", "name", "aliases", "is_pinned")),
        wrong=wrong or {},
        may_edit=visit.may(Role.ADMIN, [mailing_list.id]),
    )


def _to_sections(visit: Visit, mailing_list: MailingList, notice: Words) -> Response:
    return visit.go(f"/office/lists/{mailing_list.slug}/sections", notice)


SCREENS = (
    Screen("/office/lists/{slug}/sections", get=show_sections, post=make_section, role=Role.VIEWER),
    Screen("/office/lists/{slug}/sections/{key}", post=change_section, role=Role.ADMIN),
    Screen("/office/lists/{slug}/sections/{key}/move", post=move_section, role=Role.ADMIN),
    Screen("/office/lists/{slug}/sections/{key}/retire", post=drop_section, role=Role.ADMIN),
)
