import torch

from rampart.attacks.algorithm import Output
from rampart.attacks.square import SquareWalk
from rampart.evaluation.engine.lookahead import Lookahead, share

AGES = torch.tensor([3, 90, 40])


def output(values: list[float], is_adv: list[bool]) -> Output:
    some = torch.tensor(values)
    return Output(some, torch.tensor(is_adv), torch.zeros(len(some), 1, 1, 1), some[:, None])


def walk(values: list[float]) -> SquareWalk:
    points = torch.zeros(3, 1, 1, 1)
    return SquareWalk(points, torch.tensor(values), AGES, torch.ones(3, dtype=torch.float64))


def test_old_runs_get_the_spare_queries_first_and_no_run_more_than_it_has_room_for():
    assert share(0, [3, 90, 40], [9, 9, 9]) == [1, 1, 1]
    assert share(1, [3, 90, 40], [9, 9, 9]) == [1, 2, 1]
    assert share(5, [3, 90, 40], [9, 9, 9]) == [2, 3, 3]
    assert share(5, [3, 90, 40], [9, 2, 1]) == [5, 2, 1]
    assert share(50, [3, 90, 40], [2, 2, 1]) == [2, 2, 1]


def test_no_query_goes_beyond_the_next_age_at_which_a_run_may_be_stopped():
    ahead = Lookahead.of(AGES, 50, [50, 92, 100])
    assert ahead.counts.tolist() == [41, 2, 10]
    assert (AGES + ahead.counts).max() <= 92
    assert len(ahead.place) == ahead.counts.sum()


def test_a_run_continues_after_the_first_query_that_improves_or_succeeds():
    ahead = Lookahead.of(AGES, 5, [100])
    assert ahead.place.tolist() == [0, 0, 1, 1, 1, 2, 2, 2]
    assert ahead.offset.tolist() == [0, 1, 0, 1, 2, 0, 1, 2]
    state = walk([0.0, 0.0, 0.0])
    # The first run never improves, the second at its second query, the third succeeds at its first.
    values = [-1.0, -1.0, -1.0, 1.0, 2.0, -1.0, 3.0, -1.0]
    hits = [False, False, False, False, False, True, False, False]
    used = ahead.used(state, output(values, hits))
    assert used.tolist() == [1, 1, 0]
    assert ahead.rows(used).tolist() == [1, 3, 5]
    gaps = -torch.tensor(values)
    assert ahead.smallest(torch.full((3,), 5.0), gaps, used).tolist() == [1.0, -1.0, 1.0]
