"""A server that is started for a run: real processes, real HTTP, and nothing left behind."""

from __future__ import annotations

import os
import socket
import sys
import time

import pytest

from osler.errors import EndpointError
from osler.evaluation.runners import EndpointRunner, running_server
from tests.endpoint_server import chat, replies, serving

from .test_local import ask

SERVER = """
import subprocess, sys, time
sys.path.insert(0, {root!r})
from tests.endpoint_server import chat, replies, serving
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid, flush=True)
time.sleep({late})
with serving(replies(chat("served")), port={port}):
    time.sleep(600)
"""


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def command(port, *, late=0.3):
    return [sys.executable, "-c", SERVER.format(root=os.getcwd(), port=port, late=late)]


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0] != "Z"


def test_it_is_waited_for_and_ended_with_its_children(port, tmp_path):
    url = f"http://127.0.0.1:{port}/v1"
    said = []
    with running_server(command(port), url, log=tmp_path / "log", timeout=30, say=said.append):
        assert EndpointRunner(url).answer([ask("a")])[0].text == "served"
        child = int((tmp_path / "log").read_text().split()[1])
        assert alive(child)
    assert "waiting" in said[0]
    for _ in range(50):
        if not alive(child):
            break
        time.sleep(0.1)
    assert not alive(child)
    with pytest.raises(EndpointError, match="cannot be reached"):
        EndpointRunner(url)


def test_it_is_ended_when_the_run_fails(port, tmp_path):
    url = f"http://127.0.0.1:{port}/v1"
    with pytest.raises(KeyError), running_server(command(port, late=0), url, log=tmp_path / "log", timeout=30):
        raise KeyError
    with pytest.raises(EndpointError, match="cannot be reached"):
        EndpointRunner(url)


def test_a_server_that_does_not_come_up_says_why(port, tmp_path):
    url = f"http://127.0.0.1:{port}/v1"
    words = f"{sys.executable} -c 'print(\"no GPU here\"); raise SystemExit(3)'"
    with pytest.raises(EndpointError, match=r"status 3 before it answered: no GPU here"):
        running_server(words, url, log=tmp_path / "log").__enter__()
    sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
    with pytest.raises(EndpointError, match=r"within 0.5 s: it printed nothing"):
        running_server(sleeper, url, log=tmp_path / "log", timeout=0.5).__enter__()
    with pytest.raises(EndpointError, match="cannot be started"):
        running_server("no-such-program serve", url, log=tmp_path / "log").__enter__()
    with pytest.raises(EndpointError, match="empty"):
        running_server(" ", url, log=tmp_path / "log").__enter__()
    with serving(replies(chat("x"))) as there, pytest.raises(EndpointError, match="answers there already"):
        running_server(sleeper, there.url, log=tmp_path / "log").__enter__()
