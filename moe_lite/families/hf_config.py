"""A model's config.json, as Hugging Face's `transformers` writes and reads it, as a `PublishedModel`.

Each model type names its sizes its own way, so there is one reader for each. A reader asks for what it needs; what is
missing, of the wrong kind, or has no known count is named in an error. `transformers` itself is not needed.
"""

import json
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path

from moe_lite.families.published_models import PublishedModel, unknown
from moe_lite.model.config import is_positive_int, is_whole

# The same thing under the names of several families and versions
EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
TOP_K = ("num_experts_per_tok", "num_experts_per_token", "experts_per_token", "moe_topk", "moe_top_k", "moe_k")
WIDTH, LAYERS, HEADS = ("hidden_size", "d_model"), ("num_hidden_layers", "n_layers"), ("num_attention_heads", "n_heads")
REQUIRED = object()
MOST_LAYERS = 10_000  # above that a number is a slip; layers are listed one by one, and it would take all memory


class Config:
    """A config.json that is asked for one field after the other. A field that is null counts as not there."""

    def __init__(self, values: Mapping[str, object], kind: str):
        self.values, self.kind = values, kind

    def find(self, names: str | tuple[str, ...], default: object = REQUIRED) -> object:
        """The value of the field with one of these names. ValueError if none is there, or two that differ."""
        names = (names,) if isinstance(names, str) else names
        found = {name: self.values[name] for name in names if self.values.get(name) is not None}
        if len(set(map(repr, found.values()))) > 1:
            said = ", ".join(f"{name}={value!r}" for name, value in found.items())
            raise ValueError(f"config.json of type {self.kind} says {said}: the same thing twice, and not the same.")
        if not found and default is REQUIRED:
            others = f" (nor {', '.join(names[1:])})" if names[1:] else ""
            raise ValueError(f"config.json of type {self.kind} has no {names[0]}{others}, and the count needs it.")
        return next(iter(found.values()), default)

    def size(self, names: str | tuple[str, ...], default: object = REQUIRED, *, least: int = 1) -> int:
        value = self.find(names, default)
        if not (is_positive_int(value) if least else is_whole(value)):
            self.refuse(names, value, f"a whole number of at least {least}")
        return value

    def size_or_null(self, name: str) -> int:
        """A size that may be null for 0, but must be there: left out, it means another number in each family."""
        return self.size(name, 0 if name in self.values else REQUIRED, least=0)

    def flag(self, name: str, default: bool) -> bool:
        value = self.find(name, default)
        if not isinstance(value, bool):
            self.refuse(name, value, "true or false")
        return value

    def numbers(self, name: str, default: list) -> list[int]:
        value = self.find(name, default)
        if not (isinstance(value, list) and all(is_whole(v) or isinstance(v, bool) for v in value)):
            self.refuse(name, value, "a list of whole numbers")
        return value

    def only(self, name: str, counted: object) -> None:
        """The field may be absent or `counted`; of other values it is not known what they hold."""
        value = self.find(name, counted)
        if value != counted:
            raise ValueError(
                f"{name}={value!r} in the config.json of type {self.kind}: only {counted!r} can be counted."
            )

    def part(self, name: str) -> "Config":
        value = self.find(name)
        if not isinstance(value, Mapping):
            self.refuse(name, value, "a group of fields")
        return Config(value, f"{self.kind}, {name}")

    def refuse(self, names: str | tuple[str, ...], value: object, expected: str) -> None:
        name = names if isinstance(names, str) else next(n for n in names if self.values.get(n) is not None)
        raise ValueError(f"{name} is {value!r} in the config.json of type {self.kind}, expected {expected}.")


# What several model types share


def common(c: Config, tied: bool = False) -> dict:
    sizes = {"vocab_size": c.size("vocab_size"), "d_model": c.size(WIDTH), "n_layers": c.size(LAYERS)}
    return sizes | {"tied": c.flag("tie_word_embeddings", tied)}


def grouped(c: Config, d_head: object = None, keys: object = REQUIRED, **options: object) -> dict:
    """Softmax attention. d_head, keys: where the file leaves them out; without a d_head the heads share the width."""
    if d_head is None:
        d_head = shared_width(c) if c.find("head_dim", None) is None else 0
    heads = {"n_heads": c.size(HEADS), "n_kv_heads": c.size("num_key_value_heads", keys)}
    return heads | {"d_head": c.size("head_dim", d_head)} | options


def shared_width(c: Config) -> int:
    heads, width = c.size(HEADS), c.size(WIDTH)
    if width % heads:
        c.refuse(HEADS, heads, f"a divisor of the width {width}, since there is no head_dim")
    return width // heads


def biased(c: Config, name: str = "attention_bias", default: bool = False) -> dict:
    """One flag for the biases of all four matrices."""
    flag = c.flag(name, default)
    return {"qkv_bias": flag, "out_bias": flag}


def latent(c: Config) -> dict:
    c.only("qk_head_dim", c.size("qk_nope_head_dim") + c.size("qk_rope_head_dim"))
    return {
        "attention": "latent", "n_heads": c.size(HEADS), "q_rank": c.size_or_null("q_lora_rank"),
        "kv_rank": c.size("kv_lora_rank"), "d_head": c.size("qk_nope_head_dim"), "d_rope": c.size("qk_rope_head_dim"),
        "d_value": c.size("v_head_dim"), **biased(c),
    }  # fmt: skip


def windowed(c: Config, layers: tuple[int, ...]) -> dict:
    """One window for the given layers, if there is one."""
    return {"window": c.size("sliding_window", 0, least=0), "window_layers": layers}


def mixture(c: Config, layers: tuple[int, ...], width: str = "moe_intermediate_size") -> dict:
    return {"sparse_layers": layers, "n_experts": c.size(EXPERTS), "top_k": c.size(TOP_K), "d_expert": c.size(width)}


def every(c: Config) -> tuple[int, ...]:
    return tuple(range(c.size(LAYERS)))


def layers_of_type(c: Config, kinds: tuple[str, str], default: Callable[[int], bool]) -> tuple[int, ...]:
    """The layers that layer_types calls kinds[0]; all others must be kinds[1]. Without the field, default(i) says."""
    n = c.size(LAYERS)
    types = c.find("layer_types", [kinds[0] if default(i) else kinds[1] for i in range(n)])
    if not isinstance(types, list) or len(types) != n or not {*map(str, types)} <= {*kinds}:
        c.refuse("layer_types", types, f"a list of {n}, each {' or '.join(kinds)}")
    return tuple(i for i, kind in enumerate(types) if kind == kinds[0])


# One reader for each model type


def llama(c: Config) -> dict:
    dense = {"d_dense": c.size("intermediate_size"), "dense_bias": c.flag("mlp_bias", False)}
    return common(c) | grouped(c, keys=c.size(HEADS), **biased(c)) | dense


def mixtral(c: Config) -> dict:
    return common(c) | grouped(c) | mixture(c, every(c), "intermediate_size") | windowed(c, every(c))


def phimoe(c: Config) -> dict:
    """Its router picks a best expert and a second one, whatever the file says."""
    c.only("num_experts_per_tok", 2)
    norms = {"norm_bias": True, "head_bias": c.flag("lm_head_bias", False)}
    attention = grouped(c, **biased(c)) | windowed(c, every(c))
    return common(c) | attention | mixture(c, every(c), "intermediate_size") | norms


def granitemoe(c: Config) -> dict:
    attention = grouped(c, keys=c.size(HEADS), **biased(c))
    return common(c) | attention | mixture(c, every(c), "intermediate_size")


def olmoe(c: Config) -> dict:
    c.only("head_dim", shared_width(c))
    attention = grouped(c, keys=c.size(HEADS), **biased(c), qk_norm="full")
    return common(c) | attention | mixture(c, every(c), "intermediate_size")


def dbrx(c: Config) -> dict:
    attention, experts = c.part("attn_config"), c.part("ffn_config")
    experts.only("hidden_size", c.size(WIDTH))
    heads = {"n_heads": c.size(HEADS), "n_kv_heads": attention.size("kv_n_heads"), "d_head": shared_width(c)}
    return common(c) | heads | mixture(experts, every(c), "ffn_hidden_size")


def gpt_oss(c: Config) -> dict:
    slid = layers_of_type(c, ("sliding_attention", "full_attention"), lambda i: i % 2 == 0)
    attention = grouped(c, REQUIRED, **biased(c, default=True), sinks=True)
    window = {"window": c.size_or_null("sliding_window"), "window_layers": slid}
    biases = {"expert_bias": True, "router_bias": True}
    return common(c) | attention | window | mixture(c, every(c), "intermediate_size") | biases


def qwen_layers(c: Config) -> dict:
    """Experts in every so many layers, but for some; and the dense width, for when there are dense ones."""
    step, dense = c.size("decoder_sparse_step", 1), c.numbers("mlp_only_layers", [])
    layers = tuple(i for i in range(c.size(LAYERS)) if i not in dense and (i + 1) % step == 0)
    return mixture(c, layers) | {"d_dense": c.size("intermediate_size") if len(layers) < c.size(LAYERS) else 0}


def qwen_shared(c: Config) -> dict:
    return {"d_shared": c.size("shared_expert_intermediate_size"), "shared_gate": True}


def qwen2_moe(c: Config) -> dict:
    attention = grouped(c, qkv_bias=c.flag("qkv_bias", True))
    if c.flag("use_sliding_window", False):
        last = c.size("max_window_layers", 28, least=0)
        slid = layers_of_type(c, ("sliding_attention", "full_attention"), lambda i: i % 2 == 0 and i < last)
        attention |= windowed(c, slid)
    return common(c) | attention | qwen_layers(c) | qwen_shared(c)


def qwen3_moe(c: Config) -> dict:
    attention = grouped(c, **biased(c), qk_norm="head")
    if c.flag("use_sliding_window", False):
        attention |= windowed(c, every(c))
    return common(c) | attention | qwen_layers(c)


def qwen3_next(c: Config) -> dict:
    step = c.size("full_attention_interval", 4)
    softmax = layers_of_type(c, ("full_attention", "linear_attention"), lambda i: (i + 1) % step == 0)
    attention = grouped(c, REQUIRED, **biased(c), qk_norm="head", output_gate=True)
    linear = {
        "linear": "deltanet", "softmax_layers": softmax, "conv_width": c.size("linear_conv_kernel_dim"),
        "n_key_heads": c.size("linear_num_key_heads"), "n_value_heads": c.size("linear_num_value_heads"),
        "d_key_head": c.size("linear_key_head_dim"), "d_value_head": c.size("linear_value_head_dim"),
    }  # fmt: skip
    return common(c) | attention | linear | qwen_layers(c) | qwen_shared(c)


def llama4_text(c: Config) -> dict:
    step, n = c.size("interleave_moe_layer_step", 1), c.size(LAYERS)
    sparse = tuple(sorted(c.numbers("moe_layers", list(range(step - 1, n, step)))))
    interval, rotary = c.size("no_rope_layer_interval", 4), c.numbers("no_rope_layers", [])
    chunked = layers_of_type(
        c, ("chunked_attention", "full_attention"), lambda i: bool(rotary[i]) if rotary else (i + 1) % interval != 0
    )
    window = {"window": c.size_or_null("attention_chunk_size"), "window_layers": chunked}
    width = c.size("intermediate_size")
    dense = {"d_dense": c.size("intermediate_size_mlp") if len(sparse) < n else 0}
    attention = grouped(c, REQUIRED, **biased(c)) | window
    return common(c) | attention | mixture(c, sparse, "intermediate_size") | {"d_shared": width} | dense


def later_layers(c: Config) -> dict:
    """The layers behind the first dense ones, the shared experts beside, and the layers that predict later tokens."""
    n = c.size(LAYERS)
    first = min(c.size("first_k_dense_replace", least=0), n)
    width = c.size("moe_intermediate_size") * c.size_or_null("n_shared_experts")
    beside = {"d_shared": width, "mtp_layers": c.size(("num_nextn_predict_layers", "num_mtp_layers"), 0, least=0)}
    c.only("moe_layer_freq", 1)
    return mixture(c, tuple(range(first, n))) | beside | {"d_dense": c.size("intermediate_size") if first else 0}


def deepseek(c: Config) -> dict:
    """DeepSeekMoE-16B."""
    return common(c) | grouped(c, **biased(c)) | later_layers(c)


def deepseek_v2(c: Config) -> dict:
    return common(c) | latent(c) | later_layers(c) | {"dense_bias": c.flag("mlp_bias", False)}


def deepseek_v3(c: Config) -> dict:
    """Also Kimi-K2 and Moonlight."""
    return common(c) | latent(c) | later_layers(c)


def glm4_moe(c: Config) -> dict:
    norms = "head" if c.flag("use_qk_norm", False) else ""
    return common(c) | grouped(c, qkv_bias=c.flag("attention_bias", False), qk_norm=norms) | later_layers(c)


def ernie4_5_moe(c: Config) -> dict:
    n, width = c.size(LAYERS), c.size("moe_intermediate_size")
    first, step = c.size("moe_layer_start_index", least=0), c.size("moe_layer_interval", 1)
    last = n - 1 if c.find("moe_layer_end_index", -1) == -1 else c.size("moe_layer_end_index", least=0)
    sparse = tuple(i for i in range(n) if first <= i <= last and (i + 1) % step == 0)
    bias = biased(c, "use_bias")
    shared = {"d_shared": width * c.size_or_null("moe_num_shared_experts")}
    dense = {"d_dense": c.size("intermediate_size") if len(sparse) < n else 0, "dense_bias": bias["out_bias"]}
    beside = shared | dense | {"head_bias": bias["out_bias"]}
    return common(c, tied=True) | grouped(c, **bias) | mixture(c, sparse) | beside


def jamba(c: Config) -> dict:
    c.only("mamba_inner_layernorms", True)
    n, width = c.size(LAYERS), c.size(WIDTH)

    def every_so_many(what: str) -> tuple[int, ...]:
        period, offset = c.size(f"{what}_layer_period"), c.size(f"{what}_layer_offset", least=0)
        return tuple(i for i in range(n) if i % period == offset)

    rank = c.find("mamba_dt_rank", "auto")
    mamba = {
        "linear": "mamba", "softmax_layers": every_so_many("attn"), "conv_width": c.size("mamba_d_conv"),
        "d_inner": c.size("mamba_expand") * width, "d_state": c.size("mamba_d_state"),
        "d_step": -(-width // 16) if rank == "auto" else c.size("mamba_dt_rank"),
        "conv_bias": c.flag("mamba_conv_bias", True), "linear_bias": c.flag("mamba_proj_bias", False),
    }  # fmt: skip
    experts = mixture(c, every_so_many("expert"), "intermediate_size")
    if experts["n_experts"] == 1:
        experts = {}
    return common(c) | grouped(c) | mamba | experts | {"d_dense": c.size("intermediate_size")}


def minimax(c: Config) -> dict:
    softmax = layers_of_type(c, ("full_attention", "linear_attention"), lambda i: i % 2 == 0)
    linear = {"linear": "lightning", "softmax_layers": softmax}
    return common(c) | grouped(c) | linear | windowed(c, softmax) | mixture(c, every(c), "intermediate_size")


def longcat_flash(c: Config) -> dict:
    c.only("zero_expert_type", "identity")
    sizes = {"vocab_size": c.size("vocab_size"), "d_model": c.size(WIDTH), "n_layers": c.size("num_layers")}
    experts = {
        "sparse_layers": tuple(range(sizes["n_layers"])), "n_experts": c.size(EXPERTS), "top_k": c.size(TOP_K),
        "d_expert": c.size(("expert_ffn_hidden_size", "moe_intermediate_size")),
        "zero_experts": c.size_or_null("zero_expert_num"), "router_bias": c.flag("router_bias", False),
    }  # fmt: skip
    twice = {"attentions_per_layer": 2, "norms_per_layer": 4, "dense_beside": 2,
             "d_dense": c.size(("ffn_hidden_size", "intermediate_size"))}  # fmt: skip
    return sizes | {"tied": c.flag("tie_word_embeddings", False)} | latent(c) | experts | twice


def switch_transformers(c: Config) -> dict:
    encoder, heads = c.size("num_layers"), c.size("num_heads")
    decoder = c.size_or_null("num_decoder_layers") or encoder

    def sparse(n: int, name: str) -> tuple[int, ...]:
        step = n // (c.size(name, least=0) or 1)
        return tuple(i for i in range(n) if step == 1 or step > 1 and i % step == 1)

    experts = {
        "n_encoder_layers": encoder, "sparse_encoder_layers": sparse(encoder, "num_sparse_encoder_layers"),
        "sparse_layers": sparse(decoder, "num_sparse_decoder_layers"), "n_experts": c.size("num_experts"), "top_k": 1,
        "d_expert": c.size("d_ff"), "d_dense": c.size("d_ff"), "gated": False,
        "router_bias": c.flag("router_bias", False),
    }  # fmt: skip
    attention = {"n_heads": heads, "n_kv_heads": heads, "d_head": c.size("d_kv"),
                 "position_buckets": c.size("relative_attention_num_buckets", 32)}  # fmt: skip
    sizes = {"vocab_size": c.size("vocab_size"), "d_model": c.size(WIDTH), "n_layers": decoder}
    return sizes | {"tied": c.flag("tie_word_embeddings", True)} | attention | experts


READERS = {
    reader.__name__: reader
    for reader in (
        llama, mixtral, phimoe, granitemoe, olmoe, dbrx, gpt_oss, qwen2_moe, qwen3_moe, qwen3_next, llama4_text,
        deepseek, deepseek_v2, deepseek_v3, glm4_moe, ernie4_5_moe, jamba, minimax, longcat_flash, switch_transformers,
    )
} | {"kimi_k2": deepseek_v3, "llama4": lambda c: llama4_text(c.part("text_config"))}  # fmt: skip


def from_hf_config(config: str | PathLike | Mapping[str, object]) -> PublishedModel:
    """The record of a config.json: its path, that of the folder it is in, or its fields as a dict.

    Only the language model is read, not a vision part. ValueError for a model type that is not known here, and for a
    field that is missing, of the wrong kind, or that cannot be counted; each error names the field.
    """
    if not isinstance(config, str | PathLike | Mapping):
        raise ValueError(f"from_hf_config takes a config.json, its folder, or a dict; {type(config).__name__} came.")
    if isinstance(config, str) and config.lstrip().startswith("{"):
        raise ValueError(
            "from_hf_config takes the path of a config.json, its folder, or a dict; the text of one came. Give it "
            "json.loads(text)."
        )
    values = config if isinstance(config, Mapping) else _read(Path(config))
    kind = values.get("model_type")
    if not isinstance(kind, str):
        raise ValueError(f"config.json has model_type {kind!r}, expected the name that says what its fields mean.")
    if kind not in READERS:
        hint = f"families.from_hf_config reads {', '.join(READERS)}"
        raise ValueError(unknown("reader for model_type", kind, READERS, hint))
    _few_layers(values)
    fields = READERS[kind](Config(values, kind))
    if not fields.get("window"):
        fields |= {"window": 0, "window_layers": ()}
    try:
        name = values.get("_name_or_path")
        return PublishedModel(name if name and isinstance(name, str) else kind, source="config.json", **fields)
    except ValueError as error:
        raise ValueError(f"the config.json of type {kind} cannot be: {error}") from error


def _few_layers(values: Mapping[str, object]) -> None:
    for name, value in values.items():
        if isinstance(value, Mapping):
            _few_layers(value)
        elif str(name).endswith("layers") and isinstance(value, int) and value > MOST_LAYERS:
            raise ValueError(f"{name!r} is {value:,} in the config.json, expected at most {MOST_LAYERS:,}.")


def _read(path: Path) -> dict:
    file = path / "config.json" if path.is_dir() else path
    if not file.is_file():
        raise ValueError(f"{file} is not there. families.from_hf_config takes a config.json, its folder, or a dict.")
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{file} holds a {type(values).__name__}, expected the fields of a model's configuration.")
    return values
