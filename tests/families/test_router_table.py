"""The table of routers: what is committed is what comes out, and what is unknown is called so (moe_lite/families)."""

import json
import sys
from pathlib import Path

import pytest
import transformers
from one_option import change_moves

from moe_lite.families import __main__ as program, find, routers
from moe_lite.families.compare import DIFFERENT, SAME
from moe_lite.model.config import ModelConfig

FILE = Path(__file__).resolve().parents[2] / "data/families/routers.json"
TABLE = json.loads(FILE.read_text(encoding="utf-8"))
ROWS = {(row["family"], row["name"]): row for row in TABLE["rows"]}
AGAIN = f"If that is right: python -m moe_lite.families --json {FILE.relative_to(FILE.parents[2])}"


@pytest.fixture(scope="module")
def found() -> dict[tuple[str, str], find.Found]:
    return {(one.family, one.name): one for one in find.find()}


# ---- the committed table ---------------------------------------------------------------------------------------------


def test_table_is_of_the_installed_version():
    assert TABLE["transformers"] == transformers.__version__, AGAIN


@pytest.mark.slow
def test_rows_and_what_is_left_out_are_those_of_the_library(found):
    assert {key for key, one in found.items() if not one.reason} == ROWS.keys(), AGAIN
    left = {(one["family"], one["name"]): one["reason"] for one in TABLE["left_out"]}
    assert {key: one.reason for key, one in found.items() if one.reason} == left, AGAIN


@pytest.mark.slow
@pytest.mark.parametrize("key", ROWS, ids="-".join)
def test_row_is_what_a_fresh_run_gives(key, found):
    fresh, kept = routers.row(found[key]), ROWS[key]
    assert fresh.reproduced == kept["reproduced"], f"{fresh.problem} {AGAIN}"
    assert (fresh.setting, fresh.moved) == (kept.get("setting", {}), kept.get("moved", {})), AGAIN
    if fresh.reproduced:
        assert fresh.difference <= SAME and kept["difference"] <= SAME
        assert fresh.control == kept["control"], AGAIN
        assert fresh.control_difference > DIFFERENT and kept["control_difference"] > DIFFERENT
    else:
        assert fresh.problem and kept["problem"]


@pytest.mark.parametrize("key", [key for key, row in ROWS.items() if row["reproduced"]], ids="-".join)
def test_control_of_a_row_changes_the_rule_that_the_row_prints(key):
    setting = dict(ROWS[key].get("setting", {}))
    if setting.get("routed_scale") == "1/k":
        setting["routed_scale"] = 1 / 4
    config = ModelConfig(n_experts=32, top_k=1 if setting.get("router") == "mlp" else 4, **setting)
    assert change_moves(config, ROWS[key]["control"]) > DIFFERENT


UNKNOWN = {("doge", "DogeCDMoE")}  # product keys: pairs of half keys, and the halves of other tokens


def test_almost_all_are_reproduced():
    unknown = {key for key, row in ROWS.items() if not row["reproduced"]}
    assert unknown == UNKNOWN and len(ROWS) == 76


def test_summary_counts_the_rows():
    told = f"{len(ROWS) - len(UNKNOWN)} of {len(ROWS)} router classes in {len({family for family, _ in ROWS})} families"
    assert TABLE["summary"].startswith(told)
    assert all(name in TABLE["summary"].split("Not: ")[1] for _, name in UNKNOWN)


# ---- classes that are planted ----------------------------------------------------------------------------------------

HEAD = """
import torch
import torch.nn.functional as F
from torch import nn

class PlantedConfig:
    hidden_size, num_experts, num_experts_per_tok, norm_topk_prob = 2048, 64, 8, True
    {more}

class PlantedRouter(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.num_experts, self.top_k, self.norm = config.num_experts, config.num_experts_per_tok, config.norm_topk_prob
        self.weight = nn.Parameter(torch.empty(config.num_experts, config.hidden_size))
        {init}

    def forward(self, hidden_states{arguments}):
        logits = F.linear(hidden_states, self.weight)
"""
SIGMOID = """
        scores = logits.sigmoid()
        weights, chosen = scores.topk(self.top_k, dim=-1)
"""
NORM = """
        if self.norm:
            weights = weights / weights.sum(dim=-1, keepdim=True)
        return logits, weights, chosen
"""
KNOWN = SIGMOID + NORM
# softmax over pairs of neighbours: no setting of ours
PAIRS = """
        scores = logits.unflatten(-1, (-1, 2)).softmax(-1).flatten(-2)
        weights, chosen = scores.topk(self.top_k, dim=-1)
"""
NEARLY = {
    "weights a little bent": SIGMOID + "        weights = weights ** 1.001\n" + NORM,
    "a small eps in the sum": SIGMOID + NORM.replace("keepdim=True)", "keepdim=True).add(1e-4)"),
    "norm ignored": SIGMOID + NORM.replace("if self.norm", "if True"),
    "one token of 64 sent elsewhere": SIGMOID + "        chosen[7] = (chosen[7] + 1) % self.num_experts\n" + NORM,
}


def planted(folder: Path, body: str, more: str = "", init: str = "", arguments: str = "") -> find.Found:
    """The one router in a family that is written to `folder`."""
    (folder / "planted").mkdir()
    text = HEAD.format(more=more or "pass", init=init or "pass", arguments=arguments) + body
    (folder / "planted/modeling_planted.py").write_text(text)
    (one,) = find.find(folder)
    assert one.reason == ""
    return one


def test_planted_router_of_a_known_rule_is_reproduced(tmp_path):
    row = routers.row(planted(tmp_path, KNOWN))
    assert row.reproduced and row.setting == {"score": "sigmoid"}
    assert row.moved == {"score": "sigmoid", "renorm": False} and row.own == ("norm_topk_prob",)


def test_planted_router_of_an_unknown_rule_is_called_unknown(tmp_path):
    row = routers.row(planted(tmp_path, PAIRS + NORM))
    assert not row.reproduced and row.setting == {}
    assert row.problem.startswith("unknown rule: ") and " settings tried, the nearest differs by " in row.problem
    assert "Not: planted (PlantedRouter)." in routers.summary([row])


@pytest.mark.parametrize("change", NEARLY)
def test_planted_router_of_a_nearly_known_rule_is_called_unknown(tmp_path, change):
    row = routers.row(planted(tmp_path, NEARLY[change]))
    assert not row.reproduced and row.problem.startswith("unknown rule: ")


def test_setting_that_we_do_not_know_is_named_as_untried(tmp_path):
    row = routers.row(planted(tmp_path, KNOWN, more="expert_mood = 3", init="self.mood = config.expert_mood"))
    assert row.reproduced and row.untried == ("expert_mood",)


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        (
            {"body": KNOWN, "init": "self.mood = config.mood"},
            "not built: AttributeError: 'PlantedConfig' object has no",
        ),
        ({"body": KNOWN, "arguments": ", weather"}, "not built: its forward asks for weather"),
        ({"body": "        return logits"}, "not built: its output shows neither choice nor weights"),
    ],
)
def test_class_that_cannot_be_tried_is_named_with_the_reason(tmp_path, parts, problem):
    row = routers.row(planted(tmp_path, **parts))
    assert not row.reproduced and row.problem.startswith(problem)


# ---- which classes are found -----------------------------------------------------------------------------------------

LOOKS = """
class LampGate(nn.Module):
    '''Opens for an expert, says its comment.'''
    def forward(self, x):
        return self.linear(x).topk(3)  # experts

class LampMoeBlock(nn.Module):
    def __init__(self):
        self.experts = nn.ModuleList()

    def forward(self, x, lamp_index):
        return self.experts[lamp_index](x)
"""
ROUTES = """
class LampTopKRouter(nn.Module):
    def forward(self, x):
        return self.expert_logits(x)

class LampFFN(nn.Module):
    def __init__(self):
        self.gate, self.experts = LampTopKRouter(), None

    def forward(self, x):
        return self.gate(x).topk(3)

class LampForCausalLM(LampPreTrainedModel, GenerationMixin):
    def forward(self, x):
        return self.expert_logits(x).argmax(-1)

class LampMLP(nn.Module):
    def forward(self, x):
        return self.choose(self.experts(x).topk(2))
"""


def reasons(folder: Path, text: str) -> dict[str, find.Found]:
    (folder / "lamp").mkdir()
    (folder / "lamp/modeling_lamp.py").write_text(text)
    return {one.name: one for one in find.find(folder)}


def test_class_that_only_looks_like_a_router_is_left_out_with_the_reason(tmp_path):
    told = {name: one.reason for name, one in reasons(tmp_path, LOOKS).items()}
    assert told == {
        "LampGate": "names no expert: it opens, sorts or weighs something else",
        "LampMoeBlock": "runs experts, but no class of its family chooses among them: the caller says which",
    }


def test_class_that_chooses_is_found_whatever_its_name(tmp_path):
    found = reasons(tmp_path, ROUTES)
    assert {name for name, one in found.items() if not one.reason} == {"LampTopKRouter", "LampMLP"}
    assert found["LampFFN"].reason == "completes the choice of its LampTopKRouter, and is tried together with it"
    assert found["LampTopKRouter"].owner == "LampFFN"
    assert found["LampForCausalLM"].reason.startswith("a whole model")


def test_missing_library_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModuleNotFoundError, match=r"compares with transformers: pip install -c constraints.txt"):
        find.find()


# ---- the program -----------------------------------------------------------------------------------------------------


def test_program_prints_the_table_and_writes_it(monkeypatch, tmp_path, capsys, found):
    long = next(one for (_, name), one in found.items() if name == "SwitchTransformersForConditionalGeneration")
    few = [found["mixtral", "MixtralTopKRouter"], found["d_fine", "DFineGate"], long]
    monkeypatch.setattr(program, "find", lambda: few)
    assert program.main(["--json", str(tmp_path / "new/table.json")]) == 0
    shown, written = capsys.readouterr().out, json.loads((tmp_path / "new/table.json").read_text(encoding="utf-8"))
    assert "softmax over all experts; the k best are chosen; weights divided by their sum" in shown
    assert "left out:\nd_fine" in shown and "SwitchTransformersForConditionalGeneration  a whole model" in shown
    assert "differs: the largest difference of a weight of any expert, 64 random tokens" in shown
    assert "control: the option of the rule that is shown" in shown
    assert "1 of 1 router classes in 1 families reproduced; largest difference 0e+00" in shown
    assert written["summary"] in shown and [row["family"] for row in written["rows"]] == ["mixtral"]
