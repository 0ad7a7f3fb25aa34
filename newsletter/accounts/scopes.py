"""Scopes: what an API key may do, by resource, to read or to write."""

from enum import StrEnum


class Scope(StrEnum):
    LISTS_READ = "lists:read"
    LISTS_WRITE = "lists:write"
    SUBSCRIBERS_READ = "subscribers:read"
    SUBSCRIBERS_WRITE = "subscribers:write"
    ATTRIBUTES_READ = "attributes:read"
    ATTRIBUTES_WRITE = "attributes:write"
    TAGS_READ = "tags:read"
    TAGS_WRITE = "tags:write"
    EDITIONS_READ = "editions:read"
    EDITIONS_WRITE = "editions:write"
    EDITIONS_APPROVE = "editions:approve"
    EDITIONS_SEND = "editions:send"
    SEGMENTS_READ = "segments:read"
    SEGMENTS_WRITE = "segments:write"
    SUPPRESSIONS_READ = "suppressions:read"
    SUPPRESSIONS_WRITE = "suppressions:write"
    IMPORTS_READ = "imports:read"
    IMPORTS_WRITE = "imports:write"
    EXPORTS_READ = "exports:read"
    PRIVACY_READ = "privacy:read"
    PRIVACY_WRITE = "privacy:write"


ACROSS_LISTS = frozenset(
    {
        Scope.ATTRIBUTES_WRITE,
        Scope.SEGMENTS_READ,
        Scope.SEGMENTS_WRITE,
        Scope.PRIVACY_READ,
        Scope.PRIVACY_WRITE,
    }
)
"""What is about everybody: a key that is for certain lists cannot have these."""
