"""The expert partition in words: its state, key figures, and the reading line."""

from moe_lite.widgets.expert_partition.view import Fit, View
from moe_lite.widgets.kit.parts import Parts


def status(fit: Fit) -> str:
    """What is going on, and from which random start."""
    begun = f"random start {fit.seed}"
    return {
        "ready": f"Not trained yet, {begun}.",
        "running": f"step {fit.step:,} of {fit.total:,}, {begun}",
        "stopping": "Stops after this step.",
        "stopped": f"Stopped at step {fit.step:,} of {fit.total:,}, {begun}.",
        "finished": f"Finished: {fit.step:,} steps, {begun}.",
        "failed": f"It failed after step {fit.step:,}.",
    }.get(fit.state, begun)


def facts(fit: Fit, view: View) -> list[list[str]]:
    """Key figures as [value, what it is]; errors are roots of mean squares on points that training does not see."""
    found = view.measures
    rows = [[f"{found.error:.2f}", "error"]]
    if fit.n_experts > 1:
        rows = [
            [f"{found.error:.2f}", "error of the blend"],
            [f"{found.alone:.2f}", "error of the top expert alone"],
            [f"{found.effective:.1f} of {fit.n_experts}", "effective experts"],
            [f"{found.used} of {fit.n_experts}", "experts with a region"],
        ]
    return rows + ([[f"{100 * view.wrong:.1f} %", "on the wrong side"]] if fit.problem.classes else [])


def reading(fit: Fit, view: View) -> Parts:
    """One sentence: whether the experts can stand alone, and how many are used."""
    found = view.measures
    if not fit.step:
        return [f"Nothing has been trained yet: {fit.n_experts} networks with random weights."]
    if fit.n_experts == 1:
        return [f"Step {fit.step:,}: one network does it all, with an error of {found.error:.2f}."]
    ratio = found.alone / max(found.error, 1e-9)
    if ratio < 1.1:
        alone = "asking only the expert with the largest gate gives almost the same error"
    else:
        alone = f"asking only the expert with the largest gate makes the error {times(ratio)} as large"
    experts = "expert has" if found.used == 1 else "experts have"
    return [f"Step {fit.step:,}, {fit.loss}: {found.used} {experts} a region, and {alone}."]


def times(ratio: float) -> str:
    return f"{ratio:.1f} times" if ratio < 10 else f"{ratio:,.0f} times"
