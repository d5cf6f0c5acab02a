"""What the routes work with."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request

from diffgram_flows.brains import Registry
from diffgram_flows.service.champions import Champions
from diffgram_flows.service.desk import Desk
from diffgram_flows.service.doorman import Doorman
from diffgram_flows.service.downloads import Downloads
from diffgram_flows.service.metrics import Metrics
from diffgram_flows.service.settings import ServiceSettings
from diffgram_flows.service.trainings import Trainings


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one service."""

    settings: ServiceSettings
    metrics: Metrics
    doorman: Doorman
    champions: Champions
    desk: Desk
    trainings: Trainings
    downloads: Downloads

    @classmethod
    def of(cls, registry: Registry, settings: ServiceSettings) -> Parts:
        metrics = Metrics()
        champions = Champions(registry, settings, metrics)
        desk = Desk(champions, settings, metrics)
        doorman = Doorman(settings)
        trainings = Trainings(settings, doorman, champions)
        return cls(settings, metrics, doorman, champions, desk, trainings, Downloads(settings))


def parts_of(request: Request) -> Parts:
    """The parts of the service that a request has come to."""
    parts: Parts = request.app.state.parts
    return parts
