"""Expert parallelism: every process holds some of each layer's experts, and the tokens travel to them and back.

All else, embeddings, attention and routers, is on every process, as in data parallelism: each works on its own part of
the batch. GShard (arXiv 2006.16668) does it so, with processes on two thousand chips; here they are on one machine and
talk through PyTorch's gloo.

    results = run(one_step, 2, config, parts)       # two real processes
    python -m moe_lite.lessons.parallel             # is it the same loss and the same gradient as on one?
"""

import argparse
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn

from moe_lite.lessons.processes import RankError, run  # noqa: F401 - whoever runs something here meets the error
from moe_lite.model.config import ModelConfig
from moe_lite.model.experts import PLAIN, Experts
from moe_lite.model.fast import each_expert
from moe_lite.model.routing import Routing
from moe_lite.model.transformer import MoELanguageModel

# ---- arithmetic that a learner writes --------------------------------------------------------------------------------


def split_sizes(expert_ids: Tensor, n_experts: int, n_ranks: int) -> tuple[Tensor, Tensor]:
    """How a process prepares its rows for an all-to-all, if every process holds as many neighbouring experts.

    expert_ids (A,) int64, the expert of each row -> order (A,) int64, by expert, rows of one expert as they stand; and
    send (n_ranks,) int64, how many rows go to each process.
    """
    order = expert_ids.argsort(stable=True)
    return order, torch.bincount(expert_ids // (n_experts // n_ranks), minlength=n_ranks)


def loss_weights(n_tokens: Tensor) -> Tensor:
    """What each process multiplies the mean loss of its tokens with, so that added gradients are those of one process.

    n_tokens (n_ranks,), at least one of them above 0 -> (n_ranks,) float64, the processes' shares of all tokens.
    """
    return n_tokens.double() / n_tokens.sum()


# ---- the layer -------------------------------------------------------------------------------------------------------


class _AllToAll(torch.autograd.Function):
    """Rows go to other processes; backward, their gradients go the same way back."""

    @staticmethod
    def forward(ctx, rows: Tensor, send: list[int], receive: list[int], waiting: list[float]) -> Tensor:
        ctx.sizes, ctx.waiting = (send, receive), waiting
        return _exchanged(rows, send, receive, waiting)

    @staticmethod
    def backward(ctx, d_out: Tensor) -> tuple[Tensor, None, None, None]:
        send, receive = ctx.sizes
        return _exchanged(d_out, receive, send, ctx.waiting), None, None, None


def _exchanged(rows: Tensor, send: list[int], receive: list[int], waiting: list[float]) -> Tensor:
    began = time.perf_counter()
    out = rows.new_empty(sum(receive), *rows.shape[1:])
    dist.all_to_all_single(out, rows.contiguous(), receive, send)
    waiting.append(time.perf_counter() - began)
    return out


class ParallelExperts(nn.Module):
    """This process's experts of a layer, in place of all of them: a block of neighbours."""

    def __init__(self, experts: Experts, rank: int, n_ranks: int):
        super().__init__()
        n_experts = len(experts.down)
        if n_experts % n_ranks:
            raise ValueError(f"{n_experts} experts cannot be shared out evenly among {n_ranks} processes.")
        if experts.form != PLAIN or experts.down_bias is not None or experts.narrow is not None or experts.dispatch_fn:
            raise ValueError("ParallelExperts knows plain SwiGLU experts without bias, latent width or dispatch_fn.")
        self.n_experts, self.n_ranks = n_experts, n_ranks
        own = slice(rank * n_experts // n_ranks, (rank + 1) * n_experts // n_ranks)
        self.gate_up = nn.Parameter(experts.gate_up.detach()[own].clone())  # (E / n_ranks, 2F, D)
        self.down = nn.Parameter(experts.down.detach()[own].clone())  # (E / n_ranks, D, F)
        self.sent: list[list[int]] = []  # rows to each process, one entry per forward pass
        self.computing: list[float] = []  # seconds of each forward pass in the experts
        self.waiting: list[float] = []  # seconds of each exchange, sending and waiting for the others

    def forward(self, x: Tensor, routing: Routing, *, gate_on: str = "output") -> Tensor:
        """x (N, D), the tokens of this process -> (N, D). Every process has to call it as often as the others."""
        if gate_on != "output":
            raise ValueError(f"gate_on is {gate_on!r}; ParallelExperts weighs what experts answer.")
        token_ids, expert_ids = routing.token_ids[routing.kept], routing.expert_ids[routing.kept]  # (A,), (A,)
        order, send = split_sizes(expert_ids, self.n_experts, self.n_ranks)
        token_ids, weights = token_ids[order], routing.weights[routing.kept][order]
        # first the numbers: from each process, how many rows for each of my experts
        load = torch.bincount(expert_ids, minlength=self.n_experts)  # (E,)
        coming = torch.empty_like(load)  # (n_ranks · E / n_ranks,)
        dist.all_to_all_single(coming, load)
        by_rank = coming.view(self.n_ranks, -1)  # (n_ranks, E / n_ranks)
        send, receive = send.tolist(), by_rank.sum(dim=1).tolist()
        self.sent.append(send)
        # then the rows: they arrive by process, and are computed by expert
        arrived = _AllToAll.apply(x.index_select(0, token_ids), send, receive, self.waiting)  # (B, D)
        began = time.perf_counter()
        mine = torch.arange(by_rank.shape[1]).repeat(self.n_ranks).repeat_interleave(coming)  # (B,) the expert of each
        by_expert = mine.argsort(stable=True)
        rows = arrived.index_select(0, by_expert)
        answers = each_expert(rows, self.gate_up, self.down, by_rank.sum(dim=0))  # (B, D)
        answers = torch.empty_like(answers).index_copy(0, by_expert, answers)  # as they arrived
        self.computing.append(time.perf_counter() - began)
        back = _AllToAll.apply(answers, receive, send, self.waiting)  # (A, D)
        return torch.zeros_like(x).index_add(0, token_ids, back * weights.unsqueeze(-1).to(back.dtype))


def summed(tensor: Tensor) -> Tensor:
    """The sum over all processes, without a gradient."""
    tensor = tensor.detach().clone()
    dist.all_reduce(tensor)
    return tensor


def balance_over_all(routings: Sequence[Routing]) -> Tensor:
    """Switch's balancing loss of this process's tokens, with the loads of all of them.

    E · sum_i f_i · P_i is linear in P, the mean over tokens, but not in f and P: with each process's own f, the
    weighted sum over processes would be another loss than that of the whole batch.
    """
    losses = []
    for routing in routings:
        load = summed(routing.load).to(routing.scores.dtype)  # (E,)
        losses.append(routing.n_experts * (load / load.sum() * routing.scores.mean(dim=0)).sum())
    return torch.stack(losses).mean()


def parallel(model: MoELanguageModel, rank: int, n_ranks: int) -> MoELanguageModel:
    """The model with this process's experts only, and a balancing loss over all processes."""
    for layer in model.moe_layers:
        layer.experts = ParallelExperts(layer.experts, rank, n_ranks)
    if model.config.balance != "switch":
        raise ValueError(f"balance is {model.config.balance!r}; over several processes only 'switch' is known here.")
    model.balance_loss = balance_over_all
    return model


def is_expert(name: str) -> bool:
    """Whether the parameter of this name is on one process only."""
    return ".experts." in name


# ---- work of one process ---------------------------------------------------------------------------------------------


def backward(model: MoELanguageModel, ids: Tensor, targets: Tensor) -> float:
    """Gradients of the whole batch's loss, from this process's part ids (B, T); gives that loss. B can be 0."""
    n_tokens = int((targets != -100).sum())
    every = torch.zeros(dist.get_world_size(), dtype=torch.int64)
    every[dist.get_rank()] = n_tokens
    weight = float(loss_weights(summed(every))[dist.get_rank()])
    loss = model(ids, targets).loss * weight if n_tokens else idle(model)
    loss.backward()
    for name, parameter in model.named_parameters():
        if not is_expert(name):  # an expert's gradient is complete: every token that it saw sent one
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            dist.all_reduce(parameter.grad)
    return float(summed(loss))


def idle(model: MoELanguageModel) -> Tensor:
    """A loss of 0 for a process without tokens: its experts work for the others, forward and backward."""
    x, routings = model.embed.weight[:0].unsqueeze(1), []  # (0, 1, D)
    for layer in model.moe_layers:
        x, routing = layer(x)
        routings.append(routing)
    for routing in routings:
        summed(routing.load)  # what the others ask for in `balance_over_all`
    return x.sum()


class Worked(NamedTuple):
    """What one process has to tell."""

    losses: list[float]  # of the whole batch, by step; the same on every process
    gradients: dict[str, Tensor]  # of the last step; of its own experts
    sent: Tensor  # (steps, L, n_ranks) int64: rows that it sent to each process
    computing: float  # seconds in its experts, forward
    waiting: float  # seconds in exchanges


def work(
    rank: int, n_ranks: int, config: ModelConfig, parts: Sequence[Sequence[tuple[Tensor, Tensor]]], lr: float = 0.0,
    seed: int = 0,
) -> Worked:  # fmt: skip
    """Train on `parts`: for every step one pair (ids, targets) per process. lr 0: gradients only, nothing moves."""
    model = parallel(MoELanguageModel(config, seed=seed), rank, n_ranks).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    losses = []
    for step in parts:
        optimizer.zero_grad()
        losses.append(backward(model, *step[rank]))
        if lr:
            optimizer.step()
    layers = [layer.experts for layer in model.moe_layers]
    return Worked(
        losses, {name: p.grad.clone() for name, p in model.named_parameters()},
        torch.tensor([layer.sent for layer in layers]).transpose(0, 1),
        sum(sum(layer.computing) for layer in layers), sum(sum(layer.waiting) for layer in layers),
    )  # fmt: skip


def alone(
    config: ModelConfig, parts: Sequence[Sequence[tuple[Tensor, Tensor]]], lr: float = 0.0, seed: int = 0
) -> tuple[list[float], dict[str, Tensor]]:
    """The same on one process: losses by step, and the last gradients.

    With a capacity, the parts are computed one after the other, because each process drops what does not fit among its
    own tokens; else all at once.
    """
    model = MoELanguageModel(config, seed=seed).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    losses = []
    for step in parts:
        optimizer.zero_grad()
        if config.capacity_factor is None:
            step = [tuple(torch.cat(tensors) for tensors in zip(*step, strict=True))]
        counts = torch.tensor([int((targets != -100).sum()) for _, targets in step])
        loss = 0.0
        for (ids, targets), weight in zip(step, loss_weights(counts).tolist(), strict=True):
            if len(ids):
                part = model(ids, targets).loss * weight
                part.backward()
                loss += float(part.detach())
        losses.append(loss)
        if lr:
            optimizer.step()
    return losses, {name: p.grad for name, p in model.named_parameters()}


def largest_difference(results: Sequence[Worked], gradients: Mapping[str, Tensor]) -> float:
    """Over all parameters and processes, the largest absolute difference to the gradients of one process."""
    differences = []
    for name, expected in gradients.items():
        if is_expert(name):
            found = torch.cat([result.gradients[name] for result in results])
            differences.append((found - expected).abs().max())
        else:
            differences += [(result.gradients[name] - expected).abs().max() for result in results]
    return float(torch.stack(differences).max())


# ---- is it the same? -------------------------------------------------------------------------------------------------


def shares_of(batch: tuple[Tensor, Tensor], rows: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
    """A batch (ids, targets), each (B, T), cut into parts of so many rows each, 0 allowed."""
    ids, targets = batch
    if sum(rows) != len(ids):
        raise ValueError(f"Parts of {list(rows)} rows make {sum(rows)}, but the batch has {len(ids)}.")
    return list(zip(ids.split(list(rows)), targets.split(list(rows)), strict=True))


def random_batch(config: ModelConfig, rows: int, length: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """ids and targets (B, T), each id drawn evenly; the targets are the next ids."""
    ids = torch.randint(config.vocab_size, (rows, length + 1), generator=torch.Generator().manual_seed(seed))
    return ids[:, :-1].contiguous(), ids[:, 1:].contiguous()


def main(arguments: list[str] | None = None) -> None:
    """Print how far loss and gradients are from one process: for equal and unequal parts, and with a capacity."""
    parser = argparse.ArgumentParser(prog="python -m moe_lite.lessons.parallel", description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=2, help="a divisor of 8, the number of experts (default 2)")
    n = parser.parse_args(arguments).processes
    if n < 1 or 8 % n:
        raise SystemExit(f"--processes is {n}; 8 experts can be shared out among 1, 2, 4 or 8 processes.")
    config = ModelConfig(n_layers=2, balance_coef=0.1)
    even = shares_of(random_batch(config, 4 * n, 32), [4] * n)
    uneven = shares_of(random_batch(config, 4 * n, 32), _uneven(4 * n, n))
    limited = ModelConfig(n_layers=2, balance_coef=0.0, capacity_factor=1.0)
    cases = {"equal parts": (config, even), "unequal parts": (config, uneven), "capacity 1.0": (limited, uneven)}
    print(f"{n} processes, {8 // n} of 8 experts each")
    print(f"{'':14}  {'loss':>8}  {'on one process':>14}  {'largest difference of a gradient':>32}")
    results = run(_cases, n, [(c, [parts]) for c, parts in cases.values()])
    for i, (name, (case, parts)) in enumerate(cases.items()):
        found = [result[i] for result in results]
        losses, gradients = alone(case, [parts])
        difference = largest_difference(found, gradients)
        print(f"{name:14}  {found[0].losses[-1]:8.5f}  {losses[-1]:14.5f}  {difference:32.1e}")
        if difference > 1e-5 or abs(found[0].losses[-1] - losses[-1]) > 1e-5:
            raise SystemExit(f"{name}: more than 1e-5 from one process.")


def _uneven(rows: int, n_ranks: int) -> list[int]:
    """The last process gets nothing, the first what is left, if there are several."""
    return [rows] if n_ranks == 1 else [rows - (n_ranks - 2), *[1] * (n_ranks - 2), 0]


def _cases(rank: int, n_ranks: int, cases: Sequence) -> list[Worked]:
    return [work(rank, n_ranks, config, parts) for config, parts in cases]


if __name__ == "__main__":
    from moe_lite.lessons import parallel as module  # other processes import it by this name

    __spec__ = None  # else they would say that they import it twice
    module.main()
