"""All the loops on any number of processes: `torchrun in_processes.py RESULT`.

Each process takes its part of every batch. To RESULT go, for each loop, the strengths and by how
much the weights have moved in all, those of every process in a list.
"""

import os
import sys
import tempfile
import warnings

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset

from rampart.integrations.robust import RobustLoss
from rampart.models.backbones import build_model
from rampart.objectives.adversarial import Trades
from rampart.runtime import Noise, scoped_seed
from rampart.schedules.adaptive import Adaptive
from rampart.schedules.auto import Auto
from rampart.schedules.hinge import TwoHinge
from rampart.units import Horizon

BATCH, EPOCHS, EPS = 8, 5, 8 / 255


def dataset():
    indices = torch.arange(16)
    return TensorDataset(Noise.of(0, indices, "images").uniform(3, 16, 16), indices % 3, indices)


def glyphnet():
    return build_model(
        "rampart_glyphnet", num_classes=3, pretrained=False, in_chans=3, image_size=16
    )


def robust_loss(model, horizon, schedule=None):
    waits = Adaptive(min_skill=0.2, ramp=0.5, start=0.5)
    return RobustLoss(
        model, EPS, horizon, num_classes=3, schedule=schedule or waits, objective=Trades(beta=2.0)
    )


def plain():
    rank, size = distributed.get_rank(), distributed.get_world_size()
    model = glyphnet()
    wrapped = DistributedDataParallel(model.train())
    robust = robust_loss(wrapped, Horizon(EPOCHS, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    mine = slice(rank * BATCH // size, (rank + 1) * BATCH // size)
    strengths = []
    for _ in range(EPOCHS):
        for batch in DataLoader(dataset(), BATCH):
            optimizer.zero_grad()
            robust(*(part[mine] for part in batch)).backward()
            optimizer.step()
            strengths.append(robust.scheduler.eps)
            robust.step()
    return model, strengths


def in_lightning(schedule=None):
    import lightning.pytorch as pl

    from rampart.integrations.lightning import RobustModule, RobustTraining

    class Classifier(RobustModule):
        def __init__(self):
            super().__init__()
            self.model, self.strengths = glyphnet(), []

        def robust_loss(self, horizon):
            return robust_loss(self.model, horizon, schedule)

        def training_step(self, batch, batch_idx):
            self.strengths.append(self.robust.scheduler.eps)
            return super().training_step(batch, batch_idx)

        def validation_step(self, batch, batch_idx):
            # As without sync_dist: every process logs the accuracy on its own images.
            rank, swing = distributed.get_rank(), (-1) ** self.current_epoch
            self.log("val_clean", 0.5 + 0.2 * rank * swing)

        def configure_optimizers(self):
            return torch.optim.SGD(self.model.parameters(), lr=0.1)

    processes = distributed.get_world_size()
    module = Classifier()
    with tempfile.TemporaryDirectory() as folder:
        pl.Trainer(
            max_epochs=EPOCHS,
            accelerator="cpu",
            devices=processes,
            strategy="ddp",
            default_root_dir=folder,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[RobustTraining()],
        ).fit(module, DataLoader(dataset(), BATCH // processes), DataLoader(dataset(), BATCH))
    return module.model, module.strengths


class Items(torch.utils.data.Dataset):
    def __init__(self):
        self.tensors = dataset().tensors

    def __len__(self):
        return len(self.tensors[0])

    def __getitem__(self, index):
        images, labels, indices = self.tensors
        return {"pixel_values": images[index], "labels": labels[index], "indices": indices[index]}


def in_trainer(model, schedule=None):
    from transformers import TrainingArguments

    from rampart.integrations.transformers import RobustTrainer

    strengths = []

    class Watched(RobustTrainer):
        def compute_loss(self, *args, **options):
            strengths.append(self.robust.scheduler.eps)
            return super().compute_loss(*args, **options)

    with tempfile.TemporaryDirectory() as folder:
        Watched(
            robust_loss=lambda classifier, horizon: robust_loss(classifier, horizon, schedule),
            mean=(0.5, 0.4, 0.3),
            std=(0.5, 0.4, 0.3),
            model=model,
            args=TrainingArguments(
                output_dir=folder,
                num_train_epochs=EPOCHS,
                per_device_train_batch_size=BATCH // distributed.get_world_size(),
                learning_rate=0.1,
                lr_scheduler_type="constant",
                train_sampling_strategy="sequential",
                remove_unused_columns=False,
                report_to=[],
                use_cpu=True,
                disable_tqdm=True,
                save_strategy="no",
                optim="sgd",
                max_grad_norm=0.0,
                dataloader_pin_memory=False,
            ),
            train_dataset=Items(),
        ).train()
    return model, strengths


def transformer():
    from transformers import ViTConfig, ViTForImageClassification

    sizes = {"image_size": 16, "patch_size": 4, "hidden_size": 16, "intermediate_size": 32}
    with scoped_seed(0):
        return ViTForImageClassification(
            ViTConfig(**sizes, num_hidden_layers=1, num_attention_heads=2, num_labels=3)
        )


def batch_norm():
    from transformers import ResNetConfig, ResNetForImageClassification

    sizes = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}
    with scoped_seed(0):
        return ResNetForImageClassification(ResNetConfig(**sizes, num_labels=3))


LOOPS = {
    "plain": plain,
    "lightning": in_lightning,
    "lightning-auto": lambda: in_lightning(Auto(patience=1, tolerance=0.3)),
    "trainer": lambda: in_trainer(transformer()),
    "trainer-batch-norm": lambda: in_trainer(batch_norm(), TwoHinge.at_fractions(0.25, 0.75)),
}


BEGINNINGS = {"lightning": glyphnet, "plain": glyphnet, "trainer": transformer}


def begun(name):
    """Return a new copy of the model that every loop starts from."""
    if name.endswith("batch-norm"):
        return batch_norm()
    return BEGINNINGS[name.partition("-")[0]]()


def main(place):
    warnings.simplefilter("ignore")
    distributed.init_process_group("gloo")
    results = {}
    for name, loop in LOOPS.items():
        model, strengths = loop()
        pairs = zip(model.parameters(), begun(name).parameters(), strict=True)
        moved = torch.cat([(after - before).detach().flatten() for after, before in pairs])
        everyone = [None] * distributed.get_world_size()
        distributed.all_gather_object(everyone, {"strengths": strengths, "moved": moved})
        results[name] = everyone
    if distributed.get_rank() == 0:
        torch.save(results, place)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
    # The results are written. Threads of libraries sometimes abort an interpreter that ends.
    os._exit(0)
