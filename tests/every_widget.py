"""All widgets at once, for tests of what they have in common."""

from dataclasses import replace

from small import model_with_opinions, sample_corpora, small_config, small_corpora

from moe_lite import MoELanguageModel, TrainConfig, widgets
from moe_lite.checkpoint import pretrained

TEXT = "The king said nothing.\ndef add(a, b):\n    return a + b\n17 + 25 = 42\n"


def all_widgets() -> dict[str, widgets.kit.widget.MoEWidget]:
    """One of each, in the look that a lesson gives it."""
    model, dense = pretrained(8), pretrained(1)
    tokens = widgets.TokenViewer(model, TEXT, top_k=2)
    tokens.picked, tokens.by_weight = [3], True
    tokens.suggest({"layer 2": {"layer": 2}, "second choices": {"choice": 1}})
    written = widgets.GenerationViewer(model, "Once upon", n_tokens=5, dense=dense).run()
    written.lacking += 1  # so that a page which opens now gets all tokens
    drawn = widgets.NextTokens(dense, "def area(r):")
    drawn.n_drawn = 3
    budget = widgets.BudgetExplorer(count=lambda config, context: (1, 2))
    budget.n_layers += 1
    gallery = widgets.FailureGallery()
    gallery.answer("A", "healthy")
    config = TrainConfig(steps=8, batch_size=2, length=8, warmup_steps=2, validate_every=4, validation_windows=1)
    calculator = widgets.ModelCalculator()
    calculator.n_experts, calculator.convention = 16, "body"
    trained = widgets.TrainingDashboard(
        lambda n, k: MoELanguageModel(replace(small_config(), n_experts=n, top_k=k)), small_corpora(), config,
        n_experts=5, choices=(5,),
    )  # fmt: skip
    assert trained.start().wait(60)
    experts = widgets.ExpertViewer(model_with_opinions(), sample_corpora(), TEXT, windows=1)
    experts.suggest({"python's expert": {"domain": "python"}, "mute it": {"muted": True}}).mute()
    made = [
        tokens, written, drawn, budget, gallery, trained, widgets.RouterStepper(), widgets.DispatchView(TEXT),
        widgets.CapacityView(TEXT), widgets.BiasController(), widgets.ExpertPartition(), widgets.BalanceLab(),
        calculator, widgets.FamilyExplorer(), experts, widgets.ResultsExplorer(), widgets.ServingExplorer(),
        widgets.CacheExplorer(TEXT, new=12), widgets.TrafficExplorer(devices=2, texts="kinds"),
    ]  # fmt: skip
    return {widget.folder: widget for widget in made}
