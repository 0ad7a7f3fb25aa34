"""Reviews of an edition: what its readers in the house say of it, and its approval."""

from typing import Any

from starlette.responses import Response

from newsletter.accounts.roles import Role
from newsletter.errors import InputError, StateError
from newsletter.models import AudienceCount, EditionState, ReviewEnd, Transport
from newsletter.plan.approval import (
    approve_edition,
    hash_to_approve,
    withdraw_approval,
)
from newsletter.plan.audience import segments_of
from newsletter.plan.counting import count_audience, mailable
from newsletter.plan.drafts import cut_revision
from newsletter.plan.editions import briefing_of, newest_revision
from newsletter.plan.hourly_cap import CapReached
from newsletter.plan.review import (
    LONGEST_NOTE,
    add_comment,
    comments_of,
    end_review,
    place_comments,
    reopen_comment,
    resolve_comment,
    submit_edition,
)
from newsletter.plan.transports import possible_transports
from newsletter.web.newsroom.cookies import Undo
from newsletter.web.newsroom.pages import said
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import Visit
from newsletter.web.newsroom.way import Way, edition_page, way_of


def show(visit: Visit) -> Response:
    return _page(way_of(visit, Role.VIEWER))


def ask(visit: Visit) -> Response:
    way = way_of(visit, Role.WRITER)
    review = submit_edition(
        visit.session,
        way.edition.id,
        note=visit.form.get("note"),
        by=visit.by,
        settings=visit.settings,
        now=visit.now,
    )
    visit.audit("review asked", str(way.edition.id), revision=review.revision)
    undo = Undo("Undo", f"{way.url}/review/withdraw")
    return visit.go(f"{way.url}/review", "It waits for somebody to look at it.", undo=undo)


def withdraw(visit: Visit) -> Response:
    way = way_of(visit, Role.WRITER)
    end_review(visit.session, way.edition.id, ReviewEnd.WITHDRAWN, by=visit.by, now=visit.now)
    visit.audit("review withdrawn", str(way.edition.id))
    return visit.go(f"{way.url}/review", "Nobody is asked to review it any more.")


def send_back(visit: Visit) -> Response:
    """Whoever looked at it wants changes, and says which."""
    way = way_of(visit, Role.EDITOR)
    note = visit.form.get("note")
    if note:
        add_comment(visit.session, way.edition.id, note, story=None, by=visit.by, now=visit.now)
    end_review(visit.session, way.edition.id, ReviewEnd.RETURNED, by=visit.by, now=visit.now)
    visit.audit("review sent back", str(way.edition.id))
    return visit.go(f"{way.url}/review", "It is a draft again, with your comments.")


def comment(visit: Visit) -> Response:
    way = way_of(visit, Role.VIEWER)
    story = visit.form.number("story")
    try:
        made = add_comment(
            visit.session,
            way.edition.id,
            visit.form.text("text"),
            story=story,
            by=visit.by,
            now=visit.now,
        )
    except InputError as error:
        return _page(way, mistake=said(error), status=422)
    return visit.go(f"{way.url}/review#comment-{made.id}")


def resolve(visit: Visit) -> Response:
    way = way_of(visit, Role.WRITER)
    resolve_comment(
        visit.session, way.edition.id, visit.number("comment"), by=visit.by, now=visit.now
    )
    undo = Undo("Undo", f"{way.url}/review/comments/{visit.path['comment']}/reopen")
    return visit.go(f"{way.url}/review", "The comment is resolved.", undo=undo)


def reopen(visit: Visit) -> Response:
    way = way_of(visit, Role.WRITER)
    made = reopen_comment(visit.session, way.edition.id, visit.number("comment"))
    return visit.go(f"{way.url}/review#comment-{made.id}")


def count(visit: Visit) -> Response:
    """Count the people anew; only before the approval, which keeps its own count."""
    way = way_of(visit, Role.WRITER)
    if way.edition.approved_revision is None:
        count_audience(visit.session, way.edition, now=visit.now)
    if visit.is_part:
        return visit.page("edition/_audience.html", way=way, edition=way.edition, **_audience(way))
    return visit.go(f"{way.url}/review#approve")


def approve(visit: Visit) -> Response:
    way = way_of(visit, Role.EDITOR)
    # Also when it is refused: what has changed is then what is shown.
    cut_revision(visit.session, way.edition.id, settings=visit.settings, by=visit.by, now=visit.now)
    try:
        with visit.session.begin_nested():
            approval = approve_edition(
                visit.session,
                way.edition.id,
                approved_by=visit.by,
                settings=visit.settings,
                now=visit.now,
                expected_hash=visit.form.get("hash"),
            )
    except StateError as error:
        if isinstance(error, CapReached):
            visit.audit("sending refused", str(way.edition.id), why=said(error))
        return _page(way_of(visit, Role.EDITOR), mistake=said(error), status=409)
    visit.audit(
        "edition approved",
        str(way.edition.id),
        revision=approval.revision,
        hash=approval.content_hash,
        people=approval.people,
    )
    if way.is_out:
        return visit.go(
            f"{way.url}/correct",
            "The correction is approved, for all who have not been mailed yet.",
        )
    if way.edition.state is EditionState.SCHEDULED:
        return visit.go(f"{way.url}/schedule", "It is approved, and scheduled for its slot.")
    return visit.go(f"{way.url}/schedule", "It is approved. Say when it goes out.")


def unapprove(visit: Visit) -> Response:
    way = way_of(visit, Role.EDITOR)
    withdraw_approval(visit.session, way.edition.id)
    visit.audit("approval withdrawn", str(way.edition.id), revision=way.edition.revision)
    return visit.go(f"{way.url}/review", "The approval is withdrawn; it is a draft again.")


def _page(way: Way, *, mistake: str | None = None, status: int = 200) -> Response:
    session = way.visit.session
    revision = newest_revision(session, way.edition) if way.edition.revision else None
    briefing = briefing_of(revision) if revision else way.content.briefing
    return edition_page(
        way,
        "review.html",
        "review",
        status=status,
        revision=revision,
        briefing=briefing,
        headlines=[each.headline for each in briefing.stories],
        comments=place_comments(comments_of(session, way.edition.id), briefing),
        hash=hash_to_approve(session, way.edition) if revision else "",
        longest=LONGEST_NOTE,
        typed=way.visit.form.text("text"),
        typed_story=way.visit.form.number("story"),
        mistake=mistake,
        **_audience(way),
    )


def _audience(way: Way) -> dict[str, Any]:
    session = way.visit.session
    counted = session.get(AudienceCount, way.edition.id)
    frozen = session.get(Transport, way.edition.transport_id) if way.edition.transport_id else None
    return {
        "count": counted,
        "mailable": mailable(counted) if counted else None,
        "segments": segments_of(session, way.edition.id),
        "transports": [frozen] if frozen else possible_transports(session, way.lists),
    }


_REVIEW = "/newsroom/editions/{id}/review"
SCREENS = (
    Screen(_REVIEW, get=show, post=ask, role=Role.VIEWER),
    Screen(f"{_REVIEW}/withdraw", post=withdraw, role=Role.WRITER),
    Screen(f"{_REVIEW}/send-back", post=send_back, role=Role.EDITOR),
    Screen(f"{_REVIEW}/comments", post=comment, role=Role.VIEWER),
    Screen(f"{_REVIEW}/comments/{{comment}}/resolve", post=resolve, role=Role.WRITER),
    Screen(f"{_REVIEW}/comments/{{comment}}/reopen", post=reopen, role=Role.WRITER),
    Screen(f"{_REVIEW}/count", post=count, role=Role.WRITER),
    Screen(f"{_REVIEW}/approve", post=approve, role=Role.EDITOR),
    Screen(f"{_REVIEW}/unapprove", post=unapprove, role=Role.EDITOR),
)
