"""All flows served from one process, without a work pool: ``python deployments/serve.py s3://my-bucket/images``.

The hourly import and the nightly cycle are scheduled; every flow can be started with other parameters from the Prefect
UI. Credentials come from the environment, or from the block that ``--block`` names.
"""

from __future__ import annotations

from typing import Any

from cyclopts import run
from prefect import serve
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.schedules import Cron

from diffgram_flows.parameters import (
    Bucket,
    CycleParameters,
    ExportParameters,
    ImportParameters,
    PredictParameters,
    Target,
    TrainParameters,
    UpdateParameters,
)
from flows.cycle import cycle
from flows.export_annotations import export_annotations
from flows.import_files import import_files
from flows.predict_batch import predict_batch
from flows.train_brain import train_brain
from flows.update_annotations import update_annotations


def deployments(bucket: str, dataset: str = "images", block: str = "") -> list[Any]:
    """Every flow with its schedule and the parameters that the UI's form starts from."""
    target = Target(dataset=dataset, credentials_block=block)
    where = Bucket(uri=bucket)
    one = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
    hourly = Cron("7 * * * *", timezone="UTC")
    nightly = Cron("23 1 * * *", timezone="UTC")
    return [
        import_files.to_deployment(
            "hourly",
            schedule=hourly,
            concurrency_limit=one,
            parameters=_form(ImportParameters(target=target, bucket=where)),
        ),
        cycle.to_deployment(
            "nightly",
            schedule=nightly,
            concurrency_limit=one,
            parameters=_form(CycleParameters(target=target, bucket=where)),
        ),
        export_annotations.to_deployment("on-demand", parameters=_form(ExportParameters(target=target))),
        train_brain.to_deployment("on-demand", concurrency_limit=one, parameters=_form(TrainParameters(target=target))),
        predict_batch.to_deployment("on-demand", parameters=_form(PredictParameters(target=target, bucket=where))),
        update_annotations.to_deployment("on-demand", parameters=_form(UpdateParameters(target=target))),
    ]


def main(bucket: str, *, dataset: str = "images", block: str = "") -> None:
    """Serve all flows until Ctrl-C.

    Args:
        bucket: s3://bucket/prefix, gs://bucket/prefix or file:///folder.
        dataset: Diffgram dataset that receives the files.
        block: Name of a saved 'Diffgram Credentials' block; without it the environment is used.
    """
    serve(*deployments(bucket, dataset, block), limit=2)


def _form(parameters: Any) -> dict[str, Any]:
    return {"parameters": parameters.model_dump(mode="json", exclude_defaults=True)}


if __name__ == "__main__":
    run(main)
