"""The language of segments: what it reads, how it writes it again, and where it says it went wrong."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.audience.segments.conditions import (
    BUILT_IN,
    Activity,
    Ahead,
    Both,
    Calendar,
    Compared,
    Condition,
    Dated,
    Deed,
    Either,
    Field,
    Kind,
    Known,
    Like,
    Likeness,
    Membership,
    Not,
    OfEdition,
    OfList,
    OneOf,
    Recent,
    Side,
    Sign,
    Standing,
    Tagged,
    written,
)
from newsletter.audience.segments.language import (
    DEEPEST,
    LONGEST,
    MOST_CONDITIONS,
    QueryError,
    read_condition,
)

PLAN = Field("plan", Kind.CHOICE, is_attribute=True, choices=("Gold", "silver plus", "and"))
SCORE = Field("score", Kind.NUMBER, is_attribute=True)
CITY = Field("city", Kind.TEXT, is_attribute=True)
VIP = Field("vip", Kind.BOOLEAN, is_attribute=True)
RENEWAL = Field("renewal", Kind.DATE, is_attribute=True)
NAME = Field("name", Kind.NUMBER, is_attribute=True)
KNOWN = {each.name: each for each in (PLAN, SCORE, CITY, VIP, RENEWAL, NAME)}
MARCH = date(2026, 3, 5)


def read(text: str) -> Condition:
    return read_condition(text, KNOWN)


EN = OneOf(BUILT_IN["language"], ("en",))
GOLD = OneOf(PLAN, ("Gold",))
VIP_TAG = Tagged("vip", 1)
TWELVE = OfEdition(12, 1)


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("language is EN", EN),
        ("language is not en", Not(EN)),
        ("language in (en, pt_BR)", OneOf(BUILT_IN["language"], ("en", "pt-br"))),
        ("language is unknown", Not(Known(BUILT_IN["language"]))),
        ("zone is europe/berlin", OneOf(BUILT_IN["zone"], ("Europe/Berlin",))),
        ("domain is Bücher.example", OneOf(BUILT_IN["domain"], ("xn--bcher-kva.example",))),
        ('name contains "O""Hara"', Like(BUILT_IN["name"], Likeness.CONTAINS, 'O"Hara')),
        ("attribute name > 5", Compared(NAME, Sign.MORE, 5)),
        ("added since 2026-03-05", Dated(BUILT_IN["added"], Calendar(Side.SINCE, MARCH))),
        ("plan = gold", GOLD),
        ("plan is 'gold'", None),
        ("plan != GOLD", Not(GOLD)),
        ('plan is "and"', OneOf(PLAN, ("and",))),
        ("plan not in (gold, 'x')", None),
        ('plan not in (gold, "Silver  Plus")', Not(OneOf(PLAN, ("Gold", "silver plus")))),
        ("plan is not known", Not(Known(PLAN))),
        ("score>=-3.50", Compared(SCORE, Sign.AT_LEAST, -3.5)),
        ("score in (1, 2, 2)", OneOf(SCORE, (1, 2))),
        ("city starts with New", Like(CITY, Likeness.STARTS_WITH, "New")),
        ("city is 上海", OneOf(CITY, ("上海",))),
        ("vip is yes", OneOf(VIP, (True,))),
        ("renewal in next 2 weeks", Dated(RENEWAL, Ahead(14))),
        ("renewal is not 2026-03-05", Not(Dated(RENEWAL, Calendar(Side.IS, MARCH)))),
        ("TAGGED Vip", VIP_TAG),
        ('tagged "long  time reader"', Tagged("long time reader", 1)),
        ("on daily", Membership(Standing.ON, OfList("daily", 1))),
        ("pending on daily", Membership(Standing.PENDING, OfList("daily", 1))),
        ("joined daily in last 1 day", Membership(Standing.JOINED, OfList("daily", 1), Recent(1))),
        ("clicked", Activity(Deed.CLICKED)),
        ("clicked in the last 30 days", Activity(Deed.CLICKED, None, Recent(30))),
        (
            "opened list daily before 2026-03-05",
            Activity(Deed.OPENED, OfList("daily", 1), Calendar(Side.BEFORE, MARCH)),
        ),
        (
            "received edition 12 and did not click",
            Both((Activity(Deed.RECEIVED, TWELVE), Not(Activity(Deed.CLICKED, TWELVE)))),
        ),
        ("did not open edition 12", Not(Activity(Deed.OPENED, TWELVE))),
        (
            "language is en or plan is gold and tagged vip",
            Either((EN, Both((GOLD, VIP_TAG)))),
        ),
        (
            "(language is en or plan is gold) and not (tagged vip)",
            Both((Either((EN, GOLD)), Not(VIP_TAG))),
        ),
        ("language is en and (plan is gold and tagged vip)", Both((EN, GOLD, VIP_TAG))),
    ],
)
def test_a_text_means_one_condition_and_is_written_one_way(
    text: str, condition: Condition | None
) -> None:
    if condition is None:
        with pytest.raises(QueryError):
            read(text)
        return

    assert read(text) == condition
    assert read(written(condition)) == condition


@pytest.mark.parametrize(
    ("text", "column", "expected"),
    [
        ("", 1, "expected a condition"),
        ("language", 9, "expected is"),
        ("language is", 12, "expected a language"),
        ("language is and", 13, "expected a language"),
        ("colour is red", 1, "an attribute (city, name, plan"),
        ("language is en tagged vip", 16, "expected and, or, or the end"),
        ("(language is en", 16, "closing bracket"),
        ("language is en)", 15, "expected and, or, or the end"),
        ('city is "Paris', 9, "closing quotation mark"),
        ("plan is bronze", 9, "one of: Gold, silver plus"),
        ("score is many", 10, "a number"),
        ("score > inf", 9, "a number between"),
        ("vip is perhaps", 8, "yes or no"),
        ("zone is Mars/Base", 9, "a time zone"),
        ("renewal is 20260305", 12, "a date like 2026-03-05"),
        ("renewal before 3026-03-05", 16, "the years 1900 to 2199"),
        ("added in next 3 days", 10, "expected last"),
        ("clicked in last 0 days", 17, "a number of days"),
        ("clicked in last 3 months", 19, "days or weeks"),
        ("clicked in last 9999 weeks", 17, "at most"),
        ("received edition twelve", 18, "an edition's number"),
        ("did not click", 14, "did not click edition 12"),
        ("language is en or did not click", 32, "did not click edition 12"),
        ("did not laugh", 9, "receive, click or open"),
        ("language in en", 13, "values in brackets"),
        ("tagged a and ! b", 14, "a condition"),
    ],
)
def test_a_mistake_is_named_with_its_column_and_what_was_expected(
    text: str, column: int, expected: str
) -> None:
    with pytest.raises(QueryError) as caught:
        read(text)

    assert caught.value.column == column
    assert str(caught.value).startswith(f"column {column}: ")
    assert expected in str(caught.value)


def test_s_10_a_segment_has_limits_of_length_depth_and_number() -> None:
    for text in (
        "tagged " + "a" * LONGEST,
        "not " * (DEEPEST + 1) + "tagged a",
        "(" * (DEEPEST + 1) + "tagged a" + ")" * (DEEPEST + 1),
        " or ".join(["vip is yes"] * (MOST_CONDITIONS + 1)),
        f"score in ({', '.join(map(str, range(201)))})",
    ):
        with pytest.raises(QueryError, match="at most"):
            read(text)
    deepest = "not " * DEEPEST + "tagged a"
    longest = " or ".join(["vip is yes"] * MOST_CONDITIONS)
    assert [written(read(text)) for text in (deepest, longest)] == [deepest, longest]


VOCABULARY = """and or not ( ) , < <= > >= = != is in contains starts with known unknown before since after
    last next the day days week weeks on pending joined left tagged received clicked opened did
    click open receive edition list attribute language zone name domain added plan score city vip
    renewal gold en Europe/Berlin 12 0 -3 2026-03-05 yes no "a b" "" " daily 上海 x@y.example"""
WORDS = st.sampled_from(VOCABULARY.split())


def outcome(text: str) -> Condition | QueryError:
    try:
        return read(text)
    except QueryError as error:
        return error


@given(st.one_of(st.text(max_size=80), st.lists(WORDS, max_size=25).map(" ".join)))
def test_s_10_no_text_crashes_it_and_a_mistakes_column_is_in_the_text(text: str) -> None:
    found = outcome(text)

    if isinstance(found, QueryError):
        assert 1 <= found.column <= len(text) + 1
        assert str(found).encode()
        return
    assert read(written(found)) == found
    assert written(read(written(found))) == written(found)


DAYS = st.integers(1, 36_500)
PERIODS = st.one_of(
    st.builds(Recent, DAYS),
    st.builds(
        Calendar,
        st.sampled_from([Side.BEFORE, Side.AFTER, Side.SINCE]),
        st.dates(date(1900, 1, 1), date(2199, 12, 31)),
    ),
)
SCOPES = st.one_of(
    st.none(),
    st.builds(OfEdition, st.integers(1, 2**31 - 1), st.just(1)),
    st.builds(OfList, st.from_regex(r"[a-z0-9]{1,9}", fullmatch=True), st.just(1)),
)
SIMPLE = st.one_of(
    st.builds(Like, st.just(CITY), st.sampled_from(Likeness), st.from_regex(r"[\w \"()]+\w")),
    st.builds(Compared, st.just(SCORE), st.sampled_from(Sign), st.floats(-1e15, 1e15)),
    st.builds(Dated, st.just(RENEWAL), PERIODS),
    st.builds(Activity, st.sampled_from(Deed), SCOPES, PERIODS | st.none()),
    st.builds(Known, st.sampled_from(sorted(KNOWN.values(), key=lambda each: each.name))),
)
CONDITIONS = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: Either(tuple(parts))),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: Both(tuple(parts))),
    ),
    max_leaves=6,
)


@given(CONDITIONS)
def test_whatever_is_written_is_read_again(condition: Condition) -> None:
    text = written(condition)

    found = outcome(text)

    if isinstance(found, QueryError):
        # What no text says: a line break, or more than a segment may hold.
        assert any(words in str(found) for words in ("control characters", "at most"))
        return
    again = written(found)
    assert read(again) == found
    assert written(read(again)) == again
