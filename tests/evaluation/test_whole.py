"""A whole split: several processes, kills at any moment, fast mode and escalation."""

import os
import signal
import subprocess
import sys
import threading
import time
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from test_engine import attack_suite, net
from test_results import same
from torch import Tensor, nn

from rampart.data.batches import ordered_batches
from rampart.data.splits import InMemory, Split
from rampart.data.subset import subset
from rampart.errors import InvalidArgument
from rampart.evaluation.criterion import Criterion
from rampart.evaluation.critical import critical_strengths
from rampart.evaluation.engine.pruning import LIMITS
from rampart.evaluation.partial_results import Buffer, PartialResults
from rampart.evaluation.recheck import Plan
from rampart.evaluation.results import Results
from rampart.evaluation.whole import Evaluation, Processes, evaluate_split

GRID = tuple(k / 255 for k in range(9))


def split_for(model: nn.Module, n: int) -> Split:
    """Images (n, 1, 8, 8) of which the model gets some wrong."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (n, 1, 8, 8), generator=generator, dtype=torch.uint8)
    labels = model(images / 255).argmax(1).numpy()
    labels[::9] = (labels[::9] + 1) % 2
    names = [f"class {k}" for k in range(labels.max() + 1)]
    return Split([f"image {i}" for i in range(n)], labels, names, InMemory(images))


def evaluate(model: nn.Module, split: Split, name: str = "short", **options) -> Evaluation:
    attack = attack_suite(name, steps=options.pop("steps", 4))
    return evaluate_split(
        model, split, attack, GRID, 3, **{"adversarial_examples": True, **options}
    )


# Several processes


def shared(
    count: int, model: nn.Module, split: Split, partial_results: Path | None = None, **options
) -> list[Evaluation]:
    """The results of `count` processes, simulated by threads with a barrier."""
    meeting, left = threading.Barrier(count), {}
    found: dict[int, Evaluation] = {}

    def run(rank: int, model: nn.Module, split: Split) -> None:
        def gather(results: Results) -> list[Results]:
            left[rank] = results
            meeting.wait(30)
            everyone = [left[other] for other in range(count)]
            meeting.wait(30)
            return everyone

        group = Processes(rank, count, lambda: meeting.wait(30) and None, gather)
        own = PartialResults(partial_results, {}, rank) if partial_results else None
        found[rank] = evaluate(model, split, processes=group, partial_results=own, **options)

    threads = [
        threading.Thread(target=run, args=(rank, deepcopy(model), split)) for rank in range(count)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[rank] for rank in range(count)]


@pytest.mark.parametrize("mode", ["exact", "fast"])
@pytest.mark.parametrize("count", [2, 3])
def test_several_processes_give_the_results_of_one(count, mode):
    model = net(1)
    split = split_for(model, 20)
    alone = evaluate(model, split, mode=mode)
    for part in shared(count, model, split, mode=mode, batch_size=8):
        assert same(part.results, alone.results)
        assert part.pruning == alone.pruning
    assert alone.results.indices.tolist() == list(range(20))


@pytest.mark.parametrize("count", [1, 2])
def test_with_partial_results_the_first_process_has_the_adversarial_examples_in_a_file(
    count, tmp_path
):
    model = net(1)
    split = split_for(model, 20)
    alone = evaluate(model, split)
    first, *others = shared(count, model, split, partial_results=tmp_path)
    assert same(first.results, alone.results)
    assert isinstance(first.results.adversarial_examples, np.memmap)
    assert all(one.results.adversarial_examples is None for one in others)


def test_a_process_without_samples_takes_part():
    model = net(1)
    split = split_for(model, 2)
    alone = evaluate(model, split)
    for part in shared(3, model, split):
        assert same(part.results, alone.results)


def test_a_subset_gives_the_same_rows_as_the_whole():
    model = net(1)
    split = split_for(model, 20)
    whole_split = evaluate(model, split, mode="exact").results
    part = evaluate(model, subset(split, limit=7), mode="exact").results
    assert same(part, whole_split.select(np.isin(whole_split.indices, part.indices)))
    assert len(part) == 7


def test_progress_reports_the_finished_samples():
    model, seen = net(1), []
    evaluate(model, split_for(model, 20), batch_size=4, on_progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 20


# Interruptions


class Slow(nn.Module):
    """A slow model, so that there is time for a kill."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        time.sleep(2e-3)
        return self.model(images)


def victim(folder: str, batch_size: int) -> None:
    """Evaluate until the end or until this process is killed; write often."""
    Buffer.SECONDS = 0.01
    model = net(1)
    partial_results = PartialResults(folder, {})
    evaluate(
        Slow(model), split_for(model, 60), batch_size=batch_size, partial_results=partial_results
    )


#: A process with all imports forks the processes to kill, soon after a part appears.
KILLER = """
import os, random, signal, sys, time
sys.path[:0] = sys.argv[1].split(os.pathsep)
from test_whole import victim
folder, delays = sys.argv[2], random.Random(0)
# Lazy imports happen here, once.
victim(folder + "/warm", 60)
folder += "/cold"
def parts():
    path = folder + "/parts"
    return len([n for n in os.listdir(path) if n[0] != "."]) if os.path.isdir(path) else 0
for batch_size in map(int, sys.argv[3:]):
    before, child = parts(), os.fork()
    if not child:
        victim(folder, batch_size)
        os._exit(0)
    while parts() == before and not os.waitpid(child, os.WNOHANG)[0]:
        time.sleep(0.005)
    time.sleep(delays.uniform(0, 0.03))
    os.kill(child, signal.SIGKILL)
    print(os.WTERMSIG(os.waitpid(child, 0)[1]), parts())
"""


def test_ten_kills_change_no_column(tmp_path):
    """Kills at random moments; each time it resumes with another batch size."""
    model, batch_size = net(1), [1, 7, 2, 4, 1, 3, 6, 2, 5, 1]
    split = split_for(model, 60)
    here = Path(__file__).parent
    places = [os.pathsep.join([str(here), str(here.parent)]), str(tmp_path)]
    killed = subprocess.run(
        [sys.executable, "-c", KILLER, *places, *map(str, batch_size)],
        capture_output=True,
        text=True,
        check=False,
        # A fork has none of the threads of its parent; with several, it waits for them for ever.
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert killed.returncode == 0, killed.stderr
    told = [int(word) for word in killed.stdout.split()]
    assert told[::2] == [signal.SIGKILL] * 10
    assert told[1::2] == sorted(set(told[1::2])), "every process made progress"
    reference = evaluate(model, split)
    last = evaluate(
        model, split, batch_size=256, partial_results=PartialResults(tmp_path / "cold", {}, rank=1)
    )
    assert 10 <= last.resumed < 60
    assert same(last.results, reference.results)
    assert last.pruning == reference.pruning


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_a_finished_evaluation_does_not_query_the_model(tmp_path, mode):
    model = net(1)
    split = split_for(model, 12)
    first = evaluate(model, split, mode=mode, partial_results=PartialResults(tmp_path, {}))

    def silent(images: Tensor) -> Tensor:
        raise AssertionError("asked")

    again = evaluate(silent, split, mode=mode, partial_results=PartialResults(tmp_path, {}))
    assert same(again.results, first.results)
    assert (first.resumed, again.resumed) == (0, 12)


def test_processes_resume_from_results_of_other_processes(tmp_path):
    model = net(1)
    split = split_for(model, 20)
    alone = evaluate(model, split)
    evaluate(
        model, subset(split, limit=9), partial_results=PartialResults(tmp_path, {}), mode="exact"
    )
    # Fast mode accepts results of exact mode: only the columns of passes differ.
    for part in shared(2, model, split, partial_results=tmp_path):
        assert part.resumed == 9
        np.testing.assert_array_equal(part.results.critical, alone.results.critical)


# Fast mode


class Ripple(nn.Module):
    """Masks the gradients of a model by a fine sine wave on the pixels."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images + 0.02 * torch.sin(2 * torch.pi * 60 * images))


@pytest.fixture
def short_runs_are_pruned(monkeypatch):
    """As if it paid, so that these tests are quick."""
    monkeypatch.setattr(Plan, "pays", lambda plan, stages: True)


class Misleading(nn.Module):
    """A model whose gradients are useless: backward sees noise derived from the pixels."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        quantized = (images * 51).round() / 51
        wrong = 0.3 * torch.sin(40 * images)
        return self.model(quantized + wrong - wrong.detach())


@pytest.mark.parametrize("masked", [Ripple, Misleading])
def test_masked_gradients_escalate_to_the_results_of_exact_mode(masked, short_runs_are_pruned):
    """Adversarial examples of the pruned pass stay, so a few samples may be lower."""
    model = masked(net(1)).eval()
    split, options = split_for(model, 120), {"steps": 12, "batch_size": 120}
    fast = evaluate(model, split, "standard", **options)
    exact = evaluate(model, split, "standard", mode="exact", **options)
    assert fast.pruning is not None
    assert fast.pruning.escalated
    assert exact.pruning is None
    assert fast.results.pruned.sum() == 0
    difference = fast.results.critical - exact.results.critical
    assert difference.max() <= 0
    assert (difference != 0).sum() <= 5


def prune_everything(monkeypatch) -> None:
    """Let the limits prune every run at once."""
    everything = {kind: {1: 0.0} for kind in LIMITS}
    monkeypatch.setattr("rampart.evaluation.engine.pruning.LIMITS", everything)
    monkeypatch.setattr("rampart.evaluation.engine.pruning.SHORT_LIMITS", {0.1: 0.0})


def test_an_escalation_finds_what_pruning_hid(monkeypatch, short_runs_are_pruned):
    """Limits that prune every run at once: the recheck notices, and the full runs correct it."""
    prune_everything(monkeypatch)
    model = Ripple(net(3))
    split, options = split_for(model, 100), {"steps": 12, "batch_size": 100}
    exact = evaluate(model, split, mode="exact", **options)
    fast = evaluate(model, split, **options)
    assert fast.pruning is not None
    assert "rechecked" in fast.pruning.escalated
    results = fast.results
    assert (results.critical <= exact.results.critical).all()
    # Rechecked samples record their result before the recheck.
    assert (results.before_recheck > results.critical).sum() > 5
    assert results.rechecked.sum() > 30
    hidden = pruned_pass(model, split, 12)
    assert hidden.critical.mean() > exact.results.critical.mean() + 0.1
    np.testing.assert_array_equal(results.before_recheck, hidden.critical)
    # The passes of both phases are added.
    np.testing.assert_array_equal(
        results.forwards,
        hidden.forwards + np.where(results.rechecked, exact.results.forwards, 0),
    )


def pruned_pass(model: nn.Module, split: Split, steps: int) -> Results:
    """The first phase alone."""
    batches = ordered_batches(split, 100)
    return critical_strengths(
        model, batches, attack_suite("short", steps=steps), GRID, 3, mode="fast"
    )


def test_fast_mode_costs_less_on_ordinary_models_with_the_same_results(short_runs_are_pruned):
    """Up to noise: 2 of 100 samples."""
    model = net(3)
    split, options = split_for(model, 100), {"steps": 40, "batch_size": 100}
    fast, exact = (evaluate(model, split, mode=mode, **options) for mode in ("fast", "exact"))
    assert fast.pruning is not None
    assert not fast.pruning.escalated
    assert np.abs(fast.results.critical - exact.results.critical).sum() <= 2
    robust = (exact.results.critical == len(GRID)).sum()
    assert 10 < robust < 90
    assert fast.results.forwards_total < 0.7 * exact.results.forwards_total
    assert fast.results.backwards_total < 0.7 * exact.results.backwards_total
    assert 0 < fast.results.rechecked.sum() <= 20
    assert not exact.results.rechecked.any()
    # Only rechecked samples made all runs in full.
    np.testing.assert_array_equal(fast.results.pruned[fast.results.rechecked], 0)


def test_the_rechecked_fraction_is_the_given_one(short_runs_are_pruned):
    """Samples with pruned runs; seed, sample and its strength decide which ones."""
    model = net(3)
    split = split_for(model, 400)
    done = evaluate(model, split, steps=8, batch_size=400, largest_error=0.1)
    hidden = pruned_pass(model, split, 8)
    first = next(Plan(400, 0.1).draws(hidden, GRID, 3))
    assert done.pruning is not None
    assert done.pruning.excluded == 0.1
    assert (hidden.pruned > 0).sum() == done.pruning.gave_up > 100
    assert (first <= done.results.rechecked).all()
    assert 0.01 < first.sum() / done.pruning.gave_up < 0.12


def test_an_interrupted_recheck_resumes_with_the_same_results(tmp_path, short_runs_are_pruned):
    """Its images are in a phase of their own, and those of another size are not used."""
    model = net(3)
    split, options = split_for(model, 100), {"steps": 10}
    alone = evaluate(model, split, **options)
    partial = PartialResults(tmp_path, {})
    evaluate(model, subset(split, limit=60), partial_results=partial, **options)
    seen: list[int] = []
    parts = shared(2, model, split, partial_results=tmp_path, on_progress=seen.append, **options)
    assert alone.results.rechecked.any()
    assert same(parts[0].results, alone.results)
    assert parts[0].pruning == parts[1].pruning == alone.pruning
    assert parts[0].resumed == 60


def test_the_sentinel_counts_stages_of_the_criterion():
    """With a target class untargeted FAB is left out, so later stages have other indices."""
    model = net(1)
    split, options = split_for(model, 30), {"steps": 6, "criterion": Criterion(target="likely")}
    found = evaluate(model, split, "plus", **options)
    stages = Criterion(target="likely").stages(attack_suite("plus").stages())
    late = [k for k, stage in enumerate(stages) if stage.name in ("square", "fab-t")]
    assert found.pruning is not None
    assert found.pruning.sentinel == np.isin(found.results.stage, late).sum()
    assert len(stages) == 5


def test_other_types_than_split_are_refused():
    with pytest.raises(InvalidArgument, match="Split.of_tensors"):
        evaluate(net(1), [(torch.rand(1, 8, 8), 0)])
