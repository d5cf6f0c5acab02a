"""Images from elsewhere: bounded in size and time, over http and https only, with no credential."""

from __future__ import annotations

import time
from urllib.parse import urljoin, urlsplit

import requests
from requests.auth import AuthBase

from diffgram_flows import __version__
from diffgram_flows.diffgram import DiffgramClient, without_secrets
from diffgram_flows.diffgram.download import download
from diffgram_flows.errors import ImageRejected, InvalidRequest

MAX_BYTES = 200 * 2**20
_TIMEOUT = 30.0  # seconds to connect, and of silence
_LONGEST = 300.0  # seconds for the whole
_RETRIES = 2
_REDIRECTS = 5
_CHUNK = 2**16


class _NoCredential(AuthBase):
    """Keeps requests from sending what a ``.netrc`` says about a host."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def fetch_file(client: DiffgramClient, file_id: int) -> bytes:
    """The image of a file of Diffgram.

    Raises:
        InvalidRequest: There is no such file.
        ImageRejected: It is larger than 200 MiB.
        DiffgramError: The server or its store did not give it.
    """
    try:
        url = client.signed_url(file_id)
    except InvalidRequest as error:  # a Diffgram that does not find it answers with a trace of its own
        raise InvalidRequest(
            f"The project {client.project} has no file {file_id}.",
            cure="Check the id, and that the file was not removed.",
            status=error.status,
            fields=error.fields,
        ) from error
    with download(url, f"file {file_id}", timeout=_TIMEOUT, retries=_RETRIES) as stream:
        content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise _too_large(f"file {file_id}")
    return content


def fetch_image(url: str) -> bytes:
    """The bytes behind a URL; redirects are followed. What is signed in a URL is in no error.

    Raises:
        ImageRejected: It is not of http or https, gives no answer or none that is good, or more than 200 MiB.
    """
    shown = without_secrets(url)
    ends_at = time.monotonic() + _LONGEST
    with requests.Session() as session:
        session.auth = _NoCredential()
        session.headers["User-Agent"] = f"diffgram-flows/{__version__}"
        for _ in range(_REDIRECTS + 1):
            _check(url, shown)
            content, target = _get(session, url, shown, ends_at)
            if not target:
                return content
            url = urljoin(url, target)
    raise _refused(shown, f"redirects more than {_REDIRECTS} times")


def _check(url: str, shown: str) -> None:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        good = False
    if not good:
        raise _refused(shown, "is, or redirects to, no URL of http or https")


def _get(session: requests.Session, url: str, shown: str, ends_at: float) -> tuple[bytes, str]:
    """The body, or where to go instead."""
    problem = ""
    content = b""
    try:
        with session.get(url, timeout=_TIMEOUT, stream=True, allow_redirects=False) as response:
            if response.is_redirect:
                return b"", str(response.headers["location"])
            if response.status_code == requests.codes.ok:
                content, problem = _body(response, ends_at)
            else:
                problem = f"answers {response.status_code}"
    except requests.RequestException as error:  # its text would hold the whole URL
        problem = f"cannot be fetched ({type(error).__name__})"
    if problem:
        raise _refused(shown, problem)
    if len(content) > MAX_BYTES:
        raise _too_large(shown)
    return content, ""


def _body(response: requests.Response, ends_at: float) -> tuple[bytes, str]:
    """The body up to a little over the limit, and what went wrong."""
    content = bytearray()
    for chunk in response.iter_content(_CHUNK):
        content += chunk
        if len(content) > MAX_BYTES:
            break
        if time.monotonic() > ends_at:
            return b"", f"was not there after {_LONGEST:g} s"
    return bytes(content), ""


def _refused(shown: str, problem: str) -> ImageRejected:
    return ImageRejected(
        f"The image {shown} {problem}.", cure="Check the URL, and sign it again if it is a signed one."
    )


def _too_large(shown: str) -> ImageRejected:
    return ImageRejected(f"The image {shown} has more than {MAX_BYTES // 2**20} MiB.", cure="Scale it down.")
