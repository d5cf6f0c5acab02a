"""What Prefect knows about a flow run that trains, beside how far it is."""

from __future__ import annotations

import json
from contextlib import suppress
from uuid import UUID

from diffgram_flows.models import BrainRef
from diffgram_flows.parameters import Target


def target_of(flow_run: str) -> Target:
    """Where a flow run keeps brains: work folder and ``store_uri`` of its target; the rest is as by default.

    Raises:
        ServerUnreachable: The Prefect server does not answer.
    """
    from diffgram_flows.tasks.ordering import _client

    with _client() as client:
        form = client.read_flow_run(UUID(flow_run)).parameters.get("parameters") or {}
    given = form.get("target") or {}
    return Target(**{name: given[name] for name in ("workdir", "store_uri") if given.get(name)})


def judged_by(flow_run: str) -> BrainRef | None:
    """The version that a flow run has judged: the first row of its table "evaluation". ``None`` without the table.

    Raises:
        ServerUnreachable: The Prefect server does not answer.
    """
    from diffgram_flows.tasks.ordering import _client

    wanted = {"flow_run_id": {"any_": [flow_run]}, "key": {"any_": ["evaluation"]}}
    with _client() as client:
        found = client.request(
            "POST", "/artifacts/filter", json={"artifacts": wanted, "sort": "UPDATED_DESC", "limit": 1}
        ).json()
    with suppress(LookupError, TypeError, ValueError):
        return BrainRef.parse(json.loads(found[0]["data"])[0]["brain"])
    return None
