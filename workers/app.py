"""The Celery application: `celery -A workers.app worker -Q system,deliver,upkeep,feedback`.

A task here is a doorbell. What it leads to is decided by rows, so the settings choose what is
cheap and stops fast over what promises delivery: the pump rings again for whatever was lost.
"""

from celery import Celery

from newsletter.addresses import mask_addresses
from newsletter.clock import shift_by
from newsletter.logs import set_up_logging
from newsletter.queue import QUEUE_OF, Queue
from newsletter.settings import get_settings, share_metrics
from workers.timetable import TIMETABLE

settings = get_settings()

app = Celery("newsletter", broker=settings.redis_url, include=["workers.tasks", "workers.process"])
app.conf.update(
    accept_content=["json"],
    task_serializer="json",
    task_ignore_result=True,
    task_acks_late=False,
    task_default_queue=Queue.UPKEEP,
    task_routes={job.value: {"queue": queue.value} for job, queue in QUEUE_OF.items()},
    # Two minutes above the longest drain: its budget and one answer that is long in coming.
    task_time_limit=int(settings.dot_timeout_seconds) + 120,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    worker_send_task_events=False,
    worker_soft_shutdown_timeout=20,
    worker_max_tasks_per_child=1000,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "visibility_timeout": int(settings.dot_timeout_seconds) + 300,
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,
        "socket_keepalive": True,
        "health_check_interval": 25,
    },
    beat_schedule=TIMETABLE,
    timezone="UTC",
)
set_up_logging(settings, mask=mask_addresses)
shift_by(settings.clock_shift_path)
if settings.metrics_port is not None:
    share_metrics()  # before the tasks are imported, and the pool forks
