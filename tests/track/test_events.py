from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.errors import InputError
from newsletter.models import EventKind
from newsletter.track.events import ReaderEvent, pack_events, unpack_events

reader_events = st.builds(
    ReaderEvent,
    kind=st.sampled_from(EventKind),
    edition_id=st.integers(0, 2**32 - 1),
    subscriber_id=st.integers(0, 2**48 - 1),
    link=st.integers(0, 32_767),
    at=st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)


@given(st.lists(reader_events, max_size=20))
def test_events_come_out_as_they_went_in(events: list[ReaderEvent]) -> None:
    assert unpack_events(pack_events(events)) == events


@given(st.binary(max_size=200))
def test_foreign_bytes_are_events_or_an_input_error_and_nothing_else(packed: bytes) -> None:
    try:
        events = unpack_events(packed)
    except InputError:
        return

    assert pack_events(events) == packed


def test_half_an_event_is_refused() -> None:
    whole = pack_events([ReaderEvent(EventKind.OPEN, 1, 2, 0, datetime(2026, 1, 1, tzinfo=UTC))])

    with pytest.raises(InputError, match="whole number"):
        unpack_events(whole + whole[:5])
