"""Content transfer encodings (RFC 2045 section 6) of a cut text, with all that is static done once.

Both kinds write CRLF lines of at most 76 octets, none of which begins with a dot or with "From ":
neither dot-stuffing nor From-munging can change a byte, so a DKIM signature holds. Nowhere is more
than one blank, a tab, or a blank before a line's end: as a part is sent, so is it signed (relaxed
body canonicalisation, RFC 6376 section 3.4.4).
"""

import re
from binascii import b2a_base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from newsletter.render.cut import Cut, Slot

LINE = 76

# Above this share of octets that quoted-printable triples, base64 is the shorter one.
_TRIPLED_SHARE = 0.16
_TRIPLED = bytes((0x3D, *range(127, 256)))

_TO_ESCAPE = re.compile(rb"[^\n -<>-~]+|(?<= ) +| +(?=\n)")
_READY = re.compile(rb"[A-EG-Za-z0-9_~-](?:[A-Za-z0-9_~/@+ .,-]{0,72}[A-Za-z0-9_~/@+.,-])?")
_FIRST = {b".": b"=2E", b"F": b"=46"}


class Part(Protocol):
    """`encoding` is the value of Content-Transfer-Encoding."""

    encoding: str

    def prepare(self, value: str) -> bytes:
        """A reader's value in the form that `fill` takes."""

    def prepare_token(self, token: bytes) -> bytes:
        """The same for what is known to be of `[A-Za-z0-9_-]` and shorter than a line."""

    def fill(self, values: Mapping[Slot, bytes]) -> bytes:
        """The whole part, encoded, ending with a line's end."""


def encoded_part(cut: Cut) -> Part:
    """In the encoding that makes this part shorter."""
    text = "".join(cut.statics).encode()
    tripled = len(text) - len(text.translate(None, _TRIPLED))
    return Base64(cut) if tripled > _TRIPLED_SHARE * len(text) else QuotedPrintable(cut)


class QuotedPrintable:
    """Before and after a value stands a soft line break, so that each begins at the line's start.

    The commonest slot, a click's, is filled in by joining the texts around it.
    """

    encoding = "quoted-printable"

    def __init__(self, cut: Cut) -> None:
        *before, last = (text.encode() for text in cut.statics)
        statics = [_soft(quoted_printable(text)) for text in before]
        statics.append(quoted_printable(last.rstrip() + b"\n"))
        self._commonest = max(cut.slots, key=cut.slots.count, default=Slot(""))
        segments = [_Segment([statics[0]], [])]
        for slot, text in zip(cut.slots, statics[1:], strict=True):
            if slot == self._commonest:
                segments.append(_Segment([text], []))
            else:
                segments[-1].add(slot, text)
        self._static = [segment.pieces[0] for segment in segments]
        self._personal = [
            (place, segment) for place, segment in enumerate(segments) if segment.slots
        ]

    def prepare(self, value: str) -> bytes:
        raw = value.encode()
        is_ready = _READY.fullmatch(raw) and b"  " not in raw
        return raw + b"=\r\n" if is_ready else _soft(quoted_printable(raw))

    def prepare_token(self, token: bytes) -> bytes:
        return _FIRST.get(token[:1], token[:1]) + token[1:] + b"=\r\n"

    def fill(self, values: Mapping[Slot, bytes]) -> bytes:
        segments = self._static.copy()
        for place, segment in self._personal:
            segments[place] = segment.fill(values)
        return values.get(self._commonest, b"").join(segments)


@dataclass(frozen=True, slots=True)
class _Segment:
    """What stands between two values of the commonest slot; every second piece is a slot's place."""

    pieces: list[bytes]
    slots: list[Slot]

    def add(self, slot: Slot, text: bytes) -> None:
        self.slots.append(slot)
        self.pieces.extend((b"", text))

    def fill(self, values: Mapping[Slot, bytes]) -> bytes:
        pieces = self.pieces.copy()
        pieces[1::2] = [values[slot] for slot in self.slots]
        return b"".join(pieces)


class Base64:
    """A value may leave the text after it in any of three alignments, so that each static text is
    encoded three times: from its first, second and third octet on. What stands between two of them,
    a value and the few octets around it, is encoded per message.
    """

    encoding = "base64"

    def __init__(self, cut: Cut) -> None:
        texts = (text.replace("\n", "\r\n").encode() for text in cut.statics)
        self._pieces = list(zip((None, *cut.slots), map(_Aligned, texts), strict=True))

    def prepare(self, value: str) -> bytes:
        return value.encode()

    def prepare_token(self, token: bytes) -> bytes:
        return token

    def fill(self, values: Mapping[Slot, bytes]) -> bytes:
        filled: list[bytes] = []
        carried = b""
        for slot, static in self._pieces:
            if slot is not None:
                carried += values[slot]
            head, encoded, tail = static.from_octet[-len(carried) % 3]
            carried += head
            if static.is_short:  # nothing of it is left that could be encoded beforehand
                continue
            filled += _base64_lines(carried), encoded
            carried = tail
        filled.append(_base64_lines(carried))
        return b"".join(filled)


class _Aligned:
    """`from_octet[n]` is the first n octets, the encoded rest up to a whole triple, and what is left."""

    def __init__(self, text: bytes) -> None:
        self.is_short = len(text) < 2
        self.from_octet: Sequence[tuple[bytes, bytes, bytes]] = [
            (text, b"", b"") if self.is_short else self._split(text, start) for start in range(3)
        ]

    def _split(self, text: bytes, start: int) -> tuple[bytes, bytes, bytes]:
        end = len(text) - (len(text) - start) % 3
        return text[:start], _base64_lines(text[start:end]), text[end:]


def _base64_lines(raw: bytes) -> bytes:
    if len(raw) <= 57:
        return b2a_base64(raw, newline=False) + b"\r\n" if raw else b""
    return b"".join(_base64_lines(raw[at : at + 57]) for at in range(0, len(raw), 57))


def quoted_printable(text: bytes) -> bytes:
    """`text` (its line ends as LF) in lines of at most 75 octets and a soft break's "=".

    A blank at its very end stays a blank: something has to follow it on the line.
    """
    return b"\r\n".join(map(_broken, _TO_ESCAPE.sub(_escaped, text).split(b"\n")))


def _escaped(match: re.Match[bytes]) -> bytes:
    return f"={match[0].hex('=').upper()}".encode()


def _broken(line: bytes) -> bytes:
    if len(line) < LINE and line[:1] not in _FIRST:
        return line
    pieces, start = [], 0
    while start < len(line):
        first = _FIRST.get(line[start : start + 1], b"")
        start += bool(first)
        end = min(start + LINE - 1 - len(first), len(line))
        if end < len(line):
            escape = line.rfind(b"=", end - 2, end)
            end = escape if escape >= 0 else end
        pieces.append(first + line[start:end])
        start = end
    return b"=\r\n".join(pieces)


def _soft(encoded: bytes) -> bytes:
    """Ended by a soft break, unless it ends where a line begins."""
    return encoded if encoded.endswith(b"\r\n") or not encoded else encoded + b"=\r\n"
