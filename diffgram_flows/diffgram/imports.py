"""Imports: packets and uploads go in, rows tell what became of them (contract sections 5 to 7)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from diffgram_flows.diffgram.import_row import ImportRow
from diffgram_flows.diffgram.packet import Packet
from diffgram_flows.diffgram.records import parse, parse_all
from diffgram_flows.diffgram.resource import Resource, part
from diffgram_flows.diffgram.transport import Call
from diffgram_flows.errors import InvalidRequest

_LARGEST_UPLOAD = 250 * 2**20  # bytes; the limit of the service (contract section 3)
_UPLOAD_TIMEOUT = 120.0  # seconds; the reply comes when the image is processed


class ImportCalls(Resource):
    """Calls about imports."""

    def send_packet(self, packet: Packet) -> None:
        """Queue an import. That it is queued is all that is known afterwards: the server tells no id.

        Raises:
            BrokenReply: The dataset, the file or the job of the packet does not exist.
            InvalidRequest: The server refused the packet.
            ServerUnreachable, ServerError: No answer. Where :func:`maybe_delivered` says so, look for the file name in
                :meth:`imports` before sending it again.
            RateLimited, BudgetExhausted: A quota.
        """
        self._change(self._walrus("input/packet"), packet.about, packet.body(), endpoint="input/packet")

    def upload(
        self,
        path_or_bytes: Path | str | bytes,
        *,
        name: str,
        directory_id: int,
        instances: Sequence[Mapping[str, Any]] = (),
    ) -> ImportRow:
        """Import an image's bytes and wait until it is processed.

        Raises:
            InvalidRequest: The image, its name or an instance was refused. ``fields["existing_file_id"]`` is there for
                a duplicate name, ``fields["file_id"]`` where the image was stored and only the instances were wrong.
            ServerUnreachable: No answer; :func:`maybe_delivered` tells whether it may be there all the same.
        """
        about = f"the upload {name!r} (dataset {directory_id})"
        settings: dict[str, Any] = {"directory_id": directory_id}
        if instances:
            settings["instance_list"] = [dict(instance) for instance in instances]
        call = Call(
            "POST",
            self._walrus("input/from_local"),
            about,
            form={"json": json.dumps(settings)},
            file=(name, _content(path_or_bytes, about)),
            timeout=max(_UPLOAD_TIMEOUT, self._transport.timeout),
            unseen="the file is an image that is not corrupt",
        )
        row = parse(ImportRow, part(self._transport.json(call), "input", about=about), about)
        if row.status == "failed":  # with a 200 and log.success true (contract section 7)
            fields = {"status_text": row.reason}
            if row.file_id is not None:
                fields["file_id"] = str(row.file_id)
            raise InvalidRequest(
                f"The server could not import {about}: {row.reason}",
                cure="Correct what it names. If the file was stored all the same, add the instances to it.",
                status=200,
                fields=fields,
            )
        return row

    def imports(self, *, limit: int = 1000, status: str = "All", file_id: int | None = None) -> list[ImportRow]:
        """The newest imports, newest first. There is no paging and no filter by name.

        Args:
            limit: At most 1000, which is the server's own limit.
            status: ``All``, ``Success``, ``Failed``, ``Processing`` (everything else), ``Init``, spelled like this.
            file_id: Only the imports of this file.
        """
        about = "the list of imports"
        body = {"limit": limit, "status_filter": status} | ({"file_id": file_id} if file_id is not None else {})
        reply = self._ask(self._walrus("input/view/list"), about, body)
        return parse_all(ImportRow, part(reply, "input_list", about=about), about)

    def import_row(self, input_id: int) -> ImportRow:
        """One import.

        Raises:
            InvalidRequest: There is no such import.
        """
        about = f"the import {input_id}"
        return parse(
            ImportRow, part(self._ask(self._walrus(f"input/view/{input_id}"), about, {}), "input", about=about), about
        )

    def retry_imports(self, ids: Sequence[int]) -> None:
        """Have imports done again, also those that hang. The file of the failed attempt goes, a new one comes.

        The server fetches the URL that it got in the beginning, which may be expired. One call of 300 a day.
        """
        self._update_imports(ids, "RETRY")

    def archive_imports(self, ids: Sequence[int]) -> None:
        """Drop imports and their files from their datasets; the names are free again. One call of 300 a day."""
        self._update_imports(ids, "ARCHIVE")

    def _update_imports(self, ids: Sequence[int], mode: Literal["RETRY", "ARCHIVE"]) -> None:
        if ids:
            about = f"{mode} of {len(ids)} imports, {min(ids)} to {max(ids)}"
            body = {"id_list": list(ids), "mode": mode}
            self._change(self._walrus("input/update"), about, body, endpoint="input/update")


def _content(path_or_bytes: Path | str | bytes, about: str) -> bytes:
    """The bytes to upload.

    Raises:
        InvalidRequest: The file cannot be read, or is larger than the server takes.
    """
    reason = ""
    content = b""
    try:
        content = path_or_bytes if isinstance(path_or_bytes, bytes) else Path(path_or_bytes).read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
    if reason:
        raise InvalidRequest(f"The file for {about} cannot be read: {reason}.", cure="Give a file that can be read.")
    if len(content) > _LARGEST_UPLOAD:
        raise InvalidRequest(
            f"The file for {about} has more than {_LARGEST_UPLOAD // 2**20} MiB.", cure="Import it from a URL."
        )
    return content
