"""Who we are to Google, and how that identity signs. Imports Google's libraries inside the functions only.

Four ways to sign a URL. A key file signs here, for 7 days, and so does an HMAC key, fifty times as fast. An identity
without a key (a machine's, a federated or an impersonated one) asks Google's signBlob, one HTTPS call a URL; Google
rotates the key behind it and promises that a signature works for 12 hours only. A person's login cannot sign at all.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from diffgram_flows.errors import ConfigurationError, SigningError
from diffgram_flows.storage.base import MAX_SIGNED_TTL
from diffgram_flows.storage.gcs_remote import remote_signer
from diffgram_flows.storage.settings import StorageSettings
from diffgram_flows.storage.sigv4 import LibrarySigner, UrlSigner

MAX_KEYLESS_TTL = timedelta(hours=12)
"""For how long a signature by a Google-managed key is good (Google's page on creating signatures)."""

HMAC_KEY, HMAC_SECRET = "GS_ACCESS_KEY_ID", "GS_SECRET_ACCESS_KEY"
"""Names in the environment."""

_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_CURE = (
    "Name the JSON key of a service account (gcs_key_file, GOOGLE_APPLICATION_CREDENTIALS), "
    "or run this where a service account is attached to the machine."
)


def load_credentials(settings: StorageSettings) -> tuple[Any, str | None]:
    """The credential and the project it belongs to, if it tells.

    Raises:
        ConfigurationError: There is none, or the key file is not one.
    """
    import google.auth
    from google.auth.exceptions import GoogleAuthError

    try:
        if settings.gcs_key_file is None:
            credentials, project = google.auth.default(scopes=_SCOPES)
            return credentials, project
        return _from_key_file(settings.gcs_key_file)
    except (OSError, ValueError) as error:  # its own errors are ValueErrors where a file has the wrong content
        raise ConfigurationError(
            f"The key file {settings.gcs_key_file or 'of the environment'} is not the key of a service account.",
            cure=_CURE,
        ) from error
    except GoogleAuthError as error:
        raise ConfigurationError("There is no Google credential.", cure=_CURE) from error


def longest_ttl(credentials: Any) -> timedelta:
    """For how long a URL is good that this credential signs."""
    from google.oauth2 import service_account

    return MAX_SIGNED_TTL if isinstance(credentials, service_account.Credentials) else MAX_KEYLESS_TTL


def signer_of(credentials: Any) -> Any:
    """Whoever signs for a credential: itself if it has a key, else Google.

    Raises:
        SigningError: The credential belongs to a person, who cannot sign.
    """
    from google.auth.credentials import Signing
    from google.auth.transport.requests import Request

    if isinstance(credentials, Signing):
        return credentials
    if not credentials.valid:
        credentials.refresh(Request())
    email = getattr(credentials, "service_account_email", None)
    if not email:
        raise SigningError("The Google login that would sign belongs to no service account.", cure=_CURE)
    return remote_signer(credentials, email)


def hmac_signer(bucket: str, settings: StorageSettings) -> UrlSigner | LibrarySigner:
    """Signs with an HMAC key of a service account, as on S3: fast, if botocore is seen to make the same URLs.

    Raises:
        ConfigurationError: The environment does not hold it.
    """
    key, secret = os.environ.get(HMAC_KEY, ""), os.environ.get(HMAC_SECRET, "")
    if not key or not secret:
        raise ConfigurationError(
            f"There is no HMAC key for gs://{bucket}.",
            cure=f"Create one for a service account, set {HMAC_KEY} and {HMAC_SECRET}, or turn gcs_hmac off.",
        )
    host = settings.gcs_endpoint or os.environ.get("STORAGE_EMULATOR_HOST") or "https://storage.googleapis.com"
    base = f"{host.rstrip('/')}/{bucket}/"
    fast, library = UrlSigner(key, secret, "", base, "auto"), LibrarySigner(key, secret, base, "auto")
    tried = {"generation": "1", "response-content-type": "image/jpeg", "userProject": "a-b"}
    return fast if fast.agrees(lambda name: library.sign(name, 3600, tried), tried) else library


def _from_key_file(path: str) -> tuple[Any, str | None]:
    from google.oauth2 import service_account

    credentials = service_account.Credentials.from_service_account_file(path, scopes=_SCOPES)
    return credentials, credentials.project_id
