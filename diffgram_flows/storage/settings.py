"""How buckets are reached: one value for all providers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """How to reach the buckets. Everything is optional; what is left out is what the providers' libraries find.

    No secret is in here: keys come from the environment, a profile, a key file or the machine's own identity.

    Attributes:
        s3_endpoint: URL of an S3-compatible server, else ``AWS_ENDPOINT_URL_S3``, ``AWS_ENDPOINT_URL`` or AWS itself.
        s3_region: Region to start from; the bucket's own region is asked for anyway, and wins.
        s3_profile: Profile of the shared AWS configuration, else ``AWS_PROFILE``.
        s3_path_style: Whether the bucket stands in the path; ``None`` does so for other servers than AWS and for
            names with dots, which no wildcard certificate covers.
        s3_role_arn: Role that is assumed to reach the bucket, and again before its credential has become short.
        s3_external_id: What the role's owner wants to hear from whoever assumes it.
        s3_role_hours: For how long to assume it; AWS allows what the role's ``MaxSessionDuration`` says, and one hour
            where one role assumes another.
        s3_pin_versions: Whether URLs name the object's version, so that what is fetched hours later is what was listed.
            It costs one HEAD a URL, and works where the bucket keeps versions.
        requester_pays: Whether whoever downloads is charged, by the owner's configuration of the bucket.
        gcs_endpoint: URL of another server than Google's, else ``STORAGE_EMULATOR_HOST``.
        gcs_key_file: JSON key of a service account, else ``GOOGLE_APPLICATION_CREDENTIALS`` or the machine's identity.
        gcs_hmac: Whether to sign with the HMAC key in ``GS_ACCESS_KEY_ID`` and ``GS_SECRET_ACCESS_KEY``, which is fifty
            times as fast as RSA and, where there is no key file, needs no call to Google. Listing and reading use the
            identity above.
        azure_endpoint: Base URL of another blob service than ``https://<account>.blob.core.windows.net``.
        inventory: Where an S3 Inventory or a GCS inventory report of the bucket lies: what is in the bucket is then
            read there instead of listed.
        content_type_by_suffix: Whether signed URLs make the store answer with the type that the key's suffix tells,
            as many uploads are stored as ``application/octet-stream``.
        file_host: Address on which the server of a local folder listens.
        file_port: Its port, 0 for a free one.
        file_public_url: Under which URL others reach that server, if not under its address and port.
    """

    s3_endpoint: str | None = None
    s3_region: str | None = None
    s3_profile: str | None = None
    s3_path_style: bool | None = None
    s3_role_arn: str | None = None
    s3_external_id: str | None = None
    s3_role_hours: float = 1.0
    s3_pin_versions: bool = False
    requester_pays: bool = False
    gcs_endpoint: str | None = None
    gcs_key_file: str | None = None
    gcs_hmac: bool = False
    azure_endpoint: str | None = None
    inventory: str | None = None
    content_type_by_suffix: bool = True
    file_host: str = "127.0.0.1"
    file_port: int = 0
    file_public_url: str | None = None
