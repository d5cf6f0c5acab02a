"""What Google's library says, in the words of our own errors. Imports it inside the functions only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from diffgram_flows.errors import (
    AccessDenied,
    BucketNotFound,
    DiffgramFlowsError,
    ObjectNotFound,
    StorageError,
    StorageUnavailable,
)

_RIGHTS = "Grant it storage.objects.list and storage.objects.get (roles/storage.objectViewer) on the bucket."
_NETWORK = "Check the network and gcs_endpoint."


@contextmanager
def translated(uri: str, *, is_bucket: bool = False) -> Iterator[None]:
    """Raise our errors for those of Google's library that happen inside.

    Args:
        uri: Of the bucket or the object that it is about.
        is_bucket: Which of the two it is: Google's 404 does not say.
    """
    from google.api_core.exceptions import GoogleAPICallError, RetryError
    from google.auth.exceptions import GoogleAuthError, TransportError
    from requests import RequestException

    try:
        yield
    except GoogleAPICallError as error:
        raise _from_status(uri, int(error.code or 0), is_bucket=is_bucket) from error
    except (RetryError, RequestException, TransportError) as error:
        raise _no_answer(uri, error) from error
    except GoogleAuthError as error:
        raise AccessDenied(
            f"Google refuses the credential for {uri} ({type(error).__name__}).",
            cure="Check that its key still exists.",
        ) from error


def _no_answer(uri: str, error: Exception) -> StorageUnavailable:
    return StorageUnavailable(f"Google does not answer for {uri} ({type(error).__name__}).", cure=_NETWORK)


def _from_status(uri: str, status: int, *, is_bucket: bool) -> DiffgramFlowsError:
    if status == 404 and is_bucket:
        return BucketNotFound(f"There is no bucket {uri}.", cure="Check its name.")
    if status in (404, 412):
        return ObjectNotFound(f"{uri} does not exist, or not in this version.", cure="List the bucket again.")
    if status in (401, 403):
        return AccessDenied(f"The service account may not use {uri} ({status}).", cure=_RIGHTS)
    if status == 429 or status >= 500:
        return StorageUnavailable(f"{uri}: Google answered {status}.", cure="Try again later.")
    return StorageError(f"{uri}: Google answered {status}.", cure="Look at the cause below.")
