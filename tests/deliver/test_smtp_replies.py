"""Replies as they come off the wire: in any pieces, and from servers that mean no good."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.deliver.outcome import Reply
from newsletter.deliver.reply_reader import LONGEST_LINE, MOST_LINES, MOST_UNREAD, ReplyReader

codes = st.integers(200, 599)
words = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=30).map(
    lambda text: f"words {text}".strip()
)
replies = st.lists(st.tuples(codes, st.lists(words, min_size=1, max_size=4)), max_size=8)


def as_octets(code: int, lines: list[str]) -> bytes:
    *before, last = lines
    return "".join([*(f"{code}-{line}\r\n" for line in before), f"{code} {last}\r\n"]).encode()


@given(replies, st.data())
def test_in_whatever_pieces_replies_come_they_are_the_same(
    said: list[tuple[int, list[str]]], data: st.DataObject
) -> None:
    octets = b"".join(as_octets(code, lines) for code, lines in said)
    reader = ReplyReader()

    while octets:
        length = data.draw(st.integers(1, len(octets)))
        reader.data_received(octets[:length])
        octets = octets[length:]

    assert list(reader.replies) == [Reply(code, None, "\n".join(lines)) for code, lines in said]
    assert reader.ended is None


@given(st.binary(max_size=300))
def test_whatever_a_server_says_there_are_replies_or_an_end(octets: bytes) -> None:
    reader = ReplyReader()

    reader.data_received(octets)

    assert reader.ended is not None or not octets or reader.has_unread
    assert all(200 <= reply.code <= 599 for reply in reader.replies)


@pytest.mark.parametrize(
    "octets",
    [
        b"250 " + b"x" * LONGEST_LINE + b"\r\n",
        b"250-more\r\n" * (MOST_LINES + 1),
        b"250 more\r\n" * (MOST_UNREAD + 1),
        b"250 never ends" * LONGEST_LINE,
    ],
)
def test_what_has_no_bounds_ends_the_connection(octets: bytes) -> None:
    """F-19."""
    reader = ReplyReader()

    for start in range(0, len(octets), 65_536):
        reader.data_received(octets[start : start + 65_536])

    assert reader.ended is not None
