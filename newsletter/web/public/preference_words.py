"""The words of the pages on which readers decide for themselves."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from newsletter.models import LeavingReason
from newsletter.render.words import words_for

CATALOGUE = Path(__file__).with_name("preference_words.toml")


@dataclass(frozen=True, slots=True)
class PreferenceWords:
    """One language of the catalogue; `tag` is what the HTML declares, words in braces are filled in."""

    tag: str
    language_name: str
    title: str
    for_address: str
    saved: str
    mistake: str
    lists: str
    sections: str
    sections_hint: str
    no_lists: str
    language: str
    of_list: str
    zone: str
    hour: str
    hour_hint: str
    pause: str
    pause_hint: str
    save: str
    move: str
    move_hint: str
    new_address: str
    move_button: str
    move_asked: str
    wrong_address: str
    wrong_language: str
    wrong_zone: str
    wrong_hour: str
    wrong_pause: str
    changed_since: str
    rights: str
    data_button: str
    data_asked: str
    erase_button: str
    erase_asked: str
    leave_button: str
    left_all: str
    mail_title: str
    mail_lead: str
    link_button: str
    link_sent: str
    link_sent_lead: str
    leave_list: str
    busy: str
    busy_lead: str
    old: str
    old_lead: str
    old_link: str
    undo_lead: str
    undo: str
    undone: str
    undone_lead: str
    too_late: str
    too_late_lead: str
    why: str
    why_hint: str
    why_too_much: str
    why_not_for_me: str
    why_never_asked: str
    why_elsewhere: str
    why_other: str
    why_button: str
    thanks: str
    thanks_lead: str
    other_lists: str
    agree_title: str
    agree_lead: str
    agree_button: str
    agreed: str
    agreed_lead: str
    moved: str
    moved_lead: str
    taken: str
    taken_lead: str
    data_title: str
    data_lead: str
    data_get: str
    erase_title: str
    erase_lead: str
    erase_yes: str
    erased: str
    erased_lead: str

    def reasons(self) -> list[tuple[int, str]]:
        """Each reason's number, and how a reader says it."""
        words = {
            LeavingReason.TOO_MUCH: self.why_too_much,
            LeavingReason.NOT_FOR_ME: self.why_not_for_me,
            LeavingReason.NEVER_ASKED: self.why_never_asked,
            LeavingReason.ELSEWHERE: self.why_elsewhere,
            LeavingReason.OTHER: self.why_other,
        }
        return [(reason.value, words[reason]) for reason in LeavingReason]


def preference_words(language: str | None, house: str = "en") -> PreferenceWords:
    """In the person's language, or else the list's."""
    return _catalogue()[words_for(language or house, house=house).tag]


def all_languages() -> list[tuple[str, str]]:
    """Tag and own name of each language that pages and mails speak."""
    return [(words.tag, words.language_name) for words in _catalogue().values()]


@cache
def _catalogue() -> dict[str, PreferenceWords]:
    tables = tomllib.loads(CATALOGUE.read_text(encoding="utf-8"))
    return {tag: PreferenceWords(tag=tag, **table) for tag, table in tables.items()}
