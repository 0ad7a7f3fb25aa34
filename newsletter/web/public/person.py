"""What the pages of one person share: whose link it is, in which words, and what is said at the end."""

from dataclasses import dataclass

from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from newsletter.addresses import mask_address
from newsletter.audience.moving import main_list
from newsletter.audience.preferences import person_of
from newsletter.audience.signup_mail import Links
from newsletter.clock import utc_now
from newsletter.errors import TokenError
from newsletter.models import Subscriber
from newsletter.tokens import PersonRef, Purpose
from newsletter.web.client import wanted_language
from newsletter.web.deps import Deps, deps_of
from newsletter.web.pages import page
from newsletter.web.public.dress import OURS, Sender, sender_of
from newsletter.web.public.notice import HEADERS
from newsletter.web.public.preference_words import PreferenceWords, preference_words

METHODS = ["GET", "POST"]


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose page it is; `sender` is the list that their mails come from."""

    person: Subscriber
    words: PreferenceWords
    sender: Sender

    @property
    def masked_address(self) -> str:
        return mask_address(self.person.address)


def read_ref(request: Request, purpose: Purpose) -> PersonRef:
    """Raises `HTTPException` 404 for what is no link of ours."""
    try:
        return deps_of(request).tokens.read_of_person(purpose, request.path_params["token"])
    except TokenError as error:
        raise HTTPException(404) from error


def owner_of(session: Session, ref: PersonRef) -> Owner | None:
    """None: the link is too old, or was mailed to an address that is theirs no more."""
    try:
        person = person_of(session, ref, now=utc_now())
    except TokenError:
        return None
    mailing_list = main_list(session, person)
    house = mailing_list.language if mailing_list else "en"
    sender = sender_of(mailing_list) if mailing_list else OURS
    return Owner(person, preference_words(person.language, house), sender)


def browsers_words(request: Request) -> PreferenceWords:
    """For when there is nobody whose language counts."""
    return preference_words(wanted_language(request))


def links_of(deps: Deps) -> Links:
    return Links(deps.settings.base_url, deps.settings.mail_domain, deps.tokens)


def too_old(words: PreferenceWords) -> Response:
    return page(
        "public/preferences_old.html", status=410, headers=HEADERS, words=words, sender=OURS
    )
