"""What assembling and signing cost by themselves: in this process, without a wire."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from sqlalchemy import Engine

from newsletter.bench.audience import first_readers
from newsletter.clock import utc_now
from newsletter.db import reading
from newsletter.deliver.dkim import Signer, SigningKey
from newsletter.deliver.dkim_keys import keys_for, signing_key
from newsletter.models import CompiledEdition
from newsletter.render.compiled import Compiled
from newsletter.render.message import Assembler, Letter
from newsletter.render.recipient import Recipient
from newsletter.settings import Settings
from newsletter.tokens import Tokens

T = TypeVar("T")

LETTERS = 1000
ROUNDS = 3
SIGNATURES = 200
TO_SIGN = bytes(1000)
SENDER_DOMAIN = "bench.example"


@dataclass(frozen=True, slots=True)
class Split:
    """CPU microseconds of the thread per message, by part, and one whole message.

    `bare_signature_us` is what the cryptography alone costs, None where nothing is signed.
    """

    cpu_us: dict[str, float]
    bare_signature_us: float | None
    sample: bytes


def split_cost(engine: Engine, settings: Settings, edition_id: int, list_id: int) -> Split:
    """Make messages of an edition to the first people of its list, and throw them away."""
    with reading(engine) as session:
        form = session.get_one(CompiledEdition, (edition_id, 1, list_id)).form
        keys = [signing_key(key) for key in keys_for(session, SENDER_DOMAIN)]
        readers = first_readers(session, list_id, LETTERS)
    assembler = Assembler(Compiled.from_bytes(form), Tokens(settings.secret_keys))
    signer = Signer(keys)
    built, build_seconds = _timed(partial(_build, assembler, readers))
    signed, sign_seconds = _timed(partial(_sign, signer, built))
    costs = {"build": build_seconds, "sign": sign_seconds}
    return Split(
        {name: cost / len(readers) * 1e6 for name, cost in costs.items()},
        _bare_signature(keys),
        b"".join(signed[-1]),
    )


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    """The result, and the least CPU seconds that it took."""
    seconds = []
    for _ in range(ROUNDS):
        before = time.thread_time()
        result = work()
        seconds.append(time.thread_time() - before)
    return result, min(seconds)


def _build(assembler: Assembler, readers: list[Recipient]) -> list[Letter]:
    now = utc_now().replace(microsecond=0)
    return [assembler.letter(reader, date=now) for reader in readers]


def _sign(signer: Signer, letters: list[Letter]) -> list[tuple[bytes, ...]]:
    now = utc_now()
    return [signer.sign_letter(letter, at=now) for letter in letters]


def _bare_signature(keys: list[SigningKey]) -> float | None:
    if not keys:
        return None
    _, seconds = _timed(lambda: [_sign_bare(key) for _ in range(SIGNATURES) for key in keys])
    return seconds / SIGNATURES * 1e6


def _sign_bare(key: SigningKey) -> bytes:
    if isinstance(key.private, RSAPrivateKey):
        return key.private.sign(TO_SIGN, PKCS1v15(), SHA256())
    return key.private.sign(TO_SIGN)
