import base64
import quopri

from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.render.cut import Cut, Slot
from newsletter.render.transfer import Base64, Part, QuotedPrintable, encoded_part

# Blanks, dots and "From " at the edges of lines, "=", and characters of one to four octets.
ALPHABET = st.sampled_from(list("ab=. \tF\nrom-é字👍")) | st.characters(
    blacklist_categories=["Cs", "Cc"]
)
texts = st.text(ALPHABET, max_size=120)
values = st.text(ALPHABET, max_size=90).map(lambda text: text.replace("\n", ""))


@st.composite
def fillings(draw: st.DrawFn) -> tuple[Cut, dict[Slot, str]]:
    slots = draw(st.lists(st.sampled_from([Slot("a"), Slot("b"), Slot("c")]), max_size=8))
    statics = draw(st.lists(texts, min_size=len(slots) + 1, max_size=len(slots) + 1))
    statics[-1] += "end"
    filled = {slot: draw(values) for slot in set(slots)}
    return Cut(tuple(statics), tuple(slots)), filled


def fill(part: Part, values: dict[Slot, str]) -> bytes:
    return part.fill({slot: part.prepare(value) for slot, value in values.items()})


def assert_lines_survive_any_server(encoded: bytes) -> None:
    assert encoded.endswith(b"\r\n")
    assert encoded.count(b"\n") == encoded.count(b"\r\n") == encoded.count(b"\r")
    for line in encoded.split(b"\r\n"):
        assert len(line) <= 76
        assert not line.startswith((b".", b"From "))
        assert line == line.rstrip()
        assert line.isascii()


@settings(deadline=None)
@given(fillings())
def test_quoted_printable_gives_back_every_character(filling: tuple[Cut, dict[Slot, str]]) -> None:
    cut, values = filling

    encoded = fill(QuotedPrintable(cut), values)

    assert_lines_survive_any_server(encoded)
    decoded = quopri.decodestring(encoded).decode().replace("\r\n", "\n")
    assert decoded == cut.fill(values.__getitem__) + "\n"


@settings(deadline=None)
@given(fillings())
def test_base64_gives_back_every_character(filling: tuple[Cut, dict[Slot, str]]) -> None:
    cut, values = filling

    encoded = fill(Base64(cut), values)

    assert_lines_survive_any_server(encoded + b"\r\n")
    decoded = base64.b64decode(encoded.replace(b"\r\n", b""), validate=True).decode()
    assert decoded == cut.fill(values.__getitem__).replace("\n", "\r\n")


def test_english_goes_as_quoted_printable_and_chinese_as_base64() -> None:
    assert encoded_part(Cut(("Good morning, Ada. It’s Thursday.",), ())).encoding == (
        "quoted-printable"
    )
    assert encoded_part(Cut(("早上好。今天是星期四。",), ())).encoding == "base64"
