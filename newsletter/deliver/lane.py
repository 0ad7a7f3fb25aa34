"""Carries letters over one open connection: a state machine that the server's replies drive.

With PIPELINING (RFC 2920) the next letter's envelope rides behind a letter's content, so that a
message costs one write and one round trip. Its content still waits for the answers to its envelope:
never is more than one message of a connection in doubt, and no more than one waits in our buffers.

With CHUNKING (RFC 3030) the content goes out as one BDAT as soon as the envelope is accepted. No 354
stands between the answers to the envelope and the one to the content then, so they must tell
themselves apart by their enhanced codes, whose second number is 1 where it is about addresses
(RFC 3463). An answer that nobody asked for would else have somebody recorded as mailed who was not.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from newsletter.deliver.offer import Offer
from newsletter.deliver.outcome import Reply
from newsletter.deliver.reply_reader import ReplyReader
from newsletter.deliver.wire import (
    ConnectionLost,
    Letter,
    MailConnection,
    Phase,
    Post,
    SmtpError,
    TransportRefused,
    lost,
)

# RFC 5321 section 4.5.3.2; the final dot's own time-out is a setting.
COMMAND_SECONDS = 300.0
DATA_SECONDS = 120.0
SWEEP_SECONDS = 1.0
"""How often it is looked whether an answer is overdue: one timer for many messages."""

_UNIMPLEMENTED = frozenset((500, 502, 503, 504))
_no_chunks: set[tuple[str, int]] = set()
"""Servers that offer CHUNKING and cannot do it, or do not say what an answer is about."""


class Lane:
    """Used for one stretch of letters; `done` is set when that ends."""

    def __init__(
        self, connection: MailConnection, reader: ReplyReader, offer: Offer, post: Post[Any]
    ) -> None:
        self._connection = connection
        self._reader = reader
        self._offer = offer
        self._post = post
        self._server = connection.endpoint.host, connection.endpoint.port
        self._is_chunking = offer.is_chunking and self._server not in _no_chunks
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self._loop.create_future()
        self._is_over = False

        self._judged: Letter | None = None
        """Whose envelope is with the server."""
        self._ahead: Letter | None = None
        """Whose envelope goes out behind the next content."""
        self._on_wire: Letter | None = None
        """Whose content is out."""
        self._has_asked = False
        """DATA went out with the envelope."""
        self._is_clearing = False
        self._unread = 0
        """Answers that mean nothing any more, and come before the next one that does."""
        self._trouble: SmtpError | None = None
        self._handle: Callable[[Reply], None] = self._on_mail
        self._seconds_left = 0.0
        self._timer = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def start(self) -> None:
        self._reader.listener = self._advance
        self._do(self._start)

    def _start(self) -> None:
        if self._reader.has_unread:
            # Read as the answer to the next question, it would shift all that follow.
            self._end("the server spoke out of turn")
        if self._reader.ended is not None:
            self._finish(self._lost(self._reader.ended))
            return
        self._begin_next()

    def _advance(self) -> None:
        """Replies have come, or the connection has ended."""
        self._do(self._take_replies)

    def _take_replies(self) -> None:
        replies = self._reader.replies
        while replies and not self._is_over:
            self._handle(replies.popleft())

    def _sweep(self) -> None:
        if self._seconds_left < 0:
            self._do(lambda: self._lose("no answer in time"))
            return
        self._seconds_left -= SWEEP_SECONDS
        self._timer = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def _do(self, step: Callable[[], None]) -> None:
        if self._is_over:
            return
        try:
            step()
            if self._reader.ended is not None and not self._is_over:
                self._lose(self._reader.ended)
        except Exception as error:  # noqa: BLE001  whoever awaits `done` gets it
            self._break_down(error)

    # The envelope

    def _begin_next(self) -> None:
        letter = self._take_letter()
        if letter is None:
            self._finish()
            return
        self._judged = letter
        self._begin(letter)

    def _take_letter(self) -> Letter | None:
        while True:
            letter: Letter | None = self._post.next_letter(self._connection)
            if letter is None:
                return None
            objection = self._offer.objection(letter.parcel)
            if objection is None:
                return letter
            self._post.settled(letter, objection)

    def _begin(self, letter: Letter) -> None:
        self._write(self._envelope(letter))
        self._await(self._on_mail, COMMAND_SECONDS)

    def _envelope(self, letter: Letter) -> bytes:
        """What can be written of it without waiting for anything."""
        parcel, offer = letter.parcel, self._offer
        self._has_asked = offer.is_pipelining and not self._is_chunking
        if not offer.is_pipelining:
            return offer.mail(parcel)
        return offer.mail(parcel) + offer.rcpt(parcel) + (b"DATA\r\n" if self._has_asked else b"")

    def _on_mail(self, reply: Reply) -> None:
        if reply.is_positive:
            if self._is_chunking and not _is_about_addresses(reply):
                self._give_up_chunks()
            self._await(self._on_rcpt, COMMAND_SECONDS)
            if not self._offer.is_pipelining and self._judged is not None:
                self._write(self._offer.rcpt(self._judged.parcel))
        elif ends_connection(reply):
            # It does not know yet whom the message is for.
            self._put_back_unsent()
            self._trouble = self._lost(f"{reply.code} {reply.text}", reply)
            self._lose(f"{reply.code} {reply.text}", reply)
        elif reply.is_intermediate:
            self._lose(f"{reply.code} is no answer to an envelope")
        else:
            letter, self._judged = self._judged, None
            self._post.put_back(letter)
            self._trouble = TransportRefused(Phase.MAIL, reply)
            self._refuse(unread=self._offer.is_pipelining + self._has_asked)

    def _on_rcpt(self, reply: Reply) -> None:
        if reply.is_positive:
            if self._is_chunking and _is_about_addresses(reply):
                self._put_content()
            else:
                self._ask_for_content()
        elif ends_connection(reply):
            self._lose(f"{reply.code} {reply.text}", reply)
        elif reply.is_intermediate:
            self._lose(f"{reply.code} is no answer to an envelope")
        else:
            self._refuse_letter(reply, unread=int(self._has_asked))

    def _ask_for_content(self) -> None:
        if not self._has_asked:
            if self._is_chunking:
                self._give_up_chunks()
            self._write(b"DATA\r\n")
        self._await(self._on_data, DATA_SECONDS)

    def _on_data(self, reply: Reply) -> None:
        if reply.code == 354:
            self._put_content()
        elif ends_connection(reply):
            self._lose(f"{reply.code} {reply.text}", reply)
        elif reply.is_positive or reply.is_intermediate:
            self._lose(f"{reply.code} is no answer to DATA")
        else:
            self._refuse_letter(reply, unread=0)

    # The content

    def _put_content(self) -> None:
        letter = self._judged
        assert letter is not None
        if self._reader.has_unread or self._reader.ended is not None:
            self._lose(self._reader.ended or "the server spoke out of turn")
            return
        self._connection.messages += 1
        if self._offer.is_pipelining:
            self._ahead = self._take_letter()
        if not self._post.may_go(letter):
            self._withdraw()
            return
        self._on_wire, self._judged, self._ahead = letter, self._ahead, None
        self._write_content(letter)
        self._await(self._on_answer, self._connection.endpoint.dot_seconds)

    def _write_content(self, letter: Letter) -> None:
        parcel = letter.parcel
        behind = b"" if self._judged is None else self._envelope(self._judged)
        transport = self._reader.transport
        assert transport is not None
        if self._is_chunking:
            transport.writelines((b"BDAT %d LAST\r\n" % parcel.octets, *parcel.parts, behind))
        else:
            transport.writelines((*parcel.for_data, b".\r\n" + behind))

    def _withdraw(self) -> None:
        """The server waits for content that will not come."""
        self._put_back_unsent()
        self._end("we withdrew")
        self._finish()

    def _on_answer(self, reply: Reply) -> None:
        if self._is_chunking and not _is_about_content(reply):
            self._give_up_chunks()
            self._lose("the server does not say what its answer is about")
            return
        if reply.is_intermediate:
            self._lose(f"{reply.code} is no answer to a content")
            return
        letter, self._on_wire = self._on_wire, None
        is_refused_chunk = self._is_chunking and not reply.is_positive
        if is_refused_chunk and reply.code in _UNIMPLEMENTED:
            self._give_up_chunks()
            self._post.put_back(letter)
        else:
            self._post.settled(letter, reply)
        if reply.ends_connection:
            self._put_back_unsent()
            self._end("the server closed the connection with 421")
            self._finish()
        elif is_refused_chunk:
            # What became of an envelope behind a refused BDAT is anybody's guess (RFC 3030
            # section 2): it is begun anew.
            self._clear(b"RSET\r\n", answers=1 if self._judged is None else 3)
        elif self._judged is None:
            self._begin_next()
        else:
            self._await(self._on_mail, COMMAND_SECONDS)

    def _give_up_chunks(self) -> None:
        _no_chunks.add(self._server)
        self._is_chunking = False

    # Refusals

    def _refuse_letter(self, reply: Reply, *, unread: int) -> None:
        letter, self._judged = self._judged, None
        self._post.settled(letter, reply)
        self._refuse(unread=unread)

    def _refuse(self, *, unread: int) -> None:
        """Make ready for the next letter once `unread` answers to the envelope have come."""
        if not unread:
            self._clear(b"RSET\r\n", answers=1)
            return
        self._is_clearing = True
        self._unread = unread
        self._await(self._on_unread, COMMAND_SECONDS)

    def _on_unread(self, reply: Reply) -> None:
        self._unread -= 1
        if self._unread:
            return
        if reply.code == 354 and self._has_asked:
            # Content wanted for nobody: it gets an empty body (RFC 2920 section 3.1).
            self._clear(b".\r\nRSET\r\n", answers=2)
        else:
            self._clear(b"RSET\r\n", answers=1)

    def _clear(self, octets: bytes, *, answers: int) -> None:
        self._is_clearing = True
        self._unread = answers
        self._write(octets)
        self._await(self._on_cleared, COMMAND_SECONDS)

    def _on_cleared(self, reply: Reply) -> None:
        self._unread -= 1
        if self._unread:
            return
        if not reply.is_positive:
            self._lose("the server does not start over")
            return
        self._is_clearing = False
        if self._trouble is not None:
            self._finish(self._trouble)
        elif self._judged is None:
            self._begin_next()
        else:
            self._begin(self._judged)

    # The end

    def _lose(self, why: str, reply: Reply | None = None) -> None:
        """The connection is over, and everybody on it is told what that means to them."""
        self._end(why)
        trouble = self._trouble
        if self._on_wire is not None:
            letter, self._on_wire = self._on_wire, None
            self._post.uncertain(letter)
        elif self._judged is not None and not self._is_clearing:
            letter, self._judged = self._judged, None
            self._post.broke_off(letter)
            trouble = self._lost(why, reply)
        self._put_back_unsent()
        self._finish(trouble)

    def _put_back_unsent(self) -> None:
        for letter in (self._judged, self._ahead):
            if letter is not None:
                self._post.put_back(letter)
        self._judged = self._ahead = None

    def _break_down(self, error: Exception) -> None:
        """Nobody knows what the connection is in the middle of."""
        with suppress(Exception):
            if self._on_wire is not None:
                self._post.uncertain(self._on_wire)
            self._put_back_unsent()
        self._end("we broke down")
        self._finish(error)

    def _end(self, why: str) -> None:
        self._reader.listener = None
        self._reader.end(why)

    def _finish(self, trouble: Exception | None = None) -> None:
        self._is_over = True
        self._reader.listener = None
        self._timer.cancel()
        if self.done.done():
            return
        if trouble is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(trouble)

    def _lost(self, why: str, reply: Reply | None = None) -> ConnectionLost:
        return lost(self._connection.endpoint, why, reply)

    def _write(self, octets: bytes) -> None:
        if self._reader.ended is None and self._reader.transport is not None:
            self._reader.transport.write(octets)

    def _await(self, handle: Callable[[Reply], None], seconds: float) -> None:
        self._handle = handle
        self._seconds_left = seconds


def ends_connection(reply: Reply) -> bool:
    """Also when the server wants no more on this one connection (RFC 5321 section 4.5.3.1.10)."""
    return reply.ends_connection or (reply.code == 452 and reply.enhanced == "4.5.3")


def _is_about_addresses(reply: Reply) -> bool:
    return reply.enhanced is not None and reply.enhanced[1:4] == ".1."


def _is_about_content(reply: Reply) -> bool:
    """Refusals are believed as they come: nobody is taken for mailed who was not."""
    if not reply.is_positive:
        return True
    return reply.enhanced is not None and reply.enhanced[1:4] != ".1."
