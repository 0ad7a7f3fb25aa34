"""The door: signing in and out, the second factor, invitations, and forgotten passwords."""

from collections.abc import Mapping

from sqlalchemy import select
from starlette.responses import Response

from newsletter.accounts import throttle
from newsletter.accounts.installation import installation_settings
from newsletter.accounts.links import account_of_link, use_link
from newsletter.accounts.passkeys import passkeys_of
from newsletter.accounts.people import read_name, read_time_zone, set_password
from newsletter.accounts.second_factors import recovery_codes_left
from newsletter.accounts.sessions import SHOW_SECOND, end_session
from newsletter.accounts.signing_in import (
    Entered,
    Refused,
    enter,
    finish_with_code,
    finish_with_passkey,
    sign_in_with_link,
    sign_in_with_passkey,
    sign_in_with_password,
)
from newsletter.addresses import parse_address
from newsletter.audience.zones import zone_choices
from newsletter.errors import AddressError, InputError
from newsletter.models import Account, LinkPurpose
from newsletter.web.newsroom.account_mail import post_account_notice, post_password_reset
from newsletter.web.newsroom.edits import by_field
from newsletter.web.newsroom.next_page import next_page, with_next
from newsletter.web.newsroom.pages import translated
from newsletter.web.newsroom.passkey_forms import (
    ask_for_passkey,
    browser_of,
    optional_party,
    shown_passkey,
    take_in,
)
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import Visit


def sign_in(visit: Visit) -> Response:
    if visit.signed_in is not None and visit.signed_in.way is None:
        return visit.go(next_page(visit.query("next")))
    return _door(visit, wanted=visit.query("next"))


def try_password(visit: Visit) -> Response:
    email = visit.form.get("email")
    came = sign_in_with_password(
        visit.session,
        email,
        visit.form.text("password"),
        browser=browser_of(visit),
        now=visit.now,
    )
    wanted = visit.form.get("next")
    return _door(visit, wanted, email, came) if isinstance(came, Refused) else _in(visit, came)


def ask_passkey(visit: Visit) -> Response:
    until = throttle.begin_try(visit.session, _passkey_try(visit), now=visit.now)
    if until is not None:
        return visit.page("sign_in/_refused.html", status=429, refused=Refused(until))
    return ask_for_passkey(visit, None)


def try_passkey(visit: Visit) -> Response:
    shown = shown_passkey(visit)
    came = sign_in_with_passkey(visit.session, shown, browser=browser_of(visit), now=visit.now)
    if isinstance(came, Refused):
        raise InputError(
            "it did not ask who you are; sign in with your password first", field="passkey"
        )
    throttle.forgive(visit.session, _passkey_try(visit))
    return _in(visit, came)


def second(visit: Visit) -> Response:
    if (elsewhere := _not_here(visit)) is not None:
        return elsewhere
    return _second(visit, wanted=visit.query("next"))


def try_second(visit: Visit) -> Response:
    if (elsewhere := _not_here(visit)) is not None:
        return elsewhere
    assert visit.signed_in is not None
    browser = browser_of(visit)
    came: Entered | Refused
    if visit.form.has("credential"):
        shown = shown_passkey(visit)
        came = finish_with_passkey(
            visit.session, visit.signed_in, shown, browser=browser, now=visit.now
        )
    else:
        code = visit.form.get("code")
        came = finish_with_code(
            visit.session, visit.signed_in, code, browser=browser, now=visit.now
        )
    if isinstance(came, Refused):
        return _second(visit, visit.form.get("next"), came)
    return _on(visit, came)


def ask_second_passkey(visit: Visit) -> Response:
    return ask_for_passkey(visit, _own(visit))


def sign_out(visit: Visit) -> Response:
    assert visit.signed_in is not None
    end_session(visit.session, visit.signed_in.session_id)
    visit.ends_session = True
    return visit.go("/sign-in", "You are signed out.")


def link(visit: Visit) -> Response:
    token = visit.path["token"]
    account = account_of_link(visit.session, token, LinkPurpose.SIGN_IN, now=visit.now)
    return _page(visit, "link.html", account=account)


def use_sign_in_link(visit: Visit) -> Response:
    came = sign_in_with_link(
        visit.session, visit.path["token"], browser=browser_of(visit), now=visit.now
    )
    return _in(visit, came)


def invitation(visit: Visit) -> Response:
    account = account_of_link(
        visit.session, visit.path["token"], LinkPurpose.INVITATION, now=visit.now
    )
    return _invitation(visit, account, {"name": account.name, "zone": account.time_zone})


def accept(visit: Visit) -> Response:
    token = visit.path["token"]
    account = account_of_link(visit.session, token, LinkPurpose.INVITATION, now=visit.now)
    given = {"name": visit.form.get("name"), "zone": visit.form.get("zone")}
    try:
        name, zone = read_name(given["name"]), read_time_zone(given["zone"])
        set_password(visit.session, account, visit.form.text("password"), now=visit.now)
    except InputError as error:
        return _invitation(visit, account, given, error)
    account.name, account.time_zone = name, zone
    use_link(visit.session, token, LinkPurpose.INVITATION, now=visit.now)
    came = enter(visit.session, account, how="invitation", browser=browser_of(visit), now=visit.now)
    return _in(visit, came)


def forgot(visit: Visit) -> Response:
    return _page(visit, "forgot.html")


def send_reset(visit: Visit) -> Response:
    """The same answer for everybody, and, within what can be told apart, in the same time (S-01)."""
    key = _key_of(visit.form.get("email"))
    attempt = throttle.Try(key, visit.network, throttle.RESETS)
    if throttle.begin_try(visit.session, attempt, now=visit.now) is None:
        account = visit.session.scalar(
            select(Account).where(Account.email_key == key, Account.disabled_at.is_(None))
        )
        if account is not None:
            post_password_reset(visit.session, account, settings=visit.settings, now=visit.now)
    return _page(visit, "reset_sent.html")


def new_password(visit: Visit) -> Response:
    account = account_of_link(visit.session, visit.path["token"], LinkPurpose.RESET, now=visit.now)
    return _page(visit, "new_password.html", account=account, error=None)


def set_new_password(visit: Visit) -> Response:
    token = visit.path["token"]
    account = account_of_link(visit.session, token, LinkPurpose.RESET, now=visit.now)
    try:
        set_password(visit.session, account, visit.form.text("password"), now=visit.now)
    except InputError as error:
        return _page(
            visit, "new_password.html", status=422, account=account, error=translated(error.words)
        )
    use_link(visit.session, token, LinkPurpose.RESET, now=visit.now)
    throttle.forgive(visit.session, throttle.Try(account.email_key, visit.network))
    post_account_notice(visit.session, account, "Your password was changed.", now=visit.now)
    came = enter(
        visit.session, account, how="new password", browser=browser_of(visit), now=visit.now
    )
    return _in(visit, came)


def _in(visit: Visit, came: Entered) -> Response:
    """Whoever was signed in with this browser is not any more."""
    if visit.signed_in is not None:
        end_session(visit.session, visit.signed_in.session_id)
    return _on(visit, came)


def _on(visit: Visit, came: Entered) -> Response:
    take_in(visit, came)
    wanted = visit.form.get("next")
    return visit.go(next_page(wanted) if came.is_finished else with_next(SHOW_SECOND, wanted))


def _not_here(visit: Visit) -> Response | None:
    """Where to go for who does not owe a second factor, or has to set one up."""
    assert visit.signed_in is not None
    match visit.signed_in.way:
        case None:
            return visit.go(next_page(visit.query("next")))
        case way if way != SHOW_SECOND:
            return visit.go(way)
    return None


def _door(visit: Visit, wanted: str, email: str = "", refused: Refused | None = None) -> Response:
    return _page(
        visit,
        "sign_in.html",
        status=_status(refused),
        next=next_page(wanted),
        email=email,
        refused=refused,
        has_passkeys=optional_party(visit) is not None,
    )


def _second(visit: Visit, wanted: str, refused: Refused | None = None) -> Response:
    account = _own(visit)
    return _page(
        visit,
        "second.html",
        status=_status(refused),
        next=next_page(wanted),
        refused=refused,
        has_app=account.totp_since is not None,
        has_passkeys=bool(passkeys_of(visit.session, account.id)),
        codes_left=recovery_codes_left(visit.session, account.id),
    )


def _invitation(
    visit: Visit, account: Account, given: Mapping[str, str], error: InputError | None = None
) -> Response:
    return _page(
        visit,
        "invitation.html",
        status=200 if error is None else 422,
        account=account,
        given=given,
        zones=[(zone, zone) for zone in zone_choices()],
        errors=by_field(error),
    )


def _page(visit: Visit, template: str, *, status: int = 200, **context: object) -> Response:
    name = installation_settings(visit.session).name
    return visit.page(f"sign_in/{template}", status=status, installation=name, **context)


def _passkey_try(visit: Visit) -> throttle.Try:
    return throttle.Try("", visit.network, throttle.PASSKEYS)


def _own(visit: Visit) -> Account:
    return visit.session.get_one(Account, visit.identity.account_id)


def _status(refused: Refused | None) -> int:
    if refused is None:
        return 200
    return 422 if refused.until is None else 429


def _key_of(email: str) -> str:
    try:
        return parse_address(email).key
    except AddressError:
        return email.casefold()


SCREENS = (
    Screen("/sign-in", get=sign_in, post=try_password, is_open=True),
    Screen("/sign-in/passkey/options", post=ask_passkey, is_open=True),
    Screen("/sign-in/passkey", post=try_passkey, is_open=True),
    Screen("/sign-in/second", get=second, post=try_second, is_unfinished=True),
    Screen("/sign-in/second/options", post=ask_second_passkey, is_unfinished=True),
    Screen("/sign-in/link/{token}", get=link, post=use_sign_in_link, is_open=True),
    Screen("/sign-out", post=sign_out, is_unfinished=True),
    Screen("/invitation/{token}", get=invitation, post=accept, is_open=True),
    Screen("/reset", get=forgot, post=send_reset, is_open=True),
    Screen("/reset/{token}", get=new_password, post=set_new_password, is_open=True),
)
