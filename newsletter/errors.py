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

from newsletter.words import Words


class NewsletterError(Exception):
    """Base of the tree; entrances show its text to a person without a traceback.

    `words` stand in the call that makes the error, so that they are gathered for translators; their
    places are filled with `values`. As text it is English, for terminals, programs and logs.
    """

    def __init__(self, words: str = "", /, **values: object) -> None:
        self.words = Words(words, **values)
        super().__init__(self.words)


class SettingError(NewsletterError):
    pass


class InputError(NewsletterError):
    """`field` names what was filled in wrongly, where it was a field of several; text begins with it."""

    def __init__(self, words: str = "", /, *, field: str | None = None, **values: object) -> None:
        super().__init__(words, **values)
        self.field = field

    def __str__(self) -> str:
        return f"{self.field}: {self.words}" if self.field else str(self.words)


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
