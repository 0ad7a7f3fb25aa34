"""What the columns of a file hold: by a preset, by their titles, or as an admin says."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from newsletter.audience.fields import refuse
from newsletter.audience.presets import Preset
from newsletter.errors import InputError

MOST_COLUMNS = 200
IGNORE = "ignore"
ATTRIBUTE = "attribute "

MEANINGS = (
    "address",
    "name",
    "first name",
    "last name",
    "zone",
    "language",
    "status",
    "joined",
    "left",
    "suppressed",
    "suppressed at",
    "consented",
    "consent ip",
    "confirmed ip",
    "consent source",
    "tags",
    "attributes",
)

_NOT_A_LETTER = re.compile(r"[\s_-]+")
_TITLES = {
    **dict.fromkeys(("email", "emailaddress", "address", "mail"), "address"),
    **dict.fromkeys(("name", "fullname"), "name"),
    "firstname": "first name",
    **dict.fromkeys(("lastname", "surname"), "last name"),
    **dict.fromkeys(("zone", "timezone", "tz"), "zone"),
    **dict.fromkeys(("language", "lang", "locale"), "language"),
    "status": "status",
    **dict.fromkeys(("joinedat", "joined", "createdat", "subscribedat"), "joined"),
    **dict.fromkeys(("leftat", "left", "unsubscribedat", "optedoutat"), "left"),
    "suppressed": "suppressed",
    "suppressedat": "suppressed at",
    **dict.fromkeys(("consentedat", "optintime", "optinat"), "consented"),
    **dict.fromkeys(("consentip", "optinip"), "consent ip"),
    **dict.fromkeys(("confirmip", "confirmedip"), "confirmed ip"),
    "consentsource": "consent source",
    "tags": "tags",
    "attributes": "attributes",
}


@dataclass(frozen=True, slots=True)
class Columns:
    """Which field of a record holds what; a meaning that the file has not is in no place."""

    width: int
    places: Mapping[str, int]

    @classmethod
    def of(cls, meanings: Sequence[str]) -> "Columns":
        """Raises `InputError` when two columns hold the same, or none the address."""
        places: dict[str, int] = {}
        for place, meaning in enumerate(meanings):
            if meaning == IGNORE:
                continue
            if meaning in places:
                raise InputError(
                    "columns {first} and {second} both hold the {meaning}; map one of them to "
                    "ignore",
                    first=places[meaning] + 1,
                    second=place + 1,
                    meaning=meaning,
                )
            places[meaning] = place
        if "address" not in places:
            raise InputError("no column holds the address; say which one does")
        return cls(len(meanings), places)


def meanings_of(
    titles: Sequence[str],
    *,
    preset: Preset | None,
    said: Mapping[str, str],
    attributes: Collection[str],
) -> list[str]:
    """One for each title. What an admin `said` of a title counts before all else.

    Raises `InputError`.
    """
    if len(titles) > MOST_COLUMNS:
        refuse(
            "header",
            "it has {count} columns; keep at most {most}",
            count=len(titles),
            most=MOST_COLUMNS,
        )
    unknown = said.keys() - set(titles)
    if unknown:
        refuse("map", "the file has no column called {unknown!r}", unknown=min(unknown))
    return [
        _checked(said[title], attributes) if title in said else _usual(title, preset, attributes)
        for title in titles
    ]


def _usual(title: str, preset: Preset | None, attributes: Collection[str]) -> str:
    if preset is not None:
        return preset.columns.get(title, IGNORE)
    if title.removeprefix(ATTRIBUTE) in attributes:
        return ATTRIBUTE + title.removeprefix(ATTRIBUTE)
    return _TITLES.get(_NOT_A_LETTER.sub("", title.casefold()), IGNORE)


def _checked(meaning: str, attributes: Collection[str]) -> str:
    if meaning in (*MEANINGS, IGNORE):
        return meaning
    if not meaning.startswith(ATTRIBUTE):
        refuse(
            "map",
            "a column cannot hold {meaning!r}; write one of: {known}, attribute KEY, ignore",
            meaning=meaning,
            known=", ".join(MEANINGS),
        )
    if meaning.removeprefix(ATTRIBUTE) not in attributes:
        refuse(
            "map",
            "there is no {meaning!r}; make it with: newsletter attribute add",
            meaning=meaning,
        )
    return meaning
