"""What texts look like in requests; whether they mean anything is decided by the audience."""

from typing import Annotated

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints

from newsletter.db import GREATEST_KEY, GREATEST_LONG_KEY

ONE_LINE = r"^[^\x00-\x1f\x7f-\x9f]*$"
_KEY = r"^[a-z0-9]+(-+[a-z0-9]+)*$"

STRICT = ConfigDict(extra="forbid")

Key = Annotated[
    str,
    StringConstraints(min_length=1, max_length=63, pattern=_KEY),
    Field(examples=["morning-briefing"]),
]
Line = Annotated[str, StringConstraints(pattern=ONE_LINE, max_length=1000)]
Text = Annotated[str, StringConstraints(pattern=ONE_LINE, min_length=1, max_length=1000)]
# With an @ at least: the audience also finds people by number, which is not what is asked here.
Address = Annotated[
    str,
    StringConstraints(
        min_length=3, max_length=254, pattern=r"^[^\x00-\x20\x7f-\x9f]+@[^\x00-\x20\x7f-\x9f]+$"
    ),
    Field(description="One bare e-mail address.", examples=["ada@readers.example"]),
]
Language = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z]{2,3}([_-][A-Za-z0-9]{2,8})*$", max_length=35),
    Field(description="A BCP 47 tag.", examples=["en"]),
]
Zone = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_+/-]+$", min_length=1, max_length=64),
    Field(description="An IANA time zone.", examples=["Europe/Berlin"]),
]
Time = Annotated[
    str,
    StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$"),
    Field(description="A time of day, hours and minutes.", examples=["07:00"]),
]
Day = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"),
    Field(description="A date, year-month-day.", examples=["2026-03-05"]),
]
TagName = Annotated[
    str,
    StringConstraints(pattern=r"^[^\x00-\x1f\x7f-\x9f,]+$", min_length=1, max_length=80),
    Field(examples=["founding member"]),
]
Flag = StrictBool

SlugInPath = Annotated[str, Path(min_length=1, max_length=63, pattern=_KEY)]
KeyInPath = Annotated[str, Path(min_length=1, max_length=63, pattern=_KEY)]
SubscriberInPath = Annotated[int, Path(ge=1, le=GREATEST_LONG_KEY)]
NumberInPath = Annotated[int, Path(ge=1, le=GREATEST_KEY)]


class Body(BaseModel):
    """What is sent: a field that the API does not know is a mistake, and changes nothing silently."""

    model_config = STRICT
