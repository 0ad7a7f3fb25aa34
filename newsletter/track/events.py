"""What a reader's request amounts to, and the bytes it travels in from the web to the writer."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from newsletter.errors import InputError
from newsletter.models import EventKind

NO_LINK = 0
"""The link of an open; the links of an edition are numbered from 1."""

# kind, link, edition, subscriber, microseconds since 1970
_LAYOUT = struct.Struct(">BHIqq")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class ReaderEvent:
    """One open or click; neither the address nor the browser of the reader is kept."""

    kind: EventKind
    edition_id: int
    subscriber_id: int
    link: int
    at: datetime


def pack_events(events: Iterable[ReaderEvent]) -> bytes:
    return b"".join(
        _LAYOUT.pack(
            event.kind,
            event.link,
            event.edition_id,
            event.subscriber_id,
            (event.at - _EPOCH) // _MICROSECOND,
        )
        for event in events
    )


def unpack_events(packed: bytes) -> list[ReaderEvent]:
    """Raises `InputError` for bytes that `pack_events` did not make."""
    if len(packed) % _LAYOUT.size:
        raise InputError("{count} bytes are not a whole number of events", count=len(packed))
    try:
        return [
            ReaderEvent(
                EventKind(kind),
                edition_id,
                subscriber_id,
                link,
                _EPOCH + microseconds * _MICROSECOND,
            )
            for kind, link, edition_id, subscriber_id, microseconds in _LAYOUT.iter_unpack(packed)
        ]
    except (ValueError, OverflowError) as error:
        raise InputError("the bytes are not events") from error
