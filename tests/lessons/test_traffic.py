"""What travels between devices: counted by hand, by loops, and in networks whose times can be worked out."""

import pytest
import torch
from small import generator

from moe_lite.lessons import traffic
from moe_lite.lessons.traffic import Network, balanced, exchange, placed, places_by_load, sent, spread


def drawn(n: int, n_experts: int, k: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, n_experts, generator=generator(seed)).topk(k).indices


def test_spread_gives_neighbours_the_same_device() -> None:
    assert spread(6, 3).tolist() == [0, 0, 1, 1, 2, 2]
    with pytest.raises(ValueError, match="7 cannot be shared out evenly over 3 devices"):
        spread(7, 3)


@pytest.mark.parametrize("once", [True, False])
def test_sent_is_what_a_loop_counts(once: bool) -> None:
    ids, homes, places = drawn(40, 8, 3), torch.arange(40) % 4, torch.tensor([0, 0, 3, 1, 1, 3, 3, 0])
    expected = torch.zeros(4, 4, dtype=torch.int64)
    for experts, home in zip(ids.tolist(), homes.tolist(), strict=True):
        to = [int(places[e]) for e in experts]
        for device in set(to) if once else to:
            expected[home, device] += 1
    assert torch.equal(sent(ids, homes, places, 4, once), expected)
    assert traffic.crossing(expected) == int(expected.sum() - expected.trace())


def test_bytes_between_counts_each_device_once_and_nothing_at_home() -> None:
    ids, homes, places = torch.tensor([[0, 1], [2, 3], [0, 2]]), torch.tensor([0, 0, 1]), torch.tensor([0, 0, 1, 1])
    assert traffic.bytes_between(ids, homes, places, 3, 10).tolist() == [[0, 10, 0], [10, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("once", [True, False])
def test_the_expected_crossing_is_the_mean_of_random_choices(once: bool) -> None:
    n, m, k = 4000, 4, 3
    ids, homes, places = drawn(n, 400, k), torch.zeros(n, dtype=torch.int64), spread(400, m)
    counted = traffic.crossing(sent(ids, homes, places, m, once)) / n
    assert traffic.expected_crossing(k, m, once) == pytest.approx(counted, abs=0.03)
    few = traffic.crossing(sent(drawn(n, 8, k), homes, spread(8, m), m, once)) / n
    assert traffic.expected_crossing(k, m, once, n_experts=8) == pytest.approx(few, abs=0.03)


def test_an_exchange_takes_as_long_as_its_slowest_device() -> None:
    matrix = torch.tensor([[5, 1, 0, 4], [0, 5, 0, 0], [0, 0, 5, 2], [0, 0, 0, 5]])
    network = Network(per_node=2, within=100, between=10, latency=0.5)
    found = exchange(matrix, network, n_bytes=10)
    # device 0: 1 vector within, 4 between: 0.1 and 4 s. device 3 receives 2 within and 4 between
    assert (found.within, found.between, found.bytes) == (30, 40, 70)
    assert found.seconds == pytest.approx(4.5)
    assert found.mean_seconds == pytest.approx(1.5)  # 40 bytes over 4 devices at 10 per second
    assert found.slowest in (0, 3)


def test_a_forwarded_vector_goes_to_a_node_once_and_is_passed_on_inside() -> None:
    """Counted by a loop: three nodes of two devices."""
    m, per_node, n_bytes = 6, 2, 10
    ids, places = drawn(60, 12, 4), spread(12, m)
    homes = torch.arange(60) % m
    within, between = torch.zeros(m, m), torch.zeros(m, m)
    hops: list[int] = []
    for experts, home in zip(ids.tolist(), homes.tolist(), strict=True):
        goals = {int(places[e]) for e in experts}
        for node in {goal // per_node for goal in goals}:
            away = node != home // per_node
            landing = node * per_node + home % per_node
            between[home, landing] += n_bytes * away
            for goal in (goal for goal in goals if goal // per_node == node):
                within[landing, goal] += n_bytes * (goal != landing)
                if goal != home:
                    hops.append(away + (goal != landing))
    network = Network(per_node, within=100, between=10, latency=0.5)
    found = traffic.forwarded(ids, homes, places, m, network, n_bytes)
    assert (found.within, found.between) == (int(within.sum()), int(between.sum()))
    assert found.hops == pytest.approx(sum(hops) / len(hops)) and 1 < found.hops < 2
    loads = [within.sum(0) / 100, within.sum(1) / 100, between.sum(0) / 10, between.sum(1) / 10]
    assert found.seconds == pytest.approx(float(torch.stack(loads).max()) + 2 * 0.5)
    direct = exchange(sent(ids, homes, places, m), network, n_bytes)
    assert direct.hops == 1 and found.between < direct.between and found.mean_seconds < direct.mean_seconds


def test_in_one_node_nothing_is_forwarded() -> None:
    ids, homes, places, network = drawn(40, 8, 3), torch.arange(40) % 4, spread(8, 4), Network(4, 100, 10, 0.5)
    found = traffic.forwarded(ids, homes, places, 4, network, 10)
    assert found == exchange(sent(ids, homes, places, 4), network, 10)
    stays = traffic.forwarded(
        torch.zeros(4, 1, dtype=torch.int64), torch.zeros(4, dtype=torch.int64), places, 4, network, 10
    )
    assert (stays.bytes, stays.seconds, stays.hops) == (0, 0, 0)
    with pytest.raises(ValueError, match="5 devices do not fill nodes of 4"):
        traffic.forwarded(ids, homes, places, 5, network, 10)


def test_who_sends_and_who_receives_most_can_be_the_slowest() -> None:
    network = Network(per_node=2, within=100, between=10)
    matrix = torch.tensor([[0, 0, 0, 2], [0, 0, 0, 2], [0, 0, 0, 0], [0, 0, 0, 0]])
    received = exchange(matrix, network, n_bytes=10)
    assert (received.seconds, received.slowest) == (pytest.approx(4), 3)  # each sender is done after 2
    sent_ = exchange(matrix.T, network, n_bytes=10)
    assert (sent_.seconds, sent_.slowest) == (pytest.approx(4), 3)


def test_nothing_sent_takes_no_time_and_devices_must_fill_their_nodes() -> None:
    network = Network(2, 100, 10, latency=0.5)
    assert exchange(torch.eye(4, dtype=torch.int64), network, 10).seconds == 0
    with pytest.raises(ValueError, match="3 devices do not fill nodes of 2"):
        exchange(torch.zeros(3, 3), network, 10)


def test_a_network_of_thousands_of_devices() -> None:
    m, n, k = 2048, 8192, 8
    matrix = sent(drawn(n, m, k), torch.arange(n) % m, torch.arange(m), m)
    found = exchange(matrix, Network(8, 160e9, 50e9), 7168)
    assert int(matrix.sum()) == n * k
    assert found.between > 100 * found.within
    assert found.seconds >= found.mean_seconds > 0


def test_places_by_load_by_hand() -> None:
    assert places_by_load(torch.tensor([9, 1, 8, 2]), 2).tolist() == [0, 0, 1, 1]
    assert places_by_load(torch.tensor([5, 5, 5, 5]), 2).tolist() == [0, 1, 0, 1]
    assert places_by_load(torch.tensor([9, 4, 3, 2, 1, 0]), 2).tolist() == [0, 1, 1, 1, 0, 0]  # room counts


@pytest.mark.parametrize("seed", range(10))
def test_placing_by_load_beats_neighbours_and_copies_help_where_one_expert_is_hot(seed: int) -> None:
    load = (torch.rand(16, generator=generator(seed)).exp() ** 4 * 100).long()
    neighbours = placed(load, [range(4 * d, 4 * d + 4) for d in range(4)])
    places = places_by_load(load, 4)
    assert torch.bincount(places).tolist() == [4] * 4
    by_load = placed(load, [(places == d).nonzero().flatten().tolist() for d in range(4)])
    copied = balanced(load, 4, 5)
    assert neighbours.load.sum() == by_load.load.sum() == pytest.approx(float(copied.load.sum()))
    assert by_load.imbalance <= neighbours.imbalance
    assert all(len(held) == 5 for held in copied.experts)
    assert {e for held in copied.experts for e in held} == set(range(16))
    load[3] = load.sum()  # half of all
    places = places_by_load(load, 4)
    alone = placed(load, [(places == d).nonzero().flatten().tolist() for d in range(4)])
    assert alone.imbalance > 2 > 1.3 > balanced(load, 4, 5).imbalance


def test_a_hot_expert_is_copied_and_what_does_not_fit_is_refused() -> None:
    copied = balanced(torch.tensor([90, 10, 10, 10]), 3, 2)
    assert sum(held.count(0) for held in copied.experts) == 3
    assert copied.imbalance == pytest.approx(1.0)
    # the second copy goes to whose copies have most to do each, not again to the hottest; and never twice to a device
    shared = balanced(torch.tensor([60, 50, 10, 10, 10, 10]), 4, 2)
    held = [e for experts in shared.experts for e in experts]
    assert [held.count(e) for e in range(6)] == [2, 2, 1, 1, 1, 1]
    assert all(len(set(experts)) == 2 for experts in shared.experts)
    apart = balanced(torch.tensor([100, 60, 5, 5]), 3, 2)  # the device of one copy of 1 has still the least to do
    assert all(len(set(experts)) == 2 for experts in apart.experts)
    with pytest.raises(ValueError, match="2 devices with 1 slots cannot hold 4 experts"):
        balanced(torch.ones(4), 2, 1)
    with pytest.raises(ValueError, match="Expert 2 stands on no device"):
        placed(torch.ones(3), [[0], [1]])
