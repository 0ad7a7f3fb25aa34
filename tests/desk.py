"""A desk to test the pages of editions at: a list with readers, and editions in every state."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import Engine, select

from newsletter.clock import utc_now
from newsletter.compose.briefing import Briefing
from newsletter.db import reading, transaction
from newsletter.models import (
    Attempt,
    AuditEntry,
    Batch,
    Deferral,
    Delivery,
    DeliveryState,
    Edition,
    EditionState,
    InstallationSetting,
    MailingList,
    Reason,
    Subscriber,
)
from newsletter.plan import schedule
from newsletter.plan.approval import approve_edition
from newsletter.plan.drafts import draft_of, save_draft
from newsletter.plan.editions import content_of, correct_edition, create_edition
from newsletter.plan.planner import plan_edition
from newsletter.plan.review import submit_edition
from newsletter.settings import Settings
from tests.newsroom import a_briefing, add_list, add_readers, add_transport, live_in
from tests.site import Site

PEOPLE = ("Ada", "Bo", "Cy", "Di")


@dataclass(frozen=True, slots=True)
class Desk:
    site: Site
    settings: Settings
    list_id: int

    @property
    def engine(self) -> Engine:
        return self.site.engine

    def draft(self, briefing: Briefing | None = None, *, by: str = "Wim Writer") -> int:
        with transaction(self.engine) as session:
            return create_edition(
                session,
                content_of(briefing or a_briefing(), "as pasted"),
                lists=[session.get_one(MailingList, self.list_id)],
                settings=self.settings,
                created_by=by,
                now=utc_now(),
            ).id

    def submitted(self) -> int:
        edition_id = self.draft()
        with transaction(self.engine) as session:
            submit_edition(
                session,
                edition_id,
                note="Look at the port.",
                by="Wim Writer",
                settings=self.settings,
                now=utc_now(),
            )
        return edition_id

    def approved(self) -> int:
        edition_id = self.draft()
        with transaction(self.engine) as session:
            approve_edition(
                session,
                edition_id,
                approved_by="Edda Editor",
                settings=self.settings,
                now=utc_now(),
            )
        return edition_id

    def approved_with_zones(self, *zones: str) -> int:
        """The first readers live in these zones."""
        with reading(self.engine) as session:
            readers = session.scalars(select(Subscriber.id).order_by(Subscriber.id)).all()
        for zone, reader in zip(zones, readers, strict=False):
            live_in(self.engine, zone, [reader])
        return self.approved()

    def sending(self) -> int:
        edition_id = self.approved()
        with transaction(self.engine) as session:
            schedule.send_now(session, edition_id, now=utc_now())
        plan_edition(self.engine, edition_id, now=utc_now())
        return edition_id

    def change(self, edition_id: int, *, by: str = "Bo Braun") -> None:
        """Somebody writes another title into the working draft."""
        with transaction(self.engine) as session:
            draft = draft_of(session, edition_id)
            title = f"{draft.content.briefing.title} Again"
            changed = replace(
                draft.content, briefing=replace(draft.content.briefing, title=title), subject=None
            )
            save_draft(session, edition_id, changed, based_on=draft.version, by=by, now=utc_now())

    def correct(self, edition_id: int) -> None:
        with transaction(self.engine) as session:
            correct_edition(
                session,
                edition_id,
                content_of(replace(a_briefing(), title="Harbour Reopens Tomorrow"), "text"),
                settings=self.settings,
                corrected_by="Wim Writer",
                now=utc_now(),
            )

    def settle(self, edition_id: int, *states: DeliveryState) -> None:
        """Make the first people's deliveries be in these states, and the counters agree."""
        with transaction(self.engine) as session:
            waiting = session.scalars(
                select(Delivery)
                .where(Delivery.edition_id == edition_id, Delivery.state == DeliveryState.WAITING)
                .order_by(Delivery.subscriber_id)
            ).all()
            for delivery, state in zip(waiting, states, strict=False):
                batch = session.get_one(Batch, (edition_id, delivery.batch))
                delivery.state, delivery.attempts, delivery.revision = state, 1, 1
                batch.revision = 1
                name = state.name.lower()
                setattr(batch, name, getattr(batch, name) + 1)
                if state is DeliveryState.SENT:
                    delivery.sent_at = utc_now()
                else:
                    session.add(_attempt(edition_id, delivery.subscriber_id, state))
                if state is DeliveryState.DEFERRED:
                    key = {"edition_id": edition_id, "subscriber_id": delivery.subscriber_id}
                    session.add(Deferral(**key, first_at=utc_now(), next_at=utc_now()))

    def edition(self, edition_id: int) -> Edition:
        with reading(self.engine) as session:
            return session.get_one(Edition, edition_id)

    def state(self, edition_id: int) -> EditionState:
        return self.edition(edition_id).state

    def audited(self) -> list[str]:
        with reading(self.engine) as session:
            return list(session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))

    def alter_list(self, change: Callable[[MailingList], None]) -> None:
        with transaction(self.engine) as session:
            change(session.get_one(MailingList, self.list_id))

    def confirm_above(self, people: int) -> None:
        self.set_up("confirm_above", people)

    def set_up(self, name: str, value: int) -> None:
        """A setting of the installation."""
        with transaction(self.engine) as session:
            session.merge(
                InstallationSetting(
                    name=name, value=value, changed_at=utc_now(), changed_by="tests"
                )
            )


def a_desk(site: Site, settings: Settings) -> Desk:
    list_id = add_list(site.engine)
    add_readers(site.engine, list_id, PEOPLE)
    add_transport(site.engine, 25)
    return Desk(site, settings, list_id)


def hidden_field(page: str, name: str) -> str:
    """The value of a hidden field of the page."""
    found = re.search(rf'<input type="hidden" name="{name}" value="([^"]*)">', page)
    assert found is not None, f"no field {name}"
    return found[1]


def _attempt(edition_id: int, subscriber_id: int, state: DeliveryState) -> Attempt:
    replies = {
        DeliveryState.DEFERRED: (Reason.BUSY, 451, "451 4.7.1 Greylisted, try again later"),
        DeliveryState.FAILED: (Reason.REFUSED, 550, "550 5.1.1 User unknown"),
        DeliveryState.UNCERTAIN: (Reason.ANSWER_LOST, None, ""),
    }
    reason, code, reply = replies[state]
    return Attempt(
        edition_id=edition_id,
        subscriber_id=subscriber_id,
        at=utc_now() - timedelta(minutes=1),
        lease_token=1,
        state=state,
        reason=reason,
        code=code,
        reply=reply,
    )
