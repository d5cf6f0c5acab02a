"""``project.train``: from what people finished to a brain, while the script goes on."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from diffgram_flows.brains import Gate, TrainingOptions, find_method
from diffgram_flows.brains.methods import check_same_kind
from diffgram_flows.datasets import SnapshotOptions
from diffgram_flows.errors import BrainNotFound, ConfigurationError
from diffgram_flows.parameters import TrainOptions
from diffgram_flows.project.brain import Brain
from diffgram_flows.project.context import Context, DirectoryLike, Ref, id_of
from diffgram_flows.project.deployed_run import DeployedRun, file_of
from diffgram_flows.project.training_run import TrainingRun
from diffgram_flows.project.training_status import FOLDER
from diffgram_flows.project.training_steps import Order
from diffgram_flows.tasks.places import Places


class Train:
    """Trainings. They happen on this machine; a Diffgram server has no way to train (contract section 14).

    Args:
        context: The project.
        client_id, client_secret: For the process that trains.
    """

    def __init__(self, context: Context, client_id: str, client_secret: str) -> None:
        self._context = context
        self._client_id = client_id
        self._client_secret = client_secret

    def start(
        self,
        name: str,
        *,
        method: str = "object_detection",
        directory: DirectoryLike | None = None,
        job: Ref | None = None,
        from_champion: bool = True,
        validation_share: float = 0.1,
        test_share: float = 0.2,
        deployment: str = "",
        **options: Any,
    ) -> Brain:
        """Export what people finished, train, judge, and promote what is better; returns at once.

        A process of its own does it. It ends with this one, which at its own end waits for it. With ``deployment`` a
        worker of Prefect does it, on the newest snapshot that the deployment's target has; the brain is found where
        that target's ``store_uri`` keeps it, so the project needs the same one.

        Args:
            name: The brain; training it again makes its next version.
            method: How it learns.
            directory: The dataset whose finished files it learns from: those whose tasks are all complete. By
                default the job's dataset if there is just one, else the project's default one.
            job: The job whose tasks are looked at; by default all jobs of the project.
            from_champion: Whether it starts from the weights of the version in use, if there is one.
            validation_share: Which part of the images chooses the score threshold.
            test_share: Which part judges, and is never learned from.
            deployment: A Prefect deployment of the flow "train brain", such as ``train brain/on-demand``. It says
                itself what is learned from, so ``directory``, ``job`` and the shares are not taken with it.
            **options: Fields of :class:`~diffgram_flows.brains.TrainingOptions`: ``steps``, ``image_size``, ``seed``,
                ``batch_size``, ``learning_rate``, ``augmentation``, ...; and of :class:`~diffgram_flows.brains.Gate`,
                which say when it is promoted: ``min_score``, ``min_class_score``, ``min_class_count``, ``confidence``.

        Returns:
            The brain, which tells how far it is.

        Raises:
            ConfigurationError: A setting is unknown or wrong, the dataset or the deployment does not exist, or the
                version in use finds something else than the method does.
            Busy: It is being trained already.
            ServerUnreachable: The Prefect server of the deployment does not answer.
            StorageUnavailable, AccessDenied, BucketNotFound: The store cannot be read.
        """
        find_method(method)
        self._context.places.registry.numbers(name)  # refuses a name that no folder can have
        SnapshotOptions(val=validation_share, test=test_share)
        options, gate = _checked(options)
        if not deployment or self._context.places.store_uri:  # else the champion is only known where the worker is
            _check_kind(self._context.places, name, method)
        if deployment:
            form = {"brain": name, "method": method, "from_champion": from_champion, **_form(options), **gate}
            return Brain(self._context, name, run=DeployedRun.start(self._context.places, name, deployment, form))
        client = self._context.client
        order = Order(
            url=client.url,
            project=client.project,
            client_id=self._client_id,
            client_secret=self._client_secret,
            workdir=str(self._context.workdir.expanduser().resolve()),
            store_uri=self._context.places.store_uri,
            name=name,
            method=method,
            directory_id=self._directory_id(directory, job),
            job_id=None if job is None else id_of(job),
            schema_id=self._context.schema_id(),
            from_champion=from_champion,
            options=options,
            gate=gate,
            validation_share=validation_share,
            test_share=test_share,
        )
        return Brain(self._context, name, run=TrainingRun.start(order))

    def get(self, name: str) -> Brain:
        """The brain of the newest training of this name, also of one that another process has started.

        Raises:
            BrainNotFound: None was started on this work folder.
        """
        run = _newest(self._context.places, name)
        if run is None:
            raise BrainNotFound(
                f"No training of {name!r} was started on {self._context.workdir}.",
                cure="Start one with project.train.start, or take a trained brain with project.get_model.",
            )
        return Brain(self._context, name, run=run)

    def _directory_id(self, directory: DirectoryLike | None, job: Ref | None) -> int:
        if directory is None and job is not None:
            attached = self._context.client.job_info(id_of(job)).directories
            if len(attached) == 1:
                return attached[0].directory_id
        return self._context.directory_id(directory)


def _newest(places: Places, name: str) -> TrainingRun | DeployedRun | None:
    """The newest training of a brain, whoever does it."""
    here, elsewhere = TrainingRun.find(places.workdir, name), DeployedRun.find(places, name)
    if here is None or elsewhere is None:
        return here or elsewhere
    written = (places.workdir / FOLDER / f"{name}.json", file_of(places.workdir, name))
    began, ordered = (path.stat().st_mtime for path in written)
    return here if began > ordered else elsewhere


def _check_kind(places: Places, name: str, method: str) -> None:
    """Refuse here a method that the champion of this name cannot be compared with; downloads nothing but a manifest."""
    registry = places.registry
    ref = registry.champion_ref(name)
    if ref is not None:
        check_same_kind(method, ref, registry.manifest(ref).method)


def _form(options: dict[str, Any]) -> dict[str, Any]:
    """Options of a training as the flow's form has them.

    Raises:
        ConfigurationError: The form has no such field.
    """
    unknown = sorted(set(options) - set(TrainOptions.model_fields))
    if unknown:
        raise ConfigurationError(
            f"A deployment takes no option {', '.join(map(repr, unknown))}.",
            cure=f"It takes {', '.join(TrainOptions.model_fields)}.",
        )
    steps = {"warm_steps": options["steps"]} if "steps" in options else {}
    return {**steps, **options}


def _checked(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of the training and those of the gate; what would fail in the other process is refused here."""
    known, gates = ([field.name for field in fields(kind)] for kind in (TrainingOptions, Gate))
    unknown = sorted(set(options) - {*known, *gates})
    if unknown:
        raise ConfigurationError(
            f"The training has no option {', '.join(map(repr, unknown))}.",
            cure=f"There are {', '.join([*known, *gates])}.",
        )
    training, gate = ({name: options[name] for name in names if name in options} for names in (known, gates))
    TrainingOptions(**training)
    Gate(**gate)
    return training, gate
