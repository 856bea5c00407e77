"""A real Firefox for the page's tests, over WebDriver BiDi, which it speaks itself. Playwright drives only a Firefox of
its own, so this is the little of it that the tests ask for: go to an address, run a function there, hear what fails."""

import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import websocket
from waiting import LONG, until

QUIET = [  # no calls home
    ("app.normandy.enabled", False), ("app.update.enabled", False), ("browser.safebrowsing.enabled", False),
    ("browser.safebrowsing.malware.enabled", False), ("datareporting.policy.dataSubmissionEnabled", False),
    ("messaging-system.rsexperimentloader.enabled", False), ("network.captive-portal-service.enabled", False),
    ("network.connectivity-service.enabled", False), ("services.settings.server", "data:,"),
    ("toolkit.telemetry.enabled", False),
]  # fmt: skip
CALL = "async (given) => JSON.stringify((await ({script})(JSON.parse(given))) ?? null)"


class Page:
    """A tab. `failed` has what its scripts did not catch."""

    def __init__(self, socket: websocket.WebSocket):
        self._socket, self._last, self.failed = socket, 0, []
        self._send("session.new", capabilities={})
        self._send("session.subscribe", events=["log.entryAdded"])
        self.context = self._send("browsingContext.create", type="tab")["context"]

    def goto(self, address: str) -> None:
        self._send("browsingContext.navigate", context=self.context, url=address, wait="complete")

    def evaluate(self, script: str, given=None):
        """What a function of `given` returns there, its promises awaited; both pass as JSON."""
        done = self._send(
            "script.callFunction", functionDeclaration=CALL.format(script=script), awaitPromise=True,
            arguments=[{"type": "string", "value": json.dumps(given)}], target={"context": self.context},
        )  # fmt: skip
        if done["type"] == "exception":
            raise AssertionError(f"In Firefox: {done['exceptionDetails']['text']}")
        return json.loads(done["result"]["value"])

    def wait_for_function(self, script: str, given=None) -> None:
        """Until the function returns something true."""
        until(lambda: self.evaluate(script, given))

    def _send(self, method: str, **params) -> dict:
        self._last += 1
        self._socket.send(json.dumps({"id": self._last, "method": method, "params": params}))
        while True:
            got = json.loads(self._socket.recv())
            if got.get("method") == "log.entryAdded" and got["params"]["type"] == "javascript":
                self.failed.append(got["params"]["text"])
            if got.get("id") == self._last:
                if got["type"] == "error":
                    raise RuntimeError(f"Firefox refuses {method}: {got['message']}")
                return got["result"]


@contextmanager
def firefox(program: str) -> Iterator[Page]:
    """A page in a Firefox of its own, which is ended with it."""
    with tempfile.TemporaryDirectory(prefix="moe-lite-firefox-", ignore_cleanup_errors=True) as profile:
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in QUIET]
        with open(os.path.join(profile, "user.js"), "w", encoding="utf-8") as prefs:
            prefs.writelines(lines)
        command = [program, "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port=0"]
        with tempfile.TemporaryFile("w+") as said:
            started = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)
            try:
                until(lambda: _listening(said) or started.poll() is not None)
                assert started.poll() is None, f"Firefox ended with {started.returncode}"
                socket = websocket.create_connection(f"{_listening(said)}/session", timeout=LONG, suppress_origin=True)
                yield Page(socket)
                socket.close()
            finally:
                os.killpg(started.pid, signal.SIGKILL)
                started.wait()


def _listening(said: IO[str]) -> str | None:
    said.seek(0)
    found = re.search(r"WebDriver BiDi listening on (ws://\S+)", said.read())
    return found and found[1]
