"""The training dashboard in words: key figures, its state, and the reading line."""

from collections.abc import Collection, Sequence

import torch

from moe_lite.metrics import DEAD_BELOW, fair_multiples
from moe_lite.train import StepLog, TrainConfig
from moe_lite.widgets.kit.parts import Parts
from moe_lite.widgets.training_dashboard.view import (
    SMOOTH,
    WINDOW,
    Curve,
    DashboardRun,
    Numbers,
    at_step,
    load_at,
    numbers,
)

DEAD_MEANS = f"Dead: under {100 * DEAD_BELOW:.0f} % of the layer's mean load over the last {WINDOW} steps."
BUTTONS = {"running": "❚❚ Pause", "paused": "▶ Resume", "stopping": "❚❚ Pause"}


def run_name(n_experts: int, top_k: int) -> str:
    return "dense" if n_experts == 1 else f"{n_experts} experts, top-{top_k}"


def facts(found: Numbers, goes_on: bool = True) -> list[list[str]]:
    """Key figures as [value, what it is]; the time left only while the training goes on."""
    rows = [
        [f"{found.loss:.2f}", f"training loss, mean of {SMOOTH}"],
        [f"{found.tokens_per_second:,.0f}", "tokens/s"],
    ]
    if goes_on:
        rows.append(["–" if found.seconds_left is None else clock(found.seconds_left), "left"])
    if not found.is_dense:
        rows += [
            [str(found.dead), f"dead of {found.n_cells} experts"],
            [f"{found.entropy:.2f}", "load entropy, of 1"],
            [f"{found.balance_loss:.2f}", "balancing term"],
        ]
    if found.dropped:
        rows.append([f"{100 * found.dropped:.1f} %", "dropped"])
    return rows


def clock(seconds: float) -> str:
    """Minutes and seconds, "1:05"."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def status(run: DashboardRun | None, config: TrainConfig, saved: str = "") -> str:
    """What is going on, and what can be done now."""
    if run is None:
        tokens = config.batch_size * config.length
        return f"{config.steps:,} steps of {tokens:,} tokens." + saved
    step = run.logs[-1].step if run.logs else 0
    of = f"{step:,} of {run.total:,} steps"
    silent = run.model.config.router_without_gradient
    warned = f" Careful: {silent}" if silent else ""
    return (
        {
            "ready": of,
            "running": of,
            "paused": f"Paused at step {step:,}. The model can be used; Resume goes on.",
            "stopping": "Ends after this step.",
            "stopped": f"Stopped at step {step:,} of {run.total:,}. The model of that step can be used.",
            "finished": f"Through: {step:,} steps.",
            "failed": f"The curve, and the model of step {step:,}, stay.",
        }[run.state]
        + saved
        + warned
    )


def validation_text(logs: Sequence[StepLog], index: int) -> str:
    """The latest validation by domain at that step, "" if there was none."""
    found = next((log for log in reversed(logs[: index + 1]) if log.validation), None)
    if found is None:
        return ""
    mean = sum(found.validation.values()) / len(found.validation)
    domains = " · ".join(f"{domain} {loss:.2f}" for domain, loss in found.validation.items())
    return f"validation at step {found.step:,}: mean {mean:.2f} · {domains}"


def reading_parts(run: DashboardRun | None, index: int, beside: bool = False) -> Parts:
    """One sentence about the step that is shown."""
    if run is None or not run.logs:
        return ["Nothing has been trained here yet" + ("; the grey curve is there to compare with." if beside else ".")]
    log = run.logs[index]
    load = load_at(run.logs, index)
    if not load.numel():
        loss = f"At step {log.step:,} the loss of that step is {log.cross_entropy:.2f}; "
        return [loss + "in the dense model everything works on every token, so there is no load to watch."]
    shares = fair_multiples(load)  # (L, E)
    layer = int((shares.max(dim=1).values - shares.min(dim=1).values).argmax())
    most, least = int(shares[layer].argmax()), int(shares[layer].argmin())
    if torch.allclose(shares, torch.ones_like(shares), atol=5e-2):
        return [f"At step {log.step:,} every expert has its fair share, within a twentieth."]
    return [
        f"At step {log.step:,} layer {layer + 1} sends expert ", {"expert": most},
        f" {shares[layer, most]:.1f} times its fair share and expert ", {"expert": least},
        " nothing." if load[layer, least] == 0 else f" {shares[layer, least]:.1f} times.",
    ]  # fmt: skip


def badge_of(state: str, newest: int, recorded: bool) -> str:
    """What the figure's numbers are: of a training that goes on, of which step, or recorded."""
    if not newest:
        return "recorded" if recorded else ""
    return {"running": "live", "finished": f"step {newest:,}"}.get(state, f"{state} · step {newest:,}")


def view_of(
    run: DashboardRun | None, at: int, config: TrainConfig, saved_in: str, n_runs: int, beside: Collection[Curve] = ()
) -> dict[str, object]:
    """Values of the dashboard's traits, all but the figure. at: the step that is looked at, 0 for the newest;
    beside: curves to compare with."""
    state, logs = (run.state, list(run.logs)) if run else ("ready", [])
    newest = logs[-1].step if logs else 0
    index = at_step(logs, at or newest) if logs else 0
    saved = f" Saved in {saved_in}." if saved_in and state in ("paused", "stopped", "finished") else ""
    return {
        "state": state,
        "live": (goes_on := state in ("running", "paused", "stopping")),
        "experts": run.n_experts if run else 8,
        "button": BUTTONS.get(state, "▶ Start again" if n_runs else "▶ Start"),
        "status": status(run, config, saved),
        "source": badge_of(state, newest, any(curve.note.startswith("recorded") for curve in beside)),
        "newest": newest,
        "shown": logs[index].step if logs else 0,
        "progress": newest / run.total if run else 0.0,
        "facts": facts(numbers(logs, index, run.total), goes_on) if logs else [],
        "validation": validation_text(logs, index) if logs else "",
        "parts": reading_parts(run, index, bool(beside)),
    }
