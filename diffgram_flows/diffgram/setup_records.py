"""More of what the server tells: how jobs, attributes, batches and connections are set up."""

from __future__ import annotations

from typing import Any

from pydantic import AliasChoices, AliasPath, Field

from diffgram_flows.diffgram.records import Member, Record, ServerTime


class AttributeOption(Record):
    """One answer of an attribute group."""

    id: int
    name: str = ""
    group_id: int | None = None
    archived: bool = False


class AttributeGroup(Record):
    """One question about an instance. ``name`` and ``kind`` are empty where somebody began to make it and stopped."""

    id: int
    name: str = ""
    prompt: str = ""
    kind: str = ""
    is_global: bool = False
    options: list[AttributeOption] = Field(
        default_factory=list, validation_alias=AliasChoices("options", "attribute_template_list")
    )


class BatchRow(Record):
    """A batch of pre-labels.

    Attributes:
        status: ``pending``, also when everything is loaded.
        data_status: ``success`` when an appended file is loaded, empty before that or without one.
    """

    id: int
    status: str = ""
    data_status: str = Field("", validation_alias=AliasChoices("data_status", "download_status_pre_labeled_data"))
    created: ServerTime = Field(None, validation_alias=AliasChoices("created", "time_created"))


class AttachedDirectory(Record):
    """A dataset whose files become tasks. ``mode``: ``sync`` (also later files), ``archived``, ..."""

    directory_id: int
    name: str = Field("", validation_alias=AliasChoices("name", "nickname"))
    mode: str = Field("", validation_alias=AliasChoices("mode", "selected"))


class Guide(Record):
    """Instructions for annotators."""

    id: int
    name: str = ""


class JobInfo(Record):
    """All about a job.

    Attributes:
        status: draft, active, complete or archived.
        output_directory_id, output_action: Where the files of complete tasks go: copy, move or nothing.
        launch_log: What went wrong with a launch, empty if nothing did.
        tasks, tasks_complete: Counts, 0 before the launch.
    """

    id: int
    name: str = ""
    status: str = ""
    label_schema_id: int | None = None
    member_ids: list[int] = Field(default_factory=list, validation_alias=AliasChoices("member_ids", "member_list_ids"))
    reviewer_ids: list[int] = Field(
        default_factory=list, validation_alias=AliasChoices("reviewer_ids", "reviewer_list_ids")
    )
    directories: list[AttachedDirectory] = Field(
        default_factory=list,
        validation_alias=AliasChoices(
            "directories", AliasPath("attached_directories_dict", "attached_directories_list")
        ),
    )
    output_directory_id: int | None = Field(
        None, validation_alias=AliasChoices("output_directory_id", "completion_directory_id")
    )
    output_action: str = Field("", validation_alias=AliasChoices("output_action", "output_dir_action"))
    share: str = Field("", validation_alias=AliasChoices("share", "share_type"))
    type: str = ""
    guide: Guide | None = None
    launch_log: dict[str, Any] = Field(
        default_factory=dict, validation_alias=AliasChoices("launch_log", "launch_attempt_log")
    )
    tasks: int = Field(0, validation_alias=AliasChoices("tasks", "stat_count_tasks"))
    tasks_complete: int = Field(0, validation_alias=AliasChoices("tasks_complete", "stat_count_complete"))
    percent: float = Field(0.0, validation_alias=AliasChoices("percent", "percent_completed"))
    created: ServerTime = Field(None, validation_alias=AliasChoices("created", "time_created"))


class JobMembers(Record):
    """Who works on a job."""

    assignees: list[Member] = Field(default_factory=list)
    reviewers: list[Member] = Field(default_factory=list)


class FileStat(Record):
    """How many instances of a label a file has; a row about an attribute has its group, and maybe its option."""

    id: int
    file_id: int
    label_file_id: int | None = None
    count: int = Field(0, validation_alias=AliasChoices("count", "count_instances"))
    attribute_group_id: int | None = Field(
        None, validation_alias=AliasChoices("attribute_group_id", "attribute_template_group_id")
    )
    attribute_option_id: int | None = Field(
        None, validation_alias=AliasChoices("attribute_option_id", "attribute_template_id")
    )


class Connection(Record):
    """A connection of the server to somebody's storage. Its credentials stay on the server."""

    id: int
    name: str = ""
    kind: str = Field("", validation_alias=AliasChoices("kind", "integration_name"))
