"""Which error every recorded refusal becomes, and what of the call it has to name."""

from __future__ import annotations

from diffgram_flows.errors import (
    AuthenticationError,
    BrokenReply,
    DiffgramError,
    InvalidRequest,
    ProjectNotFound,
    RateLimited,
    ServerError,
    SessionRequired,
    UnexpectedReply,
)

Expected = dict[str, tuple[type[DiffgramError], str]]


def _all(kind: type[DiffgramError], named: dict[str, str]) -> Expected:
    return {name: (kind, words) for name, words in named.items()}


#: Exchange to the class of the error and to words in it: the object, and the server's reason where it gave one.
RAISES: Expected = (
    _all(
        AuthenticationError,
        {
            "01/bad_secret": "project 'contract-project'.*Failed API Permissions.*client secret",
            "01/unknown_client_id": "project 'contract-project'.*client id",
            "01/empty_secret": "project 'contract-project'.*No password.*client secret",
            "01/no_auth_python_ua": "project 'contract-project'.*Missing sending basic auth.*client id",
            "01/no_auth_other_ua": "project 'contract-project'.*Failed LoggedIn.*client secret",
            "01/viewer_writes": "dataset 'x'.*role",
            "01/walrus_bad_secret": r"'z\.jpg' \(dataset 1\).*client secret",
            "01/walrus_viewer": r"'z\.jpg' \(dataset 1\).*role",
            "01/bad_secret_job_list": "list of jobs.*client secret",
            "07/job_info_unknown": "job 99999.*ids belong to this project",
            "07/task_by_id_unknown": "task 99999.*No access to this task.*ids belong to this project",
            "07/job_list_no_project": "list of jobs.*project_string_id",
        },
    )
    | _all(ProjectNotFound, {"01/wrong_project": "'no-such-project'.*Can't find project.*string id"})
    | _all(SessionRequired, dict.fromkeys(("07/task_by_id", "14/task.get_by_id#1"), "task 1 .*Please login.*web page"))
    | _all(
        BrokenReply,
        {
            "03/directory_not_exist": r"'a5\.jpg' \(dataset 99999\).*Check that the dataset.*exist",
            "03/packet_with_unknown_job": r"'injob_3\.jpg' \(dataset 2, job 99999\).*the job of this call exist",
            "07/job_new_bad_dir": r"datasets \[9999\].*Check that the dataset",
            "10/update_unknown_file": "file 99999.*the file",
        },
    )
    | _all(
        RateLimited,
        {
            "05/rate_limited": r"'a\.jpg'.*4 per 1 second.*retry_after: 1",
            "13/packet_rate_limited": r"'a\.jpg'.*20 per 1 second.*retry_after: 1",
        },
    )
    | _all(
        ServerError,
        {
            "06/append_data_no_headers": "batch 6 with 500: int.*look at the server",
            "08/tf_records": "export of job 1 with 500",
            "13/oversize_default": "list of datasets with 502.*Try again",
        },
    )
    | _all(
        UnexpectedReply,
        {
            "08/link_yaml_url": "export 13",
            "08/link_yaml_data": "export 13",
            **dict.fromkeys(
                (
                    *("11/machine_learning_training_run", "11/brain_status", "11/brain_local_info"),
                    *("11/inference_from_url", "11/inference_from_local", "11/inference_add"),
                    *("13/unknown_route_default_get", "13/unknown_route_walrus_get"),
                    *("13/unknown_route_default_post", "13/wrong_method", "04/input_view_get", "07/job_info_get"),
                ),
                r"address for the counts of job 1 \((404|405|500)\).*server's URL",
            ),
        },
    )
    | _all(
        InvalidRequest,
        {
            "02/directory_new_duplicate": "dataset 'raw-images'.*same name",
            "02/directory_new_no_access_type": "dataset 'second'.*access_type",
            "02/schema_new_duplicate": "schema 'vehicles'.*already exists",
            "02/label_new_bad_schema": "'truck' in schema 9999.*ids in the call exist",
            "02/attribute_list_no_mode": "attributes of schema 1.*Invalid mode",
            "03/dir_in_header": r"'a2\.jpg'.*'directory_id' not supplied",
            "03/no_directory": r"'a4\.jpg'.*'directory_id' not supplied",
            "03/no_media_type": r"'c2\.jpg'.*file_name",
            "04/input_list_bad_filter": "list of imports.*failed not in",
            "04/input_view_unknown": "import 99999.*ids in the call exist",
            "04/input_retry_unknown": "999999.*None found",
            "04/input_update_bad_mode": "12.*not in",
            "05/missing_dz": "dzchunkindex",
            "05/no_file": r"'a\.jpg'.*No file provided",
            "05/from_local_bad_label": r"'loc_3\.png' \(dataset 2\).*ID999.*add the instances",
            "05/from_local_duplicate": r"'loc_1\.png'.*Already Exists.*71",
            "05/from_local_bad_dir": r"'loc_4\.png' \(dataset 9999\).*Bad directory_id",
            "05/from_local_no_json": r"'a\.jpg'.*Expecting a key 'json'",
            "05/from_local_no_file": r"'a\.jpg'.*No files",
            "05/from_local_bad_ext": r"'loc_7\.xyz'.*Invalid file type",
            "05/from_local_corrupt": r"'loc_8\.png'.*an image that is not corrupt",
            "06/upload_with_batch_unknown_label": r"'btu_2\.jpg'.*Every label name in the batch must exist",
            "06/upload_with_batch_missing_key": r"'btu_3\.jpg'.*needs instance_list and frame_packet_map",
            "06/packet_list_body": r"'a\.jpg'.*Expecting dict",
            "07/job_new_bad_member": r"'bm'.*members \[999\].*Invalid member_id 999",
            "07/job_launch_unknown": "job 99999.*ids in the call exist",
            "07/task_list_no_mode_data": "tasks of job 1.*Missing mode_data",
            "07/job_list_empty": "list of jobs.*Missing metadata",
            "07/job_cancel_no_mode": "2.*Missing mode",
            "07/job_launch_without_members_or_datasets": "job 2.*must have a label schema",
            "08/bad_kind": "job 1.*Invalid kind",
            "08/bad_source": "job 1.*Export not ready",
            "08/job_unknown": "job 99999.*No job",
            "08/directory_unknown": "directory 99999.*ids in the call exist",
            "08/missing_kind": "job 1.*Missing kind",
            "08/export_status_unknown": "export 99999.*ids in the call exist",
            "08/link_unknown": "export 99999.*ids in the call exist",
            "08/link_bad_format": "export 13.*XML not in",
            "08/link_before_complete": "export 17.*not ready yet",
            "09/list_explorer_bad_query": "'labels.nosuch > 0'.*Label nosuch",
            "09/list_explorer_syntax": "'labels.car >>> 0'.*Unexpected token",
            "09/list_bad_directory": "dataset 99999.*Error with directory",
            "09/list_no_metadata": "dataset 2.*no metadata",
            "09/file_view_unknown": "file 99999.*ids in the call exist",
            "09/file_annotation_list_unknown": "file 99999.*not in valid project",
            "09/signed_url_unknown": "file 99999.*ids in the call exist",
            "10/annotation_update_api_bad_label": "file 12.*ID999",
            "10/annotation_update_api_unknown_file": "file 99999.*ids in the call exist",
            "13/malformed_json": r"'a\.jpg'.*Expecting json",
            "13/empty_body": r"'a\.jpg'.*Expecting json",
            "13/json_null": r"'a\.jpg'.*Expecting dict",
            "13/wrong_type_instance_list": r"'a\.jpg'.*Must be a list",
            "13/wrong_type_media": r"'a\.jpg'.*no attribute 'get'",
            "13/empty_instance_list": r"'w2\.jpg'.*List must not be empty",
            "13/default_malformed_json": "list of datasets.*Expecting json",
            "13/file_list_malformed_json": "dataset 2.*could not understand",
            "13/plain_http_redirect": r"'https\.jpg' \(dataset 2\).*302.*https://",
        },
    )
)

#: Recorded requests that the client refuses to send, and what it says instead: the server would fail, at once or
#: minutes later, or erase what people drew.
REFUSED: dict[str, str] = {
    "03/directory_string": "directory_id '2'.*whole number",
    "03/directory_garbage": "directory_id 'abc'.*whole number",
    "03/box_name_only": r"b4\.jpg.*Instance 0: label_file_id.*resolve it",
    "03/box_missing_coords": r"b6\.jpg.*Instance 0: y_max is missing",
    "03/box_float": r"b7\.jpg.*Instance 0: x_min is 10\.7.*whole pixels",
    "03/box_outside": r"b8\.jpg.*Instance 1: x_max.*without area",
    "03/instance_bad_type": r"b12\.jpg.*Instance 0: type is 'boxx'.*Use one of",
    "03/instance_null": r"b13\.jpg.*Instance 0 is a NoneType",
    "03/bad_media_type": r"c1\.jpg.*media type 'picture'.*Use one of",
    "03/no_media": "needs either a URL",
    "03/no_url": "needs either a URL",
    "03/url_not_http": r"c4\.jpg.*does not begin with http",
    "03/url_no_extension": "c8.*no extension",
    "03/packet_with_job_id_mode_attach": r"injob_2\.jpg.*attach_to_job",
    "03/filename_long": r"long_1\.jpg.*more than 250 characters",
    **{f"05/multi_small_chunks_chunk{chunk}": r"40000 bytes.*'up_multi\.jpg'.*chunk_size" for chunk in range(5)},
    "05/no_extension_chunk0": "'noext'.*extension",
    "07/job_output_dir_bad": "'zip'.*copy, move or nothing",
    "08/job_no_id": "one source",
    "08/directory_default": "one source",
    "09/list_explorer_no_query": "query.*empty",
    **dict.fromkeys(
        (
            *("10/update_with_existing_on_human_file", "10/update_with_existing_again_same"),
            *("10/update_with_existing_new_run", "10/update_on_task_file", "10/uwe_on_human_file"),
            *("10/uwe_again_same", "10/uwe_new_run", "10/uwe_on_task_file"),
        ),
        "file_id=.*update_with_existing.*erases what people drew",
    ),
    "14/file.from_url#1": "directory_id None.*whole number",
    "14/set_default_directory_from_url#1": "directory_id None.*whole number",
    "14/from_packet_label_file_id#1": r"sdk_4\.jpg.*Instance 0 is a NoneType",
    "14/file.update_overwrite#1": "file_id=105.*erases what people drew",
    "10/update_no_mode": "file_id=8.*without a mode",
    "10/update_unknown_file_field": "file_id='8'.*whole number",
    "10/update_empty_list": "file_id=8.*adds nothing",
    "10/update_with_media_url": "file_id=12.*one only",
    "10/update_run_ref_no_model_ref": "file_id=12.*Instance 0: model_run_ref",
    "10/update_score_variants": "file_id=12.*Instance 0: score is '0.77'",
}
