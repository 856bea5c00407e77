"""The families of published mixtures: what they hold, and what they cost."""

from moe_lite.families.counting import Count as Count, count as count
from moe_lite.families.counting_table import counting_table as counting_table
from moe_lite.families.hf_config import from_hf_config as from_hf_config
from moe_lite.families.published_closed import closed_models as closed_models
from moe_lite.families.published_models import PublishedModel as PublishedModel, published as published
