"""Rows that would only fill a batch: what goes into them, and that it changes no result."""

import numpy as np
import pytest
import torch
from test_critical import proven
from test_engine import net, photos
from test_results import same
from torch import Tensor, nn

from rampart.attacks.catalogue import ATTACKS
from rampart.evaluation.critical import critical_strengths
from rampart.evaluation.default_grid import default_grid
from rampart.evaluation.engine.engine import Engine, Task, collect_results
from rampart.evaluation.engine.passes import step
from rampart.evaluation.inference import QueriedModel
from rampart.evaluation.results import Results

SUITES = {
    "square": ({"queries": 40, "restarts": 3}, 10 / 255),
    "short": ({"steps": 9}, 10 / 255),
    "standard": ({"steps": 9, "queries": 60}, 10 / 255),
    "plus": ({"steps": 5, "queries": 30, "targets": 3}, 14 / 255),
}


class Counted(nn.Module):
    """Counts the rows of its forward and backward passes."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.rows = model, 0

    def forward(self, images: Tensor) -> Tensor:
        self.rows += len(images)
        logits = self.model(images)
        if logits.requires_grad:
            logits.register_hook(self._count)
        return logits

    def _count(self, gradient: Tensor) -> None:
        self.rows += len(gradient)


class Unfilled(Engine):
    """One stage batch at a time, one query per run, in turn."""

    def _next_group(self):
        return super()._next_group()[:1]

    def _step(self, group):
        (one,) = group
        one.admit(self._rows - one.active)
        return step(group, self._model)


def evaluate(kind: type[Engine], name: str, n: int, prune: bool) -> tuple[Results, QueriedModel]:
    options, eps = SUITES[name]
    model = QueriedModel(net(1))
    stages = ATTACKS.build(name, options).stages()
    task = Task(stages, "linf", default_grid(eps, "linf"), 0, prune)
    done = kind(model, task, 128, torch.device("cpu")).run([photos(net(1), n)])
    samples = [sample for some in done for sample in some]
    return collect_results(samples, adversarial_examples=True).sorted(), model


@pytest.mark.parametrize("name", list(SUITES))
@pytest.mark.parametrize("prune", [False, True])
def test_filled_rows_change_no_column_and_cost_fewer_rows(name, prune):
    plain, before = evaluate(Unfilled, name, 14, prune)
    filled, after = evaluate(Engine, name, 14, prune)
    assert same(filled, plain)
    assert after.passes == before.passes == (filled.forwards_total, filled.backwards_total)
    rows = [model.rows_forward + model.rows_backward for model in (after, before)]
    assert rows[0] < 0.9 * rows[1]
    # Square alone has too few queries here to be pruned.
    assert filled.pruned.any() == (prune and name != "square")
    assert len(set(filled.critical)) > 3


@pytest.mark.parametrize(("mode", "idle"), [("exact", 0.05), ("fast", 0.08)])
def test_few_rows_do_no_work_above_64_images(mode, idle):
    """Fast mode leaves more, because its runs are short here."""
    model = Counted(net(1))
    batch, grid = photos(net(1), 72), default_grid(8 / 255, "linf")
    attack = ATTACKS.build("standard", {"steps": 20, "queries": 150})
    found = critical_strengths(
        model, [batch], attack, grid, 0, mode=mode, adversarial_examples=True
    )
    worked = found.forwards_total + found.backwards_total
    assert 0 <= 1 - worked / model.rows < idle
    assert proven(found, net(1), batch.pixels(), grid, "linf")
    assert np.mean(found.critical == len(grid)) > 0.02
