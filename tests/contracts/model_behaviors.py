"""What a model may do; as a command, this file rewrites the table in the guide to evaluation."""

from dataclasses import dataclass
from pathlib import Path

from tests.contracts import unusual_models as models
from tests.contracts.tables import rewrite

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "evaluation" / "checks.md"
START, END = "<!-- what a model may do -->\n", "<!-- end of what a model may do -->"


@dataclass(frozen=True)
class Outcome:
    """What happens when a model is given to an entry.

    Attributes:
        error: name of the error that refuses it; None if it is accepted.
        says: part of the message, as a regular expression.
        twin: whether every number is that of the clean twin.
        rounded: whether it is so up to rounding.
        checks: names and status of the checks that report it, such as "logits fail".
        nan: whether the loss is NaN, as in any other training loop.
        wrong: whether the twin misclassifies the images for which the model fails.
        warns: whether a `RampartWarning` names the model; its text is in `says`.
        square: whether an attack without gradients gives the numbers of the twin.
    """

    error: str | None = None
    says: str = ""
    twin: bool = False
    rounded: bool = False
    checks: tuple[str, ...] = ()
    nan: bool = False
    wrong: bool = False
    warns: bool = False
    square: bool = False

    @property
    def reported(self) -> dict[str, str]:
        return dict(check.split() for check in self.checks)

    def __str__(self) -> str:
        if self.error:
            return f"`{self.error}`" + ("; same with `square`" if self.square else "")
        text = "same" if self.twin else "NaN" if self.nan else "works"
        text = "misclassified" if self.wrong else text
        text += " up to rounding" if self.rounded else ""
        for name, status in self.reported.items():
            text += f"; `{name}` {status}s"
        return text + ("; warns" if self.warns else "")


def refused(error: str, says: str, square: bool = False) -> Outcome:
    return Outcome(error, says, square=square)


SAME, WORKS = Outcome(twin=True), Outcome()
ROUNDED = Outcome(twin=True, rounded=True)


@dataclass(frozen=True)
class Row:
    """A kind of model, and what each entry does with it.

    Attributes:
        text: what the model does, for the table.
        model: a class of `unusual_models`.
        attack: outcome of a call such as `Pgd()(model, images, labels, eps)`.
        loss: of `RobustLoss`.
        training: of `rampart.finetune`.
        evaluation: of `rampart.evaluate` and of the command.
        twin: a class without the fault.
        named: of the command, whose data name their classes, if it differs from `evaluation`.
    """

    text: str
    model: type
    attack: Outcome
    loss: Outcome
    training: Outcome
    evaluation: Outcome
    twin: type = models.Net
    named: Outcome | None = None


def all_same(text: str, model: type, twin: type = models.Net) -> Row:
    return Row(text, model, SAME, SAME, SAME, SAME, twin)


def all_refused(text: str, model: type, says: str) -> Row:
    outcome = refused("ModelError", says)
    return Row(text, model, outcome, outcome, outcome, outcome)


def writing(text: str, model: type) -> Row:
    warns = Outcome(twin=True, warns=True, says="writes into its input")
    return Row(text, model, warns, warns, SAME, Outcome(twin=True, checks=("input warn",)))


def one_type(text: str, model: type, name: str, evaluation: Outcome) -> Row:
    other = refused("ModelError", f"its weights are {name}: call .float()")
    return Row(text, model, other, other, other, evaluation)


def without_gradient(text: str, model: type) -> Row:
    says = "not differentiable|does not reach"
    attack = refused("ModelError", says, square=True)
    other, evaluation = (
        refused("ModelError", says),
        refused("InvalidArgument", "attack=square", True),
    )
    return Row(text, model, attack, other, other, evaluation)


ROWS = [
    all_same("does none of this", models.Net),
    writing("writes into its images with torch", models.WritesIntoInput),
    writing("writes into its images past torch", models.WritesThroughNumpy),
    all_same("returns `(logits,)`", models.TupleOfOne),
    all_same("returns an object of Hugging Face", models.HuggingFace),
    all_same('returns a dict with `"logits"`', models.Dictionary),
    all_refused("returns another dict", models.DictionaryOfOthers, "main logits"),
    all_refused("returns `(logits, features)`", models.LogitsAndFeatures, "main logits"),
    all_same("returns auxiliary logits in train mode, as torchvision", models.WithAuxiliary),
    Row(
        "returns `(logits, auxiliary)` in train mode",
        models.PlainTupleInTraining,
        SAME,
        refused("ModelError", "main logits"),
        refused("ModelError", "main logits"),
        SAME,
    ),
    all_refused("returns one logit, (N, 1)", models.OneLogit, r"torch.cat"),
    all_refused("returns one logit, (N,)", models.Flat, r"torch.cat"),
    all_refused("returns classes", models.Classes, "logits"),
    Row(
        "has more outputs than the data have classes",
        models.MoreOutputs,
        WORKS,
        WORKS,
        refused("ModelError", "9 logits for each image, expected 3"),
        Outcome(checks=("classes warn",)),
        named=refused("ModelError", "has 9 outputs, but the data have 3 classes"),
    ),
    Row(
        "returns probabilities",
        models.Probabilities,
        WORKS,
        WORKS,
        WORKS,
        Outcome(checks=("logits fail",)),
    ),
    Row(
        "returns scores of a sigmoid",
        models.Scores,
        WORKS,
        WORKS,
        WORKS,
        Outcome(checks=("logits warn",)),
    ),
    Row(
        "returns NaN for some images",
        models.NanOnBright,
        WORKS,
        Outcome(nan=True),
        refused("RunError", "loss is nan"),
        Outcome(twin=True, wrong=True, checks=("logits fail", "finite fail")),
        models.WrongOnBright,
    ),
    Row(
        "returns NaN off the 256 gray levels",
        models.NanOffGrid,
        WORKS,
        Outcome(nan=True),
        refused("RunError", "loss is nan"),
        Outcome(twin=True, wrong=True, checks=("finite warn",)),
        models.WrongOffGrid,
    ),
    all_same(
        "returns NaN for an image of one color", models.Standardizes, models.StandardizesSafely
    ),
    without_gradient("gives no gradient", models.NoGradient),
    without_gradient("computes in numpy", models.InNumpy),
    without_gradient("calls `numpy()` without `detach()`", models.InNumpyWithoutDetach),
    Row(
        "has gradients that are not finite",
        models.InfiniteGradient,
        SAME,
        SAME,
        SAME,
        Outcome(twin=True, checks=("gradients warn",)),
        models.MaskedGradient,
    ),
    all_refused(
        "checkpoints with `use_reentrant=True`", models.Checkpointed, "use_reentrant=False"
    ),
    Row("computes in float64", models.InDouble, ROUNDED, ROUNDED, ROUNDED, ROUNDED),
    Row("computes in bfloat16", models.InHalf, WORKS, WORKS, WORKS, WORKS),
    one_type("takes float64 images only", models.DoubleWeights, "float64", ROUNDED),
    one_type("takes bfloat16 images only", models.HalfWeights, "bfloat16", WORKS),
    Row(
        "draws random numbers",
        models.RandomOutputs,
        WORKS,
        WORKS,
        WORKS,
        Outcome(checks=("determinism fail",)),
    ),
    Row("is in train mode", models.LeftInTraining, SAME, WORKS, WORKS, SAME),
    Row(
        "stays in train mode",
        models.StaysInTraining,
        WORKS,
        WORKS,
        WORKS,
        Outcome(checks=("mode fail",)),
    ),
    all_same("replaces a buffer in every call", models.ReassignsState),
    all_same("returns the same memory in every call", models.ReusesOutput),
    all_refused(
        "returns another number of logits later",
        models.AnotherNumberOfLogits,
        "2 logits for each image, expected 3",
    ),
    all_refused("has weights on the device `meta`", models.WithoutValues, "to_empty"),
    all_refused("has lazy layers without weights", models.Lazy, "lazy"),
    Row(
        "lets the images of a batch change each other",
        models.BatchStatistics,
        WORKS,
        WORKS,
        WORKS,
        Outcome(checks=("batch fail",)),
    ),
]


def table() -> str:
    """Return the rows as a table in Markdown."""
    lines = ["| the model | attack | `RobustLoss` | `finetune` | `evaluate` |"]
    lines.append("|---|---|---|---|---|")
    for row in ROWS:
        cells = (row.attack, row.loss, row.training, row.evaluation)
        named = f"; {row.named} where classes have names" if row.named else ""
        lines.append(f"| {row.text} | {' | '.join(map(str, cells))}{named} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    rewrite(GUIDE, table(), START, END)
