"""The metadata of a card, which the Hugging Face hub reads: a block of YAML with a model-index."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rampart.reports.card.evaluated import Evaluated
from rampart.reports.page.curves import spell_strength
from rampart.units import Perturbation, format_eps, is_corruption

_TASK = "image-classification"
_TAGS = (_TASK, "rampart", "adversarial-robustness", "adversarial-training")


@dataclass(frozen=True)
class Origin:
    """What the card says of a model beyond its run.

    Attributes:
        base: name on the hub of the model that training started from; "" if it has none.
        defined_in: the Python module that defines the architecture; "" if timm does.
        module: name of the class, if the architecture is a module of the user; "" otherwise.
        license: identifier of the hub, such as "apache-2.0"; "" if none is stated.
    """

    base: str = ""
    defined_in: str = ""
    module: str = ""
    license: str = ""


def metadata(
    title: str, settings: Mapping[str, Any], evaluations: Sequence[Evaluated], origin: Origin
) -> str:
    """Return the block of YAML, without its rules of dashes."""
    from huggingface_hub import ModelCardData

    name = str(settings["data"]["name"])
    results = [one for evaluated in evaluations for one in _results(evaluated)]
    data = ModelCardData(
        license=origin.license or None,
        library_name=None if origin.module else "timm",
        pipeline_tag=_TASK,
        tags=[*_TAGS, *(() if origin.module else ("timm",))],
        base_model=origin.base or None,
        datasets=[name.removeprefix("hfds/")] if name.startswith("hfds/") else None,
        metrics=["accuracy"] if results else None,
        model_name=title if results else None,
        eval_results=results or None,
    )
    return str(data.to_yaml())


def _results(evaluated: Evaluated) -> list[Any]:
    """Return clean accuracy, adversarial accuracy and expected robustness for the model-index."""
    from huggingface_hub import EvalResult

    facts = evaluated.facts
    norm, at = facts["norm"], spell_strength(facts["eps"], facts["norm"])
    known = facts["data"] if isinstance(facts["data"], Mapping) else {}
    data = str(known.get("name", "unknown"))
    on_hub = data.startswith("hfds/")
    names = {
        "clean": "clean accuracy",
        "adversarial": f"adversarial accuracy ({evaluated.attack})",
        "expected": f"expected robustness ({evaluated.attack} at most)",
    }
    return [
        EvalResult(
            task_type=_TASK,
            task_name="Image Classification",
            dataset_type=data.removeprefix("hfds/") if on_hub else "imagefolder",
            dataset_name=Path(data).name,
            dataset_split=facts["split"],
            metric_type="accuracy",
            metric_name=name,
            metric_value=round(facts[figure], 6),
            metric_args={
                "images": facts["n"],
                "low": round(facts[f"{figure}_low"], 6),
                "high": round(facts[f"{figure}_high"], 6),
                "confidence": facts["confidence"],
                **({} if figure == "clean" else _attack(facts, norm, at)),
            },
        )
        for figure, name in names.items()
    ]


def _attack(facts: Mapping[str, Any], norm: Perturbation, at: str) -> dict[str, Any]:
    if is_corruption(norm):
        return {"corruption": norm, "at": at}
    options = facts["attack_options"]
    attack = dict(options) if isinstance(options, Mapping) else {"name": facts["attack"]}
    return {"norm": norm, "eps": format_eps(facts["eps"], exact=True), "attack": attack}
