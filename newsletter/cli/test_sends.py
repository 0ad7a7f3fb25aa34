"""`newsletter edition test`: an edition to a few colleagues, and what the server said to it."""

import getpass
import json
import time
from collections.abc import Sequence

import click

from newsletter.addresses import Address, parse_address
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.deliver.test_sends import ResultOfTest, request_test, results_of
from newsletter.models import SystemMailState
from newsletter.plan.drafts import cut_revision
from newsletter.plan.marks import note_test
from newsletter.plan.stored import get_edition
from newsletter.settings import get_settings

LOOK_SECONDS = 0.1
NO_WORKER = "no answer yet; does a worker serve the queue `system`?"


@click.command("test")
@click.argument("edition_id", type=int)
@click.option("--to", "to", multiple=True, required=True, help="Address; may be given again.")
@click.option("--as", "persona", help="Greet as this subscriber of the edition's lists.")
@click.option("--list", "slug", help="Dress as this list, if the edition goes to several.")
@click.option("--wait", "seconds", default=20.0, show_default=True, help="Seconds, for an answer.")
@click.option("--json", "as_json", is_flag=True, help="For a program: a list of results.")
@click.pass_context
def test(
    context: click.Context,
    *,
    edition_id: int,
    to: tuple[str, ...],
    persona: str | None,
    slug: str | None,
    seconds: float,
    as_json: bool,
) -> None:
    """Send the newest revision as a test, and show what the mail server answered.

    It goes ahead of every edition that is being sent, counts in no figure, and its unsubscribe link
    changes nothing.
    """
    by, settings, now = getpass.getuser(), get_settings(), utc_now()
    with transaction() as session:
        cut_revision(session, edition_id, settings=settings, by=by, now=now)
        mail_ids = request_test(
            session,
            edition_id,
            to=[parse_address(text) for text in to],
            by=by,
            most_per_minute=settings.test_sends_per_minute,
            list_slug=slug,
            persona=_parsed(persona),
            now=now,
        )
        note_test(session, get_edition(session, edition_id), mail_ids, by=by, now=now)
    results = _wait(mail_ids, seconds)
    if as_json:
        click.echo(json.dumps([_to_json(each) for each in results], ensure_ascii=False))
    else:
        for each in results:
            click.echo(f"{each.address}  {each.state.value}  {each.reply or NO_WORKER}")
    if any(each.state is not SystemMailState.SENT for each in results):
        context.exit(1)


def _parsed(text: str | None) -> Address | None:
    return None if text is None else parse_address(text)


def _wait(mail_ids: Sequence[int], seconds: float) -> list[ResultOfTest]:
    """The results once there is something to tell of all, or when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        with reading() as session:
            results = results_of(session, mail_ids)
        if all(each.is_known for each in results) or time.monotonic() >= deadline:
            return results
        time.sleep(LOOK_SECONDS)


def _to_json(result: ResultOfTest) -> dict[str, str]:
    return {"address": result.address, "state": result.state.value, "reply": result.reply}
