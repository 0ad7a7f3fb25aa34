import pytest

from newsletter.compose.bylines import author_in, credits_in, source_line, source_of


@pytest.mark.parametrize(
    ("text", "credits"),
    [
        ("Producer | Quayside Media", {"producer": "Quayside Media"}),
        ("Published by | Quayside", {"producer": "Quayside"}),
        ("Edited by Jane Doe", {"editor": "Jane Doe"}),
        ("EDITOR: Jane Doe", {"editor": "Jane Doe"}),
        ("责任编辑：张三", {"editor": "张三"}),
        ("记者 张三", {"reporter": "张三"}),
        (
            "出品｜码头 作者｜张三 编辑｜李四",
            {"producer": "码头", "author": "张三", "editor": "李四"},
        ),
        ("文/张三", {"author": "张三"}),
        ("Editor’s note: we are late.", {}),
        ("Editor: today we are late. Sorry.", {}),
        ("The editor: Jane", {}),
    ],
)
def test_credits_of_a_line(text: str, credits: dict[str, str]) -> None:
    assert credits_in(text) == credits


@pytest.mark.parametrize(
    ("text", "author"),
    [("By Jane Doe", "Jane Doe"), ("By Thursday, it rained", None), ("By 2025 Gull", None)],
)
def test_by_names_an_author(text: str, author: str | None) -> None:
    assert author_in(text) == author


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("It rose by 20%. (Tide)", "Tide"),
        ("It rose. “Yes.” (Tide)", "Tide"),
        ("上涨。（晚潮）", "晚潮"),
        ("上涨。【晚潮】", "晚潮"),
        ("It rose. (Source: Tide)", "Tide"),
        ("It rose (via Tide).", "Tide"),
        ("It rose. (Space.com)", "Space.com"),
        ("It rose. — Tide", "Tide"),
        ("上涨。来源：晚潮", "晚潮"),
        ("Member of the guild (GSW).", None),
        ("Member of the guild (GSW)", None),
        ("It rose. (He did not reply.)", None),
        ("It rose. [1]", None),
        ("It rose. (figures are early)", None),
    ],
)
def test_the_source_at_the_end_of_a_paragraph(text: str, name: str | None) -> None:
    source = source_of(text)

    assert (source.name if source else None) == name


def test_a_known_outlet_needs_no_stop_before_it() -> None:
    source = source_of("It rose again (Tide)", frozenset({"tide"}))

    assert source
    assert (source.name, source.start) == ("Tide", len("It rose again"))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Source: Tide", "Tide"),
        ("来源：晚潮", "晚潮"),
        ("Via Tide", "Tide"),
        ("（晚潮）", "晚潮"),
        ("— Tide", "Tide"),
        ("Gull Opens", None),
    ],
)
def test_a_line_of_its_own_for_the_source(text: str, name: str | None) -> None:
    assert source_line(text) == name
