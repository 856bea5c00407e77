"""Published routers as settings of ours: one entry a family, as data.

Sizes are not among the settings: a preset is small, so that it trains here. Dates are those of the paper or the first
release; where no source states one it is empty. `not_built` says what else the family's layer has.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Family:
    """A family of routers, and how ours becomes one of it."""

    name: str
    title: str
    when: str  # "1991", "2024-01"; "" where no source states it
    problem: str  # what it answered, one sentence
    source: str  # "" where it is the class in transformers alone
    settings: dict[str, object] = field(default_factory=dict)  # fields of ModelConfig
    library: tuple[str, str] | None = None  # family and class in transformers that compute the same
    not_built: str = ""


LIBRARY = ""  # no paper that we can name: the source is the class
SIGMOID_BIAS = {"score": "sigmoid", "selection_bias": True, "balance_coef": 0.0}
DEEPSEEK_V3 = SIGMOID_BIAS | {"n_experts": 16, "top_k": 4, "n_shared_experts": 1, "routed_scale": 2.5}
GPT_OSS_EXPERTS = {"expert": "quick_geglu", "expert_clamp": 7.0, "expert_bias": True}

FAMILIES = (
    # ---- before language models had sparse layers, and the first that did ----
    Family(
        "jacobs_1991", "Adaptive mixtures of local experts", "1991",
        "One network that learns several tasks at once unlearns one while it learns another.",
        "Jacobs, Jordan, Nowlan and Hinton, Neural Computation 3(1)",
        {"n_experts": 4, "top_k": 4, "renorm": False, "balance_coef": 0.0, "z_coef": 0.0},
        not_built="the competitive loss, which trains each expert by how well it predicts (moe_lite.mixture has it)",
    ),
    Family(
        "shazeer_2017", "Sparsely gated mixture of experts", "2017-01",
        "A layer with thousands of experts is affordable only if each token runs a few, and a router left alone always "
        "picks the same few.",
        "arXiv 1701.06538",
        {"router": "noisy_top_k", "balance": "importance_and_load", "balance_coef": 0.1, "z_coef": 0.0},
        not_built="the recurrent layers around it, two levels of routers, matrices that start at zero",
    ),
    Family(
        "gshard", "GShard", "2020-06",
        "On many devices every expert needs a fixed number of places, so tokens that find none must be dropped.",
        "arXiv 2006.16668: room for 2N/E tokens at each expert, first choices before second ones",
        {"capacity_factor": 1.0, "priority": "first_choice", "balance": "gshard", "z_coef": 0.0},
        not_built="the second expert that is run only by chance where its weight is small",
    ),
    Family(
        "switch", "Switch Transformer", "2021-01",
        "Two experts per token cost twice the communication: is one enough?",
        "arXiv 2101.03961",
        {"top_k": 1, "renorm": False, "capacity_factor": 1.25, "jitter": 0.01, "z_coef": 0.0},
        ("switch_transformers", "SwitchTransformersTop1Router"),
        "experts with ReLU, an encoder beside the decoder, every second layer dense",
    ),
    Family(
        "base_layers", "BASE layers", "2021-03",
        "A balancing loss is one more number to tune: can the tokens be assigned so that none is needed?",
        "arXiv 2103.16716",
        {"top_k": 1, "score": "sigmoid", "renorm": False, "balance_coef": 0.0, "z_coef": 0.0},
        not_built="in training, a linear assignment that gives all experts equally many tokens (nothing balances them "
        "here); experts that are residual blocks, in layers of their own between the others",
    ),
    Family(
        "hash_layers", "Hash layers", "2021-06",
        "Does the router have to be learned at all, if the token itself can say which expert it goes to?",
        "arXiv 2106.04426",
        {"router": "hash", "top_k": 1, "balance_coef": 0.0, "z_coef": 0.0},
        not_built="tables that are balanced by how frequent tokens are",
    ),
    Family(
        "st_moe", "ST-MoE", "2022-02",
        "Large sparse models became unstable in training; a loss that keeps router logits small helped.",
        "arXiv 2202.08906",
        {"capacity_factor": 1.25, "z_coef": 0.001, "balance_coef": 0.01},
        not_built="every fourth layer sparse, a capacity of 2.0 in evaluation",
    ),
    Family(
        "expert_choice", "Expert choice", "2022-02",
        "If experts choose tokens, all are equally busy without any loss for it.",
        "arXiv 2202.09368",
        {"router": "expert_choice", "renorm": False, "allow_lookahead": True, "balance_coef": 0.0, "z_coef": 0.0},
        not_built="an encoder, where looking at later tokens is allowed",
    ),
    Family(
        "nllb_moe", "NLLB-MoE", "2022-07",
        "One model for 200 languages: let the languages share experts, and keep rare ones from being drowned.",
        "arXiv 2207.04672",
        {"capacity_factor": 1.0},
        ("nllb_moe", "NllbMoeTop2Router"), "masking of whole expert outputs in training, encoder and decoder",
    ),
    # ---- 2024: open models with a plain rule ----
    Family(
        "mixtral", "Mixtral 8x7B", "2024-01",
        "An open model with the quality of a much larger dense one, at the compute of a 13-billion-parameter model.",
        "arXiv 2401.04088",
        {},
        ("mixtral", "MixtralTopKRouter"),
    ),
    Family(
        "deepseek_moe", "DeepSeekMoE 16B", "2024-01",
        "Few large experts each know a bit of everything: more and smaller ones, and shared ones for what all need.",
        "arXiv 2401.06066",
        {
            "n_experts": 16, "top_k": 4, "d_expert": 32, "n_shared_experts": 2, "renorm": False, "balance_coef": 0.001,
            "n_dense_layers": 1,
        },
        not_built="balance between devices",
    ),
    Family(
        "grok_1", "Grok-1", "2024-03",
        "A very large open model with the rule of the day, its weights taken as they are.",
        "github.com/xai-org/grok-1, model.py",
        {"renorm": False, "expert": "geglu"},
        not_built="norms before and after each part, tied embeddings",
    ),
    Family(
        "dbrx", "DBRX", "2024-03",
        "More combinations of experts at the same compute: 4 of 16 instead of 2 of 8.",
        "github.com/databricks/dbrx, config.json",
        {"n_experts": 16, "top_k": 4, "balance_coef": 0.05},
        ("dbrx", "DbrxRouter"), "weights divided by another norm than their sum",
    ),
    Family(
        "jamba", "Jamba", "2024-03",
        "Sparse layers among state-space layers: long texts at a small memory.",
        "arXiv 2403.19887",
        {"n_experts": 16, "renorm": False},
        ("jamba", "JambaTopKRouter"), "Mamba layers, every second layer dense",
    ),
    Family(
        "qwen2_moe", "Qwen1.5-MoE", "2024-03",
        "A trained dense model is cut into experts instead of training experts from nothing.",
        "qwenlm.github.io/blog/qwen-moe",
        {
            "n_experts": 16, "top_k": 4, "d_expert": 32, "renorm": False, "n_shared_experts": 4, "shared_gate": True,
        },
        ("qwen2_moe", "Qwen2MoeTopKRouter"),
    ),
    Family(
        "deepseek_v2", "DeepSeek-V2", "2024-05",
        "With 160 experts on many devices a token pays for every device that it visits: limit their number.",
        "arXiv 2405.04434",
        {
            "n_experts": 16, "top_k": 4, "n_shared_experts": 2, "renorm": False, "routed_scale": 16.0, "n_groups": 4,
            "topk_groups": 2, "group_score": "max", "balance": "sequence", "balance_coef": 0.003, "n_dense_layers": 1,
        },
        ("deepseek_v2", "DeepseekV2TopkRouter"), "latent attention, balance between devices",
    ),
    Family(
        "olmoe", "OLMoE", "2024-09",
        "An open model with all its data and checkpoints, so that what experts learn can be studied.",
        "arXiv 2409.02060",
        {"n_experts": 16, "top_k": 4, "d_expert": 32, "renorm": False, "balance_coef": 0.01, "z_coef": 0.001},
        ("olmoe", "OlmoeTopKRouter"),
    ),
    Family(
        "phimoe", "Phi-3.5-MoE (SparseMixer)", "2024-09",
        "Picking an expert has no gradient: draw it, and estimate what the other choice would have changed.",
        "arXiv 2409.12136",
        {"router": "sparse_mixer", "renorm": False, "jitter": 0.01},
        ("phimoe", "PhimoeTopKRouter"), "LayerNorm and biases in the other layers",
    ),
    Family(
        "granitemoe", "Granite 3.0 MoE", "2024-10",
        "Small experts for small machines: choose by the logits first, and score only the chosen ones.",
        LIBRARY,
        {"n_experts": 16, "top_k": 4, "d_expert": 32, "order": "topk_first"},
        ("granitemoe", "GraniteMoeTopKRouter"), "multipliers on embeddings, attention and residual stream",
    ),
    Family(
        "deepseek_v3", "DeepSeek-V3 and R1", "2024-12",
        "A balancing loss disturbs what the model learns: a bias that only chooses balances without a gradient.",
        "arXiv 2412.19437",
        DEEPSEEK_V3 | {"n_groups": 4, "topk_groups": 2, "n_dense_layers": 1},
        ("deepseek_v3", "DeepseekV3TopkRouter"),
        "latent attention, prediction of more than one token; three dense layers of 61 are one of four here",
    ),
    # ---- 2025 ----
    Family(
        "minimax", "MiniMax-Text-01", "2025-01",
        "Texts of a million tokens: linear attention in most layers, and the plain rule in the sparse ones.",
        "arXiv 2501.08313",
        {"n_experts": 16},
        ("minimax", "MiniMaxTopKRouter"), "lightning attention",
    ),
    Family(
        "llama4", "Llama 4", "2025-04",
        "One large expert and a shared one: the weight acts before the expert, not behind it.",
        "github.com/meta-llama/llama-models, models/llama4/moe.py",
        {
            "top_k": 1, "score": "sigmoid", "order": "topk_first", "renorm": False, "gate_on": "input",
            "n_shared_experts": 1,
        },
        ("llama4", "Llama4Router"), "dense layers in between (Maverick)",
    ),
    Family(
        "qwen3_moe", "Qwen3 MoE", "2025-05",
        "128 small experts and no shared one, balanced over the global batch so that experts can specialise.",
        "arXiv 2505.09388",
        {"n_experts": 16, "top_k": 4, "d_expert": 32},
        ("qwen3_moe", "Qwen3MoeTopKRouter"), "a balancing loss over the global batch",
    ),
    Family(
        "ernie4_5_moe", "ERNIE 4.5", "2025-06",
        "Texts and pictures in one model: experts of their own for each, balanced by a bias beside a softmax.",
        LIBRARY,
        {"n_experts": 16, "top_k": 4, "selection_bias": True, "n_shared_experts": 1, "n_dense_layers": 1},
        ("ernie4_5_moe", "Ernie4_5_MoeTopKRouter"), "experts by modality, a floor of 1e-12 for the sum",
    ),
    Family(
        "hunyuan", "Hunyuan-A13B", "2025-06",
        "One shared expert helps, more do not: the plain rule and one shared expert.",
        "github.com/Tencent-Hunyuan/Hunyuan-A13B",
        {"n_experts": 16, "top_k": 4, "n_shared_experts": 1},
        ("hunyuan_v1_moe", "HunYuanMoEV1Gate"),
    ),
    Family(
        "flex_olmo", "FlexOlmo", "2025-07",
        "Owners of data who may not share it train their expert alone; a router joins them afterwards.",
        "arXiv 2507.07024",
        {"renorm": False},
        ("flex_olmo", "FlexOlmoTopKRouter"), "training each expert apart from the others",
    ),
    Family(
        "kimi_k2", "Kimi K2", "2025-07",
        "The rule of DeepSeek-V3 with more experts, and no groups to hold them back.",
        "github.com/MoonshotAI/Kimi-K2",
        DEEPSEEK_V3 | {"routed_scale": 2.827, "n_dense_layers": 1},
        ("deepseek_v3", "DeepseekV3TopkRouter"), "latent attention",
    ),
    Family(
        "glm4_moe", "GLM-4.5", "2025-08",
        "Deeper and narrower: the rule of DeepSeek-V3 without groups, frozen at the end of training.",
        "arXiv 2508.06471",
        DEEPSEEK_V3 | {"n_dense_layers": 1},
        ("glm4_moe", "Glm4MoeTopkRouter"), "prediction of more than one token",
    ),
    Family(
        "gpt_oss", "gpt-oss", "2025-08",
        "A model for one GPU: few experts per token, and a router whose bias is trained like any weight.",
        "arXiv 2508.10925",
        {"n_experts": 16, "top_k": 4, "order": "topk_first", "router_bias": True} | GPT_OSS_EXPERTS,
        ("gpt_oss", "GptOssTopKRouter"), "attention sinks",
    ),
    Family(
        "longcat_flash", "LongCat-Flash", "2025-09",
        "Not every token needs the same compute: experts that do nothing let easy tokens save it.",
        "arXiv 2509.01322",
        {
            "n_experts": 16, "top_k": 4, "n_zero_experts": 8, "renorm": False, "routed_scale": 6.0,
            "selection_bias": True, "balance_coef": 0.0,
        },
        ("longcat_flash", "LongcatFlashTopkRouter"),
        "the controller that holds the average number of real experts, two attentions per layer",
    ),
    # ---- 2025-26, as their classes compute: dates where a source states them ----
    Family(
        "qwen3_next", "Qwen3-Next", "2025-09",
        "Very sparse: 10 of 512 experts, so that width costs almost nothing.",
        LIBRARY,
        {"n_experts": 32, "top_k": 2, "d_expert": 32, "n_shared_experts": 1, "shared_gate": True},
        ("qwen3_next", "Qwen3NextTopKRouter"), "linear attention in most layers",
    ),
    Family(
        "minimax_m2", "MiniMax-M2", "",
        "The rule of DeepSeek-V3 with nothing but the bias: no groups, no shared expert, no scale.",
        LIBRARY,
        SIGMOID_BIAS | {"n_experts": 16, "top_k": 4},
        ("minimax_m2", "MiniMaxM2TopKRouter"),
    ),
    Family(
        "nemotron_h", "Nemotron-H", "",
        "Experts are cheaper to hold and to reach where they work at a lower width than the model.",
        LIBRARY,
        DEEPSEEK_V3 | {"expert": "relu2", "d_latent": 32},
        ("nemotron_h", "NemotronHTopkRouter"), "state-space layers",
    ),
    Family(
        "cohere2_moe", "Cohere2 MoE", "",
        "Chosen and shared experts should weigh the same in the answer: their average is taken, not their sum.",
        LIBRARY,
        {"order": "topk_first", "n_shared_experts": 1, "shared_average": True},
        ("cohere2_moe", "Cohere2MoeTopKRouter"), "attention and feed-forward side by side",
    ),
    Family(
        "lfm2_moe", "LFM2 MoE", "",
        "Sparse layers for small devices: the same rule, and a small number in the sum so that it cannot be zero.",
        LIBRARY,
        SIGMOID_BIAS | {"n_experts": 16, "top_k": 4, "renorm_eps": 1e-6},
        ("lfm2_moe", "Lfm2MoeTopKRouter"), "short convolutions in most layers",
    ),
    Family(
        "trinity", "Trinity (afmoe)", "2026-02",
        "A bias that moves by a fixed step overshoots: let it move with momentum and a soft limit.",
        "arXiv 2602.17004",
        SIGMOID_BIAS | {"n_experts": 16, "top_k": 4, "n_shared_experts": 1},
        ("afmoe", "AfmoeTokenChoiceRouter"), "its update of the bias (here it moves by a fixed step)",
    ),
    Family(
        "deepseek_v4", "DeepSeek-V4", "",
        "A sigmoid is flat for large logits: the square root of softplus goes on growing.",
        LIBRARY,
        DEEPSEEK_V3 | {"score": "sqrtsoftplus", "routed_scale": 1.5, "expert_clamp": 10.0},
        ("deepseek_v4", "DeepseekV4TopKRouter"), "its first layers, which look experts up (deepseek_v4_hash)",
    ),
    Family(
        "deepseek_v4_hash", "DeepSeek-V4, first layers", "",
        "In the first layers a token's experts can be looked up by its id; only their weights are learned.",
        LIBRARY,
        {
            "n_experts": 16, "top_k": 4, "n_shared_experts": 1, "router": "hash", "score": "sqrtsoftplus",
            "routed_scale": 1.5, "balance_coef": 0.0, "expert_clamp": 10.0,
        },
        ("deepseek_v4", "DeepseekV4HashRouter"), "the table that is shipped with the model (here it is random)",
    ),
    Family(
        "mistral4", "Mistral 4", "",
        "The layout of DeepSeek-V3 with the score of DeepSeek-V2: a softmax, and no bias.",
        LIBRARY,
        {"n_experts": 16, "top_k": 4, "n_shared_experts": 1},
        ("mistral4", "Mistral4TopkRouter"), "latent attention",
    ),
    Family(
        "axk2", "A.X K2", "",
        "What closed groups count as is a detail that a checkpoint depends on: here it is zero.",
        LIBRARY,
        DEEPSEEK_V3 | {"n_groups": 4, "topk_groups": 2, "group_fill": "zero"},
        ("axk2", "AXK2TopkRouter"), "latent attention",
    ),
    Family(
        "kolibri1", "Kolibri 1", "",
        "The bias is added to logits instead of scores, where the same step moves more.",
        LIBRARY,
        SIGMOID_BIAS | {"n_experts": 16, "top_k": 4, "n_shared_experts": 1, "select_on": "logit", "renorm": False},
        ("kolibri1", "Kolibri1TopKRouter"),
    ),
    Family(
        "laguna", "Laguna", "",
        "Logits that can be bent keep a sigmoid from becoming all or nothing.",
        LIBRARY,
        SIGMOID_BIAS | {"n_experts": 16, "top_k": 4, "n_shared_experts": 1, "logit_softcap": 2.0},
        ("laguna", "LagunaTopKRouter"),
        "nothing of the rule; without a setting the class bends nothing, 2.0 is a value that we tried",
    ),
    Family(
        "muse_spark", "Muse Spark", "",
        "Wide tokens give large logits: they are scaled down before the sigmoid.",
        LIBRARY,
        SIGMOID_BIAS | {"n_experts": 16, "top_k": 4, "logit_scale": 0.177},
        ("muse_spark", "MuseSparkTopkRouter"),
        "experts that work at half the model's width, between norms that d_latent does not have",
    ),
    Family(
        "flint", "Flint", "",
        "Sigmoid scores without any bias: balanced by a loss alone.",
        LIBRARY,
        {"n_experts": 16, "top_k": 4, "score": "sigmoid", "n_shared_experts": 1, "balance_coef": 0.0005},
        ("flint", "FlintTopKRouter"),
    ),
    Family(
        "openai_privacy_filter", "OpenAI privacy filter", "",
        "A small sparse model that finds personal data; its weights sum to 1/K.",
        LIBRARY,
        {"n_experts": 16, "top_k": 4, "order": "topk_first", "router_bias": True, "routed_scale": 0.25}
        | GPT_OSS_EXPERTS,
        ("openai_privacy_filter", "OpenAIPrivacyFilterTopKRouter"),
        "attention in both directions, the factor top_k on the layer's answer, which takes routed_scale=1/top_k back",
    ),
    Family(
        "gemma4", "Gemma 4", "",
        "The length of a token should not say how sure the router is: it sees a direction.",
        LIBRARY,
        {"n_experts": 16, "top_k": 4, "router": "normed", "n_shared_experts": 1, "expert": "geglu"},
        ("gemma4", "Gemma4TextRouter"),
        "norms of their own before and behind the experts and the dense network beside them, which is the shared "
        "expert here; a router that reads the token before any norm but its own",
    ),
    Family(
        "inkling", "Inkling", "",
        "A shared expert that every token must take cannot be turned down: let it compete for its weight.",
        LIBRARY,
        DEEPSEEK_V3 | {"router": "competing_shared", "n_shared_experts": 2, "routed_scale": 8.0},
        ("inkling", "InklingTopkRouter"),
    ),
    Family(
        "zaya", "Zaya", "",
        "One matrix is too simple a router: a small network that remembers the layer before, and may skip.",
        LIBRARY,
        {"n_experts": 16, "top_k": 1, "router": "mlp", "renorm": False, "selection_bias": True, "balance_coef": 0.0},
        ("zaya", "ZayaRouter"), "its attention, and scales on the residual stream",
    ),
)  # fmt: skip
