import socket
import sys
import time
from types import SimpleNamespace

import pytest
from huggingface_hub import constants
from huggingface_hub.utils.logging import get_logger

from rampart.errors import ModelError
from rampart.hub_access import NOT_CACHED, hub_access
from rampart.models.backbones import build_model
from rampart.models.external.load import load_model

LOG = get_logger("huggingface_hub.utils._http")


@pytest.fixture
def server():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """Set the hub's address and an empty cache; nothing may wait."""

    def at(endpoint, offline=False):
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("urllib.request.getproxies", dict)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("waits"))
    return at


@pytest.fixture
def nowhere(server):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    return f"http://127.0.0.1:{port}"


def test_a_hub_that_answers_is_used(hub, server):
    hub(server)
    with hub_access():
        assert not constants.is_offline_mode()


def test_a_hub_that_cannot_be_reached_is_switched_off_inside_the_block(hub, nowhere):
    hub(nowhere)
    with hub_access():
        assert constants.is_offline_mode()
    assert not constants.is_offline_mode()
    with pytest.raises(ZeroDivisionError), hub_access():
        1 / 0  # noqa: B018
    assert not constants.is_offline_mode()


@pytest.mark.parametrize("offline", [False, True])
def test_what_is_imported_while_the_hub_is_away_does_not_stay_offline(
    hub, nowhere, monkeypatch, offline
):
    hub(nowhere, offline)
    monkeypatch.delenv("HF_DATASETS_OFFLINE", raising=False)
    monkeypatch.delitem(sys.modules, "datasets.config", raising=False)
    with hub_access():
        # As the package `datasets` does when it is imported.
        copied = SimpleNamespace(HF_HUB_OFFLINE=constants.HF_HUB_OFFLINE)
        monkeypatch.setitem(sys.modules, "datasets.config", copied)
        assert copied.HF_HUB_OFFLINE
    assert copied.HF_HUB_OFFLINE is offline
    copied.HF_HUB_OFFLINE = not offline
    with hub_access():
        pass
    assert copied.HF_HUB_OFFLINE is not offline, "the user's own choice stays"


def test_with_a_proxy_the_hub_is_used(hub, nowhere, monkeypatch):
    hub(nowhere)
    monkeypatch.setattr("urllib.request.getproxies", lambda: {"https": "http://proxy"})
    with hub_access():
        assert not constants.is_offline_mode()


def test_a_hub_that_is_switched_off_is_not_tried(hub, server, monkeypatch):
    hub(server, offline=True)
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("connects"))
    with hub_access():
        assert constants.is_offline_mode()
    assert constants.is_offline_mode()


def test_the_client_prints_errors_only_inside_the_block(hub, server, caplog):
    hub(server)
    with hub_access():
        LOG.warning("Retrying in 1s [Retry 1/5].")
    assert not caplog.records
    LOG.warning("as before")
    assert len(caplog.records) == 1


@pytest.mark.parametrize("name", ["test_resnet.r160_in1k", "hf-hub:someone/model"])
@pytest.mark.parametrize("offline", [True, False])
def test_a_model_that_cannot_be_downloaded_is_refused_at_once(hub, nowhere, capfd, name, offline):
    hub(nowhere, offline)
    for load in (lambda: build_model(name, num_classes=3), lambda: load_model(name)):
        with pytest.raises(ModelError, match=NOT_CACHED):
            load()
    assert not capfd.readouterr().err
