"""How a boto3 client must be made so that what it signs can be fetched. Imports boto3 inside the functions only.

Left to itself boto3 signs with the old algorithm, for a global host and for the region of the configuration; a plain
GET of such a URL is redirected or refused wherever the bucket lives in another region. Listing hides this, because
botocore follows the redirect of a request, but nobody can follow the redirect of a signature.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from diffgram_flows.errors import ConfigurationError
from diffgram_flows.storage.base import CREDENTIAL_MARGIN, MAX_SIGNED_TTL
from diffgram_flows.storage.s3_pages import use_lean_pages
from diffgram_flows.storage.s3_role import assume_role
from diffgram_flows.storage.settings import StorageSettings

CONNECT_SECONDS = 10
READ_SECONDS = 60
ATTEMPTS = 4

UNKNOWN_TOKEN_TTL = timedelta(hours=1)
"""What a session token without a known expiry is trusted for: the life of an assumed role, if nobody asked for more."""

_AWS_HOST = re.compile(r"(^|\.)(amazonaws\.com(\.cn)?|api\.aws)$")


def open_session(settings: StorageSettings) -> Any:
    """A boto3 session that acts in the wanted role and parses listings fast."""
    import boto3
    import botocore.session

    core = botocore.session.Session(profile=settings.s3_profile)
    use_lean_pages(core)
    if settings.s3_role_arn:
        assume_role(core, settings, connect=_config())
    return boto3.Session(botocore_session=core)


def open_client(session: Any, bucket: str, settings: StorageSettings) -> Any:
    """A client for the region and the addressing style of this bucket; asks the store for the region (one call).

    Raises:
        NoCredentialsError: The session finds none; botocore itself would say so later, at some calls only.
        ConfigurationError: The endpoint is no URL.
    """
    credentials_of(session)
    first_region = settings.s3_region or session.region_name or "us-east-1"
    first_path_style = settings.s3_path_style is not False
    probe = _client(session, settings, first_region, path_style=first_path_style)
    region = _region_of(probe, bucket) or first_region
    path_style = settings.s3_path_style
    if path_style is None:
        path_style = "." in bucket or not at_aws(probe)
    if (region, path_style) == (first_region, first_path_style):
        return probe
    probe.close()
    return _client(session, settings, region, path_style=path_style)


def at_aws(client: Any) -> bool:
    """Whether the client talks to Amazon itself."""
    return _AWS_HOST.search(urlsplit(client.meta.endpoint_url).hostname or "") is not None


def credential_life(session: Any) -> timedelta:
    """For how long a URL signed now is certainly good, as far as the credential decides; refreshes it if it is due.

    Raises:
        NoCredentialsError: There is none.
    """
    credentials = credentials_of(session)
    frozen = credentials.get_frozen_credentials()
    # botocore tells the end of a temporary credential nowhere else (checked with 1.44).
    expiry: datetime | None = getattr(credentials, "_expiry_time", None)
    if expiry is not None:
        return max(timedelta(), expiry - datetime.now(UTC) - CREDENTIAL_MARGIN)
    return UNKNOWN_TOKEN_TTL if frozen.token else MAX_SIGNED_TTL


def credentials_of(session: Any) -> Any:
    """What the session signs with.

    Raises:
        NoCredentialsError: There is nothing.
    """
    from botocore.exceptions import NoCredentialsError

    credentials = session.get_credentials()
    if credentials is None:
        raise NoCredentialsError
    return credentials


def _config(**more: Any) -> Any:
    from botocore.config import Config

    return Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        max_pool_connections=32,
        **more,
    )


def _client(session: Any, settings: StorageSettings, region: str, *, path_style: bool) -> Any:
    config = _config(
        signature_version="s3v4",
        s3={
            "addressing_style": "path" if path_style else "virtual",
            "us_east_1_regional_endpoint": "regional",  # otherwise the global host, which redirects elsewhere
        },
        # Otherwise botocore adds a checksum parameter to every URL, which older S3-compatible servers refuse.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        client = session.client("s3", region_name=region, endpoint_url=settings.s3_endpoint, config=config)
    except ValueError as error:  # what botocore makes of a malformed URL
        raise ConfigurationError(
            "The S3 endpoint is not a URL.", cure="Write s3_endpoint or AWS_ENDPOINT_URL as https://host:port."
        ) from error
    if settings.requester_pays:
        client.meta.events.register("before-sign.s3.GetObject", _add_requester_pays)
    return client


def _add_requester_pays(request: Any, **_: Any) -> None:
    """Say in the query who pays: boto3 would sign it as a header, which a plain GET does not send (measured: 403)."""
    request.url += ("&" if "?" in request.url else "?") + "x-amz-request-payer=requester"


def _region_of(client: Any, bucket: str) -> str | None:
    """Where the bucket lives; ``None`` where the store does not say. AWS says so even with a refusal."""
    from botocore.exceptions import ClientError

    try:
        reply = client.head_bucket(Bucket=bucket)
    except ClientError as error:
        reply = error.response
    meta = reply["ResponseMetadata"]
    region: str | None = meta["HTTPHeaders"].get("x-amz-bucket-region")
    if region is None and meta["HTTPStatusCode"] == 400:  # what other servers answer when the region is wrong
        return _location_of(client, bucket)
    return region


def _location_of(client: Any, bucket: str) -> str | None:
    """Like :func:`_region_of`, by a request that botocore corrects and repeats, but that needs one more permission."""
    from botocore.exceptions import ClientError

    try:
        location: str | None = client.get_bucket_location(Bucket=bucket)["LocationConstraint"]
    except ClientError:
        return None
    return location or "us-east-1"  # AWS's own name for its first region is none at all
