"""Exports: started, polled, and read from the store as a stream (contract section 11)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import IO, Any, BinaryIO

from diffgram_flows.diffgram.download import download
from diffgram_flows.diffgram.records import ExportRow, parse, parse_all
from diffgram_flows.diffgram.resource import Resource, part
from diffgram_flows.diffgram.resuming import save_download
from diffgram_flows.diffgram.transport import Call
from diffgram_flows.errors import InvalidRequest, ServerUnreachable, UnexpectedReply

_WAITING = 120.0  # seconds of silence while the server generates an export


class ExportCalls(Resource):
    """Calls about exports."""

    def start_export(
        self,
        *,
        directory_id: int | None = None,
        job_id: int | None = None,
        task_id: int | None = None,
        only_complete: bool = False,
        masks: bool = False,
    ) -> ExportRow:
        """Start an export of a dataset, a job or a task; follow it with :meth:`wait_for_export`.

        Args:
            directory_id: The dataset, or
            job_id: the job, or
            task_id: the task; exactly one of the three.
            only_complete: Only files whose tasks are complete. The server knows no "only the others".
            masks: Whether the server draws masks of the instances, too.

        Raises:
            InvalidRequest: The source does not exist, or not exactly one was given: without an id the server would
                silently export the default dataset.
        """
        body, about = _source(directory_id, job_id, task_id, only_complete, masks)
        body |= {"return_type": "url", "wait_for_export_generation": False}
        reply = self._change(self._old_walrus("export/to_file"), about, body)
        return parse(ExportRow, part(reply, "export", about=about), about)

    def export_now(
        self,
        *,
        directory_id: int | None = None,
        job_id: int | None = None,
        task_id: int | None = None,
        only_complete: bool = False,
        masks: bool = False,
    ) -> dict[str, Any]:
        """Export a small source in one call and give the data: numeric keys are files, the others describe them.

        The server works while we wait, at most two minutes, and the reply is read into memory: for a few hundred files.
        The signed URLs in it are secrets, and expire.

        Args: as for :meth:`start_export`.

        Raises:
            InvalidRequest: As for :meth:`start_export`.
            ServerUnreachable: It took longer; the export may be among :meth:`exports` all the same.
        """
        body, about = _source(directory_id, job_id, task_id, only_complete, masks)
        body |= {"return_type": "data", "wait_for_export_generation": True}
        call = Call("POST", self._old_walrus("export/to_file"), about, json=body, timeout=_WAITING)
        return _as_data(self._transport.json(call), about)

    def wait_for_export(self, export_id: int, timeout: float = 600.0, poll: float = 2.0) -> ExportRow:
        """Wait until an export can be downloaded.

        Args:
            export_id: The export.
            timeout: Seconds; :class:`ServerUnreachable` after that.
            poll: Seconds between two looks.

        Raises:
            ServerUnreachable: It is not complete in time. It goes on all the same: call again.
            InvalidRequest: There is no such export, or it failed.
        """
        ends_at = time.monotonic() + timeout
        while not (row := self.export_status(export_id)).finished:
            if row.status == "failed":
                raise InvalidRequest(f"The export {export_id} failed: {row.status_text}", cure="Export again.")
            if time.monotonic() >= ends_at:
                raise ServerUnreachable(
                    f"The export {export_id} is not complete after {timeout:g} s (status {row.status!r}, "
                    f"{row.percent:g} %).",
                    cure="It goes on at the server: wait longer, and look whether its workers are up.",
                )
            time.sleep(min(poll, max(0.0, ends_at - time.monotonic())))
        return row

    def export_status(self, export_id: int) -> ExportRow:
        """How far an export is.

        Raises:
            InvalidRequest: There is no such export.
        """
        about = f"the export {export_id}"
        reply = self._get(self._old_walrus(f"export/{export_id}/status"), about)
        return parse(ExportRow, part(reply, "export", about=about), about)

    def export_link(self, export_id: int) -> str:
        """A signed URL of the export's JSON, good for 5 minutes; a secret.

        Raises:
            InvalidRequest: The export does not exist, or is not ready.
        """
        about = f"the link of export {export_id}"
        body = {"id": export_id, "return_type": "url", "format": "JSON"}
        link = self._ask(self._old_walrus("export/link"), about, body)
        if not isinstance(link, str) or not link:
            raise UnexpectedReply(f"The server gave no link for export {export_id}.", cure="Export again.")
        return link

    def export_data(self, export_id: int) -> dict[str, Any]:
        """The data of a complete export through the server, where its store cannot be reached; read into memory.

        The signed URLs in it are secrets. Large exports: :meth:`fetch_export` streams.

        Raises:
            InvalidRequest: The export does not exist, or is not ready.
        """
        about = f"the data of export {export_id}"
        body = {"id": export_id, "return_type": "data", "format": "JSON"}
        return _as_data(self._ask(self._old_walrus("export/link"), about, body), about)

    def archive_exports(self, ids: Sequence[int]) -> None:
        """Put exports aside, one call each; they leave the list of :meth:`exports`."""
        for export_id in ids:
            body = {"id": export_id, "mode": "ARCHIVE"}
            self._change(self._old_walrus("export/update"), f"the archiving of export {export_id}", body)

    def fetch_export(self, export_id: int) -> AbstractContextManager[BinaryIO]:
        """Open the export's JSON as a binary file that streams from the store, to be used as a context manager.

        The store gets no credential, only the signed link.

        Raises:
            InvalidRequest: The export does not exist, or is not ready.
            ServerUnreachable: The store does not answer, or the stream broke before its end; also while reading.
            ServerError, UnexpectedReply: The store refused.
        """
        link = self.export_link(export_id)
        timeout, retries = self._transport.timeout, self._transport.retries
        return download(link, f"export {export_id}", timeout=timeout, retries=retries)

    def save_export(self, export_id: int, file: IO[bytes]) -> int:
        """Write the export's JSON to a file, from its beginning, and give its size in bytes.

        A connection that breaks costs what is left of the download where the store allows to go on; a link that
        expires meanwhile is replaced. The JSON holds signed URLs: keep the file private, and remove it.

        Raises: as :meth:`fetch_export`.
        """
        timeout, retries = self._transport.timeout, self._transport.retries
        about = f"export {export_id}"
        return save_download(lambda: self.export_link(export_id), about, file, timeout=timeout, retries=retries)

    def exports(self) -> list[ExportRow]:
        """All exports of the project, newest first."""
        about = "the list of exports"
        reply = self._get(self._old_walrus("export/working_dir/list"), about)
        return parse_all(ExportRow, part(reply, "export_list", about=about), about)


def _source(
    directory_id: int | None, job_id: int | None, task_id: int | None, only_complete: bool, masks: bool
) -> tuple[dict[str, Any], str]:
    """The part of the body that says what is exported, and how errors call it."""
    given = {"directory": directory_id, "job": job_id, "task": task_id}
    chosen = [(source, number) for source, number in given.items() if number is not None]
    if len(chosen) != 1:
        raise InvalidRequest("An export needs one source.", cure="Give either directory_id, job_id or task_id.")
    source, number = chosen[0]
    body = {
        "kind": "Annotations",
        "source": source,
        "file_comparison_mode": "latest",
        "masks": masks,
        "ann_is_complete": True if only_complete else None,
        "directory_id": directory_id,
        "job_id": job_id,
    }
    return body | ({"task_id": task_id} if task_id is not None else {}), f"the export of {source} {number}"


def _as_data(reply: object, about: str) -> dict[str, Any]:
    if not isinstance(reply, dict):
        raise UnexpectedReply(
            f"The server gave no data for {about}.", cure="Check that it is complete, or export again."
        )
    return reply
