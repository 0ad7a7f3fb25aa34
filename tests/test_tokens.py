import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.errors import TokenError
from newsletter.tokens import DeliveryRef, Purpose, SubscriptionRef, Tokens

OLD, NEW = (
    (1, "an old secret that is long enough, really"),
    (2, "a new secret, just as long as it was"),
)
TOKENS = Tokens((NEW, OLD))

editions = st.integers(0, 2**32 - 1)
subscribers = st.integers(0, 2**48 - 1)
deliveries = st.builds(DeliveryRef, editions, subscribers)
subscriptions = st.builds(SubscriptionRef, editions, editions, subscribers)
purposes = st.sampled_from([each for each in Purpose if each is not Purpose.RETURN_PATH])


@given(ref=deliveries, purpose=purposes)
def test_a_token_names_its_delivery_again(ref: DeliveryRef, purpose: Purpose) -> None:
    assert TOKENS.read_delivery(purpose, TOKENS.delivery(purpose, ref)) == ref


@given(ref=subscriptions)
def test_an_unsubscribe_token_names_its_subscription_again(ref: SubscriptionRef) -> None:
    assert TOKENS.read_unsubscribe(TOKENS.unsubscribe(ref)) == ref


@given(ref=deliveries, flags=st.lists(st.booleans(), min_size=42, max_size=42))
def test_a_return_path_survives_any_change_of_case(ref: DeliveryRef, flags: list[bool]) -> None:
    token = TOKENS.return_path(ref)
    changed = "".join(
        letter.upper() if flag else letter for letter, flag in zip(token, flags, strict=True)
    )

    assert TOKENS.read_return_path(changed) == ref


@given(ref=deliveries, bit=st.integers(0, 8 * 27 - 1))
def test_a_token_with_any_bit_flipped_names_nothing(ref: DeliveryRef, bit: int) -> None:
    """S-03."""
    raw = bytearray(base64.urlsafe_b64decode(TOKENS.delivery(Purpose.CLICK, ref)))
    raw[bit // 8] ^= 1 << bit % 8
    altered = base64.urlsafe_b64encode(raw).decode().rstrip("=")

    with pytest.raises(TokenError):
        TOKENS.read_delivery(Purpose.CLICK, altered)


@given(ref=deliveries, made=purposes, read=purposes)
def test_a_token_of_one_purpose_opens_nothing_else(
    ref: DeliveryRef, made: Purpose, read: Purpose
) -> None:
    token = TOKENS.delivery(made, ref)
    if made is read:
        return

    with pytest.raises(TokenError):
        TOKENS.read_delivery(read, token)


@given(garbage=st.one_of(st.text(max_size=60), st.from_regex(r"[A-Za-z0-9_-]{34,42}")))
def test_garbage_is_an_unknown_token_and_no_other_error(garbage: str) -> None:
    for read in (
        lambda: TOKENS.read_delivery(Purpose.OPEN, garbage),
        lambda: TOKENS.read_unsubscribe(garbage),
        lambda: TOKENS.read_return_path(garbage),
    ):
        with pytest.raises(TokenError, match="unknown token"):
            read()


@pytest.mark.parametrize("suffix", ["A", "=", "==", "\n", " ", "%3D"])
def test_a_token_has_one_spelling(suffix: str) -> None:
    token = TOKENS.delivery(Purpose.OPEN, DeliveryRef(1, 2))

    with pytest.raises(TokenError):
        TOKENS.read_delivery(Purpose.OPEN, token + suffix)


def test_tokens_of_an_old_secret_are_still_read_and_new_ones_use_the_newest() -> None:
    ref = DeliveryRef(7, 8)
    before = Tokens((OLD,))
    after_retirement = Tokens((NEW,))

    assert TOKENS.read_delivery(Purpose.CLICK, before.delivery(Purpose.CLICK, ref)) == ref
    assert after_retirement.read_delivery(Purpose.CLICK, TOKENS.delivery(Purpose.CLICK, ref)) == ref
    with pytest.raises(TokenError):
        after_retirement.read_delivery(Purpose.CLICK, before.delivery(Purpose.CLICK, ref))


def test_another_installations_secret_of_the_same_number_opens_nothing() -> None:
    token = Tokens(((2, "somebody else's secret of the same number"),)).unsubscribe(
        SubscriptionRef(1, 2, 3)
    )

    with pytest.raises(TokenError):
        TOKENS.read_unsubscribe(token)


@given(ref=deliveries)
def test_the_same_ids_give_the_same_token(ref: DeliveryRef) -> None:
    """H-42: every try of a delivery carries the same Message-ID."""
    again = Tokens((NEW, OLD))

    assert TOKENS.delivery(Purpose.MESSAGE_ID, ref) == again.delivery(Purpose.MESSAGE_ID, ref)


def test_a_token_shows_no_id_that_could_be_counted() -> None:
    """T-11: neighbours share nothing but the number of the key."""
    tokens = [TOKENS.delivery(Purpose.CLICK, DeliveryRef(1, number)) for number in range(200)]

    raw = [base64.urlsafe_b64decode(token) for token in tokens]
    assert {each[0] for each in raw} == {NEW[0]}
    for place in range(1, len(raw[0])):
        assert len({each[place] for each in raw}) > 80
    assert not any(DeliveryRef(1, n).pack()[4:] in each for n, each in enumerate(raw))


def test_tokens_fit_where_they_go() -> None:
    largest = DeliveryRef(2**32 - 1, 2**48 - 1)

    assert len(TOKENS.delivery(Purpose.CLICK, largest)) == 36
    assert len(TOKENS.unsubscribe(SubscriptionRef(2**32 - 1, 2**32 - 1, 2**48 - 1))) == 42
    assert len("b-" + TOKENS.return_path(largest)) <= 64
