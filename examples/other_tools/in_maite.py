"""Rampart's model, data and attack in MAITE, and MAITE's in Rampart.

pip install 'rampart-rft[maite]'
python examples/other_tools/in_maite.py
"""

from maite.tasks import evaluate
from nearest_mean import model, splits, test

import rampart
from rampart.integrations.maite import (
    Accuracy,
    AttackedBatches,
    as_dataset,
    as_model,
    from_dataset,
    from_model,
)

own_model = as_model(model, splits.class_names, "nearest-mean")
own_data = as_dataset(test, "digit-pairs")

for eps in ("0/255", "5/255", "10/255"):
    attack = AttackedBatches(rampart.Pgd(steps=10, iterate="adversarial"), model, eps)
    found, _, _ = evaluate(
        model=own_model, dataset=own_data, metric=Accuracy(), augmentation=attack, batch_size=30
    )
    print(f"MAITE at {eps}: {found['accuracy']:.1%} [{found['low']:.1%}, {found['high']:.1%}]")

# The other way: any model and dataset with MAITE's methods. This model works on tensors, so its
# gradients reach the pixels; it returns logits.
theirs = from_model(lambda images: [model(image[None])[0] for image in images], outputs="logits")
result = rampart.evaluate(
    theirs, from_dataset(own_data), "10/255", attack="apgd", strengths=["5/255", "10/255"]
)
print(f"Rampart up to 10/255: expected {result.expected().value:.1%}")
