"""Every error that SecretSync raises on purpose, in one tree.

::

    SecretSyncError            1
     +-- DocumentError          2   one or more documents are wrong; holds every Problem found
     +-- UsageError             2   the call is wrong (unknown job, unreadable directory, ...)
     +-- PlanRefused            2   a plan that must not run: two items for one key, an ability that a store lacks
     +-- StoreError             3   a store did not do what was asked
     |    +-- SecretNotFound    1   the store says that there is no such secret (and only that)
     |    +-- InvalidSecret     1   the store cannot hold this secret or this key
     |    |    +-- Mismatch     1   AWS refuses a request as malformed (stores.aws.answers)
     |    |    +-- Misfit       1   Google refuses something that was sent (stores.gcp_secret_manager.answers)
     |    +-- Conflict          1   the destination changed between our look and our write
     |    +-- PlaceChanged      2   a destination is another place than the ledger knows it as
     |    +-- PolicyDenied      2   the operator's policy does not permit what a document names; nothing was opened
     |    +-- QuotaReached      1   the store holds as many secrets, or versions of this one, as it may
     |    +-- AccessDenied      3   the store refuses us
     |    |    +-- CredentialsRefused  3   the store refuses the credentials themselves (stores.http)
     |    +-- NotOurs           1   nothing says that what is there is this job's, and its value cannot be read
     |    +-- WrongState        3   the secret is scheduled for deletion, say (stores.aws.answers)
     |    +-- WrongState        3   a version is disabled, say (stores.gcp_secret_manager.answers)
     |    +-- NoMount           3   nothing is mounted where the document says (stores.vault.answers)
     |    +-- _RefusedError     3   a refusal on its way through the gate, never seen outside (stores.unanswered)
     |    +-- AnswerTooLarge    3   its answer is larger than the document allows
     |    +-- ServerBehind      3   the server is older than the ledger knows, and decides nothing
     |    +-- OtherServer       3   it is another server than the ledger knows, and decides nothing
     |    +-- TwoServers        3   answers of one store are of two servers
     |    +-- RateLimited       3   the store asks us to wait                           retryable
     |    +-- StoreUnavailable  3   the store cannot be reached, or is failing          retryable
     |         +-- MalformedAnswer  3   its answer makes no sense, and decides nothing     retryable
     |         |    +-- EchoedVersion  3   a version in it shows the value (stores.echo)     retryable
     |         +-- SecretFails  1   it answers, and fails at this one secret               retryable
     |         +-- StoreLost    3   so many requests failed in a row that the run gave the store up
     |         |    +-- LockedOut  3   the store refused our credentials for good, and the run gave it up
     |         +-- Failing      3   it answers with an error of its own (stores.http)         retryable
     |         +-- Unhealable   3   no retry can help: a certificate, a host name (stores.http)
     |         +-- DiskFull     3   no room for the secret's file (stores.directory.folders)
     +-- TransformFailed        1   a key or value transform failed for this secret
     +-- LedgerError            3   the ledger cannot be opened, read or written
     |    +-- LedgerMissing     3   there is no ledger yet (audit.database)
     |    +-- KeyLost           3   the ledger is there, and its key is gone (audit.keys)
     |    +-- LedgerBroken      1   the ledger was read, and its chain does not hold
     |    +-- LeaseLost         3   another run took over in the middle of ours (run.record)
     +-- LeaseHeld              3   another run of the same SyncJob is going on
     +-- BadTarget              1   a notification has no usable address (notify.parcel)
     +-- StepFailed             1   a step of the demo did not do what it shows (demo.ui_story)

The number is the exit code of a command that ends with that error; "retryable" marks those that the gate repeats. Where
a class lives elsewhere its module is named. Not in the tree are the ValueErrors of expressions (expression.errors):
ExpressionError, which becomes a Problem of a document, and RenderError, which becomes a TransformFailed.

No message, hint or attribute of these classes ever holds a secret's value or a credential, and no answer body of a
store is copied into one. Whoever raises an error builds its text from names, keys, versions and numbers alone, and
raises it ``from None`` where the cause may hold more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

from secretsync_core.counting import plural

if TYPE_CHECKING:
    from collections.abc import Sequence


class SecretSyncError(Exception):
    """The root of the tree.

    Attributes:
        message: what went wrong and where, in one sentence, safe to print.
        hint: what to do about it; empty where there is nothing to add.
        code: a short slug (``[a-z-]+``) that names the kind of error in the ledger and in JSON output.
        exit_code: the exit code of a command that ends with this error.
        retryable: whether the same call may succeed if it is made again.
        unanswered: whether this request, or an earlier attempt of it, may have been carried out all the same: its
            answer was lost, so that only a look at the store can tell. Whoever raises one error in place of another
            hands this on.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1
    retryable: bool = False
    unanswered: bool = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Problem(NamedTuple):
    """One thing that is wrong in one document: where, what, and what to do."""

    file: str
    line: int  # 1-based; 0 where a problem belongs to the file as a whole
    message: str
    hint: str = ""
    warning: bool = False
    job: str = ""  # the SyncJob whose document it is, where it has a name
    store: str = ""  # the SecretStore whose document it is, or which is what is wrong with a SyncJob's

    @property
    def where(self) -> str:
        """``file:line``, the form that editors and terminals turn into a link."""
        return f"{self.file}:{self.line}" if self.line else self.file


class DocumentError(SecretSyncError):
    """One or more documents are wrong. ``problems`` lists all of them, by file and line."""

    code = "document"
    exit_code = 2

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"{plural(len(self.problems), 'problem')} in the documents")


class UsageError(SecretSyncError):
    """The call is wrong: an unknown job, a missing directory, options that exclude each other."""

    code = "usage"
    exit_code = 2


class PlanRefused(SecretSyncError):
    """The plan as a whole cannot run. Nothing was written. ``reasons`` lists every cause, one sentence each."""

    code = "plan-refused"
    exit_code = 2

    def __init__(self, reasons: Sequence[str], *, hint: str = "") -> None:
        self.reasons = tuple(reasons)
        super().__init__("; ".join(self.reasons), hint=hint)


class StoreError(SecretSyncError):
    """A request to a store failed. ``store`` is its name, ``key`` the secret's key, if there is one."""

    code = "store"
    exit_code = 3

    def __init__(self, message: str, *, store: str = "", key: str | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.store = store
        self.key = key


class SecretNotFound(StoreError):
    """The store answered that there is no such secret, version or property. Never raised in doubt."""

    code = "not-found"
    exit_code = 1


class InvalidSecret(StoreError):
    """The store cannot hold this secret (size, shape, numbers) or this key (characters, length)."""

    code = "invalid-secret"
    exit_code = 1


class NotOurs(StoreError):
    """What is there does not say that it is this job's, and no value can be read to tell. Taking it over marks it."""

    code = "not-ours"
    exit_code = 1


class Conflict(StoreError):
    """A compare-and-set failed: the secret changed between our look and our write."""

    code = "conflict"
    exit_code = 1


class QuotaReached(StoreError):
    """A quota of the store is exhausted: of secrets, or of versions of this one. Somebody has to free some."""

    code = "quota-reached"
    exit_code = 1


class AccessDenied(StoreError):
    """The store denies access: by a policy, or because credentials are wrong or have expired."""

    code = "access-denied"


class AnswerTooLarge(StoreError):
    """The store's answer is larger than its document allows. What was asked for may have been done all the same."""

    code = "answer-too-large"


class StoreUnavailable(StoreError):
    """The store cannot be reached, is sealed or failing."""

    code = "unavailable"
    retryable: bool = True
    unanswered: bool = True

    @property
    def is_of_one_secret(self) -> bool:
        """Whether the store is there all the same, and other secrets may go well."""
        return False


class SecretFails(StoreUnavailable):
    """The store answers, but fails on this secret, for example because what it has stored is broken."""

    code = "secret-fails"
    exit_code = 1

    @property
    def is_of_one_secret(self) -> bool:
        """It is, by its class."""
        return True


class PlaceChanged(StoreError):
    """A destination's name stands for another place than before, or two names stand for one. Nothing was written."""

    code = "place-changed"
    exit_code = 2


class PolicyDenied(StoreError):
    """A document names what the operator's policy, or the rules that always hold, do not permit. Nothing was opened."""

    code = "policy-denied"
    exit_code = 2


class MalformedAnswer(StoreUnavailable):
    """The store's answer does not fit its protocol: a field is missing, or of another type. It decides nothing."""

    code = "malformed-answer"

    @property
    def is_of_one_secret(self) -> bool:
        """Whether it was asked for one secret, and not for a listing or for what it is."""
        return bool(self.key) and not str(self.key).endswith("/")


class StoreLost(StoreUnavailable):
    """Several consecutive requests failed for good: the run gave up on the store and did not make this request."""

    code = "lost"
    retryable = False
    unanswered = False


class LockedOut(StoreLost):
    """The store refused our credentials for good: the run gave up on the store and did not make this request."""

    code = "locked-out"


class ServerBehind(StoreError):
    """The server's state is older than one that the ledger knows: a standby that is cut off, or a restored snapshot."""

    code = "server-behind"


class OtherServer(StoreError):
    """Another server answers than the ledger knows: nothing that it says is of the secrets that were there."""

    code = "other-server"


class TwoServers(StoreError):
    """Two servers, with secrets of their own, answer at one address."""

    code = "two-servers"


class RateLimited(StoreError):
    """The store asks to slow down. ``retry_after`` is in seconds, ``None`` if the store does not say."""

    code = "rate-limited"
    retryable: bool = True

    def __init__(
        self,
        message: str,
        *,
        store: str = "",
        key: str | None = None,
        hint: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, store=store, key=key, hint=hint)
        self.retry_after = retry_after


class TransformFailed(SecretSyncError):
    """A key or value transform failed, so the secret is not sent. Names the step, never its input."""

    code = "transform-failed"


class LedgerError(SecretSyncError):
    """The ledger cannot be opened, read or written. Without it nothing is written to any store."""

    code = "ledger"
    exit_code = 3


class LedgerBroken(LedgerError):
    """The ledger does not verify: somebody edited, removed, reordered or added records."""

    code = "ledger-broken"
    exit_code = 1


class LeaseHeld(SecretSyncError):
    """Another run of the same SyncJob holds its lease. Nothing was done."""

    code = "lease-held"
    exit_code = 3
