import datetime

import pytest

from newsletter.compose.dates import date_line, date_of, mentions

TODAY = datetime.date(2026, 11, 22)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Thursday, March 7th", (None, 3, 7, 3)),
        ("Today is Thu, Mar. 7, 2024.", (2024, 3, 7, 3)),
        ("the 7th of March 2024", (2024, 3, 7, None)),
        ("7 March 2024 (Thursday)", (2024, 3, 7, 3)),
        ("2024-03-07 08:15", (2024, 3, 7, None)),
        ("2024/3/7", (2024, 3, 7, None)),
        ("2024年3月7日 星期四", (2024, 3, 7, 3)),
        ("今天是3月7日，周日", (None, 3, 7, 6)),
        ("3月7号（礼拜天）", (None, 3, 7, 6)),
    ],
)
def test_a_date_is_read(text: str, expected: tuple[int | None, int, int, int | None]) -> None:
    mention = mentions(text)[0]

    assert (mention.year, mention.month, mention.day, mention.weekday) == expected


@pytest.mark.parametrize("text", ["$170", "may 5 people", "5G-ATG", "version 2024.3", "77.6%"])
def test_other_numbers_are_no_dates(text: str) -> None:
    assert mentions(text) == []


@pytest.mark.parametrize(
    ("text", "is_line"),
    [
        ("March 7, 2024", True),
        ("发布时间：2024-03-07 08:15", True),
        ("On March 7 it rained.", False),
    ],
)
def test_a_line_that_is_only_a_date(text: str, is_line: bool) -> None:
    assert (date_line(text) is not None) is is_line


@pytest.mark.parametrize(
    ("head", "elsewhere", "today", "expected"),
    [
        ("Thursday, March 7", "", TODAY, datetime.date(2024, 3, 7)),
        ("Thursday, March 7", "", datetime.date(2024, 3, 6), datetime.date(2019, 3, 7)),
        ("Thursday, March 7", "", datetime.date(2030, 5, 1), datetime.date(2030, 3, 7)),
        (
            "Thursday, March 7",
            "on March 4th, 2024",
            datetime.date(2030, 5, 1),
            datetime.date(2024, 3, 7),
        ),
        ("Thursday, March 7", "born May 1st, 2019", TODAY, datetime.date(2019, 3, 7)),
        ("March 7", "on March 4th, 2024", TODAY, datetime.date(2024, 3, 7)),
        ("January 2", "on December 30, 2023", TODAY, datetime.date(2024, 1, 2)),
        ("March 7", "", TODAY, datetime.date(2026, 3, 7)),
        ("February 29", "", TODAY, datetime.date(2024, 2, 29)),
        ("March 7, 2024. Thursday, March 7", "", TODAY, datetime.date(2024, 3, 7)),
        ("Since March 1 much happened; today is March 7", "", TODAY, datetime.date(2026, 3, 7)),
    ],
)
def test_the_year_that_a_reader_would_conclude(
    head: str, elsewhere: str, today: datetime.date, expected: datetime.date
) -> None:
    dating = date_of(mentions(head), mentions(elsewhere), today=today)

    assert dating
    assert dating.date == expected
    assert not dating.contradicts


@pytest.mark.parametrize(
    ("head", "elsewhere"),
    [
        ("Monday, March 7, 2024", ""),
        ("February 30, 2024", ""),
        ("February 30", ""),
        ("Monday, March 7", "on March 4th, 2024"),
    ],
)
def test_a_date_that_cannot_be_contradicts_itself(head: str, elsewhere: str) -> None:
    dating = date_of(mentions(head), mentions(elsewhere), today=TODAY)

    assert dating
    assert dating.contradicts
