"""Exports: started, polled, and read from the store as a stream (contract section 11)."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import BinaryIO

from diffgram_flows.diffgram.download import download
from diffgram_flows.diffgram.records import ExportRow, parse, parse_all
from diffgram_flows.diffgram.resource import Resource, part
from diffgram_flows.errors import InvalidRequest, UnexpectedReply


class ExportCalls(Resource):
    """Calls about exports."""

    def start_export(
        self, *, directory_id: int | None = None, job_id: int | None = None, only_complete: bool = False
    ) -> ExportRow:
        """Start an export of a dataset or of a job; poll it with :meth:`export_status`.

        Args:
            directory_id: The dataset, or
            job_id: the job; exactly one of the two.
            only_complete: Only files whose tasks are complete.

        Raises:
            InvalidRequest: The dataset or the job does not exist, or not exactly one was given: without an id the
                server would silently export the default dataset.
        """
        if (directory_id is None) == (job_id is None):
            raise InvalidRequest("An export needs one source.", cure="Give either directory_id or job_id.")
        source = "directory" if job_id is None else "job"
        about = f"the export of {source} {directory_id if job_id is None else job_id}"
        body = {
            "kind": "Annotations",
            "source": source,
            "file_comparison_mode": "latest",
            "masks": False,
            "return_type": "url",
            "wait_for_export_generation": False,
            "ann_is_complete": True if only_complete else None,
            "directory_id": directory_id,
            "job_id": job_id,
        }
        reply = self._change(self._old_walrus("export/to_file"), about, body)
        return parse(ExportRow, part(reply, "export", about=about), about)

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

    def exports(self) -> list[ExportRow]:
        """All exports of the project, newest first."""
        about = "the list of exports"
        reply = self._get(self._old_walrus("export/working_dir/list"), about)
        return parse_all(ExportRow, part(reply, "export_list", about=about), about)
