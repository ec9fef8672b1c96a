"""`rampart.refine` on a module and on tensors of the user."""

import torch
from torch import nn

import rampart
from rampart.recipes.refining import refine as module
from rampart.runtime import scoped_seed


def test_a_module_on_tensors_is_refined(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FRACTIONS", (0.0, 1.0))
    with scoped_seed(0):
        network = nn.Sequential(nn.Flatten(), nn.Linear(27, 4), nn.ReLU(), nn.Linear(4, 2))
        images = torch.rand(24, 3, 3, 3)
    data = (images, torch.arange(24) % 2)
    run = rampart.finetune(
        network,
        data,
        "8/255",
        schedule="fix",
        epochs=1,
        batch_size=8,
        monitors=False,
        output=tmp_path / "run",
        evaluate=False,
        progress=False,
    )
    settings = rampart.Refinement(images=2, steps=1, epochs=1, lr=0.1)
    refined = rampart.refine(run, settings=settings, data=data, evaluate=False, progress=False)
    assert refined.path == tmp_path / "run-refined"
    pairs = zip(run.model.state_dict().items(), refined.model.state_dict().values(), strict=True)
    changed = [name for (name, before), after in pairs if not before.equal(after)]
    assert {name.rpartition(".")[0] for name in changed} <= {"backbone.module.1"} or {
        name.rpartition(".")[0] for name in changed
    } <= {"backbone.module.3"}
    again = rampart.refine(run, data=data, evaluate=False, progress=False, resume=True)
    assert again.path == refined.path
