"""Every error a person can cause or meet, in one tree, with the exit codes of the command line.

    KpiOpsError            exit 3: could not do it
    ├── SettingsError      a setting is unknown, missing or of the wrong kind
    ├── SourceError        the sales file cannot be used
    ├── ContractError      metadata.json or an artifact is not what the contract says
    │   └── NewerContract      it was written by a newer release than this one
    ├── StoreError         a snapshot could not be written, published or read
    │   ├── NothingPublished   there is no metadata.json
    │   ├── StoreDenied        the store answered 403
    │   ├── StoreUnreachable   no answer, or the server failed
    │   └── DamagedArtifact    an artifact is gone or its bytes do not match the manifest
    ├── ServeError         a server could not be started
    ├── StackError         the stack in AWS could not be looked at, made or changed
    └── HostError          the server could not be set up, reached or deployed to
        ├── HostUnreachable    no connection, or it was cut
        ├── UnfitCommit        a commit that no release can be made of: it is refused, with exit 1
        └── HostKeyRefused     the host's key is not the pinned one

Messages say what was seen, what was expected and what to do. Anything that is not a KpiOpsError is our bug
and keeps its traceback.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command's exit status means, for every command but the probe's own."""

    GOOD = 0
    CHECK_FAILED = 1
    CHANGES_PENDING = 2
    COULD_NOT = 3
    LOCKED = 75


class KpiOpsError(Exception):
    """Root of what a user can cause; the command line prints it as one message and exits with 3."""

    def __init__(self, seen: str, *, expected: str, to_do: str) -> None:
        """Compose the message from its three parts, each a phrase without a full stop."""
        super().__init__(f"{seen}\n  expected: {expected}\n  to do:    {to_do}")
        self.seen = seen
        self.expected = expected
        self.to_do = to_do


class SettingsError(KpiOpsError):
    """A setting is unknown, missing or of the wrong kind."""


class SourceError(KpiOpsError):
    """The sales file cannot be used."""


class ContractError(KpiOpsError):
    """metadata.json or an artifact is not what the contract says."""


class NewerContract(ContractError):
    """It was written by a newer release, and must not be written over by this one."""


class StoreError(KpiOpsError):
    """A snapshot could not be written, published or read."""


class NothingPublished(StoreError):
    """There is no metadata.json where one was looked for."""


class StoreDenied(StoreError):
    """The store refused the credentials or the action."""


class StoreUnreachable(StoreError):
    """The store gave no answer, or failed while answering."""


class DamagedArtifact(StoreError):
    """An artifact is gone, or its bytes do not match the manifest."""


class ServeError(KpiOpsError):
    """A server could not be started."""


class StackError(KpiOpsError):
    """The stack in AWS could not be looked at, made or changed."""


class HostError(KpiOpsError):
    """The server could not be set up or deployed to."""


class UnfitCommit(HostError):
    """A commit that no release can be made of."""


class HostUnreachable(HostError):
    """There is no connection to the host, or it was cut."""


class HostKeyRefused(HostError):
    """The host's key is unknown, or not the pinned one."""
