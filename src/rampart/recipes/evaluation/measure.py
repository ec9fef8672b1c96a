"""Evaluate a subject: attack, checks and rerun, in one record."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

from accelerate import Accelerator
from accelerate.utils import gather_object

from rampart.attacks.base import Attack
from rampart.data.splits import Split
from rampart.data.subset import numbers_of
from rampart.errors import InvalidArgument
from rampart.evaluation.criterion import Criterion
from rampart.evaluation.inference import QueriedModel
from rampart.evaluation.partial_results import PartialResults
from rampart.evaluation.rerun import rerun
from rampart.evaluation.results import Results
from rampart.evaluation.until import evaluate_until
from rampart.evaluation.whole import Evaluation, Processes, evaluate_split
from rampart.input_gradients import NoGradientError
from rampart.metrics.expectation import contributions
from rampart.metrics.sequential import Until
from rampart.recipes.computing import decoding_workers
from rampart.recipes.evaluation.checks import checks_metadata, run_model_checks, run_result_checks
from rampart.recipes.evaluation.estimate import tell_cost
from rampart.recipes.evaluation.metadata import describe_evaluation
from rampart.recipes.evaluation.subject import Subject
from rampart.recipes.measurable import evaluation_grid, require_measurable
from rampart.recipes.measured import order_of_images, require_measurable_on
from rampart.records.record import EvaluationRecord

Progress = Callable[[int, int], None]


def evaluate_subject(
    subject: Subject,
    accelerator: Accelerator,
    partial_results: PartialResults | None = None,
    on_progress: Progress | None = None,
    at_least: int = 0,
) -> EvaluationRecord:
    """Return the record of critical strengths of a model, with its rerun and verdicts.

    Args:
        subject: the model, its data and the settings.
        accelerator: of the process.
        partial_results: where finished images are written, and from where they are read.
        on_progress: called with (images done, images to do).
        at_least: number of images that a record with `until` has already.
    """
    with _kept(subject, accelerator, partial_results) as kept:
        return _evaluate(subject, accelerator, kept, on_progress, at_least)


@contextmanager
def _kept(
    subject: Subject, accelerator: Accelerator, partial_results: PartialResults | None
) -> Iterator[PartialResults | None]:
    """Yield the partial results; with `until`, which needs some, those of a temporary folder."""
    if partial_results is not None or subject.config.evaluation.until is None:
        yield partial_results
        return
    if accelerator.num_processes > 1:
        why = "a folder, in which several processes find the images that others have attacked"
        raise InvalidArgument("output", None, why)
    with TemporaryDirectory(prefix="rampart-", ignore_cleanup_errors=True) as folder:
        yield PartialResults(folder, {})


def _evaluate(
    subject: Subject,
    accelerator: Accelerator,
    partial_results: PartialResults | None,
    on_progress: Progress | None,
    at_least: int,
) -> EvaluationRecord:
    config = subject.config
    wanted, attack, grid = config.evaluation, evaluation_attack(subject), evaluation_grid(config)
    criterion = Criterion(wanted.top_k, wanted.target)
    model, shared = QueriedModel(subject.model.model), _processes(accelerator)
    done_before = len(partial_results.read(adversarial_examples=False)) if partial_results else 0
    tell_cost(subject, accelerator, done_before)
    verdicts = run_model_checks(subject, model, subject.split) if wanted.checks else []

    def attack_images(part: Split) -> Evaluation:
        return evaluate_split(
            model,
            part,
            attack,
            grid,
            config.seed,
            mode=wanted.mode,
            largest_error=wanted.largest_error,
            batch_size=wanted.batch_size,
            adversarial_examples=wanted.adversarial_examples,
            criterion=criterion,
            partial_results=partial_results,
            processes=shared,
            workers=decoding_workers(config),
            on_progress=(lambda done: on_progress(done, len(part))) if on_progress else None,
        )

    done, split, until = _attacked(subject, attack_images, at_least)
    reran = None
    if wanted.rerun and len(grid) > 1:
        reran = rerun(
            model,
            split,
            attack,
            grid,
            config.seed,
            done.results,
            wanted.rerun,
            batch_size=wanted.batch_size,
            criterion=criterion,
            partial_results=partial_results,
            processes=shared,
        )
    names = [stage.name for stage in criterion.stages(attack.stages())] or [wanted.attack.name]
    if wanted.checks:
        verdicts = [
            *verdicts,
            *run_result_checks(subject, done, names, len(grid) - 1, reran),
        ]
    return EvaluationRecord.from_results(
        done.results,
        dict(zip(numbers_of(split).tolist(), split.ids, strict=True)),
        grid,
        config.threat.norm,
        names,
        {
            **describe_evaluation(subject, split, done, names, accelerator),
            "rows": _rows(model),
            **({"until": until} if until else {}),
            **({"rerun": reran.figures(grid)} if reran else {}),
            **({"checks": checks_metadata(verdicts)} if wanted.checks else {}),
        },
    )


def _attacked(
    subject: Subject, attack_images: Callable[[Split], Evaluation], at_least: int
) -> tuple[Evaluation, Split, dict[str, Any] | None]:
    """Return the evaluation, its images and, with `until`, where the rule stopped."""
    config, wanted = subject.config, subject.config.evaluation
    if wanted.until is None:
        return attack_images(subject.split), subject.split, None
    grid = evaluation_grid(config)
    reached = evaluate_until(
        attack_images,
        subject.split,
        order_of_images(config, subject.splits),
        lambda results: contributions(results.critical, grid),
        Until(wanted.until, wanted.confidence),
        at_least,
    )
    return reached.evaluation, reached.part, reached.figures


def require_valid(subject: Subject) -> None:
    """Refuse settings that contradict each other, before anything is written or replaced."""
    require_measurable(subject.config)
    require_measurable_on(subject.config, subject.splits)
    evaluation_attack(subject)


def evaluation_attack(subject: Subject) -> Attack:
    """Return the attack of the evaluation; refuse one that needs gradients of a black box.

    Raises:
        InvalidArgument: no gradient reaches the pixels, so only attacks without gradients apply.
        ModelError: the backward pass of the model fails. Attacks without gradients would overrate
            it, so the message says how to correct it instead.
    """
    attack, error = subject.config.components.evaluation_attack, subject.model.gradient_error
    stages = attack.stages()
    if error is None or (stages and not any(s.algorithm.gradient for s in stages)):
        return attack
    if not isinstance(error, NoGradientError):
        raise error
    raise InvalidArgument(
        "evaluation.attack",
        subject.config.evaluation.attack.name,
        "an attack without gradients, because this model has none",
        "write evaluation.attack=square",
    )


def _rows(model: QueriedModel) -> dict[str, int]:
    """Return the rows that went through the model in this call, over all processes."""
    counts = gather_object([(model.rows_forward, model.rows_backward)])
    forwards, backwards = map(sum, zip(*counts, strict=True))
    return {"forwards": forwards, "backwards": backwards}


def _processes(accelerator: Accelerator) -> Processes:
    def gather(results: Results) -> list[Results]:
        return list(gather_object([results]))

    return Processes(
        accelerator.process_index, accelerator.num_processes, accelerator.wait_for_everyone, gather
    )
