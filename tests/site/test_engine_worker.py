"""The engine in a worker: routes, losses and texts come as messages and are the package's. Errors come as errors,
a text can be stopped, a newer request takes the place of one that waits. All of it works from one script of all files
without their imports, as a page that is opened from a file has it, and answers the same from separate files."""

import base64
import re
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from engine_page import FOLDER, Engine, opened
from lab import Driver

from moe_lite.checkpoint import pretrained, shipped
from moe_lite.data import SAMPLES, data_dir, encode, token_bytes
from moe_lite.widgets.generation_viewer.view import cut_prompt
from moe_lite.widgets.kit.text import token_text
from moe_lite.widgets.token_viewer.view import route_tokens

TEXT = "\n\n".join(SAMPLES.values())  # over 256 tokens
DECLARED = r"^(?:export )?(?:async )?(?:function\*?|const|let|var|class) (?:(\w+)|\{|\[)"
IMPORT = re.compile(r'^import \{[\w, ]+\} from "\./\w+\.js";$', re.M)
EXPORT = re.compile(r"^export (?=(?:function\*?|const|class) \w)", re.M)
START = """
  window.call?.worker.terminate();
  const worker = given.source
    ? new Worker(URL.createObjectURL(new Blob([given.source], { type: "text/javascript" })))
    : new Worker("/site/engine/start.js", { type: "module" });
  window.call = Object.assign(engine.connect(worker), { worker });
  const json = await (await fetch("/data/tokenizer.json")).json(), made = [];
  for (const [name, address] of given.models) {
    const model = await bytesOf(address);
    made.push(await call("load", { name, model, tokenizer: json }, { transfer: [model] }).answer);
  }
  return made;"""
ASK = "return await call(given.name, given.args).answer"


def sources() -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.js"))}


def in_one_script(order: int = 1) -> str:
    """All files, the last one first with order=-1."""
    return "\n".join(EXPORT.sub("", IMPORT.sub("", text)) for text in list(sources().values())[::order])


@pytest.fixture(scope="module")
def page(browser: Driver, tmp_path_factory) -> Iterator[Engine]:
    with opened(browser, tmp_path_factory.mktemp("models")) as engine:
        yield engine


def start(page: Engine, source: str | None) -> None:
    """A worker with the models of 1, 32 and 8 experts, from this script or from the files."""
    loaded = page.run(START, source=source, models=[[str(n), page.address_of(shipped(n))] for n in (1, 32, 8)])
    assert [each["name"] for each in loaded] == ["1", "32", "8"]
    assert [each["config"]["n_experts"] for each in loaded] == [1, 32, 8]
    assert [each["sparseLayers"] for each in loaded] == [[], [0, 1, 2, 3], [0, 1, 2, 3]]


@pytest.fixture(scope="module")
def engine(page: Engine) -> Engine:
    """The page with a worker from one script."""
    start(page, in_one_script())
    return page


def ask(engine: Engine, name: str, **args):
    return engine.run(ASK, name=name, args=args)


# ---- the files -------------------------------------------------------------------------------------------------------


def test_files_import_and_export_only_in_ways_that_can_be_stripped_and_share_no_name():
    for name, text in sources().items():
        bare = EXPORT.sub("", IMPORT.sub("", text))
        assert not re.findall(r"^(?:import|export)\b.*", bare, re.M), name
        assert text.startswith("// @ts-check\n") and max(map(len, text.splitlines())) <= 120, name
        code = re.sub(r"//.*|/\*[\s\S]*?\*/", "", text)
        assert not re.search(r"\bimport\(|\brequire\(|\bfetch\(", code), name
    names = Counter(name for text in sources().values() for name in re.findall(DECLARED, text, re.M))
    lists = [found for text in sources().values() for found in re.findall(r"^const \w+ = .*?, (\w+) = ", text, re.M)]
    names.update(lists)
    assert len(names) > 40 and not [name for name, n in names.items() if n > 1 or not name]


# ---- calls -----------------------------------------------------------------------------------------------------------


def test_a_text_longer_than_the_context_is_routed_in_windows_as_the_token_viewer_does(engine: Engine):
    text, model, ids = token_text((("", TEXT),)), pretrained(32), encode(TEXT)
    for options in (
        {},
        {"first": 250, "count": 20},
        {"first": 256},
        {"topK": 1, "muted": [3], "mutedIn": [1], "count": 9},
    ):
        wanted = {"first": options.get("first", 0), "count": options.get("count", 10**6)}
        wanted |= {"top_k": options.get("topK"), "muted": options.get("muted", ()), "muted_in": options.get("mutedIn")}
        expected = route_tokens(model, text, **wanted)
        found = ask(engine, "route", text=TEXT, model="32", **options)
        assert found["ids"] == ids and [bytes(each) for each in found["bytes"]] == token_bytes(ids)
        assert found["first"] == wanted["first"] and found["losses"] is None
        for i, layer in enumerate(found["routing"]):
            assert layer["layer"] == i and layer["nTokens"] == expected.shape[1]
            assert (layer["experts"] == expected.experts[i].flatten()).all()
            np.testing.assert_allclose(layer["weights"], expected.weights[i].flatten(), atol=1e-5)
            np.testing.assert_allclose(layer["scores"], expected.scores[i].flatten(), atol=1e-5)


def test_losses_of_a_long_text_are_those_of_its_windows(engine: Engine):
    ids, model = encode(TEXT), pretrained(8)
    with torch.no_grad():
        logits = torch.cat([model(part[None]).logits[0] for part in torch.tensor(ids).split(256)])
    expected = torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(ids[1:]), reduction="none").numpy()
    found = ask(engine, "losses", text=TEXT)["losses"]
    assert len(found) == len(ids) and np.isnan(found[0])
    np.testing.assert_allclose(found[1:], expected, atol=1e-4)
    for first, count in ((255, 1), (256, 1), (257, 5), (256, 10**6)):
        part = ask(engine, "losses", text=TEXT, first=first, count=count)
        assert (part["losses"] == found[first : first + count]).all()
        assert part["routing"][0]["nTokens"] == len(part["losses"])


def test_a_choice_by_hand_counts_tokens_from_the_beginning_of_the_text(engine: Engine):
    plain = ask(engine, "route", text=TEXT)["routing"][2]["experts"].reshape(-1, 2)
    chosen = {"layer": 2, "token": 300, "experts": [0, 7]}
    found = ask(engine, "route", text=TEXT, chosen=chosen)["routing"][2]["experts"].reshape(-1, 2)
    assert set(plain[300].tolist()) != {0, 7} == set(found[300].tolist())
    assert (found[:300] == plain[:300]).all()


def test_an_empty_text_has_no_routing(engine: Engine):
    assert ask(engine, "route", text="") == {"first": 0, "routing": [], "losses": None, "ids": [], "bytes": []}
    assert len(ask(engine, "losses", text="")["losses"]) == 0


def test_a_dense_model_has_losses_and_no_routing(engine: Engine):
    found = ask(engine, "losses", text="Once upon a time", model="1")
    assert found["routing"] == [] and len(found["losses"]) == len(found["ids"])


def test_texts_are_written_as_the_package_writes_them_token_by_token(engine: Engine):
    script = """
      const tokens = [], { answer } = call("generate", given, { onToken: (token) => tokens.push(token) });
      return { tokens, ...await answer };"""
    for prompt in ("Once upon a time", TEXT):
        ids = list(cut_prompt(encode(prompt), 24, 256))
        made = list(pretrained(8).generate(torch.tensor([ids]), 24, temperature=0))
        found = engine.run(script, text=prompt, nTokens=24, temperature=0)
        assert found["ids"] == [int(token) for token, _ in made] == [each["token"] for each in found["tokens"]]
        assert found["prompt"] == ids and found["stopped"] is False
        pieces = b"".join(bytes(each["bytes"]) for each in found["tokens"])
        assert found["text"] == pieces.decode(errors="replace")
        for each, (_, output) in zip(found["tokens"], made, strict=True):
            assert [row["nTokens"] for row in each["routing"]] == [1] * 4
            experts = [routing.top_k[1][-1].tolist() for routing in output.routing]
            assert [row["experts"].tolist() for row in each["routing"]] == experts


# ---- messages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("route", {"text": "a", "topK": 99}, "topK is 99"),
        ("route", {"text": "a", "model": "7"}, "No model 7 has been loaded"),
        ("route", {}, "The text is undefined"),
        ("losses", {"text": "a b", "muted": [8]}, "a muted expert is 8"),
        ("generate", {"text": "", "nTokens": 3}, "no token to read"),
        ("generate", {"text": "a", "nTokens": 300}, "context_length is 256"),
        ("load", {"model": None}, "no whole safetensors file"),
        ("sing", {}, "There is no call sing"),
        ("constructor", {}, "There is no call constructor"),
    ],
)
def test_errors_arrive_as_errors_and_the_worker_goes_on(engine: Engine, name: str, args: dict, message: str):
    with pytest.raises(Exception, match=message):
        ask(engine, name, **args)
    assert ask(engine, "route", text="Once")["ids"] == encode("Once")


def test_a_file_that_is_no_checkpoint_leaves_the_models_as_they_were(engine: Engine):
    script = "return await call('load', { name: '8', model: new ArrayBuffer(40) }).answer"
    with pytest.raises(Exception, match="no safetensors file"):
        engine.run(script)
    assert len(ask(engine, "route", text="Once")["routing"]) == 4


def test_a_worker_without_a_model_says_so(page: Engine):
    script = """
      const worker = new Worker("/site/engine/start.js", { type: "module" });
      try { return await engine.connect(worker)("route", { text: "Once" }).answer } finally { worker.terminate() }"""
    with pytest.raises(Exception, match="No model has been loaded"):
        page.run(script)


def test_a_worker_that_cannot_start_fails_its_calls(page: Engine):
    script = """
      const worker = new Worker(URL.createObjectURL(new Blob(["const broken = ;"])));
      return await engine.connect(worker)("route", { text: "Once" }).answer;"""
    with pytest.raises(Exception, match="SyntaxError"):
        page.run(script)


def test_a_newer_route_takes_the_place_of_one_that_waits(engine: Engine):
    """Two long texts, of which the first may have begun; a request in another slot, and other calls, stay."""
    script = """
      const text = given.text.repeat(8), settled = [], options = { slot: "beside" };
      const note = (name) => ({ answer }) => answer.then((result) => (settled.push(name), result));
      const answers = [
        note("beside")(call("route", { text: "beside" }, options)), note("first")(call("route", { text })),
        note("losses")(call("losses", { text: "losses" })), note("second")(call("route", { text: text + "." })),
        note("third")(call("route", { text: "third" })),
      ];
      const results = await Promise.all(answers);
      return { settled, ids: results.map((result) => result?.ids.length ?? null) };"""
    found = engine.run(script, text=TEXT)
    assert found["ids"] == [len(encode("beside")), None, len(encode("losses")), None, len(encode("third"))]
    order = found["settled"]
    assert order.index("first") < order.index("second") < order.index("third")


def test_while_a_text_is_written_routes_are_answered_and_stop_stops(engine: Engine):
    """After Stop at most one more token comes; what was written until then is the result."""
    script = """
      const tokens = [];
      let stopped, atRoute, atStop;
      const writing = call("generate", { text: "Once", nTokens: 250, temperature: 1, seed: 5 }, { onToken });
      function onToken({ token }) {
        tokens.push(token);
        if (tokens.length === 3) call("route", { text: "a word" }).answer.then(() => { atRoute = tokens.length });
        if (tokens.length === 20) {
          stopped = call("stop", { id: writing.id }).answer.then((was) => { atStop = tokens.length; return was });
        }
      }
      const result = await writing.answer, again = await call("stop", { id: writing.id }).answer;
      return { tokens, result, stopped: await stopped, again, atRoute, atStop };"""
    found = engine.run(script)
    assert found["stopped"] is True and found["again"] is False
    assert found["result"]["stopped"] is True and found["result"]["ids"] == found["tokens"]
    assert 3 <= found["atRoute"] < len(found["tokens"]) < 250
    assert 20 <= found["atStop"] <= len(found["tokens"]) <= found["atStop"] + 1


def test_two_texts_are_written_in_turns(engine: Engine):
    """From the first token of the second one on, until the first one ends. A long text comes before them."""
    script = """
      const order = [], args = { text: "Once", nTokens: 12, temperature: 0 };
      const one = (name, model) => call("generate", { ...args, model }, { onToken: () => order.push(name) }).answer;
      const long = call("route", { text: given.text }).answer;
      const results = await Promise.all([one("8", "8"), one("1", "1")]);
      return { order, texts: results.map(({ ids }) => ids), long: (await long).ids.length };"""
    found = engine.run(script, text=TEXT)
    alone = found["order"].index("1")  # tokens of the first text before the second one began
    assert found["order"] == ["8"] * alone + ["1", "8"] * (12 - alone) + ["1"] * alone
    assert found["long"] == len(encode(TEXT))
    for ids, n_experts in zip(found["texts"], (8, 1), strict=True):
        made = pretrained(n_experts).generate(torch.tensor([encode("Once")]), 12, temperature=0)
        assert ids == [int(token) for token, _ in made]


# one file that holds everything: the scripts, as text for the worker and running here; the model; the tokenizer
ONE_FILE = """<!doctype html><meta charset="utf-8"><title>one file</title>
<script type="text/plain" id="engine">{engine}</script><script type="text/plain" id="model">{model}</script>
<script type="application/json" id="tokenizer">{tokenizer}</script><script>{engine}</script><script>
async function answer(text) {{
  const read = (id) => document.getElementById(id).textContent;
  const call = connect(new Worker(URL.createObjectURL(new Blob([read("engine")], {{ type: "text/javascript" }}))));
  const model = Uint8Array.from(atob(read("model")), (c) => c.charCodeAt(0)).buffer;
  await call("load", {{ model, tokenizer: JSON.parse(read("tokenizer")) }}, {{ transfer: [model] }}).answer;
  const {{ ids, routing }} = await call("route", {{ text }}).answer;
  return {{ ids, experts: routing.map(({{ experts }}) => [...experts]) }};
}}
</script>"""


def test_one_page_that_holds_everything_works_from_a_file_address(browser: Driver, tmp_path):
    """In a page of its own: the others' is at their server."""
    tokenizer = (data_dir() / "tokenizer.json").read_text(encoding="utf-8").replace("<", "\\u003c")
    model = base64.b64encode(shipped(4).read_bytes()).decode()
    file = tmp_path / "page.html"
    file.write_text(ONE_FILE.format(engine=in_one_script(), model=model, tokenizer=tokenizer), encoding="utf-8")
    with browser.page_that() as page:
        failed = []
        page.on("pageerror", lambda error: failed.append(str(error)))
        page.goto(file.as_uri())
        found = page.evaluate("(text) => answer(text)", SAMPLES["french"])
    assert not failed and found["ids"] == encode(SAMPLES["french"])
    routing = pretrained(4)(torch.tensor([found["ids"]])).routing
    assert found["experts"] == [each.top_k[1].flatten().tolist() for each in routing]


@pytest.mark.parametrize("order", [None, -1])
def test_separate_files_and_files_in_another_order_answer_the_same(page: Engine, order: int | None):
    """The last test of this file: the page's worker is another one afterwards."""
    script = """
      const args = { text: given.text, nTokens: 8, temperature: 1, seed: 3 };
      return [await call("losses", { text: given.text }).answer, await call("generate", args).answer];"""
    start(page, in_one_script())
    expected = page.run(script, text=SAMPLES["german"])
    start(page, order and in_one_script(order))
    found = page.run(script, text=SAMPLES["german"])
    assert found[1] == expected[1] and (found[0]["losses"][1:] == expected[0]["losses"][1:]).all()
