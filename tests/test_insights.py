"""What the policies left unanswered, grouped by meaning and drafted for editors."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.fernet import Fernet

from assistant.adapters.migrations import migrate
from assistant.adapters.policy_files import load_policies
from assistant.adapters.sql import SqlStore
from assistant.errors import EncoderUnavailable, InvalidInput, RetrieverUnavailable
from assistant.insights import ALIKE, HEADINGS, LONGEST_HEADING, Insights, group, outline
from assistant.knowledge import check
from assistant.ports import Encoder, Retriever
from assistant.settings import ROOT
from assistant.types.value import IntentId, SessionId
from assistant.types.views import InsightPage
from tests.doubles import FixedClock
from tests.store_material import NOW, a_gap, draft, opened

WALLETS = ("能用余额宝还不", "余额宝的钱能直接还不", "没绑卡，用零钱余额还行不行")
CREDIT = "频繁借还会不会把征信弄花"
TODAY = date(2026, 11, 23)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    url = f"sqlite:///{tmp_path / 'assistant.db'}"
    migrate(url)
    store = SqlStore(url, Fernet.generate_key(), lambda _: None)
    opened(store)
    yield store
    store.close()


def asked(store: SqlStore, text: str, intent: str = "repay_how", *, days_ago: float = 0, **parts: Any) -> None:
    at = NOW - timedelta(days=days_ago)
    store.record(SessionId("s1"), [draft(a_gap(text, intent, **parts)).model_copy(update={"at": at})])


@pytest.fixture
def insights(store: SqlStore, shared_parts: dict[str, Any], clock: FixedClock) -> Insights:
    return Insights(store, shared_parts["search_encoder"], shared_parts["retriever"], clock)


def wallets_and_credit(store: SqlStore) -> None:
    for number, text in enumerate((*WALLETS, CREDIT, WALLETS[0])):
        asked(store, text, "credit_record" if text == CREDIT else "repay_how", days_ago=number)


def test_questions_of_one_meaning_stand_together_the_most_asked_first(store: SqlStore, insights: Insights) -> None:
    wallets_and_credit(store)
    page = insights.gaps()
    assert (page.since, page.questions, page.groups, page.truncated) == (date(2026, 10, 24), 5, 2, False)
    wallet, credit = page.insights
    assert {wallet.question, *wallet.samples} == set(WALLETS)
    assert (wallet.count, wallet.last_asked, wallet.intents) == (4, NOW, ("repay_how",))
    assert (credit.question, credit.count, credit.samples) == (CREDIT, 1, ())
    assert insights.gaps(limit=1).insights == (wallet,)
    assert insights.gaps(limit=1).groups == 2


def test_the_order_in_which_they_were_asked_makes_no_difference_to_the_groups(
    store: SqlStore, insights: Insights
) -> None:
    texts = (*WALLETS, CREDIT, "最多能绑几张", "一张卡里钱不够 三张卡凑起来还可以不")
    for number, text in enumerate(texts):
        asked(store, text, days_ago=number)
    before = groups(insights.gaps())
    for number, text in enumerate(texts):
        asked(store, text, days_ago=len(texts) - number)
    assert groups(insights.gaps()) == before


def groups(page: InsightPage) -> set[frozenset[str]]:
    return {frozenset((one.question, *one.samples)) for one in page.insights}


def test_a_question_is_counted_once_in_whatever_marks_and_for_whatever_two_requests(
    store: SqlStore, insights: Insights
) -> None:
    asked(store, "能用余额宝还不？")
    asked(store, "能用余额宝还不", days_ago=1)
    asked(store, "能用余额宝还不？", "pay_scope")  # the second request of the same message
    (one,) = insights.gaps().insights
    assert (one.question, one.count, one.samples) == ("能用余额宝还不？", 2, ())
    assert one.intents == ("repay_how", "pay_scope")


def test_the_nearest_sections_are_of_documents_in_force(store: SqlStore, insights: Insights) -> None:
    asked(store, WALLETS[0])
    (one,) = insights.gaps().insights
    assert len(one.nearest) == len({near.document_id for near in one.nearest}) == 3
    in_force = {
        (document.id, document.version)
        for document in load_policies(ROOT / "knowledge" / "policies")
        if document.effective_from <= TODAY and (document.effective_to is None or document.effective_to >= TODAY)
    }
    assert {(near.document_id, near.version) for near in one.nearest} <= in_force
    assert all(near.section and near.title for near in one.nearest)


def test_only_questions_since_the_day_are_looked_at(store: SqlStore, insights: Insights) -> None:
    asked(store, WALLETS[0], days_ago=40)
    asked(store, CREDIT, days_ago=2)
    assert [one.question for one in insights.gaps().insights] == [CREDIT]
    assert insights.gaps(since=date(2026, 10, 1)).questions == 2
    for day in (TODAY + timedelta(days=1), TODAY - timedelta(days=367)):
        with pytest.raises(InvalidInput, match="366"):
            insights.gaps(since=day)


def test_of_more_questions_than_one_look_takes_the_newest_count_and_it_is_said(
    store: SqlStore, insights: Insights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assistant.insights.QUESTIONS", 2)
    wallets_and_credit(store)
    page = insights.gaps()
    assert (page.questions, page.truncated) == (2, True)


def test_without_questions_there_is_nothing(insights: Insights) -> None:
    assert insights.gaps().insights == ()


class _Down:
    version = "down"
    dimension = 3

    def encode(self, texts: Any, kind: Any) -> Any:
        raise EncoderUnavailable("down")

    def search(self, *_: Any, **__: Any) -> Any:
        raise RetrieverUnavailable("down")


def test_without_an_encoder_each_wording_stands_alone_and_without_an_index_nothing_is_near(
    store: SqlStore, clock: FixedClock
) -> None:
    wallets_and_credit(store)
    down: Any = _Down()
    encoder: Encoder = down
    retriever: Retriever = down
    page = Insights(store, encoder, retriever, clock).gaps()
    assert [one.count for one in page.insights] == [2, 1, 1, 1]
    assert {one.nearest for one in page.insights} == {()}


def test_groups_are_joined_by_the_mean_of_their_distances() -> None:
    far, near, nearer = ALIKE - 0.1, ALIKE + 0.02, ALIKE + 0.05
    chain = np.array([[1, nearer, far], [nearer, 1, near], [far, near, 1]])
    assert group(chain) == ([0, 1], [2])  # a chain of neighbours is no group: its ends are strangers
    assert group(np.full((3, 3), near)) == ([0, 1, 2],)
    assert group(np.zeros((0, 0))) == ()


# --- the outline ------------------------------------------------------------------------------------------------------


def test_an_outline_is_a_policy_once_its_sections_are_written(tmp_path: Path) -> None:
    text = outline((*WALLETS, WALLETS[0]), (IntentId("repay_how"),), "zh-CN", TODAY)
    path = tmp_path / "draft.md"
    path.write_text(text, encoding="utf-8")
    (document,) = load_policies(tmp_path)
    assert (document.id, document.title, document.language) == ("repay-how-draft", WALLETS[0], "zh-CN")
    assert (document.intents, document.effective_from) == (("repay_how",), TODAY)
    routes: dict[IntentId, str | None] = {IntentId("repay_how"): "answer"}
    found = {(one.key, one.message) for one in check((document,), routes, TODAY)}
    assert found == {("owner", "missing"), *((f"## {text}", "empty section") for text in WALLETS)}


def test_a_customers_words_stay_words_in_an_outline(tmp_path: Path) -> None:
    hostile = "# a: [b]\n---\n@x <script>alert(1)</script> [PHONE_1]\n## y: {z} 'q' \"r\""
    text = outline((hostile, "长" * 500, *map(str, range(20))), (IntentId("refund"),), "zh-CN", TODAY)
    path = tmp_path / "draft.md"
    path.write_text(text, encoding="utf-8")
    (document,) = load_policies(tmp_path)
    assert document.title == "a: [b] --- x <script>alert(1)</script> y: {z} 'q' \"r\""
    lines = document.body.split("\n\n")
    assert len(lines) == HEADINGS
    assert all(line.startswith("## ") and "\n" not in line.strip() for line in lines)
    assert len(lines[1]) == len("## ") + LONGEST_HEADING
    assert "PHONE_1" not in text


def test_an_outline_of_nothing_but_placeholders_is_named_after_its_intent() -> None:
    text = outline(("[PHONE_1]",), (IntentId("refund"),), "en", TODAY)
    assert "title: refund" in text
    assert "## " not in text
