"""Options that do not exist: the error says which key or option to write."""

import pytest


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["train", "--model", "X", "data=Y", "-o", "r"], "write model=X"),
        (["train", "--epochs=3", "-o", "r"], "write training.epochs=3"),
        (["train", "--threat.eps", "4/255", "-o", "r"], "write threat.eps=4/255"),
        (["train", "--batch-size", "8", "-o", "r"], "training.batch_size=8 or evaluation.batch"),
        (["evaluate", "m", "--limit", "8"], "write evaluation.limit=8"),
        (["evaluate", "m", "--steps", "8"], "write evaluation.attack.steps=8,"),
        (["evaluate", "m", "--attack", "standard"], "write evaluation.attack=standard"),
        (["evaluate", "m", "--norm", "l2"], "write threat.norm=l2"),
        (["evaluate", "m", "--overwite"], "did you mean --overwrite"),
        (["evaluate"], "'model'"),
        (["train", "model=a"], "'--output'"),
        (["study", "run", "a.yaml", "-o", "x", "--workers", "many"], "--workers"),
        (["study", "run", "a.yaml"], "see `rampart study run --help`"),
        (["study", "rnu", "a.yaml"], "unknown verb of `rampart study` 'rnu': did you mean run"),
        (["study", "run", "a", "-o", "x", "--output=y"], "each option once"),
        (["train", "model=a", "-o", "x", "--output=y"], "each option once"),
        (["preview", "two-hinge", "--start", "12"], "write start=12"),
        (["trian"], "unknown verb 'trian': did you mean train"),
        (["--resume", "train", "-o", "r"], "`rampart train ... --resume`"),
    ],
)
def test_the_error_says_what_to_write(typed, words, says):
    result = typed(*words)
    assert result.status == 2
    assert result.err.startswith("rampart: ")
    assert result.err.count("\n") == 1
    assert says in result.err


@pytest.mark.parametrize(("words", "verb"), [((), "linear-probe"), (("study",), "run")])
def test_no_verb_prints_the_help(typed, words, verb):
    result = typed(*words)
    assert result.status == 2
    assert verb in result.out


def test_a_key_twice_is_refused(typed):
    said = typed("train", "model=a", "data=b", "seed=1", "seed=2", "-o", "r").err
    assert said.startswith("rampart: settings=seed=1 seed=2: expected each key once")
