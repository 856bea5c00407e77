"""Likely causes of the errors that beginners' tensor code raises most, each a pattern and a sentence."""

import difflib
import re
from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, field, fields

from torch import Tensor

from moe_lite.checks.engine.exercise import Exercise, Note
from moe_lite.model.config import ModelConfig

IMPORTS = {"F": "import torch.nn.functional as F", "torch": "import torch", "nn": "from torch import nn",
           "math": "import math", "np": "import numpy as np", "Tensor": "from torch import Tensor"}  # fmt: skip
COUNTED = re.compile(r"^(?:\s*(\w+)\s*=)?[^#\n]*bincount\((?![^#\n]*minlength)", re.MULTILINE)
INDEXED = re.compile(r"\b(\w+)\[\s*(\w+)\s*[\],]")
REDUCTION = re.compile(r"\b(sum|mean|norm|amax|amin|max|min|logsumexp)\(([^()]*)\)")


@dataclass(frozen=True)
class Line:
    """The learner's line that an error came from, the tensors that had a name there, and their whole function."""

    text: str = ""
    tensors: dict[str, Tensor] = field(default_factory=dict)
    function: str = ""

    def named(self) -> dict[str, Tensor]:
        """The tensors whose names stand in the line."""
        words = set(re.findall(r"\w+", self.text))
        return {name: tensor for name, tensor in self.tensors.items() if name in words}

    def counted(self) -> bool:
        """Whether the line uses `bincount` without `minlength`, or something that a line before made with it."""
        made = {match[1] for match in COUNTED.finditer(self.function) if match[1]}
        return bool(COUNTED.search(self.text)) or bool(made & set(re.findall(r"\w+", self.text)))


def likely_cause(exercise: Exercise, error: BaseException, message: str, line: Line) -> Note | None:
    """A title and a sentence for the first pattern that fits the error and the learner's line, or None."""
    for kinds, pattern, note in (*exercise.causes, *CAUSES):
        match = re.search(pattern, message, flags=re.DOTALL)
        if match and isinstance(error, kinds):
            return note(match, line, exercise)
    return None


def _said(title: str, sentence: str) -> Callable[[re.Match, Line, Exercise], Note]:
    return lambda match, line, exercise: Note(title, sentence)


def _sizes_differ(match: re.Match, line: Line, exercise: Exercise) -> Note:
    if line.counted():
        return Note(
            "`bincount` without `minlength`",
            f"A dimension of {match[1]} met one of {match[2]}. `bincount` counts up to the largest number that occurs: "
            "where the last experts were not chosen, it has fewer entries than there are experts. `minlength=` says "
            "how many there should be.",
        )
    title, named = "Two shapes do not fit", line.named()
    for name, row in named.items():
        for other, table in named.items():
            if row.dim() == 1 and table.dim() == 2 and len(row) == len(table) != table.shape[1]:
                sentence = (
                    f"`{name}` has one number for each row of `{other}`, {tuple(row.shape)} beside "
                    f"{tuple(table.shape)}, but PyTorch lines it up with the columns. `{name}[:, None]` makes it a "
                    "column, which goes with every row."
                )
                return Note(title, sentence)
    reduction = next((m for m in REDUCTION.finditer(line.text) if "keepdim" not in m[2]), None)
    if reduction and m_dim(reduction[2]):
        call = f"{reduction[1]}({reduction[2]})"
        return Note(
            title,
            f"`{call}` drops a dimension, so its result is lined up with the wrong one. "
            f"`{call[:-1]}, keepdim=True)` keeps it, with size 1.",
        )
    return Note(
        title, f"A dimension of {match[1]} met one of {match[2]}. Print the `.shape` of both sides of that line."
    )


def m_dim(arguments: str) -> bool:
    """Whether a reduction was given a dimension."""
    return bool(re.search(r"-?\d", arguments))


def _matrices_differ(match: re.Match, line: Line, exercise: Exercise) -> Note:
    sizes = [tuple(map(int, match[i].split("x"))) for i in (1, 2)]
    if sizes[0][1] == sizes[1][1]:
        hint = "Both have the same number of columns: transpose the second with `.T`."
    else:
        hint = "The columns of the first must be as many as the rows of the second."
    return Note("Two matrices do not fit", f"({match[1]}) times ({match[2]}) does not work. {hint}")


def _batches_differ(match: re.Match, line: Line, exercise: Exercise) -> Note:
    sentence = (
        f"The last dimension of the first is {match[1]}, the second to last of the second {match[2]}; they have to be "
        "equal. `.transpose(-2, -1)` exchanges the last two dimensions."
    )
    return Note("Two matrices do not fit", sentence)


def _name_error(match: re.Match, line: Line, exercise: Exercise) -> Note:
    name = match[1]
    if name in IMPORTS:
        return Note(f"`{name}` is not imported", f"Add `{IMPORTS[name]}`, or run the set-up cell at the top again.")
    near = difflib.get_close_matches(name, exercise.parameters, n=1, cutoff=0.5)
    guess = f" Did you mean `{near[0]}`?" if near else ""
    parameters = ", ".join(f"`{p}`" for p in exercise.parameters)
    return Note(f"`{name}` is not known", f"Your function is given {parameters}; `{name}` is none of them.{guess}")


def _index_too_large(match: re.Match, line: Line, exercise: Exercise) -> Note:
    for name, index in INDEXED.findall(line.text):
        table, numbers = line.tensors.get(name), line.tensors.get(index)
        if table is None or numbers is None or not table.dim() or not numbers.numel() or numbers.is_floating_point():
            continue
        if int(numbers.max()) >= len(table):
            sentence = f"`{index}` holds numbers up to {int(numbers.max())}, and `{name}` has {len(table)} rows"
            return Note("An index is too large", f"{sentence}, 0 to {len(table) - 1}. What do these numbers count?")
    return Note("An index is too large", "Indices run from 0 to size − 1. Which dimension has fewer entries than you "
                "count?")  # fmt: skip


def _not_replaced(match: re.Match, line: Line, exercise: Exercise) -> Note | None:
    if "NotImplementedError" not in line.text:
        return None
    return Note("`raise NotImplementedError` is still there", "Your lines run, and then this one: take it out.")


def _no_such_setting(match: re.Match, line: Line, exercise: Exercise) -> Note:
    return Note(
        "No such setting",
        f"A config has no `{match[1]}`. Its sizes are `vocab_size`, `d_model`, `n_layers`, `n_heads`, `n_kv_heads`, "
        "`d_head` and `d_expert`.",
    )


def _unknown_setting(match: re.Match, line: Line, exercise: Exercise) -> Note:
    near = difflib.get_close_matches(match[1], [f.name for f in fields(ModelConfig)], n=1, cutoff=0.5)
    guess = f"Did you mean `{near[0]}`?" if near else "`ModelConfig?` in a cell of its own lists its settings."
    return Note("No such setting", f"`ModelConfig` has no setting `{match[1]}`. {guess}")


def _float_setting(match: re.Match, line: Line, exercise: Exercise) -> Note:
    sentence = f"`{match[1]}` is {match[2]}, and a config wants a whole number there: `//` stays whole, `/` does not."
    return Note("A float, where a whole number is asked", sentence)


def _refused_setting(match: re.Match, line: Line, exercise: Exercise) -> Note:
    name, value, wanted = match.groups()
    more = " More experts are chosen than there are." if name == "top_k" and wanted.startswith("at most") else ""
    if value == "0" and re.search(r"\b1 *//", line.function):
        more = " `//` drops what is behind the point; `/` keeps it."
    return Note("A value that a config refuses", f"`{name}` is {value}, and a config wants {wanted} there.{more}")


def _contradiction(match: re.Match, line: Line, exercise: Exercise) -> Note:
    sentence = match[1][0].upper() + match[1][1:]
    return Note("Settings that contradict each other", f"`ModelConfig` refuses these settings together. {sentence}")


def _dtypes_differ(match: re.Match, line: Line, exercise: Exercise) -> Note:
    return Note("Two types do not fit", f"Both sides need one dtype. {_cast_hint(line.text)}")


def _cast_hint(line: str) -> str:
    if any(name in line for name in ("scatter", "index_put", "index_add")):
        return "Zeros are float32 unless you say otherwise; `weights.new_zeros(...)` takes the type of the weights."
    return "Cast before the product, not after."


CAUSES = [
    (NotImplementedError, "", _not_replaced),
    (RuntimeError, r"size of tensor a \((\d+)\) must match the size of tensor b \((\d+)\)", _sizes_differ),
    (RuntimeError, r"mat1 and mat2 shapes cannot be multiplied \((\d+x\d+) and (\d+x\d+)\)", _matrices_differ),
    (RuntimeError, r"of batch2 tensor to be: \[\d+, (\d+)\] but got: \[\d+, (\d+)\]", _batches_differ),
    (RuntimeError, r"the same dtype|same scalar type|expected scalar type|self.dtype to be equal", _dtypes_differ),
    (RuntimeError, r"leaf Variable that requires grad", _said(
        "A change in place", "You write to the input itself while its gradient is recorded. Make a new tensor: "
        "`x = x / s`, not `x /= s`; `x.clone()` before `x[...] = `.")),
    (RuntimeError, r"backward through the graph a second time", _said(
        "An earlier call is still in the gradient", "Your answer hangs on a tensor that an earlier call made and kept, "
        "and so its gradient runs into that call. Make what you need anew in each call.")),
    (RuntimeError, r"modified by an inplace operation", _said(
        "A change in place", "A value that the gradient needs was overwritten (`/=`, `x[...] = `, a name that ends "
        "in `_`), or a later call wrote into it. Make a new tensor instead.")),
    (RuntimeError, r"Can't call numpy\(\) on Tensor that requires grad", _said(
        "numpy knows no gradients", "Stay with torch operations: numpy cuts the gradient.")),
    (RuntimeError, r"probability tensor contains either|invalid multinomial distribution|number of categories", _said(
        "These are no probabilities", "`multinomial` met nan, inf, a negative number, or only zeros. Are these logits "
        "or log probabilities? Was something divided by a temperature of 0? Did `exp` overflow?")),
    (ZeroDivisionError, r"", _said(
        "Division by zero", "A value of 0 comes in and is divided by. What should happen for 0? Ask with an `if`.")),
    (RuntimeError, r"masked_fill.* bool", _said(
        "A mask is made of True and False", "Compare something (`== 0`, `>`), or call `.bool()`.")),
    (RuntimeError, r"selected index k out of range", _said(
        "More experts asked for than there are", "`topk` looks along the last dimension unless told otherwise: does "
        "that dimension hold the experts?")),
    (RuntimeError, r"Expected dtype int\d+.* for index|tensors used as indices must be", _said(
        "An index must be int64", "Expert numbers are used as an index: keep them whole, or cast with `.long()`.")),
    (RuntimeError, r"Boolean value of Tensor with more than one value is ambiguous", _said(
        "A whole tensor in an `if`", "`if` wants one yes or no. Use `torch.where` or a mask.")),
    (RuntimeError, r"[Ii]ndex put requires the source and destination dtypes match", _said(
        "Two types do not fit",
        "Zeros are float32 unless you say otherwise; `weights.new_zeros(...)` takes the type of the weights.")),
    (RuntimeError, r"only supports 1-d", _said(
        "One dimension is expected", "`.flatten()` lays a table (N, K) out as one row (N·K,).")),
    (RuntimeError, r"Expected index \[.*\] to be no larger than self", _said(
        "No room for some rows", "`scatter` writes row by row: the target needs as many rows as the index has.")),
    (RuntimeError, r"view size is not compatible", _said(
        "`view` needs neighbours in memory", "After a transpose or a slice, use `reshape` instead of `view`.")),
    (RuntimeError, r"invalid for input of size|shape '.*' is invalid", _said(
        "The new shape has another size", "`view` and `reshape` keep the number of values.")),
    ((RuntimeError, IndexError), r"index -100 is out of bounds|Class values must be non-negative", _said(
        "−100 used as an index", "−100 means that nothing is asked there; it is no class. Leave these rows out before "
        "you look anything up.")),
    ((RuntimeError, IndexError), r"out of bounds|out of range", _index_too_large),
    (TypeError, r"sort\(\) received an invalid combination.*stable|sort\(\) takes from", _said(
        "`stable=` wants names beside it", "PyTorch takes `stable=True` only if every other setting has its name, too: "
        "`sort(dim=-1, descending=True, stable=True)`, not `sort(-1, True, stable=True)`.")),
    ((NameError,), r"name '(\w+)' is not defined", _name_error),
    (UnboundLocalError, r"", _said(
        "A variable is used before it has a value", "It gets its value in a branch or loop that was not run.")),
    (RecursionError, r"", _said("The function calls itself", "Is the function that you write called by its own name?")),
    (TypeError, r"'NoneType' object is not callable", _said(
        "None was called", "Something that may be None is called in that line, and here it is: ask with `is not None` "
        "first.")),
    (TypeError, r"'NoneType' object", _said(
        "Something is None", "A call in that line gave nothing back: functions that end in `_` aside, did you forget "
        "a `return`, or assign the result of `list.sort()`?")),
    ((TypeError, AttributeError), r"'(?:torch\.return_types\.)(topk|sort|max|min)'|unsupported operand.*'tuple'", _said(
        "Two results in one name", "`topk`, `sort` and `max(dim=…)` return values and indices: take them apart.")),
    (ValueError, r"zip\(\) argument", _said(
        "Lists of different length", "`zip(…, strict=True)` wants lists of one length. Is there an entry for every "
        "expert, also for those without tokens?")),
    (ValueError, r"expected sequence of length (\d+) at dim", _said(
        "Rows of different length", "`torch.tensor` needs lists of one length, and here one row has more entries than "
        "another. Has every token as many?")),
    (RuntimeError, r"split_sizes to sum exactly", _said(
        "The slices do not add up", "The sizes that `split` is given have to sum to the number of rows.")),
    (ValueError, r"too many values to unpack|not enough values to unpack", _said(
        "Unpacking does not fit", "The names on the left are not as many as the results on the right.")),
    (TypeError, r"only integer tensors of a single element|cannot be interpreted as an integer", _said(
        "A number is expected, not a tensor", "An index or a size is a plain int here: `int(x)` or `x.tolist()`.")),
    (FrozenInstanceError, r"", _said(
        "A config cannot be changed", "It is frozen, so that nobody changes it behind another's back. "
        "`replace(config, top_k=4)` makes a new one with another value, and leaves the old one as it is.")),
    (TypeError, r"ModelConfig\.__init__\(\) got an unexpected keyword argument '(\w+)'", _unknown_setting),
    (ValueError, r"ModelConfig: (\w+) is (-?\d+\.\d+), expected a whole number", _float_setting),
    (ValueError, r"ModelConfig: (\w+) is (.+), expected (.+)\.$", _refused_setting),
    (ValueError, r"ModelConfig: (.+)$", _contradiction),
    (AttributeError, r"'ModelConfig' object has no attribute '(\w+)'", _no_such_setting),
    (AttributeError, r"has no attribute", _said(
        "No such method", "Is the name spelled right, and is the object on its left what you think it is?")),
    (KeyboardInterrupt, r"", _said("KeyboardInterrupt", "Your own code raised it: nobody pressed stop.")),
    (SystemExit, r"", _said("SystemExit", "`exit()` would end the whole kernel; leave a function with `return`.")),
]  # fmt: skip
