"""``project.file``: bring files in, find them, add to them, move them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from diffgram_flows.diffgram import Connection, Packet
from diffgram_flows.diffgram.packet import MediaType
from diffgram_flows.errors import InvalidRequest
from diffgram_flows.project.context import Context, DirectoryLike, Ref, id_of
from diffgram_flows.project.file import File
from diffgram_flows.project.naming import name_of_blob, name_of_text, name_of_url
from diffgram_flows.project.packets import read_packet
from diffgram_flows.project.queued import QueuedImport
from diffgram_flows.project.sending import Instances, append, send
from diffgram_flows.project.uploading import upload

Frames = Mapping[int, Instances]


class Files:
    """Files. What the server fetches itself comes back as a :class:`QueuedImport`: the server only promised it."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def from_url(
        self,
        url: str,
        *,
        file_name: str | None = None,
        directory: DirectoryLike | None = None,
        job: Ref | None = None,
        instances: Instances = (),
        media_type: MediaType = "image",
        parent: Ref | None = None,
        ordinal: int | None = None,
    ) -> QueuedImport:
        """Let the server fetch a file. One call, whatever happens to it later.

        Args:
            url: Where the server fetches it, minutes later: a signed URL must live that long.
            file_name: Its name, unique in the dataset. By default one that is made of the URL without its signature,
                so that importing the same URL again finds the same file.
            directory: The dataset; by default the project's default one, which is looked up once.
            job: The job that gets a task for it. It should be launched: the server makes no task in a draft.
            instances: What is on it already, as dictionaries (:mod:`diffgram_flows.diffgram.shapes` makes them).
                Labels may be given by ``name``; they are listed once.
            media_type: What lies behind the URL.
            parent: The compound file that it is a part of.
            ordinal: Its place in there, from 0.

        Raises:
            InvalidRequest: The URL has no extension and no name was given, an instance is wrong, or its label is not
                in the schema.
            BrokenReply: The dataset or the job does not exist.
            ServerUnreachable: No answer.
        """
        packet = Packet(
            self._context.directory_id(directory),
            url=url,
            file_name=file_name or name_of_url(url),
            instances=self._context.prepare(instances),
            job_id=None if job is None else id_of(job),
            media_type=media_type,
            parent_file_id=None if parent is None else id_of(parent),
            ordinal=ordinal,
        )
        return send(self._context, packet, adopts=file_name is None and not instances)

    def from_video(
        self,
        url: str,
        *,
        frames: Frames | None = None,
        split_seconds: int | None = None,
        file_name: str | None = None,
        directory: DirectoryLike | None = None,
        job: Ref | None = None,
    ) -> QueuedImport:
        """Let the server fetch a video. As the official SDK does it; what a server says to it was not recorded.

        Args:
            url: Where the server fetches it.
            frames: Frame number, from 0, to the instances on it.
            split_seconds: Into parts of how many seconds a long video is cut.
            file_name: As for :meth:`from_url`.
            directory: As for :meth:`from_url`.
            job: As for :meth:`from_url`.
        """
        packet = Packet(
            self._context.directory_id(directory),
            url=url,
            file_name=file_name or name_of_url(url),
            frames=self._prepared(frames),
            job_id=None if job is None else id_of(job),
            media_type="video",
            video_split_duration=split_seconds,
        )
        return send(self._context, packet, adopts=file_name is None and not frames)

    def from_text(
        self,
        text: str,
        *,
        file_name: str | None = None,
        directory: DirectoryLike | None = None,
        job: Ref | None = None,
        instances: Instances = (),
    ) -> QueuedImport:
        """Make a text file. As the official SDK does it; what a server says to it was not recorded."""
        packet = Packet(
            self._context.directory_id(directory),
            text=text,
            file_name=file_name or name_of_text(text),
            instances=self._context.prepare(instances),
            job_id=None if job is None else id_of(job),
            media_type="text",
        )
        return send(self._context, packet, adopts=file_name is None and not instances)

    def from_blob_path(
        self,
        blob_path: str,
        *,
        bucket_name: str,
        connection: Connection | int,
        file_name: str | None = None,
        directory: DirectoryLike | None = None,
        job: Ref | None = None,
        instances: Instances = (),
        media_type: MediaType = "image",
    ) -> QueuedImport:
        """Let the server read a blob through one of its own connections, which ``project.connection.list`` lists.

        As the official SDK does it; what a server says to it was not recorded.
        """
        packet = Packet(
            self._context.directory_id(directory),
            blob_path=blob_path,
            bucket_name=bucket_name,
            connection_id=id_of(connection),
            file_name=file_name or name_of_blob(bucket_name, blob_path),
            instances=self._context.prepare(instances),
            job_id=None if job is None else id_of(job),
            media_type=media_type,
        )
        return send(self._context, packet, adopts=file_name is None and not instances)

    def from_packet(
        self, packet: Mapping[str, Any], *, directory: DirectoryLike | None = None, job: Ref | None = None
    ) -> QueuedImport:
        """Import what a packet of the official SDK's form describes.

        Args:
            packet: ``{"media": {"url": ..., "type": "image"}, "instance_list": [...]}`` for a new file, or
                ``{"file_id": ..., "mode": "update", "instance_list": [...]}`` for more instances on one.
            directory: The dataset, where the packet names none.
            job: The job, where the packet names none.

        Raises:
            InvalidRequest: As for :meth:`from_url`; the packet has a key that is not known, or would overwrite.
        """
        read = read_packet(packet)
        if read.file_id is not None:
            return append(self._context, read.file_id, read.instances, overwrite=read.overwrite)
        place = directory if read.directory_id is None else read.directory_id
        work = job if read.job_id is None else read.job_id
        if read.frames or read.media_type == "video":
            return self.from_video(
                read.url,
                frames=read.frames,
                split_seconds=read.split_seconds,
                file_name=read.file_name,
                directory=place,
                job=work,
            )
        return self.from_url(
            read.url,
            file_name=read.file_name,
            directory=place,
            job=work,
            instances=read.instances,
            media_type=read.media_type,
            parent=read.parent_id,
            ordinal=read.ordinal,
        )

    def from_local(
        self,
        path: Path | str,
        *,
        file_name: str | None = None,
        directory: DirectoryLike | None = None,
        job: Ref | None = None,
        instances: Instances = (),
        timeout: float = 600.0,
    ) -> File:
        """Send a file of this machine and wait until it is there.

        Args:
            path: An image; larger files than 50 MiB, and videos, go piece by piece.
            file_name: Its name, unique in the dataset; by default one made of its name and content, so that sending
                the same file again finds the one that is there.
            directory: The dataset; by default the project's default one.
            job: The job that gets a task for it.
            instances: What is on it already; boxes are cut to the image.
            timeout: Seconds to wait for a large file to be processed.

        Raises:
            ImageRejected: It is no image, or damaged.
            InvalidRequest: It cannot be read, an instance is wrong, or the name is taken.
            ImportFailed: The server could not process a large file.
        """
        return upload(
            self._context,
            Path(path).expanduser(),
            file_name=file_name,
            directory_id=self._context.directory_id(directory),
            job_id=None if job is None else id_of(job),
            instances=instances,
            timeout=timeout,
        )

    def get_by_id(self, file_id: int) -> File:
        """One file.

        Raises:
            InvalidRequest: There is no such file.
        """
        row = self._context.client.file(file_id)
        return File(self._context, row.id, row.name)

    def get(self, name: str, *, directory: DirectoryLike | None = None) -> File | None:
        """The file of exactly this name in a dataset, ``None`` if there is none."""
        directory_id = self._context.directory_id(directory)
        row = self._context.client.find_files([name], directory_id).get(name)
        return None if row is None else File(self._context, row.id, row.name, directory_id)

    def exists(self, *names: str, directory: DirectoryLike | None = None) -> bool:
        """Whether a dataset has files of all these names."""
        return not self._context.client.missing_files(names, self._context.directory_id(directory))

    def update(self, file: Ref, instances: Sequence[Mapping[str, Any]], *, overwrite: bool = False) -> QueuedImport:
        """Add instances to a file. What is on it stays; sending the same again stores it twice.

        Args:
            file: The file or its id.
            instances: As for :meth:`from_url`.
            overwrite: Refused: the server would erase what people drew, completed tasks included.

        Raises:
            InvalidRequest: An instance is wrong, or ``overwrite`` was asked for.
        """
        return append(self._context, file, instances, overwrite=overwrite)

    def transfer(
        self,
        files: Ref | Iterable[Ref],
        *,
        to: DirectoryLike,
        action: Literal["mirror", "copy", "move"] = "mirror",
        source: DirectoryLike | None = None,
        with_instances: bool = False,
    ) -> None:
        """Bring files into another dataset.

        Args:
            files: Files or ids.
            to: The dataset.
            action: ``mirror`` shows the same file there, too; ``copy`` makes another one; ``move`` takes it away from
                ``source``.
            source: Where ``move`` takes them away; by default the default dataset.
            with_instances: Whether ``copy`` copies what is drawn.

        Raises:
            InvalidRequest: The server left some out; they are named.
        """
        ids = [id_of(file) for file in (files if isinstance(files, Iterable) else [files])]
        target = self._context.directory_id(to)
        client = self._context.client
        if action == "mirror":
            client.mirror_files(ids, target)
        elif action == "copy":
            client.copy_files(ids, target, with_instances=with_instances)
        elif action == "move":
            client.move_files(ids, target, source_directory_id=self._context.directory_id(source))
        else:
            raise InvalidRequest(f"{action!r} is nothing to do with files.", cure="Use mirror, copy or move.")

    def signed_url(self, file: Ref) -> str:
        """A fresh URL of the image of a file; a secret.

        Raises:
            InvalidRequest: There is no such file.
        """
        return self._context.client.signed_url(id_of(file))

    def _prepared(self, frames: Frames | None) -> dict[int, Instances]:
        return {number: self._context.prepare(some) for number, some in (frames or {}).items()}
