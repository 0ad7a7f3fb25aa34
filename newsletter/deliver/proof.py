"""Whether an edition's messages can be made at all: proven once in a process, before the first of them."""

import logging
from datetime import date, datetime

from newsletter.addresses import parse_address
from newsletter.errors import RenderError
from newsletter.render.compiled import Compiled
from newsletter.render.message import Assembler
from newsletter.render.recipient import Recipient
from newsletter.tokens import NOBODY, Tokens

logger = logging.getLogger(__name__)

_JOINED = date(2026, 1, 1)


def proven(form: bytes, tokens: Tokens, *, list_id: int, now: datetime) -> Assembler:
    """What makes the messages of a stored edition.

    Raises `RenderError` when it makes none for a reader in whom nothing is odd: then the edition is
    at fault, and not whoever's turn it is.
    """
    try:
        assembler = Assembler(Compiled.from_bytes(form), tokens)
        assembler.message(_nobody_odd(list_id), date=now.replace(microsecond=0))
    except Exception as error:
        logger.exception("edition cannot be made")
        raise RenderError(
            "No message of it can be made ({kind}: {error}).",
            kind=type(error).__name__,
            error=error,
        ) from error
    return assembler


def _nobody_odd(list_id: int) -> Recipient:
    address = parse_address("reader@example.org")
    return Recipient(NOBODY, list_id, address, name="Reader", joined_on=_JOINED)
