"""Robust fine-tuning with Hugging Face's Trainer: pip install 'rampart-rft[transformers]'.

The example uses a small network without pretrained weights, so it needs no download. With
`AutoModelForImageClassification.from_pretrained(...)` nothing else changes.

python examples/loops/in_hugging_face.py
"""

import tempfile

import torch
from torch.utils.data import Dataset
from transformers import ResNetConfig, ResNetForImageClassification, TrainingArguments

from rampart import RobustLoss
from rampart.data.datasets import load_splits
from rampart.integrations.transformers import RobustTrainer


class Items(Dataset):
    """Items as an image processor with do_normalize=False returns them: pixels in [0, 1]."""

    def __init__(self, split):
        self.split = split

    def __len__(self):
        return len(self.split)

    def __getitem__(self, index):
        image, label, index = self.split[index]
        return {"pixel_values": image / 255, "labels": label, "indices": index}


def robust_loss(model, horizon):
    return RobustLoss(model, "4/255", horizon, num_classes=100)


def accuracy(prediction):
    return {"accuracy": (prediction.predictions.argmax(1) == prediction.label_ids).mean()}


splits = load_splits("digit-pairs")
torch.manual_seed(0)
model = ResNetForImageClassification(
    ResNetConfig(
        num_channels=1,
        embedding_size=16,
        hidden_sizes=[16, 32],
        depths=[1, 1],
        layer_type="basic",
        num_labels=100,
    )
)
trainer = RobustTrainer(
    robust_loss=robust_loss,
    mean=[0.5],
    std=[0.5],
    model=model,
    args=TrainingArguments(
        output_dir=tempfile.mkdtemp(),
        num_train_epochs=2,
        per_device_train_batch_size=32,
        learning_rate=3e-3,
        eval_strategy="epoch",
        save_strategy="no",
        remove_unused_columns=False,
        report_to=[],
        disable_tqdm=True,
    ),
    train_dataset=Items(splits.train),
    eval_dataset=Items(splits.validation),
    compute_metrics=accuracy,
)
trainer.train()
strength = trainer.robust.scheduler.eps * 255
print(f"eps {strength:.0f}/255, validation {trainer.evaluate()['eval_accuracy']:.1%}")
