"""Robust fine-tuning in your own training loop: numbers mark the five added lines.

python examples/by_feature/own_loop.py
"""

import torch

from rampart import Horizon, RobustLoss  # 1
from rampart.data.batches import epoch_batches, steps_per_epoch
from rampart.data.datasets import load_splits
from rampart.models.backbones import build_model

EPOCHS, BATCH = 2, 32

splits = load_splits("digit-pairs")
model = build_model("rampart_glyphnet", num_classes=100).train()
optimizer = torch.optim.AdamW(model.parameters(), lr=6e-3)

horizon = Horizon(EPOCHS, steps_per_epoch(len(splits.train), BATCH))  # 2
robust = RobustLoss(model, "20/255", horizon, num_classes=100)  # 3

for epoch in range(EPOCHS):
    for batch in epoch_batches(splits.train, BATCH, seed=0, epoch=epoch):
        loss = robust(batch.pixels(), batch.labels)  # 4, in place of cross_entropy(model(...), ...)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        robust.step()  # 5
    strength = robust.scheduler.eps * 255
    print(f"epoch {epoch + 1}: eps {strength:.0f}/255, loss {loss.item():.2f}")
