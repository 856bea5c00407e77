"""In and out of Hugging Face's `transformers`: the same weights there, folders that it reads, folders that it wrote.

Nothing here is needed to run moe-lite.

    twin(model)            a model of transformers with copies of the weights
    export(model, folder)  a folder that `AutoModelForCausalLM.from_pretrained` reads
    verify(model, folder)  whether transformers reads the same model there; names what was swapped
    trace(model, ids)      which expert takes which token in a model of transformers: our Routing records
    Viewable(model)        such a model for TokenViewer and GenerationViewer
    load(folder)           the way back, from such a folder or one that `save_pretrained` wrote
"""

try:
    import transformers  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("moe_lite.hf needs transformers: pip install -c constraints.txt -e '.[test]'") from error

from moe_lite.hf.layouts import FREE, LAYOUTS, tensors_by_name
from moe_lite.hf.read import load
from moe_lite.hf.twins import twin
from moe_lite.hf.verifying import verify
from moe_lite.hf.watch import Viewable, trace
from moe_lite.hf.write import export

__all__ = ["FREE", "LAYOUTS", "Viewable", "export", "load", "tensors_by_name", "trace", "twin", "verify"]
