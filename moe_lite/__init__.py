"""moe-lite: a small mixture-of-experts language model, made to be read.

Dimension key, used in every shape comment:

    B batch          T time            N = B·T tokens     D width of the model
    H heads          S head size       E experts          K experts per token
    F expert width   C capacity        V vocabulary       L layers
    M devices
    A assignments of a token to an expert (N·K where K is fixed)
    P points of a training curve
    R rows of any other matrix, C its columns
"""

import pkgutil

# Short names, and where they live. Loaded when first asked for: importing the package stays light, and
# `python -m moe_lite.doctor` starts without torch.
PLACES = {
    # the model
    "ModelConfig": "moe_lite.model.config.ModelConfig",
    "MoELanguageModel": "moe_lite.model.transformer.MoELanguageModel",
    "TrainConfig": "moe_lite.train.TrainConfig",
    "balance": "moe_lite.model.balance",
    "experts": "moe_lite.model.experts",
    "moe": "moe_lite.model.moe",
    "routing": "moe_lite.model.routing",
    "transformer": "moe_lite.model.transformer",
    # published mixtures
    "families": "moe_lite.families",
    # what single lessons build
    "admission": "moe_lite.lessons.admission",
    "baseline": "moe_lite.lessons.baseline",
    "dispatch": "moe_lite.lessons.dispatch",
    "expert_cache": "moe_lite.lessons.expert_cache",
    "expert_groups": "moe_lite.lessons.expert_groups",
    "interventions": "moe_lite.lessons.interventions",
    "mixture": "moe_lite.lessons.mixture",
    "parallel": "moe_lite.lessons.parallel",
    "quantise": "moe_lite.lessons.quantise",
    "serving": "moe_lite.lessons.serving",
    "specialisation": "moe_lite.lessons.specialisation",
    "traffic": "moe_lite.lessons.traffic",
    # trainings recorded and measured
    "comparison": "moe_lite.lab.comparison",
    "costs": "moe_lite.lab.costs",
    "decoding": "moe_lite.lab.decoding",
    "expert_runs": "moe_lite.lab.expert_runs",
    "hosting": "moe_lite.lab.hosting",
    "offloading": "moe_lite.lab.offloading",
    "race": "moe_lite.lab.race",
    "runs": "moe_lite.lab.runs",
    "sweeps": "moe_lite.lab.sweeps",
    "symptoms": "moe_lite.lab.symptoms",
    "timing": "moe_lite.lab.timing",
    # the course
    "claims": "moe_lite.course.claims.claims",
    "guess": "moe_lite.course.guesses.guess",
    "lesson_header": "moe_lite.checks.lesson_header.lesson_header",
    "model_diagram": "moe_lite.course.diagram.model_diagram",
    "my_program": "moe_lite.checks.program.show.my_program",
    "progress": "moe_lite.checks.course_map.progress",
    "reset": "moe_lite.checks.unstuck.reset",
    "skip": "moe_lite.checks.unstuck.skip",
    "start_again": "moe_lite.checks.unstuck.start_again",
}
__all__ = [*PLACES]


def __getattr__(name: str):
    if name in PLACES:
        found = globals()[name] = pkgutil.resolve_name(PLACES[name])
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
