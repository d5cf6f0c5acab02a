"""URLs of one S3 bucket: signed here where that was seen to give what boto3 gives, else by boto3."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from diffgram_flows.storage.s3_client import credentials_of
from diffgram_flows.storage.sigv4 import CANARIES, UrlSigner

log = logging.getLogger(__name__)

_ARGUMENTS = {"response-content-type": "ResponseContentType", "versionId": "VersionId"}
"""Names in the query to boto3's names of them."""

_TRIED = {"response-content-type": "image/jpeg", "versionId": "a.b_c/+=="}
"""What the canaries carry: everything that a URL may."""


class S3Signer:
    """Signs URLs of one bucket with whatever credential the session has at the moment.

    Args:
        session: Of boto3.
        client: Made by :func:`~diffgram_flows.storage.s3_client.open_client`, for the bucket's region and addresses.
        bucket: Its name.
        requester_pays: Whether every URL says so; the client adds it to those that boto3 makes.
    """

    def __init__(self, session: Any, client: Any, bucket: str, *, requester_pays: bool) -> None:
        self._session, self._client, self._bucket = session, client, bucket
        self._payer = {"x-amz-request-payer": "requester"} if requester_pays else {}
        self._known: tuple[Any, UrlSigner | None] = (None, None)

    def sign(self, key: str, seconds: int, params: Mapping[str, str]) -> str:
        """The URL of a key, good for so many seconds."""
        credential = credentials_of(self._session).get_frozen_credentials()
        known, signer = self._known
        if credential != known:
            signer = self._fast(credential)
            self._known = (credential, signer)
        if signer is None:
            return self._slow(key, seconds, params)
        return signer.sign(key, seconds, {**params, **self._payer})

    def _slow(self, key: str, seconds: int, params: Mapping[str, str]) -> str:
        named = {_ARGUMENTS[name]: value for name, value in params.items()}
        url: str = self._client.generate_presigned_url(
            "get_object", Params={"Bucket": self._bucket, "Key": key, **named}, ExpiresIn=seconds
        )
        return url

    def _fast(self, credential: Any) -> UrlSigner | None:
        """A signer of our own for the credential, if it agrees with boto3."""
        example = urlsplit(self._slow(CANARIES[0], 3600, {}))
        region = parse_qs(example.query)["X-Amz-Credential"][0].split("/")[2]
        base = f"{example.scheme}://{example.netloc}{example.path.removesuffix(quote(CANARIES[0]))}"
        signer = UrlSigner(credential.access_key, credential.secret_key, credential.token or "", base, region)
        if signer.agrees(lambda key: self._slow(key, 3600, _TRIED), {**_TRIED, **self._payer}):
            return signer
        log.info("boto3 signs the URLs of s3://%s: the fast signer does not make the same.", self._bucket)
        return None
