"""Answers to exercise 3.1, router_scores: right ones, and wrong ones with the message that they must get."""

import torch
import torch.nn.functional as F
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def double_then_float(x, w_router):
    return (x.double() @ w_router.double().t()).softmax(-1).float()


@right
def einsum_logsumexp(x, w_router):
    logits = torch.einsum("nd,ed->ne", x.float(), w_router.float())
    return (logits - logits.logsumexp(dim=-1, keepdim=True)).exp()


@right
def linear(x, w_router):
    return F.softmax(F.linear(x.to(torch.float32), w_router.to(torch.float32)), dim=1)


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("Computed in the input's type", "Two types do not fit")
def cast_after_the_product(x, w_router):
    return (x @ w_router.to(x.dtype).T).float().softmax(dim=-1)


@wrong("Computed in the input's type")
def cast_after_the_softmax(x, w_router):
    return (x @ w_router.to(x.dtype).T).softmax(dim=-1).float()


@wrong("The scores keep the input's type")
def cast_back(x, w_router):
    return (x.float() @ w_router.float().T).softmax(dim=-1).to(x.dtype)


@wrong("Lengths were divided out")
def cosine(x, w_router):
    return (F.normalize(x.float(), dim=-1) @ F.normalize(w_router.float(), dim=-1).T).softmax(dim=-1)


@wrong("No gradient reaches `x`")
def detached(x, w_router):
    with torch.no_grad():
        return (x.float() @ w_router.float().T).softmax(dim=-1)


@wrong("Logits divided by their sum")
def divided_by_sum_without_exp(x, w_router):
    logits = x.float() @ w_router.float().T
    return logits / logits.sum(dim=-1, keepdim=True)


@wrong("`exp` overflows")
def exp_overflows(x, w_router):
    powers = torch.exp(x.float() @ w_router.float().T)
    return powers / powers.sum(dim=-1, keepdim=True)


@wrong("Rows and columns have changed places")
def experts_by_tokens(x, w_router):
    return (w_router.float() @ x.float().T).softmax(dim=0)


@wrong("The logarithm of the scores")
def log_softmax(x, w_router):
    return F.log_softmax(x.float() @ w_router.float().T, dim=-1)


@wrong("Two matrices do not fit")
def matrix_not_transposed(x, w_router):
    return (x.float() @ w_router.float()).softmax(dim=-1)


@wrong("The softmax is missing")
def no_softmax(x, w_router):
    return x.float() @ w_router.float().T


@wrong("Nothing is returned")
def nothing_returned(x, w_router):
    scores = (x.float() @ w_router.float().T).softmax(dim=-1)
    print(scores.sum(dim=-1))


@wrong("Only the best expert has a score")
def one_hot(x, w_router):
    logits = x.float() @ w_router.float().T
    return F.one_hot(logits.argmax(dim=-1), len(w_router)).float()


@wrong("Computed in the input's type", "Two types do not fit")
def product_of_different_types(x, w_router):
    return (x @ w_router.T).softmax(dim=-1, dtype=torch.float32)


@wrong("Logits are divided by √D")
def scaled_like_attention(x, w_router):
    return (x.float() @ w_router.float().T / x.shape[-1] ** 0.5).softmax(dim=-1)


@wrong("Sigmoid, not softmax")
def sigmoid(x, w_router):
    return torch.sigmoid(x.float() @ w_router.float().T)


@wrong("Sigmoid, then divided by its sum")
def sigmoid_divided_by_its_sum(x, w_router):
    scores = torch.sigmoid(x.float() @ w_router.float().T)
    return scores / scores.sum(dim=-1, keepdim=True)


@wrong("Softmax over the tokens")
def softmax_over_tokens(x, w_router):
    return (x.float() @ w_router.float().T).softmax(dim=0)


@wrong("Softmax was applied twice")
def softmax_twice(x, w_router):
    return (x.float() @ w_router.float().T).softmax(dim=-1).softmax(dim=-1)


@wrong(ANY)
def temperature(x, w_router):
    return (x.float() @ w_router.float().T / 2).softmax(dim=-1)


@wrong("No gradient reaches `w_router`")
def weights_detached(x, w_router):
    return (x.float() @ w_router.detach().float().T).softmax(dim=-1)


# ---- wrong, written by readers of the exercise's text alone ---------------------------------------------------------


@blind("Computed in the input's type", ANY)  # multiplies in the input dtype and casts the product afterwards
def multiplies_first(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    return (x @ w_router.to(x.dtype).T).float().softmax(dim=-1)


@blind("Computed in the input's type", ANY)  # product and softmax in the input dtype, cast to float32 at the very end
def softmax_in_input_dtype(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    return torch.softmax(x @ w_router.to(x.dtype).T, dim=-1).float()


@blind("Softmax over the tokens", ANY)  # softmax over the tokens (dim 0): the columns sum to 1, not the rows
def blind_softmax_over_tokens(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    return torch.softmax(x.float() @ w_router.float().T, dim=0)


@blind("The scores keep the input's type", ANY)  # float32 inside, but the result goes back to the dtype of x
def casts_back(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    logits = x.float() @ w_router.float().T
    return logits.softmax(dim=-1).to(x.dtype)


@blind("The scores keep the input's type", ANY)  # casts only the half dtypes, so float64 inputs give float64 scores
def float64_stays(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    if x.dtype in (torch.float16, torch.bfloat16):
        x = x.float()
    if w_router.dtype in (torch.float16, torch.bfloat16):
        w_router = w_router.float()
    if x.dtype != w_router.dtype:
        x, w_router = x.double(), w_router.double()
    return torch.softmax(x @ w_router.T, dim=-1)


@blind("Computed in the input's type", ANY)  # upcasts float16 only; bfloat16 is still multiplied in bfloat16
def forgets_bfloat16(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    if x.dtype == torch.float16:
        x = x.float()
    logits = x @ w_router.to(x.dtype).T
    return torch.softmax(logits, dim=-1, dtype=torch.float32)


@blind("Computed in the input's type", ANY)
# casts w_router to x's dtype before casting to float32, losing its precision when x is narrower
def w_cast_to_x_dtype(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    w = w_router.to(x.dtype)
    logits = x.float() @ w.float().T
    return logits.softmax(dim=1)


@blind("Two types do not fit", ANY)  # casts x only: crashes when w_router is not float32
def forgets_w(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    return torch.softmax(x.float() @ w_router.T, dim=-1)


@blind("`exp` overflows", ANY)  # exp without subtracting the maximum: nan for logits above 88
def naive_exp(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    e = torch.exp(x.float() @ w_router.float().T)
    return e / e.sum(dim=-1, keepdim=True)


@blind("`exp` overflows", ANY)  # subtracts the maximum of the whole matrix, so a row far below it underflows to 0/0
def global_max(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    logits = x.float() @ w_router.float().T
    e = torch.exp(logits - logits.max())
    return e / e.sum(dim=-1, keepdim=True)


@blind("`scores` is not right yet", ANY)  # clamps the logits to [-30, 30] for safety, which flattens large ones
def clamps_logits(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    logits = (x.float() @ w_router.float().T).clamp(-30, 30)
    return logits.softmax(dim=-1)


@blind("`scores` is not right yet", ANY)
# adds eps to the sum of unshifted exps: rows of very negative logits do not sum to 1
def eps_in_sum(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    logits = x.float() @ w_router.float().T
    e = torch.exp(logits.clamp(max=80))
    return e / (e.sum(dim=-1, keepdim=True) + 1e-6)


@blind("`scores` is not right yet", ANY)  # reshapes w_router to (D, E) instead of transposing it
def reshape_not_transpose(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    e, d = w_router.shape
    return torch.softmax(x.float() @ w_router.float().reshape(d, e), dim=-1)


@blind("Logits are divided by √D", ANY)  # divides the logits by sqrt(D), as attention does
def blind_scaled_like_attention(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    d = x.shape[-1]
    logits = x.float() @ w_router.float().T / d**0.5
    return logits.softmax(dim=-1)


@blind("Sigmoid, then divided by its sum", ANY)  # normalised sigmoids instead of a softmax
def sigmoid_normalised(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    s = torch.sigmoid(x.float() @ w_router.float().T)
    return s / s.sum(dim=-1, keepdim=True)


@blind("One softmax over the whole array", ANY)  # one softmax over the whole matrix: right for a single token only
def softmax_of_everything(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    logits = x.float() @ w_router.float().T
    return torch.softmax(logits.flatten(), dim=0).view_as(logits)


@blind("Wrong shape", ANY)  # squeezes the product: a single token gives (E,) instead of (1, E)
def squeezed(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    logits = (x.float() @ w_router.float().T).squeeze()
    return torch.softmax(logits, dim=-1)


@blind("The logarithm of the scores", ANY)  # returns log-probabilities, whose rows do not sum to 1
def log_scores(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    return F.log_softmax(x.float() @ w_router.float().T, dim=-1)


@blind("Softmax was applied twice", ANY)  # softmax applied twice: rows sum to 1, same order, but flattened
def blind_softmax_twice(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    scores = torch.softmax(x.float() @ w_router.float().T, dim=-1)
    return F.softmax(scores, dim=-1)


@blind("`scores` is not right yet", ANY)  # rounds the scores to 4 decimals, so rows sum to 1 only roughly
def rounded(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    scores = torch.softmax(x.float() @ w_router.float().T, dim=-1)
    return torch.round(scores, decimals=4)


@blind("Lengths were divided out", ANY)  # normalises every token and expert vector first (cosine similarity)
def blind_cosine(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    logits = F.normalize(x.float(), dim=-1) @ F.normalize(w_router.float(), dim=-1).T
    return logits.softmax(dim=-1)


@blind("No gradient reaches `x`", ANY)  # right values, but w_router and x are detached, so the router could never learn
def no_grad_router(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return torch.softmax(x.float() @ w_router.float().T, dim=-1)


@blind("Your function changed its input", ANY)
# right scores, but changes the caller's tensors to float32 through .data
def input_cast_in_place(x: torch.Tensor, w_router: torch.Tensor) -> torch.Tensor:
    x.data = x.data.float()
    w_router.data = w_router.data.float()
    return torch.softmax(x @ w_router.T, dim=-1)
