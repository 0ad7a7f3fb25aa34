"""The server's side of one SMTP conversation (RFC 5321), without a socket and without a clock.

Octets go in, effects come out in the order in which they must happen. An accepted message is
handed over before its 250 is among the effects.
"""

import base64
import binascii
import hmac
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from newsletter.devmail.script import (
    Close,
    Drip,
    Endless,
    Extra,
    Half,
    Outcome,
    Performance,
    Phase,
    Reply,
)

LONGEST_COMMAND = 2_048
LONGEST_AUTH_LINE = 12_288  # RFC 4954 section 4
LONGEST_CONTENT_LINE = 998  # RFC 5321 section 4.5.3.1.6, without its CRLF
LONGEST_PATH = 254  # RFC 5321 section 4.5.3.1.3, without the angle brackets

ACCEPTED = b"250 2.0.0 Accepted\r\n"

# What a parameter of MAIL or RCPT presupposes in the answer to EHLO.
_MAIL_PARAMETERS = {
    "SIZE": "SIZE",
    "BODY": "8BITMIME",
    "SMTPUTF8": "SMTPUTF8",
    "RET": "DSN",
    "ENVID": "DSN",
    "AUTH": "AUTH",
}
_RCPT_PARAMETERS = {"NOTIFY": "DSN", "ORCPT": "DSN"}

# A source route is read and ignored (RFC 5321 section 4.1.1.3); a quoted local part may hold ">".
_PATH = re.compile(
    rb'<(?:@[^\s:<>]+:)?((?:"(?:[^"\\]|\\.)*"|[^\s<>"])*)>(?: +(.*))?', flags=re.DOTALL
)
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing that follows happens before this time is over."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Flood:
    """Write this line until the client has gone."""

    line: bytes


@dataclass(frozen=True, slots=True)
class Finish:
    """Everything is said: close when the client has read it."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Close at once."""


@dataclass(frozen=True, slots=True)
class UpgradeToTls:
    """Shake hands, then call `tls_started`."""


Effect = bytes | Wait | Flood | Finish | Drop | UpgradeToTls


@dataclass(frozen=True, slots=True)
class Limits:
    message_bytes: int = 36_700_160
    recipients: int = 1_000
    errors: int = 20
    """Commands out of place or not understood, before the connection is closed."""
    connections: int = 2_000


@dataclass(frozen=True, slots=True)
class Credentials:
    user: str
    password: str

    def match(self, user: bytes, password: bytes) -> bool:
        is_user = hmac.compare_digest(user, self.user.encode())
        return hmac.compare_digest(password, self.password.encode()) and is_user


@dataclass(frozen=True, slots=True)
class Terms:
    """What the server offers to every client."""

    name: str = "devmail.localhost"
    limits: Limits = Limits()
    credentials: Credentials | None = None
    """If given, mail is taken only after AUTH."""
    starttls: bool = False


@dataclass(frozen=True, slots=True)
class Envelope:
    mail_from: str
    rcpt_to: tuple[str, ...]
    mail_parameters: tuple[str, ...]


@dataclass(slots=True)
class _Mail:
    """The mail in hand: everything that RSET forgets."""

    sender: str | None = None
    parameters: tuple[str, ...] = ()
    recipients: list[str] = field(default_factory=list)
    has_content: bool = False
    is_too_big: bool = False
    has_dots: bool = False
    chunks: bytearray = field(default_factory=bytearray)
    is_chunked: bool = False
    has_lost_chunks: bool = False


class Session:
    def __init__(
        self,
        terms: Terms,
        performance: Callable[[], Performance],
        deliver: Callable[[Envelope, bytes], None],
        *,
        connection: int,
        is_secure: bool = False,
    ) -> None:
        self._terms = terms
        self._performance = performance
        self._deliver = deliver
        self.connection = connection
        self._is_secure = is_secure
        self._is_over = False
        self._errors = 0
        self._out: list[Effect] = []
        self._buffer = bytearray()
        self._scanned = 0
        self._read: Callable[[], bool] = self._read_command
        self._use_secret: Callable[[bytes], None] = self._use_plain
        self._is_greeted = False
        self._is_authenticated = False
        self._announced: frozenset[str] = frozenset()
        self._mail = _Mail()
        self._chunk_left = 0
        self._chunk_refusal = b""
        self._is_last_chunk = False

    def open(self) -> list[Effect]:
        """What happens when the client has connected."""
        self._out = []
        greeting = f"220 {self._terms.name} ESMTP keeps mail, relays none\r\n".encode()
        action = self._consult(Phase.CONNECT) or self._consult(Phase.BANNER)
        if not self._give(action, greeting) and not self._is_over:
            self._leave(Finish())
        return self._out

    def refuse(self) -> list[Effect]:
        """What happens when there are too many connections already."""
        self._out = []
        self._close_with(b"421 4.7.0 Too many connections\r\n")
        return self._out

    def receive(self, octets: bytes | memoryview) -> list[Effect]:
        self._out = []
        if self._is_over:
            return self._out
        self._buffer += octets
        while self._read() and not self._is_over:
            pass
        return self._out

    def tls_started(self) -> None:
        """Forget everything the client said in clear (RFC 3207 section 4.2)."""
        self._is_secure = True
        self._start_over()
        self._read = self._read_command

    # Reading: each step takes one unit from the buffer and tells whether there may be another.

    def _read_command(self) -> bool:
        line = self._take_line(LONGEST_COMMAND)
        if line is None:
            return False
        verb, _, argument = line.partition(b" ")
        on_command = _VERBS.get(verb.upper())
        if _CONTROL.search(line):
            self._refuse(b"500 5.5.2 Lines end with CRLF and hold no control character\r\n")
        elif on_command is None:
            self._refuse(b"500 5.5.1 Command not known\r\n")
        else:
            on_command(self, argument.strip(b" "))
        return True

    def _take_line(self, longest: int) -> bytes | None:
        """The next line without its CRLF; empty, and answered, if it is not a clean line."""
        buffer = self._buffer
        end = buffer.find(b"\n", self._scanned)
        if end < 0:
            self._scanned = len(buffer)
            if self._scanned > longest:
                self._close_with(b"500 5.5.2 Line too long\r\n")
            return None
        self._scanned = 0
        line = bytes(buffer[: end + 1])
        del buffer[: end + 1]
        return line[:-2] if line.endswith(b"\r\n") else line

    def _read_content(self) -> bool:
        buffer = self._buffer
        self._notice_content(len(buffer) - 2)
        if self._is_over:
            return False
        start = self._scanned
        while True:
            found = buffer.find(b"\r\n.", start)
            if found < 0:
                self._scanned = max(0, len(buffer) - 2)
                return self._read_on()
            if len(buffer) < found + 5:
                self._scanned = found
                return self._read_on()
            # Only CRLF "." CRLF ends the content; anything looser lets mail be smuggled.
            if buffer[found + 3 : found + 5] == b"\r\n":
                break
            self._mail.has_dots = True
            start = found + 3
        content = bytes(memoryview(buffer)[: found + 2])
        del buffer[: found + 5]
        self._scanned = 0
        self._read = self._read_command
        if self._mail.has_dots:
            content = content.replace(b"\r\n.", b"\r\n")
        self._complete(content[2:])
        return True

    def _read_on(self) -> bool:
        """The end has not come; content that is already too long need not be kept."""
        self._mail.is_too_big |= len(self._buffer) > self._terms.limits.message_bytes
        if self._mail.is_too_big:
            del self._buffer[: self._scanned]
            self._scanned = 0
        return False

    def _read_chunk(self) -> bool:
        taken = min(self._chunk_left, len(self._buffer))
        self._notice_content(taken)
        if self._is_over:
            return False
        if not self._chunk_refusal:
            self._mail.chunks += memoryview(self._buffer)[:taken]
        del self._buffer[:taken]
        self._chunk_left -= taken
        if self._chunk_left:
            return False
        self._read = self._read_command
        self._end_chunk()
        return True

    def _read_secret(self) -> bool:
        line = self._take_line(LONGEST_AUTH_LINE)
        if line is None:
            return False
        self._read = self._read_command
        self._decode(line, self._use_secret)
        return True

    # Commands

    def _on_helo(self, argument: bytes) -> None:
        if not argument:
            self._refuse(b"501 5.5.4 Say your name\r\n")
            return
        self._start_over()
        if self._answer(Phase.EHLO, f"250 {self._terms.name}\r\n".encode()):
            self._is_greeted = True

    def _on_ehlo(self, argument: bytes) -> None:
        if not argument:
            self._refuse(b"501 5.5.4 Say your name\r\n")
            return
        self._start_over()
        withheld = self._performance().withheld(self.connection)
        announced = [line for line in self._extensions() if line.split()[0] not in withheld]
        lines = [self._terms.name, *announced]
        dashes = ["-"] * len(announced) + [" "]
        text = "".join(f"250{dash}{line}\r\n" for dash, line in zip(dashes, lines, strict=True))
        if self._answer(Phase.EHLO, text.encode()):
            self._is_greeted = True
            self._announced = frozenset(line.split()[0] for line in announced)

    def _extensions(self) -> list[str]:
        lines = [
            "PIPELINING",
            f"SIZE {self._terms.limits.message_bytes}",
            "DSN",
            "ENHANCEDSTATUSCODES",
            "8BITMIME",
            "SMTPUTF8",
            "CHUNKING",
        ]
        if self._terms.starttls and not self._is_secure:
            lines.append("STARTTLS")
        elif self._terms.credentials:
            lines.append("AUTH PLAIN LOGIN")
        return lines

    def _on_starttls(self, argument: bytes) -> None:
        if argument:
            self._refuse(b"501 5.5.4 STARTTLS takes nothing\r\n")
        elif "STARTTLS" not in self._announced:
            self._refuse(b"503 5.5.1 STARTTLS is not offered\r\n")
        elif self._answer(Phase.STARTTLS, b"220 2.0.0 Go ahead\r\n"):
            # Whatever came with the command came in clear and must not be taken for TLS.
            self._buffer.clear()
            self._read = self._read_nothing
            self._out.append(UpgradeToTls())

    def _read_nothing(self) -> bool:
        self._buffer.clear()
        return False

    def _on_auth(self, argument: bytes) -> None:
        mechanism, _, initial = argument.partition(b" ")
        if "AUTH" not in self._announced or self._is_authenticated or self._mail.sender is not None:
            self._refuse(b"503 5.5.1 No AUTH here\r\n")
        elif mechanism.upper() == b"PLAIN":
            self._obtain(initial, b"", self._use_plain)
        elif mechanism.upper() == b"LOGIN":
            self._obtain(initial, b"VXNlcm5hbWU6", self._use_user)
        else:
            self._refuse(b"504 5.5.4 PLAIN or LOGIN\r\n")

    def _obtain(self, initial: bytes, challenge: bytes, use: Callable[[bytes], None]) -> None:
        if initial:
            self._decode(initial, use)
            return
        self._use_secret = use
        self._read = self._read_secret
        self._say(b"334 " + challenge + b"\r\n")

    def _decode(self, line: bytes, use: Callable[[bytes], None]) -> None:
        try:
            secret = base64.b64decode(b"" if line == b"=" else line, validate=True)
        except binascii.Error:
            self._refuse(b"501 5.5.2 Authentication given up\r\n")
        else:
            use(secret)

    def _use_user(self, user: bytes) -> None:
        def use_password(password: bytes) -> None:
            self._authenticate(user, password)

        self._obtain(b"", b"UGFzc3dvcmQ6", use_password)

    def _use_plain(self, secret: bytes) -> None:
        _, user, password = [*secret.split(b"\0"), b"", b""][:3]
        self._authenticate(user, password)

    def _authenticate(self, user: bytes, password: bytes) -> None:
        credentials = self._terms.credentials
        if credentials is None or not credentials.match(user, password):
            self._refuse(b"535 5.7.8 User or password not right\r\n")
        elif self._answer(Phase.AUTH, b"235 2.7.0 Welcome\r\n"):
            self._is_authenticated = True

    def _on_mail(self, argument: bytes) -> None:
        if not self._is_greeted:
            self._refuse(b"503 5.5.1 Say EHLO first\r\n")
        elif self._terms.credentials and not self._is_authenticated:
            self._refuse(b"530 5.7.0 AUTH first\r\n")
        elif self._mail.sender is not None:
            self._refuse(b"503 5.5.1 One MAIL at a time\r\n")
        elif path := self._parse(argument, b"FROM:", _MAIL_PARAMETERS):
            address, parameters = path
            if self._is_announced_too_big(parameters):
                self._say(b"552 5.3.4 Too big\r\n")
            elif not address.isascii() and "SMTPUTF8" not in parameters:
                self._refuse(b"553 5.6.7 Such a sender needs SMTPUTF8\r\n")
            elif self._answer(Phase.MAIL, b"250 2.1.0 Ok\r\n"):
                self._mail.sender = address
                self._mail.parameters = parameters

    def _is_announced_too_big(self, parameters: Sequence[str]) -> bool:
        sizes = [value.removeprefix("SIZE=") for value in parameters if value.startswith("SIZE=")]
        return any(not s.isdecimal() or int(s) > self._terms.limits.message_bytes for s in sizes)

    def _on_rcpt(self, argument: bytes) -> None:
        if self._mail.sender is None:
            self._refuse(b"503 5.5.1 MAIL first\r\n")
        elif len(self._mail.recipients) >= self._terms.limits.recipients:
            self._say(b"452 4.5.3 Too many recipients\r\n")
        elif path := self._parse(argument, b"TO:", _RCPT_PARAMETERS):
            address, _ = path
            if "@" not in address and address.lower() != "postmaster":
                self._refuse(b"501 5.1.3 Not an address\r\n")
            elif not address.isascii() and "SMTPUTF8" not in self._mail.parameters:
                self._refuse(b"553 5.6.7 Such a recipient needs SMTPUTF8\r\n")
            elif self._answer(Phase.RCPT, b"250 2.1.5 Ok\r\n", [address]):
                self._mail.recipients.append(address)

    def _parse(
        self, argument: bytes, keyword: bytes, known: dict[str, str]
    ) -> tuple[str, tuple[str, ...]] | None:
        """Address and parameters; `None`, and answered, if they cannot be used."""
        path = None
        if argument[: len(keyword)].upper() == keyword:
            path = _PATH.fullmatch(argument[len(keyword) :].lstrip(b" "))
        if path is None or len(path[1]) > LONGEST_PATH:
            self._refuse(b"501 5.1.7 Write " + keyword + b"<address>\r\n")
            return None
        try:
            address = path[1].decode()
            parameters = tuple((path[2] or b"").decode().upper().split())
        except UnicodeDecodeError:
            self._refuse(b"501 5.6.7 Not UTF-8\r\n")
            return None
        for parameter in parameters:
            if known.get(parameter.partition("=")[0]) not in self._announced:
                self._refuse(b"555 5.5.4 Parameter not known\r\n")
                return None
        return address, parameters

    def _on_data(self, argument: bytes) -> None:
        if argument:
            self._refuse(b"501 5.5.4 DATA takes nothing\r\n")
        elif self._mail.sender is None or self._mail.is_chunked or self._mail.has_lost_chunks:
            self._refuse(b"503 5.5.1 MAIL and RCPT first\r\n")
        elif not self._mail.recipients:
            self._refuse(b"554 5.5.1 No valid recipients\r\n")
        elif self._answer(
            Phase.DATA, b"354 End with a dot on its own line\r\n", self._mail.recipients
        ):
            # With the line end before it in the buffer, the first line is like any other.
            self._buffer[:0] = b"\r\n"
            self._scanned = 0
            self._read = self._read_content

    def _on_bdat(self, argument: bytes) -> None:
        words = argument.upper().split()
        if not words or not words[0].isdigit() or words[1:] not in ([], [b"LAST"]):
            # Without a length nobody knows where the next command begins.
            self._close_with(b"501 5.5.4 Write BDAT length [LAST]\r\n")
            return
        self._chunk_left = int(words[0])
        self._is_last_chunk = len(words) == 2
        self._chunk_refusal = self._chunk_objection()
        if not self._chunk_refusal and not self._mail.is_chunked:
            self._consult_about_chunks()
        self._read = self._read_chunk

    def _chunk_objection(self) -> bytes:
        if "CHUNKING" not in self._announced:
            return b"502 5.5.1 CHUNKING is not offered\r\n"
        if self._mail.sender is None or self._mail.has_lost_chunks:
            return b"503 5.5.1 MAIL and RCPT first\r\n"
        if not self._mail.recipients:
            return b"554 5.5.1 No valid recipients\r\n"
        if len(self._mail.chunks) + self._chunk_left > self._terms.limits.message_bytes:
            return b"552 5.3.4 Too big\r\n"
        return b""

    def _consult_about_chunks(self) -> None:
        """There is no 354 to replace: what the script has for it is the answer to the chunk."""
        self._mail.is_chunked = True
        action = self._consult(Phase.DATA, self._mail.recipients)
        if isinstance(action, Reply) and action.code != 421:
            self._chunk_refusal = b"" if _is_positive(action) else action.line()
        elif action is not None:
            self._give(action, b"")

    def _end_chunk(self) -> None:
        if self._chunk_refusal:
            self._mail.has_lost_chunks = self._mail.sender is not None
            self._mail.chunks.clear()
            self._say(self._chunk_refusal)
        elif self._is_last_chunk:
            self._complete(bytes(self._mail.chunks))
        else:
            self._say(b"250 2.0.0 Ok\r\n")

    def _on_rset(self, argument: bytes) -> None:
        if argument:
            self._refuse(b"501 5.5.4 RSET takes nothing\r\n")
        elif self._answer(Phase.RSET, b"250 2.0.0 Ok\r\n"):
            self._mail = _Mail()

    def _on_noop(self, argument: bytes) -> None:
        self._say(b"250 2.0.0 Ok\r\n")

    def _on_vrfy(self, argument: bytes) -> None:
        self._say(b"252 2.5.0 Send it and see\r\n")

    def _on_help(self, argument: bytes) -> None:
        self._say(b"214 2.0.0 RFC 5321\r\n")

    def _on_quit(self, argument: bytes) -> None:
        self._answer(Phase.QUIT, b"221 2.0.0 Bye\r\n")
        if not self._is_over:
            self._leave(Finish())

    def _start_over(self) -> None:
        self._is_greeted = False
        self._is_authenticated = False
        self._announced = frozenset()
        self._mail = _Mail()

    def _notice_content(self, octets: int) -> None:
        if self._mail.has_content or octets <= 0:
            return
        self._mail.has_content = True
        action = self._consult(Phase.BODY, self._mail.recipients)
        if action is not None:
            self._give(action, b"")

    def _complete(self, content: bytes) -> None:
        envelope = Envelope(
            self._mail.sender or "", tuple(self._mail.recipients), self._mail.parameters
        )
        objection = self._objection(content)
        self._mail = _Mail()
        if objection:
            self._say(objection)
            return
        action = self._consult(Phase.DOT, envelope.rcpt_to)
        if not _is_positive(action):
            self._give(action, ACCEPTED)
            return
        self._deliver(envelope, content)
        self._give(self._consult(Phase.AFTER_DOT, envelope.rcpt_to) or action, ACCEPTED)

    def _objection(self, content: bytes) -> bytes:
        if self._mail.is_too_big or len(content) > self._terms.limits.message_bytes:
            return b"552 5.3.4 Too big\r\n"
        if not _has_clean_line_ends(content):
            return b"554 5.6.0 Lines end with CRLF; no CR or LF stands alone\r\n"
        if not _has_short_lines(content):
            return b"554 5.6.0 Line longer than 998 octets\r\n"
        return b""

    # Answering

    def _say(self, line: bytes) -> None:
        if self._out and isinstance(last := self._out[-1], bytes):
            self._out[-1] = last + line
        else:
            self._out.append(line)

    def _refuse(self, line: bytes) -> None:
        self._say(line)
        self._errors += 1
        if self._errors > self._terms.limits.errors:
            self._close_with(b"421 4.7.0 Too many errors\r\n")

    def _close_with(self, line: bytes) -> None:
        self._say(line)
        self._leave(Finish())

    def _leave(self, farewell: Finish | Drop | Flood) -> None:
        self._out.append(farewell)
        self._is_over = True
        self._buffer.clear()

    def _answer(self, phase: Phase, proper: bytes, recipients: Sequence[str] = ()) -> bool:
        """Give the proper answer or the script's; tell whether the command takes effect."""
        return self._give(self._consult(phase, recipients), proper)

    def _consult(self, phase: Phase, recipients: Sequence[str] = ()) -> Outcome | None:
        performance = self._performance()
        if phase not in performance.phases:
            return None
        seconds, action = performance.at(phase, connection=self.connection, recipients=recipients)
        if seconds:
            self._out.append(Wait(seconds))
        return action

    def _give(self, action: Outcome | None, proper: bytes) -> bool:
        match action:
            case None:
                self._say(proper)
            case Reply(code=421):
                self._close_with(action.line())
            case Reply():
                self._say(action.line())
            case Close():
                self._leave(Drop())
            case Half():
                self._say(proper[: len(proper) // 2])
                self._leave(Drop())
            case Endless():
                self._leave(Flood(action.line()))
            case Drip():
                for octet in proper:
                    self._out += [bytes((octet,)), Wait(action.seconds)]
            case Extra():
                self._say(proper + action.lines())
            case _:
                assert_never(action)
        return _is_positive(action)


def _is_positive(action: Outcome | None) -> bool:
    match action:
        case None | Drip() | Extra():
            return True
        case Reply():
            return action.code < 400
        case Close() | Half() | Endless():
            return False
        case _:
            assert_never(action)


def _has_clean_line_ends(content: bytes) -> bool:
    # It notes in C which of CRLF, CR and LF it saw, in a third of the time of counting each.
    decoder = io.IncrementalNewlineDecoder(None, translate=False)
    decoder.decode(content.decode("latin-1"), final=True)
    return decoder.newlines in (None, "\r\n")


def _has_short_lines(content: bytes) -> bool:
    """Goes by the last line end within reach each time, so most lines are never looked at."""
    start = 0
    while len(content) - start > LONGEST_CONTENT_LINE + 2:
        end = content.rfind(b"\n", start, start + LONGEST_CONTENT_LINE + 2)
        if end < 0:
            return False
        start = end + 1
    return True


_VERBS: dict[bytes, Callable[[Session, bytes], None]] = {
    b"HELO": Session._on_helo,
    b"EHLO": Session._on_ehlo,
    b"STARTTLS": Session._on_starttls,
    b"AUTH": Session._on_auth,
    b"MAIL": Session._on_mail,
    b"RCPT": Session._on_rcpt,
    b"DATA": Session._on_data,
    b"BDAT": Session._on_bdat,
    b"RSET": Session._on_rset,
    b"NOOP": Session._on_noop,
    b"VRFY": Session._on_vrfy,
    b"HELP": Session._on_help,
    b"QUIT": Session._on_quit,
}
