import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.devmail.headers import header_text, read_letter

LETTER = "\r\n".join(
    [
        "From: =?utf-8?q?J=C3=BCrgen?= <j@example.com>",
        "Subject: =?utf-8?b?5LuK5pel?=",
        " =?utf-8?b?56eR5oqA?=",
        "List-Unsubscribe: <https://news.example/u/1>,",
        "\t<mailto:leave@news.example>",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        "MIME-Version: 1.0",
        'Content-Type: multipart/mixed; boundary="b"',
        "",
        "--b",
        "Content-Type: text/plain; charset=iso-8859-1",
        "Content-Transfer-Encoding: quoted-printable",
        "",
        "Gr=FC=DFe",
        "--b",
        "Content-Type: text/html; charset=no-such-charset",
        "",
        "<p>Hi</p>",
        "--b",
        "Content-Type: application/pdf",
        'Content-Disposition: attachment; filename="today.pdf"',
        "",
        "x",
        "--b--",
        "",
    ]
).encode()


def test_a_letter_is_taken_apart() -> None:
    letter = read_letter(LETTER)

    assert letter.header("subject") == "今日科技"
    assert letter.headers[0] == ("From", "Jürgen <j@example.com>")
    assert letter.text == "Grüße"
    assert letter.html == "<p>Hi</p>"
    assert letter.attachments == ("today.pdf",)
    assert letter.unsubscribe_urls == ("https://news.example/u/1", "mailto:leave@news.example")
    assert letter.one_click_url == "https://news.example/u/1"


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ("List-Unsubscribe: <https://a.example/>", None),
        ("List-Unsubscribe-Post: List-Unsubscribe=One-Click", None),
        (
            "List-Unsubscribe: <mailto:a@a.example>\r\n"
            "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
            None,
        ),
        (
            "list-unsubscribe: <mailto:a@a.example>, <https://a.example/>\r\n"
            "list-unsubscribe-post:List-Unsubscribe=One-Click",
            "https://a.example/",
        ),
    ],
)
def test_one_click_needs_both_fields_and_a_web_address(fields: str, url: str | None) -> None:
    assert read_letter(fields.encode() + b"\r\n\r\nHi\r\n").one_click_url == url


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"Subject: Hi\r\n\r\nSubject: No\r\n", "Hi"),
        (b"X-Subject: No\r\nsubject:Hi\r\n\r\n", "Hi"),
        (b"\r\nSubject: No\r\n", ""),
        (b"Subject: a\r\n b\r\n\r\n", "a b"),
        (b"Subject: =?x-unknown?q?a?=\r\n\r\n", "=?x-unknown?q?a?="),
        ("Subject: Grüße\r\n\r\n".encode(), "Grüße"),
        (b"Subject: \xff\r\n\r\n", "\N{REPLACEMENT CHARACTER}"),
        (b"", ""),
    ],
)
def test_reading_one_field(content: bytes, text: str) -> None:
    assert header_text(content, "Subject") == text


@given(st.binary(max_size=300), st.sampled_from([b"", b"Content-Type: ", b"Subject: =?", LETTER]))
def test_nothing_received_makes_reading_fail(octets: bytes, opening: bytes) -> None:
    read_letter(opening + octets)
    read_letter(octets + opening)
    header_text(opening + octets, "Subject")
