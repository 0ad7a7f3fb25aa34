from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine, select

from newsletter.db import reading, transaction
from newsletter.deliver import warm_up
from newsletter.deliver.warm_up import Plan
from newsletter.models import Batch, Delivery, EditionTransport, Subscriber, Subscription
from newsletter.plan import schedule
from newsletter.plan.planner import plan_edition
from tests.newsroom import (
    MORNING,
    add_list,
    add_readers,
    add_transport,
    approved_edition,
    edition_of,
    settings_for,
)

LONG_AGO = MORNING - timedelta(days=400)


def planned(engine: Engine, folder: Path, *, is_warming: bool) -> dict[int, list[str]]:
    """The names of an edition's readers by the tier that their batches have."""
    transport_id, list_id = add_transport(engine, 25), add_list(engine)
    ada, bo, cy, _ = add_readers(engine, list_id, ["Ada", "Bo", "Cy", "Dora"])
    with transaction(engine) as session:
        for number in (ada, bo, cy):
            session.get_one(Subscription, (list_id, number)).joined_at = LONG_AGO
        session.get_one(Subscriber, bo).clicked_at = MORNING - timedelta(days=89)
        session.get_one(Subscriber, cy).clicked_at = MORNING - timedelta(days=91)
        if is_warming:
            warm_up.start(session, transport_id, Plan(), now=MORNING)
    edition_id = approved_edition(engine, settings_for(folder), [list_id], transport_id)
    with transaction(engine) as session:
        session.merge(EditionTransport(edition_id=edition_id, transport_id=transport_id, weight=1))
        schedule.send_now(session, edition_id, now=MORNING)
    plan_edition(engine, edition_id, now=MORNING)
    assert edition_of(engine, edition_id).planned_at is not None
    with reading(engine) as session:
        rows = session.execute(
            select(Batch.tier, Subscriber.name)
            .join(
                Delivery,
                (Delivery.edition_id == Batch.edition_id) & (Delivery.batch == Batch.number),
            )
            .join(Subscriber, Subscriber.id == Delivery.subscriber_id)
            .where(Batch.edition_id == edition_id)
            .order_by(Subscriber.id)
        ).all()
    tiers: dict[int, list[str]] = {}
    for tier, name in rows:
        tiers.setdefault(tier, []).append(name)
    return tiers


def test_r31_a_warming_transport_begins_with_those_who_click_then_with_the_new(
    engine: Engine, tmp_path: Path
) -> None:
    assert planned(engine, tmp_path, is_warming=True) == {
        0: ["Bo"],
        1: ["Dora"],
        2: ["Ada", "Cy"],
    }


def test_r31_else_all_are_alike(engine: Engine, tmp_path: Path) -> None:
    assert planned(engine, tmp_path, is_warming=False) == {0: ["Ada", "Bo", "Cy", "Dora"]}
