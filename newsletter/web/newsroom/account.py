"""One's own account: name and zone, password, second factors, and where one is signed in."""

import io

import segno
from starlette.responses import Response

from newsletter.accounts import second_factors
from newsletter.accounts.installation import installation_settings
from newsletter.accounts.passkeys import (
    drop_passkey,
    passkeys_of,
    register_passkey,
    registration_options,
)
from newsletter.accounts.people import read_name, read_time_zone, rights_of, set_password
from newsletter.accounts.sessions import (
    SET_UP_SECOND,
    end_session,
    end_sessions_of,
    has_second_factor,
    sessions_of,
)
from newsletter.accounts.signing_in import (
    Refused,
    confirm_with_passkey,
    confirm_with_password,
    enter_again,
    finish,
)
from newsletter.audience.lists import all_lists
from newsletter.audience.zones import zone_choices
from newsletter.errors import ForbiddenError, InputError, NotFoundError
from newsletter.models import Account
from newsletter.web.newsroom.account_mail import post_account_notice
from newsletter.web.newsroom.edits import by_field
from newsletter.web.newsroom.next_page import next_page
from newsletter.web.newsroom.pages import translated
from newsletter.web.newsroom.passkey_forms import (
    ask_for_passkey,
    browser_of,
    optional_party,
    party,
    shown_passkey,
    take_in,
)
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.user_agents import browser_name
from newsletter.web.newsroom.visit import Visit
from newsletter.words import Words

PAGE = "/account"
QR_SCALE = 5
SHOW_FIRST = Words("Show your second factor first.")


def account(visit: Visit) -> Response:
    own = _own(visit)
    return _account(visit, {"name": own.name, "zone": own.time_zone})


def change_profile(visit: Visit) -> Response:
    own = _own(visit)
    given = {"name": visit.form.get("name"), "zone": visit.form.get("zone")}
    try:
        name, zone = read_name(given["name"]), read_time_zone(given["zone"])
    except InputError as error:
        return _account(visit, given, error)
    before = {"name": own.name, "time_zone": own.time_zone}
    own.name, own.time_zone = name, zone
    visit.audit("profile changed", before=before, after={"name": name, "time_zone": zone})
    return visit.go(PAGE, "Your name and time zone are saved.")


def choose_mail(visit: Visit) -> Response:
    own = _own(visit)
    own.wants_review_mail = visit.form.has("review_mail")
    visit.audit("review mail chosen", wanted=own.wants_review_mail)
    if own.wants_review_mail:
        return visit.go(PAGE, "You are mailed when a review is asked of you, or yours has ended.")
    return visit.go(PAGE, "You get no mail about reviews any more.")


def password(visit: Visit) -> Response:
    return visit.page("account/password.html", account=_own(visit), refused=None, error=None)


def change_password(visit: Visit) -> Response:
    assert visit.signed_in is not None
    own = _own(visit)
    refused = confirm_with_password(
        visit.session,
        visit.signed_in,
        visit.form.text("current"),
        browser=browser_of(visit),
        now=visit.now,
    )
    error = None
    if refused is None:
        try:
            set_password(visit.session, own, visit.form.text("password"), now=visit.now)
        except InputError as mistake:
            error = mistake
    if refused is not None or error is not None:
        return visit.page(
            "account/password.html",
            status=422,
            account=own,
            refused=refused,
            error=error and translated(error.words),
        )
    visit.audit("password changed")
    post_account_notice(visit.session, own, "Your password was changed.", now=visit.now)
    take_in(visit, enter_again(visit.session, own, browser=browser_of(visit), now=visit.now))
    return visit.go(PAGE, "Your new password is set. Other browsers are signed out.")


def second_factor(visit: Visit) -> Response:
    _require_second_factor_rights(visit)
    own = _own(visit)
    return visit.page(
        "account/second_factor.html",
        account=own,
        is_set_up_now=_sets_up(visit),
        is_needed=second_factors.must_have_second_factor(visit.session, own),
        passkeys=passkeys_of(visit.session, own.id),
        has_passkeys=optional_party(visit) is not None,
        codes_left=second_factors.recovery_codes_left(visit.session, own.id),
    )


def begin_app(visit: Visit) -> Response:
    _require_second_factor_rights(visit)
    second_factors.begin_totp(visit.session, _own(visit))
    return visit.go("/account/app")


def app(visit: Visit) -> Response:
    _require_second_factor_rights(visit)
    return _app(visit)


def app_picture(visit: Visit) -> Response:
    """The QR code, an address of its own since pages carry no picture within them."""
    _require_second_factor_rights(visit)
    own = _own(visit)
    _refuse_when_confirmed(own)
    issuer = installation_settings(visit.session).name
    picture = io.BytesIO()
    code = segno.make(second_factors.totp_uri(own, issuer=issuer), error="m", micro=False)
    code.save(picture, kind="svg", scale=QR_SCALE, light="#ffffff", border=4)
    return Response(picture.getvalue(), media_type="image/svg+xml")


def confirm_app(visit: Visit) -> Response:
    _require_second_factor_rights(visit)
    own = _own(visit)
    code = visit.form.get("code")
    if not second_factors.confirm_totp(visit.session, own, code, now=visit.now):
        return _app(visit, is_wrong=True)
    visit.audit("authenticator app added")
    return _added(visit, own, Words("An authenticator app was added to your account."))


def drop_app(visit: Visit) -> Response:
    _require_second_factor_rights(visit)
    own = _own(visit)
    second_factors.drop_totp(visit.session, own)
    visit.audit("authenticator app removed")
    _tell(visit, own, "The authenticator app of your account was removed.")
    return visit.go(SET_UP_SECOND, "The app's codes are not asked for any more.")


def new_codes(visit: Visit) -> Response:
    _require_second_factor_rights(visit)
    own = _own(visit)
    if not has_second_factor(visit.session, own):
        raise ForbiddenError(SHOW_FIRST)
    visit.audit("recovery codes made")
    _tell(visit, own, "New recovery codes were made for your account.")
    return _codes(visit, own)


def ask_new_passkey(visit: Visit) -> Response:
    _require_second_factor_rights(visit)
    asked = registration_options(
        visit.session, _own(visit), party(visit), holder=visit.csrf, now=visit.now
    )
    return Response(asked, media_type="application/json")


def add_passkey(visit: Visit) -> Response:
    _require_second_factor_rights(visit)
    own = _own(visit)
    added = register_passkey(
        visit.session,
        own,
        visit.form.get("credential"),
        name=visit.form.get("name") or browser_name(browser_of(visit).user_agent),
        party=party(visit),
        holder=visit.csrf,
        now=visit.now,
    )
    visit.audit("passkey added", added.name)
    return _added(
        visit, own, Words("The passkey “{name}” was added to your account.", name=added.name)
    )


def remove_passkey(visit: Visit) -> Response:
    _require_second_factor_rights(visit)
    own = _own(visit)
    gone = drop_passkey(visit.session, own, visit.number("id"))
    visit.audit("passkey removed", gone.name)
    _tell(visit, own, f"The passkey “{gone.name}” of your account was removed.")
    return visit.go(SET_UP_SECOND, "“{name}” signs nobody in any more.", name=gone.name)


def end_one(visit: Visit) -> Response:
    number = visit.number("id")
    account_id = visit.identity.account_id
    if number not in {each.id for each in sessions_of(visit.session, account_id, now=visit.now)}:
        raise NotFoundError("that browser is signed out already")
    end_session(visit.session, number)
    visit.audit("signed out", which="one browser")
    return visit.go(PAGE, "That browser is signed out.")


def end_others(visit: Visit) -> Response:
    assert visit.signed_in is not None
    own_id = visit.signed_in.session_id
    end_sessions_of(visit.session, [visit.identity.account_id], but=own_id)
    visit.audit("signed out", which="every other browser")
    return visit.go(PAGE, "Every other browser is signed out.")


def confirm(visit: Visit) -> Response:
    return _confirm(visit, visit.query("next"))


def try_confirm(visit: Visit) -> Response:
    assert visit.signed_in is not None
    wanted = visit.form.get("next")
    if visit.form.has("credential"):
        refused = confirm_with_passkey(
            visit.session, visit.signed_in, shown_passkey(visit), now=visit.now
        )
    else:
        refused = confirm_with_password(
            visit.session,
            visit.signed_in,
            visit.form.text("password"),
            browser=browser_of(visit),
            now=visit.now,
        )
    if refused is not None:
        return _confirm(visit, wanted, refused)
    return visit.go(next_page(wanted))


def ask_confirming_passkey(visit: Visit) -> Response:
    return ask_for_passkey(visit, _own(visit))


def _account(visit: Visit, given: dict[str, str], error: InputError | None = None) -> Response:
    own = _own(visit)
    assert visit.signed_in is not None
    names = {each.id: each.name for each in all_lists(visit.session)}
    rights = rights_of(visit.session, own)
    return visit.page(
        "account/account.html",
        status=200 if error is None else 422,
        account=own,
        given=given,
        errors=by_field(error),
        zones=[(zone, zone) for zone in sorted({*zone_choices(), own.time_zone})],
        roles=[(names[each], role) for each, role in (rights.list_roles or {}).items()],
        is_with_second_factor=has_second_factor(visit.session, own),
        sessions=[
            (each, browser_name(each.user_agent))
            for each in sessions_of(visit.session, own.id, now=visit.now)
        ],
        this_session=visit.signed_in.session_id,
    )


def _app(visit: Visit, *, is_wrong: bool = False) -> Response:
    own = _own(visit)
    _refuse_when_confirmed(own)
    seed = second_factors.totp_seed(own)
    return visit.page(
        "account/app.html",
        status=422 if is_wrong else 200,
        seed=" ".join(seed[place : place + 4] for place in range(0, len(seed), 4)),
        is_wrong=is_wrong,
    )


def _added(visit: Visit, own: Account, what: Words) -> Response:
    """Whoever had to set one up is signed in for good now; the first factor comes with codes."""
    _tell(visit, own, what)
    is_first = second_factors.recovery_codes_left(visit.session, own.id) == 0
    if _sets_up(visit):
        assert visit.signed_in is not None
        came = finish(
            visit.session,
            visit.signed_in,
            how="new second factor",
            browser=browser_of(visit),
            now=visit.now,
        )
        take_in(visit, came)
    return _codes(visit, own) if is_first else visit.go(SET_UP_SECOND, what)


def _codes(visit: Visit, own: Account) -> Response:
    codes = second_factors.new_recovery_codes(visit.session, own.id)
    return visit.page("account/codes.html", codes=codes)


def _confirm(visit: Visit, wanted: str, refused: Refused | None = None) -> Response:
    return visit.page(
        "account/confirm.html",
        status=200 if refused is None else 422,
        account=_own(visit),
        next=next_page(wanted),
        refused=refused,
        has_passkeys=bool(passkeys_of(visit.session, visit.identity.account_id)),
    )


def _require_second_factor_rights(visit: Visit) -> None:
    """Who owes a second factor that they have may not get in by adding another one (S-06)."""
    assert visit.signed_in is not None
    if visit.signed_in.way is None:
        visit.require_fresh()
    elif not _sets_up(visit):
        raise ForbiddenError(SHOW_FIRST)


def _sets_up(visit: Visit) -> bool:
    return visit.signed_in is not None and visit.signed_in.way == SET_UP_SECOND


def _refuse_when_confirmed(own: Account) -> None:
    """The seed is shown only until the app has it."""
    if own.totp_since is not None:
        raise NotFoundError("the app is set up already; its key is not shown again")


def _tell(visit: Visit, own: Account, what: str) -> None:
    post_account_notice(visit.session, own, what, now=visit.now)


def _own(visit: Visit) -> Account:
    return visit.session.get_one(Account, visit.identity.account_id)


SCREENS = (
    Screen(PAGE, get=account),
    Screen("/account/profile", post=change_profile),
    Screen("/account/mail", post=choose_mail),
    Screen("/account/password", get=password, post=change_password),
    Screen(SET_UP_SECOND, get=second_factor, is_unfinished=True),
    Screen("/account/app", get=app, post=confirm_app, is_unfinished=True),
    Screen("/account/app/new", post=begin_app, is_unfinished=True),
    Screen("/account/app/picture", get=app_picture, is_unfinished=True),
    Screen("/account/app/remove", post=drop_app),
    Screen("/account/recovery-codes", post=new_codes),
    Screen("/account/passkeys", post=add_passkey, is_unfinished=True),
    Screen("/account/passkeys/options", post=ask_new_passkey, is_unfinished=True),
    Screen("/account/passkeys/{id}/remove", post=remove_passkey),
    Screen("/account/sessions/{id}/end", post=end_one),
    Screen("/account/sessions/end-others", post=end_others),
    Screen("/account/confirm", get=confirm, post=try_confirm),
    Screen("/account/confirm/options", post=ask_confirming_passkey),
)
