"""How long a pass takes on this machine: a few seconds for each model and size of images."""

import time
from collections.abc import Callable

import torch

from rampart.data.datasets import EMBEDDED, EMBEDDED_SIZE
from rampart.recipes.accelerator import make_accelerator, preserve_accelerate_state
from rampart.recipes.computing import computing
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.initial_model import images_of_model, make_random_model

#: Most seconds for one model, and most images at once.
SECONDS, IMAGES = 3.0, 16


def seconds_per_pass(config: RunConfig, classes: int) -> float:
    """Return the seconds that one image forward, or one backward, takes on average.

    The network has random weights, so nothing is downloaded.
    """
    with preserve_accelerate_state():
        accelerator = make_accelerator(config)
        device = accelerator.device
        channels, size = images_of_model(config)
        own = EMBEDDED_SIZE if config.data.name in EMBEDDED else 224
        side = config.data.image_size or size or own
        shape = (channels, side, side)
        model = make_random_model(config, classes, shape).to(device).train()
        rows = min(IMAGES, config.training.batch_size)
        images = torch.full((rows, *shape), 0.5, device=device, requires_grad=True)
        if computing(config).channels_last:
            model = model.to(memory_format=torch.channels_last)

        def step() -> None:
            with accelerator.autocast():
                logits = model(images)
            logits.float().sum().backward()

        return _seconds(step, device) / (2 * rows)


def _seconds(step: Callable[[], None], device: torch.device) -> float:
    """Seconds of the fastest step; the first one, which prepares kernels, does not count."""
    step()
    end, times = time.perf_counter() + SECONDS, list[float]()
    while not times or (len(times) < 20 and time.perf_counter() < end):
        _wait(device)
        start = time.perf_counter()
        step()
        _wait(device)
        times.append(time.perf_counter() - start)
    return min(times)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
