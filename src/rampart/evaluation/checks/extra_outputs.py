"""The check of outputs that belong to no class of the data, such as 1000 outputs for 10 classes.

Images in memory often have numbers for labels and no names of classes. Then the largest label gives
the number of classes, and a model with more outputs may be a model of other classes, or the images
show only the first of its classes. Only the user knows, so this check warns and never fails.
"""

from rampart.counting import counted
from rampart.evaluation.checks.class_order import Predicted
from rampart.evaluation.checks.verdict import Verdict, passed, skipped

#: Labels leave out the last outputs by chance with at least this probability, or the check warns.
BY_CHANCE = 1e-3


def check_extra_outputs(predicted: Predicted | None) -> Verdict:
    """Check that every output belongs to a class of the data, up to chance.

    If the labels were drawn evenly from all K outputs, N of them would leave out the last E with
    probability (1 - E / K) ** N.
    """
    if predicted is None:
        return skipped("classes", "the predictions are unknown.")
    n, outputs, extra = len(predicted.labels), len(predicted.class_names), predicted.extra_outputs
    if not extra:
        return passed("classes", 0.0, 0.0, "every output belongs to a class of the data.")
    known = outputs - extra
    value, limit = (known / outputs) ** n, BY_CHANCE
    if value >= limit:
        message = f"the labels of {counted(n, 'image')} end at {known - 1} by chance."
        return passed("classes", value, limit, message)
    taken = int((predicted.outputs >= known).sum())
    return Verdict(
        "classes",
        "warn",
        value,
        limit,
        f"{extra} of the {outputs} outputs of the model belong to no class of the data, whose "
        f"labels end at {known - 1}. {taken} of {counted(n, 'image')} are predicted as one of "
        "these outputs without an attack, and count as misclassified. If labels and outputs "
        f"number different classes, select the {known} outputs of the data in their order, as in "
        "lambda images: model(images)[:, [OUTPUT, ...]].",
    )
