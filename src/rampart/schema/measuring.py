"""The fields of `evaluation`: by which attack, on which images, at which strengths."""

from typing import Literal

from pydantic import Field

from rampart.choices import EvaluationMode, Match, Target
from rampart.schema.components import AttackConfig
from rampart.schema.sections import (
    AffectsEvaluation,
    AffectsNothing,
    Eps,
    Fraction,
    Precision,
    Section,
)


class EvaluationConfig(Section):
    """How a model is evaluated: by which attack, on which images, at which strengths."""

    attack: AffectsEvaluation[AttackConfig] = Field(
        AttackConfig(name="apgd", steps=10),
        description="the attack, such as `standard`, AutoAttack's standard version",
    )
    mode: AffectsEvaluation[EvaluationMode] = Field(
        "fast",
        description="`fast`: prune runs of the attack that will not succeed, attack some of these "
        "images in full as a recheck, and all of them if it contradicts; `exact` never prunes",
    )
    largest_error: AffectsEvaluation[Precision | None] = Field(
        None,
        description="in fast mode, the error that the recheck excludes at 95 %, such as `5%`; by "
        "default sqrt(2 / number of images)",
    )
    split: AffectsEvaluation[Literal["test", "validation", "all"]] = Field(
        "test", description="`all`: every image of data that the model was not trained on"
    )
    limit: AffectsEvaluation[int | None] = Field(
        None,
        ge=1,
        description="number of images, drawn at random; a larger number includes the images of a "
        "smaller one; by default all",
    )
    limit_seed: AffectsEvaluation[int | None] = Field(
        None,
        ge=0,
        description="seed of that draw, so that runs of all seeds are evaluated on the same "
        "images; by default `seed`",
    )
    until: AffectsEvaluation[Precision | None] = Field(
        None,
        description="draw images until the interval of expected robustness reaches at most this "
        "far to each side, such as `1%`; `evaluation.limit` is then the largest number",
    )
    stratified: AffectsEvaluation[bool] = Field(
        False, description="draw from every class in proportion; `evaluation.until` always does"
    )
    ids: AffectsEvaluation[str | None] = Field(
        None, description="text file with the names of the images to take, one on each line"
    )
    strengths: AffectsEvaluation[tuple[Eps, ...]] = Field(
        (),
        description="the grid without 0, ending at `threat.eps`; by default every k/255 up to it "
        "and at least eight strengths (Linf), or 8 equal steps",
    )
    resolution: AffectsEvaluation[int | None] = Field(
        None,
        ge=1,
        le=1000,
        description="parts that each step of the grid is divided into; 1 gives the publication's "
        "grid k/255; by default as many as give eight strengths, or 1 if strengths are given",
    )
    top_k: AffectsEvaluation[int] = Field(
        1, ge=1, description="an image is correct if its label is among the k likeliest classes"
    )
    target: AffectsEvaluation[Target] = Field(
        "none",
        description="the wrong class that the prediction has to become for an adversarial example",
    )
    match: AffectsEvaluation[Match] = Field(
        "strict",
        description="how the outputs of an external model are matched to the classes of the data; "
        "`strict` requires the same classes in the same order",
    )
    rerun: AffectsNothing[int] = Field(
        0,
        ge=0,
        description="images that are also attacked at each strength alone, as a check; the record "
        "holds both accuracies",
    )
    adversarial_examples: AffectsNothing[bool] = Field(
        False,
        description="store the adversarial examples, so that `rampart verify` can check the record",
    )
    checks: AffectsNothing[bool] = Field(
        True, description="check whether the numbers can be trusted; the record holds the verdicts"
    )
    batch_size: AffectsNothing[int] = Field(128, ge=1, description="images per batch")
    confidence: AffectsNothing[Fraction] = Field(0.95, description="confidence of the intervals")
