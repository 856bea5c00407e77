"""What does an expert's choice depend on? Lesson 08 reads a model's choices on a text and measures them.

All measures count assignments: a token with K experts counts K times, each time with one of its experts, and its K
assignments share the token's labels. Where a measure is compared with chance, labels move from token to token, so the
K experts of a token stay together. Information is in bits.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from moe_lite.data import Corpus, token_bytes, token_pieces, tokenizer, validation_batches
from moe_lite.model.transformer import MoELanguageModel, evaluating


@dataclass(frozen=True)
class Reading:
    """What a model chose on a text: N tokens, one row each, in L sparse layers."""

    token_ids: Tensor  # (N,) int64
    domains: Tensor  # (N,) int64, an index into domain_names
    domain_names: tuple[str, ...]
    positions: Tensor  # (N,) int64, the token's place in its window, from 0
    windows: Tensor  # (N,) int64, the number of its window, from 0
    experts: Tensor  # (L, N, K) int64, largest weight first
    weights: Tensor  # (L, N, K) float32, by which the experts' outputs are multiplied
    n_experts: int
    layers: tuple[int, ...]  # the number of each of the L layers, as in `Routing.layer`: from 0, dense ones included

    @cached_property
    def load(self) -> Tensor:
        """(L, E) int64: assignments to each expert of each layer."""
        return torch.stack([torch.bincount(layer.flatten(), minlength=self.n_experts) for layer in self.experts])

    def mass(self, row: int) -> Tensor:
        """Domain by expert, (D, E) float64: the weights that a domain's tokens gave each expert of layer `row`.

        Each domain's weights sum to 1. `row` is the place in `layers`.
        """
        n_domains, n_experts = len(self.domain_names), self.n_experts
        cells = (self.domains[:, None] * n_experts + self.experts[row]).flatten()  # (N·K,)
        mass = torch.bincount(cells, self.weights[row].flatten().double(), n_domains * n_experts)
        mass = mass.view(n_domains, n_experts)  # (D, E)
        return mass / mass.sum(dim=1, keepdim=True)


def read(
    model: MoELanguageModel, corpora: Mapping[str, Corpus], *, windows: int | None = None, length: int | None = None,
    split: str = "val",
) -> Reading:  # fmt: skip
    """The same number of tokens of each domain, from windows evenly spread over its held-out text.

    windows: per domain (default: as many as the shortest domain has); length: tokens per window (default: the model's
    context); split: "train" reads the training text instead. ValueError as `read_ids`, and for a domain without enough
    windows.
    """
    if split == "train":
        corpora = {name: replace(corpus, val=corpus.train) for name, corpus in corpora.items()}
    elif split != "val":
        raise ValueError(f"split is {split!r}, expected 'val' or 'train'.")
    length = length or model.config.context_length
    most = min((len(corpus.val) - 1) // length for corpus in corpora.values())
    if windows is not None and windows > most:
        raise ValueError(f"windows is {windows}, but the shortest domain has {most} of {length} tokens.")
    batches = validation_batches(corpora, length, max_windows=windows or max(most, 1)).values()
    ids, domains = torch.cat([b.ids for b in batches]), torch.cat([b.domains for b in batches])  # (B, T), (B,)
    return read_ids(model, ids, domains, tuple(corpora))


@torch.no_grad()
def read_ids(
    model: MoELanguageModel, ids: Tensor, domains: Tensor | None = None, domain_names: Sequence[str] = ("text",),
    batch_size: int = 16,
) -> Reading:  # fmt: skip
    """Read windows of any text, ids (B, T), each from an empty context; domains (B,) index domain_names.

    In evaluation mode; leaves the model as it was. ValueError for a dense model, and for a router that gives tokens
    different numbers of experts.
    """
    if model.config.is_dense:
        raise ValueError("this model is dense: it has no router whose choices could be read.")
    device, (n_windows, length) = next(model.parameters()).device, ids.shape
    with evaluating(model):
        parts = [model(rows.to(device)).routing for rows in ids.split(batch_size)]
    tables = [[routing.top_k for routing in layer] for layer in zip(*parts, strict=True)]  # L × (weights, experts)
    weights, experts = (
        torch.stack([torch.cat([table[i] for table in layer]) for layer in tables]).cpu() for i in (0, 1)
    )  # (L, N, K) each
    domains = torch.zeros(n_windows, dtype=torch.int64) if domains is None else domains.long()
    return Reading(
        token_ids=ids.flatten().long(), domains=domains.repeat_interleave(length), domain_names=tuple(domain_names),
        positions=torch.arange(length).repeat(n_windows),
        windows=torch.arange(n_windows).repeat_interleave(length), experts=experts, weights=weights.float(),
        n_experts=parts[0][0].n_experts, layers=tuple(routing.layer for routing in parts[0]),
    )  # fmt: skip


TOKEN_CLASSES = (
    "starts a word", "goes on with a word", "digit", "punctuation or operator", "space or line break", "other bytes"
)  # fmt: skip


def token_classes() -> Tensor:
    """For each entry of the course's vocabulary the index into TOKEN_CLASSES, (V,) int64.

    An entry starts a word if it is letters after a space. Letters without one go on with a word, or begin it behind a
    line break or a bracket: the entry alone cannot tell. "Other bytes" are parts of characters, and control characters.
    """
    return torch.tensor([_class(entry) for entry in token_bytes(range(tokenizer().get_vocab_size()))])


def _class(entry: bytes) -> int:
    text = entry.decode(errors="ignore")
    if text.encode() != entry or not (text.isprintable() or text.isspace()):
        return 5
    if any(sign.isalpha() for sign in text):
        return 0 if text[0] == " " else 1
    if text.isspace():
        return 4
    return 2 if any(sign.isnumeric() for sign in text) else 3


# ---- tables of experts and labels ------------------------------------------------------------------------------------


def expert_table(expert_ids: Tensor, labels: Tensor, n_experts: int, n_labels: int) -> Tensor:
    """How often each expert met each label: expert_ids (N,) or (N, K), labels (N,) -> (E, n_labels) int64."""
    if len(expert_ids) != len(labels):
        raise ValueError(f"expert_ids are of {len(expert_ids)} tokens, labels of {len(labels)}; expected equally many.")
    _in_range("expert_ids", expert_ids, n_experts)
    _in_range("labels", labels, n_labels)
    cells = expert_ids.view(len(labels), -1) * n_labels + labels[:, None]  # (N, K)
    return torch.bincount(cells.flatten(), minlength=n_experts * n_labels).view(n_experts, n_labels)


def lift(table: Tensor) -> Tensor:
    """Observed over expected, if expert and label were independent: table (E, n_labels) -> the same shape, float64.

    1: as often as the two are frequent; 2: twice as often. NaN for an expert or a label that never came.
    """
    table = table.double()
    expected = table.sum(dim=1, keepdim=True) * table.sum(dim=0, keepdim=True) / table.sum()  # (E, n_labels)
    return table / expected


@dataclass(frozen=True)
class TopToken:
    """A token that an expert gets more often than tokens in general."""

    token_id: int
    text: str
    count: int  # how often the expert was among its K
    share: float  # count by how often the token was read, 0 to 1
    lift: float  # share by the share of all tokens that the expert got


def top_tokens(reading: Reading, layer: int, expert: int, n: int = 10, least: int = 5) -> list[TopToken]:
    """The n tokens with the largest lift for an expert of a layer, of those that were read at least `least` times.

    Only a lift above 1 counts; among equals the more frequent token comes first. `layer` as in `reading.layers`.
    """
    if layer not in reading.layers:
        raise ValueError(f"layer is {layer}; read were the layers {', '.join(map(str, reading.layers))}.")
    if not 0 <= expert < reading.n_experts:
        raise ValueError(f"expert is {expert}; there are experts 0 to {reading.n_experts - 1}.")
    got = (reading.experts[reading.layers.index(layer)] == expert).any(dim=-1)  # (N,)
    read_ = torch.bincount(reading.token_ids)  # (V,) up to the largest id that came
    count = torch.bincount(reading.token_ids[got], minlength=len(read_))  # (V,)
    share = count / read_.clamp(min=1)  # (V,)
    usual = got.double().mean().item()
    ids = ((read_ >= least) & (share > usual)).nonzero()[:, 0].tolist()
    best = sorted(ids, key=lambda i: (-share[i].item(), -int(count[i]), i))[:n]
    return [
        TopToken(i, text, int(count[i]), share[i].item(), share[i].item() / usual)
        for i, text in zip(best, token_pieces(best), strict=True)
    ]


def _in_range(name: str, values: Tensor, n: int) -> None:
    if values.numel() and not 0 <= int(values.min()) <= int(values.max()) < n:
        raise ValueError(f"{name} run from {int(values.min())} to {int(values.max())}, expected 0 to {n - 1}.")


# ---- information -----------------------------------------------------------------------------------------------------


def entropy(table: Tensor) -> float:
    """Of counts of any shape, in bits: how many yes-no questions one of the things counted takes on average."""
    n, counted = table.sum().double(), table[table > 0].double()
    return (n.log2() - (counted * counted.log2()).sum() / n).item()


def mutual_information(table: Tensor) -> float:
    """What knowing a token's label tells about the expert of one of its assignments: table (E, n_labels) -> bits.

    The plug-in estimate H(expert) + H(label) − H(expert, label): shares are taken for probabilities, so it lies above
    the truth, the further the fewer tokens there are for each cell. With K experts per token at most `ceiling` bits.
    """
    return entropy(table.sum(dim=1)) + entropy(table.sum(dim=0)) - entropy(table)


def ceiling(table: Tensor, top_k: int = 1) -> float:
    """The most that any label could tell, in bits: H(expert) − log2 K, for table (E, n_labels).

    Whatever is known of a token, its K experts differ, and which of them an assignment is stays open.
    """
    return entropy(table.sum(dim=1)) - math.log2(top_k)


def corrected_information(table: Tensor, top_k: int = 1) -> float:
    """`mutual_information` less what chance alone adds, to first order, in bits: table (E, n_labels).

    The correction of Miller and Madow (Miller 1955, Note on the bias of information estimates): every cell that is not
    empty adds 1 / (2 n ln 2) bits for n counts, every expert and every label takes as much away. With K experts per
    token, which are drawn without replacement, a label takes K times as much. May fall below 0. Tokens count as
    independent, and tokens of one text are not. Where many labels are rare, as token ids are, it takes away too little:
    `shuffled_information` shows what chance adds there.
    """
    cells, experts, labels = (int((t > 0).sum()) for t in (table, table.sum(dim=1), table.sum(dim=0)))
    surplus = cells - experts - top_k * (labels - 1)  # for K = 1 (E − 1)(n_labels − 1), if no cell is empty
    return mutual_information(table) - surplus / (2 * int(table.sum()) * math.log(2))


def shuffled(labels: Tensor, generator: torch.Generator, within: Tensor | None = None) -> Tensor:
    """The labels (N,) in a random order; with `within` (N,) int64 only tokens that agree there exchange theirs."""
    order = torch.randperm(len(labels), generator=generator)  # (N,)
    if within is None:
        return labels[order]
    order = order[within[order].argsort(stable=True)]  # (N,) group by group, in random order within a group
    return torch.empty_like(labels).index_copy(0, within.argsort(stable=True), labels[order])


def shuffled_information(
    expert_ids: Tensor, labels: Tensor, n_experts: int, n_labels: int, *, n: int = 20, seed: int = 0,
    within: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """What `mutual_information` finds once the labels have been shuffled, n times: (n,) float64, bits.

    expert_ids (N,) or (N, K), labels (N,). Without `within` this is what chance alone gives. With a second label of
    each token, `within` (N,), labels move only among its equals: with the token id, it is what experts would tell
    about the label if they depended on nothing but the token id.
    """
    generator = torch.Generator().manual_seed(seed)
    orders = (shuffled(labels, generator, within) for _ in range(n))
    return torch.tensor(
        [mutual_information(expert_table(expert_ids, order, n_experts, n_labels)) for order in orders],
        dtype=torch.float64,
    )


def information_and_chance(
    expert_ids: Tensor, labels: Tensor, orders: Tensor, n_experts: int, n_labels: int
) -> tuple[float, float]:
    """`mutual_information`, and its mean over rounds with shuffled labels, in bits.

    expert_ids (N,) or (N, K), labels (N,), orders (R, N), a permutation of the tokens for each of R rounds.
    """
    rounds = [mutual_information(expert_table(expert_ids, labels[order], n_experts, n_labels)) for order in orders]
    return mutual_information(expert_table(expert_ids, labels, n_experts, n_labels)), sum(rounds) / len(rounds)


def conditional_information(expert_ids: Tensor, labels: Tensor, given: Tensor) -> float:
    """What a label tells about the expert when `given` is known already: I(expert; label | given) in bits.

    expert_ids (N,) or (N, K), labels (N,), given (N,), all int64 from 0. Plug-in: Σ over the values of given of their
    share of tokens times `mutual_information` of those tokens. Most of it may be chance, since such a group is small:
    what counts is how far it lies above `shuffled_conditional`.
    """
    ids = expert_ids.view(len(labels), -1)  # (N, K)
    names, group = given.unique(return_inverse=True)  # (G,), (N,)
    n_labels, n_experts = int(labels.max()) + 1, int(ids.max()) + 1
    cells = (group * n_labels + labels)[:, None] * n_experts + ids  # (N, K)
    table = torch.bincount(cells.flatten(), minlength=len(names) * n_labels * n_experts)
    table = table.view(len(names), n_labels, n_experts)  # (G, n_labels, E)
    return entropy(table.sum(dim=1)) + entropy(table.sum(dim=2)) - entropy(table) - entropy(table.sum(dim=(1, 2)))


def shuffled_conditional(expert_ids: Tensor, labels: Tensor, given: Tensor, *, n: int = 20, seed: int = 0) -> Tensor:
    """`conditional_information` once labels have been shuffled among tokens of the same `given`: (n,) float64, bits."""
    generator = torch.Generator().manual_seed(seed)
    orders = (shuffled(labels, generator, given) for _ in range(n))
    return torch.tensor([conditional_information(expert_ids, order, given) for order in orders], dtype=torch.float64)
