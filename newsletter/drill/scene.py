"""One edition on its way while a fault strikes: what a fault may use, and what is found afterwards."""

import logging
import random
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError

from newsletter.clock import utc_now
from newsletter.compose.parser import read_briefing
from newsletter.db import reading, transaction
from newsletter.deliver.batch_run import WINDOW
from newsletter.deliver.holds import lift, open_holds
from newsletter.devmail.script import Delay, Phase, Rule, Script
from newsletter.drill.content import ApprovedContent
from newsletter.drill.evidence import (
    Person,
    audience,
    count_rows,
    count_witnessed,
    forget_holds,
    read_books,
    read_witness,
    rules_that_held,
)
from newsletter.drill.invariants import Allowance, Evidence
from newsletter.drill.people import BRIEFING, PROVIDERS
from newsletter.drill.rig import CONNECTIONS, DELIVERERS, Rig
from newsletter.errors import StateError
from newsletter.models import (
    Batch,
    BatchState,
    Deferral,
    DeliveryState,
    Edition,
    EditionState,
    MailingList,
)
from newsletter.plan import schedule
from newsletter.plan.approval import approve_edition
from newsletter.plan.editions import content_of, create_edition
from newsletter.plan.stored import get_edition
from newsletter.report.editions import EditionStatus, edition_status
from newsletter.tokens import Tokens

logger = logging.getLogger(__name__)

SENDING_SECONDS = 2.0
"""About how long the mail server makes an undisturbed edition last."""
SLOWEST_SECONDS = 0.06
PATIENCE_SECONDS = 30.0
"""For a moment in the sending to come."""
RECOVERY_SECONDS = 60.0
"""Without anything moving, after the end of the fault; then whoever still waits is lost."""
LOOK_SECONDS = 0.1
ALL_CONNECTIONS = CONNECTIONS * len(DELIVERERS)
FROZEN = WINDOW + CONNECTIONS
"""Most in doubt when one worker is frozen or lost with its journal: one window and what it sends."""


class Scene:
    def __init__(self, rig: Rig, number: int, seed: int) -> None:
        self.rig = rig
        self.number = number
        self.dice = random.Random(seed)  # noqa: S311  repeatable faults, no secrets
        self.allowed = Allowance()
        self.began_at: datetime = utc_now()
        self.edition_id = 0
        self.people: dict[int, Person] = audience(rig.engine, rig.lists)
        # Drills before this one made readers leave.
        if missing := rig.readers - len(self.readers):
            rig.refill(missing)
            self.people = audience(rig.engine, rig.lists)
        self.witness = rig.folder / f"witness-{number}.jsonl"
        self._content: ApprovedContent | None = None
        self._clock_shifts = [timedelta()]
        self._log_sizes: dict[Path, int] = {}
        forget_holds(rig.engine)

    @property
    def readers(self) -> list[int]:
        """Whoever may be mailed, by subscriber id."""
        return [each for each, person in self.people.items() if person.may_be_mailed]

    def approve(self, *rules: Rule) -> None:
        """Bring the edition to where one press sends it, and the mail server to behave by `rules`."""
        self.rig.start_peer(self._script(rules), self.witness)
        self._log_sizes = self.rig.log_sizes()
        self.began_at = utc_now()
        text = BRIEFING.format(number=self.number)
        briefing = read_briefing(text.encode(), today=self.began_at.date()).briefing
        assert briefing is not None
        settings = self.rig.settings
        with transaction(self.rig.engine) as session:
            edition = create_edition(
                session,
                content_of(briefing, text),
                lists=[session.get_one(MailingList, each) for each in self.rig.lists],
                settings=settings,
                created_by="drill",
                now=self.began_at,
            )
            approval = approve_edition(
                session, edition.id, approved_by="drill", settings=settings, now=self.began_at
            )
            self.edition_id = edition.id
            self._content = ApprovedContent.copy(
                session, edition.id, approval.revision, Tokens(settings.secret_keys)
            )

    def send(self, *rules: Rule) -> None:
        self.approve(*rules)
        self.press_send()

    def press_send(self) -> None:
        with transaction(self.rig.engine) as session:
            schedule.send_now(session, self.edition_id, now=utc_now())

    def set_clock(self, shift: timedelta) -> None:
        """The mail server and its witness keep the right time."""
        self._clock_shifts.append(shift)
        self.rig.set_clock(shift)

    def lift_holds(self) -> None:
        """What an operator does whom a breaker called, and who finds the harm to be over."""
        now = utc_now()
        with transaction(self.rig.engine) as session:
            for each in open_holds(session, now=now):
                with suppress(StateError):  # a probe may lift it meanwhile
                    lift(session, each.id, by="drill", now=now)
            if get_edition(session, self.edition_id).state is EditionState.PAUSED:
                schedule.resume(session, self.edition_id)

    def accepted(self) -> int:
        return count_witnessed(self.witness)

    def until_accepted(self, share: float) -> None:
        """Wait until the mail server has taken this share of the edition."""
        wanted = int(share * len(self.readers))
        self.until(lambda: self.accepted() >= wanted)

    def some_time_on(self) -> None:
        """Wait for a moment of chance in the middle of the sending."""
        self.until_accepted(self.dice.uniform(0.05, 0.75))

    def until(self, is_so: Callable[[], bool], *, seconds: float = PATIENCE_SECONDS) -> bool:
        """Wait for it; False when it does not come."""
        deadline = time.monotonic() + seconds
        while not is_so():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    def until_held(self, rule: str) -> None:
        """Wait until a breaker has opened, though nobody waits for what rests meanwhile."""

        def is_held() -> bool:
            self._bring_forward()
            return rule in rules_that_held(self.rig.engine)

        self.until(is_held)

    def has_claims(self) -> bool:
        with reading(self.rig.engine) as session:
            claimed = select(Batch.number).where(
                Batch.edition_id == self.edition_id, Batch.state == BatchState.CLAIMED
            )
            return session.scalar(claimed.limit(1)) is not None

    def count(self, state: DeliveryState) -> int:
        """Deliveries of this edition in that state."""
        with reading(self.rig.engine) as session:
            return count_rows(session, self.edition_id, state)

    def some_readers(self, count: int) -> list[int]:
        return self.dice.sample(self.readers, min(count, len(self.readers)))

    def wait_until_over(self) -> float | None:
        """Let the system put itself right; the seconds it took, None if it did not.

        Nothing is done to it but what a supervisor does, starting what died, and what an operator
        may do who does not want to wait: retries and rests that lie ahead are brought forward, and
        what a breaker holds goes on.
        """
        began = moved_at = time.monotonic()
        settled = 0
        while time.monotonic() - moved_at < RECOVERY_SECONDS:
            self.rig.mend()
            try:
                status = self._status()
                if status.settled != settled:
                    settled, moved_at = status.settled, time.monotonic()
                if self._is_over() and not self.rig.orphaned_journals():
                    return time.monotonic() - began
                self.lift_holds()
                self._bring_forward()
            except SQLAlchemyError as error:
                logger.info("database not back yet", extra={"error": type(error).__name__})
            time.sleep(LOOK_SECONDS)
        return None

    def abandon(self) -> None:
        """Keep an edition that did not end from disturbing the next ones."""
        with transaction(self.rig.engine) as session:
            session.execute(
                update(Edition)
                .where(Edition.id == self.edition_id)
                .values(state=EditionState.CANCELLED, finished_at=utc_now())
            )
            session.execute(
                update(Batch)
                .where(Batch.edition_id == self.edition_id)
                .values(state=BatchState.DONE)
            )

    def evidence(self) -> Evidence:
        accepted = read_witness(self.witness)
        books = read_books(self.rig.engine, self.edition_id)
        assert self._content is not None
        return Evidence(
            audience=self.people,
            accepted=accepted,
            books=books,
            allowed=self.allowed,
            altered=list(
                self._content.altered(
                    accepted, books.rows, since=self.began_at, shifts=self._clock_shifts
                )
            ),
            leaks=list(self._leaks()),
            held_by=rules_that_held(self.rig.engine),
        )

    def _script(self, rules: Iterable[Rule]) -> Script:
        pause = SENDING_SECONDS * ALL_CONNECTIONS / self.rig.readers
        pace = Delay(seconds=min(SLOWEST_SECONDS, pause))
        return Script(
            rules=(Rule(phase=Phase.DOT, action=pace), *rules), seed=self.dice.randrange(10**6)
        )

    def _status(self) -> EditionStatus:
        with reading(self.rig.engine) as session:
            return edition_status(session, self.edition_id)

    def _is_over(self) -> bool:
        with reading(self.rig.engine) as session:
            return session.get_one(Edition, self.edition_id).finished_at is not None

    def _bring_forward(self) -> None:
        now = utc_now()
        with transaction(self.rig.engine) as session:
            resting = select(Batch).where(
                Batch.edition_id == self.edition_id,
                Batch.state == BatchState.READY,
                Batch.due_at > now,
            )
            for batch in session.scalars(resting.with_for_update(skip_locked=True)):
                batch.due_at = now
            deferred = select(Deferral).where(
                Deferral.edition_id == self.edition_id, Deferral.next_at > now
            )
            for deferral in session.scalars(deferred.with_for_update(skip_locked=True)):
                deferral.next_at = now

    def _leaks(self) -> Iterable[str]:
        for name, text in self.rig.logged_since(self._log_sizes):
            if any(secret in text for secret in self.rig.secrets):
                yield f"{name} holds a secret"
            if any(f"@{provider}" in text for provider in PROVIDERS):
                yield f"{name} holds a reader's address"
