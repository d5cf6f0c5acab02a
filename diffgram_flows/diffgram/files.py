"""Files in datasets (contract section 12)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Literal, TypeVar

from diffgram_flows.diffgram.annotations import annotated_file
from diffgram_flows.diffgram.records import FileAnnotations, FileRow, parse, parse_all
from diffgram_flows.diffgram.resource import Resource, part
from diffgram_flows.diffgram.setup_records import FileStat
from diffgram_flows.errors import InvalidRequest, UnexpectedReply

_IDS_A_PAGE = 25_000  # the server's limit
_FILES_A_CALL = 1000
_SEARCHES = 20  # names that are searched one by one; more are cheaper to find in the whole list
_AS_THE_SDK: dict[str, Any] = {"select_from_meta_data": False, "metadata_proposed": {}}
Key = TypeVar("Key", int, str)
T = TypeVar("T")


class FileCalls(Resource):
    """Calls about files.

    The lists are read page by page while they are consumed. What is imported meanwhile comes twice at most in the
    server's pages and once here; what is removed meanwhile can make a file be missed.
    """

    def files(self, directory_id: int, *, search: str | None = None, page_size: int = 1000) -> Iterator[FileRow]:
        """The files of a dataset, newest first.

        Args:
            directory_id: The dataset.
            search: Only files with this in their name.
            page_size: Files a call, at most 1000.
        """
        about = f"the files of dataset {directory_id}"

        def read(page: object) -> list[FileRow]:
            return parse_all(FileRow, page, about)

        return self._pages(about, "base", page_size, read, _id_of, directory_id=directory_id, search_term=search)

    def file_ids(self, directory_id: int) -> Iterator[int]:
        """The ids of the files of a dataset, newest first, 25,000 a call."""
        about = f"the files of dataset {directory_id}"

        def read(page: object) -> list[int]:
            return _integers(page, about)

        return self._pages(about, "ids_only", _IDS_A_PAGE, read, _itself, directory_id=directory_id)

    def file(self, file_id: int) -> FileRow:
        """One file, with the size of its image.

        Raises:
            InvalidRequest: There is no such file.
        """
        about = f"the file {file_id}"
        reply = self._ask("/api/v1/file/view", about, {"file_id": file_id, "project_string_id": self.project})
        return parse(FileRow, part(reply, "file", about=about), about)

    def find_files(self, names: Iterable[str], directory_id: int) -> dict[str, FileRow]:
        """The files of a dataset that have exactly these names; a name without a file is left out.

        A few names are searched one by one, many by reading the dataset's list until all are found.
        """
        wanted = set(names)
        found: dict[str, FileRow] = {}
        if len(wanted) <= _SEARCHES:
            for name in wanted:
                rows = self.files(directory_id, search=name)
                found |= {row.name: row for row in rows if row.name == name and row.name not in found}
            return found
        for row in self.files(directory_id):
            if row.name in wanted:
                found.setdefault(row.name, row)
            if len(found) == len(wanted):
                break
        return found

    def query_files(self, query: str, *, page_size: int = 100) -> Iterator[FileAnnotations]:
        """The files that a query finds, with their instances, read page by page while they are consumed.

        The server looks in the whole project: name the dataset in the query, as in ``dataset.id = 2``. It signs URLs
        for every file, so this is slow; :meth:`files` lists a dataset faster.

        Args:
            query: In the server's language: ``labels.car > 0``, ``dataset.id = 2``.
            page_size: Files a call, at most 1000.

        Raises:
            InvalidRequest: The query is empty (it would find everything), wrong, or names a label that is not there.
        """
        if not query.strip():
            raise InvalidRequest("The query for files is empty.", cure="Ask for something, or use files().")
        about = f"the files of the query {query!r}"

        def read(page: object) -> list[FileAnnotations]:
            return [annotated_file(file, about) for file in page] if isinstance(page, list) else []  # false: none

        return self._pages(about, "explorer", page_size, read, lambda found: found.file.id, query=query)

    def file_stats(self, file_id: int) -> list[FileStat]:
        """How many instances of which label a file has."""
        about = f"the counts of file {file_id}"
        reply = self._get(self._path(f"file/{file_id}/file-stats"), about)
        return parse_all(FileStat, part(reply, "file_stats", about=about), about)

    def rotate_file(self, file_id: int, degrees: Literal[0, 90, 180, 270]) -> FileRow:
        """Say by how much an image is turned when it is shown. Boxes stay where they are.

        The field is known to the server (contract section 12); its reply to it was not recorded.

        Raises:
            InvalidRequest: It is no quarter turn.
        """
        if degrees not in (0, 90, 180, 270):
            raise InvalidRequest(f"File {file_id} cannot be turned by {degrees!r}.", cure="Give 0, 90, 180 or 270.")
        return self._update_metadata(file_id, {"rotation_degrees": degrees})

    def set_ordinal(self, file_id: int, ordinal: int) -> FileRow:
        """Give a file its place in a compound file.

        The server ignores everything but this and the rotation, with 200: there is no way to change other metadata.
        """
        return self._update_metadata(file_id, {"ordinal": ordinal})

    def missing_files(self, names_or_ids: Iterable[Key], directory_id: int) -> set[Key]:
        """Those file names, or those file ids, that the dataset does not hold."""
        about = f"the existence of files in dataset {directory_id}"
        missing: set[Key] = set()
        for some in _in_parts(names_or_ids):
            body = {"file_id_list": some, "directory_id": directory_id}
            reply = self._ask(self._path("file/exists"), about, body)
            missing |= set(part(reply, "result", "missing_files", about=about)) & set(some)
        return missing

    def copy_files(self, file_ids: Iterable[int], directory_id: int, *, with_instances: bool = False) -> list[FileRow]:
        """Make copies of files in another dataset; a copy is a file of its own, with annotations of its own.

        As the official SDK sends it; not recorded. The copies that the server tells are given back; it may tell none,
        and make them later: then they appear among :meth:`imports` with the mode ``copy_file``.

        Args:
            file_ids: The files.
            directory_id: The dataset that gets the copies.
            with_instances: Whether what is drawn is copied, too.
        """
        made: list[FileRow] = []
        for some in _in_parts(file_ids):
            more = {"transfer_action": "copy", "copy_instances": with_instances, **_AS_THE_SDK}
            reply = self._transfer(some, directory_id, "TRANSFER", **more)
            info = reply.get("log", {}).get("info", {})
            told = info.get("new_file") if isinstance(info, dict) else None
            made += parse_all(FileRow, told, f"the copies in dataset {directory_id}") if isinstance(told, list) else []
        return made

    def move_files(self, file_ids: Iterable[int], directory_id: int, *, source_directory_id: int) -> None:
        """Take files from one dataset into another; they keep their ids and their annotations. Not recorded.

        Recorded are its halves: :meth:`mirror_files` and :meth:`remove_files`, and it is done with them. If the second
        fails, the files are in both datasets; calling again finishes it.

        Raises:
            InvalidRequest: The server left some out; they are named, and nothing was removed.
        """
        for some in _in_parts(file_ids):
            self.mirror_files(some, directory_id)
            self.remove_files(some, source_directory_id)

    def mirror_files(self, file_ids: Iterable[int], directory_id: int) -> None:
        """Show files in another dataset, too; they stay one file with one set of annotations.

        Raises:
            InvalidRequest: The server left some out; they are named.
        """
        for some in _in_parts(file_ids):
            reply = self._transfer(some, directory_id, "TRANSFER", transfer_action="mirror")
            info = reply.get("log", {}).get("info", {})
            refused = [key for key, done in info.items() if done is False] if isinstance(info, dict) else []
            if refused:
                raise InvalidRequest(
                    f"The server did not mirror the files {', '.join(refused)} into dataset {directory_id}.",
                    cure="Check that they exist in this project.",
                )

    def remove_files(self, file_ids: Iterable[int], directory_id: int) -> None:
        """Unlink files from a dataset; their names are free in it again."""
        for some in _in_parts(file_ids):
            self._transfer(some, directory_id, "REMOVE", source_directory_id=directory_id)

    def signed_url(self, file_id: int) -> str:
        """A fresh URL of the image of a file; a secret.

        Raises:
            InvalidRequest: There is no such file.
        """
        about = f"the URL of file {file_id}"
        reply = self._get(self._old_path(f"file/{file_id}/get-signed-url"), about)
        url = part(reply, "file", "image", "url_signed", about=about)
        if not isinstance(url, str) or not url:
            raise UnexpectedReply(f"The server has no image for file {file_id}.", cure="Check that it is an image.")
        return url

    def _update_metadata(self, file_id: int, changes: dict[str, int]) -> FileRow:
        about = f"the change of file {file_id}"
        reply = self._put(self._path(f"file/{file_id}/update-metadata"), about, changes)
        return parse(FileRow, part(reply, "file", about=about), about)

    def _transfer(
        self, file_ids: Sequence[int], directory_id: int, mode: Literal["TRANSFER", "REMOVE"], **more: Any
    ) -> dict[str, Any]:
        about = f"{mode} of {len(file_ids)} files, {min(file_ids)} to {max(file_ids)} (dataset {directory_id})"
        files = [{"id": file_id} for file_id in file_ids]
        body = {"file_list": files, "destination_directory_id": directory_id, "mode": mode, **more}
        reply = self._change(self._path("file/transfer"), about, body)
        return reply if isinstance(reply, dict) else {}

    def _pages(
        self,
        about: str,
        mode: Literal["base", "ids_only", "explorer"],
        limit: int,
        read: Callable[[object], list[T]],
        key: Callable[[T], int],
        **wanted: int | str | None,
    ) -> Iterator[T]:
        """Everything on all pages. What an import pushed from one page to the next comes once."""
        page: int | None = 1
        before: set[int] = set()
        while page is not None:
            metadata = {
                "directory_id": None,
                "annotations_are_machine_made_setting": "All",
                "annotation_status": "All",
                "limit": limit,
                "media_type": "All",
                "page": page,
                "file_view_mode": mode,
                "search_term": None,
                "with_children_files": False,
                "query": None,
                **wanted,
            }
            reply = self._ask(self._old_path("user/sdk/file/list"), about, {"metadata": metadata})
            items = read(part(reply, "file_list", about=about))
            yield from (item for item in items if key(item) not in before)
            before = {key(item) for item in items}
            following = part(reply, "metadata", about=about).get("next_page") if items else None
            page = following if isinstance(following, int) and following > page else None


def _id_of(row: FileRow) -> int:
    return row.id


def _itself(file_id: int) -> int:
    return file_id


def _integers(page: object, about: str) -> list[int]:
    if not page:
        return []
    if not isinstance(page, list) or not all(isinstance(item, int) for item in page):
        raise UnexpectedReply(f"The reply about {about} is not a list of ids.", cure="Check the server's version.")
    return page


def _in_parts(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while some := list(islice(rest, _FILES_A_CALL)):
        yield some
