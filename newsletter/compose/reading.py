"""From the bytes of a paste to clean lines that still know where they stood in the file."""

import bisect
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from newsletter.compose.findings import Findings, Place
from newsletter.words import Words

MAX_BYTES = 512 * 1024
MAX_BLOCKS = 2_000

_LINE_END = re.compile(r"\r\n|\r|\n")
_HIGH_RUN = re.compile(rb"[\x80-\xff]+")

# What cp1252 shows for the second and later bytes (80 to BF) of a UTF-8 sequence.
_TRAIL = "[" + re.escape(bytes(range(0x80, 0xC0)).decode("cp1252", "ignore")) + "\x80-\x9f]"
# UTF-8 once read as cp1252: only the leads of punctuation, accents and emoji, because
# French “é »” with its no-break space is a valid sequence as well.
_MOJIBAKE = rf"Â[\u00a0-\u00bf]|Ã{_TRAIL}|â[€„‚]{_TRAIL}|ðŸ{_TRAIL}{_TRAIL}"
_BLANK = r"[\t\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
_INVISIBLE = r"[\u200b\u2060\ufeff]"
_CONTROL = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]"
# Scripts and marks that NFC may change, with the letter before them. Pieces are kept short
# because CPython reorders a run of combining marks in quadratic time.
_COMPOSED = (
    r"\w?[\u0300-\u1fff\u20d0-\u20ff\u2126\u212a\u212b\u302a-\u302f\u3041-\u30ff"
    r"\ua66f-\ud7ff\uf900-\ufb4f\ufe20-\ufe2f]{1,128}"
)
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
_TOUCHED = re.compile(
    f"(?P<mojibake>{_MOJIBAKE})|(?P<blank>{_BLANK})|(?P<invisible>{_INVISIBLE})"
    f"|(?P<control>{_CONTROL})|(?P<composed>{_COMPOSED})"
)


@dataclass(frozen=True, slots=True)
class Line:
    """`width` is the length in the file; `shifts` are the (clean, file) indexes where they part."""

    number: int
    text: str
    width: int
    shifts: tuple[tuple[int, int], ...] = ()

    def place(self, index: int) -> Place:
        position = bisect.bisect_right(self.shifts, (index, self.width)) - 1
        clean, original = self.shifts[position] if position >= 0 else (0, 0)
        return Place(self.number, min(original + index - clean + 1, max(self.width, 1)))


def decode(raw: bytes, findings: Findings) -> str | None:
    """UTF-8, else what the bytes look like most; None, with an error, when nothing fits."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        bad_at = error.start
    for encoding in ("cp1252", "gb18030") if _looks_western(raw) else ("gb18030",):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        findings.warning(
            "encoding-guessed",
            Words(
                "The file is not UTF-8; it was read as {encoding}. Save it as UTF-8 to be sure.",
                encoding=encoding,
            ),
        )
        return text
    line = len(_LINE_END.findall(raw[:bad_at].decode("utf-8", "replace"))) + 1
    findings.error(
        "encoding",
        Words(
            "The bytes are no text in UTF-8 or gb18030 (first on line {line}). Save it as UTF-8.",
            line=line,
        ),
    )
    return None


def clean_lines(text: str, findings: Findings) -> list[Line]:
    """Blanks made plain, invisible and control characters gone, NFC, trailing blanks cut."""
    cleaner = _Cleaner()
    lines = [
        cleaner.clean(number, line)
        for number, line in enumerate(_LINE_END.split(text.removeprefix("\ufeff")), start=1)
    ]
    cleaner.report(findings)
    return lines


def clean_text(text: str) -> str:
    """One line as `clean_lines` leaves it for good: what is read again is not changed again."""
    text = _LINE_END.sub(" ", text)
    while (cleaned := _Cleaner().clean(1, text).text) != text:
        text = cleaned
    return text.strip()


def storable(text: str) -> str:
    """As it was written but for what no database keeps: NUL and halves of characters."""
    return _UNSTORABLE.sub("", text)


def blocks(lines: list[Line]) -> Iterator[tuple[Line, ...]]:
    """Runs of lines that are not blank."""
    block: list[Line] = []
    for line in lines:
        if line.text:
            block.append(line)
        elif block:
            yield tuple(block)
            block = []
    if block:
        yield tuple(block)


class _Cleaner:
    """Cleans line after line and counts what a person should be told about."""

    def __init__(self) -> None:
        self.controls: list[tuple[Place, str]] = []
        self.mojibake: list[tuple[Place, str]] = []

    def clean(self, number: int, original: str) -> Line:
        if original.isascii() and original.isprintable():
            return Line(number, original.rstrip(), len(original))
        parts: list[str] = []
        shifts: list[tuple[int, int]] = []
        done = length = 0
        for match in _TOUCHED.finditer(original):
            mended = self._mend(match, Place(number, match.start() + 1))
            parts += original[done : match.start()], mended
            length += match.start() - done + len(mended)
            done = match.end()
            if len(mended) != len(match[0]):
                shifts.append((length, done))
        parts.append(original[done:])
        return Line(number, "".join(parts).rstrip(), len(original), tuple(shifts))

    def report(self, findings: Findings) -> None:
        if self.controls:
            place, character = self.controls[0]
            findings.error(
                "control-character",
                Words(
                    "{count} left out, the first is U+{character:04X}. Delete what cannot be "
                    "seen here.",
                    count=_controls(len(self.controls)),
                    character=ord(character),
                ),
                place,
            )
        if self.mojibake:
            place, broken = self.mojibake[0]
            findings.warning(
                "charset",
                Words(
                    "{count} mended, such as “{broken}”. The text was once read in the wrong "
                    "encoding; look it over.",
                    count=_garbled(len(self.mojibake)),
                    broken=broken,
                ),
                place,
            )

    def _mend(self, match: re.Match[str], place: Place) -> str:
        match match.lastgroup:
            case "mojibake":
                return self._reread(match[0], place)
            case "blank":
                return " "
            case "invisible":
                return ""
            case "control":
                self.controls.append((place, match[0]))
                return ""
            case _:
                return unicodedata.normalize("NFC", match[0])

    def _reread(self, broken: str, place: Place) -> str:
        mended = b"".join(_cp1252(character) for character in broken).decode()
        self.mojibake.append((place, broken))
        return _TOUCHED.sub(lambda match: self._mend(match, place), mended)


def _cp1252(character: str) -> bytes:
    try:
        return character.encode("cp1252")
    except UnicodeEncodeError:
        return character.encode("latin-1")


def _looks_western(raw: bytes) -> bool:
    """Western text has its high bytes one by one; Chinese has them in pairs and runs."""
    runs = [len(run) for run in _HIGH_RUN.findall(raw)]
    return runs.count(1) * 2 > sum(runs)


def _controls(count: int) -> Words:
    return (
        Words("1 control character")
        if count == 1
        else Words("{count} control characters", count=count)
    )


def _garbled(count: int) -> Words:
    return (
        Words("1 garbled character")
        if count == 1
        else Words("{count} garbled characters", count=count)
    )
