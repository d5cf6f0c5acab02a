"""Prefect 3 tasks and flows that turn a self-hosted Diffgram into an import - train - update cycle."""

__version__ = "0.1.0"
