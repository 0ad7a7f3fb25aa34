"""The daily slots of a list, what fills them in the coming days, and where its alarms go."""

from collections.abc import Sequence
from datetime import date, time, timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from newsletter.accounts.roles import Role
from newsletter.errors import InputError, NotFoundError
from newsletter.models import MailingList, Slot
from newsletter.plan.alarm_calls import (
    find_target,
    recent_calls,
    remove_target,
    renew_secret,
    set_target,
    try_out,
)
from newsletter.plan.alarms import alarms_of
from newsletter.plan.inbox import open_drafts
from newsletter.plan.slot_days import coming_days, holidays_of, slots_of
from newsletter.plan.slots import (
    DAYS,
    NewSlot,
    fill_slot,
    get_slot,
    remove_slot,
    set_slot,
    take_day_off,
    work_that_day,
)
from newsletter.web.newsroom.pages import said, translated
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import NOT_HERE, Visit
from newsletter.words import Words

MOST_SHOWN = 8
OWN_ZONE = ""
"""Each reader's own."""
SOON = timedelta(hours=24)
"""A slot that nothing fills is shown as a warning from then on."""
LENGTHS = (0, 5, 10, 15, 30, 45, 60, 90, 120, 180, 240, 360, 480, 720, 1440)


def slots(visit: Visit) -> Response:
    lists = visit.lists_in_use(Role.VIEWER)
    slug = visit.query("list")
    mailing_list = next((each for each in lists if not slug or each.slug == slug), None)
    if mailing_list is None and slug:
        raise NotFoundError(NOT_HERE)
    if mailing_list is None:
        return visit.page("slots/no_list.html")
    return _page(visit, mailing_list)


def keep(visit: Visit) -> Response:
    mailing_list = _posted_list(visit, Role.EDITOR)
    try:
        slot = set_slot(visit.session, mailing_list.id, _typed_slot(visit), now=visit.now)
    except InputError as error:
        return _page(visit, mailing_list, wrong=said(error), typed=_typed(visit))
    visit.audit("slot set", mailing_list.slug, slot_id=slot.id, at=f"{slot.at:%H:%M}")
    return visit.go(_url(mailing_list), "The slot is set.")


def remove(visit: Visit) -> Response:
    slot, mailing_list = _slot(visit)
    remove_slot(visit.session, slot.id)
    visit.audit("slot removed", mailing_list.slug, slot_id=slot.id)
    return visit.go(
        _url(mailing_list), "The slot is removed; editions that are scheduled stay scheduled."
    )


def take_off(visit: Visit) -> Response:
    slot, mailing_list = _slot(visit)
    day = _day(visit)
    take_day_off(visit.session, slot.id, day)
    visit.audit("slot day off", mailing_list.slug, slot_id=slot.id, day=str(day))
    return visit.go(
        _url(mailing_list), "Nothing is due on {day:%A}, {day}; no alarm will come.", day=day
    )


def work(visit: Visit) -> Response:
    slot, mailing_list = _slot(visit)
    day = _day(visit)
    work_that_day(visit.session, slot.id, day)
    visit.audit("slot day on", mailing_list.slug, slot_id=slot.id, day=str(day))
    return visit.go(_url(mailing_list), "{day:%A}, {day}, has its slot again.", day=day)


def fill(visit: Visit) -> Response:
    slot, mailing_list = _slot(visit)
    edition_id = visit.form.number("edition")
    if edition_id is None:
        raise InputError("Choose an edition that fills the slot.")
    day = _day(visit)
    visit.edition_numbered(edition_id, Role.EDITOR)
    fill_slot(visit.session, mailing_list, day, edition_id, now=visit.now)
    visit.audit("slot filled", mailing_list.slug, slot_id=slot.id, edition_id=edition_id)
    notice = Words(
        "Edition {edition} fills {day:%A}; it is scheduled as soon as it is approved.",
        edition=edition_id,
        day=day,
    )
    return visit.go(_url(mailing_list), notice)


def keep_target(visit: Visit) -> Response:
    mailing_list = _posted_list(visit, Role.ADMIN)
    url = visit.form.get("url")
    try:
        _, secret = set_target(visit.session, mailing_list.id, url, by=visit.by, now=visit.now)
    except InputError as error:
        return _page(visit, mailing_list, target_wrong=said(error), target_typed=url)
    visit.audit("alarm address set", mailing_list.slug, url=url)
    if secret is None:
        return visit.go(_url(mailing_list), "Alarms are posted to the new address from now on.")
    return _page(visit, mailing_list, secret=secret)


def renew(visit: Visit) -> Response:
    mailing_list = _posted_list(visit, Role.ADMIN)
    secret = renew_secret(visit.session, mailing_list.id)
    visit.audit("alarm secret renewed", mailing_list.slug)
    return _page(visit, mailing_list, secret=secret)


def drop_target(visit: Visit) -> Response:
    mailing_list = _posted_list(visit, Role.ADMIN)
    remove_target(visit.session, mailing_list.id)
    visit.audit("alarm address removed", mailing_list.slug)
    return visit.go(_url(mailing_list), "Alarms go to the desk's mail alone from now on.")


def try_target(visit: Visit) -> Response:
    mailing_list = _posted_list(visit, Role.ADMIN)
    try_out(visit.session, mailing_list, by=visit.by, now=visit.now)
    notice = Words("A test is on its way; reload the page in a moment to see the answer.")
    return visit.go(f"{_url(mailing_list)}#alarms", notice)


def _page(visit: Visit, mailing_list: MailingList, **more: Any) -> Response:
    session, within = visit.session, visit.identity.list_ids
    found = slots_of(session, mailing_list.id)
    is_wrong = "wrong" in more or "target_wrong" in more
    context = {
        "wrong": None,
        "typed": _blank(found, mailing_list),
        "secret": None,
        "target_wrong": None,
        "target_typed": None,
        **more,
    }
    return visit.page(
        "slots/slots.html",
        status=422 if is_wrong else 200,
        mailing_list=mailing_list,
        lists=visit.lists_in_use(Role.VIEWER),
        slots=found,
        names=[_day_names(slot.weekdays) for slot in found],
        holidays=holidays_of(session, found, since=visit.now.date()),
        days=coming_days(session, mailing_list, within=within, now=visit.now),
        soon=visit.now + SOON,
        drafts=open_drafts(session, mailing_list.id, within=within),
        weekdays=DAYS,
        lengths=[(minutes, _length(minutes)) for minutes in LENGTHS],
        length=_length,
        target=find_target(session, mailing_list.id),
        calls=recent_calls(session, mailing_list.id, most=MOST_SHOWN),
        alarms=alarms_of(session, mailing_list.id, most=MOST_SHOWN),
        desk=visit.settings.desk_addresses,
        may_edit=visit.may(Role.EDITOR, [mailing_list.id]),
        may_aim=visit.may(Role.ADMIN, [mailing_list.id]),
        **context,
    )


def _posted_list(visit: Visit, role: Role) -> MailingList:
    slug = visit.form.get("list")
    found = next((each for each in visit.lists_in_use(Role.VIEWER) if each.slug == slug), None)
    if found is None:
        raise NotFoundError(NOT_HERE)
    visit.require(role, [found.id])
    return found


def _slot(visit: Visit) -> tuple[Slot, MailingList]:
    slot = get_slot(visit.session, visit.number("id"))
    visit.require(Role.EDITOR, [slot.list_id])
    return slot, visit.session.get_one(MailingList, slot.list_id)


def _day(visit: Visit) -> date:
    try:
        return date.fromisoformat(visit.form.get("day"))
    except ValueError as error:
        raise InputError("Choose a day.") from error


def _typed_slot(visit: Visit) -> NewSlot:
    form = visit.form
    days = frozenset(DAYS.index(each) for each in form.every("days") if each in DAYS)
    if not days:
        raise InputError("Choose one weekday at least.")
    try:
        at = time.fromisoformat(form.get("at"))
    except ValueError as error:
        raise InputError("Write the time as 07:00.") from error
    return NewSlot(
        weekdays=days,
        at=at,
        zone=form.get("zone") or None,
        deadline=_minutes(visit, "deadline"),
        ready=_minutes(visit, "ready"),
        alarm=_minutes(visit, "alarm"),
    )


def _minutes(visit: Visit, name: str) -> timedelta:
    minutes = visit.form.number(name)
    return timedelta(minutes=-1 if minutes is None or minutes > LENGTHS[-1] else minutes)


def _typed(visit: Visit) -> dict[str, Any]:
    form = visit.form
    names = ("at", "zone", "deadline", "ready", "alarm")
    return {"days": form.every("days"), **{name: form.get(name) for name in names}}


def _blank(found: Sequence[Slot], mailing_list: MailingList) -> dict[str, Any]:
    """What the form proposes: the weekdays that have no slot yet, at the list's usual time."""
    taken = sum(slot.weekdays for slot in found)
    free = [name for number, name in enumerate(DAYS[:5]) if not taken >> number & 1]
    usual = mailing_list.send_time or time(7)
    return {
        "days": free,
        "at": f"{usual:%H:%M}",
        "zone": OWN_ZONE,
        "deadline": 240,
        "ready": 60,
        "alarm": 15,
    }


def _day_names(weekdays: int) -> str:
    """`Mon–Fri`, `Sat, Sun`."""
    numbers = [number for number in range(7) if weekdays >> number & 1]
    names = [DAYS[number].title() for number in numbers]
    if len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"{names[0]}–{names[-1]}"
    return ", ".join(names)


def _length(minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    parts = [Words("{count} h", count=hours)] if hours else []
    parts += [Words("{count} min", count=rest)] if rest or not hours else []
    return " ".join(map(translated, parts))


def _url(mailing_list: MailingList) -> str:
    return f"/newsroom/slots?{urlencode({'list': mailing_list.slug})}"


SCREENS = (
    Screen("/newsroom/slots", get=slots, post=keep, role=Role.VIEWER),
    Screen("/newsroom/slots/alarms", post=keep_target, role=Role.ADMIN),
    Screen("/newsroom/slots/alarms/secret", post=renew, role=Role.ADMIN),
    Screen("/newsroom/slots/alarms/remove", post=drop_target, role=Role.ADMIN),
    Screen("/newsroom/slots/alarms/try", post=try_target, role=Role.ADMIN),
    Screen("/newsroom/slots/{id}/remove", post=remove, role=Role.EDITOR),
    Screen("/newsroom/slots/{id}/day-off", post=take_off, role=Role.EDITOR),
    Screen("/newsroom/slots/{id}/day-on", post=work, role=Role.EDITOR),
    Screen("/newsroom/slots/{id}/fill", post=fill, role=Role.EDITOR),
)
