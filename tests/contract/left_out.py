"""What of the recordings is knowingly not replayed, and why. What is neither replayed nor listed here fails a test."""

from __future__ import annotations

#: Recorded requests that the sandbox is not held to.
SANDBOX: dict[str, str] = {
    "14/get_model": "the SDK fails before it sends anything",
    "14/train_import": "the SDK fails before it sends anything",
    "15/packet_ingest": "numbers of the machine on which they were measured",
}

#: Recorded operations that the client is not held to.
CLIENT: dict[str, str] = {
    **dict.fromkeys(
        (
            *("01/user_new", "01/user_login_password", "01/project_new", "01/builder_enable"),
            *("01/auth_api_new_admin", "01/auth_api_new_Editor", "01/auth_api_new_Viewer", "01/auth_api_new_bad_level"),
            *("07/task_annotation_update_ui", "07/task_annotation_update_partial", "07/task_annotation_list_ui"),
            *("07/task_annotation_list_after_partial_update", "07/task_annotation_update_complete"),
            *("07/task_annotation_update_bad_label", "07/task_annotation_update_no_ref", "07/task_complete_ui"),
            *("07/task_complete_ui_2", "07/task_complete_twice", "07/task_update_status", "07/task_update_status_bad"),
            *("07/task_review_not_in_review", "07/task_complete_goes_to_review", "07/task_review_request_change"),
            *("07/task_review_approve", "07/task_by_id_ui", "12/workflow_new_ui", "12/action_new_input_file_uploaded"),
            *("12/action_new_task_completed", "12/action_new_task_created", "12/action_new_task_template_completed"),
            *("12/action_update_config_input_file_uploaded", "12/action_update_config_task_completed"),
            *("12/action_update_config_task_created", "12/action_update_config_task_template_completed"),
            "12/workflow_activate_no_time_window",
        ),
        "needs a browser session, which the client never has",
    ),
    **dict.fromkeys(
        (
            *("07/task_annotation_list", "07/task_annotation_update_api", "07/task_complete_api"),
            *("07/task_complete_unknown", "09/file_remove_api", "09/file_update_remove_api"),
            *("10/is_complete_toggle_api", "12/workflow_new_api"),
        ),
        "can never work with an API credential, so that the client has no such method",
    ),
    **dict.fromkeys(
        ("02/working_dir_view", "02/working_dir_view_by_name", "02/working_dir_view_missing"),
        "the list of datasets says the same and more",
    ),
    "02/name_to_file_id": "mixes the labels of all schemas; the client lists the labels of one",
    **dict.fromkeys(("02/label_new_no_schema", "02/labels_list_no_schema"), "the client always names the schema"),
    "02/directory_new_missing_name": "the client always names the dataset",
    "03/file_metadata": "the server drops metadata of a packet, so that a packet has none",
    **dict.fromkeys(
        ("05/from_local_no_dir", "05/from_local_job_id"), "the client always names the dataset, never a job"
    ),
    "07/job_new_no_name": "the client always names the job",
    "07/task_list_no_job_id_in_body": "the client always names the job in the body",
    **dict.fromkeys(
        ("08/job_wait_url", "08/job_incomplete_only"),
        "the client waits for data only, and has no 'incomplete only', which means everything",
    ),
    **dict.fromkeys(
        ("09/list_missing_mode", "09/list_directory_none", "09/list_predictions_only", "09/list_completed"),
        "a mode or a filter of the list that the client does not offer",
    ),
    "09/update_metadata_free": "the server ignores it, so that the client does not offer it",
    **dict.fromkeys(
        ("10/model_runs_list_by_file", "10/model_runs_list_by_dir"),
        "filters without effect, which the client does not offer",
    ),
    **dict.fromkeys(
        ("12/action_template_list", "12/workflow_view"), "actions are set up in the web page; the client only receives"
    ),
    **dict.fromkeys(
        ("14/Project#1", "14/Project#4", "14/label_new#2", "14/directory.get#1"),
        "the default dataset and the labels of all schemas at once, which the client finds otherwise",
    ),
    **dict.fromkeys(("14/get_model", "14/train_import"), "the SDK fails before it sends anything"),
    **dict.fromkeys(
        ("15/packet_ingest", "15/processing", "15/cpu_gate", "15/worker_death"),
        "measurements of a server; there is no request in them",
    ),
}
