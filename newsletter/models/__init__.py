"""The tables. Importing this package registers all of them with `newsletter.db.Model`."""

from newsletter.models.delivery import (
    NO_BATCH,
    Attempt,
    Batch,
    BatchState,
    Deferral,
    Delivery,
    DeliveryState,
    Reason,
)
from newsletter.models.dkim import DkimAlgorithm, DkimKey
from newsletter.models.edition import (
    CompiledEdition,
    Edition,
    EditionList,
    EditionState,
    Link,
    Revision,
)
from newsletter.models.event import Engagement, Event, EventKind, IngestCursor
from newsletter.models.installation import THE_ONE, Installation
from newsletter.models.rollup import EditionFigures, ExclusionFigures, LinkFigures
from newsletter.models.settlement import Evidence, Settlement
from newsletter.models.subscriber import Domain, Subscriber, Zone
from newsletter.models.subscription import (
    ConsentEvent,
    ConsentKind,
    MailingList,
    OnUncertain,
    OptIn,
    Subscription,
    SubscriptionStatus,
)
from newsletter.models.suppression import EVERYWHERE, Suppression, SuppressionReason
from newsletter.models.system_mail import (
    RecipientOfTests,
    SystemMail,
    SystemMailKind,
    SystemMailState,
)
from newsletter.models.transport import Security, Transport

__all__ = [
    "EVERYWHERE",
    "NO_BATCH",
    "THE_ONE",
    "Attempt",
    "Batch",
    "BatchState",
    "CompiledEdition",
    "ConsentEvent",
    "ConsentKind",
    "Deferral",
    "Delivery",
    "DeliveryState",
    "DkimAlgorithm",
    "DkimKey",
    "Domain",
    "Edition",
    "EditionFigures",
    "EditionList",
    "EditionState",
    "Engagement",
    "Event",
    "EventKind",
    "Evidence",
    "ExclusionFigures",
    "IngestCursor",
    "Installation",
    "Link",
    "LinkFigures",
    "MailingList",
    "OnUncertain",
    "OptIn",
    "Reason",
    "RecipientOfTests",
    "Revision",
    "Security",
    "Settlement",
    "Subscriber",
    "Subscription",
    "SubscriptionStatus",
    "Suppression",
    "SuppressionReason",
    "SystemMail",
    "SystemMailKind",
    "SystemMailState",
    "Transport",
    "Zone",
]
