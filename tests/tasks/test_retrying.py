from __future__ import annotations

from typing import Any

import pytest
from prefect.states import Failed

from diffgram_flows.errors import (
    AuthenticationError,
    BrokenReply,
    BudgetExhausted,
    Busy,
    InvalidRequest,
    ServerUnreachable,
    StorageUnavailable,
)
from diffgram_flows.tasks.retrying import worth_retrying


@pytest.mark.parametrize(
    ("error", "worth"),
    [
        (ServerUnreachable("down."), True),
        (StorageUnavailable("down."), True),
        (Busy("held."), True),
        (BudgetExhausted("used up."), False),
        (AuthenticationError("wrong."), False),
        (BrokenReply("unknown id."), False),
        (InvalidRequest("refused."), False),
        (ValueError("a bug"), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_what_can_change_within_minutes_is_run_again(error: Exception, worth: bool) -> None:
    nobody: Any = None
    assert worth_retrying(nobody, nobody, Failed(data=error)) is worth
