"""Preparations for the recordings of accounts, schemas, imports, uploads, batches and files."""

from __future__ import annotations

import json
import time

import requests
from contract import stage as stages
from contract import world
from contract.preparing import before
from contract.recorded import exchange
from contract.stage import Stage

DIRECTORY = "/api/v1/project/{p}/directory"
UPLOAD = "/api/walrus/project/{p}/upload/large"


@before("01/user_new")
def nobody(stage: Stage) -> None:
    no_project(stage)
    stage.execute("DELETE FROM member")
    stage.execute("DELETE FROM user")


@before("01/user_login_password")
def a_person_of_no_project(stage: Stage) -> None:
    no_project(stage)


@before("01/project_new")
def no_project(stage: Stage) -> None:
    for table in ("project", "role", "credential", "directory", "label_schema"):
        stage.execute(f"DELETE FROM {table}")  # noqa: S608 - names of ours
    stage.execute("UPDATE user SET builder = 0, project_id = NULL, first_name = NULL, last_name = NULL")


@before("01/builder_enable")
def a_project_and_no_builder(stage: Stage) -> None:
    stage.execute("UPDATE user SET builder = 0, first_name = NULL, last_name = NULL")
    only_the_default_dataset(stage)


@before(
    "01/basic_ok", "01/viewer_reads", "02/project_view", "02/directory_list", "02/directory_list_empty_body",
    "02/directory_new",
)  # fmt: skip
def only_the_default_dataset(stage: Stage) -> None:
    stage.execute("DELETE FROM directory WHERE id > 1")


@before("02/directory_new_bad_chars")
def two_datasets(stage: Stage) -> None:
    stage.execute("DELETE FROM directory WHERE id > 2")


@before("02/directory_list_after")
def three_datasets(stage: Stage) -> None:
    stage.execute("DELETE FROM directory WHERE id > 3")


@before("02/working_dir_view_missing")
def rate_limits(stage: Stage) -> None:
    stage.behave(rate_limits=True)


@before("02/schema_new")
def no_schema_vehicles(stage: Stage) -> None:
    stage.execute("DELETE FROM label_schema WHERE name = 'vehicles'")


@before("02/schema_list")
def one_schema(stage: Stage) -> None:
    stage.execute("DELETE FROM label_schema WHERE id > 1")


@before("02/labels_list", "02/labels_list_no_schema", "02/name_to_file_id")
def five_labels(stage: Stage) -> None:
    stage.as_of("06:31:00")
    no_attributes(stage)


@before("02/attribute_group_new")
def no_attributes(stage: Stage) -> None:
    for table in ("attribute_group", "attribute_group_label", "attribute_option"):
        stage.execute(f"DELETE FROM {table}")  # noqa: S608 - names of ours


@before("02/attribute_group_update", "02/attribute_group_update_text")
def empty_groups(stage: Stage) -> None:
    no_attributes(stage)
    for _ in range(2):
        stage.post("/api/v1/project/{p}/attribute/group/new", {"schema_id": 1})


@before("02/attribute_option_new_no")
def no_option(stage: Stage) -> None:
    stage.execute("DELETE FROM attribute_option")


@before("02/attribute_option_new_partly")
def one_option(stage: Stage) -> None:
    stage.execute("DELETE FROM attribute_option WHERE id > 1")


@before("02/attribute_option_new_heavily")
def two_options(stage: Stage) -> None:
    stage.execute("DELETE FROM attribute_option WHERE id > 2")


@before("03/dir_in_header_permissive_stack", "03/dir_header_and_body_permissive_stack")
def an_old_server(stage: Stage) -> None:
    stage.behave(underscore_headers=True)


@before("03/reimport_after_remove")
def timeline_3_was_removed(stage: Stage) -> None:
    file_id = _in_dataset_2(stage, "timeline-3.jpg")
    body = {"file_list": [{"id": file_id}], "source_directory_id": 2, "mode": "REMOVE"}
    stage.post("/api/v1/project/{p}/file/transfer", body)


@before("03/reimport_after_archive")
def timeline_4_was_archived(stage: Stage) -> None:
    _in_dataset_2(stage, "timeline-4.jpg")
    stage.post("/api/walrus/v1/project/{p}/input/update", {"id_list": [42], "mode": "ARCHIVE"})


def _in_dataset_2(stage: Stage, name: str) -> int:
    found = stage.execute("SELECT id FROM file WHERE original_filename = ?", name)
    stage.forget_name(name)
    stage.execute("INSERT INTO placement VALUES (2, ?)", found[0]["id"])
    return int(found[0]["id"])


@before(
    "04/input_list_all", "04/input_list_failed", "04/input_list_success", "04/input_list_by_file",
    "04/input_list_limit_2000", "04/input_list_empty_body", "04/input_list_processing",
)  # fmt: skip
def imports_1_to_43(stage: Stage) -> None:
    stage.as_of("06:36:51")
    stage.overlay(exchange("04/input_list_all"))


@before("04/input_retry", "04/input_archive", "04/input_retry_stuck", "04/input_archive_2")
def nothing(_: Stage) -> None:
    """The rows that these change are there."""


def _upload_chunks(stage: Stage, name: str, until: int) -> None:
    for index in range(until):
        each = exchange(f"05/{name}_chunk{index}")
        assert stage.ask(each).status == 200


@before("05/multi_small_chunks_chunk1", "05/multi_5MiB_chunks_chunk1")
def first_chunk(stage: Stage) -> None:
    for name in ("multi_small_chunks", "multi_5MiB_chunks"):
        _upload_chunks(stage, name, 1)


@before("05/multi_small_chunks_chunk2", "05/multi_5MiB_chunks_chunk2")
def two_chunks(stage: Stage) -> None:
    for name in ("multi_small_chunks", "multi_5MiB_chunks"):
        _upload_chunks(stage, name, 2)


@before("05/multi_small_chunks_chunk3")
def three_chunks(stage: Stage) -> None:
    _upload_chunks(stage, "multi_small_chunks", 3)


@before("05/multi_small_chunks_chunk4")
def four_chunks(stage: Stage) -> None:
    _upload_chunks(stage, "multi_small_chunks", 4)


@before("05/from_local", "05/from_local_box", "05/from_local_bad_label", "05/from_local_no_dir", "05/from_local_job_id")
def no_such_names(stage: Stage) -> None:
    for number in range(1, 10):
        stage.forget_name(f"loc_{number}.png")


@before("05/from_local_duplicate")
def loc_1_is_there(stage: Stage) -> None:
    no_such_names(stage)
    assert stage.ask(exchange("05/from_local")).status == 200


@before("05/from_local_corrupt")
def no_image(stage: Stage) -> None:
    stage.sent_files["loc_8.png"] = b"not an image"


@before("05/rate_limited")
def four_chunks_within_a_second(stage: Stage) -> None:
    _use_up_a_second(stage, UPLOAD)


@before("13/packet_rate_limited")
def twenty_packets_within_a_second(stage: Stage) -> None:
    _use_up_a_second(stage, "/api/walrus/v1/project/{p}/input/packet")


def _use_up_a_second(stage: Stage, path: str) -> None:
    """Call until it is too much, early enough in a second that the next call is in the same one."""
    stage.behave(rate_limits=True)
    url = stage.url + path.replace("{p}", world.PROJECT)
    with requests.Session() as session:
        for _ in range(500):
            reply = session.post(url, timeout=20)
            left = float(reply.headers["X-RateLimit-Reset"]) - time.time()
            if reply.status_code == 429 and left > 0.4:
                return
            if reply.status_code == 429:
                time.sleep(max(0.0, left))


@before("06/batch_detail")
def batch_4(stage: Stage) -> None:
    stage.overlay(exchange("06/batch_new_prelabeled"))


@before("06/upload_with_batch", "06/upload_with_batch_unknown_label", "06/upload_with_batch_missing_key",
        "06/upload_with_batch_no_entry")  # fmt: skip
def batch_5(stage: Stage) -> None:
    box = _named_box("car")
    content = {
        "btu_1.jpg": {"instance_list": [box], "frame_packet_map": None, "file_metadata": {"camera": "left"}},
        "btu_2.jpg": {"instance_list": [_named_box("unicorn")], "frame_packet_map": None},
        "btu_3.jpg": {"instance_list": [box]},
    }
    stage.execute(
        "INSERT INTO input_batch (id, project_id, member_id, pre_labeled_data, created) VALUES (5, 1, 2, ?, ?)",
        json.dumps(content),
        time.time(),
    )


def _named_box(name: str) -> dict[str, object]:
    return {key: value for key, value in stages.BOX.items() if key != "label_file_id"} | {"name": name}


@before("06/append_data", "06/append_data_no_headers")
def batch_6_is_empty(stage: Stage) -> None:
    stage.execute("UPDATE input_batch SET download_status = NULL, pre_labeled_data = NULL, updated = NULL")
    content = {"bta_1.jpg": {"instance_list": [_named_box("car")], "frame_packet_map": None}}
    stage.sent_files["blob"] = json.dumps(content).encode()


@before("06/batch_detail_after_append", "06/upload_with_appended_batch")
def batch_6_was_appended_to(stage: Stage) -> None:
    batch_6_is_empty(stage)
    assert stage.ask(exchange("06/append_data")).status == 200
    for _ in range(200):
        if stage.execute("SELECT download_status AS status FROM input_batch WHERE id = 6")[0]["status"]:
            return
        time.sleep(0.01)


def _files_at_06_38(stage: Stage, *shown_by: str) -> None:
    """Dataset 2 as the list of its ids shows it, and one file in the default dataset."""
    stage.as_of("06:38:00")
    stage.execute("DELETE FROM placement")
    stage.execute("INSERT INTO placement VALUES (1, 6)")
    for file_id in exchange("09/list_ids_only").response["json"]["file_list"]:
        stage.execute("INSERT INTO placement VALUES (2, ?)", file_id)
    for each in shown_by:
        stage.overlay(exchange(each))


READS = (
    "list_annotation_mode", "list_base_mode", "list_ids_only", "list_explorer", "list_explorer_no_query",
    "list_explorer_dataset_query", "list_explorer_bad_query", "list_explorer_syntax", "list_page_2",
    "list_page_beyond", "list_limit_5000", "list_search", "list_search_part", "list_directory_none",
    "list_predictions_only", "list_completed", "file_view", "file_annotation_list", "file_annotation_list_own_name",
    "file_annotation_list_file_metadata", "file_annotation_list_negative_box", "file_annotation_list_attributes",
    "file_annotation_list_model_fields", "file_annotation_list_polygon", "file_annotation_list_tag",
    "file_exists_ids", "file_exists_names", "file_exists_names_many", "file_exists_no_dir", "file_exists_mixed",
    "signed_url", "file_stats", "update_metadata",
)  # fmt: skip


@before(*(f"09/{name}" for name in READS))
def files_at_06_38(stage: Stage) -> None:
    _files_at_06_38(stage, *(f"09/{name}" for name in READS if not name.startswith("update")))


@before("09/update_metadata_free")
def ordinal_3(stage: Stage) -> None:
    files_at_06_38(stage)
    assert stage.ask(exchange("09/update_metadata")).status == 200


@before("09/file_transfer_remove")
def mirrored(stage: Stage) -> None:
    assert stage.ask(exchange("09/file_transfer_mirror")).status == 200


@before("13/plain_http_redirect")
def production_mode(stage: Stage) -> None:
    stage.behave(require_https=True)
