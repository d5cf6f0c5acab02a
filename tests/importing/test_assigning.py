from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest
from servers.bench import Bench, client_of

from diffgram_flows.diffgram import DiffgramClient, Directory
from diffgram_flows.errors import ConfigurationError, ServerUnreachable
from diffgram_flows.importing import AssignReport, assign, refresh_tasks
from diffgram_flows.ledger import JobRow


def give(bench: Bench, client: DiffgramClient | None = None, **options: int | float | None) -> AssignReport:
    client = client or bench.client
    defaults: dict[str, int | float | None] = {"timeout": 20.0}
    return assign(
        client,
        bench.ledger,
        directory_id=bench.directory_id,
        job_name=name_of(bench),
        schema_id=client.schemas()[0].id,
        **{**defaults, **options},  # type: ignore[arg-type]
    )


def name_of(bench: Bench) -> str:
    return f"look at {bench.directory_id}"


def tasked(bench: Bench, job_id: int) -> list[int]:
    return sorted(task.file_id or 0 for task in bench.client.tasks(job_id))


def imported(bench: Bench) -> list[int]:
    return sorted(bench.ledger.objects.by_file_id())


def test_every_imported_file_gets_one_task(bench: Bench) -> None:
    bench.import_all(4)
    report = give(bench)
    (job_id,) = report.job_ids
    assert (report.tasked, report.waiting) == (4, 0)
    assert tasked(bench, job_id) == imported(bench)
    assert bench.ledger.work.jobs()[0] == JobRow(
        1, f"{name_of(bench)} 1", bench.ledger.work.jobs()[0].directory_id, job_id, launched=True
    )


def test_again_changes_nothing(bench: Bench) -> None:
    bench.import_all(2)
    first = give(bench)
    assert give(bench) == first
    assert len(bench.client.jobs(name_of(bench))) == 1


def test_without_files_no_job_is_opened(bench: Bench) -> None:
    assert give(bench) == AssignReport((), 0, 0)
    assert bench.client.jobs(name_of(bench)) == []


def test_later_files_join_the_active_job(bench: Bench) -> None:
    bench.import_all(2)
    give(bench)
    bench.import_all(5, "later")
    report = give(bench, batch=2)
    (job_id,) = report.job_ids
    assert (report.tasked, report.waiting) == (7, 0)
    assert tasked(bench, job_id) == imported(bench)


def test_after_the_last_task_the_next_job_is_opened(bench: Bench) -> None:
    bench.import_all(2)
    first = give(bench).job_ids[0]
    bench.work(first)
    bench.import_all(3, "later")
    report = give(bench)
    assert report.job_ids[0] == first
    assert len(report.job_ids) == 2
    assert [job.name for job in bench.ledger.work.jobs()] == [f"{name_of(bench)} {number}" for number in (1, 2)]
    assert len(tasked(bench, report.job_ids[1])) == 3
    assert bench.ledger.work.finished_files() == set(tasked(bench, first))


def test_a_job_of_the_users_own_is_taken_while_it_is_active(bench: Bench) -> None:
    source = bench.client.ensure_directory(f"for the job of {bench.directory_id}")
    schema = bench.client.schemas()[0]
    people = [member.member_id for member in bench.client.view_project().members if member.kind == "human"]
    own = bench.client.new_job("mine", schema_id=schema.id, member_ids=people, directory_ids=[source.id])
    bench.client.launch_job(own)
    bench.import_all(3)
    report = give(bench, job_id=own)
    assert (report.job_ids, report.tasked) == ((own,), 3)
    bench.work(own)
    bench.import_all(1, "later")
    report = give(bench, job_id=own)
    assert len(report.job_ids) == 2
    assert tasked(bench, own) != tasked(bench, report.job_ids[1])


def test_a_job_that_does_not_exist_is_named(bench: Bench) -> None:
    bench.import_all(1)
    with pytest.raises(ConfigurationError, match="no job 99999"):
        give(bench, job_id=99_999)


def test_a_name_that_others_use_is_not_taken(bench: Bench) -> None:
    schema = bench.client.schemas()[0]
    people = [member.member_id for member in bench.client.view_project().members if member.kind == "human"]
    theirs = bench.client.new_job(f"{name_of(bench)} 1", schema_id=schema.id, member_ids=people)
    bench.client.ensure_directory(f"{name_of(bench)} 2")
    bench.import_all(1)
    report = give(bench)
    assert theirs not in report.job_ids
    assert [job.name for job in bench.ledger.work.jobs()] == [f"{name_of(bench)} 3"]


class Mortal(DiffgramClient):
    """Ends the process, as far as a test can, before or after one of the steps."""

    step = ""
    before = False

    def _around(self, step: str, *, after: bool) -> None:
        if step == self.step and after != self.before:
            raise SystemExit

    def ensure_directory(self, name: str) -> Directory:
        self._around("directory", after=False)
        made = super().ensure_directory(name)
        self._around("directory", after=True)
        return made

    def mirror_files(self, file_ids: Iterable[int], directory_id: int) -> None:
        self._around("mirror", after=False)
        super().mirror_files(file_ids, directory_id)
        self._around("mirror", after=True)

    def new_job(self, name: str, **options: object) -> int:
        self._around("job", after=False)
        made = super().new_job(name, **options)  # type: ignore[arg-type]
        self._around("job", after=True)
        return made

    def launch_job(self, job_id: int) -> None:
        self._around("launch", after=False)
        super().launch_job(job_id)
        self._around("launch", after=True)

    def add_files(self, job_id: int, file_ids: Sequence[int]) -> None:
        self._around("add", after=False)
        super().add_files(job_id, file_ids)
        self._around("add", after=True)


@pytest.mark.parametrize("before", [pytest.param(True, id="before"), pytest.param(False, id="after")])
@pytest.mark.parametrize("step", ["directory", "mirror", "job", "launch"])
def test_a_crash_while_a_job_is_opened_is_continued(bench: Bench, step: str, *, before: bool) -> None:
    bench.import_all(3)
    with client_of(bench.sandbox, kind=Mortal) as client:
        assert isinstance(client, Mortal)
        client.step, client.before = step, before
        with pytest.raises(SystemExit):
            give(bench, client)
    bench.import_all(2, "later")
    give(bench, timeout=10)
    report = give(bench)
    (job,) = bench.client.jobs(name_of(bench))
    assert (report.job_ids, report.tasked, report.waiting) == ((job.id,), 5, 0)
    assert tasked(bench, job.id) == imported(bench)
    assert len(bench.client.directories(name_of(bench))) == 1


def test_what_may_have_been_asked_for_is_not_asked_for_twice(bench: Bench) -> None:
    bench.import_all(2)
    (job_id,) = give(bench).job_ids
    bench.import_all(1, "later")
    with client_of(bench.sandbox, kind=Mortal) as client:
        assert isinstance(client, Mortal)
        client.step, client.before = "add", True
        with pytest.raises(SystemExit):
            give(bench, client)
    assert give(bench, timeout=0.5).waiting == 1
    assert len(tasked(bench, job_id)) == 2


def test_what_certainly_did_not_arrive_is_asked_for_again(bench: Bench) -> None:
    bench.import_all(2)
    give(bench)
    bench.import_all(1, "later")

    class Unreachable(DiffgramClient):
        def add_files(self, job_id: int, file_ids: Sequence[int]) -> None:
            raise ServerUnreachable("Nobody listens.")

    with client_of(bench.sandbox, kind=Unreachable) as client, pytest.raises(ServerUnreachable):
        give(bench, client)
    assert give(bench).tasked == 3


def test_tasks_are_listed_only_when_the_counts_changed(bench: Bench) -> None:
    bench.import_all(3)
    (job_id,) = give(bench).job_ids
    listed: list[int] = []

    class Counting(DiffgramClient):
        def tasks(self, job_id: int, **options: object):  # type: ignore[no-untyped-def]
            listed.append(job_id)
            return super().tasks(job_id, **options)  # type: ignore[arg-type]

    with client_of(bench.sandbox, kind=Counting) as client:
        refresh_tasks(client, bench.ledger)
        assert listed == []
        bench.work(job_id, limit=1)
        refresh_tasks(client, bench.ledger)
    assert listed == [job_id]
    (done,) = bench.ledger.work.tasks(status="complete")
    assert done.completed_at.startswith("20")
    assert bench.ledger.work.finished_files() == {done.file_id}
