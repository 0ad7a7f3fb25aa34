"""The tokens of forms, of confirmations and of refusals."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.errors import TokenError
from newsletter.tokens import Tokens

OLD, NEW = (
    (1, "an old secret that is long enough, really"),
    (2, "a new secret, just as long as it was"),
)
TOKENS = Tokens((NEW, OLD))

references = st.binary(min_size=12, max_size=12).map(bytes.hex)
hashes = st.binary(min_size=16, max_size=16)
instants = st.integers(0, 4 * 10**15).map(
    lambda microseconds: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
)


@given(reference=references)
def test_a_confirmation_names_its_request_again(reference: str) -> None:
    token = TOKENS.confirmation(reference)

    assert TOKENS.read_confirmation(token) == reference
    assert len(token) == 39
    assert reference not in token


@given(hashed=hashes)
def test_a_refusal_names_its_address_again_also_under_an_older_key(hashed: bytes) -> None:
    before = Tokens((OLD,)).refusal(hashed)

    assert TOKENS.read_refusal(before) == TOKENS.read_refusal(TOKENS.refusal(hashed)) == hashed
    assert len(before) == 44


@given(shown_at=instants)
def test_a_form_says_when_it_was_shown_to_the_millisecond(shown_at: datetime) -> None:
    read = TOKENS.read_form(TOKENS.form(shown_at))

    assert timedelta() <= shown_at - read < timedelta(milliseconds=1)


READERS: dict[str, Callable[[str], object]] = {
    "form": TOKENS.read_form,
    "confirmation": TOKENS.read_confirmation,
    "refusal": TOKENS.read_refusal,
    "unsubscribe": TOKENS.read_unsubscribe,
}
MADE = {
    "form": TOKENS.form(datetime(2026, 11, 23, tzinfo=UTC)),
    "confirmation": TOKENS.confirmation("0" * 24),
    "refusal": TOKENS.refusal(b"0" * 16),
}


@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("reader", READERS)
def test_s03_a_token_of_one_purpose_opens_nothing_else(made: str, reader: str) -> None:
    if made == reader:
        return
    with pytest.raises(TokenError):
        READERS[reader](MADE[made])


@pytest.mark.parametrize("made", MADE)
@given(data=st.data())
def test_s03_a_token_with_any_bit_flipped_names_nothing(made: str, data: st.DataObject) -> None:
    token = MADE[made]
    raw = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    bit = data.draw(st.integers(0, 8 * len(raw) - 1))
    raw[bit // 8] ^= 1 << bit % 8
    altered = base64.urlsafe_b64encode(raw).decode().rstrip("=")

    with pytest.raises(TokenError):
        READERS[made](altered)


@given(garbage=st.text(max_size=60))
def test_garbage_is_no_token(garbage: str) -> None:
    for read in READERS.values():
        with pytest.raises(TokenError):
            read(garbage)
