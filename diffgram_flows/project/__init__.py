"""Everything that scripts and notebooks need, on one object.

For example::

    from diffgram_flows import Project

    project = Project.from_environment()
    project.file.from_url("https://example.com/cat.jpg").wait()
    brain = project.get_model("cats")
    for seen in brain.predict_from_local("cat.jpg"):
        print(seen.label, seen.score, seen.box)

One part of a project a file, each a thin layer over the rooms below. Names are those of the official SDK where it has
them; what differs is told in docs/from-the-official-sdk.md.
"""

from __future__ import annotations

from diffgram_flows.project.brain import Brain
from diffgram_flows.project.directories import Directory
from diffgram_flows.project.exports import Export
from diffgram_flows.project.file import File
from diffgram_flows.project.inference import Inference, Instance
from diffgram_flows.project.jobs import Job
from diffgram_flows.project.pictures import read_image
from diffgram_flows.project.predicting import predict_many
from diffgram_flows.project.project import Project
from diffgram_flows.project.queued import ImportsReport, QueuedImport
from diffgram_flows.project.training_status import TrainingStatus

__all__ = [
    "Brain",
    "Directory",
    "Export",
    "File",
    "ImportsReport",
    "Inference",
    "Instance",
    "Job",
    "Project",
    "QueuedImport",
    "TrainingStatus",
    "predict_many",
    "read_image",
]
