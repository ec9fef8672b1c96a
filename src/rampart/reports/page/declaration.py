"""Statements on accuracy and robustness that an auditor asks for, as far as a record has them.

Article 15 of the EU AI Act, Regulation (EU) 2024/1689, asks that the levels of accuracy and the
accuracy metrics are declared, and that a system is robust against errors and attacks. The section
states what was measured. It makes no legal claim.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rampart.counting import counted
from rampart.records.record import EvaluationRecord
from rampart.reports.headline import spell_images
from rampart.reports.page.content import Section, class_names
from rampart.reports.page.curves import spell_strength
from rampart.reports.percent import number, percent
from rampart.units import is_corruption

Facts = Mapping[str, Any]
_NORMS = {
    "linf": "every pixel value may change by at most eps",
    "l2": "the root of the sum of the squared changes is at most eps",
    "l1": "the sum of the absolute changes is at most eps",
}
_MODELS = {"run": "trained by Rampart", "callable": "given as an object of Python"}


def declaration_section(facts: Facts, record: EvaluationRecord) -> Section:
    """Return what was measured, on which data, against whom, how certainly, and its limits."""
    parts = [
        ("What was measured", _metrics(facts)),
        ("For which model", _model(record)),
        ("On which data", data_lines(facts, record)),
        ("Against which adversary", [*adversary_lines(facts, record), *_strength(facts)]),
        ("With which uncertainty", uncertainty_lines(facts)),
        ("Known limits", limits_lines(facts, record)),
    ]
    return Section("declaration", "Statements for auditors", "declaration", {"parts": parts})


def _metrics(facts: Facts) -> list[str]:
    at = spell_strength(facts["eps"], facts["norm"])
    top = facts["top_k"]
    right = "the label is the predicted class"
    if top != 1:
        right = f"the label is among the {top} likeliest classes"
    return [
        f"Clean accuracy {_figure(facts, 'clean')}: the share of images for which {right}.",
        f"Accuracy under attack at {at} {_figure(facts, 'adversarial')}: the share of images that "
        "are right whatever the attack found within that strength.",
        f"Expected robustness {_figure(facts, 'expected')}: the mean accuracy over strengths from "
        f"0 to the one above, all equally likely.",
    ]


def _figure(facts: Facts, name: str) -> str:
    ends = f"[{number(facts[f'{name}_low'])}, {number(facts[f'{name}_high'])}]"
    return f"{percent(facts[name])} {ends}"


def _model(record: EvaluationRecord) -> list[str]:
    model = record.metadata.get("model")
    if not isinstance(model, Mapping):
        return ["The record does not name the model."]
    origin = _MODELS.get(str(model.get("source")), "an external model")
    mark = model.get("fingerprint")
    known = f" Fingerprint of its weights: {mark}." if mark else ""
    return [f"{model.get('name')}, {origin}, float32 in eval mode.{known}"]


def data_lines(facts: Facts, record: EvaluationRecord) -> list[str]:
    """Return sentences on the images: how many, of which split, and what to know about them."""
    data, classes = facts.get("data"), class_names(record)
    text = spell_images(facts)
    if classes:
        text += f" of {counted(len(classes), 'class')}"
    if not isinstance(data, Mapping):
        return [f"{text}. The record does not name the data."]
    lines = [f"{text}, the {facts.get('split')} split of {Path(str(data.get('name'))).name}."]
    if data.get("fingerprint"):
        lines.append(f"Fingerprint of the names and labels: {data['fingerprint']}.")
    lines += [_sentence(text) for text in data.get("warnings", ())]
    return lines


def adversary_lines(facts: Facts, record: EvaluationRecord) -> list[str]:
    """Return sentences on the changes of the images and on the attack."""
    norm = facts["norm"]
    if is_corruption(norm):
        return [
            f"None: the images are changed by the corruption {norm} at severities 1 to 5, which "
            "stands for disturbances and not for an attacker."
        ]
    suite = ", ".join(map(str, facts.get("attack_suite") or ())) or "unknown stages"
    target = record.metadata.get("target", "none")
    aim = "any wrong class" if target == "none" else f"the target class '{target}'"
    return [
        f"Changes of the pixels in [0, 1] under {norm}: {_NORMS[norm]}, "
        f"with {spell_strength(facts['eps'], norm)} at most.",
        f"Attack {facts.get('attack')} ({suite}), which aims at {aim}. It knows the model and its "
        "weights unless its stages use the outputs alone (square).",
    ]


def _strength(facts: Facts) -> list[str]:
    if is_corruption(facts["norm"]):
        return []
    return ["Its strength is measured by trust checks; see their section."]


def uncertainty_lines(facts: Facts) -> list[str]:
    """Return sentences on the intervals and on the bounds between the strengths."""
    bounds = facts["expected_bounds"]
    methods = ", ".join(f"{name}: {how}" for name, how in facts["interval_method"].items())
    return [
        f"The brackets are {100 * facts['confidence']:g} % confidence intervals ({methods}). They "
        "cover the choice of images from the same source, and neither other data nor other seeds "
        "of training.",
        "Between the measured strengths accuracy is not known. Expected robustness on these images "
        f"lies between {percent(bounds['low'])} and {percent(bounds['high'])} whatever it is.",
    ]


def limits_lines(facts: Facts, record: EvaluationRecord) -> list[str]:
    """Return sentences on what the figures do not cover, and on doubts about them."""
    lines = []
    if not is_corruption(facts["norm"]):
        lines += [
            "Accuracy under attack is an upper bound: a stronger attack may lower it.",
            "Other kinds of change are not covered: other norms, rotations, patches, corruptions, "
            "changes of the scene, poisoned training data.",
        ]
    else:
        lines.append("Other corruptions and attacks are not covered.")
    lines.append("Images from another source than the data above may give other figures.")
    worst = facts.get("worst", {}).get("expected")
    if worst and worst["classes"] > 1 and worst["ties"] < worst["classes"]:
        value = f"{percent(worst['value'])} [{number(worst['low'])}, {number(worst['high'])}]"
        lines.append(
            f"Classes differ: the lowest expected robustness is {value}, of the class "
            f"{worst['class']}. This interval holds whichever class is the lowest, so it is wider "
            "than that of the class alone."
        )
    checks = record.metadata.get("checks")
    if checks is None:
        lines.append("The checks of whether the figures can be trusted did not run.")
    elif checks["overall"] != "pass":
        names = [one["check"] for one in checks["verdicts"] if one["status"] in ("warn", "fail")]
        lines.append(f"Trust checks that failed or warn: {', '.join(names) or 'all were skipped'}.")
    return lines


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith(".") else f"{text}."
