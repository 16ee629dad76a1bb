"""Load on the turn line over HTTP: customers who ask, are asked back, greet, and prove who they are for a bill."""

import asyncio
import hashlib
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

import httpx
import numpy as np

from assistant.adapters.encoders import encoder_folder, read_meta
from assistant.errors import ConfigurationError
from assistant.heads import Heads
from assistant.settings import Settings
from eval.cases import DataSource
from eval.report import Report, print_table, write

QUESTIONS = (
    "花呗可以提前还款吗，有没有手续费",
    "借呗的利息是怎么算的",
    "逾期一天会上征信吗",
    "最低还款是什么意思，划算吗",
    "怎么修改我的还款日",
    "额度为什么被降低了",
    "忘记支付密码怎么办",
    "怎么更换绑定的手机号",
    "退款之后账单还要还吗",
    "分期手续费能退吗",
    "怎么开电子发票",
    "结清证明去哪里开",
    "Can I repay my loan early?",
    "How is the interest calculated?",
    "What happens if I pay late?",
    "How do I change my bank card?",
    "那个怎么弄啊",
    "钱的事情",
    "你好",
    "谢谢你",
)
"""Plain questions in both languages, two that must be asked back, and two courtesies."""
OPENINGS = {
    "zh": (
        "",
        "请问",
        "你好，",
        "想问一下，",
        "麻烦问下，",
        "在吗，",
        "帮我看看，",
        "我想知道",
        "客服，",
        "问个事，",
        "打扰了，",
    ),
    "en": ("", "Hi, ", "Hello, ", "Excuse me, ", "Quick question: ", "One thing: ", "Please tell me: "),
}
CLOSINGS = {
    "zh": (
        "",
        "呢",
        "，谢谢",
        "，急",
        "，我的意思是这次",
        "，多谢了",
        "，着急",
        "，等你回复",
        "！",
        "，在线等",
        "，麻烦了",
        "，辛苦",
        "，嗯",
    ),
    "en": ("", " Thanks.", " Please.", " Thank you!", " I am waiting.", " It is urgent."),
}
"""Said around a question, so that hardly a message is sent twice and no cache of messages flatters the figures."""
BILL = "我这个月账单要还多少"
_TURNS_A_VISIT = 10
_START_SECONDS = 120.0
_CALL_SECONDS = 60.0
_PHONES = 50
_CODES_A_NUMBER = 3
"""Below the sandbox's daily quota of codes, so that the load never meets it."""


@dataclass
class Tally:
    """What the customers of one run saw."""

    latencies_ms: list[float] = field(default_factory=list)
    outcomes: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    lost: int = 0
    """Replies that the conversation did not hold afterwards."""


@dataclass(frozen=True)
class Figures:
    """One concurrency."""

    concurrency: int
    turns: int
    turns_per_second: float
    latency_ms_p50: float
    latency_ms_p95: float
    rss_mb: float | None
    errors: int
    lost: int
    outcomes: dict[str, int]


def run(settings: Settings, turns: int, concurrencies: tuple[int, ...], url: str | None, out: Path) -> int:
    """Measure, print, write the report; 1 where a call failed or a reply was not kept."""
    found: list[Figures] = []
    problems: list[str] = []
    for concurrency in concurrencies:
        with _server(settings) if url is None else _running(url) as (base, pid):
            figures, errors = asyncio.run(_load(base, pid, turns, concurrency))
        found.append(figures)
        problems += errors
    report = _report(found, _versions(settings, url))
    print_table(report)
    write(report, out)
    for problem in sorted(set(problems))[:5]:
        print(problem, file=sys.stderr)
    return 1 if problems or any(figures.lost for figures in found) else 0


# --- the server -------------------------------------------------------------------------------------------------------


@contextmanager
def _running(url: str) -> Iterator[tuple[str, int | None]]:
    yield url.rstrip("/"), None


@contextmanager
def _server(settings: Settings) -> Iterator[tuple[str, int | None]]:
    """A server of its own on a free port, with an empty database and the models of this installation."""
    with tempfile.TemporaryDirectory(prefix="assistant-bench-") as folder:
        data = Path(folder) / "data"
        data.mkdir()
        (data / "models").symlink_to((settings.data_dir / "models").resolve())
        environment = os.environ | {
            "ASSISTANT_DATA_DIR": str(data),
            "ASSISTANT_KEYS_DIR": str(Path(folder) / "keys"),
            "ASSISTANT_DATABASE_URL": f"sqlite:///{data / 'assistant.sqlite'}",
            "ASSISTANT_TURNS_PER_MINUTE": "1000000",
            "ASSISTANT_SESSIONS_PER_MINUTE": "1000000",
        }
        program = [sys.executable, "-m", "assistant"]
        indexed = subprocess.run([*program, "knowledge", "index"], env=environment, capture_output=True, text=True)  # noqa: S603
        if indexed.returncode:
            raise ConfigurationError(f"the bench server could not be set up: {indexed.stderr.strip()}")
        log = Path(folder) / "log"
        with log.open("w") as file:
            serve = [*program, "serve", "--host", "127.0.0.1", "--port", "0"]
            process = subprocess.Popen(serve, env=environment, stdout=file, stderr=file)  # noqa: S603
        try:
            yield _wait_for(process, log), process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(process: subprocess.Popen[bytes], log: Path) -> str:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        if line := re.search(r"customers (http://[^/]+)/", log.read_text(encoding="utf-8")):
            return line[1]
        time.sleep(0.1)
    raise ConfigurationError(f"the bench server did not start: {log.read_text(encoding='utf-8').strip()[-500:]}")


def _rss_mb(pid: int | None) -> float | None:
    """Resident memory of a server of our own; None where it runs elsewhere or the system does not tell."""
    status = Path(f"/proc/{pid}/status")
    if pid is None or not status.is_file():
        return None
    line = re.search(r"VmRSS:\s+(\d+) kB", status.read_text())
    return round(int(line[1]) / 1024, 1) if line else None


# --- the customers ----------------------------------------------------------------------------------------------------


async def _load(base: str, pid: int | None, turns: int, concurrency: int) -> tuple[Figures, list[str]]:
    tally = Tally()
    visits = [min(_TURNS_A_VISIT, turns - start) for start in range(0, turns, _TURNS_A_VISIT)]
    waiting = list(enumerate(visits))
    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    async with httpx.AsyncClient(
        base_url=f"{base}/api/v1", timeout=_CALL_SECONDS, limits=limits, trust_env=False
    ) as client:
        await _visit(client, Tally(), -1, 3)  # the first turns load what is loaded on first use
        begin = time.perf_counter()

        async def customer() -> None:
            while waiting:
                number, length = waiting.pop(0)
                try:
                    await _visit(client, tally, number, length)
                except httpx.HTTPError as error:
                    tally.errors.append(f"{type(error).__name__}: {error}")

        await asyncio.gather(*(customer() for _ in range(concurrency)))
        seconds = time.perf_counter() - begin
    done = tally.latencies_ms or [float("nan")]
    figures = Figures(
        concurrency=concurrency,
        turns=len(tally.latencies_ms),
        turns_per_second=round(len(tally.latencies_ms) / seconds, 2),
        latency_ms_p50=round(float(np.percentile(done, 50)), 1),
        latency_ms_p95=round(float(np.percentile(done, 95)), 1),
        rss_mb=_rss_mb(pid),
        errors=len(tally.errors),
        lost=tally.lost,
        outcomes=dict(sorted(tally.outcomes.items())),
    )
    return figures, tally.errors


async def _visit(client: httpx.AsyncClient, tally: Tally, number: int, length: int) -> None:
    """One customer: questions, and for every third of them a bill behind a one-time code; then read it all back."""
    opened = (await client.post("/sessions", json={"channel": "evaluation"})).raise_for_status().json()
    session, token = opened["session_id"], opened["session_token"]
    chosen = random.Random(number).sample(QUESTIONS, min(length, len(QUESTIONS)))  # noqa: S311 - the same load each time
    with_bill = number >= 0 and number % 3 == 0 and number // 3 < _PHONES * _CODES_A_NUMBER
    if with_bill:
        chosen[len(chosen) // 2] = BILL
    kept = set()
    for place, asked in enumerate(chosen):
        text = _worded(asked, number * _TURNS_A_VISIT + place)
        begin = time.perf_counter()
        answer = await client.post(
            f"/sessions/{session}/messages",
            json={"text": text, "client_message_id": f"bench-{number}-{place}"},
            headers={"Authorization": f"Bearer {token}"},
        )
        elapsed = (time.perf_counter() - begin) * 1000
        if answer.status_code != 200:
            tally.errors.append(f"HTTP {answer.status_code}: {answer.text[:200]}")
            continue
        reply = answer.json()
        tally.latencies_ms.append(elapsed)
        tally.outcomes[reply["outcome"]] = tally.outcomes.get(reply["outcome"], 0) + 1
        kept.add(reply["message_id"])
        if with_bill and asked == BILL and reply["outcome"] == "awaiting_verification":
            token, shown = await _prove(client, session, token, f"1380000{number // 3 % _PHONES + 1:04d}")
            kept.add(shown)
    stored = await client.get(f"/sessions/{session}/messages", headers={"Authorization": f"Bearer {token}"})
    stored.raise_for_status()
    tally.lost += len(kept - {event["message_id"] for event in stored.json()["messages"]})


def _worded(question: str, turn: int) -> str:
    """The question as this turn's customer puts it."""
    language = "en" if question.isascii() else "zh"
    openings, closings = OPENINGS[language], CLOSINGS[language]
    return f"{openings[turn % len(openings)]}{question}{closings[turn % len(closings)]}"


async def _prove(client: httpx.AsyncClient, session: str, token: str, phone: str) -> tuple[str, str]:
    """The rotated token, and the id of the reply that the open request was served with."""
    bearer = {"Authorization": f"Bearer {token}"}
    (await client.post(f"/sessions/{session}/verification", json={"phone": phone}, headers=bearer)).raise_for_status()
    codes = (await client.get("/sandbox/outbox", headers=bearer)).raise_for_status().json()["codes"]
    right = {"code": codes[-1]["code"]}
    proved = await client.post(f"/sessions/{session}/verification/confirm", json=right, headers=bearer)
    body = proved.raise_for_status().json()
    return str(body["session_token"]), str(body["reply"]["message_id"])


# --- the report -------------------------------------------------------------------------------------------------------


def _report(found: list[Figures], versions: dict[str, str]) -> Report:
    metrics = {
        f"{name}@{figures.concurrency}": value
        for figures in found
        for name, value in asdict(figures).items()
        if name not in {"concurrency", "outcomes"}
    }
    here = Path(__file__)
    digest = hashlib.sha256(here.read_bytes()).hexdigest()
    return Report(
        suite="bench",
        data=DataSource(name=here.name, sha256=digest, rows=len(QUESTIONS) + 1, ours=True),
        versions=versions,
        metrics=metrics,
        per_label={f"concurrency {figures.concurrency}": figures.outcomes for figures in found},
        notes=(
            "Per label: how many turns had each outcome.",
            "One server process and the load share this machine.",
            "lost: replies that were not in the conversation afterwards.",
        ),
    )


def _versions(settings: Settings, url: str | None) -> dict[str, str]:
    """What served the load; of a server elsewhere we know nothing."""
    if url is not None:
        return {"server": "not ours"}
    heads = Heads.load(settings.weights_dir)
    meta = read_meta(encoder_folder(settings.data_dir, settings.encoder, heads.meta.deltas))
    return {"assistant": version("assistant"), "encoder": meta.version if meta else "none", "heads": heads.version}
