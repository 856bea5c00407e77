"""What the generation viewer's script is sent: the prompt once, then with each message only what is new."""

import os

import numpy as np

from moe_lite.widgets.generation_data import Generation
from moe_lite.widgets.generation_twin import largest_share, prompt_text
from moe_lite.widgets.generation_words import ending, layer_parts, settings_text
from moe_lite.widgets.token_data import MOST_EXPERTS
from moe_lite.widgets.token_routing import NONE
from moe_lite.widgets.token_words import fair_share, hundredths


def prompt_data(generation: Generation) -> dict:
    """What stays as long as the prompt does."""
    n_layers, n_experts = generation.prompt_load.shape
    return {
        "text": prompt_text(generation),
        "last": generation.input_face(0).text,  # the token that the first new one is made from
        "load": generation.prompt_load.tolist(),
        "layers": n_layers,
        "experts": n_experts,
        "k": generation.top_k,
        "full": largest_share(generation),
        "fair": fair_share(n_experts),
    }


class News:
    """Messages about one generation; remembers what has been sent, so that each holds the difference."""

    def __init__(self, generation: Generation, run: int):
        self.generation, self.run = generation, run
        self.forget()

    def forget(self) -> None:
        """Make the next message hold everything: a page asks for that if it has missed one."""
        self._faces: list[list] = []
        self._beside = ""

    def message(self, state: str) -> dict:
        """All new tokens since the last message, from `first` on: a token comes again if its face has changed.

        choice is bytes and weight little-endian uint16, both (n, L, K); weights are hundredths. load is (L, E),
        spread the reading line of each layer.
        """
        generation, layers = self.generation, range(len(self.generation.prompt_load))
        faces = [[face.text, face.gap, face.blank, face.part_of] for face in generation.faces]
        first = next((i for i, pair in enumerate(zip(faces, self._faces, strict=False)) if pair[0] != pair[1]),
                     min(len(faces), len(self._faces)))  # fmt: skip
        beside = generation.beside
        kept = len(os.path.commonprefix([beside, self._beside]))
        routing = generation.routing
        experts, weights = (t[:, first:].swapaxes(0, 1) for t in (routing.experts, routing.weights))  # (n, L, K)
        self._faces, self._beside = faces, beside
        return {
            "run": self.run,
            "first": first,
            "tokens": faces[first:],
            "choice": np.where(experts == NONE, MOST_EXPERTS, experts).astype(np.uint8).tobytes(),
            "weight": np.minimum(hundredths(weights), 0xFFFF).astype("<u2").tobytes(),
            "load": routing.load.tolist(),
            "spread": [layer_parts(generation, layer) + ending(generation, state) for layer in layers],
            "beside": [kept, beside[kept:]],
            "facts": settings_text(generation, state),
        }
