"""Whether an import from a bucket can work, tried before anything is sent."""

from __future__ import annotations

import ipaddress
import re
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from diffgram_flows.errors import DiffgramFlowsError
from diffgram_flows.models import Lease, StoredObject

if TYPE_CHECKING:
    from diffgram_flows.storage.base import ObjectStore

PAGE = 1000
"""Objects that are looked at: one page of a listing."""

HEAD_BYTES = 4096
"""Of a refusal, to find its code in."""

NO_SSE_C = "Store it with SSE-S3 or SSE-KMS: a URL cannot carry the key, and Diffgram does not have it."

SECONDS = 30.0
"""How long the store may take to answer the one fetch."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that stops an import (``error``) or may surprise (``warning``), and what to do about it."""

    level: Literal["error", "warning"]
    what: str
    cure: str


@dataclass(slots=True)
class PreflightReport:
    """What was tried and found.

    Attributes:
        bucket, prefix: What was looked at.
        region: Where the bucket lives, empty if the provider has none or does not tell.
        listed: Objects of the first page that can be used.
        skipped: Reason to number, for the others of it.
        sample: URI of the object that was fetched, empty if there was none.
        max_ttl: How long a URL can live.
        findings: In the order of their discovery; empty if all is well.
    """

    bucket: str
    prefix: str
    region: str = ""
    listed: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    sample: str = ""
    max_ttl: timedelta = timedelta()
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether an import can work."""
        return all(finding.level != "error" for finding in self.findings)

    def error(self, what: str, cure: str) -> None:
        self.findings.append(Finding("error", what, cure))

    def warning(self, what: str, cure: str) -> None:
        self.findings.append(Finding("warning", what, cure))


def inspect_store(store: ObjectStore, prefix: str, ttl: timedelta) -> PreflightReport:
    """See :meth:`ObjectStore.preflight`."""
    report = PreflightReport(store.bucket, prefix)
    try:
        store.check()
        report.region = str(getattr(store, "region", ""))
        sample = _list(store, prefix, report)
        if sample is not None:
            report.sample = sample.uri
            report.max_ttl = store.max_ttl()
            lease = store.lease(sample, ttl)
            _judge_life(report, ttl)
            _judge_host(report, lease)
            _fetch(report, sample, lease)
    except DiffgramFlowsError as error:
        report.error(error.what, error.cure)
    return report


class _Enough(Exception):
    """A page was looked at."""


def _list(store: ObjectStore, prefix: str, report: PreflightReport) -> StoredObject | None:
    """Count one page and give its first object that can be used."""

    def count(obj: StoredObject, reason: str) -> None:
        report.skipped[str(reason)] = report.skipped.get(str(reason), 0) + 1
        if sum(report.skipped.values()) >= PAGE:
            raise _Enough

    sample = None
    with suppress(_Enough):
        for obj in islice(store.iter_objects(prefix, on_skip=count), PAGE):
            sample = sample or obj
            report.listed += 1
    if sample is None:
        reasons = ", ".join(f"{number} x {reason}" for reason, number in report.skipped.items())
        report.error(
            f"There is nothing to import at the beginning of {store.bucket}/{prefix}"
            + (f": {reasons}." if reasons else "."),
            "Check bucket and prefix; the prefix is compared as it is, with upper and lower case.",
        )
    return sample


def _judge_life(report: PreflightReport, ttl: timedelta) -> None:
    if report.max_ttl < ttl:
        report.warning(
            f"URLs of {report.bucket} live for {report.max_ttl} at most, {ttl} are wanted.",
            "Sign with a credential that lives longer, or let the server's queue run empty between chunks.",
        )


def _judge_host(report: PreflightReport, lease: Lease) -> None:
    parts = urlsplit(lease.url)
    host = parts.hostname or ""
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost" or host.endswith(".localhost")
    if loopback:
        report.warning(
            f"URLs of {report.bucket} name {host}, which only this machine reaches.",
            "Fine if Diffgram runs on this machine; else give the address that Diffgram reaches "
            "(file_host and file_public_url, or the endpoint).",
        )


def _fetch(report: PreflightReport, sample: StoredObject, lease: Lease) -> None:
    """One byte, without any credential of ours: what Diffgram will do."""
    import requests

    try:
        with requests.get(
            lease.url,
            headers={"Range": "bytes=0-0"},
            auth=lambda request: request,  # otherwise requests adds what a .netrc says
            timeout=SECONDS,
            stream=True,
            allow_redirects=False,
        ) as reply:
            head = reply.raw.read(HEAD_BYTES, decode_content=True) if reply.status_code >= 300 else b""
    except requests.RequestException as error:
        report.error(
            f"The signed URL of {sample.uri} cannot be fetched ({type(error).__name__}).",
            "Check name, network and firewall between Diffgram and the store.",
        )
        return
    if reply.status_code >= 300:
        _judge_refusal(report, sample, reply.status_code, head.decode(errors="replace"))
        return
    if reply.status_code == 200:
        report.warning(
            f"The store of {sample.uri} does not answer a part of an object when it is asked for one.",
            "Slow only: every look at an image's header fetches the whole image.",
        )
    media = reply.headers.get("Content-Type", "")
    if not media.startswith(("image/", "video/")):
        report.warning(
            f"{sample.uri} is served as {media or 'nothing'}.",
            "Leave content_type_by_suffix on, or store it with its type.",
        )


_REFUSALS = (
    ("customer provided|SSE-C|Server Side Encryption", "is encrypted with a key of the customer (SSE-C)", NO_SSE_C),
    ("InvalidObjectState", "lies in an archive", "Restore it first, or leave it out."),
    ("KMS", "is encrypted by KMS, and the signer may not decrypt", "Grant kms:Decrypt on its key to the signer."),
    (
        "RequestTimeTooSkewed|ExpiredToken|expired",
        "came too late",
        "Set this machine's clock, or renew the credential.",
    ),
    ("SignatureDoesNotMatch", "was refused for its signature", "Check the secret key and s3_region."),
    ("requester ?pays|userProject", "is paid by the requester", "Set requester_pays."),
)


def _judge_refusal(report: PreflightReport, sample: StoredObject, status: int, body: str) -> None:
    """Say why a URL that we signed is refused; the body itself may quote the URL and is not repeated."""
    if 300 <= status < 400:
        report.error(f"{sample.uri} is redirected elsewhere ({status}).", "Set s3_region to the bucket's own region.")
        return
    if status == 404:
        report.error(f"{sample.uri} is gone since it was listed (404).", "Try again; an inventory may be days old.")
        return
    for pattern, what, cure in _REFUSALS:
        if re.search(pattern, body, re.IGNORECASE):
            report.error(f"{sample.uri} {what} ({status}).", cure)
            return
    code = re.search(r"<Code>(\w+)</Code>", body)
    report.error(
        f"The store refuses the signed URL of {sample.uri} ({status}{' ' + code[1] if code else ''}).",
        "Grant the signer the right to read objects (s3:GetObject, storage.objects.get), not only to list them.",
    )
