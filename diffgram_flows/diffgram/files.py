"""Files in datasets (contract section 12)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Literal, TypeVar

from diffgram_flows.diffgram.records import FileRow, parse_all
from diffgram_flows.diffgram.resource import Resource, part
from diffgram_flows.errors import InvalidRequest, UnexpectedReply

_IDS_A_PAGE = 25_000  # the server's limit
_FILES_A_CALL = 1000
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

        return self._pages(directory_id, "base", page_size, search, read, _id_of)

    def file_ids(self, directory_id: int) -> Iterator[int]:
        """The ids of the files of a dataset, newest first, 25,000 a call."""
        about = f"the files of dataset {directory_id}"
        return self._pages(directory_id, "ids_only", _IDS_A_PAGE, None, lambda page: _integers(page, about), _itself)

    def missing_files(self, names_or_ids: Iterable[Key], directory_id: int) -> set[Key]:
        """Those file names, or those file ids, that the dataset does not hold."""
        about = f"the existence of files in dataset {directory_id}"
        missing: set[Key] = set()
        for some in _in_parts(names_or_ids):
            body = {"file_id_list": some, "directory_id": directory_id}
            reply = self._ask(self._path("file/exists"), about, body)
            missing |= set(part(reply, "result", "missing_files", about=about)) & set(some)
        return missing

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

    def _transfer(
        self, file_ids: Sequence[int], directory_id: int, mode: Literal["TRANSFER", "REMOVE"], **more: str | int
    ) -> dict[str, Any]:
        about = f"{mode} of {len(file_ids)} files, {min(file_ids)} to {max(file_ids)} (dataset {directory_id})"
        files = [{"id": file_id} for file_id in file_ids]
        body = {"file_list": files, "destination_directory_id": directory_id, "mode": mode, **more}
        reply = self._change(self._path("file/transfer"), about, body)
        return reply if isinstance(reply, dict) else {}

    def _pages(
        self,
        directory_id: int,
        mode: Literal["base", "ids_only"],
        limit: int,
        search: str | None,
        read: Callable[[object], list[T]],
        key: Callable[[T], int],
    ) -> Iterator[T]:
        """Everything on all pages. What an import pushed from one page to the next comes once."""
        about = f"the files of dataset {directory_id}"
        page: int | None = 1
        before: set[int] = set()
        while page is not None:
            metadata = {
                "directory_id": directory_id,
                "annotations_are_machine_made_setting": "All",
                "annotation_status": "All",
                "limit": limit,
                "media_type": "All",
                "page": page,
                "file_view_mode": mode,
                "search_term": search,
                "with_children_files": False,
                "query": None,
            }
            reply = self._ask(self._old_path("user/sdk/file/list"), about, {"metadata": metadata})
            items = read(part(reply, "file_list", about=about))
            yield from (item for item in items if key(item) not in before)
            before = {key(item) for item in items}
            page = part(reply, "metadata", about=about).get("next_page") if items else None


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
