"""Prefect blocks: where credentials live when they are not in the environment."""

from __future__ import annotations

import os

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from diffgram_flows.errors import ConfigurationError
from diffgram_flows.parameters import Target


class DiffgramCredentials(Block):
    """A Diffgram server, a project on it, and an API credential for that project.

    Example:
        Save one in the Prefect UI, or in Python, and name it in a flow's ``target.credentials_block``:

        ```python
        from diffgram_flows.blocks import DiffgramCredentials

        DiffgramCredentials(
            diffgram_url="https://diffgram.example.com", project="cars", client_id="LIVE__...", client_secret="..."
        ).save("BLOCK_NAME")
        credentials = DiffgramCredentials.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "Diffgram Credentials"
    _block_type_slug = "diffgram-credentials"

    diffgram_url: str = Field(default=..., description="Base URL of the Diffgram server.")
    project: str = Field(default=..., description="Project string id, as in the address of the project's page.")
    client_id: str = Field(default=..., description="Client id of an API credential with the role Editor or admin.")
    client_secret: SecretStr = Field(default=..., description="Client secret of that credential.")


def find_credentials(target: Target) -> DiffgramCredentials:
    """The credentials for a target: its block if it names one, else the environment; the target's own fields win.

    Raises:
        ConfigurationError: Something is missing; the message names the variable.
    """
    if target.credentials_block:
        return _saved(target)
    found = {
        "diffgram_url": target.diffgram_url or os.environ.get("DIFFGRAM_URL", ""),
        "project": target.project or os.environ.get("DIFFGRAM_PROJECT", ""),
        "client_id": os.environ.get("DIFFGRAM_CLIENT_ID", ""),
        "client_secret": os.environ.get("DIFFGRAM_CLIENT_SECRET", ""),
    }
    missing = [
        name if name.startswith("diffgram") else f"diffgram_{name}" for name, value in found.items() if not value
    ]
    if missing:
        raise ConfigurationError(
            f"Nothing says which Diffgram to use: {', '.join(name.upper() for name in missing)} not given.",
            cure="Set these environment variables, or name a saved 'Diffgram Credentials' block.",
        )
    return DiffgramCredentials(
        diffgram_url=found["diffgram_url"],
        project=found["project"],
        client_id=found["client_id"],
        client_secret=SecretStr(found["client_secret"]),
    )


def _saved(target: Target) -> DiffgramCredentials:
    try:
        saved = DiffgramCredentials.load(target.credentials_block)
    except ValueError:
        raise ConfigurationError(
            f"There is no saved 'Diffgram Credentials' block called {target.credentials_block!r}.",
            cure="Save one in the Prefect UI under Blocks, or leave the parameter empty to use the environment.",
        ) from None
    if not isinstance(saved, DiffgramCredentials):  # load() returns a coroutine inside an event loop
        raise ConfigurationError(
            f"The block {target.credentials_block!r} cannot be loaded inside an event loop.",
            cure="Call the flow from ordinary, not asynchronous, code.",
        )
    changes = {"diffgram_url": target.diffgram_url, "project": target.project}
    return saved.model_copy(update={name: value for name, value in changes.items() if value})
