"""The office's transports: the servers that mail leaves through, how they are, and what is held."""

from collections.abc import Mapping
from dataclasses import asdict
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import select
from starlette.responses import Response

from newsletter.accounts.roles import Role
from newsletter.audience.fields import refuse
from newsletter.deliver import holds, inspections, warm_up
from newsletter.deliver.providers import routes
from newsletter.deliver.warm_up import FIRST_CAP, FULL_CAP, GROWTH, Plan
from newsletter.errors import InputError, NotFoundError
from newsletter.models import (
    Auth,
    Carries,
    HoldScope,
    InspectionKind,
    ListTransport,
    MailingList,
    Pacing,
    Security,
    Transport,
    WarmUp,
)
from newsletter.plan.rates import Rate
from newsletter.plan.transports import (
    UNLIMITED,
    Server,
    add_transport,
    change_transport,
    lead_to,
    server_of,
)
from newsletter.report.transports import TransportStatus, past_holds, sending_status
from newsletter.web.newsroom.edits import changed, mistakes, shown_before, typed_in
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import NOT_HERE, Visit
from newsletter.words import Words

Choice = TypeVar("Choice", bound=StrEnum)

PAGE = "/office/transports"
SERVER = ("host", "port", "security", "auth", "username")
USE = ("connections", "rate", "pacing", "weight", "carries")
FIELDS = ("name", *SERVER, *USE)
PAST_SHOWN = 20
BLANK = {
    "name": "",
    "host": "",
    "port": "587",
    "security": "starttls",
    "auth": "",
    "username": "",
    "connections": "4",
    "rate": "",
    "pacing": "providers",
    "weight": "1",
    "carries": "all",
}


def index(visit: Visit) -> Response:
    visit.require(Role.ADMIN, ())
    template = "office/_transports.html" if visit.is_part else "office/transports.html"
    return visit.page(
        template,
        status_=sending_status(visit.session, now=visit.now),
        warming=set(visit.session.scalars(select(WarmUp.transport_id))),
        looks=inspections.latest(visit.session, InspectionKind.TRANSPORT),
        past=past_holds(visit.session, most=PAST_SHOWN),
        scopes=HoldScope,
    )


def show(visit: Visit) -> Response:
    transport = _transport(visit)
    lists = select(MailingList).join(ListTransport, ListTransport.list_id == MailingList.id)
    return visit.page(
        "office/transport.html",
        transport=transport,
        status_=_status(visit, transport),
        look=_look(visit, transport),
        lists=visit.session.scalars(
            lists.where(ListTransport.transport_id == transport.id).order_by(MailingList.name)
        ).all(),
        **_warm_up(visit, transport),
    )


def new_form(visit: Visit) -> Response:
    visit.require(Role.ADMIN, ())
    visit.require_fresh()
    return _form(visit, None, BLANK)


def create(visit: Visit) -> Response:
    visit.require(Role.ADMIN, ())
    visit.require_fresh()
    typed = typed_in(visit.form, FIELDS)
    password = visit.form.text("password")
    try:
        with visit.session.begin_nested():
            made = add_transport(visit.session, typed["name"], _server(typed), password=password)
            _use(visit, made, typed)
    except InputError as error:
        return _form(visit, None, typed, mistakes(error, (*FIELDS, "password")))
    visit.audit("transport added", made.name, **_open_to_see(made))
    inspections.ask_for(
        visit.session, InspectionKind.TRANSPORT, str(made.id), by=visit.by, now=visit.now
    )
    return visit.go(
        f"{PAGE}/{made.id}", "The transport {name} is there; it is being tried.", name=made.name
    )


def edit_form(visit: Visit) -> Response:
    transport = _transport(visit)
    visit.require_fresh()
    values = _written(transport)
    return _form(visit, transport, values, was=values)


def save(visit: Visit) -> Response:
    transport = _transport(visit)
    visit.require_fresh()
    before = _written(transport)
    typed = before | changed(visit.form, FIELDS) | {"name": transport.name}
    password = visit.form.text("password")
    try:
        with visit.session.begin_nested():
            lead_to(visit.session, transport, _server(typed), password=password)
            _use(visit, transport, typed)
    except InputError as error:
        wrong = mistakes(error, (*FIELDS, "password"))
        return _form(visit, transport, typed, wrong, was=shown_before(visit.form, FIELDS))
    after = _written(transport)
    difference = {
        name: {"before": before[name], "after": after[name]}
        for name in FIELDS
        if before[name] != after[name]
    }
    if password:
        difference["password"] = {"before": "another one", "after": "a new one"}
    url = f"{PAGE}/{transport.id}"
    if not difference:
        return visit.go(url, "Nothing was changed.")
    visit.audit("transport changed", transport.name, **difference)
    holds.probe_soon(visit.session, transport.id, now=visit.now)
    return visit.go(
        url, "{name} is saved. Editions that are approved keep its weight.", name=transport.name
    )


def test(visit: Visit) -> Response:
    """By a worker: it sees the server from where mail leaves."""
    transport = _transport(visit)
    visit.require_fresh()
    inspections.ask_for(
        visit.session, InspectionKind.TRANSPORT, str(transport.id), by=visit.by, now=visit.now
    )
    visit.audit("transport tested", transport.name, host=transport.host, port=transport.port)
    return visit.go(f"{PAGE}/{transport.id}")


def look(visit: Visit) -> Response:
    transport = _transport(visit)
    return visit.page(
        "office/_inspection.html",
        look=_look(visit, transport),
        url=f"{PAGE}/{transport.id}/look",
    )


def hold(visit: Visit) -> Response:
    transport = _transport(visit)
    if holds.hold_transport(visit.session, transport.id, by=visit.by, now=visit.now):
        visit.audit("transport held", transport.name)
    notice = Words("Nothing leaves through {name} until somebody lets it.", name=transport.name)
    return visit.go(f"{PAGE}/{transport.id}", notice)


def let_go(visit: Visit) -> Response:
    transport = _transport(visit)
    if holds.lift_transport(visit.session, transport.id, by=visit.by, now=visit.now):
        visit.audit("transport let go", transport.name)
    return visit.go(
        f"{PAGE}/{transport.id}", "Mail leaves through {name} again.", name=transport.name
    )


def lift(visit: Visit) -> Response:
    """One hold, whatever it is of."""
    visit.require(Role.ADMIN, ())
    lifted = holds.lift(visit.session, visit.number("id"), by=visit.by, now=visit.now)
    what = f"{lifted.scope.value.replace('_', ' ')} {lifted.key}"
    visit.audit("hold lifted", what, rule=lifted.rule, reason=lifted.reason)
    return visit.go(PAGE, "It is let go; what waited for it is sent.")


def begin_warm_up(visit: Visit) -> Response:
    transport = _transport(visit)
    plan = Plan(
        _whole(visit, "first", Words("the messages of the first day")),
        _growth(visit),
        _whole(visit, "full", Words("the last limit")),
    )
    warm_up.start(visit.session, transport.id, plan, now=visit.now)
    visit.audit("warm-up begun", transport.name, **asdict(plan))
    notice = Words(
        "{name} begins with {first_cap} messages a day and provider.",
        name=transport.name,
        first_cap=plan.first_cap,
    )
    return visit.go(f"{PAGE}/{transport.id}", notice)


def end_warm_up(visit: Visit) -> Response:
    transport = _transport(visit)
    warm_up.stop(visit.session, transport.id)
    visit.audit("warm-up ended", transport.name)
    return visit.go(
        f"{PAGE}/{transport.id}", "{name} has no daily limits any more.", name=transport.name
    )


def _transport(visit: Visit) -> Transport:
    visit.require(Role.ADMIN, ())
    found = visit.session.get(Transport, visit.number("id"))
    if found is None:
        raise NotFoundError(NOT_HERE)
    return found


def _status(visit: Visit, transport: Transport) -> TransportStatus:
    status = sending_status(visit.session, now=visit.now)
    return next(each for each in status.transports if each.id == transport.id)


def _look(visit: Visit, transport: Transport) -> object:
    kept = inspections.latest(visit.session, InspectionKind.TRANSPORT)
    return kept.get(str(transport.id))


def _warm_up(visit: Visit, transport: Transport) -> dict[str, Any]:
    plan = visit.session.get(WarmUp, transport.id)
    progress = []
    if plan is not None:
        progress = warm_up.progress(visit.session, transport.id, now=visit.now)
    return {
        "plan": plan,
        "progress": progress,
        "providers": {number: each.name for number, each in routes(visit.session).items()},
        "usual": Plan(FIRST_CAP, GROWTH, FULL_CAP),
        "usual_days": len(warm_up.caps(Plan())),
    }


def _form(
    visit: Visit,
    transport: Transport | None,
    values: Mapping[str, str],
    wrong: Mapping[str, str] | None = None,
    *,
    was: Mapping[str, str] | None = None,
) -> Response:
    return visit.page(
        "office/transport_form.html",
        status=422 if wrong else 200,
        transport=transport,
        values=values,
        wrong=wrong or {},
        was=was or {},
        has_password=transport is not None and transport.sealed_password is not None,
    )


def _written(transport: Transport) -> dict[str, str]:
    """The fields as the form has them; the password is in none."""
    server = server_of(transport)
    return {
        "name": transport.name,
        "host": server.host,
        "port": str(server.port),
        "security": server.security.value,
        "auth": server.auth.value if server.auth else "",
        "username": server.username,
        "connections": str(transport.connections),
        "rate": transport.rate or "",
        "pacing": transport.pacing.value,
        "weight": str(transport.weight),
        "carries": transport.carries.value,
    }


def _open_to_see(transport: Transport) -> dict[str, str]:
    return {name: value for name, value in _written(transport).items() if name != "name"}


def _server(typed: Mapping[str, str]) -> Server:
    return Server(
        host=typed["host"],
        port=_number(typed, "port"),
        security=_one_of(Security, typed, "security"),
        auth=_one_of(Auth, typed, "auth") if typed["auth"] else None,
        username=typed["username"],
    )


def _use(visit: Visit, transport: Transport, typed: Mapping[str, str]) -> None:
    change_transport(
        visit.session,
        transport.name,
        connections=_number(typed, "connections"),
        pacing=_one_of(Pacing, typed, "pacing"),
        rate=_rate(typed["rate"]),
        weight=_number(typed, "weight"),
        carries=_one_of(Carries, typed, "carries"),
    )


def _rate(text: str) -> str:
    try:
        return str(Rate.parse(text)) if text else UNLIMITED
    except InputError:
        refuse("rate", "write it like 100/s, 600/min or 5000/h, or nothing")


def _number(typed: Mapping[str, str], name: str) -> int:
    text = typed[name]
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        refuse(name, "write a whole number")
    return int(text)


def _one_of(kind: type[Choice], typed: Mapping[str, str], name: str) -> Choice:
    if typed[name] not in {each.value for each in kind}:
        refuse(name, "choose one of the list")
    return kind(typed[name])


def _whole(visit: Visit, name: str, words: Words) -> int:
    number = visit.form.number(name)
    if number is None:
        raise InputError("Write {text} as a whole number.", text=words)
    return number


def _growth(visit: Visit) -> float:
    try:
        return float(visit.form.get("growth"))
    except ValueError as error:
        raise InputError("Write the growth as a number, like 1.5.") from error


SCREENS = (
    Screen(PAGE, get=index, role=Role.ADMIN),
    Screen("/office/new-transport", get=new_form, post=create, role=Role.ADMIN),
    Screen("/office/holds/{id}/lift", post=lift, role=Role.ADMIN),
    Screen(PAGE + "/{id}", get=show, role=Role.ADMIN),
    Screen(PAGE + "/{id}/edit", get=edit_form, post=save, role=Role.ADMIN),
    Screen(PAGE + "/{id}/test", post=test, role=Role.ADMIN),
    Screen(PAGE + "/{id}/look", get=look, role=Role.ADMIN),
    Screen(PAGE + "/{id}/hold", post=hold, role=Role.ADMIN),
    Screen(PAGE + "/{id}/let-go", post=let_go, role=Role.ADMIN),
    Screen(PAGE + "/{id}/warm-up", post=begin_warm_up, role=Role.ADMIN),
    Screen(PAGE + "/{id}/warm-up/end", post=end_warm_up, role=Role.ADMIN),
)
