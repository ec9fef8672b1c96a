import shutil
from dataclasses import replace

import numpy as np
import pytest
from evaluating import evaluate
from safetensors.torch import load_file, save_file

from rampart.errors import (
    DataError,
    RunError,
)
from rampart.recipes.evaluation.evaluate_named import evaluate_run
from rampart.recipes.evaluation.verify import verify
from rampart.records.storage import load_record, save_record


def test_adversarial_examples_verify_a_record(network, tmp_path, photo_folder):
    evaluate(network, tmp_path)
    with pytest.raises(RunError, match="adversarial_examples=true"):
        verify(tmp_path / "evaluation")
    record = evaluate(network, tmp_path, "evaluation.adversarial_examples=true", overwrite=True)
    seen = []
    found = verify(tmp_path / "evaluation", on_progress=lambda done, total: seen.append(done))
    assert found.ok
    assert found.adversarial_examples == record.found.sum() > 0
    assert seen[-1] == len(record)
    moved = shutil.copytree(photo_folder, tmp_path / "moved")
    assert verify(tmp_path / "evaluation", (f"data={moved}",)).ok
    forged = load_record(tmp_path / "evaluation", adversarial_examples=True)
    images = forged.adversarial_examples.copy()
    images[2] = 0
    save_record(replace(forged, adversarial_examples=images), tmp_path / "forged")
    failed = verify(tmp_path / "forged")
    assert {failure.id for failure in failed.failures} == {np.array(record.ids)[record.found][2]}


@pytest.mark.parametrize("setting", ["threat.eps=1/255", "evaluation.attack=fgsm"])
def test_a_verification_measures_what_the_record_states(network, tmp_path, setting):
    evaluate(network, tmp_path, "evaluation.adversarial_examples=true")
    with pytest.raises(RunError, match=f"cannot change .*{setting.partition('=')[0]}"):
        verify(tmp_path / "evaluation", (setting,))
    assert verify(tmp_path / "evaluation", ("evaluation.batch_size=3",)).ok


def test_changed_weights_are_reported(run):
    folder, _ = evaluate_run(
        run.path, ("evaluation.adversarial_examples=true", "evaluation.checks=false")
    )
    assert verify(folder).ok
    weights = run.model / "model.safetensors"
    changed = {
        name: w + 1 if w.is_floating_point() else w for name, w in load_file(weights).items()
    }
    save_file(changed, weights, {"format": "pt"})
    with pytest.raises(RunError, match=r"model\.safetensors does not match its checksum"):
        verify(folder)
    # As from an older version, without checksums.
    (run.model / "checksums.json").unlink()
    with pytest.raises(RunError, match="its weights"):
        verify(folder)


def test_a_record_moves_with_its_run(run, tmp_path):
    folder, _ = evaluate_run(
        run.path, ("evaluation.adversarial_examples=true", "evaluation.checks=false")
    )
    shutil.move(run.path, tmp_path / "elsewhere")
    moved = tmp_path / "elsewhere" / "evaluations" / folder.name
    assert verify(moved).ok


def test_changed_data_are_reported(network, tmp_path, photo_folder):
    evaluate(network, tmp_path, "evaluation.adversarial_examples=true")
    other = shutil.copytree(photo_folder, tmp_path / "other")
    (other / "test" / "red" / "0.png").rename(other / "test" / "red" / "new.png")
    with pytest.raises(RunError, match=r"the data lack 1 image of .*0\.png"):
        verify(tmp_path / "evaluation", (f"data={other}",))
    (other / "test" / "red" / "new.png").rename(other / "test" / "red" / "0.png")
    shutil.copy(other / "test" / "blue" / "0.png", other / "test" / "red" / "0.png")
    with pytest.raises(RunError, match="images of .* have changed .*test"):
        verify(tmp_path / "evaluation", (f"data={other}",))
    shutil.rmtree(other)
    with pytest.raises(DataError):
        verify(tmp_path / "evaluation", (f"data={other}",))
