"""The part of what is known of a person that concerns certain lists: for whoever has only these."""

from collections.abc import Collection
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.audience.detail import SubscriberDetail
from newsletter.audience.import_merge import source_of
from newsletter.audience.lists import all_lists
from newsletter.errors import NotFoundError
from newsletter.models import EVERYWHERE, Import, SubscriberChange


def narrow(
    session: Session, detail: SubscriberDetail, list_ids: Collection[int]
) -> SubscriberDetail:
    """Raises `NotFoundError` for somebody on none of the lists, as for nobody (S-09)."""
    number = detail.person.id
    memberships = tuple(each for each in detail.memberships if each.mailing_list.id in list_ids)
    if not memberships:
        raise NotFoundError("There is no subscriber {number}.", number=number)
    lists = all_lists(session)
    slugs = {each.slug for each in lists if each.id in list_ids}
    elsewhere = {f"sections of {each.slug}" for each in lists if each.id not in list_ids}
    foreign = _foreign_imports(session, list_ids)
    return replace(
        detail,
        memberships=memberships,
        consents=tuple(each for each in detail.consents if each.list_slug in slugs),
        changes=tuple(
            _without_origin(each) if each.reference in foreign else each
            for each in detail.changes
            if each.field not in elsewhere
        ),
        suppressions=tuple(
            each
            for each in detail.suppressions
            if each.list_id == EVERYWHERE or each.list_id in list_ids
        ),
    )


def _foreign_imports(session: Session, list_ids: Collection[int]) -> set[str]:
    others = session.scalars(select(Import.id).where(Import.list_id.not_in(list_ids)))
    return {source_of(number) for number in others}


def _without_origin(change: SubscriberChange) -> SubscriberChange:
    """Of what came with another list's import, neither who brought it nor which one it was."""
    return SubscriberChange(
        at=change.at,
        field=change.field,
        before=change.before,
        after=change.after,
        cause=change.cause,
        by="",
        reference=None,
    )
