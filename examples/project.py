"""What is in the project: datasets, labels, people, jobs and the newest imports.

export DIFFGRAM_URL=https://diffgram.example.com DIFFGRAM_PROJECT=cars
export DIFFGRAM_CLIENT_ID=LIVE__... DIFFGRAM_CLIENT_SECRET=...
python examples/project.py
"""

from diffgram_flows import Project


def main() -> None:
    with Project.from_environment() as project:
        print(project)
        for directory in project.directory.list():
            print(f"dataset {directory.id}: {directory.name}, {sum(1 for _ in directory.file_ids())} files")
        print("labels:", ", ".join(label.name for label in project.label.list()) or "none")
        print("people:", ", ".join(member.email for member in project.member.list() if member.email))
        for job in project.job.list():
            print(f"job {job.id}: {job.name} ({job.status})")
        for row in project.input.list(limit=10):
            print(f"import {row.id}: {row.original_filename} {row.status} {row.reason}".rstrip())


if __name__ == "__main__":
    main()
