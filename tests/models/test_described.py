"""The configuration of a model's weights from a stranger is checked before anything is built."""

import json

import pytest

from rampart.errors import ModelError
from rampart.models.described import require_sound
from rampart.models.sources import find_source

SOUND = {
    "architecture": "rampart_glyphnet",
    "num_classes": 3,
    "label_names": ["a", "b", "c"],
    "model_args": {"in_chans": 3, "norm": "batch"},
    "pretrained_cfg": {"input_size": [3, 16, 16], "mean": [0, 0, 0], "std": [1, 1, 1]},
}
HOSTILE = {
    "architecture": [5, None, ["a"], True],
    "num_classes": ["3", -1, 10**12, True, float("inf"), [3]],
    "label_names": [5, "abc", ["a", 1, None], {"a": 1}],
    "model_args": [[1], 5, "x", {"in_chans": 10**9}, {"in_chans": "3"}, {"in_chans": True}],
    "pretrained_cfg": [5, [], "x"],
    "pretrained_cfg.input_size": [[3, 16], "3x16", [3, 10**9, 16], [3, -1, 1], [3.5, 16, 16], None],
    "pretrained_cfg.mean": [5, ["a"], [], [float("inf")] * 3, None, "0"],
    "pretrained_cfg.std": [[0, 0, 0], None, [-1] * 3, [float("nan")] * 3],
    "pretrained_cfg.crop_mode": [5, [1]],
}


def changed(key, value):
    tree = json.loads(json.dumps(SOUND))
    *sections, last = key.split(".")
    part = tree
    for section in sections:
        part = part[section]
    part[last] = value
    return tree


@pytest.mark.parametrize("key", HOSTILE)
def test_values_of_another_kind_are_refused_by_their_key(key):
    for value in HOSTILE[key]:
        with pytest.raises(ModelError, match=key.rpartition(".")[2]):
            require_sound(changed(key, value), "config.json")


def test_what_timm_writes_passes():
    require_sound(SOUND, "config.json")
    require_sound(changed("pretrained_cfg", None), "config.json")
    require_sound(changed("num_classes", 0), "config.json")


@pytest.mark.parametrize("content", ["[" * 100_000, "5", "", '{"architecture": 5}', "\ud800"])
def test_a_hostile_file_gives_one_sentence(content, tmp_path):
    (tmp_path / "model.safetensors").touch()
    (tmp_path / "config.json").write_text(content, errors="surrogatepass")
    with pytest.raises(ModelError, match="model configuration"):
        find_source(f"local-dir:{tmp_path}")
