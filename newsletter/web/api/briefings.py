"""A briefing in requests and answers: the structure that is kept, as `newsletter.compose.briefing` has it."""

import datetime
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from newsletter.compose.briefing import Briefing, from_json, to_json
from newsletter.web.api.fields import Body, Line

_MOST = 500
_LONGEST = 20_000

_Words = Annotated[str, StringConstraints(max_length=_LONGEST)]
_Link = Annotated[
    str,
    StringConstraints(pattern=r"^https?://[^\s<>\"]+$", max_length=2000),
    Field(examples=["https://gazette.example/ferries"]),
]


class SpanBody(Body):
    """A run of text in one style."""

    text: _Words
    strong: bool = False
    emphasis: bool = False
    href: _Link | None = None


_Paragraph = Annotated[list[SpanBody], Field(max_length=_MOST)]


class ImageBody(Body):
    src: Annotated[str, StringConstraints(max_length=2000)]
    alt: Line


class StoryBody(Body):
    headline: Line
    paragraphs: Annotated[list[_Paragraph], Field(max_length=_MOST)] = []
    source: Line | None = None
    images: Annotated[list[ImageBody], Field(max_length=20)] = []
    href: _Link | None = Field(default=None, description="Where the headline leads.")


class SectionBody(Body):
    name: Line | None = Field(description="null: of the one section that has no heading.")
    stories: Annotated[list[StoryBody], Field(max_length=_MOST)]


class KeyPointBody(Body):
    text: Line
    story: Annotated[int, Field(ge=1, le=_MOST)] | None = Field(
        default=None, description="The number of the story it announces, over the whole briefing."
    )


class BriefingBody(Body):
    title: Line = Field(examples=["Ferries Run Again"])
    sections: Annotated[list[SectionBody], Field(max_length=100)]
    series: Line | None = None
    credits: Annotated[dict[str, Line], Field(max_length=10)] = Field(
        default={}, description="By role: producer, editor, sub-editor, author, reporter."
    )
    date: datetime.date | None = None
    intro: Annotated[list[_Paragraph], Field(max_length=_MOST)] = []
    key_points: Annotated[list[KeyPointBody], Field(max_length=100)] = []
    language: Annotated[str, StringConstraints(max_length=35)] = "en"

    def briefing(self) -> Briefing:
        return from_json(self.model_dump(mode="json"))


class SpanShown(BaseModel):
    text: str
    strong: bool = False
    emphasis: bool = False
    href: str | None = None


class ImageShown(BaseModel):
    src: str
    alt: str


class StoryShown(BaseModel):
    headline: str
    paragraphs: list[list[SpanShown]]
    source: str | None
    images: list[ImageShown]
    href: str | None


class SectionShown(BaseModel):
    name: str | None
    stories: list[StoryShown]


class KeyPointShown(BaseModel):
    text: str
    story: int | None


class BriefingShown(BaseModel):
    """As it was tidied and kept; without the limits that requests have."""

    title: str
    sections: list[SectionShown]
    series: str | None
    credits: dict[str, str]
    date: datetime.date | None
    intro: list[list[SpanShown]]
    key_points: list[KeyPointShown]
    language: str

    @classmethod
    def of(cls, briefing: Briefing) -> "BriefingShown":
        return cls.model_validate(to_json(briefing))
