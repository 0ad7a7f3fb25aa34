"""One edition at a glance: where it stands, what comes next, and ending it."""

from starlette.responses import Response

from newsletter.accounts.roles import Role
from newsletter.models import AudienceCount
from newsletter.plan import schedule
from newsletter.plan.audience import segments_of
from newsletter.plan.counting import mailable
from newsletter.plan.review import comments_of
from newsletter.report.editions import edition_status
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import Visit
from newsletter.web.newsroom.way import edition_page, way_of


def overview(visit: Visit) -> Response:
    way = way_of(visit, Role.VIEWER)
    count = visit.session.get(AudienceCount, way.edition.id)
    comments = comments_of(visit.session, way.edition.id)
    return edition_page(
        way,
        "overview.html",
        "overview",
        count=count,
        mailable=mailable(count) if count else None,
        segments=segments_of(visit.session, way.edition.id),
        open_comments=sum(each.resolved_at is None for each in comments),
        figures=edition_status(visit.session, way.edition.id) if way.is_out else None,
    )


def cancel(visit: Visit) -> Response:
    way = way_of(visit, Role.EDITOR)
    before = way.edition.state
    schedule.cancel(visit.session, way.edition.id)
    visit.audit("edition cancelled", str(way.edition.id), state=before.value)
    return visit.go(way.url, "The edition is cancelled. Nobody is mailed any more.")


SCREENS = (
    Screen("/newsroom/editions/{id}", get=overview, role=Role.VIEWER),
    Screen("/newsroom/editions/{id}/cancel", post=cancel, role=Role.EDITOR),
)
