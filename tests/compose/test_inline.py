import pytest

from newsletter.compose.briefing import Image, Span
from newsletter.compose.inline import read_inline


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("plain $170 and 5G-ATG", [Span("plain $170 and 5G-ATG")]),
        ("a **b** c", [Span("a "), Span("b", strong=True), Span(" c")]),
        ("a *b* _c_", [Span("a "), Span("b", emphasis=True), Span(" "), Span("c", emphasis=True)]),
        ("***b***", [Span("b", strong=True, emphasis=True)]),
        ("他说**“好”**了", [Span("他说"), Span("“好”", strong=True), Span("了")]),
        ("snake_case_name 2*3*4 fields *", [Span("snake_case_name 2*3*4 fields *")]),
        ("[t](https://a.example/x_(y))", [Span("t", href="https://a.example/x_(y)")]),
        ('[t](http://a.example "title")', [Span("t", href="http://a.example")]),
        ("[**t**](https://a.example)", [Span("t", strong=True, href="https://a.example")]),
        ("<https://a.example>", [Span("https://a.example", href="https://a.example")]),
        ("AT&amp;T &amp;amp; &lt;b&gt; &nope; &#8220;", [Span("AT&T &amp; <b> &nope; “")]),
        (r"\*not\* \[x\]", [Span("*not* [x]")]),
    ],
)
def test_marks_become_spans(text: str, spans: list[Span]) -> None:
    inline = read_inline(text)

    assert list(inline.rich) == spans
    assert not inline.problems


@pytest.mark.parametrize(
    ("text", "plain", "code", "at"),
    [
        ("a [t](javascript:alert) b", "a t b", "link-bad", 2),
        ("[t](ftp://a.example)", "t", "link-bad", 0),
        ("[t](//a.example)", "t", "link-bad", 0),
        ("[t](https://)", "t", "link-bad", 0),
        ("a **b", "a **b", "raw-markup", 2),
        ("a <b>x", "a <b>x", "raw-html", 2),
    ],
)
def test_what_is_not_kept_is_reported(text: str, plain: str, code: str, at: int) -> None:
    inline = read_inline(text)

    assert "".join(span.text for span in inline.rich) == plain
    assert [(problem.code, problem.at) for problem in inline.problems] == [(code, at)]
    assert not any(span.href for span in inline.rich)


def test_images_are_taken_out_of_the_text() -> None:
    inline = read_inline("a ![one](x.png) b [![two](https://a.example/y.png)](https://a.example)")

    assert inline.images == (Image("x.png", "one"), Image("https://a.example/y.png", "two"))
    assert inline.rich == (Span("a  b"),)
