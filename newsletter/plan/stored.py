"""Reads editions as they are stored, for whoever needs no renderer."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.errors import NotFoundError
from newsletter.models import Edition, EditionList, MailingList


def get_edition(session: Session, edition_id: int) -> Edition:
    """The edition, its row locked. Raises `NotFoundError`."""
    # The weaker lock, which lets rows be inserted that point to the edition: workers do that while
    # they hold a batch, and whoever holds the edition may be waiting for that very batch.
    edition = session.get(
        Edition, edition_id, with_for_update={"key_share": True}, populate_existing=True
    )
    if edition is None:
        raise NotFoundError("There is no edition {edition}.", edition=edition_id)
    return edition


def find_edition(session: Session, edition_id: int) -> Edition:
    """The edition, for who only reads. Raises `NotFoundError`."""
    edition = session.get(Edition, edition_id)
    if edition is None:
        raise NotFoundError("There is no edition {edition}.", edition=edition_id)
    return edition


def lists_of(session: Session, edition_id: int) -> list[MailingList]:
    """In the edition's order: a person in two of them gets it through the first."""
    return list(
        session.scalars(
            select(MailingList)
            .join(EditionList, EditionList.list_id == MailingList.id)
            .where(EditionList.edition_id == edition_id)
            .order_by(EditionList.position)
        )
    )
