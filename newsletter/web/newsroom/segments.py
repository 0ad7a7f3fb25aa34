"""The office's segments: saved conditions over people, tried while they are written."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from newsletter.accounts.roles import Role
from newsletter.addresses import mask_address
from newsletter.audience.attributes import all_attributes
from newsletter.audience.lists import all_lists
from newsletter.audience.segments.estimate import estimate, some_people
from newsletter.audience.segments.language import LONGEST, QueryError
from newsletter.audience.segments.query import segmented
from newsletter.audience.segments.saved import (
    SegmentChanges,
    create_segment,
    delete_segment,
    edit_segment,
    editions_using,
    exact_count,
    list_segments,
    rename_segment,
    segment_by_name,
    start_count,
)
from newsletter.audience.tags import list_tags
from newsletter.errors import InputError, NotFoundError
from newsletter.models import Segment, Subscriber
from newsletter.web.newsroom.edits import mistakes, typed_in
from newsletter.web.newsroom.pages import said
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import NOT_HERE, Visit

ON_A_PAGE = 100
SAMPLE = 10
TAGS_SHOWN = 20
FIELDS = ("name", "definition", "description")


def index(visit: Visit) -> Response:
    _require(visit)
    found = list_segments(visit.session, after=visit.query("after"), limit=ON_A_PAGE + 1)
    page = found[:ON_A_PAGE]
    return visit.page(
        "office/segments.html",
        segments=page,
        next_after=page[-1].name if len(found) > ON_A_PAGE else None,
    )


def new_form(visit: Visit) -> Response:
    _require(visit)
    return _editor(visit, None, dict.fromkeys(FIELDS, ""))


def create(visit: Visit) -> Response:
    _require(visit)
    typed = _typed(visit)
    try:
        made = create_segment(
            visit.session,
            typed["name"],
            typed["definition"],
            description=typed["description"],
            created_by=visit.by,
            now=visit.now,
        )
    except InputError as error:
        return _editor(visit, None, typed, _mistakes(error))
    visit.audit("segment created", made.name, definition=made.definition)
    return visit.go(_url(made), "The segment {name} is saved.", name=made.name)


def show(visit: Visit) -> Response:
    segment = _segment(visit)
    return _editor(visit, segment, {name: getattr(segment, name) for name in FIELDS})


def save(visit: Visit) -> Response:
    segment = _segment(visit)
    before, name = segment.definition, segment.name
    typed = _typed(visit)
    try:
        with visit.session.begin_nested():
            changes = SegmentChanges(typed["definition"], typed["description"])
            edit_segment(visit.session, name, changes, now=visit.now)
            if typed["name"] != name:
                rename_segment(visit.session, name, typed["name"], now=visit.now)
    except InputError as error:
        return _editor(visit, segment, typed, _mistakes(error))
    visit.audit(
        "segment changed",
        segment.name,
        name={"before": name, "after": segment.name},
        definition={"before": before, "after": segment.definition},
    )
    return visit.go(_url(segment), "The segment {name} is saved.", name=segment.name)


def delete(visit: Visit) -> Response:
    segment = _segment(visit)
    delete_segment(visit.session, segment.name)
    visit.audit("segment deleted", segment.name, definition=segment.definition)
    return visit.go("/office/segments", "The segment {name} is deleted.", name=segment.name)


def count(visit: Visit) -> Response:
    """About how many a definition has that is being written, or where it goes wrong."""
    _require(visit)
    return visit.page("office/_segment_count.html", **_tried(visit, visit.query("definition")))


def people(visit: Visit) -> Response:
    _require(visit)
    try:
        sample = _sample(visit, visit.query("definition"))
    except QueryError:
        sample = None
    return visit.page("office/_segment_people.html", people=sample, may_open=_may_open(visit))


def begin_exact(visit: Visit) -> Response:
    segment = _segment(visit)
    start_count(visit.session, segment, now=visit.now)
    return visit.go(_url(segment), "Everybody is looked at now; the page shows how far it is.")


def exact(visit: Visit) -> Response:
    """How far the exact count is; the part asks for itself again until it is done."""
    segment = _segment(visit)
    return visit.page(
        "office/_segment_exact.html", segment=segment, exact=exact_count(visit.session, segment)
    )


def _require(visit: Visit) -> None:
    """A segment is over everybody there is, so it is for those who have every list."""
    visit.require(Role.EDITOR, ())


def _segment(visit: Visit) -> Segment:
    _require(visit)
    try:
        return segment_by_name(visit.session, visit.path["name"])
    except NotFoundError as error:
        raise NotFoundError(NOT_HERE) from error


def _typed(visit: Visit) -> dict[str, str]:
    """The definition may stand on several lines; the language has one."""
    typed = typed_in(visit.form, FIELDS)
    return typed | {"definition": _one_line(typed["definition"])}


def _one_line(text: str) -> str:
    return text.replace("\r", "").replace("\n", " ").strip()


def _mistakes(error: InputError) -> Mapping[str, str]:
    if isinstance(error, QueryError):
        return {"definition": said(error)}
    return mistakes(error, FIELDS)


def _editor(
    visit: Visit,
    segment: Segment | None,
    values: Mapping[str, str],
    wrong: Mapping[str, str] | None = None,
) -> Response:
    return visit.page(
        "office/segment.html",
        status=422 if wrong else 200,
        segment=segment,
        values=values,
        wrong=wrong or {},
        longest=LONGEST,
        exact=exact_count(visit.session, segment) if segment else None,
        users=editions_using(visit.session, segment) if segment else [],
        lists=all_lists(visit.session),
        attributes=[each for each in all_attributes(visit.session) if each.retired_at is None],
        tags=list_tags(visit.session, limit=TAGS_SHOWN),
        people=_sample(visit, segment.definition) if segment and visit.query("people") else None,
        may_open=_may_open(visit),
        **_tried(visit, values["definition"]),
    )


def _sample(visit: Visit, definition: str) -> list[tuple[Subscriber, str]]:
    """People, each with a masked address."""
    found = segmented(visit.session, _one_line(definition), now=visit.now)
    people = some_people(visit.session, found, limit=SAMPLE)
    return [(person, mask_address(person.address)) for person in people]


def _may_open(visit: Visit) -> bool:
    """Whether they see who somebody is; an editor sees a masked address."""
    return visit.may(Role.ADMIN, ())


def _tried(visit: Visit, text: str) -> dict[str, Any]:
    definition = _one_line(text)
    nothing = {"definition": definition, "about": None, "notes": (), "mistake": None}
    if not definition:
        return nothing
    try:
        found = segmented(visit.session, definition, now=visit.now)
    except QueryError as error:
        return nothing | {"mistake": error}
    return nothing | {"about": estimate(visit.session, found), "notes": found.notes}


def _url(segment: Segment) -> str:
    return f"/office/segments/{segment.name}"


SCREENS = (
    Screen("/office/segments", get=index, role=Role.EDITOR),
    Screen("/office/new-segment", get=new_form, post=create, role=Role.EDITOR),
    Screen("/office/segment-count", get=count, role=Role.EDITOR),
    Screen("/office/segment-people", get=people, role=Role.EDITOR),
    Screen("/office/segments/{name}", get=show, post=save, role=Role.EDITOR),
    Screen("/office/segments/{name}/delete", post=delete, role=Role.EDITOR),
    Screen("/office/segments/{name}/exact", get=exact, post=begin_exact, role=Role.EDITOR),
)
