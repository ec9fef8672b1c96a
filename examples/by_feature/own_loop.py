"""The schedule and the attack inside a training loop of your own: what is added are four lines.

python examples/by_feature/own_loop.py
"""

import torch
from torch.nn.functional import cross_entropy

from rampart.attacks.apgd import Apgd
from rampart.data.batches import epoch_batches, steps_per_epoch
from rampart.data.datasets import load_splits
from rampart.models.backbones import build_model
from rampart.runtime import Noise
from rampart.schedules.base import EpsilonScheduler
from rampart.schedules.hinge import TwoHinge
from rampart.units import Horizon

EPOCHS, BATCH = 2, 32

splits = load_splits("digit-pairs")
model = build_model("rampart_glyphnet", num_classes=100).train()
optimiser = torch.optim.AdamW(model.parameters(), lr=6e-3)

horizon = Horizon(EPOCHS, steps_per_epoch(len(splits.train), BATCH))
schedule = EpsilonScheduler(TwoHinge.at_fractions(0.25, 0.75), "20/255", horizon)  # 1
attack = Apgd(steps=3)  # 2

for epoch in range(EPOCHS):
    for batch in epoch_batches(splits.train, BATCH, seed=0, epoch=epoch):
        noise = Noise.of(0, batch.samples, "attack", epoch)
        images = attack(model, batch.pixels(), batch.labels, schedule.eps, noise)  # 3
        loss = cross_entropy(model(images), batch.labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()  # 4
    print(f"epoch {epoch + 1}: eps {schedule.eps * 255:.0f}/255, loss {loss.item():.2f}")
