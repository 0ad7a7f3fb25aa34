"""What the parts of the send path cost by themselves: in this process, without a wire."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from sqlalchemy import Engine

from newsletter.addresses import parse_address
from newsletter.clock import utc_now
from newsletter.db import transaction
from newsletter.deliver import claims, ledger
from newsletter.deliver.batch_run import WINDOW
from newsletter.deliver.claims import Claim
from newsletter.deliver.dkim import Signer, SigningKey
from newsletter.deliver.dkim_keys import keys_for, signing_key
from newsletter.deliver.outcome import Outcome, Reply
from newsletter.models import CompiledEdition, DeliveryState
from newsletter.plan import schedule
from newsletter.plan.planner import plan_slice
from newsletter.render.compiled import Compiled
from newsletter.render.message import Assembler
from newsletter.render.recipient import Recipient
from newsletter.settings import Settings
from newsletter.tokens import Tokens

T = TypeVar("T")

BATCHES = 4
SIGNATURES = 200
TO_SIGN = bytes(1000)
SENDER_DOMAIN = "bench.example"
LEASE = timedelta(minutes=5)
TAKEN = Reply(250, "2.0.0", "taken")


@dataclass(frozen=True, slots=True)
class Split:
    """CPU microseconds of the thread per message, by part, and one whole message.

    `bare_signature_us` is what the cryptography alone costs, None where nothing is signed.
    """

    cpu_us: dict[str, float]
    bare_signature_us: float | None
    sample: bytes


def split_cost(engine: Engine, settings: Settings, edition_id: int, list_id: int) -> Split:
    """Take an approved edition through a few batches with a server that is only imagined."""
    with transaction(engine) as session:
        schedule.send_now(session, edition_id, now=utc_now())
        plan_slice(session, edition_id, now=utc_now(), slice_size=BATCHES * 500)
        form = session.get_one(CompiledEdition, (edition_id, 1, list_id)).form
        keys = [signing_key(key) for key in keys_for(session, SENDER_DOMAIN)]
    assembler = Assembler(Compiled.from_bytes(form), Tokens(settings.secret_keys))
    signer = Signer(keys)
    spent = {"claim": 0.0, "build": 0.0, "sign": 0.0, "record": 0.0}
    messages, sample = 0, b""
    while True:
        claimed, seconds = _timed(partial(_claim, engine))
        if claimed is None:
            break
        spent["claim"] += seconds
        built, seconds = _timed(partial(_build, assembler, claimed))
        spent["build"] += seconds
        signed, seconds = _timed(partial(_sign, signer, built))
        spent["sign"] += seconds
        _, seconds = _timed(partial(_record, engine, claimed))
        spent["record"] += seconds
        messages += len(built)
        sample = signed[-1]
    with transaction(engine) as session:
        schedule.cancel(session, edition_id)
    return Split(
        {name: cost / messages * 1e6 for name, cost in spent.items()}, _bare_signature(keys), sample
    )


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    before = time.thread_time()
    result = work()
    return result, time.thread_time() - before


def _claim(engine: Engine) -> Claim | None:
    with transaction(engine) as session:
        return claims.claim(session, now=utc_now(), lease=LEASE)


def _build(assembler: Assembler, claim: Claim) -> list[bytes]:
    now = utc_now()
    messages = []
    for reader in claim.readers:
        recipient = Recipient(
            subscriber_id=reader.subscriber_id,
            list_id=reader.list_id,
            address=parse_address(reader.address),
            name=reader.name,
            joined_on=reader.joined_on,
        )
        assembler.return_path(recipient)
        messages.append(assembler.message(recipient, date=now))
    return messages


def _sign(signer: Signer, messages: list[bytes]) -> list[bytes]:
    now = utc_now()
    return [signer.sign(message, at=now) for message in messages]


def _bare_signature(keys: list[SigningKey]) -> float | None:
    if not keys:
        return None
    _, seconds = _timed(lambda: [_sign_bare(key) for _ in range(SIGNATURES) for key in keys])
    return seconds / SIGNATURES * 1e6


def _sign_bare(key: SigningKey) -> bytes:
    if isinstance(key.private, RSAPrivateKey):
        return key.private.sign(TO_SIGN, PKCS1v15(), SHA256())
    return key.private.sign(TO_SIGN)


def _record(engine: Engine, claim: Claim) -> None:
    """As a batch run does: a window's intent and the last one's outcomes in one transaction."""
    ids = [reader.subscriber_id for reader in claim.readers]
    for start in range(0, len(ids), WINDOW):
        window = ids[start : start + WINDOW]
        outcomes = [Outcome(each, DeliveryState.SENT, reply=TAKEN) for each in window]
        now = utc_now()
        with transaction(engine) as session:
            ledger.intend(session, claim.lease, upto=window[-1], now=now, extend=LEASE)
            ledger.record(session, claim.lease, outcomes, revision=claim.revision, at=now)
    with transaction(engine) as session:
        ledger.give_back(session, claim.lease, due_at=utc_now())
