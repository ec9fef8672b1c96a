import io
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import torch

from published import network, published, small
from rampart.errors import ModelError
from rampart.models.backbones import build_model
from rampart.models.catalogue import catalogue
from rampart.models.downloads import cached_file, fetch

ARES, TOWER = "ares:vits_at", "openclip:chs20/FARE4-ViT-B-32-laion2B-s34B-b79K"


def content(entry):
    """The bytes of a published file, and the weights in it."""
    state = network(entry).state_dict()
    buffer = io.BytesIO()
    torch.save(published(entry, state), buffer)
    return buffer.getvalue(), state


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server of files, by their names, and the requests for them."""
    files, requests = {}, []

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)
            body = files.get(self.path.strip("/"))
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *arguments):
            pass

    serving = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=serving.serve_forever, args=(0.02,), daemon=True).start()
    serving.files, serving.requests = files, requests
    serving.address = f"http://127.0.0.1:{serving.server_port}"
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("urllib.request.getproxies", dict)
    yield serving
    serving.shutdown()
    serving.server_close()


@pytest.fixture
def entry(server, monkeypatch):
    """A small entry of ARES whose file lies on the server."""
    plain = small(catalogue()[ARES])
    made = replace(plain, address=f"{server.address}/{plain.file}")
    entries = {**catalogue(), ARES: made}
    monkeypatch.setattr("rampart.models.catalogue.catalogue", lambda: entries)
    return made


def test_a_file_is_downloaded_once(server, entry):
    server.files[entry.file], state = content(entry)
    assert cached_file(entry) is None
    for _ in range(2):
        model = build_model(ARES, num_classes=3)
        assert torch.equal(model.backbone.patch_embed.proj.weight, state["patch_embed.proj.weight"])
    assert server.requests == [f"/{entry.file}"]
    assert cached_file(entry).name == entry.file
    assert len(list(cached_file(entry).parent.iterdir())) == 1


def test_nothing_is_downloaded_for_a_random_network(server, entry):
    model = build_model(ARES, num_classes=3, pretrained=False)
    assert model.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert not server.requests


BAD = {
    "a web page": b"<!DOCTYPE html><html>Google Drive - Quota exceeded</html>",
    "cut or damaged": b"PK\x03\x04 the start of a file",
    "empty": b"",
    "404": None,
}


@pytest.mark.parametrize("says", BAD)
def test_a_bad_download_is_refused_and_not_kept(says, server, entry):
    if BAD[says] is not None:
        server.files[entry.file] = BAD[says]
    with pytest.raises(ModelError, match=rf"{says}.*model\.weights=FILE"):
        fetch(entry)
    assert cached_file(entry) is None
    server.files[entry.file], _ = content(entry)
    assert fetch(entry) == cached_file(entry), "the next try is a fresh one"


def test_a_cut_file_is_refused_and_not_kept(server, entry):
    whole, _ = content(entry)
    server.files[entry.file] = whole[: len(whole) // 2]
    with pytest.raises(ModelError, match=r"cut or damaged.*model\.weights=FILE"):
        fetch(entry)
    assert cached_file(entry) is None


def test_a_file_of_the_wrong_size_is_refused(server, entry):
    server.files[entry.file], _ = content(entry)
    size = len(server.files[entry.file])
    assert fetch(replace(entry, bytes=size))
    with pytest.raises(ModelError, match=rf"{size} bytes, expected {size + 1}.*{entry.file}"):
        fetch(replace(entry, bytes=size + 1))


def test_a_server_that_cannot_be_reached(server, entry, tmp_path):
    whole, _ = content(entry)
    server.shutdown()
    server.server_close()
    with pytest.raises(ModelError, match=rf"{ARES}.*cannot be reached.*model\.weights=FILE"):
        build_model(ARES, num_classes=3)
    (tmp_path / "by-hand.pth").write_bytes(whole)
    assert build_model(ARES, num_classes=3, weights=tmp_path / "by-hand.pth")


def test_a_tower_of_the_hub(local_hub, tmp_path, monkeypatch):
    from safetensors.torch import save

    entry = small(catalogue()[TOWER])
    entries = {**catalogue(), TOWER: entry}
    monkeypatch.setattr("rampart.models.catalogue.catalogue", lambda: entries)
    state = network(entry).state_dict()
    assert cached_file(entry) is None
    with pytest.raises(ModelError, match=rf"{TOWER}.*model\.weights=FILE"):
        build_model(TOWER, num_classes=3)
    local_hub.add(entry.hub, {entry.file: save(published(entry, state))})
    for _ in range(2):
        model = build_model(TOWER, num_classes=3)
        assert torch.equal(
            model.backbone.blocks[1].mlp.fc1.weight, state["blocks.1.mlp.fc1.weight"]
        )
        local_hub.close()
    assert cached_file(entry).name == entry.file
