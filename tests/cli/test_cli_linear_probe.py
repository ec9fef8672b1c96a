import pytest

from rampart.recipes.config.loading import load_config
from rampart.recipes.probe_backbone import linear_probe_config


def test_the_table_and_the_verdict_are_printed(rampart, tiny_settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = linear_probe_config(load_config(None, tiny_settings))
    lines = rampart("linear-probe", *tiny_settings).out.splitlines()
    assert lines[-1] == found.verdict
    strengths = [line.split()[0] for line in lines[1:6]]
    assert strengths == ["0", "2/255", "4/255", "6/255", "8/255"]
    assert [line.split()[1] for line in lines[1:6]] == [f"{part:.1%}" for part in found.accuracy]
    assert f"{found.forwards:,} forwards" in lines[6]
    assert not list(tmp_path.iterdir()), "nothing is written"


@pytest.fixture
def config_file(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text("model: nothing\ndata: nowhere\n")
    return file


def test_the_model_may_come_first(rampart, refused, tiny_settings, config_file):
    named = [text for text in tiny_settings if not text.startswith("model.name")]
    usual = rampart("linear-probe", *tiny_settings)
    assert rampart("linear-probe", "rampart_glyphnet", *named).out == usual.out
    assert rampart("linear-probe", config_file, *tiny_settings).out == usual.out
    assert "did you mean" in refused("resnet5O", "linear-probe", "resnet5O", *named).err
    refused("one configuration file", "linear-probe", config_file, "other.yaml")


def test_bad_input_gives_a_one_line_error(refused, tiny_settings):
    refused("model is not set", "linear-probe")
    refused("threat.eps=0", "linear-probe", *tiny_settings, "threat.eps=0")
    refused("nowhere", "linear-probe", *tiny_settings, "data.name=nowhere")
