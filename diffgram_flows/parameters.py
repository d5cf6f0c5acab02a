"""The parameters of every flow: pydantic models, which the Prefect UI shows as forms and checks before a run starts."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Target(_Form):
    """Which dataset of which Diffgram project, and where our own records of it lie."""

    diffgram_url: str = Field(
        default="", description="Base URL of the server. Empty: the block's, else the environment's DIFFGRAM_URL."
    )
    project: str = Field(
        default="", description="Project string id. Empty: the block's, else the environment's DIFFGRAM_PROJECT."
    )
    credentials_block: str = Field(
        default="",
        description="Name of a saved 'Diffgram Credentials' block. Empty: DIFFGRAM_CLIENT_ID and "
        "DIFFGRAM_CLIENT_SECRET of the environment.",
    )
    dataset: str = Field(default="images", min_length=1, description="Diffgram dataset that receives the files.")
    label_schema: str = Field(default="", description="Label schema. Empty: the project's default schema.")
    workdir: Path = Field(
        default=Path("diffgram-flows-data"),
        description="Folder for snapshots, brains, images and, unless ledger_url says otherwise, the ledger.",
    )
    ledger_url: str = Field(
        default="", description="SQLAlchemy URL of the ledger. Empty: an SQLite file in the work folder."
    )
    store_uri: str = Field(
        default="",
        description="Folder, or s3://... or gs://... prefix, that holds snapshots and brains for all machines. Empty: "
        "the work folder. Endpoint and credentials are found as boto3 and google-cloud-storage find them, for example "
        "in AWS_ENDPOINT_URL_S3.",
    )
    packets_per_second: float = Field(
        default=20.0, ge=0, description="What the server allows one address; 0 where it has no limit."
    )


class StorageOptions(_Form):
    """How buckets are reached. Credentials are found as boto3 and google-cloud-storage find them."""

    s3_endpoint: str | None = Field(default=None, description="Endpoint of an S3-compatible store other than AWS.")
    s3_region: str | None = Field(default=None, description="Region; found by itself on AWS.")
    s3_profile: str | None = Field(default=None, description="Profile of the AWS configuration.")
    s3_path_style: bool | None = Field(default=None, description="Path-style addresses; decided by itself if empty.")
    s3_role_arn: str | None = Field(
        default=None, description="Role to assume for the bucket; assumed again before its credential runs out."
    )
    s3_external_id: str | None = Field(default=None, description="External id that the role's owner asks for.")
    s3_role_hours: float = Field(default=1.0, ge=0.25, le=12, description="For how long to assume the role.")
    s3_pin_versions: bool = Field(
        default=False, description="URLs name the object's version, for one HEAD each; the bucket must keep versions."
    )
    requester_pays: bool = Field(default=False, description="Pay for the requests to somebody else's bucket.")
    gcs_endpoint: str | None = Field(default=None, description="Endpoint of a GCS stand-in.")
    gcs_key_file: Path | None = Field(default=None, description="Service account key; default: the application's own.")
    gcs_hmac: bool = Field(
        default=False, description="Sign with the HMAC key in GS_ACCESS_KEY_ID and GS_SECRET_ACCESS_KEY: faster."
    )
    azure_endpoint: str | None = Field(default=None, description="Blob service other than the account's own at Azure.")
    inventory: str | None = Field(
        default=None,
        pattern=r"^(s3|gs|az|file)://.+",
        description="URI of the folder with the bucket's S3 Inventory or GCS inventory reports; the newest one is "
        "read instead of listing the bucket.",
    )
    content_type_by_suffix: bool = Field(
        default=True, description="Signed URLs make the store answer with the type that the key's suffix tells."
    )
    file_host: str = Field(default="127.0.0.1", description="Address on which a local folder is served to Diffgram.")
    file_port: int = Field(default=0, ge=0, le=65535, description="Its port; 0 takes a free one.")
    file_public_url: str | None = Field(default=None, description="Base URL under which Diffgram reaches that server.")


class Bucket(StorageOptions):
    """Where the images are."""

    uri: str = Field(
        pattern=r"^(s3|gs|az|file)://.+",
        description="s3://bucket/prefix, gs://bucket/prefix, az://account/container/prefix or file:///folder.",
    )


class ImportOptions(_Form):
    """How objects become files."""

    inspect_headers: bool = Field(
        default=True, description="Read the head of every new object and refuse what is not an image or is too large."
    )
    prelabel: bool = Field(default=True, description="Send the champion's predictions along with every new file.")
    chunk_size: int = Field(default=500, ge=1, le=2000, description="Files in one task run: 25 seconds at full speed.")
    window: int = Field(
        default=0,
        ge=0,
        description="Files on their way at the same time. 0: what the server gets done in half the life of a URL.",
    )
    drain_rate: float = Field(
        default=2.1, gt=0, description="Files a second that the server gets done: about 0.7 for each of its workers."
    )
    route: Literal["url", "upload", "connection"] = Field(
        default="url",
        description="url: the server fetches signed URLs. upload: we send the bytes, where it does not reach the "
        "bucket. connection: it reads the bucket through a storage connection of its own.",
    )
    connection_id: int | None = Field(default=None, ge=1, description="That connection, for the route 'connection'.")
    changed: Literal["reimport", "ignore"] = Field(
        default="reimport",
        description="A changed object becomes a new file under a name of its own, or stays as it is.",
    )
    old_file: Literal["keep", "archive"] = Field(
        default="keep", description="Whether the file of the older version leaves the dataset."
    )
    deleted: Literal["ignore", "archive"] = Field(
        default="ignore", description="Whether the file of an object that is gone from the bucket leaves the dataset."
    )
    archive_human_work: bool = Field(
        default=False, description="Let files leave the dataset even if a person has worked on them."
    )
    lease_hours: float = Field(default=6.0, gt=0, le=168, description="How long a signed URL shall live.")
    timeout_minutes: float = Field(
        default=60.0, gt=0, description="How long to wait in the server's queue while nothing gets done there."
    )
    stuck_minutes: float = Field(
        default=15.0, gt=0, description="An import that has not moved for so long while processing is retried."
    )
    price_per_1000_lists: float | None = Field(
        default=None, ge=0, description="What 1,000 list requests cost at the provider; plans show the price then."
    )


class AnnotationOptions(_Form):
    """How files become work for people."""

    job_name: str = Field(default="annotate", min_length=1, description="Jobs are called so, with a number behind.")
    job_id: int | None = Field(default=None, description="Use this existing job instead of opening our own.")
    task_timeout_seconds: float = Field(
        default=60.0, gt=0, description="How long to wait for the server to create tasks; the next run looks again."
    )


class ExportOptions(_Form):
    """When finished work becomes a snapshot, and how it is split."""

    min_new_files: int = Field(
        default=50, ge=1, description="Newly finished files that make an export due; fewer when no task is left open."
    )
    validation_share: float = Field(default=0.1, ge=0, lt=1, description="Share of images for choosing thresholds.")
    test_share: float = Field(default=0.2, gt=0, lt=1, description="Share of images that only judge.")
    group_pattern: str = Field(
        default="", description="Regular expression over keys; images with the same match stay in one split."
    )
    near_duplicates: Literal["report", "move"] = Field(
        default="report",
        description="Images that look like an elder one of another split are reported, or moved into its split.",
    )
    near_duplicate_distance: int = Field(
        default=4, ge=0, le=8, description="In how many of 64 bits such images may differ; different ones do in 8."
    )
    timeout_minutes: float = Field(default=60.0, gt=0, description="How long to wait for the server's export.")


Backbone = Literal[
    "small",
    "MobileNetV2",
    "MobileNetV3Small",
    "MobileNetV3Large",
    "ResNet50V2",
    "EfficientNetV2B0",
    "EfficientNetV2B1",
    "EfficientNetV2B2",
    "EfficientNetV2B3",
    "EfficientNetV2S",
]


class TrainOptions(_Form):
    """When and how a brain is trained."""

    brain: str = Field(default="detector", pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*$", description="Name of the brain.")
    method: Literal["object_detection", "retinanet", "classification", "semantic_segmentation"] = Field(
        default="object_detection",
        description="What it learns: boxes (retinanet: by keras-hub's network), tags with their attributes, areas.",
    )
    min_new_images: int = Field(
        default=50,
        ge=1,
        description="Of the cycle: images that the newest snapshot must have over the last one that was trained on, or "
        "no training is due. A training that is asked for by itself takes place in any case.",
    )
    from_champion: bool = Field(
        default=True,
        description="Start from the champion's weights where they fit. Such a training takes warm_steps, not steps.",
    )
    image_size: int = Field(default=192, ge=64, le=1024, multiple_of=32, description="Side of the network's input.")
    steps: int = Field(default=800, ge=1, description="Gradient steps from scratch; see warm_steps.")
    warm_steps: int = Field(
        default=600,
        ge=1,
        description="Gradient steps from the champion's weights: where there is one, in place of steps.",
    )
    batch_size: int = Field(default=8, ge=1, description="Images in one step.")
    learning_rate: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="Peak learning rate. Empty: what suits the method."
    )
    balance: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="How much more often images with rare labels are shown; 1: all labels equally.",
    )
    patience: int = Field(
        default=0, ge=0, description="Twentieths of the training without a better result after which it ends; 0: never."
    )
    backbone: Backbone = Field(default="small", description="Ours, or a network of keras.applications.")
    backbone_weights: str = Field(
        default="", description="A file with weights of that network, or imagenet; for retinanet a preset of keras-hub."
    )
    frozen: float = Field(
        default=0.0, ge=0, le=1, description="Share of the steps in which a pretrained network does not learn."
    )
    deterministic: bool = Field(default=False, description="Bit for bit repeatable, 10 to 40 % slower.")
    seed: int = Field(default=0, ge=0, lt=2**32, description="Same seed, same start and same order of images.")
    min_score: float = Field(
        default=0.0, ge=0, le=1, description="Below it nothing is promoted: mAP50 of boxes, F1 of tags, IoU of areas."
    )
    min_class_score: float = Field(default=0.0, ge=0, le=1, description="The same for every label on its own.")
    min_class_count: int = Field(
        default=10, ge=1, description="Labels with fewer test boxes, tags or area pixels are not held to it."
    )
    confidence: float = Field(
        default=0.9, gt=0, lt=1, description="How sure it must be that a new brain is better than the champion."
    )


class PredictOptions(_Form):
    """What the champion looks at, and what of it people get to see."""

    max_files: int = Field(default=5000, ge=1, description="Files in one run; the next run takes the next ones.")
    chunk_size: int = Field(default=500, ge=1, description="Files in one task run.")
    score_threshold: float | None = Field(
        default=None, ge=0, le=1, description="Boxes below are dropped. Empty: the threshold that saves most edits."
    )
    tile: Literal["never", "auto"] = Field(
        default="never",
        description="auto: images of more than four times the network's input are looked at in tiles as well, which "
        "finds small things and takes as much longer as there are tiles.",
    )
    results: Literal["jsonl", "parquet", "both"] = Field(
        default="jsonl", description="What the files with the results are written as."
    )


class ImportParameters(_Form):
    """Bring new objects of a bucket into Diffgram, exactly once, and give them to people."""

    target: Target = Target()
    bucket: Bucket
    importing: ImportOptions = ImportOptions()
    annotation: AnnotationOptions = AnnotationOptions()
    brain: str = Field(default="detector", description="The brain whose champion makes the pre-labels.")
    dry_run: bool = Field(default=False, description="Only make a plan, for a person to look at.")
    plan_id: str = Field(default="", description="Carry out this plan; nothing is listed then.")


class ExportParameters(_Form):
    """Turn finished annotations into a snapshot."""

    target: Target = Target()
    bucket: Bucket | None = Field(default=None, description="Where images are fetched; else from Diffgram itself.")
    exporting: ExportOptions = ExportOptions()


class TrainParameters(_Form):
    """Train on the newest snapshot, judge against the champion, promote what is better."""

    target: Target = Target()
    bucket: Bucket | None = Field(
        default=None, description="Where images are fetched that another machine has looked at; else from Diffgram."
    )
    training: TrainOptions = TrainOptions()


class PredictParameters(_Form):
    """Let the champion look at the files that people still have to annotate."""

    target: Target = Target()
    bucket: Bucket | None = Field(default=None, description="Where images are fetched; else from Diffgram itself.")
    predicting: PredictOptions = PredictOptions()
    brain: str = Field(default="detector", description="Name of the brain.")


class UpdateParameters(_Form):
    """Send the predictions to Diffgram as pre-labels."""

    target: Target = Target()
    brain: str = Field(default="detector", description="Name of the brain.")
    timeout_minutes: float = Field(default=30.0, gt=0, description="How long to follow the pre-labels in the queue.")


class CycleParameters(_Form):
    """Do whatever is due: import, export, train, predict, update. Never waits for people."""

    target: Target = Target()
    bucket: Bucket
    importing: ImportOptions = ImportOptions()
    annotation: AnnotationOptions = AnnotationOptions()
    exporting: ExportOptions = ExportOptions()
    training: TrainOptions = TrainOptions()
    predicting: PredictOptions = PredictOptions()
