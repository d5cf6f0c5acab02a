"""What boto3 says, in the words of our own errors. Imports botocore inside the functions only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from diffgram_flows.errors import (
    AccessDenied,
    BucketNotFound,
    ConfigurationError,
    DiffgramFlowsError,
    ObjectNotFound,
    StorageError,
    StorageUnavailable,
)
from diffgram_flows.storage.preflight import NO_SSE_C

_HOW_TO_LOG_IN = (
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile (s3_profile, AWS_PROFILE), "
    "or give the machine a role; a profile of single sign-on needs `aws sso login`."
)
_RELIST = "List the bucket again."
_REGION = "Set s3_region to the bucket's region."
_RIGHTS = "Grant s3:ListBucket on the bucket and s3:GetObject on its objects, and kms:Decrypt if KMS encrypts them."
_LATER = "Try again later."

_SSE_C = "Server Side Encryption"

_SAYINGS: Mapping[str, tuple[type[DiffgramFlowsError], str, str]] = {
    "NoSuchBucket": (BucketNotFound, "There is no bucket for {uri}.", "Check the name and the account or endpoint."),
    "NoSuchKey": (ObjectNotFound, "{uri} does not exist.", _RELIST),
    "NoSuchVersion": (ObjectNotFound, "{uri} does not exist in this version.", _RELIST),
    "PreconditionFailed": (ObjectNotFound, "{uri} was replaced since it was listed.", _RELIST),
    "InvalidObjectState": (AccessDenied, "{uri} lies in an archive storage class.", "Restore it first, or skip it."),
    "InvalidAccessKeyId": (AccessDenied, "The access key is not known to the owner of {uri}.", _HOW_TO_LOG_IN),
    "SignatureDoesNotMatch": (AccessDenied, "The secret key is wrong for {uri}.", _HOW_TO_LOG_IN),
    "ExpiredToken": (AccessDenied, "The temporary credential for {uri} has expired.", _HOW_TO_LOG_IN),
    "InvalidToken": (AccessDenied, "The session token for {uri} is not valid.", _HOW_TO_LOG_IN),
    "RequestTimeTooSkewed": (AccessDenied, "The clocks here and at {uri} disagree.", "Set this machine's clock."),
    "PermanentRedirect": (ConfigurationError, "{uri} is in another region.", _REGION),
    "AuthorizationHeaderMalformed": (ConfigurationError, "{uri} is in another region.", _REGION),
    "InvalidBucketName": (ConfigurationError, "{uri} names no valid bucket.", "Check the name."),
    "SlowDown": (StorageUnavailable, "{uri}: the store asks to slow down.", _LATER),
    "RequestTimeout": (StorageUnavailable, "{uri}: the store waited too long for the request.", _LATER),
}


@contextmanager
def translated(uri: str) -> Iterator[None]:
    """Raise our errors for those of boto3 that happen inside.

    Args:
        uri: Of the bucket or the object that it is about.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise _from_reply(uri, error.response) from error
    except BotoCoreError as error:
        raise _from_library(uri, error) from error
    except RuntimeError as error:  # all that botocore says when a refresh brings a credential that is dead already
        kind, what, cure = _SAYINGS["ExpiredToken"]
        raise kind(what.format(uri=uri), cure=cure) from error


def _from_reply(uri: str, reply: Mapping[str, Any]) -> DiffgramFlowsError:
    """The error of an HTTP reply: by S3's own code where it is known, by the status where not."""
    code, status = str(reply["Error"].get("Code", "")), int(reply["ResponseMetadata"]["HTTPStatusCode"])
    if status == 412:  # the reply to a HEAD has no body that could say more
        code = "PreconditionFailed"
    if code == "InvalidRequest" and _SSE_C in str(reply["Error"].get("Message", "")):
        return AccessDenied(f"{uri} is encrypted with a key of the customer (SSE-C).", cure=NO_SSE_C)
    if code in _SAYINGS:
        kind, what, cure = _SAYINGS[code]
        return kind(what.format(uri=uri), cure=cure)
    if status in (401, 403):
        return AccessDenied(f"The credential may not use {uri} ({code}).", cure=_RIGHTS)
    if status == 404:
        return ObjectNotFound(f"{uri} does not exist ({code}).", cure=_RELIST)
    if status == 429 or status >= 500:
        return StorageUnavailable(f"{uri}: the store answered {status} {code}.", cure=_LATER)
    return StorageError(f"{uri}: the store answered {status} {code}.", cure="Look the code up in the S3 reference.")


def _from_library(uri: str, error: Exception) -> DiffgramFlowsError:
    """The error of what happened before or instead of a reply. Its own text may hold URLs, so it is not repeated."""
    from botocore import exceptions as boto

    name = type(error).__name__
    no_credential = (
        boto.NoCredentialsError,
        boto.PartialCredentialsError,
        boto.CredentialRetrievalError,
        boto.MetadataRetrievalError,
        boto.TokenRetrievalError,
        boto.SSOError,
    )
    if isinstance(error, no_credential):
        return ConfigurationError(f"There is no AWS credential for {uri} ({name}).", cure=_HOW_TO_LOG_IN)
    if isinstance(error, boto.ProfileNotFound):
        return ConfigurationError(f"The AWS profile for {uri} does not exist.", cure="Check s3_profile or AWS_PROFILE.")
    if isinstance(error, (boto.ParamValidationError, boto.EndpointProviderError, boto.InvalidConfigError)):
        return ConfigurationError(f"boto3 does not accept {uri} ({name}).", cure="Check its name and s3_region.")
    if isinstance(error, (boto.HTTPClientError, boto.ConnectionError, boto.IncompleteReadError)):
        address = urlsplit(str(getattr(error, "kwargs", {}).get("endpoint_url", "")))
        where = f" at {address.hostname}" + (f":{address.port}" if address.port else "") if address.hostname else ""
        return StorageUnavailable(
            f"The store of {uri}{where} does not answer ({name}).", cure="Check the network and s3_endpoint."
        )
    return StorageError(f"boto3 failed on {uri} ({name}).", cure="Look at the cause below.")
