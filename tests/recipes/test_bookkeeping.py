"""Every pass of a run is counted, whatever it is for, and validation and monitors keep a budget."""

import pytest
from torch.nn.modules.module import register_module_forward_hook

from rampart.models.normalized import NormalizedModel
from rampart.recipes.config.loading import load_config
from rampart.recipes.train import train_run
from rampart.recipes.validation import attacked_images
from rampart.runs.history import History
from rampart.runs.passes import Passes
from rampart.training.pilot_verdict import Pilot

ADAPTIVE = ["schedule=adaptive", "schedule.min_skill=0", "schedule.pilot=0.4"]


class Meter:
    """Counts the images that pass through networks, forward and backward."""

    def __init__(self):
        self.passes, self._handle = 0, None

    def start(self, run, splits):
        """Begin before the first step."""
        self._handle = self._handle or register_module_forward_hook(self._count)

    def stop(self):
        self._handle.remove()

    def _count(self, module, inputs, output):
        if not isinstance(module, NormalizedModel):
            return
        self.passes += len(inputs[0])
        if output.requires_grad:
            output.register_hook(self._count_backward)

    def _count_backward(self, gradient):
        self.passes += len(gradient)


def rows_of(folder):
    return History(folder.history).rows()


@pytest.mark.parametrize(
    ("more", "passed"),
    [
        (ADAPTIVE, False),
        (ADAPTIVE, True),
        ([*ADAPTIVE, "schedule.pilot_restart=baseline"], False),
        (["schedule=fix", "threat.eps=128/255", "training.checkpoint=best"], None),
        (["schedule=fix", "attack={name: fgsm}", "objective=trades", "callbacks=awp"], None),
        (["schedule=fix", "attack={name: pgd, steps: 2}", "training.validation_limit=4"], None),
    ],
    ids=[
        "failed pilot",
        "passed pilot",
        "shared pilot",
        "baseline of a monitor",
        "single step",
        "budget",
    ],
)
def test_all_passes_of_a_run_are_counted(tiny_settings, tmp_path, monkeypatch, more, passed):
    monkeypatch.setattr(Pilot, "passed", property(lambda _: passed))
    # Batches of one row have no filler, which is not counted.
    monkeypatch.setattr("rampart.evaluation.inference.ROWS", 1)
    meter = Meter()
    config = load_config(None, [*tiny_settings, *more])
    try:
        folder = train_run(config, tmp_path / "run", announce=meter.start)
    finally:
        meter.stop()
    counted = Passes.of(rows_of(folder), folder.facts())
    assert counted.total == meter.passes > 0
    assert min(counted.training, counted.validation) > 0


def test_the_monitor_of_batch_norm_takes_3_percent_of_the_training_at_most(tiny_settings, tmp_path):
    settings = [*tiny_settings, "schedule=fix", "training.epochs=12", "attack.steps=1"]
    settings += ["training.batch_size=2", "attack={name: pgd, steps: 6}"]
    rows = rows_of(train_run(load_config(None, settings), tmp_path / "run"))
    taken = [row.get("monitor_passes", 0) for row in rows]
    trained = [row["forwards"] + row["backwards"] for row in rows]
    assert 0 < sum(count > 0 for count in taken) < len(rows)
    for epoch in range(1, len(rows) + 1):
        assert sum(taken[:epoch]) <= 0.03 * sum(trained[:epoch])


def test_the_monitor_of_an_attack_of_few_steps_takes_its_share_at_most(
    tiny_settings, tmp_path, monkeypatch
):
    # Of so few training images 2 percent would never suffice.
    monkeypatch.setattr("rampart.recipes.monitors.FEW_SHARE", 0.6)
    settings = [*tiny_settings, "schedule=fix", "training.epochs=12", "attack.steps=2"]
    settings += ["model.batch_norm=frozen"]
    rows = rows_of(train_run(load_config(None, settings), tmp_path / "run"))
    taken = [row.get("monitor_passes", 0) for row in rows]
    trained = [row["forwards"] + row["backwards"] for row in rows]
    assert 0 < sum(count > 0 for count in taken) < len(rows)
    for epoch in range(1, len(rows) + 1):
        # A measurement may take twice of what has to be saved for it.
        assert sum(taken[:epoch]) <= 0.6 * sum(trained[:epoch]) + max(taken) / 2


@pytest.mark.parametrize(
    ("limit", "training", "validation", "count"),
    [
        ("auto", 1000, 200, 50),
        ("auto", 8000, 1000, 400),
        ("auto", 8000, 300, 300),
        ("auto", 100, 20, 20),
        ("all", 100, 70, 70),
        (8, 1000, 200, 8),
        (500, 1000, 200, 200),
    ],
)
def test_the_number_of_attacked_images(limit, training, validation, count):
    given = [f"training.validation_limit={limit}"]
    config = load_config(None, ["model=resnet18", "data=photos", *given])
    assert attacked_images(config, training, validation) == count


def test_the_attack_of_the_validation_keeps_its_budget(tiny_settings, tmp_path):
    plain = ["schedule=fix", "attack={name: pgd, steps: 2}", "training.epochs=3"]
    budget = ["limit=4", "steps=1", "every=2"]
    budget = [f"training.validation_{one}" for one in budget]
    settings = [*tiny_settings, *plain]
    full = rows_of(train_run(load_config(None, settings), tmp_path / "full"))
    rows = rows_of(train_run(load_config(None, [*settings, *budget]), tmp_path / "less"))
    # 9 images; the attack and the forward at its end are 2 steps + 1, or 1 step + 1.
    assert [row["validation_passes"] for row in full] == [9 + 9 * 5] * 3
    assert [row["validation_passes"] for row in rows] == [9, 9 + 4 * 3, 9 + 4 * 3]
    assert ["val_robust" in row for row in rows] == [False, True, True]
    for name in ("val_clean", "val_clean_loss", "train_loss"):
        assert [row[name] for row in rows] == [row[name] for row in full]
