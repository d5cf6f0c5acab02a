"""An embedded Diffgram, and a person who annotates in it, for the demo and the tests.

The server behaves like a recorded one, quirks included: it was written from recordings of requests and replies alone
("contract" in the docstrings here). Everything lives in one folder, so a sandbox can be killed and started again::

    with SandboxProcess(Path("sandbox-data"), rate_limits=False) as sandbox:
        print(sandbox.url, sandbox.project)
        Annotator(sandbox.url, sandbox.email, sandbox.password, CocoTruth.load(Path("truth.json"))).annotate(job_id=1)

The same from a terminal: ``python -m diffgram_flows.sandbox --data sandbox-data``.
"""

from __future__ import annotations

from diffgram_flows.sandbox.annotator import Annotator
from diffgram_flows.sandbox.comparison import AnnotationTally
from diffgram_flows.sandbox.export_faults import ExportFault
from diffgram_flows.sandbox.process import SandboxProcess
from diffgram_flows.sandbox.settings import SandboxSettings
from diffgram_flows.sandbox.truth import CocoTruth, TrueBox, TrueShape, Truth

__all__ = [
    "AnnotationTally",
    "Annotator",
    "CocoTruth",
    "ExportFault",
    "SandboxProcess",
    "SandboxSettings",
    "TrueBox",
    "TrueShape",
    "Truth",
]
