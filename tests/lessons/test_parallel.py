"""Experts on real processes: the loss and the gradients of one process, in every case; and an end when one fails."""

import os
import signal

import pytest
import torch
from small import small_config

from moe_lite import ModelConfig
from moe_lite.lessons import parallel, processes
from moe_lite.lessons.parallel import RankError, alone, largest_difference, loss_weights, run, split_sizes

SETTINGS = {"vocab_size": 61, "n_layers": 2, "d_model": 16, "n_heads": 4, "n_kv_heads": 2, "context_length": 32}
CONFIG = ModelConfig(**SETTINGS, n_experts=8, top_k=2, d_expert=12, init_std=0.2, balance_coef=0.1)
LIMITED = ModelConfig(
    **SETTINGS, n_experts=8, top_k=2, d_expert=12, init_std=0.2, balance_coef=0.0, capacity_factor=0.8
)
SHARED = ModelConfig(**SETTINGS, n_experts=4, top_k=1, d_expert=12, init_std=0.2, n_shared_experts=1, renorm=False)


def parts(config: ModelConfig, rows: list[int], steps: int = 1) -> list:
    batches = [parallel.random_batch(config, sum(rows), 10, seed) for seed in range(steps)]
    return [parallel.shares_of(batch, rows) for batch in batches]


def unasked(config: ModelConfig, rows: list[int]) -> list:
    """Every row the same token: some processes' experts are needed by nobody."""
    ids = torch.full((sum(rows), 10), 7)
    return [parallel.shares_of((ids, ids), rows)]


CASES = {
    "equal parts": (CONFIG, parts(CONFIG, [2, 2, 2, 2])),
    "unequal parts": (CONFIG, parts(CONFIG, [4, 1, 2, 1])),
    "a process without tokens": (CONFIG, parts(CONFIG, [3, 0, 5, 0])),
    "experts that nobody needs": (CONFIG, unasked(CONFIG, [1, 1, 1, 1])),
    "a capacity": (LIMITED, parts(LIMITED, [3, 1, 2, 2])),
    "a shared expert": (SHARED, parts(SHARED, [2, 2, 2, 2])),
    "training": (CONFIG, parts(CONFIG, [2, 1, 3, 2], steps=4)),
}
LR = {"training": 1e-2}


def every_case(rank: int, n_ranks: int) -> dict:
    return {
        name: parallel.work(rank, n_ranks, config, batches, lr=LR.get(name, 0.0))
        for name, (config, batches) in CASES.items()
    }


@pytest.fixture(scope="module")
def found() -> list[dict]:
    return run(every_case, 4)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_loss_and_gradients_are_those_of_one_process(name: str, found) -> None:
    config, batches = CASES[name]
    losses, gradients = alone(config, batches, lr=LR.get(name, 0.0))
    results = [of_rank[name] for of_rank in found]
    for result in results:
        assert result.losses == pytest.approx(losses, abs=1e-5)
    assert largest_difference(results, gradients) < 1e-5
    assert max(float(g.abs().max()) for g in gradients.values()) > 1e-3


@pytest.mark.slow
def test_a_difference_would_be_seen(found) -> None:
    """A gradient that is averaged instead of added is far off."""
    config, batches = CASES["equal parts"]
    _, gradients = alone(config, batches)
    results = [of_rank["equal parts"] for of_rank in found]
    for i, result in enumerate(results):
        averaged = {name: g / 4 if ".experts." in name else g for name, g in result.gradients.items()}
        wrong = [*results[:i], result._replace(gradients=averaged), *results[i + 1 :]]
        assert largest_difference(wrong, gradients) > 1e-4


@pytest.mark.slow
def test_what_was_sent_is_every_choice(found) -> None:
    config, batches = CASES["unequal parts"]
    for rank, of_rank in enumerate(found):
        rows = len(batches[0][rank][0])
        assert of_rank["unequal parts"].sent.sum(dim=2).tolist() == [[rows * 10 * config.top_k] * 2]


@pytest.mark.slow
def test_a_training_ends_with_less_loss_and_tells_its_times(found) -> None:
    result = found[0]["training"]
    assert len(result.losses) == 4
    assert result.computing > 0
    assert result.waiting > 0


# ---- processes that fail ---------------------------------------------------------------------------------------------


def one_raises(rank: int, n_ranks: int) -> None:
    if rank == 1:
        raise KeyError("no such expert")
    torch.distributed.barrier()


def one_dies(rank: int, n_ranks: int) -> None:
    if rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    torch.distributed.barrier()


def one_sleeps(rank: int, n_ranks: int) -> None:
    if rank == 1:
        signal.pause()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("work", "said", "timeout"),
    [
        (one_raises, r"Process 1 of 2 failed: KeyError: 'no such expert'", 60),
        (one_dies, r"Process 1 of 2 was ended from outside, by signal 9", 60),
        (one_sleeps, r"After the time limit, processes \[0, 1\] of 2 were still at work", 12),
    ],
)
def test_a_process_that_fails_ends_the_run_with_its_name(work, said: str, timeout: float) -> None:
    with pytest.raises(RankError, match=said):
        run(work, 2, timeout=timeout)
    assert torch.multiprocessing.active_children() == []


@pytest.mark.slow
def test_an_interrupt_leaves_no_process_behind(monkeypatch) -> None:
    def interrupted(*_) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(processes, "_wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(one_sleeps, 2)
    assert torch.multiprocessing.active_children() == []


# ---- arithmetic ------------------------------------------------------------------------------------------------------


def test_split_sizes_by_hand() -> None:
    order, send = split_sizes(torch.tensor([5, 0, 5, 1]), 8, 4)
    assert order.tolist() == [1, 3, 0, 2]
    assert send.tolist() == [2, 0, 2, 0]


def test_loss_weights_are_shares() -> None:
    assert loss_weights(torch.tensor([3, 0, 1])).tolist() == [0.75, 0, 0.25]


def test_what_does_not_fit_is_refused() -> None:
    from moe_lite import MoELanguageModel

    with pytest.raises(ValueError, match="5 experts cannot be shared out evenly among 2 processes"):
        parallel.parallel(MoELanguageModel(small_config()), 0, 2)
    with pytest.raises(ValueError, match="knows plain SwiGLU experts"):
        parallel.parallel(MoELanguageModel(small_config(expert="geglu", n_experts=4)), 0, 2)
    with pytest.raises(ValueError, match="balance is 'gshard'"):
        parallel.parallel(MoELanguageModel(small_config(balance="gshard", n_experts=4)), 0, 2)
    with pytest.raises(ValueError, match="Parts of \\[1, 1\\] rows make 2, but the batch has 3"):
        parallel.shares_of(parallel.random_batch(CONFIG, 3, 4), [1, 1])
    with pytest.raises(ValueError, match="n_ranks is 0"):
        run(one_raises, 0)


@pytest.mark.slow
def test_the_command_prints_the_equality(capsys) -> None:
    parallel.main(["--processes", "2"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "2 processes, 4 of 8 experts each"
    assert len(lines) == 5
    with pytest.raises(SystemExit, match="--processes is 3"):
        parallel.main(["--processes", "3"])
