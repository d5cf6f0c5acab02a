"""Make a job, and send it the images of a bucket by signed URLs.

    python examples/job_with_signed_urls.py s3://my-bucket/images --job "label the cars"

The same with gs://bucket/prefix, or file:///folder, which this machine then serves while Diffgram fetches.
"""

import argparse
from datetime import timedelta
from pathlib import PurePosixPath

from diffgram_flows import Project
from diffgram_flows.importing import SUFFIXES
from diffgram_flows.storage import open_store


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a job of the images of a bucket.")
    parser.add_argument("bucket", metavar="URI", help="s3://bucket/prefix, gs://bucket/prefix or file:///folder")
    parser.add_argument("--job", help="name of the job; by default one with the time")
    parser.add_argument("--hours", type=float, default=6.0, help="how long the signed URLs live")
    arguments = parser.parse_args()
    store, prefix = open_store(arguments.bucket)
    with store, Project.from_environment() as project:
        found = store.iter_objects(prefix)
        images = [stored for stored in found if PurePosixPath(stored.key).suffix.lower() in SUFFIXES]
        job = project.job.new(arguments.job)
        print(f"job {job.id}: {job.name}")
        queued = []
        for image in images:
            lease = store.lease(image, timedelta(hours=arguments.hours))
            queued.append(project.file.from_url(lease.url, job=job))
        report = project.input.wait(queued)
        print(f"{len(report.files)} files imported, {len(report.failures)} failed, {len(report.waiting)} on their way")
        for failure in report.failures:
            print(f"failed: {failure.name}: {failure.reason}")
        print(f"{job.stat().total} tasks")


if __name__ == "__main__":
    main()
