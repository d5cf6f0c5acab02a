"""The kinds of action that the recorded server offers. Only ``Webhook`` does something here."""

from __future__ import annotations

from typing import Any

from diffgram_flows.sandbox import clock

UPLOADED, COMPLETED, DONE, TIME = "input_file_uploaded", "task_completed", "action_completed", "time_trigger"
EXPORTED, MANUAL = "export_generate_success", "manual_trigger"
# Half of the list of a Webhook was recorded; the other names are triggers known from elsewhere in the recordings.
WEBHOOK = (UPLOADED, "task_created", COMPLETED, "task_review_start", "task_request_changes", "task_review_complete",
           "task_template_completed", "file_copy", "file_move", "file_mirror", DONE, TIME)  # fmt: skip
ICON = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 1 1'/%3E"


def replies(created: float) -> list[dict[str, Any]]:
    """All kinds, as they are listed."""
    none = (None, ())
    return [
        _reply(1, created, "export", "JSON Export", "Generate JSON Export",
               (COMPLETED, (UPLOADED, COMPLETED, DONE, TIME)), ("all_tasks_completed", ("all_tasks_completed",)),
               (EXPORTED, (EXPORTED,))),
        _reply(2, created, "TaskTemplateActionRunner", "Human Labeling Tasks", "Add tasks to a task template",
               (UPLOADED, (UPLOADED, DONE)), none, (COMPLETED, (COMPLETED,))),
        _reply(3, created, "azure_sentiment", "Azure Text Analytics", "Azure Text Analytics",
               (UPLOADED, ()), none, (DONE, ())),
        _reply(4, created, "VertexTrainDatasetAction", "Vertex AI Train Dataset (Google / GCP)",
               "Train model with Vertex AI", (MANUAL, (MANUAL,)), none, (DONE, (DONE,))),
        _reply(5, created, "Webhook", "Webhook",
               "Sends POST Request to Given URL With Event Data. Expects 200 Response.",
               (UPLOADED, WEBHOOK), none, (DONE, (DONE,))),
        _reply(6, created, "MongoDBTextFileImport", "Mongo DB Text Import",
               "Import Text files into Diffgram from your Mongo DB connection.", (TIME, (TIME,)), none, none),
    ]  # fmt: skip


def _reply(
    number: int,
    created: float,
    kind: str,
    name: str,
    description: str,
    trigger: tuple[str | None, tuple[str, ...]],
    condition: tuple[str | None, tuple[str, ...]],
    completion: tuple[str | None, tuple[str, ...]],
) -> dict[str, Any]:
    return {
        "category": None,
        "completion_condition_data": _events(*completion),
        "condition_data": _events(*condition),
        "description": description,
        "icon": ICON,
        "id": number,
        "is_available": True,
        "is_global": True,
        "kind": kind,
        "member_created_id": None,
        "member_updated_id": None,
        "public_name": name,
        "time_created": clock.spaced_seconds(created),
        "time_updated": None,
        "trigger_data": _events(*trigger),
    }


def _events(default: str | None, names: tuple[str, ...]) -> dict[str, Any]:
    return {"default_event_name": default, "event_list": [{"name": name, "value": name} for name in names]}
