"""One place for settings, three doors to it: the class, ``python -m`` and the terminal."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from diffgram_flows.cli import main as cli
from diffgram_flows.cli_output import MISUSED
from diffgram_flows.errors import ConfigurationError
from diffgram_flows.sandbox import SandboxSettings
from diffgram_flows.sandbox.export_faults import fault_of
from diffgram_flows.sandbox.server import main

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"fault_rate": 1.5}, "fault_rate is 1.5, which is no probability"),
    ({"fault_rate": float("nan")}, "fault_rate is nan"),
    ({"worker_death_rate": 2.0}, "worker_death_rate is 2.0"),
    ({"worker_death_rate": -0.1}, "worker_death_rate is -0.1"),
    ({"fault_kinds": "reset,flood"}, "no fault 'flood'"),
    ({"fault_kinds": ""}, "no fault ''"),
    ({"download_delay": float("inf")}, "download_delay is inf"),
    ({"cpu_gate_pause": 5.0}, "cpu_gate_pause is 5.0"),
    ({"cpu_gate_pause": 5.0, "cpu_gate_every": 5.0}, "cpu_gate_every = 5.0"),
    ({"seed": -1}, "seed is -1"),
    ({"export_fault": "truncated, none, flood"}, "no export fault 'flood'"),
    ({"export_fault": ""}, "no export fault ''"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG, ids=[message for _, message in WRONG])
def test_a_wrong_setting_is_named(settings: dict[str, Any], message: str, capsys: Any) -> None:
    with pytest.raises(ConfigurationError, match=message):
        SandboxSettings(**settings)
    options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    with pytest.raises(ConfigurationError, match=message):
        main(["--data", "never-made", *options])
    assert cli(["sandbox", "serve", "--data", "never-made", *options]) == MISUSED
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    "settings",
    [{"fault_rate": "0.2"}, {"import_workers": 2.5}, {"rate_limits": "off"}, {"task_delay": True}],
    ids=["text", "half a worker", "text for yes or no", "yes for a number"],
)
def test_a_setting_of_another_kind_is_named(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        SandboxSettings(**settings)


def test_exports_meet_the_faults_in_turn() -> None:
    assert [fault_of("truncated, none,slow", export_id) for export_id in (1, 2, 3, 4, 99)] == [
        "truncated",
        "none",
        "slow",
        "slow",
        "slow",
    ]


def test_settings_travel_through_the_command_line() -> None:
    settings = SandboxSettings(
        rate_limits=False,
        fault_rate=0.25,
        fault_kinds="reset,delay",
        export_fault="truncated,none",
        worker_death_rate=0.1,
        download_delay=2,
        cpu_gate_every=30.0,
        cpu_gate_pause=10.0,
        seed=7,
    )
    parser = argparse.ArgumentParser()
    SandboxSettings.add_arguments(parser)
    assert SandboxSettings.from_arguments(parser.parse_args(settings.arguments())) == settings
    assert settings.faults == ("reset", "delay")
