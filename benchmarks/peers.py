"""PGD, APGD and a training step beside other libraries and beside loops written by hand.

    python -m benchmarks.peers -o peers.json         # three networks at 224 pixels
    python -m benchmarks.peers --tiny                # a small network: shows that it works
    python -m benchmarks.peers --libraries FOLDER    # packages that lie in a folder

All get the same network, images, strength and steps. The unit is the floor: K bare passes forward
and backward to the pixels. Times are those of the process with one thread, each the median of
rounds in which every attack runs once. The strength is the one at which PGD misleads half of the
images, so that a weaker attack would show; no attack may mislead fewer than the loop by hand, up to
the images that chance decides. A library that is not installed is left out, with one line.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.gpu import make_network, make_training, random_batch
from rampart.attacks.apgd import Apgd
from rampart.attacks.pgd import Pgd
from rampart.data.transforms import Augment
from rampart.files import write_atomic
from rampart.runtime import Noise, scoped_seed
from rampart.training.step import train_batch

NETWORKS = ("resnet18", "deit_tiny_patch16_224", "mobilenetv3_small_100")
CLASSES, RELATIVE_STEP = 10, 0.25
#: Images that chance may decide, as a fraction of all.
CHANCE = 0.25
#: (model, images, labels, eps, steps) to points.
Attack = Callable[[nn.Module, Tensor, Tensor, float, int], Tensor]


def floor(model: nn.Module, images: Tensor, labels: Tensor, eps: float, steps: int) -> Tensor:
    """Take K bare passes, and move nothing."""
    for _ in range(steps):
        points = images.clone().requires_grad_()
        torch.autograd.grad(cross_entropy(model(points), labels, reduction="sum"), points)
    return images


def by_hand(model: nn.Module, images: Tensor, labels: Tensor, eps: float, steps: int) -> Tensor:
    """PGD as an expert writes it in a few lines."""
    low, high = (images - eps).clamp_(min=0), (images + eps).clamp_(max=1)
    points = images.clone()
    for _ in range(steps):
        points.requires_grad_()
        loss = cross_entropy(model(points), labels, reduction="sum")
        (slope,) = torch.autograd.grad(loss, points)
        points = (points.detach() + RELATIVE_STEP * eps * slope.sign()).clamp_(low, high)
    return points


def rampart_pgd(model: nn.Module, images: Tensor, labels: Tensor, eps: float, steps: int) -> Tensor:
    """PGD of Rampart, from the image."""
    attack = Pgd(steps=steps, start="none", step_size=RELATIVE_STEP)
    return attack(model, images, labels, torch.tensor(eps))


def rampart_apgd(
    model: nn.Module, images: Tensor, labels: Tensor, eps: float, steps: int
) -> Tensor:
    """APGD of Rampart."""
    return Apgd(steps=steps)(model, images, labels, torch.tensor(eps))


def torchattacks_pgd(library: Any) -> Attack:
    """PGD of torchattacks."""
    return lambda model, images, labels, eps, steps: library.PGD(
        model, eps=eps, alpha=RELATIVE_STEP * eps, steps=steps, random_start=False
    )(images, labels)


def torchattacks_apgd(library: Any) -> Attack:
    """APGD of torchattacks."""
    return lambda model, images, labels, eps, steps: library.APGD(
        model, eps=eps, steps=steps, n_restarts=1
    )(images, labels)


def foolbox_pgd(library: Any) -> Attack:
    """PGD of foolbox."""

    def attack(model: nn.Module, images: Tensor, labels: Tensor, eps: float, steps: int) -> Tensor:
        own = library.LinfPGD(rel_stepsize=RELATIVE_STEP, steps=steps, random_start=False)
        wrapped = import_module("foolbox").PyTorchModel(model, bounds=(0, 1))
        points: Tensor = own.run(wrapped, images, labels, epsilon=eps)
        return points

    return attack


def _art(model: nn.Module, images: Tensor) -> Any:
    found = import_module("art.estimators.classification")
    shape = tuple(images.shape[1:])
    return found.PyTorchClassifier(
        model, nn.CrossEntropyLoss(), shape, CLASSES, clip_values=(0.0, 1.0), device_type="cpu"
    )


def art_pgd(library: Any) -> Attack:
    """PGD of the Adversarial Robustness Toolbox."""

    def attack(model: nn.Module, images: Tensor, labels: Tensor, eps: float, steps: int) -> Tensor:
        own = library.ProjectedGradientDescentPyTorch(
            _art(model, images),
            eps=eps,
            eps_step=RELATIVE_STEP * eps,
            max_iter=steps,
            num_random_init=0,
            batch_size=len(images),
            verbose=False,
        )
        return torch.from_numpy(own.generate(images.numpy(), labels.numpy()))

    return attack


def art_apgd(library: Any) -> Attack:
    """APGD of the Adversarial Robustness Toolbox."""

    def attack(model: nn.Module, images: Tensor, labels: Tensor, eps: float, steps: int) -> Tensor:
        own = library.AutoProjectedGradientDescent(
            _art(model, images),
            eps=eps,
            eps_step=2 * eps,
            max_iter=steps,
            nb_random_init=1,
            batch_size=len(images),
            loss_type="cross_entropy",
            verbose=False,
        )
        return torch.from_numpy(own.generate(images.numpy(), labels.numpy()))

    return attack


def adv_lib_pgd(library: Any) -> Attack:
    """PGD of adv-lib, which returns the last misclassified iterate."""
    return lambda model, images, labels, eps, steps: library.pgd_linf(
        model, images, labels, eps, steps=steps, random_init=False, relative_step_size=RELATIVE_STEP
    )


def adv_lib_apgd(library: Any) -> Attack:
    """APGD of adv-lib."""
    return lambda model, images, labels, eps, steps: library.apgd(
        model, images, labels, eps, norm=float("inf"), n_iter=steps, loss_function="ce"
    )


#: Name, module and what makes the attack of it, for PGD and for APGD.
PEERS = {
    "pgd": [
        ("torchattacks", "torchattacks", torchattacks_pgd),
        ("foolbox", "foolbox.attacks", foolbox_pgd),
        (
            "adversarial-robustness-toolbox",
            "art.attacks.evasion.projected_gradient_descent.projected_gradient_descent_pytorch",
            art_pgd,
        ),
        ("adv-lib", "adv_lib.attacks", adv_lib_pgd),
    ],
    "apgd": [
        ("torchattacks", "torchattacks", torchattacks_apgd),
        ("adversarial-robustness-toolbox", "art.attacks.evasion", art_apgd),
        ("adv-lib", "adv_lib.attacks.auto_pgd", adv_lib_apgd),
    ],
}


def attacks(kind: str, say: Callable[[str], None] = print) -> dict[str, Attack]:
    """Return the attacks of one kind by name, our own first; say which libraries are left out."""
    found: dict[str, Attack] = {"rampart": rampart_apgd}
    if kind == "pgd":
        found = {"by hand": by_hand, "rampart": rampart_pgd}
    # adv-lib imports it for its plots alone.
    sys.modules.setdefault("visdom", _nothing("visdom", "Visdom"))
    for name, module, make in PEERS[kind]:
        try:
            found[name] = make(import_module(module))
        except ImportError as error:
            say(f"{kind} of {name} is left out: {error}")
    return found


def _nothing(name: str, attribute: str) -> ModuleType:
    module = ModuleType(name)
    setattr(module, attribute, object)
    return module


def measure(
    model: nn.Module, images: Tensor, steps: int, rounds: int, say: Callable[[str], None] = print
) -> Iterator[dict[str, Any]]:
    """Yield the row of each attack: its time over the floor, and the images that it misleads."""
    labels = model(images).argmax(1)
    eps = half_strength(model, images, labels, steps)
    for kind in PEERS:
        chosen = attacks(kind, say)
        times: dict[str, list[float]] = {name: [] for name in ("floor", *chosen)}
        points = dict[str, Tensor]()
        for _ in range(rounds):
            for name, attack in {"floor": floor, **chosen}.items():
                with scoped_seed(0):
                    started = time.process_time()
                    points[name] = attack(model, images, labels, eps, steps)
                    times[name].append(time.process_time() - started)
        unit = median(times["floor"])
        for name in chosen:
            over = median(
                time / base for time, base in zip(times[name], times["floor"], strict=True)
            )
            found = strength(model, images, labels, points[name], eps)
            row = {"attack": kind, "library": name, "of_floor": round(over, 3)}
            yield row | found | {"floor_seconds": round(unit, 3)}


def strength(
    model: nn.Module, images: Tensor, labels: Tensor, points: Tensor, eps: float
) -> dict[str, Any]:
    """Return the fraction of misled images and the mean loss; refuse points outside the ball."""
    with torch.no_grad():
        logits = model(points)
    assert (points - images).abs().max() <= eps + 1e-5
    misled = float((logits.argmax(1) != labels).double().mean())
    return {"misled": misled, "loss": round(float(cross_entropy(logits, labels)), 4)}


def weaker(rows: list[dict[str, Any]]) -> list[str]:
    """Return the attacks that mislead clearly fewer images than the loop by hand."""
    (least,) = (row["misled"] - CHANCE for row in rows if row["library"] == "by hand")
    return [f"{row['attack']} of {row['library']}" for row in rows if row["misled"] < least]


def half_strength(model: nn.Module, images: Tensor, labels: Tensor, steps: int) -> float:
    """Return the strength at which PGD misleads half of the images, by bisection."""
    low, high = 0.0, 16 / 255
    for _ in range(8):
        eps = (low + high) / 2
        points = rampart_pgd(model, images, labels, eps, steps)
        misled = float((model(points).argmax(1) != labels).double().mean())
        low, high = (low, eps) if misled >= 0.5 else (eps, high)
    return high


def plain_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor, eps: float
) -> float:
    """Take a step of adversarial training as an expert writes it."""
    model.eval()
    points = by_hand(model, images, labels, eps, 7)
    model.train()
    loss = cross_entropy(model(points), labels)
    loss.backward()  # type: ignore[no-untyped-call]  # torch's
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return float(loss.detach())


def measure_training(name: str, side: int, batch: int, rounds: int) -> dict[str, Any]:
    """Return the time of a training step over that of the plain loop, and both losses."""
    times: dict[str, list[float]] = {"plain": [], "rampart": []}
    losses = {}
    with scoped_seed(0):
        ours = _training(name, side, batch)
    with scoped_seed(0):
        theirs = _training(name, side, batch)
    images = random_batch(batch, side)
    pixels = images.pixels()
    for _ in range(rounds):
        for kind in times:
            started = time.process_time()
            if kind == "plain":
                model, eps = theirs.model, theirs.schedule.eps
                losses[kind] = plain_step(model, theirs.optimizer, pixels, images.labels, eps)
            else:
                before = ours.progress.totals.loss
                train_batch(ours, images)
                losses[kind] = (ours.progress.totals.loss - before) / batch
            times[kind].append(time.process_time() - started)
    ratios = (ours / plain for ours, plain in zip(times["rampart"], times["plain"], strict=True))
    loss = {f"loss_{kind.replace(' ', '_')}": round(one, 4) for kind, one in losses.items()}
    return {"attack": "training step", "of_plain": round(median(ratios), 3), **loss}


def _training(name: str, side: int, batch: int) -> Any:
    training = make_training(name, side, batch, torch.device("cpu"), "fp32", False)
    training.augment = Augment.none()
    training.attack = Pgd(steps=7, start="none", step_size=RELATIVE_STEP)
    return training


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def network(name: str, side: int) -> nn.Module:
    """Return a network with random weights in eval mode."""
    with scoped_seed(0):
        return make_network(name, side, CLASSES).eval()


def main() -> None:
    """Measure all networks, print rows and write them as they come."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("peers.json"))
    parser.add_argument("--networks", nargs="+", help="names of timm")
    parser.add_argument("--libraries", type=Path, help="folder of further packages")
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tiny", action="store_true", help="a small network and small images")
    options = parser.parse_args()
    if options.libraries:
        # At the end, so that nothing that is installed is replaced.
        sys.path.append(str(options.libraries))
    names, side = options.networks or (["test_vit"] if options.tiny else NETWORKS), 224
    if options.tiny:
        side = 32
    rows: list[dict[str, Any]] = []

    def add(row: dict[str, Any]) -> None:
        rows.append(row)
        print(*(f"{key}={value}" for key, value in row.items()), flush=True)
        write_atomic(options.output, json.dumps(rows, indent=1) + "\n")

    with one_thread():
        for name in names:
            images = Noise.of(0, torch.arange(options.images), "peers").uniform(3, side, side)
            own = list[dict[str, Any]]()
            for row in measure(network(name, side), images, options.steps, options.rounds):
                own.append(row)
                add({"network": name, **row})
            for weak in weaker(own):
                print(f"NOT EQUAL: {weak} misleads fewer images than the loop by hand")
            add({"network": name, **measure_training(name, side, options.images, options.rounds)})


if __name__ == "__main__":
    main()
