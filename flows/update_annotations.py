"""Send the predictions to Diffgram as pre-labels."""

from __future__ import annotations

from prefect import flow

from diffgram_flows.parameters import UpdateParameters
from diffgram_flows.tasks import updating


@flow(name="update annotations")
def update_annotations(parameters: UpdateParameters) -> updating.UpdateSummary:
    """Send what the champion saw, once for each file and brain version, and follow it to its end.

    Args:
        parameters: Which dataset and which brain.
    """
    updating.push_predictions(parameters)
    return updating.follow_predictions(parameters)
