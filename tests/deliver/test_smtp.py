import asyncio
import base64
import datetime
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from socket import SocketIO
from typing import TypeVar

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from newsletter.clock import utc_now
from newsletter.deliver import lane, smtp
from newsletter.deliver.connections import Connections
from newsletter.deliver.outcome import Reply
from newsletter.deliver.single import send_single
from newsletter.deliver.smtp import (
    AnswerLost,
    ConnectionLost,
    Endpoint,
    Envelope,
    SmtpConnection,
    TransportRefused,
)
from newsletter.deliver.wire import parcel_of
from newsletter.devmail import script
from newsletter.devmail.peer import DevMail, running_devmail
from newsletter.devmail.script import Close, Endless, Extra, Half, Phase, Rule, Script, Withhold
from newsletter.devmail.server import Manner
from newsletter.devmail.session import Credentials, Limits, Terms
from newsletter.errors import AddressError
from newsletter.models import Security

T = TypeVar("T")

ADA = Envelope("b-token@mail.harbour.example", "ada@readers.example")
BO = Envelope("b-other@mail.harbour.example", "bo@readers.example")
LETTER = b"Subject: Hi\r\n\r\nGood morning\r\n"
CREDENTIALS = Credentials("harbour", "pass word é")

# With BDAT, with DATA, and one command at a time.
pipelining = pytest.mark.parametrize("withheld", ["NOTHING", "CHUNKING", "PIPELINING"])


def endpoint(port: int, **changes: object) -> Endpoint:
    values: dict[str, object] = {
        "host": "localhost",
        "port": port,
        "security": Security.NONE,
        "ehlo_name": "mail.harbour.example",
        "dot_seconds": 2.0,
    }
    return Endpoint(**(values | changes))  # type: ignore[arg-type]


def on_wire(job: Callable[[], Awaitable[T]]) -> T:
    async def run() -> T:
        return await job()

    return uvloop.run(run())


def send(where: Endpoint, *envelopes: Envelope, content: bytes = LETTER) -> list[Reply]:
    """The replies to one message to each envelope, over one connection."""

    async def run() -> list[Reply]:
        connection = await SmtpConnection.open(where)
        try:
            return [
                await connection.send(each, content, before_content=lambda: None)
                for each in envelopes
            ]
        finally:
            await connection.quit()

    return on_wire(run)


def peer_with(*rules: tuple[Phase, script.Action], withheld: str = "NOTHING", **place: object):  # type: ignore[no-untyped-def]
    """A running server: the rules, and one extension that it does not announce."""
    made = [Rule(phase=Phase.EHLO, action=Withhold(extension=withheld))]
    made += [
        Rule.model_validate({"phase": phase, "action": action} | place) for phase, action in rules
    ]
    return running_devmail(script=Script(rules=tuple(made)))


@contextmanager
def raw_server(*talks: Callable[[socket.socket, SocketIO], None]) -> Iterator[int]:
    """A port where each connection in turn is handled by one of `talks`, and then closed."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def serve() -> None:
            for talk in talks:
                connection, _ = listener.accept()
                with connection, connection.makefile("rwb", buffering=0) as wire:
                    try:
                        talk(connection, wire)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(5)


def greet(wire: SocketIO, *extensions: str) -> None:
    wire.write(b"220 raw\r\n")
    wire.readline()
    wire.write(b"250-raw\r\n")
    for extension in extensions:
        wire.write(f"250-{extension}\r\n".encode())
    wire.write(b"250 HELP\r\n")


@pipelining
def test_one_connection_carries_many_messages(withheld: str) -> None:
    with peer_with(withheld=withheld) as peer:
        replies = send(endpoint(peer.port), ADA, BO, ADA)

        assert [reply.code for reply in replies] == [250, 250, 250]
        assert replies[0].enhanced == "2.0.0"
        assert [(mail.mail_from, mail.rcpt_to) for mail in peer.messages()] == [
            (each.mail_from, (each.rcpt_to,)) for each in (ADA, BO, ADA)
        ]
        assert peer.connections == 1


@pipelining
def test_a_refused_recipient_does_not_end_the_connection(withheld: str) -> None:
    refusal = script.Reply(code=550, enhanced="5.1.1", text="Nobody here")
    with peer_with((Phase.RCPT, refusal), withheld=withheld, recipient="^ada@") as peer:
        refused, accepted = send(endpoint(peer.port), ADA, BO)

        assert refused == Reply(550, "5.1.1", "Nobody here")
        assert accepted.code == 250
        assert peer.connections == 1


@pipelining
def test_a_refusal_at_data_is_the_recipients(withheld: str) -> None:
    refusal = script.Reply(code=451, text="Busy")
    with peer_with((Phase.DATA, refusal), withheld=withheld, times=1) as peer:
        refused, accepted = send(endpoint(peer.port), ADA, BO)

        assert (refused.code, accepted.code) == (451, 250)
        assert len(peer.messages()) == 1


@pipelining
def test_a_refused_sender_is_the_transports_trouble(withheld: str) -> None:
    refusal = script.Reply(code=550, text="Not you")
    with (
        peer_with((Phase.MAIL, refusal), withheld=withheld) as peer,
        pytest.raises(TransportRefused) as caught,
    ):
        send(endpoint(peer.port), ADA)

    assert caught.value.phase is smtp.Phase.MAIL


@pipelining
@pytest.mark.parametrize("phase", [Phase.MAIL, Phase.RCPT])
def test_421_before_content_judges_nobody(phase: Phase, withheld: str) -> None:
    """R-04."""
    closing_down = script.Reply(code=421, text="Closing down")
    with (
        peer_with((phase, closing_down), withheld=withheld) as peer,
        pytest.raises(ConnectionLost),
    ):
        send(endpoint(peer.port), ADA)


def test_421_to_the_dot_is_an_answer_and_ends_the_connection() -> None:
    with peer_with((Phase.DOT, script.Reply(code=421))) as peer:

        async def run() -> tuple[Reply, bool]:
            connection = await SmtpConnection.open(endpoint(peer.port))
            reply = await connection.send(ADA, LETTER, before_content=lambda: None)
            return reply, connection.is_usable

        reply, is_usable = on_wire(run)

    assert reply.code == 421
    assert not is_usable


@pytest.mark.parametrize(
    ("phase", "action"),
    [
        (Phase.CONNECT, Close()),
        (Phase.BANNER, Half()),
        (Phase.EHLO, Close()),
        (Phase.EHLO, Endless()),
        (Phase.MAIL, Close()),
        (Phase.RCPT, Half()),
        (Phase.RCPT, Endless()),
        (Phase.DATA, Close()),
        (Phase.DATA, script.Reply(code=354, pad=100_000)),
        (Phase.DATA, script.Reply(code=250)),
    ],
)
def test_trouble_before_content_is_a_lost_connection(phase: Phase, action: script.Action) -> None:
    with (
        peer_with((phase, action), withheld="CHUNKING") as peer,
        pytest.raises(ConnectionLost),
    ):
        send(endpoint(peer.port), ADA)


@pytest.mark.parametrize(
    ("phase", "action"),
    [
        (Phase.BODY, Close()),
        (Phase.DOT, Close()),
        (Phase.AFTER_DOT, Close()),
        (Phase.AFTER_DOT, Half()),
        (Phase.AFTER_DOT, Endless()),
        (Phase.AFTER_DOT, script.Reply(code=250, pad=10_000)),
        (Phase.DOT, script.Reply(code=354)),
        (Phase.AFTER_DOT, script.Delay(seconds=9)),
    ],
)
def test_trouble_after_content_is_a_lost_answer(phase: Phase, action: script.Action) -> None:
    with peer_with((phase, action)) as peer, pytest.raises(AnswerLost):
        send(endpoint(peer.port, dot_seconds=0.3), ADA)


def test_a_verdict_stands_though_the_connection_ends_at_rset() -> None:
    with peer_with((Phase.RCPT, script.Reply(code=550)), (Phase.RSET, Close())) as peer:

        async def run() -> tuple[Reply, bool]:
            connection = await SmtpConnection.open(endpoint(peer.port))
            reply = await connection.send(ADA, LETTER, before_content=lambda: None)
            return reply, connection.is_usable

        reply, is_usable = on_wire(run)

    assert reply.code == 550
    assert not is_usable


def test_a_verdict_stands_though_the_server_hangs_up_with_it() -> None:
    def talk(_: socket.socket, wire: SocketIO) -> None:
        greet(wire, "PIPELINING")
        for _command in range(3):
            wire.readline()
        wire.write(b"250 fine\r\n550 5.1.1 Nobody here\r\n")

    with raw_server(talk) as port:

        async def run() -> Reply:
            connection = await SmtpConnection.open(endpoint(port))
            return await connection.send(ADA, LETTER, before_content=lambda: None)

        assert on_wire(run).code == 550


def test_a_server_that_wants_content_for_nobody_gets_an_empty_one() -> None:
    """RFC 2920 section 3.1."""
    lines: list[bytes] = []

    def talk(_: socket.socket, wire: SocketIO) -> None:
        greet(wire, "PIPELINING")
        lines.extend(wire.readline() for _ in range(3))
        wire.write(b"250 fine\r\n550 nobody\r\n354 go on\r\n")
        lines.append(wire.readline())
        wire.write(b"554 no valid recipients\r\n")
        lines.append(wire.readline())
        wire.write(b"250 forgotten\r\n")
        wire.readline()

    with raw_server(talk) as port:
        [reply] = send(endpoint(port), ADA)

    assert reply.code == 550
    assert lines[3:] == [b".\r\n", b"RSET\r\n"]


@pytest.mark.parametrize(
    "banner",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"\x00\xff" * 9000,
        b"999 hm\r\n",
    ],
)
def test_what_is_no_mail_server_is_a_lost_connection(banner: bytes) -> None:
    def talk(_: socket.socket, wire: SocketIO) -> None:
        wire.write(banner)

    with (
        raw_server(talk) as port,
        pytest.raises(ConnectionLost),
    ):
        send(endpoint(port), ADA)


def test_nobody_listening_is_a_lost_connection() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(ConnectionLost, match="cannot connect"):
        send(endpoint(port), ADA)


def test_a_host_name_that_cannot_be_is_a_lost_connection() -> None:
    with pytest.raises(ConnectionLost, match="cannot connect"):
        send(endpoint(25, host=f"{'x' * 80}..example"), ADA)


def test_a_connection_that_was_reset_meanwhile_is_lost_and_nothing_worse() -> None:
    def talk(connection: socket.socket, wire: SocketIO) -> None:
        greet(wire, "PIPELINING")
        for _ in range(3):
            wire.readline()
        wire.write(b"250 fine\r\n250 fine\r\n354 go on\r\n")
        while wire.readline() != b".\r\n":
            pass
        wire.write(b"250 taken\r\n")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with raw_server(talk) as port:

        async def run() -> None:
            connection = await SmtpConnection.open(endpoint(port))
            await connection.send(ADA, LETTER, before_content=lambda: None)
            await asyncio.sleep(0.2)
            assert not connection.is_alive()
            with pytest.raises(ConnectionLost):
                await connection.send(BO, LETTER, before_content=lambda: None)
            await connection.quit()

        on_wire(run)


def test_answers_that_nobody_asked_for_end_the_connection_before_content() -> None:
    """Taken for answers to what follows, they would have somebody recorded as mailed who was not."""
    with peer_with((Phase.AFTER_DOT, Extra(count=2))) as peer:

        async def run() -> None:
            connection = await SmtpConnection.open(endpoint(peer.port))
            await connection.send(ADA, LETTER, before_content=lambda: None)
            with pytest.raises(ConnectionLost):
                await connection.send(BO, LETTER, before_content=lambda: None)

        on_wire(run)

        assert [mail.rcpt_to for mail in peer.messages()] == [(ADA.rcpt_to,)]


def test_an_answer_to_content_that_came_before_the_content_is_not_believed() -> None:
    with (
        peer_with((Phase.DATA, Extra()), withheld="CHUNKING") as peer,
        pytest.raises(ConnectionLost),
    ):
        send(endpoint(peer.port), ADA)


def test_content_that_is_withdrawn_at_the_last_moment_does_not_go_out() -> None:
    class Withdrawn(Exception):  # noqa: N818
        pass

    def withdraw() -> None:
        raise Withdrawn

    with running_devmail() as peer:

        async def run() -> bool:
            connection = await SmtpConnection.open(endpoint(peer.port))
            with pytest.raises(Withdrawn):
                await connection.send(ADA, LETTER, before_content=withdraw)
            return connection.is_usable

        assert not on_wire(run)
        assert peer.messages() == []


@pytest.mark.parametrize(
    "content",
    [
        b".\r\n",
        b"..\r\n.\r\n\r\n.x\r\n",
        b"a\r\n.\r\n.\r\nQUIT\r\n",
        b"no dot\r\n",
        b"x." * 400 + b"\r\n",
    ],
)
def test_lines_that_begin_with_a_dot_arrive_unchanged(content: bytes) -> None:
    with running_devmail() as peer:
        [reply] = send(endpoint(peer.port), ADA, content=content)

        assert reply.code == 250
        assert peer.messages()[0].content == content


def test_an_address_beyond_ascii_asks_for_smtputf8() -> None:
    jorg = Envelope(ADA.mail_from, "jörg@readers.example")
    with running_devmail() as peer:
        [reply] = send(endpoint(peer.port), jorg)

        assert reply.code == 250
        [mail] = peer.messages()
        assert mail.rcpt_to == ("jörg@readers.example",)
        assert "SMTPUTF8" in mail.mail_parameters


def test_without_smtputf8_such_an_address_fails_and_the_next_goes_on() -> None:
    jorg = Envelope(ADA.mail_from, "jörg@readers.example")
    with peer_with(withheld="SMTPUTF8") as peer:
        failed, accepted = send(endpoint(peer.port), jorg, ADA)

        assert (failed.code, failed.enhanced) == (550, "5.6.7")
        assert accepted.code == 250


def test_a_reply_in_no_known_encoding_is_still_read() -> None:
    def talk(_: socket.socket, wire: SocketIO) -> None:
        greet(wire)
        wire.readline()
        wire.write(b"250-fine\r\n250 very\xff\x00fine\r\n")
        wire.readline()
        wire.write(b"550-5.1.1 na\xc3\xafn\r\n550 \xe9\x00!\r\n")
        wire.readline()
        wire.write(b"250\r\n")
        wire.readline()

    with raw_server(talk) as port:
        [reply] = send(endpoint(port), ADA)

    assert reply == Reply(550, "5.1.1", "naïn\n\ufffd\ufffd!")


@pytest.mark.parametrize(
    "address", ["a>\r\nRCPT TO:<b@x.example", "a b@x.example", "a\n@x.example"]
)
def test_no_envelope_holds_an_address_that_would_end_its_command(address: str) -> None:
    for mail_from, rcpt_to in ((address, ADA.rcpt_to), (ADA.mail_from, address)):
        with pytest.raises(AddressError):
            Envelope(mail_from, rcpt_to)


# BDAT


CHUNKING = ("PIPELINING", "ENHANCEDSTATUSCODES", "CHUNKING")


@pytest.fixture
def _all_servers_may_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "_no_chunks", set())


def read_chunk(wire: SocketIO) -> bytes:
    command, octets = wire.readline(), b""
    size = int(command.removeprefix(b"BDAT ").removesuffix(b" LAST\r\n"))
    while len(octets) < size:
        octets += wire.read(size - len(octets)) or b""
    return octets


@pytest.mark.usefixtures("_all_servers_may_chunk")
def test_content_goes_out_as_one_chunk_as_soon_as_its_envelope_is_accepted() -> None:
    heard: list[bytes] = []

    def talk(_: socket.socket, wire: SocketIO) -> None:
        greet(wire, *CHUNKING)
        heard.extend(wire.readline().split(b":")[0] for _ in range(2))
        wire.write(b"250 2.1.0 fine\r\n250 2.1.5 fine\r\n")
        heard.append(read_chunk(wire))
        wire.write(b"250 2.0.0 taken\r\n")
        wire.readline()

    with raw_server(talk) as port:
        [reply] = send(endpoint(port), ADA, content=b"a\r\n.\r\n..b\r\n")

    assert reply.code == 250
    assert heard == [b"MAIL FROM", b"RCPT TO", b"a\r\n.\r\n..b\r\n"]


@pytest.mark.usefixtures("_all_servers_may_chunk")
@pytest.mark.parametrize("code", [500, 502, 503, 504])
def test_a_server_that_cannot_do_what_it_offers_gets_data_from_then_on(code: int) -> None:
    def talk(_: socket.socket, wire: SocketIO) -> None:
        greet(wire, *CHUNKING)
        wire.readline(), wire.readline()
        wire.write(b"250 2.1.0 fine\r\n250 2.1.5 fine\r\n")
        read_chunk(wire)
        wire.write(f"{code} 5.5.1 what?\r\n".encode())
        assert wire.readline() == b"RSET\r\n"
        wire.write(b"250 2.0.0 forgotten\r\n")
        take_with_data(wire)
        wire.readline()

    def talk_again(_: socket.socket, wire: SocketIO) -> None:
        greet(wire, *CHUNKING)
        take_with_data(wire)
        wire.readline()

    with raw_server(talk, talk_again) as port:
        [first] = send(endpoint(port), ADA)
        [second] = send(endpoint(port), BO)

    assert (first.code, second.code) == (250, 250)


def take_with_data(wire: SocketIO) -> None:
    assert [wire.readline()[:4] for _ in range(3)] == [b"MAIL", b"RCPT", b"DATA"]
    wire.write(b"250 2.1.0 fine\r\n250 2.1.5 fine\r\n354 go on\r\n")
    while wire.readline() != b".\r\n":
        pass
    wire.write(b"250 2.0.0 taken\r\n")


@pytest.mark.usefixtures("_all_servers_may_chunk")
@pytest.mark.parametrize("answer", [b"250 taken\r\n", b"250 2.1.5 fine\r\n"])
def test_a_chunks_answer_that_may_be_about_something_else_is_not_believed(answer: bytes) -> None:
    def talk(_: socket.socket, wire: SocketIO) -> None:
        greet(wire, *CHUNKING)
        wire.readline(), wire.readline()
        wire.write(b"250 2.1.0 fine\r\n250 2.1.5 fine\r\n")
        read_chunk(wire)
        wire.write(answer)
        wire.readline()

    with raw_server(talk) as port, pytest.raises(AnswerLost):
        send(endpoint(port), ADA)


@pytest.mark.usefixtures("_all_servers_may_chunk")
def test_where_envelopes_are_answered_without_codes_the_content_waits_for_354() -> None:
    def talk(_: socket.socket, wire: SocketIO) -> None:
        greet(wire, *CHUNKING)
        wire.readline(), wire.readline()
        wire.write(b"250 fine\r\n250 fine\r\n")
        assert wire.readline() == b"DATA\r\n"
        wire.write(b"354 go on\r\n")
        while wire.readline() != b".\r\n":
            pass
        wire.write(b"250 taken\r\n")
        wire.readline()

    with raw_server(talk) as port:
        [reply] = send(endpoint(port), ADA)

    assert reply.code == 250


# Patience


def test_a_server_that_drips_does_not_hold_a_connection_for_longer_than_an_answer_may_take() -> (
    None
):
    """F-19: not the octets count, but the answer."""
    with (
        peer_with((Phase.AFTER_DOT, script.Drip(seconds=0.2))) as peer,
        pytest.raises(AnswerLost),
    ):
        send(endpoint(peer.port, dot_seconds=0.5), ADA)


# Security


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of `localhost`, signed by nobody but itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    day = datetime.timedelta(days=1)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(utc_now() - day)
        .not_valid_after(utc_now() + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    file.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return file


@pytest.fixture
def _trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine trusts that certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    smtp.tls_context.cache_clear()
    yield
    smtp.tls_context.cache_clear()


def secure_peer(certificate: Path, *, is_implicit: bool = False, auth: bool = False):  # type: ignore[no-untyped-def]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    terms = Terms(starttls=not is_implicit, credentials=CREDENTIALS if auth else None)
    return running_devmail(manner=Manner(terms=terms, tls=context, is_implicit_tls=is_implicit))


@pytest.mark.usefixtures("_trusted")
@pytest.mark.parametrize("security", [Security.STARTTLS, Security.TLS])
def test_mail_goes_over_tls_and_signs_in(certificate: Path, security: Security) -> None:
    peer: DevMail
    with secure_peer(certificate, is_implicit=security is Security.TLS, auth=True) as peer:
        where = endpoint(
            peer.port,
            security=security,
            username=CREDENTIALS.user,
            password=CREDENTIALS.password,
        )

        replies = send(where, ADA, BO)

        assert [reply.code for reply in replies] == [250, 250]


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.TLS])
def test_a_certificate_that_nobody_vouches_for_is_refused(
    certificate: Path, security: Security
) -> None:
    with (
        secure_peer(certificate, is_implicit=security is Security.TLS) as peer,
        pytest.raises(ConnectionLost, match=r"(?i)certificate"),
    ):
        send(endpoint(peer.port, security=security), ADA)


@pytest.mark.usefixtures("_trusted")
def test_a_certificate_of_another_host_is_refused(certificate: Path) -> None:
    with (
        secure_peer(certificate) as peer,
        pytest.raises(ConnectionLost, match=r"(?i)certificate"),
    ):
        send(endpoint(peer.port, host="127.0.0.1", security=Security.STARTTLS), ADA)


def test_without_starttls_nothing_is_said_in_the_clear() -> None:
    """H-15."""
    with running_devmail() as peer:
        with pytest.raises(TransportRefused) as caught:
            send(
                endpoint(
                    peer.port, security=Security.STARTTLS, username="harbour", password="secret"
                ),
                ADA,
            )

        assert caught.value.phase is smtp.Phase.STARTTLS
        assert peer.messages() == []


@pytest.mark.usefixtures("_trusted")
@pytest.mark.parametrize("injected", [b"250 2.0.0 injected\r\n", b"250-AUTH"])
def test_plaintext_behind_the_answer_to_starttls_is_refused(
    certificate: Path, injected: bytes
) -> None:
    """What was injected in the clear must not be read as said in secret."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    heard: list[bytes] = []

    def talk(connection: socket.socket, wire: SocketIO) -> None:
        greet(wire, "STARTTLS")
        wire.readline()
        wire.write(b"220 go ahead\r\n" + injected)
        with context.wrap_socket(connection, server_side=True) as secured:
            heard.append(secured.recv(100))

    with raw_server(talk) as port, pytest.raises(ConnectionLost):
        send(endpoint(port, security=Security.STARTTLS), ADA)

    assert heard in ([], [b""])


@pytest.mark.parametrize("offered", ["AUTH PLAIN LOGIN", "AUTH LOGIN"])
def test_it_signs_in_with_what_is_offered(offered: str) -> None:
    heard: list[bytes] = []

    def talk(_: socket.socket, wire: SocketIO) -> None:
        greet(wire, offered)
        heard.append(wire.readline())
        if b"LOGIN" in heard[0]:
            wire.write(b"334 VXNlcm5hbWU6\r\n")
            heard.append(wire.readline())
            wire.write(b"334 UGFzc3dvcmQ6\r\n")
            heard.append(wire.readline())
        wire.write(b"235 welcome\r\n")
        wire.readline()

    with raw_server(talk) as port:
        send(endpoint(port, username="harbour", password="secret"))

    if "PLAIN" in offered:
        assert heard == [b"AUTH PLAIN AGhhcmJvdXIAc2VjcmV0\r\n"]
    else:
        assert heard == [b"AUTH LOGIN\r\n", b"aGFyYm91cg==\r\n", b"c2VjcmV0\r\n"]


def test_it_signs_in_with_an_access_token() -> None:
    heard: list[bytes] = []

    def talk(_: socket.socket, wire: SocketIO) -> None:
        greet(wire, "AUTH PLAIN XOAUTH2")
        heard.append(wire.readline())
        wire.write(b"235 2.7.0 welcome\r\n")
        wire.readline()

    where = {"username": "harbour", "password": "token", "mechanism": "xoauth2"}
    with raw_server(talk) as port:
        send(endpoint(port, **where))

    [line] = heard
    assert line.startswith(b"AUTH XOAUTH2 ")
    assert base64.b64decode(line.split()[2]) == b"user=harbour\1auth=Bearer token\1\1"


def test_a_token_that_is_not_taken_is_the_transports_trouble() -> None:
    """The challenge says why; the refusal comes once it is answered with nothing."""
    heard: list[bytes] = []

    def talk(_: socket.socket, wire: SocketIO) -> None:
        greet(wire, "AUTH XOAUTH2")
        wire.readline()
        wire.write(b"334 eyJzdGF0dXMiOiI0MDEifQ==\r\n")
        heard.append(wire.readline())
        wire.write(b"535 5.7.8 token expired\r\n")
        wire.readline()

    where = {"username": "harbour", "password": "s3cret-token", "mechanism": "xoauth2"}
    with raw_server(talk) as port, pytest.raises(TransportRefused) as caught:
        send(endpoint(port, **where))

    assert heard == [b"\r\n"]
    assert (caught.value.phase, caught.value.reply.code) == (smtp.Phase.AUTH, 535)
    assert "s3cret-token" not in str(caught.value)


def test_a_wrong_password_is_the_transports_trouble_and_is_not_shown() -> None:
    terms = Terms(credentials=CREDENTIALS)
    where = {"username": "harbour", "password": "hunter2"}
    with (
        running_devmail(manner=Manner(terms=terms)) as peer,
        pytest.raises(TransportRefused) as caught,
    ):
        send(endpoint(peer.port, **where), ADA)

    assert caught.value.phase is smtp.Phase.AUTH
    assert caught.value.reply.code == 535
    assert "hunter2" not in str(caught.value) + repr(endpoint(25, **where))


# Connections


def test_idle_connections_are_used_again_and_dead_ones_are_not() -> None:
    with running_devmail() as peer:

        async def run() -> None:
            connections, where = Connections(), endpoint(peer.port)
            first = await connections.take(where)
            connections.give_back(first, most_messages=10)
            assert await connections.take(where) is first
            first.abort()
            connections.give_back(first, most_messages=10)
            second = await connections.take(where)
            assert second is not first
            await send_single(second, parcel_of(ADA, LETTER), before_content=lambda: None)
            connections.give_back(second, most_messages=1)
            third = await connections.take(where)
            assert third is not second
            connections.give_back(third, most_messages=10)
            await connections.close()
            assert not third.is_usable

        on_wire(run)


def test_a_server_with_too_many_connections_refuses_the_transport() -> None:
    terms = Terms(limits=Limits(connections=1))
    with running_devmail(manner=Manner(terms=terms)) as peer:

        async def run() -> None:
            first = await SmtpConnection.open(endpoint(peer.port))
            with pytest.raises(TransportRefused):
                await SmtpConnection.open(endpoint(peer.port))
            await first.quit()

        on_wire(run)
