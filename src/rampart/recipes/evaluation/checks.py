"""The checks of an evaluation: model checks before it, result checks after it."""

from collections.abc import Sequence
from typing import Any

from rampart.data.batches import ordered_batches
from rampart.data.splits import Split
from rampart.data.subset import numbers_of, subset
from rampart.evaluation.checks.class_order import Predicted
from rampart.evaluation.checks.model_checks import CHECK_IMAGES, check_model
from rampart.evaluation.checks.result_checks import check_results
from rampart.evaluation.checks.verdict import Verdict, overall, skipped
from rampart.evaluation.inference import QueriedModel
from rampart.evaluation.rerun import Rerun
from rampart.evaluation.whole import Evaluation
from rampart.recipes.evaluation.subject import Subject
from rampart.skill import chance_of


def run_model_checks(subject: Subject, model: QueriedModel, split: Split) -> list[Verdict]:
    """Return the verdicts on the model: its logits and its gradients; `model` counts the rows."""
    part = subset(split, limit=min(CHECK_IMAGES, len(split)), seed=subject.config.seed)
    (batch,) = ordered_batches(part, len(part))
    batch = batch.to(subject.model.device)
    threat = subject.config.threat
    verdicts = check_model(
        model,
        batch.pixels(),
        batch.labels,
        norm=threat.norm,
        eps=threat.eps,
        seed=subject.config.seed,
        differentiable=subject.model.differentiable,
    )
    if not subject.config.components.evaluation_attack.averages_answers:
        return verdicts
    name = subject.config.evaluation.attack.name
    why = f"the attack suite '{name}' averages over the outputs of a stochastic model."
    return [skipped(one.check, why) if one.check == "determinism" else one for one in verdicts]


def run_result_checks(
    subject: Subject, done: Evaluation, names: Sequence[str], n_strengths: int, reran: Rerun | None
) -> list[Verdict]:
    """Return the verdicts on the results of the attacks and of the rerun."""
    results = done.results
    names_of = dict(zip(numbers_of(subject.split).tolist(), subject.split.ids, strict=True))
    robust = dict(enumerate(reran.robust, start=1)) if reran else None
    return check_results(
        results.critical,
        results.stage,
        results.before_recheck,
        results.rechecked,
        names,
        n_strengths,
        robust,
        rows=reran.rows if reran else None,
        chance=_chance(subject),
        predicted=Predicted(
            results.labels,
            results.predictions,
            subject.splits.class_names,
            subject.extra_outputs,
        ),
        pruned=results.pruned,
        excluded=done.pruning.excluded if done.pruning else None,
        finite=results.finite,
        ids=[names_of[index] for index in results.indices.tolist()],
    )


def _chance(subject: Subject) -> float:
    """Return the accuracy of chance on the images from which `evaluation.limit` draws."""
    wanted = subject.config.evaluation
    return chance_of(subset(subject.splits[wanted.split], ids=wanted.ids).labels, wanted.top_k)


def checks_metadata(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return the verdicts as plain values for a record."""
    return {"overall": overall(verdicts), "verdicts": [one.as_dict() for one in verdicts]}
