"""Robust fine-tuning of a Lightning module: pip install 'rampart-rft[lightning]'.

python examples/loops/in_lightning.py
"""

import lightning.pytorch as pl
import torch
from torch.utils.data import DataLoader

from rampart import RobustLoss
from rampart.data.datasets import load_splits
from rampart.integrations.lightning import RobustModule, RobustTraining
from rampart.models.backbones import build_model


class Classifier(RobustModule):
    def __init__(self):
        super().__init__()
        self.model = build_model("rampart_glyphnet", num_classes=100)

    def robust_loss(self, horizon):
        return RobustLoss(self.model, "20/255", horizon, num_classes=100)

    def validation_step(self, batch, batch_idx):
        images, labels, _ = batch
        correct = (self.model(images).argmax(1) == labels).float().mean()
        self.log("val_clean", correct, sync_dist=True)

    def configure_optimizers(self):
        return torch.optim.AdamW(self.model.parameters(), lr=6e-3)


def loader(split, shuffle):
    # Bytes to pixels in [0, 1]; the index of each image keys its noise.
    items = [(image / 255, label, index) for image, label, index in split]
    return DataLoader(items, batch_size=32, shuffle=shuffle, drop_last=shuffle)


class Progress(pl.Callback):
    def on_train_epoch_end(self, trainer, module):
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        strength, clean = 255 * metrics["eps"], metrics["val_clean"]
        print(f"epoch {trainer.current_epoch + 1}: eps {strength:.0f}/255, validation {clean:.1%}")


pl.seed_everything(0)
splits = load_splits("digit-pairs")
trainer = pl.Trainer(
    max_epochs=2,
    callbacks=[RobustTraining(), Progress()],
    accelerator="auto",
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
)
trainer.fit(Classifier(), loader(splits.train, True), loader(splits.validation, False))
