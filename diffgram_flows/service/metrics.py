"""What the service counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The counters of one service; nothing in their labels comes from a caller."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "brain_requests", "Requests by route and status.", ["route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "brain_request_seconds", "Time of a request.", ["route"], buckets=_SECONDS, registry=self.registry
        )
        self.batches = Histogram(
            "brain_batch_images",
            "Images that went through a network together.",
            ["brain"],
            buckets=(1, 2, 4, 8, 16, 32),
            registry=self.registry,
        )
        self.waiting = Gauge("brain_requests_waiting", "Requests that are being dealt with.", registry=self.registry)
        self.swaps = Counter("brain_swaps", "Changes of the champion in use.", ["brain"], registry=self.registry)
        self.version = Gauge("brain_version", "Version in use.", ["brain"], registry=self.registry)
        self.problems = Gauge(
            "brain_champion_refused", "1 if the champion cannot be loaded.", ["brain"], registry=self.registry
        )

    def text(self) -> bytes:
        return generate_latest(self.registry)
