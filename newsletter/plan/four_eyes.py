"""The rule that somebody else approves an edition than whoever wrote it."""

from collections.abc import Collection, Iterator, Sequence

from sqlalchemy.orm import Session

from newsletter.accounts.acting import acting_account
from newsletter.accounts.audit import names_of
from newsletter.accounts.installation import installation_settings
from newsletter.errors import ForbiddenError
from newsletter.models import Edition, MailingList
from newsletter.plan.drafts import draft_of
from newsletter.plan.review import last_review
from newsletter.plan.stored import lists_of


def needs_second_person(session: Session, lists: Sequence[MailingList]) -> bool:
    usual = installation_settings(session).four_eyes
    return any(usual if each.four_eyes is None else each.four_eyes for each in lists)


def require_second_person(session: Session, edition: Edition, names: Collection[str]) -> None:
    """Raises `ForbiddenError` where a list wants four eyes and it is the work of whoever acts."""
    lists = lists_of(session, edition.id)
    if needs_second_person(session, lists) and is_own_work(session, edition, names):
        raise ForbiddenError(
            "Edition {edition} needs a second person: whoever wrote or submitted it last "
            "does not approve it.",
            edition=edition.id,
        )


def is_own_work(session: Session, edition: Edition, names: Collection[str]) -> bool:
    """Whether whoever acts wrote or submitted last what stands there.

    Two accounts are compared as such, whatever their names are or were. A command or a key that is
    nobody's has only a name: `names` are those that whoever acts goes by.
    """
    own = acting_account(session)
    without_account = set[str]()
    for name, account_id in _writers(session, edition):
        if own is None or account_id is None:
            without_account.add(name.casefold())
        elif account_id == own:
            return True
    if not without_account:
        return False
    known = {*names, *(names_of(session, own) if own is not None else ())}
    return not without_account.isdisjoint(each.casefold() for each in known)


def _writers(session: Session, edition: Edition) -> Iterator[tuple[str, int | None]]:
    """Who changed it last, and who asked for its review; not who only had it checked."""
    draft = draft_of(session, edition.id)
    yield draft.changed_by, draft.changed_by_account
    review = last_review(session, edition.id)
    if review is not None and review.revision == edition.revision:
        yield review.asked_by, review.asked_by_account
