"""Lightning reaches what a plain loop reaches, with accumulation, half precision and resume."""

import warnings

import pytest
import torch
from torch.utils.data import DataLoader

from rampart.errors import InvalidArgument
from rampart.integrations.robust import RobustLoss
from rampart.models.backbones import build_model
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
    def __init__(self, schedule=None):
        super().__init__()
        self.model, self.seen = fresh(), []
        self.schedule = schedule or TwoHinge.at_fractions(0.25, 0.75)

    def robust_loss(self, horizon):
        self.horizon = horizon
        return RobustLoss(self.model, 8 / 255, horizon, classes=3, schedule=self.schedule)

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        self.seen.append((self.robust.scheduler.eps, float(loss.detach())))
        return loss

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
        classes=3,
        schedule=TwoHinge.at_fractions(0.25, 0.75),
    )
    optimiser, seen = torch.optim.SGD(model.parameters(), lr=0.05), []
    for _ in range(EPOCHS):
        for images, labels, samples in DataLoader(dataset, BATCH):
            optimiser.zero_grad()
            loss = robust(images, labels, samples)
            seen.append((robust.scheduler.eps, float(loss.detach())))
            loss.backward()
            optimiser.step()
            robust.step()
    return seen


def test_the_history_of_a_plain_loop(dataset, tmp_path):
    module = Classifier()
    trainer(tmp_path).fit(module, DataLoader(dataset, BATCH), DataLoader(dataset, 24))
    assert module.horizon == Horizon(EPOCHS, 3)
    expected = plain_loop(dataset)
    assert [eps for eps, _ in module.seen] == [eps for eps, _ in expected]
    assert [loss for _, loss in module.seen] == pytest.approx([loss for _, loss in expected])


def test_pieces_of_a_batch_move_eps_once(dataset, tmp_path):
    module = Classifier()
    trainer(tmp_path, accumulate_grad_batches=3).fit(module, DataLoader(dataset, BATCH))
    assert module.horizon == Horizon(EPOCHS, 1)
    strengths = [eps for eps, _ in module.seen]
    assert strengths == [eps for eps in strengths[::3] for _ in range(3)]
    assert strengths[-1] == pytest.approx(8 / 255)


def test_resume_continues_exactly(dataset, tmp_path):
    whole = Classifier()
    trainer(tmp_path).fit(whole, DataLoader(dataset, BATCH))
    first, second = Classifier(), Classifier()
    place = tmp_path / "stopped.ckpt"
    trainer(tmp_path, callbacks=[StopAfter(2, place)]).fit(first, DataLoader(dataset, BATCH))
    trainer(tmp_path).fit(second, DataLoader(dataset, BATCH), ckpt_path=place, weights_only=False)
    assert first.seen + second.seen == whole.seen


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
    assert all(0 < loss < 10 for _, loss in module.seen)


def test_a_compiled_module_is_not_compiled_at_every_step(dataset, tmp_path):
    graphs, module = [], Classifier()

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    module.model = torch.compile(module.model, backend=backend)
    loader, counts = DataLoader(dataset, BATCH), Counting(graphs)
    trainer(tmp_path, callbacks=[counts]).fit(torch.compile(module, backend=backend), loader)
    # Of the rest of the training step there are small ones.
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


def test_auto_sees_the_validation_accuracy(dataset, tmp_path):
    module = Classifier(Auto(patience=1, tolerance=1.0))
    trainer(tmp_path).fit(module, DataLoader(dataset, BATCH), DataLoader(dataset, 24))
    assert module.seen[-1][0] > 0


def test_auto_without_validation_is_refused(dataset, tmp_path):
    with pytest.raises(InvalidArgument):
        trainer(tmp_path).fit(Classifier(Auto()), DataLoader(dataset, BATCH))


def test_a_run_without_an_end_is_refused(dataset, tmp_path):
    with pytest.raises(InvalidArgument, match="length of the run"):
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
