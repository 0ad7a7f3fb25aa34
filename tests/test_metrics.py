import http.client
import json
import re
import time

import pytest
from prometheus_client import REGISTRY

from newsletter import metrics
from newsletter.clock import utc_now
from newsletter.models import BatchState, EditionState
from newsletter.queue import Queue
from newsletter.report.backlog import Backlog
from newsletter.settings import PROJECT_ROOT, read_settings
from newsletter.stack.ports import free_port
from newsletter.web.metrics import Rows

TOKEN = "a-token-for-prometheus-alone"


def value(name: str, phase: str) -> float:
    return REGISTRY.get_sample_value(name, {"phase": phase}) or 0.0


def scrape(port: int, path: str = "/metrics", authorization: str = "") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers={"Authorization": authorization})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def test_a_stopwatch_tells_its_phases_once_when_it_publishes() -> None:
    before = value("newsletter_phases_total", "tested")
    stopwatch = metrics.Stopwatch()
    for _ in range(3):
        with stopwatch.phase("tested"):
            pass
    unpublished = value("newsletter_phases_total", "tested")

    stopwatch.publish()
    stopwatch.publish()

    assert unpublished == before
    assert value("newsletter_phases_total", "tested") == before + 3
    assert 0 < value("newsletter_phase_seconds_total", "tested") < 1


def test_a_phase_that_fails_is_timed_too() -> None:
    before = value("newsletter_phases_total", "failed")
    stopwatch = metrics.Stopwatch()

    with pytest.raises(OSError), stopwatch.phase("failed"):  # noqa: PT011
        raise OSError

    stopwatch.publish()
    assert value("newsletter_phases_total", "failed") == before + 1


def test_a_phase_of_every_message_is_counted_exactly_and_timed_by_sample() -> None:
    times, seconds = (value(f"newsletter_phase{each}_total", "thick") for each in ("s", "_seconds"))
    stopwatch = metrics.Stopwatch()
    for number in range(1000):
        with stopwatch.phase("thick"):
            if number % metrics.ONE_IN == metrics.ONE_IN - 1:  # of a thousand those that are timed
                time.sleep(0.0001)

    stopwatch.publish()

    assert value("newsletter_phases_total", "thick") == times + 1000
    assert value("newsletter_phase_seconds_total", "thick") - seconds > 0.05


def test_a_phase_that_outlasts_a_publishing_is_told_with_the_next() -> None:
    before = value("newsletter_phases_total", "long")
    stopwatch = metrics.Stopwatch()

    with stopwatch.phase("long"):
        stopwatch.publish()
        unpublished = value("newsletter_phases_total", "long")
    stopwatch.publish()

    assert unpublished == before
    assert value("newsletter_phases_total", "long") == before + 1


def test_a_worker_answers_scrapes_on_its_port() -> None:
    port = free_port()
    metrics.serve(read_settings(), port)

    assert scrape(port)[0] == 200
    assert b"newsletter_messages_total" in scrape(port)[1]
    assert scrape(port, "/") == (404, b"")


def test_a_worker_with_a_token_asks_for_it() -> None:
    port = free_port()
    metrics.serve(read_settings(metrics_token=TOKEN), port)

    assert scrape(port)[0] == 404
    assert scrape(port, authorization=f"Bearer {TOKEN}")[0] == 200


def test_a_taken_port_is_an_error_of_the_system() -> None:
    port = free_port()
    metrics.serve(read_settings(), port)

    with pytest.raises(OSError, match="in use"):
        metrics.serve(read_settings(), port)


def test_the_dashboard_asks_only_for_what_is_told() -> None:
    dashboard = json.loads((PROJECT_ROOT / "docs" / "grafana.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    rows = Rows(
        Backlog(
            0.0,
            {EditionState.SENDING: 0},
            {BatchState.READY: 0},
            deferred=0,
            uncertain=0,
            oldest_mail_seconds=0.0,
        ),
        turned_at=utc_now(),
        bells={Queue.DELIVER: 0},
    )

    asked = {name for text in expressions for name in re.findall(r"newsletter_[a-z_]+", text)}

    told = set(re.findall(r"^# TYPE (newsletter_\w+)", metrics.exposition([rows]).decode(), re.M))
    assert asked == {name for name in told if not name.endswith("_created")}
