"""Mails about reviews: one that is asked for, to whoever may approve; its end, to whoever had asked."""

from datetime import datetime

from sqlalchemy.orm import Session

from newsletter.accounts.acting import acting_account
from newsletter.accounts.installation import installation_settings
from newsletter.accounts.people import able_accounts, is_able
from newsletter.accounts.roles import Role
from newsletter.addresses import parse_address
from newsletter.models import Account, Edition, Review, ReviewEnd, SystemMailKind
from newsletter.outbox import post
from newsletter.plan.editions import newest_revision
from newsletter.plan.stored import lists_of

_TOLD = (ReviewEnd.APPROVED, ReviewEnd.RETURNED)


def mail_asked(session: Session, edition: Edition, review: Review, *, now: datetime) -> None:
    """To everybody who may approve it and wants such mail, but not to whoever asks."""
    lists = [each.id for each in lists_of(session, edition.id)]
    for account in able_accounts(session, Role.EDITOR, lists):
        if account.wants_review_mail and account.id != review.asked_by_account:
            _post(session, account, edition, review, by=review.asked_by, now=now)


def mail_ended(session: Session, edition: Edition, review: Review, *, now: datetime) -> None:
    """To whoever had asked and wants such mail; not if they ended it themselves, or withdrew it."""
    if review.end not in _TOLD or review.asked_by_account in (None, acting_account(session)):
        return
    asker = session.get_one(Account, review.asked_by_account)
    if asker.wants_review_mail and is_able(asker):
        _post(session, asker, edition, review, by=review.ended_by or "", now=now)


def _post(
    session: Session,
    account: Account,
    edition: Edition,
    review: Review,
    *,
    by: str,
    now: datetime,
) -> None:
    kind = SystemMailKind.REVIEW_ENDED if review.end else SystemMailKind.REVIEW_ASKED
    post(
        session,
        kind,
        to=parse_address(account.email),
        data={
            "name": account.name,
            "installation": installation_settings(session).name,
            "by": by,
            "edition_id": edition.id,
            "edition_subject": newest_revision(session, edition).subject,
            "is_approved": review.end is ReviewEnd.APPROVED,
        },
        dedupe=f"{kind.value}:{review.id}:{account.id}",
        now=now,
    )
