"""What of a list's editions anybody may read on the web, and when each was corrected."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Row, Select, and_, select, tuple_
from sqlalchemy.orm import Session

from newsletter.models import (
    Archive,
    CompiledEdition,
    Correction,
    Edition,
    EditionList,
    MailingList,
    Revision,
)


class Place(NamedTuple):
    """Where an edition stands among those of its list."""

    started_at: datetime
    edition_id: int


@dataclass(frozen=True, slots=True)
class Published:
    """An edition as it stands now; `corrected_at` says when it was changed after it had begun."""

    edition_id: int
    public_id: str
    title: str
    summary: str
    started_at: datetime
    approved_at: datetime

    @property
    def place(self) -> Place:
        return Place(self.started_at, self.edition_id)

    @property
    def corrected_at(self) -> datetime | None:
        return self.approved_at if self.approved_at > self.started_at else None


@dataclass(frozen=True, slots=True)
class Corrected:
    """`note` says what was put right; empty: nobody said it."""

    at: datetime
    note: str


def archived_list(session: Session, slug: str) -> MailingList | None:
    """None where there is no such list, and where its editions are for its readers alone."""
    found = session.scalar(select(MailingList).where(MailingList.slug == slug))
    return found if found is not None and found.archive is not Archive.OFF else None


def published(
    session: Session, list_id: int, *, before: Place | None = None, limit: int
) -> list[Published]:
    """The newest first, those older than `before`."""
    chosen = _published(list_id).order_by(Edition.started_at.desc(), Edition.id.desc())
    if before is not None:
        chosen = chosen.where(tuple_(Edition.started_at, Edition.id) < before)
    return [_read(row) for row in session.execute(chosen.limit(limit))]


def newer_than(session: Session, list_id: int, place: Place) -> Published | None:
    """The one that came next."""
    chosen = (
        _published(list_id)
        .where(tuple_(Edition.started_at, Edition.id) > place)
        .order_by(Edition.started_at, Edition.id)
        .limit(1)
    )
    row = session.execute(chosen).one_or_none()
    return None if row is None else _read(row)


def find_published(session: Session, list_id: int, public_id: str) -> Published | None:
    row = session.execute(_published(list_id).where(Edition.public_id == public_id)).one_or_none()
    return None if row is None else _read(row)


def form_of(session: Session, edition_id: int, list_id: int) -> bytes | None:
    """The approved revision of an edition in the dress of one of its lists, as it is stored."""
    return session.scalar(
        select(CompiledEdition.form)
        .join(
            Edition,
            and_(
                Edition.id == CompiledEdition.edition_id,
                Edition.approved_revision == CompiledEdition.revision,
            ),
        )
        .where(Edition.id == edition_id, CompiledEdition.list_id == list_id)
    )


def first_list_of(session: Session, public_id: str) -> MailingList | None:
    """Whose dress an edition on the web wears where no list is named; None for any other edition."""
    return session.scalar(
        select(MailingList)
        .join(EditionList, EditionList.list_id == MailingList.id)
        .join(Edition, Edition.id == EditionList.edition_id)
        .where(Edition.public_id == public_id, Edition.is_on_the_web())
        .order_by(EditionList.position)
        .limit(1)
    )


def published_revision(session: Session, edition_id: int) -> Revision:
    """What of a published edition stands on the web now."""
    return session.execute(
        select(Revision)
        .join(
            Edition,
            and_(Revision.edition_id == Edition.id, Revision.number == Edition.approved_revision),
        )
        .where(Edition.id == edition_id)
    ).scalar_one()


def corrections(session: Session, edition_id: int, started_at: datetime) -> list[Corrected]:
    """The changes of what was out already, the first one first."""
    rows = session.execute(
        select(Revision.approved_at, Correction.note)
        .outerjoin(
            Correction,
            and_(
                Correction.edition_id == Revision.edition_id,
                Correction.revision == Revision.number,
            ),
        )
        .where(Revision.edition_id == edition_id, Revision.approved_at > started_at)
        .order_by(Revision.number)
    )
    return [Corrected(at, note or "") for at, note in rows if at is not None]


def _published(list_id: int) -> Select[int, str, str, str, datetime | None, datetime | None]:
    return (
        select(
            Edition.id,
            Edition.public_id,
            Revision.subject,
            Revision.preheader,
            Edition.started_at,
            Revision.approved_at,
        )
        .join(EditionList, EditionList.edition_id == Edition.id)
        .join(
            Revision,
            and_(Revision.edition_id == Edition.id, Revision.number == Edition.approved_revision),
        )
        .where(EditionList.list_id == list_id, Edition.is_on_the_web())
    )


def _read(row: Row[int, str, str, str, datetime | None, datetime | None]) -> Published:
    edition_id, public_id, title, summary, started_at, approved_at = row
    assert started_at is not None
    assert approved_at is not None
    return Published(edition_id, public_id, title, summary, started_at, approved_at)
