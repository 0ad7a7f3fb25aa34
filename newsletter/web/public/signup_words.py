"""The words of the forms and of the pages behind a confirmation mail's links."""

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from starlette.requests import Request

from newsletter.models import MailingList, Tracking
from newsletter.render.words import words_for
from newsletter.web.client import wanted_language

CATALOGUE = Path(__file__).with_name("signup_words.toml")


@dataclass(frozen=True, slots=True)
class SignupWords:
    """One language of the catalogue; `tag` is what the HTML declares, words in braces are filled in."""

    tag: str
    language: str
    languages: str
    separator: str
    list_name: str
    form_title: str
    forms_title: str
    usual_time: str
    address: str
    address_hint: str
    choose: str
    consent: str
    tracking_full: str
    tracking_anonymous: str
    tracking_off: str
    button: str
    leave_empty: str
    wrong_address: str
    nothing_chosen: str
    once_more: str
    no_lists: str
    sent: str
    sent_lead: str
    sent_aside: str
    busy: str
    busy_lead: str
    link_title: str
    link_lead: str
    link_button: str
    link_sent_lead: str
    forget_link: str
    confirm_title: str
    confirm_lead: str
    confirm_button: str
    confirmed: str
    confirmed_lead: str
    used: str
    used_lead: str
    gone: str
    gone_lead: str
    refuse_title: str
    refuse_lead: str
    refuse_button: str
    refused: str
    refused_lead: str

    def names(self, lists: Iterable[MailingList]) -> str:
        return self.separator.join(self.list_name.format(list=each.name) for each in lists)

    def tracking(self, mailing_list: MailingList) -> str:
        return {
            Tracking.FULL: self.tracking_full,
            Tracking.ANONYMOUS: self.tracking_anonymous,
            Tracking.OFF: self.tracking_off,
        }[mailing_list.tracking]

    def wording(self, lists: Sequence[MailingList]) -> str:
        """All that the form says about what its button means, for the evidence."""
        about = [f"{each.name}: {self.tracking(each)}" for each in lists]
        return "\n".join([*about, self.consent, f"[{self.button}]"])


def words_of_request(request: Request, *, house: str | None = None) -> SignupWords:
    """In the language that the address names, or that the browser wants, or else the list's."""
    return signup_words(wanted_language(request) or house or "en")


def signup_words(language: str) -> SignupWords:
    return _catalogue()[words_for(language).tag]


def all_words() -> list[SignupWords]:
    return list(_catalogue().values())


@cache
def _catalogue() -> dict[str, SignupWords]:
    tables = tomllib.loads(CATALOGUE.read_text(encoding="utf-8"))
    return {tag: SignupWords(tag=tag, **table) for tag, table in tables.items()}
