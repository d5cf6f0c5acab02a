"""Warnings of libraries about each other, which nobody here can act on."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_numpy_copy_warning() -> Iterator[None]:
    """Silence NumPy 2's warning that TensorFlow tensors do not know the ``copy`` keyword, which Keras provokes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "__array__ implementation doesn't accept a copy keyword", DeprecationWarning)
        yield


@contextmanager
def without_compile_warning() -> Iterator[None]:
    """Silence Keras' warning that a network within a network is not ready for ``fit``, which nobody here calls."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`compile\(\)` was not called", UserWarning)
        yield
