"""Published mixtures: their rules as settings of our one router, with the proof, and what they hold and cost.

families.names()                    # all rules
families.preset("deepseek_v3")      # a small ModelConfig with its rule
families.describe("deepseek_v3")    # the rule in words and in symbols, with its source
families.difference("mixtral", "olmoe")   # the settings in which two rules differ
families.timeline()                 # when each came, what it answered, its rule
families.rules()                    # which classes of transformers share a rule
families.published()                # real models, by name
families.count("Mixtral-8x7B")      # parameters in total and active, FLOPs, bytes; also of a ModelConfig

families.count(families.from_hf_config("config.json"))  # of a file, its folder, or its fields as a dict

`python -m moe_lite.families` compares every router of transformers with ours.
"""

from moe_lite.families.counting import Count as Count, count as count
from moe_lite.families.counting_table import counting_table as counting_table
from moe_lite.families.hf_config import from_hf_config as from_hf_config
from moe_lite.families.presets import describe as describe, names as names, preset as preset
from moe_lite.families.published_closed import closed_models as closed_models
from moe_lite.families.published_models import PublishedModel as PublishedModel, published as published
from moe_lite.families.side_by_side import difference as difference, rules as rules, timeline as timeline
