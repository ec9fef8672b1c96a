"""Evaluate a subject: attack, checks and rerun, in one record."""

from collections.abc import Callable

from accelerate import Accelerator
from accelerate.utils import gather_object

from rampart.attacks.base import Attack
from rampart.data.subset import numbers_of
from rampart.errors import InvalidArgument
from rampart.evaluation.criterion import Criterion
from rampart.evaluation.inference import QueriedModel
from rampart.evaluation.partial_results import PartialResults
from rampart.evaluation.rerun import rerun
from rampart.evaluation.results import Results
from rampart.evaluation.whole import Processes, evaluate_split
from rampart.input_gradients import NoGradientError
from rampart.recipes.evaluation.checks import checks_metadata, run_model_checks, run_result_checks
from rampart.recipes.evaluation.metadata import describe_evaluation
from rampart.recipes.evaluation.subject import Subject
from rampart.recipes.measured import evaluation_grid, require_measurable
from rampart.records.record import EvaluationRecord

Progress = Callable[[int, int], None]


def evaluate_subject(
    subject: Subject,
    accelerator: Accelerator,
    partial_results: PartialResults | None = None,
    on_progress: Progress | None = None,
) -> EvaluationRecord:
    """Return the record of critical strengths of a model, with its rerun and verdicts."""
    config, split = subject.config, subject.split
    wanted, attack, grid = config.evaluation, evaluation_attack(subject), evaluation_grid(config)
    criterion = Criterion(wanted.top_k, wanted.target)
    model, shared = QueriedModel(subject.model.model), _processes(accelerator)
    verdicts = run_model_checks(subject, model, split) if wanted.checks else []
    done = evaluate_split(
        model,
        split,
        attack,
        grid,
        config.seed,
        mode=wanted.mode,
        batch_size=wanted.batch_size,
        adversarial_examples=wanted.adversarial_examples,
        criterion=criterion,
        partial_results=partial_results,
        processes=shared,
        workers=config.data.workers,
        on_progress=(lambda done: on_progress(done, len(split))) if on_progress else None,
    )
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
            *run_result_checks(subject, done.results, names, len(grid) - 1, reran),
        ]
    return EvaluationRecord.from_results(
        done.results,
        dict(zip(numbers_of(split).tolist(), split.ids, strict=True)),
        grid,
        config.threat.norm,
        names,
        {
            **describe_evaluation(subject, done, names, accelerator),
            "rows": _rows(model),
            **({"rerun": reran.figures(grid)} if reran else {}),
            **({"checks": checks_metadata(verdicts)} if wanted.checks else {}),
        },
    )


def require_valid(subject: Subject) -> None:
    """Refuse settings that contradict each other, before anything is written or replaced."""
    require_measurable(subject.config, subject.splits)
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
