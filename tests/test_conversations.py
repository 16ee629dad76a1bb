"""Scripted customers on the real application: the bank's end state is judged before the words."""

import pytest

from assistant.settings import Settings
from eval.cases import DATA, DialogueCase, load_dialogues
from eval.dialogue_player import Stage, play
from eval.dialogues_suite import judge

CASES, _ = load_dialogues(DATA / "dialogues.jsonl")


@pytest.fixture(scope="module")
def stage(shared_parts: dict[str, object]) -> Stage:
    return Stage(Settings(), shared_parts["message_encoder"], shared_parts["retriever"])  # type: ignore[arg-type]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_conversation_ends_as_it_should(stage: Stage, case: DialogueCase) -> None:
    played = play(stage, case)
    assert judge(case, played).faults == (), [reply.text for reply in played.replies]


def test_the_script_covers_every_outcome() -> None:
    assert len(CASES) >= 24
    assert {case.expected.outcome for case in CASES} == {
        "warned",
        "escalated",
        "refused",
        "clarified_then_served",
        "self_served",
    }
