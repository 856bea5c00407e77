"""Answers to exercise 5.1, moe_layer: right ones, and wrong ones with the message that they must get."""

import torch
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def as_asked(x, router, experts, shared):
    routing = router(x)
    flat = x.flatten(0, 1)
    y = experts(flat, routing)
    if shared is not None:
        y = y + shared(flat)
    return y.view(x.shape), routing


@right
def shared_first(x, router, experts, shared):
    tokens = x.reshape(-1, x.size(-1))
    y = 0 if shared is None else shared(tokens)
    routing = router(x)
    return (experts(tokens, routing) + y).unflatten(0, x.shape[:2]), routing


@right
def shared_on_texts(x, router, experts, shared):
    routing = router(x)
    y = experts(x.reshape(-1, x.shape[-1]), routing).reshape(x.shape)
    return (y if shared is None else y + shared(x)), routing


@right
def by_name(x, router, experts, shared):
    routing = router(x=x)
    y = experts(x=x.flatten(0, 1), routing=routing).view(x.shape)
    return (y if shared is None else y + shared(x=x)), routing


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("Your function changed its input")
def changes_the_router(x, router, experts, shared):
    routing = router(x)
    flat = x.flatten(0, 1)
    y = experts(flat, routing)
    if shared is not None:
        y = y + shared(flat)
    with torch.no_grad():
        router.weight.mul_(2)
    return y.view(x.shape), routing


@wrong("The gradient for `x` differs")
def detached_weights(x, router, experts, shared):
    from dataclasses import replace

    routing = router(x)
    flat = x.flatten(0, 1)
    y = experts(flat, replace(routing, weights=routing.weights.detach()))
    if shared is not None:
        y = y + shared(flat)
    return y.view(x.shape), routing


@wrong("Your function changed its input")
def in_place(x, router, experts, shared):
    routing = router(x)
    flat = x.flatten(0, 1)
    y = experts(flat, routing)
    if shared is not None:
        y = y + shared(flat)
    with torch.no_grad():
        x += y.view(x.shape)
    return y.view(x.shape), routing


@wrong("No gradient reaches `shared.gate_up`")
def no_grad_shared(x, router, experts, shared):
    routing = router(x)
    flat = x.flatten(0, 1)
    y = experts(flat, routing)
    if shared is not None:
        with torch.no_grad():
            extra = shared(flat)
        y = y + extra
    return y.view(x.shape), routing


@wrong("The experts were given (B, T, D)")
def texts_to_all(x, router, experts, shared):
    routing = router(x)
    y = experts(x, routing)
    return (y if shared is None else y + shared(x)), routing


@wrong("The shared expert is missing")
def no_shared(x, router, experts, shared):
    routing = router(x)
    return experts(x.flatten(0, 1), routing).view(x.shape), routing


wrong(
    "always_shared",
    "None was called",
    of=as_asked,
    put={"if shared is not None:\n        y = y + shared(flat)": "y = y + shared(flat)"},
)
wrong("averaged", "A mean instead of a sum", of=as_asked, put={"y + shared(flat)": "(y + shared(flat)) / 2"})
wrong("detached_answer", "No gradient reaches `experts.gate_up`", of=as_asked, put={"y.view": "y.detach().view"})
wrong("detached_shared", "The gradient for `x` differs", of=as_asked, put={"shared(flat)": "shared(flat.detach())"})
wrong(
    "experts_twice",
    "The experts are asked twice",
    of=as_asked,
    put={"experts(flat, routing)": "experts(flat, routing) / 2 + experts(flat, routing) / 2"},
)
wrong(
    "experts_on_texts",
    "The experts were given (B, T, D)",
    of=as_asked,
    put={"experts(flat, routing)": "experts(x, routing).flatten(0, 1)"},
)
wrong("flat", "The answer stays flat", of=as_asked, put={"y.view(x.shape)": "y"})
wrong("flat_to_router", "The router sees flat tokens", of=as_asked, put={"router(x)": "router(x.flatten(0, 1))"})
wrong(
    "forward",
    "`.forward` instead of a call",
    of=as_asked,
    put={"experts(flat, routing)": "experts.forward(flat, routing)"},
)
wrong("only_shared", "The chosen experts are missing", of=as_asked, put={"y + shared(flat)": "shared(flat)"})
wrong("other_way_round", "Not a tensor", of=as_asked, put={"y.view(x.shape), routing": "routing, y.view(x.shape)"})
wrong("residual", "The token itself is added", of=as_asked, put={"y.view": "x + y.view"})
wrong("router_forward", "`.forward` instead of a call", of=as_asked, put={"router(x)": "router.forward(x)"})
wrong(
    "routes_again_at_the_end",
    "The router is asked twice",
    of=as_asked,
    put={"y.view(x.shape), routing": "y.view(x.shape), router(x)"},
)
wrong(
    "routes_twice", "The router is asked twice", of=as_asked, put={"experts(flat, routing)": "experts(flat, router(x))"}
)
wrong(
    "shape_looked_at_first",
    "The shared expert is asked twice",
    of=as_asked,
    put={"shared is not None": "shared is not None and shared(flat).shape == y.shape"},
)
wrong("shared_in_a_row", "The shared expert sees the wrong thing", of=as_asked, put={"y + shared(flat)": "shared(y)"})
wrong("shared_on_answer", "The shared expert sees the wrong thing", of=as_asked, put={"shared(flat)": "shared(y)"})
wrong("shared_twice", "The shared expert is added twice", of=as_asked, put={"shared(flat)": "2 * shared(flat)"})
wrong(
    "shared_weighed",
    "The shared expert has a weight",
    of=as_asked,
    put={"shared(flat)": "routing.top_k[0][:, :1] * shared(flat)"},
)
wrong(
    "transposed_back",
    "Texts and positions have changed places",
    of=as_asked,
    put={"y.view(x.shape)": "y.view(x.shape[1], x.shape[0], -1).transpose(0, 1)"},
)
wrong(
    "weights_for_routing",
    "Not a Routing",
    of=as_asked,
    put={"y.view(x.shape), routing": "y.view(x.shape), routing.weights"},
)
wrong("y_only", "Wrong number of results", of=as_asked, put={"y.view(x.shape), routing": "y.view(x.shape)"})
wrong("zeros", "Nothing was computed", of=as_asked, put={"y.view(x.shape)": "torch.zeros_like(x)"})

# ---- wrong, written by readers of the exercise's text alone ---------------------------------------------------------


@blind("The shared expert is missing", ANY)  # the shared expert is never asked
def forgot_shared(x, router, experts, shared):
    routing = router(x)
    return experts(x.flatten(0, 1), routing).view(x.shape), routing


@blind("The router is asked twice", ANY)  # a second routing is returned
def routed_twice(x, router, experts, shared):
    flat = x.flatten(0, 1)
    y = experts(flat, router(x))
    if shared is not None:
        y = y + shared(flat)
    return y.view(x.shape), router(x)


@blind("The chosen experts are missing", ANY)  # shared replaces the experts where there is one
def shared_instead(x, router, experts, shared):
    routing = router(x)
    flat = x.flatten(0, 1)
    y = experts(flat, routing) if shared is None else shared(flat)
    return y.view(x.shape), routing


@blind("The router is asked twice", ANY)  # the experts are called for every text alone
def text_by_text(x, router, experts, shared):
    routing = router(x)
    y = torch.stack([experts(row, router(row[None])) for row in x])
    if shared is not None:
        y = y + shared(x)
    return y, routing


# the router sees a detached x
blind("detached_for_router", "The gradient for `x` differs", ANY, of=as_asked, put={"router(x)": "router(x.detach())"})
blind("flat_result", "The answer stays flat", ANY, of=as_asked, put={"y.view(x.shape)": "y"})  # returns (N, D)
blind("blind_residual", "The token itself is added", ANY, of=as_asked, put={"y.view": "(y + flat).view"})  # adds x
# the router gets (N, D)
blind(
    "router_sees_rows",
    "The router sees flat tokens",
    ANY,
    of=as_asked,
    put={
        "routing = router(x)\n    flat = x.flatten(0, 1)": "flat = x.flatten(0, 1)",
        "y = experts(flat, routing)": "routing = router(flat)\n    y = experts(flat, routing)",
    },
)
# the shared expert gets the experts' answer
blind(
    "shared_after_experts",
    "The shared expert sees the wrong thing",
    ANY,
    of=as_asked,
    put={"shared(flat)": "shared(y)"},
)
# mean of experts and shared
blind(
    "shared_averaged", "A mean instead of a sum", ANY, of=as_asked, put={"y + shared(flat)": "(y + shared(flat)) / 2"}
)
# flattened time first
blind(
    "time_first",
    "`y` is not right yet",
    ANY,
    of=as_asked,
    put={
        "x.flatten(0, 1)": "x.transpose(0, 1).reshape(-1, x.shape[-1])",
        "y.view(x.shape)": "y.view(x.shape[1], x.shape[0], -1).transpose(0, 1)",
    },
)
# only y is returned
blind("y_alone", "Wrong number of results", ANY, of=as_asked, put={"y.view(x.shape), routing": "y.view(x.shape)"})


@wrong("An answer is changed in place")
def added_in_place(x, router, experts, shared):
    routing, flat = router(x), x.flatten(0, 1)
    y = experts(flat, routing)
    if shared is not None:
        y += shared(flat)
    return y.view(x.shape), routing


@wrong("`if shared:` asks whether it has parts")
def truth_of_a_module(x, router, experts, shared):
    routing, flat = router(x), x.flatten(0, 1)
    y = experts(flat, routing)
    if shared:
        y = y + shared(flat)
    return y.view(x.shape), routing
