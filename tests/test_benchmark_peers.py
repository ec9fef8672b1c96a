"""The comparison with other libraries works on a small network, and notices a weak attack."""

import pytest
import torch
from benchmarks import peers


@pytest.fixture(scope="module")
def rows():
    with peers.one_thread():
        images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        return list(peers.measure(peers.network("test_vit", 32), images, 2, 1, say=lambda _: None))


def test_every_pgd_reaches_the_loss_of_the_loop_by_hand(rows):
    by_library = {row["library"]: row for row in rows if row["attack"] == "pgd"}
    loss = by_library.pop("by hand")["loss"]
    assert {"rampart", "torchattacks"} <= by_library.keys()
    for name in ("rampart", "torchattacks"):
        assert by_library[name]["loss"] == pytest.approx(loss, rel=1e-3)
    assert all(row["of_floor"] > 0 for row in rows)
    assert peers.weaker(rows) == []


def test_a_weak_attack_and_a_missing_library_are_named(rows):
    weak = {"attack": "pgd", "library": "weak", "misled": -1.0}
    assert peers.weaker([*rows, weak]) == ["pgd of weak"]
    said = []
    found = peers.attacks("pgd", said.append)
    assert {"by hand", "rampart"} <= found.keys()
    missing = {name for name, _, _ in peers.PEERS["pgd"]} - found.keys()
    assert len(said) == len(missing)
    assert all("is left out" in line for line in said)


def test_the_training_step_is_that_of_the_plain_loop():
    row = peers.measure_training("test_vit", 32, 4, rounds=1)
    assert row["loss_rampart"] == pytest.approx(row["loss_plain"], rel=1e-3)
    assert row["of_plain"] > 0
