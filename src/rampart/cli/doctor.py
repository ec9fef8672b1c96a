"""`rampart doctor`."""

import typer

_PACKAGES = {
    "torch": "",
    "timm": "",
    "accelerate": "",
    "numpy": "",
    "scipy": "",
    "datasets": "Hugging Face datasets by name",
    "tensorboard": "training.trackers=[tensorboard]",
    "torchvision": "torchvision datasets by name",
}


def doctor() -> None:
    """Show versions and devices, and test an attack.

    The attacked model has a known result.
    """
    import platform

    from rampart.cli.console import console
    from rampart.version import __version__

    console.say(f"rampart {__version__}, Python {platform.python_version()}")
    for package, purpose in _PACKAGES.items():
        console.say(f"{package:<13}{_find_version(package, purpose)}")
    for device in _devices():
        console.say(f"{'device':<13}{device}")
    console.say(f"{'rounding':<13}{_rounding()}")
    ok, report = _self_test()
    console.say(f"{'self-test':<13}{report}")
    if not ok:
        raise typer.Exit(1)


def _find_version(package: str, purpose: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return f"not installed (needed for: {purpose or 'everything'})"


def _devices() -> list[str]:
    import os

    import torch

    names = [f"cpu, {os.cpu_count()} cores, {torch.get_num_threads()} threads"]
    for index in range(torch.cuda.device_count()):
        memory = torch.cuda.get_device_properties(index).total_memory / 2**30
        names.append(f"cuda:{index}, {torch.cuda.get_device_name(index)}, {memory:.0f} GiB")
    if torch.backends.mps.is_available():
        names.append("mps")
    return names


def _rounding() -> str:
    """Report whether the logits of an image depend on the rest of its batch."""
    from accelerate import Accelerator

    from rampart.evaluation.inference import rounding_of_batches

    device = Accelerator().device
    change = rounding_of_batches(device)
    if not change:
        return f"logits are the same in every batch, to the last bit ({device})"
    return (
        f"logits are not the same in every batch: they differ by up to {change:.1e} of the largest "
        f"logit ({device}), so evaluations with other batch sizes may differ in a few samples"
    )


def _self_test() -> tuple[bool, str]:
    """Attack a linear model whose critical strength has a closed form, on the best device.

    For logits W x, a sample x and classes 0 and 1, the critical Linf strength is the logit gap
    divided by the L1 norm of the difference of the rows of W. The attack must fail just below it
    and succeed just above it.
    """
    import time

    import torch
    from accelerate import Accelerator

    from rampart.attacks.apgd import Apgd
    from rampart.runtime import Noise

    started, device = time.perf_counter(), Accelerator().device
    noise = Noise.of(0, torch.arange(2, device=device), "doctor")
    weight = noise.normal(192)
    images = 0.5 + 0.1 * (noise.child("images").uniform(3, 8, 8) - 0.5)

    def model(pixels: torch.Tensor) -> torch.Tensor:
        return pixels.flatten(1) @ weight.T

    logits = model(images)
    labels = logits.argmax(1)
    critical = (logits[:, 0] - logits[:, 1]).abs() / (weight[0] - weight[1]).abs().sum()
    attack = Apgd(steps=10, iterate="adversarial")
    below, above = (
        model(attack(model, images, labels, factor * critical, noise)).argmax(1) == labels
        for factor in (0.98, 1.02)
    )
    ok = bool(below.all()) and not bool(above.any())
    verdict = "passed" if ok else "FAILED: the attack misses the exact result of a linear model"
    return ok, f"{verdict} on {device} in {time.perf_counter() - started:.1f} s"
