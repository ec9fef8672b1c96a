"""A loop of one's own on any number of processes: `torchrun in_processes.py RESULT`.

Each takes its part of every batch; the weights and strengths at the end go to RESULT.
"""

import sys

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from rampart.integrations.robust import RobustLoss
from rampart.models.backbones import build_model
from rampart.objectives.adversarial import Trades
from rampart.runtime import Noise
from rampart.schedules.adaptive import Adaptive
from rampart.units import Horizon


def main(place):
    distributed.init_process_group("gloo")
    rank, size = distributed.get_rank(), distributed.get_world_size()
    model = build_model(
        "rampart_glyphnet", num_classes=3, pretrained=False, in_chans=3, image_size=16
    )
    wrapped = DistributedDataParallel(model.train())
    robust = RobustLoss(
        wrapped,
        8 / 255,
        Horizon(5, 2),
        classes=3,
        schedule=Adaptive(keep=0.2, ramp=0.5, start=0.5),
        objective=Trades(beta=2.0),
    )
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    strengths = []
    for step in range(10):
        samples = (torch.arange(8) + 8 * step) % 24
        images, labels = Noise.of(0, samples, "images").uniform(3, 16, 16), samples % 3
        mine = slice(rank * 8 // size, (rank + 1) * 8 // size)
        optimiser.zero_grad()
        robust(images[mine], labels[mine], samples[mine]).backward()
        optimiser.step()
        robust.step()
        strengths.append(robust.scheduler.eps)
    if rank == 0:
        torch.save({"strengths": strengths, "weights": model.state_dict()}, place)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
