"""Going on from trained models: logs and corrections teach, and worse models are refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI
from rich.console import Console
from starlette.testclient import TestClient

from assistant.adapters.encoders import OnnxEncoder
from assistant.compose import Application, open_classifier
from assistant.errors import InvalidInput, ModelRegressed
from assistant.feedback import Correction
from assistant.heads import META_FILE, Heads
from assistant.settings import Settings
from assistant.setup import agents_corrections
from assistant.training.adaptation import adapt, refuse_worse
from assistant.training.assembly import CARD_FILE
from assistant.training.conversion import ensure_message_encoder
from assistant.training.data import load_corrections
from assistant.training.deltas import DELTAS_FILE
from assistant.training.trainer import train
from assistant.training.tuning import Recipe
from assistant.types.value import AgentName, IntentId
from assistant.web.app import create_app
from tests.web_callers import AgentCaller, Customer

SILENT = Console(quiet=True)
SHORT = Recipe(epochs=1, settling=1, batch=16, rate=3e-5, settling_rate=1e-4, head_rate=2e-3)
OWN_WORD = "那个小绿卡片要怎么弄走"
"""Words that nobody but this institution's customers would use."""


@pytest.fixture
def apart(encoder_models: Path, tmp_path: Path) -> Settings:
    """Settings of a data directory that reads the converted models and adds its own beside them."""
    models = tmp_path / "data" / "models"
    models.mkdir(parents=True)
    for folder in encoder_models.iterdir():
        (models / folder.name).symlink_to(folder, target_is_directory=True)
    return Settings(data_dir=tmp_path / "data", keys_dir=tmp_path / "keys")


def few_rows(folder: Path, learn: int, judge: int) -> tuple[Path, Path]:
    """Files of so many utterances of each intent to go on learning from, and to judge by."""
    own = Settings().knowledge_dir / "utterances"
    made = []
    for name, each in (("training/1-wordings.jsonl", learn), ("calibration.jsonl", judge)):
        lines: dict[str, list[str]] = {}
        for line in (own / name).read_text(encoding="utf-8").splitlines():
            lines.setdefault(json.loads(line)["intent"], []).append(line)
        made.append(folder / Path(name).name)
        made[-1].write_text("\n".join(line for group in lines.values() for line in group[:each]), encoding="utf-8")
    return made[0], made[1]


def test_logs_and_corrections_teach_and_the_card_says_so(apart: Settings, tmp_path: Path) -> None:
    data, calibration = few_rows(tmp_path, learn=8, judge=2)
    logs, out = tmp_path / "logs.txt", tmp_path / "weights"
    apart = apart.model_copy(update={"weights_dir": tmp_path / "before"})
    train(apart, quick=True, data=data, calibration=calibration, out=apart.weights_dir, console=SILENT)
    logs.write_text(
        "转人工\n转人工\n提前还款要手续费吗\n我的电话是13812345678，怎么提额\n\u200b\n嗯\n", encoding="utf-8"
    )
    before = Heads.load(apart.weights_dir)
    old = open_classifier(apart, OnnxEncoder(ensure_message_encoder(apart)), before)
    assert old.predict(OWN_WORD).intent != "account_close"
    meta = adapt(
        apart,
        messages=logs,
        corrections=[Correction(text=OWN_WORD, intent=IntentId("account_close"))],
        data=data,
        calibration=calibration,
        out=out,
        console=SILENT,
        recipe=SHORT,
    )
    assert meta.adapted is not None
    assert meta.adapted.began_with == before.version
    assert meta.adapted.corrections == 1
    # Once for two equal lines; what is not surely read teaches nothing.
    assert 1 <= meta.adapted.messages <= 4
    assert meta.deltas is not None
    adapted = apart.model_copy(update={"weights_dir": out})
    new = open_classifier(adapted, OnnxEncoder(ensure_message_encoder(adapted)), Heads.load(out))
    assert new.predict(OWN_WORD).intent == "account_close"
    assert new.predict("转人工").intent == "human_agent"
    card = (out / CARD_FILE).read_text(encoding="utf-8")
    assert before.version in card
    assert str(meta.adapted.messages_sha256) in card
    assert (out / DELTAS_FILE).stat().st_size < 5 * 2**20


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_corrections_that_spoil_the_models_are_refused_and_nothing_is_written(apart: Settings, tmp_path: Path) -> None:
    data, calibration = few_rows(tmp_path, learn=1, judge=8)
    wrong = [
        Correction(text=row["text"], intent=IntentId("coupon"))
        for row in map(json.loads, calibration.read_text(encoding="utf-8").splitlines()[::4])
    ]
    with pytest.raises(ModelRegressed, match="calibration rows"):
        adapt(
            apart,
            corrections=wrong,
            data=data,
            calibration=calibration,
            out=tmp_path / "weights",
            console=SILENT,
            recipe=SHORT,
        )
    assert not (tmp_path / "weights").exists()


def test_only_a_fall_beyond_chance_is_refused() -> None:
    better, chance, worse = np.zeros((3, 900), np.float32)
    better[:20], better[20:40] = 1, -1
    chance[:20], chance[20:50] = 1, -1
    worse[:5], worse[5:50] = 1, -1
    refuse_worse({"intent": better, "act": chance})
    with pytest.raises(ModelRegressed, match=r"act accuracy on 900 .* -4\.4 points"):
        refuse_worse({"intent": better, "act": worse})


@pytest.mark.parametrize("content", [b"", b"\n \n", "\u200b\n".encode(), b"\xff\xfe"])
def test_logs_without_a_message_are_refused_by_name(apart: Settings, tmp_path: Path, content: bytes) -> None:
    logs = tmp_path / "logs.txt"
    logs.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"logs\.txt"):
        adapt(apart, messages=logs, out=tmp_path / "weights", console=SILENT)


def test_nothing_to_learn_from_is_refused(apart: Settings, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="nothing to adapt to"):
        adapt(apart, out=tmp_path / "weights", console=SILENT)
    with pytest.raises(InvalidInput, match="no intent 'weather'"):
        adapt(apart, corrections=[Correction(text="明天下雨吗", intent=IntentId("weather"))], console=SILENT)
    assert not (tmp_path / "weights" / META_FILE).exists()


def test_corrections_are_read_from_evaluation_files(tmp_path: Path) -> None:
    path = tmp_path / "corrections.jsonl"
    path.write_text(
        '{"text": "a", "intent": "refund"}\n\n{"text": "b", "gold": "coupon", "intent": "refund", "clear": true}\n'
        '{"text": "c", "gold": null, "accept": ["refund"], "intent": "refund"}\n',
        encoding="utf-8",
    )
    assert [(one.text, one.intent) for one in load_corrections(path)] == [("a", "refund"), ("b", "coupon")]
    path.write_text('{"text": "a", "intent": "refund"}\n{"intent": "refund"}', encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"corrections\.jsonl:2"):
        load_corrections(path)


def test_what_an_agent_relabelled_is_a_correction_of_the_customers_words(
    application: Application, settings: Settings
) -> None:
    app: FastAPI = create_app(application, pages=False)
    application.desk.create_agent(AgentName("wang"), "小王", "agent", "correct horse battery staple")
    with TestClient(app) as client:
        agent = AgentCaller(client, "wang", "correct horse battery staple")
        for question, label in (("提前还款要收手续费吗？", "fee_waiver"), ("提前还款要收手续费吗？", None)):
            customer = Customer(client)
            read_as = customer.say(question).json()["intent"]["id"]
            customer.say("转人工")
            case_id = customer.post("/human").json()["case"]["case_id"]
            case = agent.write(agent.get(f"/cases/{case_id}").json()["case"], "claim").json()
            # A label that agrees with what was read corrects nothing.
            case = agent.write(case, "relabel", intent=label or read_as).json()
            agent.write(case, "release")
            # What is said later raises the same case, and must not change what was corrected.
            customer.say("有人冒充客服，让我把钱转到安全账户")
            assert agent.get(f"/cases/{case_id}").json()["case"]["intent"] != (label or read_as)
    found = agents_corrections(settings)
    assert found == (Correction(text="提前还款要收手续费吗？", intent=IntentId("fee_waiver")),)
