"""`/lists`: what people subscribe to, and the sections of each."""

from dataclasses import fields
from datetime import datetime
from typing import Annotated, cast

from fastapi import APIRouter, Security
from pydantic import BaseModel, Field, with_config
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from newsletter.accounts.scopes import Scope
from newsletter.audience.lists import (
    MOST_A_DAY,
    NewList,
    create_list,
    edit_list,
    retire_list,
)
from newsletter.audience.sections import (
    SectionChanges,
    add_section,
    edit_section,
    retire_section,
    sections_of,
)
from newsletter.errors import NotFoundError
from newsletter.models import (
    BACKDROP,
    Archive,
    Font,
    ListSection,
    MailingList,
    OnUncertain,
    OptIn,
    Tracking,
)
from newsletter.web.api.body import JsonRoute
from newsletter.web.api.calls import Call, Outcome, may_change, may_read, may_write, one
from newsletter.web.api.fields import (
    STRICT,
    Address,
    Body,
    Flag,
    Key,
    KeyInPath,
    Language,
    Line,
    SlugInPath,
    Text,
    Time,
    Zone,
)
from newsletter.web.api.pages import Cursor, Limit, Page, paged, text_in

router = APIRouter(prefix="/lists", tags=["lists"], route_class=JsonRoute)

Reader = Annotated[Call, Security(may_read, scopes=[Scope.LISTS_READ])]
Writer = Annotated[Call, Security(may_write, scopes=[Scope.LISTS_WRITE])]
Changer = Annotated[Call, Security(may_change, scopes=[Scope.LISTS_WRITE])]

_MostADay = Annotated[int, Field(ge=0, le=MOST_A_DAY, description="0: no limit.")]
_Several = Annotated[str, Field(max_length=500, description="May have several lines.")]
_CoolOff = Annotated[
    int,
    Field(ge=0, le=3600, description="Seconds in which a sending at once can be pulled back."),
]
_Accent = Annotated[Line, Field(pattern=r"^#[0-9a-fA-F]{6}$", examples=["#0b57d0"])]


class ListToMake(Body):
    slug: Key
    name: Annotated[Text, Field(max_length=120)]
    sender_name: Annotated[Text, Field(max_length=120)]
    sender_address: Address
    postal_address: Annotated[Text, Field(max_length=500)]
    tagline: Annotated[Line, Field(max_length=200)] = ""
    description: Line = ""
    accent: _Accent = "#0b57d0"
    language: Language = "en"
    zone: Zone = "UTC"
    reply_to: Address | None = None
    opt_in: OptIn = OptIn.DOUBLE
    is_public: Flag = False
    send_time: Time | None = None
    tracking: Tracking = Tracking.FULL
    on_uncertain: OnUncertain = OnUncertain.HOLD
    archive: Archive = Archive.UNLISTED
    backdrop: _Accent = BACKDROP
    heading_font: Font = Font.GEORGIA
    text_font: Font = Font.SYSTEM
    footer: _Several = ""
    four_eyes: bool | None = None
    cool_off_seconds: _CoolOff | None = None
    most_a_day: _MostADay | None = None


@with_config(STRICT)
class ListPatch(TypedDict, total=False):
    """What is left out stays as it is; null means none."""

    name: Annotated[Text, Field(max_length=120)]
    sender_name: Annotated[Text, Field(max_length=120)]
    sender_address: Address
    postal_address: Annotated[Text, Field(max_length=500)]
    tagline: Annotated[Line, Field(max_length=200)]
    description: Line
    accent: _Accent
    language: Language
    zone: Zone
    reply_to: Address | None
    opt_in: OptIn
    is_public: Flag
    send_time: Time | None
    tracking: Tracking
    on_uncertain: OnUncertain
    archive: Archive
    backdrop: _Accent
    heading_font: Font
    text_font: Font
    footer: _Several
    four_eyes: bool | None
    cool_off_seconds: _CoolOff | None
    most_a_day: _MostADay | None


class ListShown(BaseModel):
    slug: str = Field(examples=["morning-briefing"])
    name: str
    tagline: str
    description: str
    accent: str
    language: str
    zone: str
    sender_name: str
    sender_address: str
    reply_to: str | None
    postal_address: str
    opt_in: OptIn
    is_public: bool
    send_time: str | None
    tracking: Tracking
    on_uncertain: OnUncertain
    archive: Archive
    backdrop: str
    heading_font: Font
    text_font: Font
    footer: str
    four_eyes: bool | None
    cool_off_seconds: int | None
    most_a_day: int | None
    created_at: datetime
    retired_at: datetime | None


class SectionToMake(Body):
    key: Key
    name: Annotated[Text, Field(max_length=120)]
    aliases: Annotated[list[Annotated[Text, Field(max_length=120)]], Field(max_length=50)] = []
    is_pinned: Flag = False


@with_config(STRICT)
class SectionPatch(TypedDict, total=False):
    """What is left out stays as it is."""

    name: Annotated[Text, Field(max_length=120)]
    aliases: Annotated[list[Annotated[Text, Field(max_length=120)]], Field(max_length=50)]
    is_pinned: Flag
    position: Annotated[int, Field(ge=1, le=63, strict=True)]


class SectionShown(BaseModel):
    key: str = Field(examples=["port"])
    name: str
    aliases: list[str]
    is_pinned: bool
    position: int
    retired_at: datetime | None


class Sections(BaseModel):
    """In the order of the preferences page; a list has 63 at most in its life."""

    items: list[SectionShown]


@router.get("", response_model=Page[ListShown])
def list_lists(
    request: Request, call: Reader, cursor: Cursor = None, limit: Limit = 100
) -> Response:
    """The lists that the key is for, by slug."""
    after = text_in(cursor) or ""
    with call.reading() as session:
        rest = [each for each in call.lists(session) if each.slug > after]
    items = [list_shown(each) for each in rest[:limit]]
    return paged(request, items, items[-1].slug if len(rest) > limit else None)


@router.post("", status_code=201, response_model=ListShown)
def make_list(call: Writer, body: ListToMake) -> Response:
    """Make a list. Its slug stays for good."""
    call.require_every_list()

    def work(session: Session) -> Outcome:
        new = NewList(**{each.name: getattr(body, each.name) for each in fields(NewList)})
        made = create_list(session, new, now=call.now)
        return Outcome(list_shown(made), 201, f"{call.root}/lists/{made.slug}")

    return call.write(work)


@router.get("/{slug}", response_model=ListShown)
def show_list(call: Reader, slug: SlugInPath) -> Response:
    with call.reading() as session:
        return one(list_shown(call.list_called(session, slug)))


@router.patch("/{slug}", response_model=ListShown)
def change_list(call: Changer, slug: SlugInPath, body: ListPatch) -> Response:
    """Change what the body names. Editions that are approved already go out as they were."""

    def work(session: Session) -> Outcome:
        found = call.list_called(session, slug)
        session.refresh(found, with_for_update={"key_share": True})
        call.require_unchanged(list_shown(found))
        return Outcome(list_shown(edit_list(session, slug, body)))

    return call.write(work)


@router.post("/{slug}/retire", response_model=ListShown)
def retire_a_list(call: Writer, slug: SlugInPath) -> Response:
    """Take no new people and no new editions; links in its mail still work."""

    def work(session: Session) -> Outcome:
        call.list_called(session, slug)
        return Outcome(list_shown(retire_list(session, slug, now=call.now)))

    return call.write(work)


@router.get("/{slug}/sections", response_model=Sections)
def list_sections(call: Reader, slug: SlugInPath) -> Response:
    with call.reading() as session:
        found = sections_of(session, call.list_called(session, slug).id)
        return one(Sections(items=[section_shown(each) for each in found]))


@router.post("/{slug}/sections", status_code=201, response_model=SectionShown)
def make_section(call: Writer, slug: SlugInPath, body: SectionToMake) -> Response:
    """Make a section behind the others. Its key stays for good."""

    def work(session: Session) -> Outcome:
        made = add_section(
            session,
            call.list_called(session, slug),
            body.key,
            name=body.name,
            aliases=body.aliases,
            is_pinned=body.is_pinned,
        )
        return Outcome(section_shown(made), 201, f"{call.root}/lists/{slug}/sections")

    return call.write(work)


@router.patch("/{slug}/sections/{key}", response_model=SectionShown)
def change_section(call: Writer, slug: SlugInPath, key: KeyInPath, body: SectionPatch) -> Response:
    """Change what the body names; `aliases` are all of them, and those left out are gone."""

    def work(session: Session) -> Outcome:
        mailing_list = call.list_called(session, slug)
        _require_section(session, mailing_list, key)
        changed = edit_section(session, mailing_list, key, cast("SectionChanges", body))
        return Outcome(section_shown(changed))

    return call.write(work)


@router.post("/{slug}/sections/{key}/retire", response_model=SectionShown)
def retire_a_section(call: Writer, slug: SlugInPath, key: KeyInPath) -> Response:
    """Let its headings be like any other: everybody gets what stands under them."""

    def work(session: Session) -> Outcome:
        mailing_list = call.list_called(session, slug)
        _require_section(session, mailing_list, key)
        return Outcome(section_shown(retire_section(session, mailing_list, key, now=call.now)))

    return call.write(work)


def list_shown(row: MailingList) -> ListShown:
    return ListShown(
        slug=row.slug,
        name=row.name,
        tagline=row.tagline,
        description=row.description,
        accent=row.accent,
        language=row.language,
        zone=row.zone,
        sender_name=row.sender_name,
        sender_address=row.sender_address,
        reply_to=row.reply_to,
        postal_address=row.postal_address,
        opt_in=row.opt_in,
        is_public=row.is_public,
        send_time=f"{row.send_time:%H:%M}" if row.send_time else None,
        tracking=row.tracking,
        on_uncertain=row.on_uncertain,
        archive=row.archive,
        backdrop=row.backdrop,
        heading_font=row.heading_font,
        text_font=row.text_font,
        footer=row.footer,
        four_eyes=row.four_eyes,
        cool_off_seconds=row.cool_off_seconds,
        most_a_day=row.most_a_day,
        created_at=row.created_at,
        retired_at=row.retired_at,
    )


def section_shown(row: ListSection) -> SectionShown:
    return SectionShown(
        key=row.key,
        name=row.name,
        aliases=row.aliases,
        is_pinned=row.is_pinned,
        position=row.position,
        retired_at=row.retired_at,
    )


def _require_section(session: Session, mailing_list: MailingList, key: str) -> None:
    """Raises `NotFoundError`: in a path, what is no section's key leads nowhere."""
    if all(each.key != key for each in sections_of(session, mailing_list.id)):
        raise NotFoundError("{slug} has no section {key}.", slug=mailing_list.slug, key=key)
