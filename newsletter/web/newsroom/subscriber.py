"""One subscriber: lists, profile, history and mail, and what an admin does with them."""

from collections.abc import Mapping
from typing import IO, Any, cast

from starlette.responses import Response

from newsletter.accounts.roles import Role
from newsletter.addresses import parse_address
from newsletter.audience.attributes import all_attributes
from newsletter.audience.consent import remove_from_list
from newsletter.audience.detail import Membership, SubscriberDetail, subscriber_detail
from newsletter.audience.invitations import invite
from newsletter.audience.mail_history import mail_history
from newsletter.audience.narrowing import narrow
from newsletter.audience.privacy import erase, personal_data
from newsletter.audience.sections import sections_of, set_hidden_sections
from newsletter.audience.signup_mail import Links
from newsletter.audience.subscribers import SubscriberChanges, edit_subscriber
from newsletter.audience.suppression import suppress
from newsletter.audience.suppression_lifting import ONLY_BY_THEMSELVES, lift
from newsletter.audience.tags import read_tags, set_tags
from newsletter.audience.zones import zone_choices
from newsletter.db import GREATEST_LONG_KEY
from newsletter.errors import AddressError, InputError, NotFoundError
from newsletter.models import (
    EVERYWHERE,
    Attribute,
    ListSection,
    SubscriptionStatus,
    SuppressionReason,
)
from newsletter.report.personal_data import write_archive
from newsletter.web.api.files import download
from newsletter.web.newsroom.edits import changed, mistakes, sentence, shown_before, typed_in
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.subscribers import (
    consented,
    list_called,
    origin_of,
    own_lists,
)
from newsletter.web.newsroom.visit import NOT_HERE, Visit
from newsletter.words import Words

FIELDS = ("address", "name", "language", "zone", "delivery_time", "break_until", "tags")
ATTRIBUTE = "attribute-"
DELIVERIES_ON_A_PAGE = 20


def show(visit: Visit) -> Response:
    return _overview(visit, _detail(visit))


def profile_form(visit: Visit) -> Response:
    detail = _detail(visit)
    written = _written(visit, detail)
    return _profile(visit, detail, written, was=written)


def save_profile(visit: Visit) -> Response:
    detail = _detail(visit)
    number = detail.person.id
    names = tuple(_written(visit, detail))
    changes = changed(visit.form, names)
    if "address" in changes:
        visit.require(Role.ADMIN, ())
    try:
        with visit.session.begin_nested():
            _apply(visit, number, changes)
    except InputError as error:
        was = shown_before(visit.form, names)
        typed = typed_in(visit.form, names)
        return _profile(visit, detail, typed, _mistakes(error, names), was=was)
    if changes:
        # Which, and not what: the log outlives the person's erasure, their own history does not.
        visit.audit("subscriber changed", f"subscriber {number}", fields=sorted(changes))
    return visit.go(_url(number), Words("Saved.") if changes else Words("Nothing was changed."))


def history(visit: Visit) -> Response:
    return visit.page("office/subscriber_history.html", **_shared(visit, _detail(visit)))


def mail(visit: Visit) -> Response:
    detail = _detail(visit)
    page = mail_history(
        visit.session,
        detail.person.id,
        list_ids=own_lists(visit),
        before=visit.query_number("before"),
        limit=DELIVERIES_ON_A_PAGE,
    )
    return visit.page("office/subscriber_mail.html", mail=page, **_shared(visit, detail))


def join(visit: Visit) -> Response:
    detail = _detail(visit)
    mailing_list = list_called(visit, visit.form.get("list"))
    status = consented(visit, detail.person, mailing_list, visit.form.get("consent"))
    is_confirmed = status is SubscriptionStatus.CONFIRMED
    notice = (
        Words("On “{list}” now.", list=mailing_list.name)
        if is_confirmed
        else Words("On “{list}” now, but not confirmed.", list=mailing_list.name)
    )
    return visit.go(_url(detail.person.id), notice)


def leave(visit: Visit) -> Response:
    detail = _detail(visit)
    mailing_list = _membership(visit, detail).mailing_list
    remove_from_list(
        visit.session, detail.person, mailing_list, origin=origin_of(visit), now=visit.now
    )
    visit.audit("unsubscribed", f"subscriber {detail.person.id}", list=mailing_list.slug)
    return visit.go(_url(detail.person.id), "No longer on “{list}”.", list=mailing_list.name)


def hide_sections(visit: Visit) -> Response:
    detail = _detail(visit)
    mailing_list = _membership(visit, detail).mailing_list
    hidden = visit.form.every("hidden")
    set_hidden_sections(
        visit.session,
        mailing_list,
        detail.person.id,
        hidden,
        origin=origin_of(visit),
        now=visit.now,
    )
    visit.audit("sections hidden", f"subscriber {detail.person.id}", list=mailing_list.slug)
    return visit.go(
        _url(detail.person.id), "The sections of “{list}” are saved.", list=mailing_list.name
    )


def stop_mail(visit: Visit) -> Response:
    detail = _detail(visit)
    list_id, where = _scope(visit, visit.form.get("list"))
    suppress(
        visit.session,
        detail.person.address_hash,
        reason=SuppressionReason.ON_REQUEST,
        source=f"office, {visit.by}",
        list_id=list_id,
        now=visit.now,
    )
    visit.audit("suppressed", f"subscriber {detail.person.id}", where=where)
    return visit.go(
        _url(detail.person.id), "No mail goes to this address any more: {where}.", where=where
    )


def mail_again(visit: Visit) -> Response:
    detail = _detail(visit)
    list_id, where = _scope(visit, visit.form.get("list"))
    why = visit.form.get("why")
    address = parse_address(detail.person.address)
    lift(visit.session, address, list_id=list_id, by=visit.by, why=why, now=visit.now)
    visit.audit("suppression lifted", f"subscriber {detail.person.id}", where=where, why=why)
    return visit.go(
        _url(detail.person.id), "Mail may go to this address again: {where}.", where=where
    )


def ask(visit: Visit) -> Response:
    detail = _detail(visit)
    mailing_list = list_called(visit, visit.form.get("list"))
    invite(
        visit.session,
        detail.person.address,
        mailing_list,
        reason=visit.form.get("reason"),
        origin=origin_of(visit),
        links=Links.of(visit.settings),
        now=visit.now,
    )
    visit.audit("invited", f"subscriber {detail.person.id}", list=mailing_list.slug)
    notice = Words(
        "One invitation to “{list}” is on its way; only its button subscribes.",
        list=mailing_list.name,
    )
    return visit.go(_url(detail.person.id), notice)


def hand_over(visit: Visit) -> Response:
    """All that is known of them, as JSON and as tables (GDPR articles 15 and 20)."""
    visit.require(Role.ADMIN, ())
    number = _detail(visit).person.id
    data = personal_data(visit.session, number)
    visit.audit("personal data exported", f"subscriber {number}")

    def write(file: IO[bytes]) -> None:
        write_archive(data, file, now=visit.now)

    return download(write, media_type="application/zip", name=f"subscriber-{number}.zip")


def erase_form(visit: Visit) -> Response:
    visit.require(Role.ADMIN, ())
    visit.require_fresh()
    return _erasure(visit, _detail(visit))


def forget(visit: Visit) -> Response:
    visit.require(Role.ADMIN, ())
    visit.require_fresh()
    detail = _detail(visit)
    if not _is_the_address(visit.form.get("address"), detail):
        return _erasure(
            visit, detail, Words("That is not the address of this person; type it as above.")
        )
    erased = erase(visit.session, detail.person.id, source=f"office, {visit.by}", now=visit.now)
    visit.audit("subscriber erased", f"subscriber {erased.subscriber_id}")
    notice = Words(
        "Subscriber {number} is forgotten, and never mailed again.", number=erased.subscriber_id
    )
    if erased.open_imports:
        numbers = ", ".join(map(str, erased.open_imports))
        notice = notice.then(
            "Import {numbers} still holds its file, which may name them: end it.", numbers=numbers
        )
    return visit.go("/office/subscribers", notice)


def _detail(visit: Visit) -> SubscriberDetail:
    """Of somebody with certain lists only what concerns these (S-09)."""
    own = own_lists(visit)
    try:
        detail = subscriber_detail(visit.session, visit.number("id", greatest=GREATEST_LONG_KEY))
        return detail if own is None else narrow(visit.session, detail, own)
    except NotFoundError as error:
        raise NotFoundError(NOT_HERE) from error


def _membership(visit: Visit, detail: SubscriberDetail) -> Membership:
    for each in detail.memberships:
        if each.mailing_list.slug == visit.path["slug"]:
            return each
    raise NotFoundError(NOT_HERE)


def _scope(visit: Visit, slug: str) -> tuple[int, str]:
    """The list that a suppression is for, and its name; without a slug, all of them."""
    if not slug:
        visit.require(Role.ADMIN, ())
        return EVERYWHERE, Words("every list")
    mailing_list = list_called(visit, slug)
    return mailing_list.id, mailing_list.name


def _shared(visit: Visit, detail: SubscriberDetail) -> dict[str, Any]:
    return {"detail": detail, "person": detail.person, "may_all": visit.may(Role.ADMIN, ())}


def _overview(visit: Visit, detail: SubscriberDetail) -> Response:
    lists = visit.lists(Role.ADMIN)
    on = {each.mailing_list.id for each in detail.memberships}
    return visit.page(
        "office/subscriber.html",
        sections=_sections(visit, detail),
        other_lists=[each for each in lists if each.id not in on and each.retired_at is None],
        lists=[each for each in lists if each.retired_at is None],
        names={each.id: each.name for each in lists},
        slugs={each.id: each.slug for each in lists},
        only_themselves=ONLY_BY_THEMSELVES,
        everywhere=EVERYWHERE,
        **_shared(visit, detail),
    )


def _sections(visit: Visit, detail: SubscriberDetail) -> dict[int, list[ListSection]]:
    """By list those that a reader may hide."""
    return {
        each.mailing_list.id: [
            section
            for section in sections_of(visit.session, each.mailing_list.id)
            if not section.is_pinned
        ]
        for each in detail.memberships
    }


def _profile(
    visit: Visit,
    detail: SubscriberDetail,
    values: Mapping[str, str],
    wrong: Mapping[str, str] | None = None,
    *,
    was: Mapping[str, str],
) -> Response:
    zones = sorted({*zone_choices(), *filter(None, [values["zone"]])})
    return visit.page(
        "office/subscriber_profile.html",
        status=422 if wrong else 200,
        values=values,
        was=was,
        wrong=wrong or {},
        zones=[("", "not known"), *((name, name) for name in zones)],
        attributes=_attributes(visit, detail),
        **_shared(visit, detail),
    )


def _attributes(visit: Visit, detail: SubscriberDetail) -> list[Attribute]:
    return [
        each
        for each in all_attributes(visit.session)
        if each.retired_at is None or each.key in detail.person.attributes
    ]


def _written(visit: Visit, detail: SubscriberDetail) -> dict[str, str]:
    """The fields as the form has them."""
    fields = detail.fields
    written = {
        "address": fields["address"],
        "name": fields.get("name", ""),
        "language": fields.get("language", ""),
        "zone": fields.get("zone", ""),
        "delivery_time": fields.get("delivery time", ""),
        "break_until": fields.get("break until", ""),
        "tags": ", ".join(detail.tags),
    }
    for each in _attributes(visit, detail):
        written[ATTRIBUTE + each.key] = fields.get(f"attribute {each.key}", "")
    return written


def _apply(visit: Visit, number: int, changes: Mapping[str, str]) -> None:
    fields: dict[str, Any] = {
        name: text
        for name, text in changes.items()
        if name != "tags" and not name.startswith(ATTRIBUTE)
    }
    attributes = {
        name.removeprefix(ATTRIBUTE): text
        for name, text in changes.items()
        if name.startswith(ATTRIBUTE)
    }
    if attributes:
        fields["attributes"] = attributes
    origin = origin_of(visit)
    if fields:
        wanted = cast("SubscriberChanges", fields)
        edit_subscriber(visit.session, number, wanted, origin=origin, now=visit.now)
    if "tags" in changes:
        tags = read_tags(changes["tags"])
        set_tags(visit.session, number, tags, origin=origin, now=visit.now)


def _mistakes(error: InputError, names: tuple[str, ...]) -> Mapping[str, str]:
    """As `mistakes`; an attribute's are named `attribute team`, and its field `attribute-team`."""
    name = (error.field or "").replace("attribute ", ATTRIBUTE, 1)
    if name.startswith(ATTRIBUTE) and name in names:
        return {name: sentence(error)}
    return mistakes(error, names)


def _erasure(visit: Visit, detail: SubscriberDetail, wrong: str = "") -> Response:
    return visit.page(
        "office/subscriber_erase.html",
        status=422 if wrong else 200,
        wrong=wrong,
        **_shared(visit, detail),
    )


def _is_the_address(text: str, detail: SubscriberDetail) -> bool:
    try:
        return parse_address(text).key == detail.person.address_key
    except AddressError:
        return False


def _url(number: int) -> str:
    return f"/office/subscribers/{number}"


SCREENS = (
    Screen("/office/subscribers/{id}", get=show, role=Role.ADMIN),
    Screen(
        "/office/subscribers/{id}/profile", get=profile_form, post=save_profile, role=Role.ADMIN
    ),
    Screen("/office/subscribers/{id}/history", get=history, role=Role.ADMIN),
    Screen("/office/subscribers/{id}/mail", get=mail, role=Role.ADMIN),
    Screen("/office/subscribers/{id}/data", post=hand_over, role=Role.ADMIN),
    Screen("/office/subscribers/{id}/join", post=join, role=Role.ADMIN),
    Screen("/office/subscribers/{id}/suppress", post=stop_mail, role=Role.ADMIN),
    Screen("/office/subscribers/{id}/lift", post=mail_again, role=Role.ADMIN),
    Screen("/office/subscribers/{id}/invite", post=ask, role=Role.ADMIN),
    Screen("/office/subscribers/{id}/erase", get=erase_form, post=forget, role=Role.ADMIN),
    Screen("/office/subscribers/{id}/lists/{slug}/leave", post=leave, role=Role.ADMIN),
    Screen("/office/subscribers/{id}/lists/{slug}/sections", post=hide_sections, role=Role.ADMIN),
)
