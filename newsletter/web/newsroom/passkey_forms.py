"""What the forms that ask for a passkey share: whose site it is, which browser asks, and what it showed."""

from starlette.responses import JSONResponse, Response

from newsletter.accounts.installation import installation_settings
from newsletter.accounts.passkeys import (
    Party,
    Shown,
    party_of,
    show_passkey,
    sign_in_options,
)
from newsletter.accounts.sessions import LONGEST
from newsletter.accounts.signing_in import Browser, Entered
from newsletter.errors import InputError
from newsletter.models import Account
from newsletter.web.newsroom.visit import Visit
from newsletter.words import Words

FIELD = "credential"

_NO_PASSKEYS = Words("browsers offer them only for a site with a name, not for an IP address")


def browser_of(visit: Visit) -> Browser:
    return Browser(visit.network, visit.request.headers.get("user-agent", ""))


def take_in(visit: Visit, entered: Entered) -> None:
    """The answer signs the browser in, with a token that it did not have before."""
    visit.new_session = (entered.token, LONGEST)


def party(visit: Visit) -> Party:
    """Raises `InputError` where there can be no passkeys."""
    found = optional_party(visit)
    if found is None:
        raise InputError(_NO_PASSKEYS, field="passkey")
    return found


def optional_party(visit: Visit) -> Party | None:
    name = installation_settings(visit.session).name
    return party_of(visit.settings.base_url, name=name)


def ask_for_passkey(visit: Visit, account: Account | None) -> Response:
    asked = sign_in_options(visit.session, account, party(visit), holder=visit.csrf, now=visit.now)
    return Response(asked, media_type=JSONResponse.media_type)


def shown_passkey(visit: Visit) -> Shown:
    """Raises `InputError`."""
    credential = visit.form.get(FIELD)
    if not credential:
        raise InputError("your browser sent none; try again", field="passkey")
    return show_passkey(
        visit.session, credential, party=party(visit), holder=visit.csrf, now=visit.now
    )
