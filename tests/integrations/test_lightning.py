"""Lightning gets the results of a plain loop, with accumulation, half precision and resume."""

import warnings

import pytest
import torch
from torch.utils.data import DataLoader

from rampart.errors import InvalidArgument, RunError
from rampart.integrations.robust import RobustLoss
from rampart.models.backbones import build_model
from rampart.objectives.fare import Fare
from rampart.schedules.auto import Auto
from rampart.schedules.hinge import TwoHinge
from rampart.units import Horizon

pl = pytest.importorskip("lightning.pytorch")

from rampart.integrations.lightning import RobustModule, RobustTraining  # noqa: E402

EPOCHS, BATCH = 4, 8


@pytest.fixture(autouse=True)
def _quiet():
    """Lightning warns of few workers, no logger and short epochs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def fresh():
    return build_model(
        "rampart_glyphnet", num_classes=3, pretrained=False, in_chans=3, image_size=16
    )


class Classifier(RobustModule):
    def __init__(self, schedule=None, objective=None):
        super().__init__()
        self.model, self.seen, self.objective = fresh(), [], objective
        self.schedule = schedule or TwoHinge.at_fractions(0.25, 0.75)

    def robust_loss(self, horizon):
        self.horizon = horizon
        return RobustLoss(
            self.model,
            8 / 255,
            horizon,
            num_classes=3,
            schedule=self.schedule,
            objective=self.objective,
        )

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        self.record(loss)
        return loss

    # Compiled, it would be compiled anew at every step: its list grows.
    @torch.compiler.disable
    def record(self, loss):
        self.seen.append((self.robust.scheduler.eps, float(loss.detach())))

    def validation_step(self, batch, batch_idx):
        images, labels, _ = batch
        right = (self.model(images).argmax(1) == labels).float().mean()
        self.log("val_clean", right)

    def configure_optimizers(self):
        return torch.optim.SGD(self.model.parameters(), lr=0.05)


def trainer(tmp_path, callbacks=(), **options):
    return pl.Trainer(
        **{"max_epochs": EPOCHS, **options},
        accelerator="cpu",
        default_root_dir=tmp_path,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[RobustTraining(), *callbacks],
    )


def plain_loop(dataset):
    model = fresh().train()
    robust = RobustLoss(
        model,
        8 / 255,
        Horizon(EPOCHS, 3),
        num_classes=3,
        schedule=TwoHinge.at_fractions(0.25, 0.75),
    )
    optimizer, seen = torch.optim.SGD(model.parameters(), lr=0.05), []
    for _ in range(EPOCHS):
        for images, labels, indices in DataLoader(dataset, BATCH):
            optimizer.zero_grad()
            loss = robust(images, labels, indices)
            seen.append((robust.scheduler.eps, float(loss.detach())))
            loss.backward()
            optimizer.step()
            robust.step()
    return seen


def test_the_history_of_a_plain_loop(dataset, tmp_path):
    module = Classifier()
    trainer(tmp_path).fit(module, DataLoader(dataset, BATCH), DataLoader(dataset, 24))
    assert module.horizon == Horizon(EPOCHS, 3)
    expected = plain_loop(dataset)
    assert [eps for eps, _ in module.seen] == [eps for eps, _ in expected]
    assert [loss for _, loss in module.seen] == pytest.approx([loss for _, loss in expected])


def test_micro_batches_of_a_batch_move_eps_once(dataset, tmp_path):
    module = Classifier()
    trainer(tmp_path, accumulate_grad_batches=3).fit(module, DataLoader(dataset, BATCH))
    assert module.horizon == Horizon(EPOCHS, 1)
    strengths = [eps for eps, _ in module.seen]
    assert strengths == [eps for eps in strengths[::3] for _ in range(3)]
    assert strengths[-1] == pytest.approx(8 / 255)


@pytest.mark.parametrize("objective", [None, Fare(base="standard")])
def test_resume_continues_exactly(dataset, tmp_path, objective):
    whole = Classifier(objective=objective)
    trainer(tmp_path).fit(whole, DataLoader(dataset, BATCH))
    first, second = Classifier(objective=objective), Classifier(objective=objective)
    place = tmp_path / "stopped.ckpt"
    trainer(tmp_path, callbacks=[StopAfter(2, place)]).fit(first, DataLoader(dataset, BATCH))
    trainer(tmp_path).fit(second, DataLoader(dataset, BATCH), ckpt_path=place, weights_only=False)
    assert first.seen + second.seen == whole.seen


def test_a_checkpoint_without_the_schedule_is_refused(dataset, tmp_path):
    place = tmp_path / "stopped.ckpt"
    trainer(tmp_path, callbacks=[StopAfter(2, place)]).fit(Classifier(), DataLoader(dataset, BATCH))
    kept = torch.load(place, weights_only=False)
    kept["callbacks"] = {}
    torch.save(kept, place)
    with pytest.raises(RunError, match="RobustTraining"):
        trainer(tmp_path).fit(
            Classifier(), DataLoader(dataset, BATCH), ckpt_path=place, weights_only=False
        )


def test_the_callback_of_a_resumed_run_starts_again_with_another_run(dataset, tmp_path):
    place, callback = tmp_path / "stopped.ckpt", RobustTraining()
    trainer(tmp_path, callbacks=[StopAfter(2, place)]).fit(Classifier(), DataLoader(dataset, BATCH))
    modules = [Classifier(), Classifier()]
    for module, start in zip(
        modules, ({"ckpt_path": place, "weights_only": False}, {}), strict=True
    ):
        options = {"max_epochs": EPOCHS, "accelerator": "cpu", "logger": False}
        pl.Trainer(
            **options,
            default_root_dir=tmp_path,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[callback],
        ).fit(module, DataLoader(dataset, BATCH), **start)
    assert modules[0].seen[0][0] > 0
    assert modules[1].seen[0][0] == 0


@pytest.mark.parametrize(
    ("options", "horizon"),
    [
        ({"max_epochs": 100, "max_steps": 7}, Horizon(3, 3)),
        ({"max_epochs": -1, "max_steps": 7}, Horizon(3, 3)),
        ({"max_epochs": 4, "limit_train_batches": 2}, Horizon(4, 2)),
        ({"max_epochs": 4, "accumulate_grad_batches": 2}, Horizon(4, 2)),
    ],
)
def test_the_length_of_the_run(dataset, tmp_path, options, horizon):
    module = Classifier()
    trainer(tmp_path, **options).fit(module, DataLoader(dataset, BATCH))
    assert module.horizon == horizon
    assert len({eps for eps, _ in module.seen}) > 2


def test_micro_batches_add_up_to_the_batch(dataset, tmp_path):
    whole, micro_batches = Classifier(), Classifier()
    trainer(tmp_path).fit(whole, DataLoader(dataset, BATCH))
    trainer(tmp_path, accumulate_grad_batches=2).fit(micro_batches, DataLoader(dataset, BATCH // 2))
    for ours, theirs in zip(micro_batches.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=0)


def test_the_accuracy_under_attack_in_validation(dataset, tmp_path):
    class Attacked(Classifier):
        def validation_step(self, batch, batch_idx):
            super().validation_step(batch, batch_idx)
            images, labels, indices = batch
            points = self.robust.perturbed(images, labels, indices)
            self.farthest = float((points - images).abs().max())
            self.log("val_robust", (self.model(points).argmax(1) == labels).float().mean())

    whole, module = Classifier(), Attacked()
    trainer(tmp_path).fit(whole, DataLoader(dataset, BATCH))
    run = trainer(tmp_path)
    run.fit(module, DataLoader(dataset, BATCH), DataLoader(dataset, 24))
    assert module.farthest == pytest.approx(8 / 255, abs=1e-6)
    assert run.callback_metrics["val_robust"] <= run.callback_metrics["val_clean"]
    assert module.seen == whole.seen, "validation leaves training alone"


class StopAfter(pl.Callback):
    def __init__(self, epochs, place):
        self.epochs, self.place = epochs, place

    def on_train_epoch_end(self, trainer, module):
        if trainer.current_epoch + 1 == self.epochs:
            trainer.save_checkpoint(self.place)
            trainer.should_stop = True


def test_bf16(dataset, tmp_path):
    module = Classifier()
    trainer(tmp_path, precision="bf16-mixed").fit(module, DataLoader(dataset, BATCH))
    exact = plain_loop(dataset)
    assert module.seen[0][1] == pytest.approx(exact[0][1], rel=0.05)
    assert module.seen[0][1] != pytest.approx(exact[0][1], rel=1e-6), "it was in float32"
    assert [eps for eps, _ in module.seen] == [eps for eps, _ in exact]


def test_a_compiled_module_is_not_compiled_at_every_step(dataset, tmp_path):
    graphs, module = [], Classifier()

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    module.model = torch.compile(module.model, backend=backend)
    loader, counts = DataLoader(dataset, BATCH), Counting(graphs)
    trainer(tmp_path, callbacks=[counts]).fit(torch.compile(module, backend=backend), loader)
    # The rest of the training step has small graphs.
    networks = [graph for graph in graphs if len(graph.graph.nodes) > 20]
    assert 0 < len(networks) <= 4, "clean and attacked, in train and in eval mode"
    assert counts.after[-1] == counts.after[-2], "nothing new once eps has moved"
    assert [loss for _, loss in module.seen] == pytest.approx(
        [loss for _, loss in plain_loop(dataset)]
    )


class Counting(pl.Callback):
    def __init__(self, graphs):
        self.graphs, self.after = graphs, []

    def on_train_epoch_end(self, trainer, module):
        self.after.append(len(self.graphs))


def test_auto_gets_the_validation_accuracy(dataset, tmp_path):
    module = Classifier(Auto(patience=1, tolerance=1.0))
    trainer(tmp_path).fit(module, DataLoader(dataset, BATCH), DataLoader(dataset, 24))
    assert module.seen[-1][0] > 0


def test_auto_without_validation_is_refused(dataset, tmp_path):
    with pytest.raises(InvalidArgument):
        trainer(tmp_path).fit(Classifier(Auto()), DataLoader(dataset, BATCH))


def test_a_run_without_an_end_is_refused(dataset, tmp_path):
    with pytest.raises(InvalidArgument, match="max_epochs="):
        trainer(tmp_path, max_epochs=-1).fit(Classifier(), DataLoader(dataset, BATCH))


def test_another_module_is_refused(dataset, tmp_path):
    class Other(pl.LightningModule):
        configure_optimizers = Classifier.configure_optimizers

        def __init__(self):
            super().__init__()
            self.model = fresh()

        def training_step(self, batch, batch_idx):
            return self.model(batch[0]).sum()

    with pytest.raises(InvalidArgument, match="RobustModule"):
        trainer(tmp_path).fit(Other(), DataLoader(dataset, BATCH))


def test_a_module_without_the_callback_is_refused(dataset, tmp_path):
    alone = pl.Trainer(
        max_epochs=1,
        accelerator="cpu",
        default_root_dir=tmp_path,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    with pytest.raises(RunError, match="RobustTraining"):
        alone.fit(Plain(), DataLoader(dataset, BATCH))
    with pytest.raises(RunError, match="when fit"):
        alone.validate(Attacked(), DataLoader(dataset, BATCH), verbose=False)


def test_a_batch_of_another_form_is_refused(dataset, tmp_path):
    named = [{"images": images, "labels": labels} for images, labels, _ in dataset]
    with pytest.raises(InvalidArgument, match="batch=dict"):
        trainer(tmp_path).fit(Plain(), DataLoader(named, BATCH))


class Plain(Classifier):
    training_step = RobustModule.training_step


class Attacked(Plain):
    def validation_step(self, batch, batch_idx):
        self.robust.perturbed(*batch)
