"""Deletes what signing in leaves behind, and what the audit log need not know any more."""

from datetime import datetime, timedelta

from sqlalchemy import Engine, delete

from newsletter.accounts.challenges import forget_challenges
from newsletter.accounts.links import forget_links
from newsletter.accounts.sessions import forget_sessions
from newsletter.accounts.throttle import forget_failures
from newsletter.db import transaction
from newsletter.models import AuditEntry


def forget_sign_ins(engine: Engine, *, keep_audit_days: int, now: datetime) -> None:
    with transaction(engine) as session:
        forget_sessions(session, now=now)
        forget_failures(session, now=now)
        forget_links(session, now=now)
        forget_challenges(session, now=now)
    with transaction(engine) as session:
        cutoff = now - timedelta(days=keep_audit_days)
        session.execute(delete(AuditEntry).where(AuditEntry.at < cutoff))
