"""Every task: named by its Job, and a line over the stage that does the work."""

from newsletter.accounts.answers import forget_answers
from newsletter.accounts.forgetting import forget_sign_ins
from newsletter.audience.answers import answer_requests
from newsletter.audience.moving import forget_moves
from newsletter.audience.privacy_remains import finish_erasures
from newsletter.audience.retention import apply_retention
from newsletter.audience.segments.estimate import count_waiting
from newsletter.audience.signup import forget_requests
from newsletter.clock import utc_now
from newsletter.compose.candidates import forget_candidates
from newsletter.compose.feeds import fetch_due
from newsletter.db import get_engine
from newsletter.deliver import pump, system_mail
from newsletter.deliver.inspections import inspect
from newsletter.deliver.journal import FOLDER
from newsletter.deliver.resolver import resolve_domains
from newsletter.deliver.settling import settle_by_policy
from newsletter.dns import Dns
from newsletter.fetch import Fetcher
from newsletter.plan.alarm_calls import call_targets
from newsletter.plan.planner import plan_edition
from newsletter.queue import Job
from newsletter.redis import PUMP_TURNED, get_redis
from newsletter.settings import get_settings
from newsletter.track.writer import write_events
from workers import process
from workers.app import app
from workers.beside import Beside


@app.task(name=Job.PLAN_EDITION)
def plan(edition_id: int) -> None:
    plan_edition(get_engine(), edition_id, now=utc_now())


@app.task(name=Job.DRAIN)
def drain() -> None:
    process.drain()


@app.task(name=Job.PUMP)
def turn_pump() -> None:
    pump.turn(get_engine(), get_settings().state_dir / FOLDER, now=utc_now())
    get_redis().set(PUMP_TURNED, utc_now().isoformat())


@app.task(name=Job.SETTLE_DOUBTS)
def settle_doubts() -> None:
    settle_by_policy(get_engine(), now=utc_now())


@app.task(name=Job.RECORD_EVENTS)
def record_events() -> None:
    write_events(get_engine(), get_redis(), now=utc_now())


@app.task(name=Job.RESOLVE_DOMAINS)
def find_mail_hosts() -> None:
    dns = Dns() if get_settings().mx_lookups else None
    resolve_domains(get_engine(), dns, now=utc_now())


@app.task(name=Job.SEND_SYSTEM_MAIL)
def send_system_mail() -> None:
    process.send_system_mail()


@app.task(name=Job.FORGET_SYSTEM_MAIL)
def forget_system_mail() -> None:
    system_mail.forget_old(get_engine(), now=utc_now())


@app.task(name=Job.ANSWER_SIGNUPS)
def answer_signups() -> None:
    answer_requests(get_engine(), settings=get_settings(), now=utc_now())


@app.task(name=Job.FORGET_SIGNUPS)
def forget_signups() -> None:
    forget_requests(get_engine(), now=utc_now())
    forget_moves(get_engine(), now=utc_now())


@app.task(name=Job.FORGET_API_ANSWERS)
def forget_api_answers() -> None:
    forget_answers(get_engine(), now=utc_now())


@app.task(name=Job.FORGET_SIGN_INS)
def forget_sessions_and_links() -> None:
    days = get_settings().keep_audit_days
    forget_sign_ins(get_engine(), keep_audit_days=days, now=utc_now())


@app.task(name=Job.INSPECT)
def inspect_one(inspection_id: int) -> None:
    inspect(get_engine(), inspection_id, settings=get_settings(), make_dns=Dns, clock=utc_now)


@app.task(name=Job.IMPORT_FILES)
def import_files() -> None:
    process.import_files()


@app.task(name=Job.COUNT_SEGMENTS)
def count_segments() -> None:
    count_waiting(get_engine(), clock=utc_now)


@app.task(name=Job.FINISH_ERASURES)
def finish_erasing() -> None:
    finish_erasures(get_engine(), now=utc_now())


@app.task(name=Job.APPLY_RETENTION)
def keep_no_longer() -> None:
    apply_retention(get_engine(), settings=get_settings(), now=utc_now())


@app.task(name=Job.FETCH_FEEDS)
def fetch_feeds() -> None:
    _fetching.start()


@app.task(name=Job.FORGET_CANDIDATES)
def forget_stories() -> None:
    forget_candidates(get_engine(), now=utc_now())


@app.task(name=Job.CALL_ALARM_TARGETS)
def call_alarm_targets() -> None:
    _calling.start()


_fetching = Beside("fetching", lambda: fetch_due(get_engine(), _fetcher(), clock=utc_now))
_calling = Beside("calling", lambda: call_targets(get_engine(), _fetcher(), clock=utc_now))


def _fetcher() -> Fetcher:
    return Fetcher.of(get_settings(), Dns())
