"""An S3 that only lists: as many keys as wanted, after as long a wait as wanted. Its CPU time is its own process's.

Run as ``python listing_server.py KEYS MILLISECONDS KIND``, with ``uuid`` or ``dated`` keys. It prints its port and runs
until standard input closes.
"""

from __future__ import annotations

import random
import sys
import threading
import time
import uuid
from bisect import bisect_right
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, urlsplit

ENTRY = (
    "<Contents><Key>{key}</Key><LastModified>2026-11-22T10:00:00.000Z</LastModified>"
    "<ETag>&quot;9bb58f26192e4ba00f01e2e7b136bbd8&quot;</ETag><Size>{size}</Size>"
    "<StorageClass>STANDARD</StorageClass></Contents>"
)
PAGE = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    "<Name>b</Name><Prefix></Prefix><EncodingType>url</EncodingType><KeyCount>{count}</KeyCount>"
    "<MaxKeys>{size}</MaxKeys><IsTruncated>{more}</IsTruncated>{token}{entries}</ListBucketResult>"
)


def make_keys(count: int, kind: str) -> list[str]:
    """Sorted keys as cameras and programs make them."""
    rng = random.Random(1)  # noqa: S311 - a benchmark's keys
    if kind == "uuid":
        keys = (f"images/{uuid.UUID(int=rng.getrandbits(128))}.jpg" for _ in range(count))
    else:
        keys = (
            f"cam{rng.randrange(3)}/2026/{rng.randrange(1, 13):02}/{rng.randrange(1, 29):02}/{number:08}.jpg"
            for number in range(count)
        )
    return sorted(keys)


class Lister(ThreadingHTTPServer):
    """Holds the keys and their entries."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, keys: list[str], wait: float) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.keys = keys
        self.entries = [ENTRY.format(key=quote(key, safe="/"), size=200_000) for key in keys]
        self.wait = wait


class Handler(BaseHTTPRequestHandler):
    """Answers whether the bucket exists, and pages of its listing."""

    server: Lister
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # otherwise every header is a packet of its own

    def do_HEAD(self) -> None:
        """The region of the bucket."""
        self._answer(b"")

    def do_GET(self) -> None:
        """A page after ``start-after`` or the token, which here is the last key."""
        time.sleep(self.server.wait)
        asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        keys, size = self.server.keys, int(asked.get("max-keys", "1000"))
        start = bisect_right(keys, asked.get("continuation-token", asked.get("start-after", "")))
        end = min(start + size, len(keys))
        token = f"<NextContinuationToken>{quote(keys[end - 1])}</NextContinuationToken>" if end < len(keys) else ""
        page = PAGE.format(
            count=end - start,
            size=size,
            more="true" if token else "false",
            token=token,
            entries="".join(self.server.entries[start:end]),
        )
        self._answer(page.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/xml")
        self.send_header("x-amz-bucket-region", "us-east-1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main(count: int, milliseconds: float, kind: str) -> None:
    """Serve until standard input closes."""
    with Lister(make_keys(count, kind), milliseconds / 1000) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdout.write(f"{server.server_address[1]}\n")
        sys.stdout.flush()
        sys.stdin.read()
        server.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3])
