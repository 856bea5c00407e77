"""The expert partition: how do several small networks divide a problem?"""

from moe_lite.widgets.expert_partition.widget import ExpertPartition

__all__ = ["ExpertPartition"]
