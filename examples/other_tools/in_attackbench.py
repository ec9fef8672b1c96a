"""Rampart's attacks with the call that AttackBench expects.

AttackBench is not on the package index, so `run_attack` below stands in for its harness: it calls
the attack in the same way, and checks and counts what the harness does. In AttackBench itself, pass
the attack where its configurations return a callable.

python examples/other_tools/in_attackbench.py
"""

import torch
from nearest_mean import model, test

from rampart import Apgd, Fab
from rampart.integrations.attackbench import AttackBenchAttack


class Counting(torch.nn.Module):
    """Counts passes, as AttackBench's wrapper of a model does."""

    def __init__(self, module):
        super().__init__()
        self.module, self.forwards, self.backwards = module, 0, 0

    def forward(self, images):
        self.forwards += len(images)
        logits = self.module(images)
        if logits.requires_grad:
            logits.register_hook(self.count)
        return logits

    def count(self, gradient):
        self.backwards += len(gradient)


def run_attack(attack, inputs, labels):
    """Stand in for the harness: attack once; return success, distances and passes."""
    counting = Counting(model)
    points = attack(model=counting, inputs=inputs, labels=labels, targets=None, targeted=False)
    assert 0 <= points.min() <= points.max() <= 1, "outside the box"
    right = model(inputs).argmax(1) == labels
    success = right & (model(points).argmax(1) != labels)
    distances = (points - inputs).flatten(1).abs().amax(1)
    return success, distances, counting


images, labels, _ = zip(*(test[index] for index in range(len(test))), strict=True)
images, labels = torch.stack(images) / 255, torch.tensor(labels)
strengths = [f"{level}/255" for level in (2, 4, 6, 8, 10, 12)]
attacks = {
    "APGD at 8/255": AttackBenchAttack(Apgd(steps=20, iterate="adversarial"), "8/255"),
    "APGD, smallest of 6 strengths": AttackBenchAttack(
        Apgd(steps=20, iterate="adversarial"), strengths
    ),
    "FAB at 12/255": AttackBenchAttack(Fab(steps=20), "12/255"),
}
for name, attack in attacks.items():
    success, distances, counting = run_attack(attack, images, labels)
    median = 255 * distances[success].median()
    passes = f"{counting.forwards:,} forwards, {counting.backwards:,} backwards"
    print(f"{name}: {success.float().mean():.1%} fall, median {median:.1f}/255, {passes}")
