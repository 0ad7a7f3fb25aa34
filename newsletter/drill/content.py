"""Says of every message that the mail server took whether it is, octet for octet, what was approved."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.addresses import parse_address
from newsletter.drill.evidence import Accepted, Row
from newsletter.models import CompiledEdition, Subscriber, Subscription
from newsletter.render.compiled import Compiled
from newsletter.render.message import Assembler
from newsletter.render.recipient import Recipient
from newsletter.tokens import Tokens

_SECOND = timedelta(seconds=1)


class ApprovedContent:
    """An edition as it was approved, made out to anybody on its lists, kept apart from the ledger."""

    def __init__(
        self,
        assemblers: Mapping[int, Assembler],
        recipients: Mapping[tuple[int, int], Recipient],
    ) -> None:
        self._assemblers = assemblers
        self._recipients = recipients

    @classmethod
    def copy(
        cls, session: Session, edition_id: int, revision: int, tokens: Tokens
    ) -> "ApprovedContent":
        """Read it now, whatever the database says later."""
        compiled = session.execute(
            select(CompiledEdition.list_id, CompiledEdition.form).where(
                CompiledEdition.edition_id == edition_id, CompiledEdition.revision == revision
            )
        ).all()
        assemblers = {
            list_id: Assembler(Compiled.from_bytes(form), tokens) for list_id, form in compiled
        }
        people = session.execute(
            select(Subscriber.id, Subscription.list_id, Subscriber, Subscription.joined_at)
            .join(Subscription, Subscription.subscriber_id == Subscriber.id)
            .where(Subscription.list_id.in_(assemblers))
        )
        recipients = {
            (subscriber_id, list_id): Recipient(
                subscriber_id=subscriber_id,
                list_id=list_id,
                address=parse_address(subscriber.address),
                name=subscriber.name,
                joined_on=joined_at.date(),
            )
            for subscriber_id, list_id, subscriber, joined_at in people
        }
        return cls(assemblers, recipients)

    def altered(
        self,
        accepted: Iterable[Accepted],
        rows: Mapping[int, Row],
        *,
        since: datetime,
        shifts: Sequence[timedelta],
    ) -> Iterator[Accepted]:
        """Those messages that no second between `since` and their arrival accounts for.

        `shifts` are by how much the senders' clock was wrong, at one time or another.
        """
        ids = {
            str(who.address): subscriber_id for (subscriber_id, _), who in self._recipients.items()
        }
        for message in accepted:
            subscriber_id = ids.get(message.address, 0)
            row = rows.get(subscriber_id)
            if row is None:
                continue  # they have no delivery at all, which is a breach of its own
            recipient = self._recipients[subscriber_id, row.list_id]
            if not any(
                self._is_approved(message, recipient, since=since, shift=shift) for shift in shifts
            ):
                yield message

    def _is_approved(
        self, message: Accepted, recipient: Recipient, *, since: datetime, shift: timedelta
    ) -> bool:
        # The Date, of the first try, is the one thing in a message that is not known beforehand.
        date = (message.at + shift).replace(microsecond=0)
        while date >= since + shift - _SECOND:
            octets = self._assemblers[recipient.list_id].message(recipient, date=date)
            if hashlib.sha256(octets).hexdigest() == message.sha256:
                return True
            date -= _SECOND
        return False
