"""Every error this project raises on purpose, in one tree.

NewsletterError
├── SettingError            the operator's environment is wrong
├── InputError              what a person handed in is wrong; the message says where and what to do
│   ├── AddressError        not an e-mail address we can send to
│   └── TokenError          a link that we did not make, or that was altered
├── NotFoundError           no such list, edition, transport …
├── ForbiddenError          whoever asks may not do that
│   └── StaleError          they may, once they have shown again who they are
├── StateError              the thing exists but is in no state for that
├── RenderError             a template or the inliner lost something; nothing was sent
├── DnsError                no name server answers
├── FetchError              another web server did not give what we asked it for; the message says why
├── DisarmedError           the database has forgotten what was sent; an admin must arm it
└── FencedError             another process has taken over this batch; stop at once
"""


class NewsletterError(Exception):
    """Base of the tree; entrances show its text to a person without a traceback."""


class SettingError(NewsletterError):
    pass


class InputError(NewsletterError):
    pass


class AddressError(InputError):
    pass


class TokenError(InputError):
    pass


class NotFoundError(NewsletterError):
    pass


class ForbiddenError(NewsletterError):
    pass


class StaleError(ForbiddenError):
    pass


class StateError(NewsletterError):
    pass


class RenderError(NewsletterError):
    pass


class DnsError(NewsletterError):
    pass


class FetchError(NewsletterError):
    pass


class DisarmedError(NewsletterError):
    pass


class FencedError(NewsletterError):
    pass
