"""People: readers who leave, an editor's hasty hands, a reader who cannot be mailed."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import delete, select, update

from newsletter.clock import utc_now
from newsletter.db import transaction
from newsletter.devmail.script import Close, Phase, Rule
from newsletter.drill.scene import Scene
from newsletter.errors import NewsletterError, StateError
from newsletter.models import DeliveryState, MailingList, Subscriber, Subscription
from newsletter.plan import schedule
from newsletter.plan.editions import briefing_of, content_of, newest_revision, revise_edition
from newsletter.plan.stored import get_edition
from newsletter.tokens import SubscriptionRef
from newsletter.track.unsubscribes import unsubscribe

_LEAVERS = 8
_PRESSES = 50
_POISONED = 2


def leave(scene: Scene) -> None:
    """F-20: readers unsubscribe while the edition is on its way."""
    scene.send()
    scene.some_time_on()
    for subscriber_id in scene.some_readers(_LEAVERS):
        with transaction(scene.rig.engine) as session:
            lists = session.scalars(
                select(Subscription.list_id).where(Subscription.subscriber_id == subscriber_id)
            ).all()
            for list_id in lists:
                ref = SubscriptionRef(list_id, scene.edition_id, subscriber_id)
                unsubscribe(session, ref, at=utc_now(), how="one-click")
        scene.allowed.left[subscriber_id] = utc_now()


def press_send(scene: Scene) -> None:
    """F-25: Send is pressed 50 times at once; in every second drill somebody cancels meanwhile."""
    scene.approve()
    with ThreadPoolExecutor(10) as hands:
        accepted = sum(hands.map(lambda _: _is_accepted(scene.press_send), range(_PRESSES)))
    if accepted != 1:
        raise NewsletterError("Send was accepted {accepted} times.", accepted=accepted)
    if scene.dice.random() < 0.5:
        scene.allowed.is_cancelled = True
        time.sleep(scene.dice.uniform(0, 1.0))
        _cancel(scene)


def _cancel(scene: Scene) -> None:
    with transaction(scene.rig.engine) as session:
        schedule.cancel(session, scene.edition_id)


def meddle(scene: Scene) -> None:
    """F-26: while it is being sent the edition is edited, its list renamed, readers are erased."""
    scene.send()
    scene.some_time_on()
    if _is_accepted(lambda: _revise(scene)):
        raise NewsletterError("An edition under way was revised.")
    with transaction(scene.rig.engine) as session:
        session.execute(update(MailingList).values(name="Another Name", sender_name="Nobody"))
    erased = scene.some_readers(_LEAVERS)
    with transaction(scene.rig.engine) as session:
        session.execute(delete(Subscription).where(Subscription.subscriber_id.in_(erased)))
        session.execute(delete(Subscriber).where(Subscriber.id.in_(erased)))
    scene.allowed.left.update(dict.fromkeys(erased, utc_now()))


def _revise(scene: Scene) -> None:
    with transaction(scene.rig.engine) as session:
        edition = get_edition(session, scene.edition_id)
        content = content_of(briefing_of(newest_revision(session, edition)), "changed")
        revise_edition(
            session,
            scene.edition_id,
            content,
            settings=scene.rig.settings,
            revised_by="drill",
            now=utc_now(),
        )


def poison(scene: Scene) -> None:
    """F-28: two readers no message can be made for, and one on whom the mail server hangs up."""
    *broken, cursed = scene.some_readers(_POISONED + 1)
    address = scene.people[cursed].address
    hang_up = Rule(phase=Phase.RCPT, recipient=f"^{address}$", action=Close(), times=4)
    scene.approve(hang_up)
    scene.allowed.failed.update(broken)
    kept = {each: scene.people[each].address for each in broken}
    _readdress(scene, {each: f"no address {each}" for each in broken})
    try:
        scene.press_send()
        scene.until(lambda: _have_failed(scene, len(broken)))
    finally:
        _readdress(scene, kept)


def _have_failed(scene: Scene, people: int) -> bool:
    scene.lift_holds()  # one who cannot be mailed among the first is enough to stop an edition
    return scene.count(DeliveryState.FAILED) == people


def _readdress(scene: Scene, addresses: dict[int, str]) -> None:
    with transaction(scene.rig.engine) as session:
        for subscriber_id, address in addresses.items():
            session.execute(
                update(Subscriber).where(Subscriber.id == subscriber_id).values(address=address)
            )


def _is_accepted(step: Callable[[], None]) -> bool:
    try:
        step()
    except StateError:
        return False
    return True
