"""Let the champion look at the files that people still have to annotate."""

from __future__ import annotations

from prefect import flow

from diffgram_flows.parameters import PredictParameters
from diffgram_flows.tasks import exporting, predicting


@flow(name="predict batch")
def predict_batch(parameters: PredictParameters) -> list[predicting.PredictSummary]:
    """Predict, in chunks, every file with an open task that the champion has not seen.

    Args:
        parameters: Which dataset and which brain.
    """
    exporting.refresh_work(parameters.target)
    return [predicting.predict_chunk(parameters, chunk) for chunk in predicting.predict_chunks(parameters)]
