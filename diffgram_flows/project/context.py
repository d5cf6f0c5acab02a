"""What the parts of a project share: the client, the work folder, and what is asked for once and then remembered."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from diffgram_flows.diffgram import DiffgramClient, LabelSchema
from diffgram_flows.diffgram import Directory as DirectoryRow
from diffgram_flows.diffgram.instances import prepare
from diffgram_flows.diffgram.shapes import Shape
from diffgram_flows.errors import ConfigurationError
from diffgram_flows.tasks.places import Places


class HasId(Protocol):
    """A dataset, a job, a file: whatever the server knows by a number."""

    @property
    def id(self) -> int: ...


#: A dataset: its handle, its id, or its exact name.
DirectoryLike: TypeAlias = HasId | int | str
#: A thing by its handle or its id.
Ref: TypeAlias = HasId | int


def id_of(thing: Ref) -> int:
    """The id of a handle, or the id itself."""
    return thing if isinstance(thing, int) else thing.id


class Context:
    """Shared by all parts of one :class:`~diffgram_flows.Project`. Making one asks the server nothing.

    Args:
        client: The server.
        workdir: Where brains, snapshots, images and the ledger lie.
        label_schema: Name of the schema whose labels are meant, empty for the project's default one.
        store_uri: Where brains and snapshots lie instead, for all machines; empty for the work folder.

    Attributes:
        places: Where brains and snapshots are kept.

    Raises:
        ConfigurationError: ``store_uri`` is of a kind that nothing can be kept in.
    """

    def __init__(self, client: DiffgramClient, workdir: Path, label_schema: str = "", store_uri: str = "") -> None:
        self.client = client
        self.workdir = workdir
        self.places = Places(workdir, store_uri)
        self._schema_name = label_schema
        self._asking = threading.RLock()
        self._directories: dict[str, DirectoryRow] = {}  # the default one has the key ""
        self._schema: LabelSchema | None = None
        self._labels: dict[int, dict[str, int]] = {}
        #: Dataset and name of a file to the newest import of it that is over: a later import of the name is another.
        self.settled: dict[tuple[int, str], int] = {}

    def directory_id(self, directory: DirectoryLike | None) -> int:
        """The id of a dataset; a name, and the default one, are looked up once.

        Raises:
            ConfigurationError: There is no dataset of this name.
        """
        if directory is None:
            return self.default_directory().id
        return self.directory(directory).id if isinstance(directory, str) else id_of(directory)

    def default_directory(self) -> DirectoryRow:
        """The dataset that is meant where none is named."""
        return self._remembered("", self.client.default_directory)

    def directory(self, name: str) -> DirectoryRow:
        """The dataset of exactly this name.

        Raises:
            ConfigurationError: There is none.
        """

        def find() -> DirectoryRow:
            found = self.client.find_directory(name)
            if found is None:
                raise ConfigurationError(
                    f"The project {self.client.project!r} has no dataset {name!r}.",
                    cure=f"Make it with project.directory.new({name!r}), or name one that exists.",
                )
            return found

        if not name:
            raise ConfigurationError("The name of a dataset is empty.", cure="Name one, or leave it out.")
        return self._remembered(name, find)

    def schema_id(self, schema: Ref | str | None = None) -> int:
        """The id of a label schema; a name, and the default one, are looked up.

        Raises:
            ConfigurationError: There is no schema of this name.
        """
        if isinstance(schema, str):
            return self._find_schema(schema).id
        if schema is not None:
            return id_of(schema)
        with self._asking:
            if self._schema is None:
                self._schema = self._find_schema(self._schema_name)
            return self._schema.id

    def labels(self, schema: Ref | str | None = None, *, fresh: bool = False) -> Mapping[str, int]:
        """Label names to label file ids, listed once; of twins the oldest counts.

        Args:
            schema: Whose labels; by default those of the project's schema.
            fresh: Whether to list them again.
        """
        schema_id = self.schema_id(schema)
        with self._asking:
            if fresh or schema_id not in self._labels:
                listed = sorted(self.client.labels(schema_id), key=lambda label: -label.label_file_id)
                self._labels[schema_id] = {label.name: label.label_file_id for label in listed}
            return self._labels[schema_id]

    def prepare(self, instances: Sequence[Mapping[str, Any]], *, size: tuple[int, int] | None = None) -> list[Shape]:
        """Instances ready to be sent: names of labels become ids, fractions pixels, and what is wrong is refused.

        Args:
            instances: Dictionaries of :mod:`~diffgram_flows.diffgram.shapes`, or in the same form.
            size: Width and height in pixels of the upright image, if they are known; boxes are cut to it.

        Raises:
            InvalidRequest: An instance is wrong, or its label is not in the schema.
        """
        names = {str(one["name"]) for one in instances if one.get("label_file_id") is None and one.get("name")}
        known: Mapping[str, int] = {}
        if names:
            known = self.labels()
            if not names <= known.keys():  # somebody may have made them since they were listed
                known = self.labels(fresh=True)
        return prepare(instances, labels=known, size=size)

    def forget_labels(self) -> None:
        """List them again when they are needed next: something was changed."""
        with self._asking:
            self._labels.clear()

    def _find_schema(self, name: str) -> LabelSchema:
        schemas = [schema for schema in self.client.schemas() if not schema.archived]
        for schema in schemas:
            if schema.name == name or (not name and schema.is_default):
                return schema
        raise ConfigurationError(
            f"The project {self.client.project!r} has no label schema {name or 'that is the default'!r}; "
            f"it has {', '.join(schema.name for schema in schemas) or 'none'}.",
            cure="Make it with project.schema.new, or name one that exists.",
        )

    def _remembered(self, key: str, find: Callable[[], DirectoryRow]) -> DirectoryRow:
        with self._asking:
            if key not in self._directories:
                self._directories[key] = find()
            return self._directories[key]
