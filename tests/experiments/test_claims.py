"""What the README's picture claims, trained anew: minutes."""

import pytest

from rampart.experiments import quickstart
from rampart.metrics.adaptation import adaptation_delay
from rampart.recipes.config.loading import change_config
from rampart.recipes.evaluation.evaluate_named import evaluate_run
from rampart.recipes.train import train_run
from rampart.records.summary import summary
from rampart.runs.history import History


@pytest.mark.slow
def test_fixed_strength_delays_adaptation_and_two_hinge_does_not(tmp_path):
    figures, delays = {}, {}
    for schedule in ("standard", "fix", "two-hinge"):
        run = train_run(quickstart.quickstart_config(schedule, 0), tmp_path / schedule)
        figures[schedule] = summary(evaluate_run(run.path)[1])
        clean = [row["val_clean"] for row in History(run.history).rows()]
        delays[schedule] = adaptation_delay(clean)
    standard, fix, two_hinge = figures["standard"], figures["fix"], figures["two-hinge"]
    assert delays["fix"] is None or delays["fix"] > delays["standard"] + 2
    assert delays["two-hinge"] == delays["standard"]
    assert fix["clean"] < standard["clean"] - 0.30
    assert abs(two_hinge["clean"] - standard["clean"]) < 0.05
    assert two_hinge["expected"] > fix["expected"] + 0.25


@pytest.mark.slow
def test_catastrophic_overfitting_occurs_and_raises_an_alert(tmp_path):
    tree = quickstart.quickstart_config("linear-warmup", 0)
    one_step = ["attack=fgsm", "attack.start=none", "attack.step_size=1", "training.epochs=30"]
    far = ["threat.eps=60/255", "schedule.end=0.3", "optimizer.backbone_weight_decay=0"]
    far += ["training.on_overfitting=warn"]
    run = train_run(change_config(tree, [*one_step, *far]), tmp_path / "run")
    rows = History(run.history).rows()
    codes = {alert["code"] for row in rows for alert in row.get("alerts", ())}
    assert "catastrophic-overfitting" in codes
    assert rows[-1]["monitor_gap"] > 0.2
    assert rows[-1]["monitor_pgd10"] < 0.1
