"""The whole cycle on one machine, with a Diffgram, a bucket and an annotator of its own.

Nothing here is known to the rest of the package: the demo plays the people and the outside world, and runs the same
flows that run elsewhere.
"""

from diffgram_flows.demo.run import DemoOptions, run_demo

__all__ = ["DemoOptions", "run_demo"]
