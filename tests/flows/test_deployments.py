from __future__ import annotations

import importlib.util
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from prefect.blocks.core import Block
from prefect.exceptions import ParameterTypeError
from prefect.flows import Flow, load_flow_from_entrypoint
from pydantic import SecretStr

from diffgram_flows.blocks import DiffgramCredentials, find_credentials
from diffgram_flows.errors import ConfigurationError
from diffgram_flows.parameters import Target

ROOT = Path(__file__).parents[2]
DEPLOYMENTS = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text())["deployments"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda d: f"{d['entrypoint']} {d['name']}")
def test_every_deployment_has_a_flow_that_accepts_its_parameters(
    deployment: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    flow: Flow[..., Any] = load_flow_from_entrypoint(deployment["entrypoint"])
    flow.validate_parameters(deployment["parameters"])


def test_import_and_cycle_are_scheduled() -> None:
    crons = {d["name"]: d["schedules"][0]["cron"] for d in DEPLOYMENTS if d.get("schedules")}
    assert crons.keys() == {"hourly", "nightly"}
    assert len({cron.split()[0] for cron in crons.values()}) == 2  # not in the same minute


def test_one_process_serves_the_same_flows_on_the_same_schedules(prefect_api: None) -> None:
    spec = importlib.util.spec_from_file_location("serve", ROOT / "deployments" / "serve.py")
    assert spec is not None
    assert spec.loader is not None
    serve = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(serve)
    made = serve.deployments("s3://photos/2026", dataset="cars")
    assert sorted((d.flow_name, d.name) for d in made) == sorted(
        (load_flow_from_entrypoint(str(ROOT / d["entrypoint"])).name, d["name"]) for d in DEPLOYMENTS
    )
    for deployment in made:
        flow: Flow[..., Any] = load_flow_from_entrypoint(deployment.entrypoint)
        flow.validate_parameters(deployment.parameters)
    assert [d.schedules[0].schedule.cron for d in made if d.schedules] == ["7 * * * *", "23 1 * * *"]


def test_a_bucket_that_is_none_is_refused_before_a_run_starts() -> None:
    flow: Flow[..., Any] = load_flow_from_entrypoint(str(ROOT / "flows/cycle.py:cycle"))
    with pytest.raises(ParameterTypeError, match="should match pattern"):
        flow.validate_parameters({"parameters": {"bucket": {"uri": "ftp://photos"}}})


def test_a_saved_block_gives_the_credentials(prefect_api: None) -> None:
    DiffgramCredentials(
        diffgram_url="https://diffgram.example.com", project="cars", client_id="id", client_secret=SecretStr("hidden")
    ).save("cars", overwrite=True)
    found = find_credentials(Target(credentials_block="cars", project="other"))
    assert (found.diffgram_url, found.project) == ("https://diffgram.example.com", "other")
    assert found.client_secret.get_secret_value() == "hidden"
    assert "hidden" not in repr(found)


def test_a_block_that_is_not_saved_is_named(prefect_api: None) -> None:
    with pytest.raises(ConfigurationError, match="no saved 'Diffgram Credentials' block called 'nope'"):
        find_credentials(Target(credentials_block="nope"))


def test_missing_variables_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "PROJECT", "CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.delenv(f"DIFFGRAM_{name}", raising=False)
    monkeypatch.setenv("DIFFGRAM_CLIENT_ID", "id")
    with pytest.raises(ConfigurationError, match="DIFFGRAM_URL, DIFFGRAM_PROJECT, DIFFGRAM_CLIENT_SECRET not given"):
        find_credentials(Target())


def test_prefect_finds_the_block_by_itself() -> None:
    (found,) = entry_points(group="prefect.collections", name="diffgram_flows")
    assert found.load().DiffgramCredentials is DiffgramCredentials


def test_the_block_explains_its_fields() -> None:
    assert issubclass(DiffgramCredentials, Block)
    for field in ("diffgram_url", "project", "client_id", "client_secret"):
        assert (DiffgramCredentials.model_fields[field].description or "").endswith(".")
