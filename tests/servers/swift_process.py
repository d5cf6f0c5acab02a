"""OpenStack Swift with its S3 interface: its four servers in one process, as a program of its own.

Run as ``python swift_process.py FOLDER`` with one line of JSON on standard input: ``region``, and ``users`` as a list
of ``[account, user, secret, group]``. It prints the port of the S3 interface and serves until standard input closes, so
it cannot outlive its parent. The sockets are bound before the rings name their ports, so nobody can take one in
between. The file system of the folder must know extended attributes. A page of a listing is 5 keys, so that small
tests turn pages.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from socket import socket
from typing import Any

import eventlet  # type: ignore[import-untyped]
from eventlet import hubs, wsgi
from swift.common import constraints, storage_policy, utils  # type: ignore[import-untyped]
from swift.common.http_protocol import SwiftHttpProtocol  # type: ignore[import-untyped]
from swift.common.ring import RingBuilder  # type: ignore[import-untyped]
from swift.common.wsgi import loadapp  # type: ignore[import-untyped]

PLAIN_FILTERS = ("catch_errors", "gatekeeper", "healthcheck", "copy", "slo", "dlo", "symlink")
PROXY = """
[DEFAULT]
swift_dir = {folder}
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck s3api tempauth copy slo dlo versioned_writes symlink proxy-server
[filter:tempauth]
use = egg:swift#tempauth
{users}
[filter:s3api]
use = egg:swift#s3api
location = {region}
s3_acl = false
max_bucket_listing = 5
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_object_versioning = true
{filters}
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
"""
STORAGE = """
[DEFAULT]
swift_dir = {folder}
devices = {folder}
mount_check = false
fallocate_reserve = 0
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""


def listen() -> socket:
    """A socket on a free port."""
    sock: socket = eventlet.listen(("127.0.0.1", 0))
    return sock


def port_of(sock: socket) -> int:
    port: int = sock.getsockname()[1]
    return port


def proxy_config(folder: Path, settings: dict[str, Any]) -> str:
    """The proxy's configuration: who may do what, and the S3 dialect."""
    return PROXY.format(
        folder=folder,
        region=settings["region"],
        users="\n".join(
            f"user_{account}_{user} = {secret} {group}" for account, user, secret, group in settings["users"]
        ),
        filters="\n".join(f"[filter:{name}]\nuse = egg:swift#{name}" for name in PLAIN_FILTERS),
    )


def build_ring(folder: Path, kind: str, port: int) -> None:
    """One replica on one device: everything lies in one place."""
    builder = RingBuilder(4, 1, 1)
    device = {"region": 1, "zone": 1, "ip": "127.0.0.1", "port": port, "device": "disk", "weight": 1}
    builder.add_dev(device | {"replication_ip": "127.0.0.1", "replication_port": port})
    builder.rebalance(seed="1")
    builder.get_ring().save(str(folder / f"{kind}.ring.gz"))


def serve(folder: Path, kind: str, config: str, sock: socket) -> None:
    """Start one server in a green thread."""
    path = folder / f"{kind}.conf"
    path.write_text(config)
    eventlet.spawn(
        wsgi.server,
        sock,
        loadapp(str(path), global_conf={"log_name": kind}),
        utils.NullLogger(),
        protocol=SwiftHttpProtocol,
        capitalize_response_headers=False,  # botocore wants "ETag", not "Etag"
        url_length_limit=constraints.MAX_REQUEST_LINE,
    )


def main(folder: Path, settings: dict[str, Any]) -> None:
    """Start the four servers and wait for the end of standard input."""
    utils.monkey_patch()
    (folder / "disk").mkdir(parents=True)
    (folder / "swift.conf").write_text("[swift-hash]\nswift_hash_path_suffix = test\n")
    utils.set_swift_dir(str(folder))
    storage_policy.reload_storage_policies()
    for kind in ("account", "container", "object"):
        sock = listen()
        build_ring(folder, kind, port_of(sock))
        serve(folder, kind, STORAGE.format(folder=folder, kind=kind), sock)
    sock = listen()
    serve(folder, "proxy", proxy_config(folder, settings), sock)
    sys.stdout.write(f"{port_of(sock)}\n")
    sys.stdout.flush()
    hubs.trampoline(sys.stdin.fileno(), read=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.stdin.readline()))
