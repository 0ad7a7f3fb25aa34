"""Shows people, or one person with all that is known of them, on a terminal or as JSON."""

from typing import Any

import click

from newsletter.audience.detail import SubscriberDetail
from newsletter.audience.subscribers import SubscriberPage
from newsletter.cli.output import write_json
from newsletter.models import EVERYWHERE, Subscriber


def show_person(detail: SubscriberDetail, *, as_json: bool) -> None:
    if as_json:
        write_json(_detail_as_json(detail))
        return
    click.echo(f"{'subscriber':<15} {detail.person.id}")
    for field, text in detail.fields.items():
        click.echo(f"{field:<15} {text}")
    if detail.tags:
        click.echo(f"{'tags':<15} {', '.join(detail.tags)}")
    for member in detail.memberships:
        hidden = ", ".join(section.key for section in member.hidden)
        without = f", without {hidden}" if hidden else ""
        status = member.subscription.status.name.lower()
        click.echo(f"{'on':<15} {member.mailing_list.slug}: {status}{without}")
    for suppression in detail.suppressions:
        scope = "" if suppression.list_id == EVERYWHERE else " on one list"
        click.echo(f"{'suppressed':<15} {suppression.reason.value}{scope}")
    for consent in detail.consents:
        click.echo(f"{consent.at:%Y-%m-%d %H:%M}  {consent.list_slug}: {consent.kind.value}")
    for change in detail.changes:
        before, after = change.before or "-", change.after or "-"
        click.echo(
            f"{change.at:%Y-%m-%d %H:%M}  {change.field}: {before} → {after} "
            f"({change.cause.value}, {change.by})"
        )


def show_page(page: SubscriberPage, *, as_json: bool) -> None:
    if as_json:
        people = [_person_as_json(person) for person in page.people]
        write_json({"subscribers": people, "next_after": page.next_after})
        return
    for person in page.people:
        click.echo(f"{person.id:>9}  {person.address}  {person.name}".rstrip())
    if page.next_after is not None:
        click.echo(f"… and more: --after {page.next_after}", err=True)


def _person_as_json(person: Subscriber) -> dict[str, Any]:
    return {
        "id": person.id,
        "address": person.address,
        "name": person.name,
        "language": person.language,
        "attributes": person.attributes,
        "created_at": person.created_at.isoformat(),
    }


def _detail_as_json(detail: SubscriberDetail) -> dict[str, Any]:
    return _person_as_json(detail.person) | {
        "zone": detail.fields.get("zone"),
        "delivery_time": detail.fields.get("delivery time"),
        "break_until": detail.fields.get("break until"),
        "tags": list(detail.tags),
        "subscriptions": [
            {
                "list": member.mailing_list.slug,
                "status": member.subscription.status.name.lower(),
                "hidden_sections": [section.key for section in member.hidden],
                "joined_at": member.subscription.joined_at.isoformat(),
                "left_at": member.subscription.left_at.isoformat()
                if member.subscription.left_at
                else None,
            }
            for member in detail.memberships
        ],
        "suppressions": [
            {
                "reason": suppression.reason,
                "source": suppression.source,
                "everywhere": suppression.list_id == EVERYWHERE,
                "created_at": suppression.created_at.isoformat(),
            }
            for suppression in detail.suppressions
        ],
        "consents": [
            {
                "list": consent.list_slug,
                "kind": consent.kind,
                "at": consent.at.isoformat(),
                "evidence": consent.details,
            }
            for consent in detail.consents
        ],
        "changes": [
            {
                "field": change.field,
                "before": change.before,
                "after": change.after,
                "at": change.at.isoformat(),
                "cause": change.cause,
                "by": change.by,
                "reference": change.reference,
            }
            for change in detail.changes
        ],
    }
