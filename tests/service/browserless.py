"""The app as a browser sees it, without one: its server as a process, and sessions over a web socket.

A session speaks Streamlit's own protocol: it asks for the page, remembers what is drawn, clicks buttons,
moves controls, and holds the event stream of the run on show.
"""

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.state.session_state import STREAMLIT_INTERNAL_KEY_PREFIX
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests import SECONDS

ROOT = Path(__file__).parents[2]


def free_port():
    """A port that nobody else gets before the server opens it: not one of those that systems hand out."""
    for port in random.sample(range(20_000, 32_000), 100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise RuntimeError("no free port between 20000 and 32000")


class AppServer:
    """`streamlit run app.py` on a free port of loopback, with its runs in `home` and its log in a file."""

    def __init__(self, home, **environment):
        self.port = free_port()
        self.log = Path(home, "server.log")
        options = {"port": self.port, "address": "127.0.0.1", "headless": "true", "fileWatcherType": "none"}
        flags = [f"--server.{name}={value}" for name, value in options.items()]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "streamlit", "run", "app.py", *flags],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                env={**os.environ, "QHN_HOME": str(home), **environment},
            )
        give_up = time.monotonic() + SECONDS
        while not self.healthy():
            if self.process.poll() is not None or time.monotonic() > give_up:
                self.kill()
                raise RuntimeError(f"the app did not start:\n{self.log.read_text()}")
            time.sleep(0.05)

    def healthy(self):
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}/_stcore/health", timeout=5
            ) as answer:
                return answer.status == 200
        except OSError:
            return False

    def kill(self):
        """SIGKILL: the server has no time for anything."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Ask it to end as Ctrl-C does, and see that it does."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()


def child_processes(pid):
    """Ids of the processes that `pid` has started, and of those that these have."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has just ended
            text = path.read_text()
            state, parent = text.rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[int(path.parent.name)] = int(parent)
    found = {pid}
    while new := {child for child, parent in parents.items() if parent in found} - found:
        found |= new
    return found - {pid}


def is_running(pid):
    """Whether a process is there and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Session:
    """One visitor. Use as `async with Session(port) as session`."""

    def __init__(self, port, query=""):
        self.port = port
        self.query = query
        self.widgets = {}
        """Every control that was drawn, by its label: its protobuf."""
        self.values = {}
        """Controls that were moved, by their id: (field of WidgetState, value)."""
        self.problems = []
        """Exceptions and error boxes that the page has shown."""
        self.events_path = None
        self._live = ""
        """Id of the live view."""
        self._serial = 0
        """Of its last button that was pressed."""
        self.begun = 0
        """Runs of the whole page that have begun."""
        self.at_rest = False
        """Whether the last run was not cut short for another, and is over."""
        self.lost = None
        """Why the server has hung up, if it has."""
        self._seen = {}
        self._page = ""
        self._last = None
        self._cut_short = False
        self._ended = asyncio.Condition()

    async def __aenter__(self):
        url = f"ws://127.0.0.1:{self.port}/_stcore/stream"
        self._socket = await connect(url, subprotocols=["streamlit"], max_size=None, open_timeout=SECONDS)
        self._reader = asyncio.create_task(self._read())
        await self.rerun()
        return self

    async def __aexit__(self, *_):
        await self._socket.close()
        await self._reader

    # ---- what a visitor does

    async def rerun(self, trigger=None):
        """Run the page's script, and wait until it has run."""
        before = self.begun
        await self._send(trigger)
        try:  # asyncio.wait_for of Python 3.11 can lose a cancellation
            async with asyncio.timeout(SECONDS), self._ended:
                await self._ended.wait_for(lambda: (self.at_rest and self.begun > before) or self.lost)
        except TimeoutError:
            raise TimeoutError(f"no page after {SECONDS} s; last came {self._last}") from None
        if self.lost:
            raise ConnectionError(f"the server hung up: {self.lost}")

    async def click(self, label):
        """Press a button; False where it is not there or disabled. The live view's always are."""
        if label in ("Train", "Play", "Pause", "Step", "Reset"):
            self._serial += 1
            await self.rerun(trigger=(self._live, [{"action": label.lower(), "serial": self._serial}]))
            return True
        button = self.widgets.get(label)
        if button is None or button.disabled:
            return False
        await self.rerun(trigger=button.id)
        return True

    async def set_number(self, label, value):
        field = "int_value" if isinstance(value, int) else "double_value"
        self.values[self.widgets[label].id] = (field, value)
        await self.rerun()

    async def choose(self, label, option):
        """Take an option of a slider or of a row of buttons."""
        self.values[self.widgets[label].id] = ("string_array_value", [option])
        await self.rerun()

    @property
    def run_id(self):
        """The run on show."""
        return self.events_path.split("/")[3] if self.events_path else None

    # ---- what a browser does

    async def _send(self, trigger=None):
        message = BackMsg()
        state = message.rerun_script
        state.query_string, state.page_script_hash = self.query, self._page
        state.cached_message_hashes.extend(self._seen)
        for widget_id, (field, value) in self.values.items():
            widget = state.widget_states.widgets.add(id=widget_id)
            if field == "string_array_value":
                widget.string_array_value.data.extend(value)
            else:
                setattr(widget, field, value)
        if isinstance(trigger, tuple):
            view, presses = trigger
            payload = json.dumps([{"event": "presses", "value": presses}])
            events_of_view = f"{STREAMLIT_INTERNAL_KEY_PREFIX}_{view}__events"
            state.widget_states.widgets.add(id=view, json_value="{}")  # a browser sends its state, too
            state.widget_states.widgets.add(id=events_of_view, json_trigger_value=payload)
        elif trigger:
            state.widget_states.widgets.add(id=trigger, trigger_value=True)
        await self._socket.send(message.SerializeToString())

    async def _read(self):
        try:
            while True:
                message = ForwardMsg()
                message.ParseFromString(await self._socket.recv())
                await self._take(message)
        except ConnectionClosed as closed:
            async with self._ended:
                self.lost = str(closed)
                self._ended.notify_all()

    async def _take(self, message):
        kind = self._last = message.WhichOneof("type")
        if kind == "ref_hash":
            message = self._seen[message.ref_hash]
            kind = message.WhichOneof("type")
        elif message.metadata.cacheable:
            self._seen[message.hash] = message
        if kind == "delta" and message.delta.WhichOneof("type") == "new_element":
            self._draw(message.delta.new_element)
        elif kind == "new_session":
            self._page = message.new_session.page_script_hash
            self.begun += 1
        elif kind == "page_info_changed":
            self.query = message.page_info_changed.query_string
        elif kind == "script_finished":
            self._cut_short = message.script_finished == ForwardMsg.FINISHED_EARLY_FOR_RERUN
        elif kind == "session_status_changed":
            async with self._ended:
                running = message.session_status_changed.script_is_running
                self.at_rest = not running and not self._cut_short
                self._ended.notify_all()

    def _draw(self, element):
        kind = element.WhichOneof("type")
        drawn = getattr(element, kind)
        if kind == "exception":
            self.problems.append(f"{drawn.type}: {drawn.message}")
        elif kind == "alert" and drawn.format == drawn.ERROR:
            self.problems.append(drawn.body)
        elif kind == "bidi_component" and drawn.component_name == "qhn_live_run":
            data = json.loads(drawn.json or drawn.mixed.json)
            self.events_path, self._live = data["events_url"], drawn.id
        elif hasattr(drawn, "label") and hasattr(drawn, "id"):
            self.widgets[drawn.label] = drawn


async def events(port, path, last_id=None):
    """The events of a stream as they come: (event, id or None, data as bytes of JSON)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
    try:
        header = "" if last_id is None else f"Last-Event-ID: {last_id}\r\n"
        writer.write(f"GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n{header}\r\n".encode())
        status = (await reader.readline()).split()[1]
        assert status == b"200", f"{path}: HTTP status {status.decode()}"
        while (await reader.readline()).strip():
            pass  # headers
        found = {}
        while line := await reader.readline():
            name, _, value = line.strip().partition(b":")
            if name:
                found[name] = value.strip()
            elif found:
                yield (
                    found[b"event"].decode(),
                    int(found[b"id"]) if b"id" in found else None,
                    found[b"data"],
                )
                found = {}
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
