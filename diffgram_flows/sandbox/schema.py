"""The sandbox's tables. Moments are seconds since 1970 (UTC); what is never searched is JSON."""

from __future__ import annotations

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE IF NOT EXISTS user (
    id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, salt BLOB NOT NULL, password BLOB NOT NULL,
    first_name TEXT, last_name TEXT, builder INTEGER NOT NULL DEFAULT 0, project_id INTEGER
);
CREATE TABLE IF NOT EXISTS session (token_hash TEXT PRIMARY KEY, user_id INTEGER NOT NULL, created REAL NOT NULL);
-- A member is a person (user_id) or an API credential (no user_id).
CREATE TABLE IF NOT EXISTS member (id INTEGER PRIMARY KEY, user_id INTEGER UNIQUE);
CREATE TABLE IF NOT EXISTS project (
    id INTEGER PRIMARY KEY, string_id TEXT NOT NULL UNIQUE, name TEXT, user_id INTEGER NOT NULL,
    directory_id INTEGER, created REAL NOT NULL, directories_cached INTEGER NOT NULL DEFAULT 1
);
CREATE TABLE IF NOT EXISTS role (
    project_id INTEGER NOT NULL, member_id INTEGER NOT NULL, level TEXT NOT NULL, first_name TEXT, last_name TEXT,
    PRIMARY KEY (project_id, member_id)
);
CREATE TABLE IF NOT EXISTS credential (
    client_id TEXT PRIMARY KEY, secret_hash TEXT NOT NULL, project_id INTEGER NOT NULL, member_id INTEGER NOT NULL,
    created REAL NOT NULL
);

CREATE TABLE IF NOT EXISTS directory (
    id INTEGER PRIMARY KEY, project_id INTEGER NOT NULL, nickname TEXT NOT NULL, created REAL NOT NULL,
    UNIQUE (project_id, nickname)
);
CREATE TABLE IF NOT EXISTS label_schema (
    id INTEGER PRIMARY KEY, project_id INTEGER NOT NULL, name TEXT NOT NULL, is_default INTEGER NOT NULL,
    member_created_id INTEGER, created REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS label (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);

-- Labels are files too: the id of the label *file* is what instances refer to.
CREATE TABLE IF NOT EXISTS file (
    id INTEGER PRIMARY KEY, project_id INTEGER NOT NULL, type TEXT NOT NULL, original_filename TEXT, hash TEXT NOT NULL,
    ann_is_complete INTEGER, count_instances_changed INTEGER, created REAL NOT NULL, updated REAL NOT NULL,
    image_id INTEGER, label_id INTEGER, schema_id INTEGER, colour TEXT, ordinal INTEGER NOT NULL DEFAULT 0,
    file_metadata TEXT
);
CREATE INDEX IF NOT EXISTS file_name ON file (original_filename);
CREATE INDEX IF NOT EXISTS file_project ON file (project_id, type);
CREATE TABLE IF NOT EXISTS image (
    id INTEGER PRIMARY KEY, original_filename TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
    content_type TEXT NOT NULL, blob TEXT NOT NULL DEFAULT '', rotation_degrees INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS placement (
    directory_id INTEGER NOT NULL, file_id INTEGER NOT NULL, PRIMARY KEY (directory_id, file_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS placement_file ON placement (file_id);

CREATE TABLE IF NOT EXISTS attribute_group (
    id INTEGER PRIMARY KEY, project_id INTEGER NOT NULL, schema_id INTEGER NOT NULL, name TEXT, prompt TEXT, kind TEXT,
    is_global INTEGER NOT NULL DEFAULT 0, global_type TEXT NOT NULL DEFAULT 'file', ordinal INTEGER NOT NULL,
    show_prompt INTEGER NOT NULL DEFAULT 1, default_id INTEGER, default_value TEXT, min_value REAL, max_value REAL,
    updated REAL
);
CREATE TABLE IF NOT EXISTS attribute_group_label (
    group_id INTEGER NOT NULL, label_file_id INTEGER NOT NULL, ordinal INTEGER NOT NULL,
    PRIMARY KEY (group_id, label_file_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS attribute_option (id INTEGER PRIMARY KEY, group_id INTEGER NOT NULL, name TEXT);

CREATE TABLE IF NOT EXISTS instance (
    id INTEGER PRIMARY KEY, file_id INTEGER NOT NULL, task_id INTEGER, type TEXT NOT NULL,
    label_file_id INTEGER NOT NULL, x_min, y_min, x_max, y_max, width, height, points TEXT NOT NULL,
    attribute_groups TEXT, machine_made INTEGER NOT NULL, score REAL, model_id INTEGER, model_run_id INTEGER,
    member_created_id INTEGER, creation_ref_id TEXT, action_type TEXT NOT NULL, version INTEGER NOT NULL,
    root_id INTEGER, previous_id INTEGER, soft_delete INTEGER NOT NULL DEFAULT 0, extra TEXT NOT NULL,
    created REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS instance_file ON instance (file_id);
CREATE INDEX IF NOT EXISTS instance_task ON instance (task_id);
CREATE TABLE IF NOT EXISTS model (id INTEGER PRIMARY KEY, project_id INTEGER NOT NULL, reference_id TEXT);
CREATE TABLE IF NOT EXISTS model_run (
    id INTEGER PRIMARY KEY, project_id INTEGER NOT NULL, model_id INTEGER NOT NULL, reference_id TEXT,
    created REAL NOT NULL
);

CREATE TABLE IF NOT EXISTS input (
    id INTEGER PRIMARY KEY, project_id INTEGER NOT NULL, directory_id INTEGER, file_id INTEGER, job_id INTEGER,
    batch_id INTEGER, url TEXT, media_type TEXT, mode TEXT, source TEXT, original_filename TEXT, instance_list TEXT,
    status TEXT NOT NULL, status_text TEXT, percent_complete REAL NOT NULL DEFAULT 0,
    processing_deferred INTEGER NOT NULL, retry_count INTEGER NOT NULL DEFAULT 0, retry_log TEXT, update_log TEXT,
    archived INTEGER NOT NULL DEFAULT 0, video_split_duration INTEGER, attempted INTEGER, created REAL NOT NULL,
    updated REAL, newly_copied_file_id INTEGER
);
CREATE INDEX IF NOT EXISTS input_waiting ON input (id) WHERE status IN ('init', 'retrying');
CREATE INDEX IF NOT EXISTS input_file ON input (file_id);

CREATE TABLE IF NOT EXISTS input_batch (
    id INTEGER PRIMARY KEY, project_id INTEGER NOT NULL, member_id INTEGER, pre_labeled_data TEXT,
    download_status TEXT, download_log TEXT, created REAL NOT NULL, updated REAL
);
-- A chunked upload that is under way: its chunks lie in the media store under this id.
CREATE TABLE IF NOT EXISTS upload (
    id INTEGER PRIMARY KEY, project_id INTEGER NOT NULL, uuid TEXT NOT NULL, UNIQUE (project_id, uuid)
);

CREATE TABLE IF NOT EXISTS job (
    id INTEGER PRIMARY KEY, project_id INTEGER NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL, schema_id INTEGER,
    member_ids TEXT NOT NULL, reviewer_ids TEXT NOT NULL, tags TEXT NOT NULL, instance_type TEXT, share_type TEXT,
    type TEXT, allow_reviews INTEGER NOT NULL, launched REAL, created REAL NOT NULL, updated REAL NOT NULL,
    output_dir_action TEXT NOT NULL DEFAULT 'nothing', completion_directory_id INTEGER,
    guide_ids TEXT NOT NULL DEFAULT '{}', cache_info TEXT NOT NULL DEFAULT '{}'
);
CREATE TABLE IF NOT EXISTS guide (
    id INTEGER PRIMARY KEY, project_id INTEGER NOT NULL, name TEXT, description_markdown TEXT, created REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS job_directory (
    job_id INTEGER NOT NULL, directory_id INTEGER NOT NULL, selected TEXT NOT NULL,
    PRIMARY KEY (job_id, directory_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS job_directory_directory ON job_directory (directory_id);
CREATE TABLE IF NOT EXISTS job_file (
    job_id INTEGER NOT NULL, file_id INTEGER NOT NULL, PRIMARY KEY (job_id, file_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS task (
    id INTEGER PRIMARY KEY, job_id INTEGER NOT NULL, project_id INTEGER NOT NULL, file_id INTEGER NOT NULL,
    directory_id INTEGER, status TEXT NOT NULL, assignee_user_id INTEGER, reviewers TEXT NOT NULL DEFAULT '[]',
    completed REAL, created REAL NOT NULL, updated REAL NOT NULL, UNIQUE (job_id, file_id)
);
CREATE INDEX IF NOT EXISTS task_file ON task (file_id);
-- Tasks that are still to be made: no file ids means "all files of the job".
CREATE TABLE IF NOT EXISTS event (
    id INTEGER PRIMARY KEY, due REAL NOT NULL, job_id INTEGER NOT NULL, file_ids TEXT, member_id INTEGER
);

CREATE TABLE IF NOT EXISTS export (
    id INTEGER PRIMARY KEY, project_id INTEGER NOT NULL, kind TEXT NOT NULL, source TEXT NOT NULL, masks INTEGER,
    file_comparison_mode TEXT, ann_is_complete INTEGER, directory_id INTEGER, job_id INTEGER, task_id INTEGER,
    status TEXT NOT NULL, percent_complete REAL NOT NULL DEFAULT 0, file_list_length INTEGER, due REAL,
    base_url TEXT NOT NULL, created REAL NOT NULL, archived INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE IF NOT EXISTS workflow (
    id INTEGER PRIMARY KEY, project_id INTEGER NOT NULL, name TEXT NOT NULL, string_id TEXT NOT NULL,
    active INTEGER NOT NULL DEFAULT 0, archived INTEGER NOT NULL DEFAULT 0, created REAL NOT NULL, updated REAL
);
CREATE TABLE IF NOT EXISTS action (
    id INTEGER PRIMARY KEY, workflow_id INTEGER NOT NULL, archived INTEGER NOT NULL DEFAULT 0, content TEXT NOT NULL,
    member_created_id INTEGER, member_updated_id INTEGER, created REAL NOT NULL, updated REAL
);
-- What happened, as it is told; ids are never used again. A delivery is deleted before it is tried: there is no retry.
CREATE TABLE IF NOT EXISTS announcement (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, created REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS action_run (
    id INTEGER PRIMARY KEY AUTOINCREMENT, action_id INTEGER NOT NULL, url TEXT NOT NULL, body TEXT NOT NULL
);
"""
