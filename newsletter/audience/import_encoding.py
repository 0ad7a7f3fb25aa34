"""Finds out how the text of a file is encoded, from its bytes alone."""

import codecs
import re
from dataclasses import dataclass

from charset_normalizer import from_bytes

UTF_8 = "utf-8-sig"
"""With or without the mark at its beginning."""

# What spreadsheets write in the West and in China; whoever has another one names it.
_ONE_BYTE, _TWO_BYTES = "cp1252", "gb18030"
_RUN = re.compile(rb"[\x80-\xff]+")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SAMPLE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Encoding:
    name: str
    """As Python's codecs have it."""
    is_guess: bool


class EncodingFinder:
    """Is shown a file piece by piece, and keeps of it only some lines that are not ASCII."""

    def __init__(self) -> None:
        self._utf_8: codecs.IncrementalDecoder | None = codecs.getincrementaldecoder("utf-8")()
        self._start = b""
        self._sample = bytearray()
        self._line = b""
        """The beginning of a line whose end is in the next piece."""

    def look_at(self, piece: bytes) -> None:
        self._start = (self._start + piece[:4])[:4]
        self._decode(piece)
        whole, end, rest = (self._line + piece).rpartition(b"\n")
        if end and not whole.isascii():
            self._keep_some(whole)
        self._line = rest[:_SAMPLE_BYTES]

    def found(self) -> Encoding:
        if self._start.startswith(_UTF_16):
            return Encoding("utf-16", is_guess=False)
        self._decode(b"", final=True)
        if self._utf_8 is not None:
            return Encoding(UTF_8, is_guess=False)
        self._keep_some(self._line)
        return Encoding(_guess(bytes(self._sample)), is_guess=True)

    def _decode(self, piece: bytes, *, final: bool = False) -> None:
        if self._utf_8 is None:
            return
        try:
            self._utf_8.decode(piece, final)
        except UnicodeDecodeError:
            self._utf_8 = None

    def _keep_some(self, text: bytes) -> None:
        for line in text.split(b"\n"):
            if len(self._sample) >= _SAMPLE_BYTES:
                return
            if not line.isascii():
                self._sample += line[:_SAMPLE_BYTES] + b"\n"


def _guess(sample: bytes) -> str:
    runs = _RUN.findall(sample)
    # Accents stand alone between plain letters; of a few of them statistics would make Chinese.
    if 2 * sum(len(run) == 1 for run in runs) > len(runs):
        return _ONE_BYTE
    best = from_bytes(
        sample, cp_isolation=[_ONE_BYTE, _TWO_BYTES], preemptive_behaviour=False
    ).best()
    return best.encoding if best else _ONE_BYTE


def read_encoding(text: str) -> str:
    """The codec that an admin named. Raises `LookupError`."""
    name = codecs.lookup(text).name
    return UTF_8 if name == "utf-8" else name
