"""Preparations for the recordings of jobs, tasks, exports, predictions and webhooks.

The state at the moment of each is there already (:mod:`contract.moments`); these add what no reply shows.
"""

from __future__ import annotations

import json

from contract import unseen
from contract.preparing import before
from contract.recorded import exchange
from contract.stage import Stage


@before("07/job_launch_twice")
def job_1_launched(stage: Stage) -> None:
    stage.execute("UPDATE job SET launched = created, status = 'active' WHERE id = 1")


@before("07/task_annotation_update_ui", "07/task_annotation_update_partial")
def one_label_from_the_import(stage: Stage) -> None:
    stage.execute("UPDATE file SET count_instances_changed = 1 WHERE id IN (43, 44)")
    stage.execute("CREATE TEMP TABLE other AS SELECT * FROM instance WHERE id = 14")
    stage.execute("UPDATE other SET id = 13, file_id = 43")
    stage.execute("INSERT INTO instance SELECT * FROM other")
    stage.execute("DROP TABLE other")


@before("07/job_list")
def jobs_that_nobody_listed_yet(stage: Stage) -> None:
    stage.execute("UPDATE job SET cache_info = '{}' WHERE id IN (2, 3, 4)")
    members = json.dumps({"member_list_ids": {"from_cache": True}})
    stage.execute("UPDATE job SET cache_info = ? WHERE id = 6", members)


@before("07/task_list_after_imports")
def tasks_of_imports_and_added_files(stage: Stage) -> None:
    with stage.sandbox.database.write() as cx:
        unseen.tasks(cx)
    stage.execute("DELETE FROM task WHERE id > 11")


@before(
    "07/job_info_complete", "14/job.get_by_id#1", "14/job.generate_export_data#1", "14/job.generate_export_no_wait#1"
)
def every_task_complete(stage: Stage) -> None:
    with stage.sandbox.database.write() as cx:
        unseen.tasks(cx)
    stage.execute("UPDATE task SET status = 'complete' WHERE job_id = 1")


@before("07/task_complete_goes_to_review")
def a_task_that_nobody_opened(stage: Stage) -> None:
    stage.execute(
        "UPDATE task SET status = 'available', assignee_user_id = NULL, reviewers = '[]', completed = NULL "
        "WHERE id = 13"
    )
    stage.execute("UPDATE file SET ann_is_complete = 0, count_instances_changed = 1 WHERE id = 6")
    stage.execute("UPDATE job SET status = 'active' WHERE id = 8")


@before("07/job_info_archived")
def everything_of_job_8_archived(stage: Stage) -> None:
    stage.execute("UPDATE task SET status = 'archived' WHERE job_id = 8")


@before("08/link_data")
def export_13_made(stage: Stage) -> None:
    row = stage.execute("SELECT * FROM export WHERE id = 13")[0]
    stage.sandbox.clerk.export_now(row)


@before("08/directory_wait_data_mirrored")
def a_file_mirrored_into_dataset_3(stage: Stage) -> None:
    stage.execute("INSERT INTO placement VALUES (3, 10)")


@before("08/directory_wait_data")
def dataset_2_without_what_left_it(stage: Stage) -> None:
    # 15 was removed by a retry; updates named the dataset for 6 and 44; a twin of 51 stands for an import of that time.
    stage.execute("DELETE FROM placement WHERE directory_id = 2 AND file_id IN (6, 15, 44)")
    stage.execute("CREATE TEMP TABLE other AS SELECT * FROM file WHERE id = 51")
    stage.execute("UPDATE other SET id = 52, original_filename = 'injob_4.jpg'")
    stage.execute("INSERT OR IGNORE INTO file SELECT * FROM other")
    stage.execute("DROP TABLE other")
    stage.execute("INSERT OR IGNORE INTO placement VALUES (2, 52)")


@before("08/directory_default")
def nothing_moved_into_the_default_dataset_yet(stage: Stage) -> None:
    stage.execute("DELETE FROM placement WHERE directory_id = 1 AND file_id = 12")


@before("12/workflow_activate_no_time_window")
def actions_updated_since_they_were_shown(stage: Stage) -> None:
    stage.execute("UPDATE action SET updated = created")


@before("14/export.list#1")
def an_export_archived(stage: Stage) -> None:
    every_task_complete(stage)
    stage.execute("UPDATE export SET archived = 1 WHERE id = 13")


@before("14/get_member_list#1")
def a_dataset_made_since_the_last_view(stage: Stage) -> None:
    stage.execute("UPDATE project SET directories_cached = 0")


@before("14/Project#2", "14/Project#3")
def the_default_dataset_full(stage: Stage) -> None:
    _fill(stage, 1, exchange("14/Project#2").response["json"]["file_list"])


@before("14/directory.get#2", "14/directory.get#3")
def dataset_2_full(stage: Stage) -> None:
    _fill(stage, 2, exchange("14/directory.get#2").response["json"]["file_list"])


@before("14/file.update#1")
def a_file_more(stage: Stage) -> None:
    _fill(stage, 2, [105])


@before("14/directory.list_files#1")
def files_of_the_sdk(stage: Stage) -> None:
    stage.overlay(exchange("14/directory.list_files#1"))
    _fill(stage, 2, [*exchange("14/directory.get#2").response["json"]["file_list"], 105, 106, 107])


def _fill(stage: Stage, directory_id: int, file_ids: list[int]) -> None:
    """Let a dataset hold exactly these files; those that no reply shows are made up."""
    stage.execute("DELETE FROM placement WHERE directory_id = ?", directory_id)
    for file_id in file_ids:
        stage.execute(
            "INSERT OR IGNORE INTO image VALUES (?, 'made up', 320, 240, 'image/jpeg', '', 0)", 1000 + file_id
        )
        stage.execute(
            "INSERT OR IGNORE INTO file (id, project_id, type, original_filename, hash, created, updated, image_id) "
            "VALUES (?, 1, 'image', 'made up', '', 0, 0, ?)",
            file_id,
            1000 + file_id,
        )
        stage.execute("INSERT OR IGNORE INTO placement VALUES (?, ?)", directory_id, file_id)


def state_before_the_sdk(stage: Stage) -> None:
    """What the server held when the official SDK came."""
    an_export_archived(stage)
    the_default_dataset_full(stage)
    dataset_2_full(stage)
