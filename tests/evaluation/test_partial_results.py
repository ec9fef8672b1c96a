import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_results import made_up, owned, same

from rampart.errors import RunError
from rampart.evaluation.partial_results import Buffer, PartialResults, read_results, write_results
from rampart.evaluation.results import Results

IDENTITY = {"threat": {"norm": "linf", "eps": 4 / 255}, "seed": 3, "grid": (0.0, 1 / 255)}


def parts(folder: Path) -> list[Path]:
    return sorted((folder / "parts").glob("*"))


@settings(max_examples=30, deadline=None)
@given(
    indices=st.lists(st.integers(0, 2**40), max_size=8),
    seed=st.integers(0, 99),
    adversarial_examples=st.booleans(),
)
def test_results_come_back_from_a_file(tmp_path_factory, indices, seed, adversarial_examples):
    results, file = (
        made_up(indices, seed, adversarial_examples),
        tmp_path_factory.mktemp("part") / "part",
    )
    write_results(file, results)
    assert same(read_results(file), results)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_kill_loses_only_samples_in_progress(tmp_path_factory, data):
    """Each process is killed while it writes a part; the parts before remain."""
    folder, left, done = tmp_path_factory.mktemp("partial_results"), set(range(30)), set()
    for seed in range(data.draw(st.integers(1, 3))):
        processes = data.draw(st.integers(1, 3))
        several = [PartialResults(folder, IDENTITY, rank) for rank in range(processes)]
        assert set(several[0].read().indices.tolist()) == done
        for partial_results in several:
            mine = set(data.draw(st.lists(st.sampled_from(sorted(left)), max_size=4))) & left
            partial_results.append(made_up(sorted(mine), seed))
            left, done = left - mine, done | mine
        torn = made_up(sorted(left)[:3], seed)
        write_results(folder / "torn", torn)
        whole = (folder / "torn").read_bytes()
        (folder / "torn").unlink()
        written = whole[: data.draw(st.integers(0, len(whole)))]
        name = f"0000-{seed:08d}-0-0123456789a{seed}.parquet"
        (folder / "parts").mkdir(exist_ok=True)
        (folder / "parts" / f".{name}.17.tmp").write_bytes(written)
        # Renamed before its content was on disk, as a failing disk may do.
        (folder / "parts" / name).write_bytes(written[: len(whole) - 1])
    found = PartialResults(folder, IDENTITY).read()
    assert set(found.indices.tolist()) == done
    assert found.adversarial_examples is None or owned(found)
    PartialResults(folder, IDENTITY).remove()
    assert not folder.exists()


def test_a_killed_process_leaves_whole_parts_only(tmp_path):
    script = (
        "import itertools, sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_results import made_up\n"
        "from rampart.evaluation.partial_results import PartialResults\n"
        f"partial_results = PartialResults({str(tmp_path / 'partial_results')!r}, {IDENTITY!r})\n"
        "for i in itertools.count():\n"
        "    partial_results.append(made_up(range(5 * i, 5 * i + 5), i))\n"
        "    print(i, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(7):
        last = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    last = max([last, *map(int, process.stdout.read().split())])
    process.wait()
    process.stdout.close()
    found = PartialResults(tmp_path / "partial_results", IDENTITY, rank=1).read()
    assert len(found) % 5 == 0
    assert len(found) // 5 in (last + 1, last + 2)
    expected = Results.concatenate(
        [made_up(range(5 * i, 5 * i + 5), i) for i in range(len(found) // 5)]
    )
    assert same(found, expected)


def test_a_later_phase_replaces_an_earlier_one(tmp_path):
    fast, exact = made_up([1, 2, 3], 0), made_up([2, 3], 5)
    partial_results = PartialResults(tmp_path, IDENTITY)
    partial_results.append(exact, phase=1)
    PartialResults(tmp_path, IDENTITY, rank=1).append(fast, phase=0)
    assert same(partial_results.read(), Results.concatenate([fast, exact]).latest())
    assert same(partial_results.read(phase=0), fast)
    assert same(partial_results.read(phase=1), exact)
    assert not len(partial_results.read(phase=2))


def test_results_can_be_read_without_the_adversarial_examples(tmp_path):
    partial_results, results = PartialResults(tmp_path, IDENTITY), made_up(range(9))
    partial_results.append(results)
    assert results.adversarial_examples is not None
    assert same(
        partial_results.read(adversarial_examples=False),
        replace(results, adversarial_examples=None, adversarial_rows=None),
    )


def test_within_a_phase_the_last_written_counts_also_after_a_restart(tmp_path):
    for seed in range(12):
        PartialResults(tmp_path, IDENTITY, rank=seed % 3).append(made_up([4, 5], seed))
    assert same(PartialResults(tmp_path, IDENTITY).read(), made_up([4, 5], 11))


def test_other_files_are_neither_read_nor_removed(tmp_path):
    partial_results = PartialResults(tmp_path / "partial_results", IDENTITY)
    partial_results.append(made_up([1]))
    other = tmp_path / "partial_results" / "parts" / "notes.parquet"
    write_results(other, made_up([9]))
    assert partial_results.read().indices.tolist() == [1]
    partial_results.remove()
    assert parts(tmp_path / "partial_results") == [other]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 4}, r"seed \(3 there, 4 now\).*--overwrite"),
        ({"threat": {"norm": "l2", "eps": 4 / 255}}, r'threat.norm \("linf" there, "l2" now\)'),
        ({"attack_suite": "short"}, r'attack_suite \(absent there, "short" now\)'),
        ({"seed": None}, r"seed \(3 there, null now\)"),
    ],
)
def test_another_evaluation_is_refused(tmp_path, changes, message):
    PartialResults(tmp_path, IDENTITY)
    with pytest.raises(RunError, match=message):
        PartialResults(tmp_path, {**IDENTITY, **changes})
    with pytest.raises(RunError, match="seed"):
        PartialResults(tmp_path, {k: v for k, v in IDENTITY.items() if k != "seed"})
    PartialResults(tmp_path, json.loads(json.dumps(IDENTITY)))


@pytest.mark.parametrize("content", ["", "{", "[]", "[" * 100_000, "\udcff"])
def test_a_damaged_identity_is_refused(tmp_path, content):
    (tmp_path / "identity.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(RunError, match="--overwrite"):
        PartialResults(tmp_path, IDENTITY)


def test_parts_without_identity_are_refused(tmp_path):
    PartialResults(tmp_path, IDENTITY).append(made_up([1]))
    (tmp_path / "identity.json").unlink()
    with pytest.raises(RunError, match="identity.json"):
        PartialResults(tmp_path, IDENTITY)


@pytest.mark.parametrize("byte", range(0, 2000, 37))
def test_a_changed_byte_never_changes_a_result(tmp_path, byte):
    """Either the damaged part is ignored, or the byte has no meaning."""
    partial_results, results = PartialResults(tmp_path, IDENTITY), made_up(range(6))
    partial_results.append(results)
    file = parts(tmp_path)[0]
    content = bytearray(file.read_bytes())
    content[byte % len(content)] ^= 0x10
    file.write_bytes(content)
    found = partial_results.read()
    assert not len(found) or same(found, results)


def test_the_buffer_writes_few_parts_in_a_long_evaluation(tmp_path, monkeypatch):
    now, written = [0.0], []
    partial_results = PartialResults(tmp_path, IDENTITY)
    monkeypatch.setattr(
        partial_results, "append", lambda results, phase: written.append(results.indices)
    )
    with Buffer(partial_results, clock=lambda: now[0]) as buffer:
        for sample in range(4_000):
            now[0] += 9
            buffer.add(made_up([sample], adversarial_examples=False).select([0]))
    assert 300 < len(written) < 700
    assert np.concatenate(written).tolist() == list(range(4_000))


def test_the_buffer_writes_waiting_samples_after_an_error_and_between_phases(tmp_path):
    partial_results = PartialResults(tmp_path, IDENTITY)

    def evaluate():
        with Buffer(partial_results, clock=lambda: 0.0) as buffer:
            buffer.add(made_up([1]), phase=0)
            buffer.add(made_up([1, 2], 3), phase=1)
            assert partial_results.read().indices.tolist() == [1]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate()
    assert same(partial_results.read(), made_up([1, 2], 3))


def test_the_buffer_does_not_hold_many_adversarial_examples(tmp_path, monkeypatch):
    monkeypatch.setattr(Buffer, "BYTES", 64)
    partial_results = PartialResults(tmp_path, IDENTITY)
    buffer = Buffer(partial_results, clock=time.monotonic)
    buffer.add(made_up(range(20)))
    assert len(partial_results.read()) == 20


def test_adversarial_examples_are_collected_in_a_file(tmp_path):
    partial_results, first, second = (
        PartialResults(tmp_path, IDENTITY),
        made_up(range(9)),
        made_up([3, 4, 20], 5),
    )
    assert first.adversarial_examples is not None
    for rows in (slice(5, 9), slice(0, 5)):
        partial_results.append(first.select(np.arange(9)[rows]))
    partial_results.append(second, phase=1)
    whole = Results.concatenate([first, second]).latest()
    images = partial_results.adversarial_examples(whole.without_adversarial_examples())
    assert isinstance(images, np.memmap)
    assert np.array_equal(images, whole.adversarial_examples)
    partial_results.remove()
    assert not tmp_path.exists()


def test_a_missing_adversarial_example_is_reported(tmp_path):
    partial_results, results = PartialResults(tmp_path, IDENTITY), made_up(range(9))
    partial_results.append(results.select(np.arange(6)))
    assert results.found[6:].any()
    with pytest.raises(RunError, match="lacks the adversarial examples"):
        partial_results.adversarial_examples(results)


def test_without_a_success_there_are_no_adversarial_examples(tmp_path):
    results = made_up(range(9))
    assert (
        PartialResults(tmp_path, IDENTITY).adversarial_examples(results.select(~results.found))
        is None
    )
