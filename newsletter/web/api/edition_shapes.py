"""Editions as the API is told of them, and as it tells of them."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field, StringConstraints

from newsletter.compose.content import LONGEST_SUBJECT
from newsletter.compose.findings import Severity
from newsletter.compose.formatting import format_briefing
from newsletter.models import EditionState, Past
from newsletter.plan.drafts import Draft
from newsletter.plan.waves import DEADLINE
from newsletter.web.api.briefings import BriefingBody, BriefingShown
from newsletter.web.api.fields import Address, Body, Day, Key, Line, Time

_Subject = Annotated[Line, Field(max_length=LONGEST_SUBJECT)]
_Text = Annotated[
    str,
    StringConstraints(max_length=200_000),
    Field(description="A briefing as newsrooms write it; instead of `briefing`."),
]
_Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Written(Body):
    """The content: as a text, or as the structure itself."""

    text: _Text | None = None
    briefing: BriefingBody | None = None
    subject: _Subject | None = Field(default=None, description="null: the title.")
    preheader: _Subject | None = Field(default=None, description="null: the key points.")


class EditionToMake(Written):
    lists: Annotated[list[Key], Field(min_length=1, max_length=20)]


class DraftToSave(Written):
    based_on: Annotated[int, Field(ge=0, le=2**31 - 1)] = Field(
        description="The version that was read. Who is late overwrites nobody."
    )


class TestToSend(Body):
    to: Annotated[list[Address], Field(min_length=1, max_length=20)]
    list: Key | None = Field(default=None, description="In the dress of this list.")


class ReviewToAsk(Body):
    note: Annotated[Line, Field(max_length=1000)] = ""


class ApprovalToGive(Body):
    hash: _Hash = Field(description="Of what was looked at, as `POST …/checks` answers it.")


class Now(Body):
    when: Literal["now"]
    people: int | None = Field(
        default=None, description="Where it goes to very many: how many, to confirm it."
    )


class AtInstant(Body):
    when: Literal["at"]
    at: AwareDatetime
    deadline_hours: Annotated[int, Field(ge=1, le=24)] = DEADLINE // timedelta(hours=1)
    people: int | None = None


class AtLocalTime(Body):
    when: Literal["local"]
    day: Day
    time: Time
    past: Past = Field(default=Past.SEND, description="What happens where it is later already.")
    deadline_hours: Annotated[int, Field(ge=1, le=24)] = DEADLINE // timedelta(hours=1)
    people: int | None = None


Schedule = Annotated[Now | AtInstant | AtLocalTime, Field(discriminator="when")]


class EditionShown(BaseModel):
    id: int
    public_id: str
    state: EditionState
    title: str
    lists: list[str]
    revision: int = Field(description="The newest; 0: none was cut from the draft yet.")
    approved_revision: int | None
    created_at: datetime
    approved_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None


class DraftShown(BaseModel):
    version: int = Field(description="What the next saving is based on.")
    briefing: BriefingShown
    text: str = Field(description="The same as a text.")
    subject: str | None
    preheader: str | None
    changed_at: datetime
    changed_by: str
    voids: bool = Field(
        default=False, description="Whether an approval, a review or a schedule ended with it."
    )


class FindingShown(BaseModel):
    code: str
    severity: Severity
    message: str
    line: int | None
    column: int | None
    is_acknowledged: bool


class Checked(BaseModel):
    revision: int
    hash: str = Field(description="What an approval names.")
    may_be_approved: bool
    findings: list[FindingShown]


class TestSent(BaseModel):
    mails: list[int]


class ApprovalShown(BaseModel):
    revision: int
    hash: str
    transport: str
    people: int = Field(description="Those who will be left out included.")


class WaveShown(BaseModel):
    due_at: datetime
    zones: list[str]
    people: int
    sent: int
    left_out: str | None = Field(description="Why nobody of it is mailed.")


class StatusShown(BaseModel):
    """planned = waiting + deferred + sent + excluded + failed + uncertain + cancelled, always."""

    state: EditionState
    is_planned: bool
    planned: int
    waiting: int
    deferred: int
    sent: int
    excluded: dict[str, int]
    failed: int
    uncertain: int
    cancelled: int
    opens: int = Field(description="Readers who opened it, about: programs open mail too.")
    clicks: int
    clickers: int
    unsubscribes: int
    waves: list[WaveShown]


class DeliveryShown(BaseModel):
    subscriber_id: int
    address: str
    state: str
    reason: str | None
    code: int | None
    attempts: int
    revision: int | None
    sent_at: datetime | None


def draft_shown(draft: Draft, *, voids: bool = False) -> DraftShown:
    content = draft.content
    return DraftShown(
        version=draft.version,
        briefing=BriefingShown.of(content.briefing),
        text=format_briefing(content.briefing),
        subject=content.subject,
        preheader=content.preheader,
        changed_at=draft.changed_at,
        changed_by=draft.changed_by,
        voids=voids,
    )
