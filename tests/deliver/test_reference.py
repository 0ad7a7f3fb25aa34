"""Both clients against the same servers: what becomes of a letter must not depend on the client.

The one difference there must be: ours sends the content as one BDAT where CHUNKING is offered, so
that there what happens at DATA happens to a content that is out already.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import uvloop
from sqlalchemy import Engine

from newsletter.deliver.connections import OPENERS, Connections
from newsletter.deliver.outcome import Reply
from newsletter.deliver.sender import Sender
from newsletter.deliver.wire import (
    ConnectionLost,
    Endpoint,
    Envelope,
    MailConnection,
    Parcel,
    TransportRefused,
    parcel_of,
)
from newsletter.devmail import script
from newsletter.devmail.peer import DevMail, running_devmail
from newsletter.devmail.script import Action, Close, Endless, Extra, Half, Phase, Rule, Script
from newsletter.devmail.server import Manner
from newsletter.devmail.session import Credentials, Limits, Terms
from newsletter.models import DeliveryState, Security
from tests.newsroom import (
    add_list,
    add_readers,
    add_transport,
    assert_ledger_is_exact,
    count_states,
    sending_edition,
    settings_for,
)
from tests.smtpd import checked_devmail

LETTER = b"Subject: Hi\r\n\r\nGood morning\r\n..\r\n.\r\n"
PEOPLE = ("ada", "bo", "cy")
CREDENTIALS = Credentials("harbour", "pass word é")


class Tray:
    """A post that notes what it is told, in the letters' order."""

    def __init__(self, content: bytes = LETTER) -> None:
        self.waiting = [_Letter(name, content) for name in PEOPLE]
        self.told: dict[str, str | int] = {}

    def next_letter(self, connection: MailConnection) -> "_Letter | None":
        return self.waiting.pop(0) if self.waiting else None

    def may_go(self, letter: "_Letter") -> bool:
        return letter.name != "withdrawn"

    def settled(self, letter: "_Letter", reply: Reply) -> None:
        self._tell(letter, reply.code)

    def put_back(self, letter: "_Letter") -> None:
        self._tell(letter, "put back")

    def broke_off(self, letter: "_Letter") -> None:
        self._tell(letter, "broke off")

    def uncertain(self, letter: "_Letter") -> None:
        self._tell(letter, "uncertain")

    def _tell(self, letter: "_Letter", what: str | int) -> None:
        assert letter.name not in self.told, "each letter is told of once"
        self.told[letter.name] = what


class _Letter:
    def __init__(self, name: str, content: bytes) -> None:
        self.name = name
        envelope = Envelope("b-token@mail.harbour.example", f"{name}@readers.example")
        self.parcel: Parcel = parcel_of(envelope, content)


def carried(client: str, peer: DevMail, tray: Tray, **where: object) -> str:
    """How the one connection ended."""

    async def run() -> str:
        try:
            connection = await OPENERS[client](endpoint(peer, **where))
        except (ConnectionLost, TransportRefused) as trouble:
            return type(trouble).__name__
        try:
            await connection.carry(tray)
        except (ConnectionLost, TransportRefused) as trouble:
            return type(trouble).__name__
        finally:
            await connection.quit()
        return "nothing left"

    return on_wire(run)


def endpoint(peer: DevMail, **changes: object) -> Endpoint:
    values: dict[str, object] = {
        "host": "127.0.0.1",
        "port": peer.port,
        "security": Security.NONE,
        "ehlo_name": "mail.harbour.example",
        "dot_seconds": 0.3,
    }
    return Endpoint(**(values | changes))  # type: ignore[arg-type]


def on_wire(job: Callable[[], Awaitable[str]]) -> str:
    async def run() -> str:
        return await job()

    return uvloop.run(run())


clients = pytest.mark.parametrize("client", sorted(OPENERS))
extensions = pytest.mark.parametrize("withheld", [(), ("CHUNKING",), ("CHUNKING", "PIPELINING")])


def scripted(withheld: tuple[str, ...], *rules: Rule) -> Script:
    hidden = tuple(
        Rule(phase=Phase.EHLO, action=script.Withhold(extension=extension))
        for extension in withheld
    )
    return Script(rules=hidden + rules)


def to_bo(phase: Phase, action: Action) -> Rule:
    return Rule(phase=phase, action=action, recipient="^bo@")


@clients
@extensions
def test_everything_is_accepted(client: str, withheld: tuple[str, ...]) -> None:
    with running_devmail(script=scripted(withheld)) as peer:
        tray = Tray()

        assert carried(client, peer, tray) == "nothing left"

        assert tray.told == dict.fromkeys(PEOPLE, 250)
        assert [mail.content for mail in peer.messages()] == [LETTER] * 3
        assert peer.connections == 1


@clients
@extensions
@pytest.mark.parametrize("code", [450, 550])
@pytest.mark.parametrize("phase", [Phase.RCPT, Phase.DATA, Phase.DOT])
def test_a_refusal_is_the_recipients_and_the_next_goes_on(
    client: str, withheld: tuple[str, ...], phase: Phase, code: int
) -> None:
    rule = to_bo(phase, script.Reply(code=code, enhanced=f"{code // 100}.2.0"))
    with running_devmail(script=scripted(withheld, rule)) as peer:
        tray = Tray()

        assert carried(client, peer, tray) == "nothing left"

        assert tray.told == {"ada": 250, "bo": code, "cy": 250}
        assert peer.connections == 1


@clients
@extensions
@pytest.mark.parametrize("code", [451, 550])
def test_a_refused_sender_is_nobodys_fault(
    client: str, withheld: tuple[str, ...], code: int
) -> None:
    """B-02."""
    rule = Rule(phase=Phase.MAIL, action=script.Reply(code=code), after=1)
    with running_devmail(script=scripted(withheld, rule)) as peer:
        tray = Tray()

        assert carried(client, peer, tray) == "TransportRefused"

        assert tray.told == {"ada": 250, "bo": "put back"}


@clients
@extensions
def test_421_to_the_sender_blames_nobody(client: str, withheld: tuple[str, ...]) -> None:
    """R-04."""
    rule = Rule(phase=Phase.MAIL, action=script.Reply(code=421), after=1)
    with running_devmail(script=scripted(withheld, rule)) as peer:
        tray = Tray()

        assert carried(client, peer, tray) == "ConnectionLost"

        assert tray.told == {"ada": 250, "bo": "put back"}


@clients
@pytest.mark.parametrize("withheld", [("CHUNKING",), ("CHUNKING", "PIPELINING")])
@pytest.mark.parametrize("phase", [Phase.RCPT, Phase.DATA])
@pytest.mark.parametrize("action", [script.Reply(code=421), Close(), Half(), Endless()])
def test_a_connection_that_ends_before_content_judges_nobody(
    client: str, withheld: tuple[str, ...], phase: Phase, action: Action
) -> None:
    """R-04, F-16, F-19."""
    with running_devmail(script=scripted(withheld, to_bo(phase, action))) as peer:
        tray = Tray()

        assert carried(client, peer, tray) == "ConnectionLost"

        assert tray.told == {"ada": 250, "bo": "broke off"}
        assert len(peer.messages()) == 1


@clients
@extensions
@pytest.mark.parametrize("too_many", [script.Reply(code=452, enhanced="4.5.3")])
def test_a_server_that_wants_no_more_on_this_connection_judges_nobody(
    client: str, withheld: tuple[str, ...], too_many: Action
) -> None:
    """B-02."""
    with running_devmail(script=scripted(withheld, to_bo(Phase.RCPT, too_many))) as peer:
        tray = Tray()

        assert carried(client, peer, tray) == "ConnectionLost"

        assert tray.told == {"ada": 250, "bo": "broke off"}


@clients
@extensions
@pytest.mark.parametrize(
    ("phase", "action"),
    [
        (Phase.BODY, Close()),
        (Phase.DOT, Close()),
        (Phase.AFTER_DOT, Close()),
        (Phase.AFTER_DOT, Half()),
        (Phase.AFTER_DOT, Endless()),
        (Phase.AFTER_DOT, script.Reply(code=250, pad=10_000_000)),
        (Phase.DOT, script.Reply(code=354)),
        (Phase.AFTER_DOT, script.Delay(seconds=9)),
    ],
)
def test_an_answer_that_never_comes_leaves_one_in_doubt(
    client: str, withheld: tuple[str, ...], phase: Phase, action: Action
) -> None:
    """F-16, F-17, F-19: and whoever's envelope rode behind is not."""
    with running_devmail(script=scripted(withheld, to_bo(phase, action))) as peer:
        tray = Tray()

        assert carried(client, peer, tray) == "nothing left"

        assert {"ada": 250, "bo": "uncertain"}.items() <= tray.told.items()
        assert tray.told.get("cy", "put back") == "put back"


@clients
@extensions
def test_421_to_the_content_is_an_answer_and_ends_the_connection(
    client: str, withheld: tuple[str, ...]
) -> None:
    with running_devmail(
        script=scripted(withheld, to_bo(Phase.DOT, script.Reply(code=421)))
    ) as peer:
        tray = Tray()

        assert carried(client, peer, tray) == "nothing left"

        assert {"ada": 250, "bo": 421}.items() <= tray.told.items()
        assert tray.told.get("cy", "put back") == "put back"


@clients
@extensions
@pytest.mark.parametrize("count", [1, 2, 3, 200])
def test_answers_that_nobody_asked_for_have_nobody_taken_for_mailed(
    client: str, withheld: tuple[str, ...], count: int
) -> None:
    """F-19."""
    rule = Rule(phase=Phase.AFTER_DOT, action=Extra(count=count), times=1)
    with running_devmail(script=scripted(withheld, rule)) as peer:
        tray = Tray()

        assert carried(client, peer, tray) == "ConnectionLost"

        assert [name for name, what in tray.told.items() if what == 250] == ["ada"]
        assert len(peer.messages()) == 1


@clients
@pytest.mark.parametrize(
    ("phase", "action", "end"),
    [
        (Phase.CONNECT, Close(), "ConnectionLost"),
        (Phase.BANNER, script.Reply(code=554), "TransportRefused"),
        (Phase.BANNER, script.Reply(code=421), "TransportRefused"),
        (Phase.BANNER, Half(), "ConnectionLost"),
        (Phase.BANNER, Endless(), "ConnectionLost"),
        (Phase.EHLO, script.Reply(code=550), "TransportRefused"),
        (Phase.EHLO, Close(), "ConnectionLost"),
        (Phase.EHLO, Endless(), "ConnectionLost"),
        (Phase.AUTH, script.Reply(code=535), "TransportRefused"),
        (Phase.AUTH, Close(), "ConnectionLost"),
    ],
)
def test_trouble_at_opening_is_the_transports(
    client: str, phase: Phase, action: Action, end: str
) -> None:
    """R-05."""
    manner = Manner(terms=Terms(credentials=CREDENTIALS))
    where = {"username": CREDENTIALS.user, "password": CREDENTIALS.password}
    with running_devmail(
        script=scripted((), Rule(phase=phase, action=action)), manner=manner
    ) as peer:
        tray = Tray()

        assert carried(client, peer, tray, **where) == end

        assert tray.told == {}


@clients
@pytest.mark.parametrize("mechanism", [None, "plain", "login"])
def test_both_sign_in(client: str, mechanism: str | None) -> None:
    where = {"username": CREDENTIALS.user, "password": CREDENTIALS.password}
    with running_devmail(manner=Manner(terms=Terms(credentials=CREDENTIALS))) as peer:
        tray = Tray()

        assert carried(client, peer, tray, mechanism=mechanism, **where) == "nothing left"

        assert tray.told == dict.fromkeys(PEOPLE, 250)


@clients
def test_without_starttls_nothing_is_said_in_the_clear(client: str) -> None:
    """H-15."""
    with running_devmail() as peer:
        assert carried(client, peer, Tray(), security=Security.STARTTLS) == "TransportRefused"

        assert peer.messages() == []


@clients
def test_a_message_beyond_the_announced_size_is_not_sent(client: str) -> None:
    manner = Manner(terms=Terms(limits=Limits(message_bytes=20)))
    with running_devmail(manner=manner) as peer:
        tray = Tray()

        assert carried(client, peer, tray) == "nothing left"

        assert tray.told == dict.fromkeys(PEOPLE, 552)


@clients
def test_a_letter_that_is_withdrawn_at_the_last_moment_does_not_go_out(client: str) -> None:
    with running_devmail() as peer:
        tray = Tray()
        tray.waiting[0].name = "withdrawn"

        assert carried(client, peer, tray) == "nothing left"

        assert tray.told["withdrawn"] == "put back"
        assert peer.messages() == []


@clients
def test_a_lone_message_tells_its_reply(client: str) -> None:
    async def run() -> str:
        connections = Connections(OPENERS[client])
        connection = await connections.take(endpoint(peer))
        await connection.carry(Tray())
        connections.give_back(connection, most_messages=10)
        again = await connections.take(endpoint(peer))
        assert again is connection
        connections.give_back(again, most_messages=3)
        await asyncio.sleep(0)
        await connections.close()
        return "closed" if not again.is_usable else "open"

    with running_devmail() as peer:
        assert on_wire(run) == "closed"


def test_the_reference_client_carries_an_edition(engine: Engine, tmp_path: Path) -> None:
    settings = settings_for(tmp_path, smtp_client="reference")
    refused = scripted((), Rule(phase=Phase.RCPT, action=script.Reply(code=550), recipient="^r3@"))
    with checked_devmail(script=refused) as peer:
        transport, list_id = add_transport(engine, peer.port, connections=3), add_list(engine)
        add_readers(engine, list_id, [f"r{number}" for number in range(20)])
        edition_id = sending_edition(engine, settings, [list_id], transport)

        with Sender(engine, settings) as sender:
            sender.drain(seconds=20)

        assert count_states(engine, edition_id) == {
            DeliveryState.SENT: 19,
            DeliveryState.FAILED: 1,
        }
        assert peer.connections <= 3
        assert_ledger_is_exact(engine, edition_id, peer)
