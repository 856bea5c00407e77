"""The bias controller in words: key figures and reading line."""

from moe_lite.look.words import listed
from moe_lite.widgets.bias_controller.view import LAST, STEPS, Controlled
from moe_lite.widgets.kit.parts import Parts


def facts(now: Controlled) -> list[list[str]]:
    """Key figures as [value, what it is]."""
    after = "never" if now.even_after is None else f"step {now.even_after}"
    return [
        [f"{now.cv[:5].mean().item():.2f}", "CV in the first 5 steps"],
        [f"{now.cv[-LAST:].mean().item():.2f}", f"CV in the last {LAST} steps"],
        [f"{now.chance:.2f}", "CV by chance alone"],
        [after, f"from here the CV of 10 steps is below {now.line:.2g}"],
        [f"{now.swing:.2g}", f"largest swing of a bias in the last {LAST} steps"],
    ]


def reading(now: Controlled) -> Parts:
    """One sentence: whether and when the load becomes even, and how restless it stays."""
    rule = now.rule
    end, step, after = now.cv[-LAST:].mean().item(), f"{now.settings.step:g}", now.even_after
    how = f"By the {rule} with step {step}" if rule in ("sign", "difference") else f"By {rule} with step {step}"
    if after is None:
        why = "it is still on its way" if _under_way(now) else "it comes no nearer"
        return [f"{how}, the load is not even after {STEPS} steps: the last {LAST} have a CV of {end:.2f}, and {why}."]
    begin = "from the start" if after == 0 else f"after {after} step{'' if after == 1 else 's'}"
    if end > 2 * now.chance:
        return [f"{how}, the load is even {begin}, but it does not rest: the last {LAST} steps have a CV of {end:.2f}, "
                f"chance alone would give {now.chance:.2f}."]  # fmt: skip
    return [f"{how}, the load is even {begin} and stays so: a CV of {end:.2f} over the last {LAST} steps, "
            f"{now.chance:.2f} by chance alone."]  # fmt: skip


def _under_way(now: Controlled) -> bool:
    """Whether the bias that travels furthest in the last steps goes one way, instead of to and fro."""
    last = now.bias[-LAST:]
    net, travelled = (last[-1] - last[0]).abs(), last.diff(dim=0).abs().sum(dim=0)  # (E,), (E,)
    furthest = int(travelled.argmax())
    return bool(net[furthest] > 0.8 * travelled[furthest] > 0)


def before_text(now: Controlled, before: Controlled | None) -> str:
    """What the pale curves are: in what the run before differs."""
    if before is None:
        return "Move a slider: this run then stays behind the new one, pale."
    then, still = before.settings, now.settings
    differs = {
        f"step size {then.step:g}": then.step != still.step,
        f"{then.n_tokens} tokens per batch": then.n_tokens != still.n_tokens,
        f"drift {then.drift:g}": then.drift != still.drift,
        "no freeze" if then.frozen_from >= STEPS else f"a freeze at step {then.frozen_from}":
            then.frozen_from != still.frozen_from,
        f"the rule {before.rule}": before.rule != now.rule,
    }  # fmt: skip
    found = [text for text, other in differs.items() if other]
    return f"Pale: the run before, with {listed(found) if found else 'the same settings'}."
