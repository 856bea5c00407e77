"""The page that goes with an exported model: what it is, how it did, how to load it."""

from collections.abc import Mapping
from dataclasses import fields

from moe_lite.data import tokenizer
from moe_lite.hf.layouts import IN_TRAINING, LAYOUTS
from moe_lite.metrics import count_parameters
from moe_lite.model.config import ModelConfig
from moe_lite.model.transformer import MoELanguageModel

CARD = """\
---
library_name: transformers
pipeline_tag: text-generation
tags:
- mixture-of-experts
- moe-lite
---

# {title}

{what}
It was made with moe-lite, a course about mixture-of-experts models, and is meant for learning and for experiments, not
for use. Its weights are stored in the layout of {layout}.

{sizes}

The settings, as moe-lite writes them:

```python
{settings}
```
{losses}
## How to load it

In transformers, with the path of this folder:

```python
from transformers import AutoModelForCausalLM{also}

model = AutoModelForCausalLM.from_pretrained(folder)
{tokens}```

In moe-lite:

```python
from moe_lite import hf

model = hf.load(folder)
```
"""
TOKENS = """\
tokenizer = AutoTokenizer.from_pretrained(folder)
ids = tokenizer("Are we all met?", return_tensors="pt").input_ids
print(tokenizer.decode(model.generate(ids, max_new_tokens=20)[0]))
"""


def card(model: MoELanguageModel, layout: str, record: Mapping | None = None) -> str:
    """README.md as text. ValueError if `record` is given and has no validation losses."""
    config, parameters = model.config, count_parameters(model)
    kind = "dense" if config.is_dense else f"{config.n_experts} experts, top-{config.top_k}"
    what = "A small dense language model."
    if not config.is_dense:
        what = (
            f"A small language model in which a router gives each token {config.top_k} of {config.n_experts} experts."
        )
    rows = {
        "parameters": f"{parameters.total:,}", "active per token": f"{parameters.active:,}", "layers": config.n_layers,
        "width": config.d_model, "width of an expert" if layout != "llama" else "feed-forward width": config.d_expert,
        "heads": f"{config.n_heads}, {config.n_kv_heads} for keys and values", "vocabulary": f"{config.vocab_size:,}",
        "context": f"{config.context_length:,} tokens",
    }  # fmt: skip
    has_tokens = config.vocab_size == tokenizer().get_vocab_size()
    return CARD.format(
        title=f"moe-lite: {kind}",
        what=what,
        layout=LAYOUTS[layout].title,
        sizes=_table(("", ""), rows.items()),
        settings=_as_code(config) + _left_out(config),
        losses="" if record is None else _losses(record),
        also=", AutoTokenizer" if has_tokens else "",
        tokens=TOKENS if has_tokens else "# its vocabulary is not the course's, so no tokenizer comes with it\n",
    )


def _as_code(config: ModelConfig) -> str:
    """The call that makes this config, with the fields that are not at their defaults."""
    told = [(f.name, getattr(config, f.name)) for f in fields(config) if getattr(config, f.name) != f.default]
    return f"ModelConfig({', '.join(f'{name}={value!r}' for name, value in told)})"


def _left_out(config: ModelConfig) -> str:
    told = [f.name for f in fields(config) if f.name in IN_TRAINING and getattr(config, f.name) != f.default]
    return f"  # in training only, and not in config.json: {', '.join(told)}" if told and not config.is_dense else ""


def _losses(record: Mapping) -> str:
    by_domain = record.get("val_loss")
    if not isinstance(by_domain, Mapping) or not by_domain:
        raise ValueError(
            "record has no val_loss; expected validation losses by domain, as checkpoint.pretrained_record gives them."
        )
    trained = [f"{record['step']:,} steps"] * ("step" in record) + [f"{record['tokens']:,} tokens"] * (
        "tokens" in record
    )
    rows = {**by_domain, "mean": record.get("val_loss_mean", sum(by_domain.values()) / len(by_domain))}
    table = _table(("held-out text", "nats per token"), ((name, f"{loss:.3f}") for name, loss in rows.items()))
    after = f" after {', '.join(trained)}" if trained else ""
    return f"\n## Losses{after}\n\n{table}\n"


def _table(head: tuple[str, str], rows) -> str:
    lines = [f"| {head[0]} | {head[1]} |", "|---|---:|", *(f"| {name} | {value} |" for name, value in rows)]
    return "\n".join(lines)
