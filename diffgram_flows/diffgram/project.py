"""The project, its people and its datasets (contract section 4)."""

from __future__ import annotations

from diffgram_flows.diffgram.records import Directory, Member, ProjectInfo, parse, parse_all
from diffgram_flows.diffgram.resource import Resource, part
from diffgram_flows.diffgram.setup_records import Connection
from diffgram_flows.errors import InvalidRequest, UnexpectedReply

_MANY = 10_000  # the list has no pages


class ProjectCalls(Resource):
    """Calls about the project itself."""

    def view_project(self) -> ProjectInfo:
        """The project with its people and datasets; the cheapest call that proves the credential.

        Raises:
            AuthenticationError: The credential is wrong.
            ProjectNotFound: The credential is good, the project is not there.
        """
        about = f"the project {self.project!r}"
        return parse(ProjectInfo, part(self._get(self._old_path("view"), about), "project", about=about), about)

    def members(self) -> list[Member]:
        """The people and API credentials of the project. Jobs want :attr:`Member.member_id`."""
        return self.view_project().members

    def connections(self) -> list[Connection]:
        """The server's own connections to storage, for packets with a blob path. As the official SDK; not recorded."""
        about = "the list of connections"
        reply = self._get(self._old_path("connections"), about)
        return parse_all(Connection, part(reply, "connection_list", about=about), about)

    def directories(self, name: str | None = None) -> list[Directory]:
        """The datasets, newest first; with ``name`` only those that have it in their name, whatever the case."""
        about = "the list of datasets"
        match = {"nickname": name, "nickname_match_type": "ilike"} if name is not None else {}
        reply = self._ask(self._path("directory/list"), about, {"limit": _MANY, **match})
        return parse_all(Directory, part(reply, "directory_list", about=about), about)

    def default_directory(self) -> Directory:
        """The dataset that the server itself takes where none is named: the oldest one called ``Default``.

        Raises:
            UnexpectedReply: The project has no dataset at all.
        """
        found = self.directories()
        if not found:
            raise UnexpectedReply(
                f"The project {self.project!r} has no dataset.", cure="Make one with ensure_directory."
            )
        return min(found, key=lambda directory: (directory.name != "Default", directory.id))

    def find_directory(self, name: str) -> Directory | None:
        """The dataset of exactly this name, the oldest if there are several."""
        same = [directory for directory in self.directories(name) if directory.name == name]
        return min(same, key=lambda directory: directory.id, default=None)

    def ensure_directory(self, name: str) -> Directory:
        """The dataset of exactly this name, made if it is missing. Safe to call from several places at once.

        Raises:
            InvalidRequest: The server accepts no dataset of this name.
        """
        about = f"the dataset {name!r}"
        found = self.find_directory(name)
        if found is not None:
            return found
        refused: InvalidRequest | None = None
        try:
            body = {"nickname": name, "access_type": "project"}
            reply = self._change(self._path("directory/new"), about, body)
            return parse(Directory, part(reply, "new_directory", about=about), about)
        except InvalidRequest as error:
            refused = error
        found = self.find_directory(name)  # somebody else may have been faster
        if found is None:
            raise refused
        return found
