"""Makes the letter to one reader: assembled, signed, and in its envelope."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from newsletter.clock import utc_now
from newsletter.deliver.claims import Reader
from newsletter.deliver.dkim import Signer
from newsletter.deliver.wire import Envelope, Parcel
from newsletter.errors import InputError, RenderError
from newsletter.metrics import Stopwatch
from newsletter.render.message import Assembler

logger = logging.getLogger(__name__)


class Letter(NamedTuple):
    """A tuple because one is made per message."""

    reader: Reader
    date: datetime
    parcel: Parcel


class LetterMaker:
    def __init__(
        self,
        assemblers: Mapping[int, Assembler],
        signers: Mapping[int, Signer],
        *,
        stopwatch: Stopwatch,
    ) -> None:
        """`assemblers` and `signers` hold one for each list that the readers came by."""
        self._assemblers = assemblers
        self._signers = signers
        self._stopwatch = stopwatch

    def letter_to(self, reader: Reader) -> Letter | None:
        """None when no message can be made for this reader, whatever the reason."""
        # RFC 5322: the Date of a message is when it was first put on its way.
        date = reader.first_at or utc_now().replace(microsecond=0)
        try:
            return Letter(reader, date, self._parcel(reader, date))
        except (InputError, RenderError, ValueError) as error:
            logger.warning(
                "message cannot be made",
                extra={"subscriber_id": reader.subscriber_id, "error": type(error).__name__},
            )
        except Exception:
            # F-28: whatever one reader's data breaks must not keep the others from their mail.
            logger.exception(
                "message cannot be made", extra={"subscriber_id": reader.subscriber_id}
            )
        return None

    def _parcel(self, reader: Reader, date: datetime) -> Parcel:
        with self._stopwatch.phase("make"):
            unsigned = self._assemblers[reader.list_id].letter(reader, date=date)
            parts = self._signers[reader.list_id].sign_letter(unsigned, at=date)
        envelope = Envelope(unsigned.return_path, unsigned.address)
        return Parcel(envelope, parts, sum(map(len, parts)))
