"""How many images a second a GPU attacks, trains on and evaluates, and the memory that it takes.

    python -m benchmarks.gpu -o gpu.json                        # at most 10 minutes, on one card
    python -m benchmarks.gpu -o gpu.json --device cpu --tiny    # shows that it works

Four networks at 224 pixels with random weights, each in fp32, in bf16, and in bf16 with
torch.compile. The file is written anew after every row, so that a run that is stopped has its rows.
Each network is measured in a process of its own: one that runs out of memory stops no other.
"""

import argparse
import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

from rampart import compiling
from rampart.attacks.pgd import Pgd
from rampart.compiling import compile_in_place
from rampart.data.batches import Batch
from rampart.data.transforms import Augment
from rampart.evaluation.accuracy import evaluate_accuracy
from rampart.files import write_atomic
from rampart.models.normalized import NormalizedModel
from rampart.objectives.adversarial import Adversarial
from rampart.recipes.accelerator import make_accelerator
from rampart.recipes.computing import has_bf16
from rampart.recipes.config.loading import load_config
from rampart.runtime import Noise
from rampart.schedules.hinge import Fix
from rampart.schedules.scheduler import EpsilonScheduler
from rampart.training.one_process import OneProcess
from rampart.training.optimizers import adamw, lr_schedule
from rampart.training.state import Plan, Training
from rampart.training.step import train_batch
from rampart.units import Horizon

NETWORKS = ("resnet50", "vit_base_patch16_224", "swin_base_patch4_window7_224", "convnext_base")
TINY = ("test_resnet", "test_vit")
#: Precision, and whether torch compiles the network.
MODES = {"fp32": ("fp32", False), "bf16": ("bf16", False), "bf16 compiled": ("bf16", True)}
EPS, STEPS, CLASSES = 4 / 255, 7, 100
#: Images of a batch that is tried first; half of them if the memory does not suffice, and so on.
BATCH = 128
Row = dict[str, Any]


def measure_network(name: str, device: torch.device, tiny: bool) -> Iterator[Row]:
    """Yield the rows of a network: one for each mode and kind of work."""
    seconds, side = (0.05, 32) if tiny else (3.0, 224)
    for mode, (precision, compiled) in MODES.items():
        if precision == "bf16" and device.type == "cuda" and not has_bf16():
            yield {"network": name, "mode": mode, "skipped": "the card has no bf16"}
            continue
        batch = 4 if tiny else BATCH
        while batch:
            try:
                training = (name, side, batch, device, precision, compiled)
                for row in measure_mode(*training, seconds):
                    yield {"network": name, "mode": mode} | row
                break
            except torch.OutOfMemoryError:
                batch //= 2
            free(device)
        free(device)


def measure_mode(
    name: str,
    side: int,
    batch: int,
    device: torch.device,
    precision: str,
    compiled: bool,
    seconds: float,
) -> Iterator[Row]:
    """Yield a row for each kind of work; what it has allocated is freed at its end."""
    training = make_training(name, side, batch, device, precision, compiled)
    for kind, work in works(training, random_batch(batch, side)).items():
        yield {"work": kind, "batch": batch} | speed(work, batch, device, seconds)


def works(training: Training, batch: Batch) -> dict[str, Callable[[], object]]:
    """Return the kinds of work: an attack alone, a training step with it, and an evaluation."""
    placed = batch.to(training.accelerator.device)
    images, noise = placed.pixels(), Noise.of(0, placed.indices, "attack")

    def attack() -> Tensor:
        with training.accelerator.autocast():
            model = training.model
            return training.attack.on_checked(model, images, placed.labels, EPS, noise)

    return {
        "attack": attack,
        "training": lambda: train_batch(training, batch),
        "evaluation": lambda: evaluate_accuracy(
            training.model, [batch], Pgd(steps=STEPS, start="uniform"), EPS
        ),
    }


def speed(work: Callable[[], object], images: int, device: torch.device, seconds: float) -> Row:
    """Return images a second, the seconds of the first call, and the peak of memory in GiB."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    first = timed(work, device)
    work()
    calls, spent = 0, 0.0
    while spent < seconds and calls < 50:
        spent += timed(work, device)
        calls += 1
    row: Row = {"images_per_second": round(images * calls / spent, 2)}
    row["first_seconds"] = round(first, 4)
    if device.type == "cuda":
        row["peak_gib"] = round(torch.cuda.max_memory_allocated(device) / 2**30, 3)
    return row


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Return the seconds of a call, until the device is idle again."""
    wait(device)
    started = time.perf_counter()
    work()
    wait(device)
    return time.perf_counter() - started


def wait(device: torch.device) -> None:
    """Wait until the device is idle."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def free(device: torch.device) -> None:
    """Give memory back, for the next mode."""
    gc.collect()
    torch._dynamo.reset()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def random_batch(size: int, side: int) -> Batch:
    """Return images and labels without a meaning."""
    numbers = torch.arange(size)
    images = (Noise.of(0, numbers, "images").uniform(3, side, side) * 255).to(torch.uint8)
    return Batch(images, numbers % CLASSES, numbers)


def make_training(
    name: str, side: int, batch: int, device: torch.device, precision: str, compiled: bool
) -> Training:
    """Return adversarial training with PGD, as a run of `rampart train` does it."""
    settings = [f"training.precision={precision}"]
    settings += ["training.device=cpu"] if device.type == "cpu" else []
    accelerator = make_accelerator(load_config(None, ["model=a", "data=b", *settings]))
    backbone = make_network(name, side, CLASSES)
    model = NormalizedModel(backbone, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), side)
    model.to(device).to(memory_format=torch.channels_last)
    if compiled:
        compile_in_place(model)
    optimizer = adamw(
        model.named_parameters(),
        [],
        backbone_lr=1e-5,
        head_lr=1e-5,
        backbone_weight_decay=0.01,
        head_weight_decay=0.01,
        fused=device.type == "cuda",
    )
    one, horizon = OneProcess(accelerator, optimizer), Horizon(1, 10**6)
    return Training(
        plan=Plan(seed=0, horizon=horizon, batch_size=batch),
        accelerator=one,
        model=model,
        objective=Adversarial(),
        attack=Pgd(steps=STEPS),
        schedule=EpsilonScheduler(Fix(), EPS, horizon),
        optimizer=one.optimizer,
        lr_schedule=lr_schedule(one.optimizer, horizon, 0.0),
        augment=Augment(),
        tf32=precision == "bf16",
    )


def make_network(name: str, side: int, classes: int) -> nn.Module:
    """Return a network of timm with random weights, for images of any size."""
    size: dict[str, Any] = {}
    if any(word in name for word in ("vit", "deit", "swin")):
        size = {"img_size": side}
    network: nn.Module = timm.create_model(name, num_classes=classes, **size)
    return network


def machine(device: torch.device) -> Row:
    """Return what the rows depend on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return {"device": name, "torch": torch.__version__, "timm": timm.__version__, "steps": STEPS}


def measure(networks: list[str], minutes: float, arguments: list[str]) -> Iterator[Row]:
    """Yield the rows of all networks, each from its own process, until the time is over."""
    end = time.monotonic() + 60 * minutes
    for name in networks:
        command = [sys.executable, "-m", "benchmarks.gpu", "--only", name, *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            killer = _Killer(child, end)
            for line in child.stdout:
                if line.startswith("{"):
                    yield json.loads(line)
            status = killer.status()
        if status:
            yield {"network": name, "stopped": killer.why(status)}


class _Killer:
    """Ends a process at the end of the time that all of them have."""

    def __init__(self, child: "subprocess.Popen[str]", end: float) -> None:
        from threading import Timer

        self._child, self._late = child, False
        self._timer = Timer(max(0.0, end - time.monotonic()), self._kill)
        self._timer.daemon = True
        self._timer.start()

    def _kill(self) -> None:
        self._late = True
        self._child.kill()

    def status(self) -> int:
        """Wait for the process, and return its status."""
        status = self._child.wait()
        self._timer.cancel()
        return status

    def why(self, status: int) -> str:
        """Return the reason of a status other than 0."""
        return "the time was over" if self._late else f"status {status}"


def main() -> None:
    """Measure, and write the rows as they come."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("gpu.json"))
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small networks and images")
    parser.add_argument("--minutes", type=float, default=10.0, help="of all networks together")
    parser.add_argument("--networks", nargs="+", default=None, help="names of timm")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("no GPU: nothing is measured; --device cpu --tiny shows that the benchmark works")
        return
    device = torch.device(options.device)
    if options.only:
        if options.tiny:
            # Torch's own kernels; nothing is compiled for minutes.
            compiling.BACKEND = "aot_eager"
        for row in measure_network(options.only, device, options.tiny):
            print(json.dumps(row), flush=True)
        return
    networks = options.networks or list(TINY if options.tiny else NETWORKS)
    arguments = ["--device", options.device, *(["--tiny"] if options.tiny else [])]
    rows: list[Row] = []
    for row in measure(networks, options.minutes, arguments):
        rows.append(row)
        print(*(f"{key}={value}" for key, value in row.items()), flush=True)
        text = json.dumps({**machine(device), "rows": rows}, indent=1)
        write_atomic(options.output, text + "\n")


if __name__ == "__main__":
    main()
