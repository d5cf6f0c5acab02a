from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from servers.pages import annotate, draw_pages

from diffgram_flows import Project
from diffgram_flows.errors import ConfigurationError, InvalidRequest, SessionRequired
from diffgram_flows.project import Directory, Job
from diffgram_flows.sandbox import SandboxProcess


def wait_for_tasks(job: Job, count: int) -> None:
    ends_at = time.monotonic() + 20
    while job.stat().total < count:
        assert time.monotonic() < ends_at, f"only {job.stat()}"
        time.sleep(0.05)


def test_a_job_from_beginning_to_export(
    project: Project, directory: Directory, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    project.label.new("graph")
    pages = draw_pages(tmp_path / "pages", 4)
    files = [project.file.from_local(page.path, directory=directory) for page in pages]
    done = project.directory.new(f"{directory.name} done")
    job = project.job.new("mark graphs", sync_directories=[directory], output_directory=done, tags=["urgent"])
    wait_for_tasks(job, 4)
    assert annotate(sandbox, job.id, pages, "graph", limit=3) == 3
    assert (job.stat().completed, job.info().output_directory_id) == (3, done.id)
    assert [task.status for task in job.tasks("complete")] == ["complete"] * 3
    (left,) = job.tasks("available")
    with pytest.raises(SessionRequired, match="login"):
        project.task.get_by_id(left.id)
    export = job.generate_export(only_complete=True).wait(20)
    found = {int(key) for key in export.data() if key.isdecimal()}
    assert found == {file.id for file in files} - {left.file_id}
    with export.open() as stream:
        assert {int(key) for key in json.load(stream) if key.isdecimal()} == found
    assert export.link().startswith("http")
    assert export.id in {row.id for row in project.export.list()}
    assert project.export.get_by_id(export.id).status().finished
    export.archive()
    assert export.id not in {row.id for row in project.export.list()}
    whole = project.export.new(directory).wait(20)
    assert {int(key) for key in whole.data() if key.isdecimal()} == {file.id for file in files}


def test_a_draft_is_changed_and_launched(project: Project, directory: Directory) -> None:
    job = project.job.new(f"draft of {directory.name}", auto_launch=False)
    assert job.info().status == "draft"
    job.attach_directories([directory])
    assert [attached.directory_id for attached in job.info().directories] == [directory.id]
    guide = project.guide.new("How to", "# Boxes\nclose to the edge")
    assert job.attach_guide(guide).set_output_directory(directory, "nothing").launch() == job
    assert job.info().status == "active"
    assert {member.kind for member in job.members().assignees} <= {"human", ""}
    with pytest.raises(InvalidRequest, match="only a draft"):
        job.attach_directories([directory])
    assert project.job.get(job.name) == job == project.job.get_by_id(job.id)
    project.job.archive([job])
    assert project.job.get(job.name) is None
    assert job.id in {row.id for row in project.job.list(job.name)}


def test_what_does_not_exist(project: Project) -> None:
    with pytest.raises(InvalidRequest, match="no job 99999"):
        project.job.get_by_id(99_999)
    with pytest.raises(InvalidRequest, match="needs a job or a file"):
        project.task.list()
    with pytest.raises(ConfigurationError, match="no dataset 'nowhere'"):
        project.directory.get("nowhere")
    with pytest.raises(ConfigurationError, match=r"no label schema 'none'.*Default"):
        project.label.list("none")
    assert project.job.get("none") is None
    assert project.member.get("nobody@example.com") is None


def test_a_job_without_a_name_gets_one(project: Project) -> None:
    assert project.job.new().name.startswith("job of 20")


def test_datasets(project: Project, directory: Directory) -> None:
    assert project.directory.new(directory.name) == directory == project.directory.get(directory.name)
    assert directory in project.directory.list(directory.name)
    assert project.directory.default().name == "Default"


def test_labels_schemas_and_attributes_have_no_twins(project: Project) -> None:
    made = project.label.new("bus", "tram")
    assert project.label.new("tram", "bus") == {"tram": made["tram"], "bus": made["bus"]}
    assert [label.name for label in project.label.list()].count("bus") == 1
    assert project.label.get("bus") == made["bus"]
    assert project.label.get("unicorn") is None
    schema = project.schema.new("vehicles")
    assert project.schema.new("vehicles") == schema
    assert {schema.name, project.schema.default().name} <= {found.name for found in project.schema.list()}
    assert project.label.new("bus", schema=schema)["bus"] != made["bus"]
    group = project.attribute.new("occluded", options=["no", "partly"], labels=["bus"])
    again = project.attribute.new("occluded", options=["partly", "heavily"])
    assert (again.id, [option.name for option in again.options]) == (group.id, ["no", "partly", "heavily"])
    assert group.id in {found.id for found in project.attribute.list()}


def test_a_project_can_mean_another_schema(sandbox: SandboxProcess, project: Project, tmp_path: Path) -> None:
    schema = project.schema.new("boats")
    keys = (sandbox.url, sandbox.project, sandbox.client_id, sandbox.client_secret)
    with Project(*keys, workdir=tmp_path, label_schema="boats") as other:
        made = other.label.new("canoe")
    assert project.label.get("canoe") is None
    assert project.label.get("canoe", schema) == made["canoe"]


def test_people_and_connections(project: Project, sandbox: SandboxProcess) -> None:
    person = project.member.get(sandbox.email)
    assert person is not None
    assert person.kind == "human"
    assert person in project.member.list()
