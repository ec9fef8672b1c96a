import numpy as np
import pytest

from rampart.errors import MissingExtra
from rampart.evaluation.label_check import LabelCheck, find_suspects

pytest.importorskip("cleanlab")

CLASSES = 4


def planted(n=200, wrong=20):
    """Probabilities that know the true class, and labels of which the first `wrong` are wrong."""
    true = np.arange(n) % CLASSES
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(CLASSES), n) * 0.3 + 0.7 * np.eye(CLASSES)[true]
    labels = true.copy()
    labels[:wrong] = (true[:wrong] + 1) % CLASSES
    return true, labels, probabilities


def confident_errors(labels, probabilities):
    """The off-diagonal of the confident joint, by its definition (arXiv 1911.00068, eq. 1, 2)."""
    limits = [probabilities[labels == k, k].mean() for k in range(CLASSES)]
    found = []
    for row, own in enumerate(probabilities):
        above = [k for k in range(CLASSES) if own[k] >= limits[k]]
        if above and max(above, key=lambda k: own[k]) != labels[row]:
            found.append(row)
    return found


def test_planted_errors_are_found_and_the_likeliest_come_first():
    _, labels, probabilities = planted()
    suspects = find_suspects(labels, probabilities)
    confident, found = set(confident_errors(labels, probabilities)), set(suspects.tolist())
    assert found <= set(range(20))
    # A second rule has to name a label too, so a few are left out.
    assert len(found & confident) >= 0.9 * len(confident) > 10
    own = probabilities[np.arange(200), labels]
    margins = own - np.where(np.eye(CLASSES)[labels] == 1, -1, probabilities).max(1)
    assert (np.diff(margins[suspects]) >= 0).all()


def test_classes_that_do_not_occur_are_left_out():
    _, labels, probabilities = planted()
    wide = np.hstack([probabilities * 0.9, np.full((200, 1), 0.1)])
    assert np.array_equal(find_suspects(labels, wide), find_suspects(labels, probabilities))


def test_precision_and_recall_count_labels_that_were_made_wrong():
    true, labels, probabilities = planted()
    suspects = np.array([0, 1, 2, 150])
    ids = [f"{number}.png" for number in range(200)]
    checked = LabelCheck(ids, list("abcd"), labels, probabilities, suspects, true)
    assert checked.found_noise() == {"precision": 0.75, "recall": 3 / 20}
    assert checked.agreement == 0.9
    first = checked.rows()[0]
    assert (first["rank"], first["image"], first["label"]) == (1, "0.png", "b")
    assert (first["likelier"], first["true_label"]) == ("a", "a")
    plain = LabelCheck(ids, list("abcd"), labels, probabilities, suspects)
    assert plain.found_noise() is None
    assert "true_label" not in plain.rows()[0]


def test_without_cleanlab_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("rampart.extras.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"\[labels\]"):
        find_suspects(*planted()[1:])
