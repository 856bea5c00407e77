"""Families beside each other (moe_lite/families/side_by_side.py)."""

import json

import pytest

from moe_lite import families
from moe_lite.data import data_dir
from moe_lite.families.side_by_side import SIZES
from moe_lite.model.config import ModelConfig


def test_difference_names_the_settings_that_part_two_rules_and_no_size():
    assert families.difference("mixtral", "olmoe") == {"renorm": (True, False)}
    assert families.difference("olmoe", "mixtral") == {"renorm": (False, True)}
    assert families.difference("mixtral", "qwen3_moe") == {}  # 8 experts and 16, one rule
    found = families.difference("kimi_k2", "deepseek_v3")
    assert found == {"routed_scale": (2.827, 2.5), "n_groups": (1, 4), "topk_groups": (1, 2)}
    assert not SIZES - set(vars(ModelConfig()))  # names that exist


def test_difference_of_an_unknown_family_names_near_ones():
    with pytest.raises(ValueError, match="No family 'mixtrall' among .*Did you mean mixtral"):
        families.difference("mixtrall", "olmoe")


def test_timeline_has_a_row_per_family_in_the_order_asked_for():
    table = families.timeline("olmoe", "switch")
    assert [row[0] for row in table.rows] == ["olmoe", "switch"]
    assert table.rows[1][1] == "2021-01" and table.rows[1][3] == "z = W x, s = softmax(z), T = top-K(s), g = s"
    assert [row[0] for row in families.timeline().rows] == families.names()
    assert "<td" in table._repr_html_() and "top-K(s)" in repr(table)
    assert "<details><summary" in table.folded()._repr_html_() and repr(table.folded()) == repr(table)
    assert "top-E(s)" in repr(families.timeline("jacobs_1991"))  # all of them
    assert families.timeline("llama4").rows[0][4].startswith("1 shared expert for every token; weights multiply")


def test_rules_group_the_classes_of_the_committed_table():
    found = families.rules()
    rows = json.loads((data_dir() / "families" / "routers.json").read_text(encoding="utf-8"))["rows"]
    assert len(found.of_class) + len(found.not_reproduced) == len(rows)
    counts = [len(group) for group in found.shared_by.values()]
    assert counts == sorted(counts, reverse=True) and sum(counts) == len(found.of_class)
    # a row without a setting has our defaults, which are Mixtral's rule
    plain = {row["name"] for row in rows if row["reproduced"] and "setting" not in row}
    assert {*found.shared_by[found.of_class["MixtralTopKRouter"]]} == plain
    assert len(found.most_common(3).rows) == 3 and "3 most common rules" in found.most_common(3).caption
    assert found.most_common(1).rows[0][2] in plain and "," not in found.most_common(1).rows[0][2]
    assert len(found.most_common().rows) == len(counts) and "all rules" in found.most_common().caption
    assert "PhimoeTopKRouter" in found.own_router and not plain & {*found.own_router}
    assert found.version in repr(found) and "<table" in found._repr_html_()
