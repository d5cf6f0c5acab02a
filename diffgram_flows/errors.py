"""Everything that can go wrong, as one tree.

Each error says what happened, to which object, and what to do about it::

    DiffgramFlowsError
    ├── ConfigurationError        a setting, a parameter or an optional package is missing or wrong
    ├── DiffgramError             the annotation server
    │   ├── ServerUnreachable     no answer: name, port, time-out                       (worth a retry)
    │   ├── ServerError           5xx that persisted                                    (worth a retry)
    │   ├── RateLimited           429 that persisted                                    (worth a retry)
    │   ├── BudgetExhausted       a daily quota of the server is used up                (worth a retry, tomorrow)
    │   ├── BrokenReply           the reply was not HTTP: an id that the server does not know
    │   ├── AuthenticationError   the credential is wrong or its role is too low
    │   ├── ProjectNotFound       the credential is good, the project is not there
    │   ├── SessionRequired       the endpoint wants a browser login
    │   ├── InvalidRequest        the server refused the input
    │   └── UnexpectedReply       a reply of a shape that the contract does not know
    ├── StorageError              the bucket
    │   ├── StorageUnavailable    no answer, or a 5xx                                   (worth a retry)
    │   ├── BucketNotFound
    │   ├── AccessDenied
    │   ├── ObjectNotFound
    │   └── SigningError          a URL cannot be signed, or not for long enough
    ├── LedgerError               the SQL record of what was done
    │   ├── LedgerUnavailable     its database does not answer or is overloaded         (worth a retry)
    │   ├── ClaimLost             another worker has taken over what this one claimed   (worth a retry)
    │   ├── PlanOutdated          the ledger moved since the plan was made
    │   └── Busy                  somebody else is doing this right now                 (worth a retry)
    ├── ImportFailed              objects did not become files
    │   └── NothingToImport       the prefix holds no object that can be imported
    ├── DatasetError              annotations cannot become training data
    │   ├── IncompleteExport      the export lacks something that must be in it
    │   ├── LabelMapChanged       labels disappeared or changed their meaning
    │   ├── NotEnoughData         too few finished images to train or to judge
    │   └── ImageRejected         corrupt, too large, or not an image
    └── BrainError                training, evaluation, prediction
        ├── NoChampion            no brain was promoted yet
        ├── BrainNotFound         no such version in the registry
        ├── ChampionChanged       somebody else promoted or rolled back meanwhile       (worth a retry)
        └── BrainTampered         a file of a brain is not what its manifest says

Whether a retry can help is in :attr:`DiffgramFlowsError.retryable`.
"""

from __future__ import annotations

from typing import ClassVar


class DiffgramFlowsError(Exception):
    """The base of all errors of this package.

    Args:
        what: What happened, and to which object.
        cure: What the reader can do about it.
    """

    retryable: ClassVar[bool] = False

    def __init__(self, what: str, *, cure: str = "") -> None:
        super().__init__(what, cure)
        self.what = what
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.what} {self.cure}".strip()

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.what, self.cure, self.__dict__)


def _rebuild(kind: type[DiffgramFlowsError], what: str, cure: str, state: dict[str, object]) -> DiffgramFlowsError:
    """Restore a pickled error: Prefect carries exceptions between processes."""
    error = kind.__new__(kind)
    DiffgramFlowsError.__init__(error, what, cure=cure)
    error.__dict__.update(state)
    return error


class ConfigurationError(DiffgramFlowsError):
    """A setting, a parameter or an optional package is missing or wrong."""


class DiffgramError(DiffgramFlowsError):
    """The base of what the annotation server can answer.

    Args:
        what: What happened, and to which object.
        cure: What the reader can do about it.
        status: The HTTP status, 0 where there was none.
        fields: The server's own ``log.error`` dictionary, field name to text.
    """

    def __init__(self, what: str, *, cure: str = "", status: int = 0, fields: dict[str, str] | None = None) -> None:
        super().__init__(what, cure=cure)
        self.status = status
        self.fields = fields or {}


class ServerUnreachable(DiffgramError):
    """No answer: the name does not resolve, nobody listens, or the time ran out."""

    retryable = True


class ServerError(DiffgramError):
    """The server answered 5xx until the retries were used up."""

    retryable = True


class RateLimited(DiffgramError):
    """The server answered 429 until the retries were used up."""

    retryable = True


class BudgetExhausted(DiffgramError):
    """A daily quota of the server is used up; the call was not made."""

    retryable = True


class BrokenReply(DiffgramError):
    """The reply was not HTTP; the server does this for ids that it does not know, so a retry cannot help."""


class AuthenticationError(DiffgramError):
    """The credential is wrong, or its role does not allow the call."""


class ProjectNotFound(DiffgramError):
    """The credential is good, but the project is not there."""


class SessionRequired(DiffgramError):
    """The endpoint accepts a browser login only, not an API credential."""


class InvalidRequest(DiffgramError):
    """The server refused the input; :attr:`fields` holds its reasons."""


class UnexpectedReply(DiffgramError):
    """A reply of a shape that the contract does not know."""


class StorageError(DiffgramFlowsError):
    """The base of what a bucket can answer."""


class StorageUnavailable(StorageError):
    """The storage service did not answer, or answered 5xx until the retries were used up."""

    retryable = True


class BucketNotFound(StorageError):
    """The bucket does not exist."""


class AccessDenied(StorageError):
    """The credential may not list or read the bucket."""


class ObjectNotFound(StorageError):
    """The object does not exist, or no longer in the wanted version."""


class SigningError(StorageError):
    """A URL cannot be signed, or not for as long as it must live."""


class LedgerError(DiffgramFlowsError):
    """The SQL record of what was done cannot be read or written."""


class LedgerUnavailable(LedgerError):
    """The ledger's database does not answer, restarts, or is overloaded; what was not written is done again."""

    retryable = True


class ClaimLost(LedgerError):
    """The worker came back too late: another one has taken over its objects, and nothing was written."""

    retryable = True


class PlanOutdated(LedgerError):
    """The ledger has moved since the plan was made, or the plan was carried out already."""


class Busy(LedgerError):
    """Somebody else holds the lock."""

    retryable = True


class ImportFailed(DiffgramFlowsError):
    """Objects did not become files."""


class NothingToImport(ImportFailed):
    """The prefix holds no object that can be imported."""


class DatasetError(DiffgramFlowsError):
    """Annotations cannot become training data."""


class IncompleteExport(DatasetError):
    """The export lacks something that must be in it."""


class LabelMapChanged(DatasetError):
    """Labels disappeared or changed their meaning."""


class NotEnoughData(DatasetError):
    """Too few finished images to train or to judge."""


class ImageRejected(DatasetError):
    """An image is corrupt, too large, or not an image at all."""


class BrainError(DiffgramFlowsError):
    """The base of what can go wrong with brains."""


class NoChampion(BrainError):
    """No brain was promoted yet."""


class BrainNotFound(BrainError):
    """The registry does not hold this version."""


class ChampionChanged(BrainError):
    """Somebody else has promoted or rolled back since the champion was looked at; nothing was changed."""

    retryable = True


class BrainTampered(BrainError):
    """A file of a brain is not what its manifest says, or its graph holds a forbidden operation."""
