"""Models whose sizes are not published: what their makers say, and what is rumour, and whose."""

from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class ClosedModel:
    """There is nothing to count here, on purpose: a rumour is no size."""

    name: str
    official: str
    rumour: str
    source: str


@dataclass(frozen=True, repr=False)
class ClosedModels:
    """The records, in a form that shows as text and, in Jupyter, as a list."""

    models: tuple[ClosedModel, ...]

    def __repr__(self) -> str:
        lines = []
        for name, *told in map(_told, self.models):
            lines += [name, *(f"  {what + ':':9} {text}" for what, text in told)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        page = ""
        for name, *told in map(_told, self.models):
            items = "".join(f"<li>{what}: {escape(text)}</li>" for what, text in told)
            page += f"<p><b>{escape(name)}</b></p><ul>{items}</ul>"
        return page


def _told(model: ClosedModel) -> tuple:
    return model.name, ("official", model.official), ("rumour", model.rumour), ("source", model.source)


CLOSED = (
    ClosedModel(
        "GPT-4",
        "OpenAI has published no architecture and no size.",
        "8 experts of 220B each, about 1.76T (George Hotz, June 2023). About 1.8T in 120 layers, 16 experts of about "
        "111B, 2 of them per token, about 55B of shared attention (SemiAnalysis, July 2023). The two contradict each "
        "other, and neither is confirmed.",
        "arXiv 2303.08774, section 2; the rumours as the-decoder.com and pbxscience.com tell them",
    ),
    ClosedModel(
        "Gemini",
        "Gemini 1.5 Pro is a sparse mixture-of-experts Transformer, and so are the 2.5 models; no size is published.",
        "None that is kept here.",
        "arXiv 2403.05530 (1.5); arXiv 2507.06261 (2.5)",
    ),
    ClosedModel(
        "Claude",
        "Anthropic has published nothing about experts, and no size.",
        'Configurations in public repositories that name such a model, for example with the model_type "claude_moe", '
        "are fabrications.",
        "none: there is no publication to cite",
    ),
)


def closed_models() -> ClosedModels:
    """What is known of GPT-4, Gemini and Claude: the official part and the rumours apart, each with its source."""
    return ClosedModels(CLOSED)
