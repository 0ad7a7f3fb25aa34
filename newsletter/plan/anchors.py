"""Where addresses found the stories of an edition so far, so that they go on finding them."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.compose.anchors import Anchor, Anchored, anchors_of
from newsletter.compose.briefing import Briefing, from_json
from newsletter.models import Revision


def anchors_for(session: Session, edition_id: int, briefing: Briefing) -> tuple[Anchor, ...]:
    """Those of the stories of an edition's new content. What was never approved is in no mail."""
    approved = session.scalars(
        select(Revision)
        .where(Revision.edition_id == edition_id, Revision.approved_at.is_not(None))
        .order_by(Revision.number.desc())
    )
    return anchors_of(tuple(briefing.stories), _known(approved))


def anchors_to_json(anchors: Iterable[Anchor]) -> list[dict[str, Any]]:
    return [asdict(anchor) for anchor in anchors]


def stories_of(revision: Revision) -> list[Anchored]:
    """In their order."""
    stories = tuple(from_json(revision.briefing).stories)
    # What was compiled before stories had names has their positions for them.
    anchors = [Anchor(**each) for each in revision.anchors] or [
        Anchor(number, f"story-{number}") for number in range(1, len(stories) + 1)
    ]
    return [Anchored(*each) for each in zip(stories, anchors, strict=True)]


def _known(revisions: Iterable[Revision]) -> list[Anchored]:
    """Each as it was published last; `revisions` the newest first."""
    known: dict[int, Anchored] = {}
    for revision in revisions:
        for each in stories_of(revision):
            known.setdefault(each.anchor.number, each)
    return list(known.values())
