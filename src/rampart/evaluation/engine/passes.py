"""One pass of the model for the rows of several stage batches."""

from collections.abc import Sequence

from torch import Tensor

from rampart.attacks.algorithm import Output, Problem, query_together
from rampart.evaluation.engine.sample_state import SampleState
from rampart.evaluation.engine.stage_batch import StageBatch
from rampart.evaluation.inference import QueriedModel


def step(
    stage_batches: Sequence[StageBatch], model: QueriedModel, spare: int = 0
) -> list[SampleState]:
    """Query one point per row; return the samples whose turn has ended.

    Args:
        stage_batches: at least one, each with runs in its rows. Several have algorithms of one
            pass, all with gradients or all without.
        model: the model, which counts its passes.
        spare: number of rows that would only fill the batch.
    """
    asked = []
    for stage_batch in stage_batches:
        problem, points = stage_batch.ask(spare)
        spare -= len(points) - stage_batch.active
        asked.append((problem, points))
    before = model.passes
    outputs = _query(stage_batches, asked)
    rows = sum(len(points) for _, points in asked)
    # The last query of a run needs no gradient, but it is always computed: other rows need it, and
    # the cost of a sample must not depend on them.
    forwards, backwards = (
        (now - then) // rows for now, then in zip(model.passes, before, strict=True)
    )
    for stage_batch in stage_batches:
        stage_batch.count(forwards, backwards)
    return [
        sample
        for stage_batch, (_, points), output in zip(stage_batches, asked, outputs, strict=True)
        for sample in stage_batch.answer(points, output)
    ]


def _query(
    stage_batches: Sequence[StageBatch], asked: Sequence[tuple[Problem, Tensor]]
) -> list[Output]:
    algorithms = [stage_batch.stage.algorithm for stage_batch in stage_batches]
    if len(asked) == 1:
        return [algorithms[0].query(*asked[0])]
    outputs = query_together(asked, algorithms[0].gradient)
    return [
        algorithm.read(problem, points, output)
        for algorithm, (problem, points), output in zip(algorithms, asked, outputs, strict=True)
    ]
