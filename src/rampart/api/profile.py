"""`rampart.profile`: measure a model under several threats on the same images."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import torch

from rampart.api.evaluate import MAPPINGS, SECTIONS, warn_of_verdicts
from rampart.api.inputs import Classifier, device_for, eval_mode, subject_of
from rampart.api.keywords import (
    EvaluationSettings,
    Options,
    attack_section,
    place,
    with_object,
    without_default_iterate,
)
from rampart.api.result import EvaluationResult
from rampart.errors import InvalidArgument
from rampart.recipes.accelerator import make_accelerator, preserve_accelerate_state
from rampart.recipes.config.loading import parse_config
from rampart.recipes.evaluation.measure import Progress
from rampart.recipes.evaluation.profile import profile_in_memory, profile_into
from rampart.recipes.evaluation.threats import parse_threats
from rampart.records.profile import Profile
from rampart.reports.profile import profile_facts, profile_lines
from rampart.units import NORMS, Perturbation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Keywords of `evaluate` that the threats decide.
_OF_THREATS = ("strengths", "resolution")


class ProfileResult(Profile):
    """Records of one model on the same images, one per threat; figures are computed from them."""

    def __getitem__(self, threat: Perturbation) -> EvaluationResult:
        """Return the evaluation under one threat, such as `result["l2"]` or `result["fog"]`."""
        for one in self.records:
            if one.norm == threat:
                return EvaluationResult.of(one)
        known = ", ".join(one.norm for one in self.records)
        raise InvalidArgument("threat", threat, known)

    def summary(self) -> dict[str, Any]:
        """Return all figures as plain values.

        See `rampart.records.profile.profile_summary`; `standing` is the place among published runs
        (`rampart.records.standing.standing`).
        """
        return profile_facts(self)

    def plot(self, path: str | Path | None = None, title: str = "") -> "Figure":
        """Return a figure with the threats side by side; with `path` also save it.

        Raises:
            InvalidArgument: the path ends in none of .png, .svg and .pdf.
            RunError: the file cannot be written.
        """
        # Rendering is slow to import.
        from rampart.reports.profile_picture import draw_profile, save_profile_picture

        facts = self.summary()
        if path is not None:
            save_profile_picture(facts, path, title)
        return draw_profile(facts, title)

    def __repr__(self) -> str:
        return "\n".join(profile_lines(self.summary()))


def profile(
    model: str | Path | Classifier,
    data: Any,
    threats: str | Iterable[str] | Mapping[str, str | float | None] = NORMS,
    attack: str | Options = "standard",
    *,
    device: str | torch.device | None = None,
    output: str | Path | None = None,
    overwrite: bool = False,
    on_progress: Progress | None = None,
    **settings: Unpack[EvaluationSettings],
) -> ProfileResult:
    """Measure the accuracy of a classifier under several threats, on the same images.

    Args:
        model: as for `rampart.evaluate`.
        data: as for `rampart.evaluate`.
        threats: norms, each with its largest strength or without, such as "linf,l2=1" or {"linf":
            "8/255", "l2": None}. Without a strength, the range ends at twice the usual strength for
            the size of the images. "corruptions" adds ImageNet-C's fifteen kinds at severities 1 to
            5, for color images of 32, 64 or 224 pixels; "fog" and the like a single one.
        attack: its name or a mapping, as for `rampart.evaluate`; the same under every threat.
        device: as for `rampart.evaluate`.
        output: folder for the records, a table and a picture; the same call again resumes there,
            and keeps finished threats.
        overwrite: replace finished evaluations in `output`.
        on_progress: called with (evaluations of an image done, evaluations in all).
        settings: as for `rampart.evaluate`, without strengths and resolution.

    Returns:
        The records, with `summary()` and `plot()`; `result["l2"]` is the evaluation under one
        threat.

    Raises:
        RampartError: as `rampart.evaluate`; or `output` holds evaluations with other settings.

    Example:
        >>> images, labels = torch.rand(20, 3, 8, 8), torch.arange(20) % 2
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
        >>> result = profile(model, (images, labels), "linf,l2", attack="apgd", checks=False)
        >>> [one["norm"] for one in result.summary()["threats"]]
        ['linf', 'l2']
    """
    wanted = parse_threats(threats)
    for name in _OF_THREATS:
        if name in settings:
            do = "state the largest strength of a threat, such as threats='linf=8/255'"
            raise InvalidArgument(name, "a value", "none, because each threat has its own", do)
    where = device_for(model, device)
    others = ("threats", "attack", *(profile.__kwdefaults__ or ()))
    tree = place(settings, EvaluationSettings.__optional_keys__, SECTIONS, others, MAPPINGS)
    for name, given in (("model", model), ("data", data)):
        tree[name] = with_object(tree.get(name, {}), given)
    section = without_default_iterate(attack_section(_named(attack), "linf"))
    tree["evaluation"] = {**tree.get("evaluation", {}), "attack": section}
    tree["training"] = {"device": "cpu" if where.type == "cpu" else "auto"}
    config = parse_config(tree)
    with eval_mode(model), preserve_accelerate_state():
        subject = subject_of(model, data, config, where)
        accelerator = make_accelerator(config)
        if output is None:
            found = profile_in_memory(subject, wanted, accelerator, on_progress)
        else:
            target = Path(output)
            found = profile_into(subject, wanted, target, accelerator, overwrite, on_progress)
    result = ProfileResult(found.records)
    for one in result.records:
        warn_of_verdicts(EvaluationResult.of(one))
    return result


def _named(attack: object) -> str | Options:
    """Return an attack without a norm of its own."""
    if isinstance(attack, str | Mapping):
        return attack
    raise InvalidArgument(
        "attack",
        attack,
        "a name or a mapping, because an attack object belongs to one norm",
        'write attack="standard"',
    )
