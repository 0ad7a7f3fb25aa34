"""When an edition goes out: now, at a time, or at a local time everywhere; and taking that back."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from starlette.responses import Response

from newsletter.accounts.roles import Role
from newsletter.audience.fields import read_date, read_time, read_zone, refuse
from newsletter.audience.zones import zone_choices
from newsletter.errors import InputError, StateError
from newsletter.models import AudienceCount, EditionState, MailingList, Past
from newsletter.plan import schedule
from newsletter.plan.caution import caution_for
from newsletter.plan.counting import Place, counted_places
from newsletter.plan.dispatch import AtInstant, AtLocalTime, AtOnce, When, send_edition
from newsletter.plan.hourly_cap import CapReached
from newsletter.plan.slots import fill_slot, slot_on
from newsletter.plan.timing import instant_of, rules_of
from newsletter.plan.waves import DEADLINE
from newsletter.report.waves import WaveStatus, preview_waves, wave_statuses
from newsletter.web.newsroom.cookies import Undo
from newsletter.web.newsroom.pages import said
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import Visit
from newsletter.web.newsroom.way import Way, edition_page, way_of
from newsletter.web.numbers import whole_number
from newsletter.words import Words

FIELDS = ("how", "day", "at", "zone", "past", "deadline", "people")
LONGEST_DEADLINE = 24
SLOT_DAYS = 7
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Hour:
    """What is due within one hour of the viewer's clock."""

    begins_at: datetime
    people: int
    left_out: int
    zones: tuple[str, ...]
    is_past: bool
    """It has been that time there already; whoever is not left out is mailed at once."""


@dataclass(frozen=True, slots=True)
class OpenSlot:
    mailing_list: MailingList
    day: date


def show(visit: Visit) -> Response:
    way = way_of(visit, Role.VIEWER)
    return _page(way, _usual(way))


def preview(visit: Visit) -> Response:
    """The waves of what is chosen in the form, as a part beside it."""
    way = way_of(visit, Role.VIEWER)
    typed = _usual(way) | {name: visit.query(name) for name in FIELDS if visit.query(name)}
    try:
        hours, mistake = _preview(way, typed), None
    except InputError as error:
        hours, mistake = None, said(error)
    return visit.page("edition/_hours.html", hours=hours, mistake=mistake)


def send(visit: Visit) -> Response:
    way = way_of(visit, Role.EDITOR)
    typed = {name: visit.form.get(name) for name in FIELDS}
    try:
        when = _when(typed)
        with visit.session.begin_nested():
            caution = send_edition(
                visit.session, way.edition.id, when, typed=typed["people"], now=visit.now
            )
    except (InputError, StateError) as error:
        return _refused(visit, typed, error)
    chosen = {name: value for name, value in typed.items() if value and name != "people"}
    visit.audit("edition sent", str(way.edition.id), people=caution.people, **chosen)
    visit.session.refresh(way.edition)
    if way.edition.state is EditionState.SENDING:
        return visit.go(f"{way.url}/sending", Words("It is being sent."))
    if way.is_held:
        return visit.go(f"{way.url}/schedule")
    undo = Undo("Pull back", f"{way.url}/schedule/pull-back")
    return visit.go(f"{way.url}/schedule", Words("It is scheduled."), undo=undo)


def pull_back(visit: Visit) -> Response:
    way = way_of(visit, Role.EDITOR)
    schedule.unschedule(visit.session, way.edition.id)
    visit.audit("edition pulled back", str(way.edition.id))
    return visit.go(f"{way.url}/schedule", "Nothing is sent. It is approved still.")


def fill(visit: Visit) -> Response:
    """Make it the edition of a day's slot; it is scheduled for that as soon as it is approved."""
    way = way_of(visit, Role.EDITOR)
    slug, _, day = visit.form.get("slot").partition(" ")
    mailing_list = next((each for each in way.lists if each.slug == slug), None)
    if mailing_list is None:
        refuse("slot", "choose one of the days that are offered")
    wanted = read_date("slot", day)
    try:
        with visit.session.begin_nested():
            is_scheduled = fill_slot(
                visit.session, mailing_list, wanted, way.edition.id, now=visit.now
            )
    except CapReached as error:
        return _refused(visit, _usual(way), error)
    visit.audit("slot filled", str(way.edition.id), list=slug, day=day)
    notice = (
        Words("It is scheduled for its slot.")
        if is_scheduled
        else Words("It fills the slot once approved.")
    )
    return visit.go(f"{way.url}/schedule", notice)


def _refused(visit: Visit, typed: dict[str, str], error: InputError | StateError) -> Response:
    way = way_of(visit, Role.EDITOR)
    if isinstance(error, CapReached):
        visit.audit("sending refused", str(way.edition.id), why=str(error))
    status = 422 if isinstance(error, InputError) else 409
    return _page(way, typed, mistake=said(error), status=status)


def _when(typed: dict[str, str]) -> When:
    if typed["how"] == "now":
        return AtOnce()
    deadline = _deadline(typed["deadline"])
    day, at = read_date("day", typed["day"]), read_time("at", typed["at"])
    if typed["how"] == "local":
        past = Past.SKIP if typed["past"] == Past.SKIP else Past.SEND
        return AtLocalTime(day, at, past, deadline)
    if typed["how"] != "at":
        refuse("when", "choose now, a time, or a local time everywhere")
    return AtInstant(_instant(day, at, typed["zone"]), deadline)


def _instant(day: date, at: time, zone: str) -> datetime:
    rules = rules_of(read_zone("zone", zone))
    instant = instant_of(day, at, rules)
    if instant is None:
        refuse("day", "there is no {day} in {zone}", day=day, zone=rules.key)
    return instant


def _deadline(text: str) -> timedelta:
    hours = whole_number(text, greatest=LONGEST_DEADLINE)
    if not hours:
        refuse("deadline", "write 1 to {longest} hours", longest=LONGEST_DEADLINE)
    return hours * _HOUR


def _usual(way: Way) -> dict[str, str]:
    """What the form begins with: the list's usual time, tomorrow if that has passed today."""
    mailing_list = way.lists[0]
    local = way.visit.now.astimezone(rules_of(mailing_list.zone))
    at = mailing_list.send_time or time(7)
    day = local.date() if local.time() < at else local.date() + timedelta(days=1)
    return {
        "how": "local" if mailing_list.send_time else "now",
        "day": day.isoformat(),
        "at": f"{at:%H:%M}",
        "zone": mailing_list.zone,
        "past": Past.SEND.value,
        "deadline": str(DEADLINE // _HOUR),
        "people": "",
    }


def _page(
    way: Way, typed: dict[str, str], *, mistake: str | None = None, status: int = 200
) -> Response:
    session, edition = way.visit.session, way.edition
    people = _people(way)
    statuses = wave_statuses(session, edition.id, people=people) if _has_waves(way) else []
    return edition_page(
        way,
        "schedule.html",
        "schedule",
        status=status,
        typed=typed,
        mistake=mistake,
        caution=caution_for(session, edition.id),
        waves=statuses,
        hours=by_hour(statuses, way.visit) if statuses else [],
        preview=None if statuses else _first_preview(way, typed),
        zones=zone_choices(),
        slots=_open_slots(way),
    )


def _has_waves(way: Way) -> bool:
    return way.edition.state in (
        EditionState.SCHEDULED,
        EditionState.SENDING,
        EditionState.PAUSED,
        EditionState.SENT,
    )


def _first_preview(way: Way, typed: dict[str, str]) -> list[Hour] | None:
    try:
        return _preview(way, typed)
    except InputError:
        return None


def _preview(way: Way, typed: dict[str, str]) -> list[Hour] | None:
    """None: everybody is mailed at the same moment."""
    if typed["how"] != "local":
        return None
    deadline = _deadline(typed["deadline"])
    day, at = read_date("day", typed["day"]), read_time("at", typed["at"])
    statuses = preview_waves(
        way.visit.session,
        way.edition.id,
        day,
        at,
        past=Past.SKIP if typed["past"] == Past.SKIP else Past.SEND,
        deadline=deadline,
        now=way.visit.now,
        people=_people(way),
    )
    return by_hour(statuses, way.visit)


def _people(way: Way) -> Counter[Place]:
    """As they were counted for the approval, so that no page counts them."""
    count = way.visit.session.get(AudienceCount, way.edition.id)
    return counted_places(count) if count else Counter()


def by_hour(waves: Sequence[WaveStatus], visit: Visit) -> list[Hour]:
    """Earliest first; hours of the viewer's clock in which nobody is due are left out."""
    grouped: dict[datetime, list[WaveStatus]] = defaultdict(list)
    for wave in waves:
        if wave.people and not wave.is_sweep:
            local = wave.due_at.astimezone(visit.zone)
            grouped[local.replace(minute=0, second=0, microsecond=0)].append(wave)
    return [
        Hour(
            begins_at=hour,
            people=sum(each.people for each in held if each.exclusion is None),
            left_out=sum(each.people for each in held if each.exclusion is not None),
            zones=tuple(sorted({zone for each in held for zone in each.zones})),
            is_past=all(each.due_at < visit.now for each in held),
        )
        for hour, held in sorted(grouped.items())
    ]


def _open_slots(way: Way) -> list[OpenSlot]:
    """The coming days on which one of its lists has a slot."""
    today = way.visit.now.astimezone(rules_of(way.lists[0].zone)).date()
    days = [today + timedelta(days=number) for number in range(SLOT_DAYS)]
    return [
        OpenSlot(each, day)
        for each in way.lists
        for day in days
        if slot_on(way.visit.session, each.id, day) is not None
    ]


_SCHEDULE = "/newsroom/editions/{id}/schedule"
SCREENS = (
    Screen(_SCHEDULE, get=show, post=send, role=Role.VIEWER),
    Screen(f"{_SCHEDULE}/preview", get=preview, role=Role.VIEWER),
    Screen(f"{_SCHEDULE}/pull-back", post=pull_back, role=Role.EDITOR),
    Screen(f"{_SCHEDULE}/slot", post=fill, role=Role.EDITOR),
)
