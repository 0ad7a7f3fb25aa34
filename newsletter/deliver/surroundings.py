"""What a claim finds around it: who holds what, the transports, their routes and the senders' keys.

Rows that change once in a while and are needed for every batch: looked up anew every second, and
whenever a batch met with trouble.
"""

import time

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from newsletter.clock import utc_now
from newsletter.db import reading
from newsletter.deliver.claims import Field
from newsletter.deliver.dkim import Signer
from newsletter.deliver.dkim_keys import keys_for, signing_key
from newsletter.models import Route, Transport

LOOK_SECONDS = 1.0


class Surroundings:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._unsealed: dict[tuple[int, ...], Signer] = {}
        self.forget()

    def forget(self) -> None:
        self._looked_at = time.monotonic()
        self._field: Field | None = None
        self._transports: dict[int, Transport] = {}
        self._signers: dict[str, Signer] = {}
        self._providers: dict[int, str] | None = None

    @property
    def is_fresh(self) -> bool:
        """Nothing was looked at yet: whoever looks now sees what is so now."""
        return self._field is None

    def field(self, session: Session) -> Field:
        if time.monotonic() - self._looked_at >= LOOK_SECONDS:
            self.forget()
        if self._field is None:
            self._field = Field.look(session, utc_now())
        return self._field

    def transport(self, transport_id: int) -> Transport:
        if transport_id not in self._transports:
            with reading(self._engine) as session:
                self._transports[transport_id] = session.get_one(Transport, transport_id)
        return self._transports[transport_id]

    def provider(self, route: int) -> str:
        """The name of a route's provider."""
        if self._providers is None:
            with reading(self._engine) as session:
                self._providers = dict(session.execute(select(Route.id, Route.name)).all())
        return self._providers[route]

    def signer(self, sender_domain: str) -> Signer:
        """With the domain's keys as they are now, each unsealed once in this process's life."""
        if sender_domain not in self._signers:
            with reading(self._engine) as session:
                keys = keys_for(session, sender_domain)
            ids = tuple(key.id for key in keys)
            if ids not in self._unsealed:
                self._unsealed[ids] = Signer(signing_key(key) for key in keys)
            self._signers[sender_domain] = self._unsealed[ids]
        return self._signers[sender_domain]
