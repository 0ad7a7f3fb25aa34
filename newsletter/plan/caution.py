"""How carefully a sending is begun: whose number is typed again, and how long it can be pulled back (S-31)."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.orm import Session

from newsletter.accounts.installation import installation_settings
from newsletter.errors import InputError
from newsletter.models import AudienceCount
from newsletter.plan.counting import mailable
from newsletter.plan.stored import lists_of

USUAL_COOL_OFF = timedelta(seconds=60)
LONGEST_COOL_OFF = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Caution:
    people: int
    """Who would be mailed, as they were counted at the approval."""
    needs_number: bool
    cool_off: timedelta
    """Zero: it starts at once."""


def caution_for(session: Session, edition_id: int) -> Caution:
    """An edition that nobody counted yet counts as one that goes to nobody."""
    count = session.get(AudienceCount, edition_id)
    people = mailable(count) if count else 0
    is_large = people > installation_settings(session).confirm_above
    usual = USUAL_COOL_OFF if is_large else timedelta()
    cool_offs = [
        usual if each.cool_off_seconds is None else timedelta(seconds=each.cool_off_seconds)
        for each in lists_of(session, edition_id)
    ]
    return Caution(people, is_large, max(cool_offs, default=usual))


def require_number(caution: Caution, typed: str) -> None:
    """Raises `InputError` unless whoever sends it has typed how many people it goes to; where that
    is not asked for, nothing will do as well.
    """
    if not typed and not caution.needs_number:
        return
    digits = "".join(each for each in typed if each.isdecimal())
    if not digits.isascii() or digits != str(caution.people):
        raise InputError(
            "type {people} to confirm that it goes to so many people",
            field="people",
            people=caution.people,
        )
