# expects: `y` is not right yet | *
import torch.nn.functional as F


def swiglu(x, w_gate, w_up, w_down):
    return ((F.silu(x.float() @ w_gate.float().T) * (x.float() @ w_up.float().T)) @ w_down.float().T).to(x.dtype)
