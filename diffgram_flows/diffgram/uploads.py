"""Bytes that the server gets from us instead of fetching them (contract section 7)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from diffgram_flows.diffgram.chunks import MIN_CHUNK, ChunkedFile, UploadState, open_chunks, safe_name
from diffgram_flows.diffgram.import_row import ImportRow
from diffgram_flows.diffgram.instances import check
from diffgram_flows.diffgram.records import parse
from diffgram_flows.diffgram.resource import Resource, part
from diffgram_flows.diffgram.transport import Call
from diffgram_flows.diffgram.troubles import maybe_delivered
from diffgram_flows.errors import DiffgramError, InvalidRequest, ServerError
from diffgram_flows.models import Progress, no_progress

_LARGEST_UPLOAD = 250 * 2**20  # bytes; the limit of the service (contract section 3)
_UPLOAD_TIMEOUT = 120.0  # seconds; the reply comes when the image is processed
# What the server says, on the last chunk, about the pre-labels of a batch (contract section 8).
_WRONG_BATCH = ("list index out of range", "'frame_packet_map'", "'instance_list'")


def _keep_nothing(state: UploadState) -> None:
    """Where nobody wants to continue after a crash."""


class UploadCalls(Resource):
    """Calls that carry files."""

    def upload(
        self,
        path_or_bytes: Path | str | bytes,
        *,
        name: str,
        directory_id: int,
        instances: Sequence[Mapping[str, Any]] = (),
        ordinal: int | None = None,
        parent_file_id: int | None = None,
    ) -> ImportRow:
        """Import an image's bytes and wait until it is processed. The server knows no job here: ``job_id`` is ignored.

        Args:
            path_or_bytes: The file, at most 250 MiB. It holds a worker of the server for the whole processing: send
                large ones with :meth:`upload_in_chunks`.
            name: The name it gets, with an extension.
            directory_id: The dataset.
            instances: Dictionaries of :mod:`~diffgram_flows.diffgram.shapes`.
            ordinal: Its place in a compound file.
            parent_file_id: The compound file. As the official SDK sends it; not recorded.

        Raises:
            InvalidRequest: The image, its name or an instance was refused. ``fields["existing_file_id"]`` is there for
                a duplicate name, ``fields["file_id"]`` where the image was stored and only the instances were wrong.
            ServerUnreachable: No answer; :func:`maybe_delivered` tells whether it may be there all the same.
        """
        about = f"the upload {name!r} (dataset {directory_id})"
        check(instances)
        settings: dict[str, Any] = {"directory_id": directory_id}
        if instances:
            settings["instance_list"] = [dict(instance) for instance in instances]
        more = {"ordinal": ordinal, "parent_file_id": parent_file_id}
        settings |= {key: value for key, value in more.items() if value is not None}
        call = Call(
            "POST",
            self._walrus("input/from_local"),
            about,
            form={"json": json.dumps(settings)},
            file=(name, _content(path_or_bytes, about)),
            timeout=self._upload_timeout,
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

    def upload_in_chunks(
        self,
        path: Path | str,
        *,
        name: str | None = None,
        directory_id: int,
        job_id: int | None = None,
        batch_id: int | None = None,
        chunk_size: int = MIN_CHUNK,
        progress: Progress = no_progress,
        state: UploadState | None = None,
        keep: Callable[[UploadState], None] = _keep_nothing,
    ) -> UploadState:
        """Import a file of any size, piece by piece, four pieces a second; the way for a batch's pre-labels, too.

        The reply tells no id: look for ``.name`` of the result among :meth:`imports`. Processing begins at once.

        What a server does with a piece that comes twice was not recorded, so no piece is sent twice in one upload: if
        it is uncertain whether a piece arrived, everything is sent again under a new upload id, which leaves the first
        as garbage in the server's store. That is safe until the last piece: if the last one is uncertain, the call
        fails and :func:`maybe_delivered` says so; look for the name, and start anew only if it is not there.

        Args:
            path: The file.
            name: The name it gets, by default the file's own. It must have an extension, and the server makes it
                "safe": blanks become ``_``, brackets go. Names whose safe form was not recorded are refused.
            directory_id: The dataset.
            job_id: The job that gets a task for the file.
            batch_id: The batch with its pre-labels and metadata, under the same name.
            chunk_size: Bytes a piece, at least 5 MiB.
            progress: Told the bytes sent and the bytes in all.
            state: Where an earlier call with the same arguments stopped: what was certainly received is not sent
                again. A file that changed since, or an uncertain piece, means starting anew.
            keep: Given the state before and after every piece, to be stored for the case of a crash.

        Returns:
            The state at the end; its ``name`` is the one under which the server keeps the file.

        Raises:
            InvalidRequest: The file cannot be read, is empty, its name does not suit, or the batch is wrong for it.
            ServerUnreachable, ServerError: The upload did not end. :meth:`UploadState.of` the error is where it
                stopped, to be given as ``state`` to a second call.
            BrokenReply: The dataset or the job does not exist.
        """
        stored_as = safe_name(name if name is not None else Path(path).name)
        about = f"the upload {stored_as!r} (dataset {directory_id})"
        form = {"directory_id": str(directory_id), "source": "from_resumable"}
        form |= {"input_batch_id": str(batch_id)} if batch_id is not None else {}
        form |= {"job_id": str(job_id)} if job_id is not None else {}
        with open_chunks(path, stored_as, chunk_size, about) as file:
            current = file.continued(state)
            restarts = 0
            while True:
                try:
                    return self._send_chunks(file, current, form, about, progress, keep)
                except DiffgramError as error:
                    reached = UploadState.of(error)
                    again = reached is not None and reached.uncertain and not reached.at_last_chunk
                    if not again or restarts >= self._transport.retries:
                        raise
                restarts += 1
                current = file.started()

    def _send_chunks(
        self,
        file: ChunkedFile,
        state: UploadState,
        form: Mapping[str, str],
        about: str,
        progress: Progress,
        keep: Callable[[UploadState], None],
    ) -> UploadState:
        """Send what is left; every step is told before and after it."""
        while not state.finished:
            content = file.read(state)
            leaving = replace(state, uncertain=True)
            keep(leaving)
            call = Call(
                "POST",
                self._old_walrus("upload/large"),
                f"{about}, piece {state.sent + 1} of {state.count}",
                form={**state.form(), **form},
                file=(state.name, content),
                endpoint="upload/large",
                timeout=self._upload_timeout,
                unseen="the dataset, the job and the batch exist",
            )
            self._send_chunk(call, state, leaving, "input_batch_id" in form)
            state = file.received(state)
            keep(state)
            progress(state.bytes_sent, state.size, state.name)
        return state

    def _send_chunk(self, call: Call, before: UploadState, leaving: UploadState, with_batch: bool) -> None:
        """One piece; an error carries the state, which is uncertain only if the piece may have arrived."""
        wrong_batch = False
        try:
            self._transport.json(call)
        except DiffgramError as error:
            said = error.fields.get("error", "")
            wrong_batch = with_batch and isinstance(error, ServerError) and said in _WRONG_BATCH
            if not wrong_batch:
                (leaving if maybe_delivered(error) else before).attach_to(error)
                raise
        if wrong_batch:
            raise InvalidRequest(
                f"The server failed on the pre-labels of {call.about}.",
                cure="Every label name in the batch must exist in the project, and every entry needs instance_list and "
                "frame_packet_map: make a new batch, and look whether the file was imported without them.",
                status=500,
            )

    @property
    def _upload_timeout(self) -> float:
        return max(_UPLOAD_TIMEOUT, self._transport.timeout)


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
            f"The file for {about} has more than {_LARGEST_UPLOAD // 2**20} MiB.",
            cure="Send it with upload_in_chunks, or import it from a URL.",
        )
    return content
