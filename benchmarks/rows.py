"""What a row costs in batches of several sizes: `python -m benchmarks.rows`.

It prints milliseconds per row, forward and gradient to the pixels, for ResNet-20 at 32 pixels,
MobileNetV2 at 96 and DeiT-tiny at 224, all with random weights. Rounds of the sizes alternate, and
the median counts, so other work on the machine delays all sizes alike.
"""

import argparse
import statistics
import time

import timm
import torch
from torch import nn

from benchmarks.resnet20 import ResNet20

SIZES = (4, 8, 16, 32, 64, 128)


def networks() -> dict[str, tuple[nn.Module, int]]:
    """Return each network in eval mode with the side of its images."""
    return {
        "ResNet-20": (ResNet20().eval(), 32),
        "MobileNetV2": (timm.create_model("mobilenetv2_100").eval(), 96),
        "DeiT-tiny": (timm.create_model("deit_tiny_patch16_224").eval(), 224),
    }


def measure(model: nn.Module, side: int, rows: int) -> float:
    """Return the milliseconds per row of one forward and one gradient."""
    images = torch.rand(rows, 3, side, side, requires_grad=True)
    start = time.perf_counter()
    torch.autograd.grad(model(images).sum(), images)
    return 1000 * (time.perf_counter() - start) / rows


def main() -> None:
    """Print one line for each network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"milliseconds per row, {options.threads} thread(s), {options.rounds} rounds")
    for name, (model, side) in networks().items():
        model.requires_grad_(False)
        times = {rows: list[float]() for rows in SIZES}
        for round_ in range(options.rounds + 1):
            for rows in SIZES:
                taken = measure(model, side, rows)
                # The first round only warms up.
                if round_:
                    times[rows].append(taken)
        medians = ", ".join(f"{rows} rows: {statistics.median(t):.2f}" for rows, t in times.items())
        print(f"{name} at {side}: {medians}")


if __name__ == "__main__":
    main()
