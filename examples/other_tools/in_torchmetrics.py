"""Expected robustness beside other metrics of torchmetrics.

pip install 'rampart-rft[torchmetrics]'
python examples/other_tools/in_torchmetrics.py
"""

import torch
from nearest_mean import model, test
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from rampart import Pgd
from rampart.data.batches import ordered_batches
from rampart.integrations.torchmetrics import ExpectedRobustness
from rampart.runtime import Noise

grid = [level / 255 for level in (0, 2, 4, 6, 8, 10)]
robustness = ExpectedRobustness(grid)
clean = MetricCollection([MulticlassAccuracy(num_classes=100, average="micro")])
attack = Pgd(steps=10, iterate="adversarial")

for batch in ordered_batches(test, 20):
    images, labels = batch.pixels(), batch.labels
    noise = Noise.of(0, batch.indices, "attack")
    points = [attack(model, images, labels, eps, noise.child(k)) for k, eps in enumerate(grid)]
    with torch.no_grad():
        predictions = torch.stack([model(one).argmax(1) for one in points], 1)
    clean.update(predictions[:, 0], labels)
    robustness.update(predictions, labels)

interval = robustness.interval()
print(f"clean {clean.compute()['MulticlassAccuracy']:.1%}")
print(f"expected {robustness.compute():.1%} [{interval.low:.1%}, {interval.high:.1%}]")
