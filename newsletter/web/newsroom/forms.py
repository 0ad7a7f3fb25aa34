"""Reads what a form of the site posts, its files too, and never more than the screen takes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message

from newsletter.db import GREATEST_KEY
from newsletter.web.numbers import whole_number

MOST_FIELDS = 2_000
MOST_FILES = 20
LONGEST_FIELD = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Form:
    """`pairs` in the order of the page; a field may come again."""

    pairs: tuple[tuple[str, str], ...] = ()
    files: Mapping[str, UploadFile] = field(default_factory=dict)
    document: Any = None
    """What was posted as JSON; None for a form."""

    def get(self, name: str, default: str = "") -> str:
        """The field's first value, without the space around it."""
        return self.text(name, default).strip()

    def text(self, name: str, default: str = "") -> str:
        """The field's first value as it was typed, with line breaks as LF."""
        for key, value in self.pairs:
            if key == name:
                return value.replace("\r\n", "\n")
        return default

    def every(self, name: str) -> list[str]:
        return [value.strip() for key, value in self.pairs if key == name]

    def has(self, name: str) -> bool:
        """Whether a box was ticked or a button pressed."""
        return any(key == name for key, _ in self.pairs)

    def number(self, name: str) -> int | None:
        """None where there is no whole number that a key or a count could be."""
        text = self.get(name)
        number = whole_number(text.removeprefix("-"))
        return -number if number is not None and text.startswith("-") else number

    def numbers(self, name: str, *, greatest: int = GREATEST_KEY) -> set[int]:
        """Those of the field's values that are whole numbers."""
        read = (whole_number(each, greatest=greatest) for each in self.every(name))
        return {number for number in read if number is not None}


async def read_posted(request: Request, *, largest: int) -> Form:
    """Raises `HTTPException`: 413 for more than `largest` bytes, 400 for what is no form."""
    limited = Request(request.scope, _limited(request, largest))
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind == "application/json":
        return await _read_json(limited)
    # Files go to the disk; a field stays in memory.
    longest = min(largest, LONGEST_FIELD)
    form = await limited.form(max_files=MOST_FILES, max_fields=MOST_FIELDS, max_part_size=longest)
    return _form_of(form)


async def _read_json(request: Request) -> Form:
    try:
        return Form(document=await request.json())
    except ValueError as error:
        raise HTTPException(400) from error


def _form_of(form: FormData) -> Form:
    pairs = tuple((name, value) for name, value in form.multi_items() if isinstance(value, str))
    files = {
        name: value
        for name, value in form.multi_items()
        if isinstance(value, UploadFile) and value.filename
    }
    return Form(pairs, files)


def _limited(request: Request, largest: int) -> Any:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > largest:
        raise HTTPException(413)
    taken = 0

    async def receive() -> Message:
        nonlocal taken
        message = await request.receive()
        taken += len(message.get("body", b""))
        if taken > largest:
            raise HTTPException(413)
        return message

    return receive
