"""The command line as a user types it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from assistant.settings import Settings
from assistant.training.conversion import ensure_encoder

HEAVY = (
    "torch",
    "transformers",
    "onnxruntime",
    "chromadb",
    "gradio",
    "langchain",
    "langchain_core",
    "sklearn",
    "jieba",
)


class Installation:
    """A folder of its own for data and keys, sharing the converted encoder."""

    def __init__(self, folder: Path) -> None:
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("ASSISTANT_")}
        self.environment |= {
            "ASSISTANT_DATA_DIR": str(folder / "data"),
            "ASSISTANT_KEYS_DIR": str(folder / "keys"),
            "ASSISTANT_ENV_FILE": str(folder / "none"),
            "OMP_NUM_THREADS": "1",
        }

    def run(self, *line: str, typed: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "assistant", *line],
            env=self.environment | variables,
            input=typed,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def start(self, *line: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "assistant", *line],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def bare(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    folder = tmp_path_factory.mktemp("installed")
    (folder / "data").mkdir()
    (folder / "data" / "models").symlink_to(ensure_encoder(Settings()).parent)
    installation = Installation(folder)
    done = installation.run("setup")
    assert done.returncode == 0, done.stderr
    assert re.search(r"name agent +password \S{12,}", done.stderr)
    return installation


def only_line(text: str) -> str:
    (line,) = text.strip().splitlines()
    return line


# --- without an installation ------------------------------------------------------------------------------------------


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; sys.argv = ['assistant', '--help']\n"
        "from assistant.cli import main\n"
        "try: main()\n"
        "except SystemExit as e: assert not e.code, e.code\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)

    assert "serve" in found.stdout
    assert found.returncode == 0
    assert not set(HEAVY) & set(re.findall(r"'(\w+)'", found.stderr))


@pytest.mark.parametrize(
    "line",
    [
        ("nonsense",),
        ("serve", "--workers", "2"),
        ("serve", "--port", "many"),
        ("chat", "--json"),
        ("evaluate",),
        ("knowledge", "search", "利息", "--as-of", "yesterday"),
        ("knowledge", "diff", "--as-of", "yesterday"),
        ("admin", "create-agent", "li", "--role", "owner"),
    ],
)
def test_bad_use_is_one_line_and_exit_2(bare: Installation, line: tuple[str, ...]) -> None:
    found = bare.run(*line)

    assert found.returncode == 2
    assert only_line(found.stderr).startswith("assistant: ")
    assert not found.stdout


@pytest.mark.parametrize("line", [("serve",), ("chat", "--once", "你好"), ("knowledge", "search", "利息")])
def test_without_set_up_the_remedy_is_named(bare: Installation, line: tuple[str, ...]) -> None:
    found = bare.run(*line)

    assert found.returncode == 1
    assert "make setup" in only_line(found.stderr)


def test_setting_that_does_not_fit_is_named(bare: Installation) -> None:
    found = bare.run("settings", ASSISTANT_ENCODER_THREADS="none")

    assert found.returncode == 1
    assert "ASSISTANT_ENCODER_THREADS" in only_line(found.stderr)


def test_settings_lists_every_one_and_hides_secrets(bare: Installation) -> None:
    found = bare.run(
        "settings", ASSISTANT_CHAT_MODEL_KEY="sesame", ASSISTANT_DATABASE_URL="postgresql://bank:sesame@db/assistant"
    )

    assert all(f"ASSISTANT_{name.upper()}=" in found.stdout for name in Settings.model_fields)
    assert "sesame" not in found.stdout
    assert "postgresql://bank:***@db/assistant" in found.stdout


def test_the_policies_of_the_repository_are_sound(bare: Installation) -> None:
    found = bare.run("knowledge", "check")

    assert found.returncode == 0, found.stdout
    assert ", 0 errors" in found.stdout


def test_a_broken_policy_is_named(bare: Installation, tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "fees.md").write_text("no front matter", encoding="utf-8")

    found = bare.run("knowledge", "check", ASSISTANT_KNOWLEDGE_DIR=str(tmp_path))

    assert found.returncode == 1
    assert "fees.md" in found.stdout


# --- agents and evidence ----------------------------------------------------------------------------------------------


def test_an_agent_is_made_listed_and_given_a_new_password(bare: Installation) -> None:
    made = bare.run("admin", "create-agent", "li", "--display-name", "李老师", "--role", "supervisor")
    listed = bare.run("admin", "list-agents")
    reset = bare.run("admin", "reset-password", "li")
    again = bare.run("admin", "create-agent", "li")

    assert re.fullmatch(r"li \(supervisor\)  password \S{12,}\n", made.stdout)
    assert listed.stdout == "li\tsupervisor\tactive\t李老师\n"
    assert re.fullmatch(r"li  password \S{12,}\n", reset.stdout)
    assert again.returncode == 2


def test_a_new_record_is_whole_and_has_nothing_to_sign(bare: Installation) -> None:
    assert bare.run("admin", "migrate").returncode == 0
    assert bare.run("audit", "verify").stdout.startswith("0 events of 0 sessions")
    assert bare.run("audit", "checkpoint").stdout == "nothing is recorded yet\n"


# --- with an installation ---------------------------------------------------------------------------------------------


def test_set_up_again_changes_nothing(installed: Installation) -> None:
    again = installed.run("setup")

    assert again.returncode == 0
    assert "(unchanged)" in again.stderr
    assert "password" not in again.stderr
    assert "(unchanged)" in installed.run("knowledge", "index").stdout


def test_search_finds_policies(installed: Installation) -> None:
    found = installed.run("knowledge", "search", "提前还款要手续费吗", "--json")

    assert any("early" in row["passage"]["document_id"] for row in json.loads(found.stdout))


def test_what_would_change_is_told_for_people_and_as_json(installed: Installation, tmp_path: Path) -> None:
    questions = tmp_path / "questions.jsonl"
    questions.write_text('{"question": "提前还款要手续费吗", "intent": "early_repay"}\n', encoding="utf-8")

    told = installed.run("knowledge", "diff", "--questions", str(questions))
    found = installed.run("knowledge", "diff", "--json")

    assert told.returncode == found.returncode == 0, told.stderr
    assert "documents: 0 added, 0 removed, 0 changed\nquestions: 1 tried, 0 answered otherwise" in told.stdout
    assert json.loads(found.stdout)["documents"] == []


def test_once_prints_one_reply(installed: Installation) -> None:
    found = installed.run("chat", "--once", "提前还款要手续费吗", "--json")

    reply = json.loads(found.stdout)
    assert (found.returncode, found.stderr) == (0, "")
    assert reply["outcome"] == "answered"
    assert reply["citations"]


def test_a_sandbox_customer_is_verified_by_the_real_code(installed: Installation) -> None:
    found = installed.run("chat", "--once", "我这个月账单要还多少", "--json", "--customer", "C0001")

    assert json.loads(found.stdout)["outcome"] == "action_done"


def test_an_unknown_customer_is_refused(installed: Installation) -> None:
    found = installed.run("chat", "--once", "你好", "--customer", "C0099")

    assert found.returncode == 1
    assert "13800000099" in only_line(found.stderr)


def test_a_conversation_in_the_terminal(installed: Installation) -> None:
    typed = "你好\n/verify 13800000002\n/confirm\n/nonsense\n/human\n/quit\n"

    found = installed.run("chat", typed=typed)

    assert (found.returncode, found.stderr) == (0, "")
    assert re.search(r"sandbox: code \d{6} to ", found.stdout)
    assert "there is nothing to confirm or cancel" in found.stdout
    assert found.stdout.count("/verify PHONE") == 2


@pytest.fixture
def server(installed: Installation) -> Iterator["subprocess.Popen[str]"]:
    process = installed.start("serve", "--port", "0")
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


def test_a_server_tells_where_it_is_and_leaves_cleanly(server: "subprocess.Popen[str]") -> None:
    assert server.stdout is not None
    line = server.stdout.readline()
    address = re.search(r"customers (http://127\.0\.0\.1:\d+)/ ", line)
    assert address, line

    with httpx.Client(base_url=address[1], trust_env=False) as client:
        ready = client.get("/readyz")
        page = client.get("/")
    server.send_signal(signal.SIGTERM)
    _, errors = server.communicate(timeout=20)

    assert (ready.status_code, page.status_code) == (200, 200)
    assert "server" not in ready.headers
    assert (server.returncode, errors) == (0, "")


def test_a_taken_port_is_told_in_one_line(installed: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found = installed.run("serve", "--port", str(taken.getsockname()[1]))

    assert found.returncode == 1
    assert "PORT" in only_line(found.stderr)


def test_the_record_of_conversations_is_whole_and_signed(installed: Installation) -> None:
    installed.run("chat", "--once", "你好")

    signed = installed.run("audit", "checkpoint")
    verified = installed.run("audit", "verify")

    assert signed.stdout.startswith("head ")
    assert verified.returncode == 0, verified.stdout
    assert "0 findings" in verified.stdout
