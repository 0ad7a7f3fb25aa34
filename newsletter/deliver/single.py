"""One message carried for a caller who waits for its reply."""

from collections.abc import Callable
from dataclasses import dataclass

from newsletter.deliver.outcome import Reply
from newsletter.deliver.wire import AnswerLost, ConnectionLost, MailConnection, Parcel


async def send_single(
    connection: MailConnection, parcel: Parcel, *, before_content: Callable[[], None]
) -> Reply:
    """The reply that settles the recipient.

    `before_content` is called when the next thing written is the content; if it raises, no content
    goes out. Raises `ConnectionLost`, `AnswerLost` or `TransportRefused`.
    """
    post = _Post(parcel, before_content)
    await connection.carry(post)
    if post.is_lost:
        raise AnswerLost("no answer to the content from {host}", host=connection.endpoint.host)
    if post.reply is None:
        raise ConnectionLost("{host} took no content and went", host=connection.endpoint.host)
    return post.reply


@dataclass(slots=True)
class _Post:
    """It gives itself out, once, and again when it comes back unjudged."""

    parcel: Parcel
    before_content: Callable[[], None]
    reply: Reply | None = None
    is_lost: bool = False
    is_out: bool = False

    def next_letter(self, _connection: MailConnection) -> "_Post | None":
        if self.is_out:
            return None
        self.is_out = True
        return self

    def may_go(self, _letter: "_Post") -> bool:
        self.before_content()
        return True

    def settled(self, _letter: "_Post", reply: Reply) -> None:
        self.reply = reply

    def put_back(self, _letter: "_Post") -> None:
        self.is_out = False

    def broke_off(self, _letter: "_Post") -> None:
        """The error that ends the carrying says so."""

    def uncertain(self, _letter: "_Post") -> None:
        self.is_lost = True
