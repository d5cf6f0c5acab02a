"""The detector in TensorFlow: everything that must import TensorFlow, and nothing else.

The rest of the package imports this room inside functions only: the import takes five seconds and 600 MB.
The detector is anchor-free: every point of three grids (one a 8, 16 and 32 pixels) says which class it sees and how
far the four sides of the object are. ``grid`` holds the points, ``network`` the layers, ``targets`` what each point
should say, ``loss`` how wrong it is, ``decoding`` the way back to boxes, ``detector`` what they do together.

What knows nothing of boxes: ``samples`` and ``batches`` (the images), ``objective`` (what a method gives to the loop),
``fitting`` (the loop), ``state`` and ``state_file`` (what it changes, and where that is kept), ``judging``,
``schedule``, ``machines`` (devices and precision), ``saving`` and ``loading`` (the files), ``inference`` (the pipeline
from image files to boxes).
"""

from __future__ import annotations

import os

# Read by TensorFlow when it is first imported: keep its native log to errors, and Keras on this backend.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
