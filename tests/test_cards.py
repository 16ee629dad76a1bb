"""What the pages show of replies, proposals, receipts and cases: escaped, on one line, and only what is named."""

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from assistant.taxonomy import load_taxonomy
from assistant.types.actions import Receipt
from assistant.types.answers import Citation
from assistant.types.cases import Case
from assistant.types.messages import Choice, ProposalView, Reply
from assistant.types.understanding import RiskSignal
from assistant.types.value import CaseId, DocumentId, IntentId, Locale, MessageId, ProposalId, SessionId, TraceId
from assistant.types.views import (
    AgentEvent,
    CaseDetail,
    CaseNews,
    CasePage,
    Insight,
    InsightPage,
    NearestSection,
    PublicEvent,
)
from assistant.web import cards, console_cards, gap_cards
from assistant.web.conversation import Draft, screen
from assistant.web.labels import texts, words
from assistant.web.login import page as login_page
from assistant.web.prose import prose

NOW = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
WICKED = "<script>alert(1)</script> \" ' & **"
STATIC = Path(cards.__file__).with_name("static")

CITATION = Citation(
    document_id=DocumentId("early-repay"),
    version="2026.1",
    title="提前还款",
    section="费用",
    quote="满一期后不收费。\n未满一期收1%。",
    effective_from=date(2026, 1, 1),
)
PROPOSAL = ProposalView(
    proposal_id=ProposalId("p1"),
    digest="ab12",
    action="early_repay",
    arguments={"quote": {"total_fen": 1537877}},
    consequences=("合计扣款：¥15,378.77", "扣款后不能撤回"),
    expires_at=NOW + timedelta(minutes=10),
)
RECEIPT = Receipt(
    receipt_id="R-p1",
    action="early_repay",
    status="done",
    facts={"total_fen": 1537877, "reference": "ER1", "secret": "not for the page"},
    at=NOW,
)


GAP = Insight(
    question=WICKED,
    count=3,
    last_asked=NOW,
    samples=(WICKED, "零钱能还吗"),
    intents=(IntentId("early_repay"), IntentId(WICKED)),
    nearest=(NearestSection(document_id=DocumentId(WICKED), version=WICKED, title=WICKED, section=WICKED),),
    outline=f"---\ntitle: {WICKED}\n---\n\n## {WICKED}\n",
)
PAGE_OF_GAPS = InsightPage(since=date(2026, 10, 24), questions=4, groups=2, truncated=False, insights=(GAP,))


def a_reply(**parts: object) -> Reply:
    fields = {
        "message_id": MessageId("m1"),
        "text": "可以。",
        "locale": "zh-CN",
        "outcome": "answered",
        "trace_id": TraceId("t1"),
    }
    return Reply.model_validate(fields | parts)


def a_case(**parts: object) -> Case:
    fields = {
        "case_id": CaseId("c1"),
        "session_id": SessionId("s1"),
        "customer_id": None,
        "reason": "customer_asked",
        "intent": "early_repay",
        "priority": "normal",
        "queue": "repayment",
        "summary": "转人工原因：客户要求人工",
        "opened_at": NOW,
        "due_at": NOW + timedelta(hours=8),
    }
    return Case.model_validate(fields | parts)


def a_detail(case: Case, *events: AgentEvent) -> CaseDetail:
    return CaseDetail(case=case, locale="zh-CN", mode="manual", customer=None, verified=False, events=events)


def said(seq: int, text: str) -> PublicEvent:
    return PublicEvent(seq=seq, type="customer_message", at=NOW, text=text)


def replied(seq: int, **parts: object) -> PublicEvent:
    return PublicEvent(seq=seq, type="reply", at=NOW, reply=a_reply(**parts))


def moved(seq: int, what: str, status: str, mode: str, agent: str | None = None) -> PublicEvent:
    news = {
        "case_id": "c1",
        "status": status,
        "what": what,
        "priority": "normal",
        "agent_display_name": agent,
        "mode": mode,
    }
    return PublicEvent(seq=seq, type="case", at=NOW, case=CaseNews.model_validate(news))


# --- cards ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("locale", ["zh-CN", "en"])
def test_whatever_is_said_is_shown_as_text(locale: Locale) -> None:
    citation = CITATION.model_copy(update={"title": WICKED, "section": WICKED, "quote": WICKED, "version": WICKED})
    reply = a_reply(text=WICKED, details=WICKED, citations=(citation,), receipt=RECEIPT)
    case = a_case(summary=WICKED, suggested_reply=WICKED, assignee=WICKED, disposition=WICKED, status="claimed")
    risk = RiskSignal(kind="abuse", level="warn", evidence=WICKED, rule="r1")
    events = [
        AgentEvent(seq=1, type="note", at=NOW, text=WICKED),
        AgentEvent(seq=2, type="reply", at=NOW, text="", reply=reply),
    ]
    detail = a_detail(case.model_copy(update={"risks": (risk,)}), *events)
    taxonomy = load_taxonomy()
    shown = [
        cards.notice(WICKED, locale),
        cards.customer_message(WICKED, NOW, locale),
        cards.agent_message(WICKED, WICKED, NOW, locale),
        cards.assistant_message(reply, NOW, locale),
        cards.draft_message(WICKED, "…", locale),
        cards.proposal_card(PROPOSAL.model_copy(update={"consequences": (WICKED,), "digest": WICKED}), locale),
        cards.banner(WICKED, waiting=False, position=None, locale=locale),
        console_cards.facts(detail, taxonomy, locale),
        console_cards.transcript(detail, taxonomy, locale),
        console_cards.suggestion(detail, locale),
        console_cards.case_head(detail, NOW, locale),
        gap_cards.gap_table(PAGE_OF_GAPS, 0, locale),
        gap_cards.gap_detail(PAGE_OF_GAPS.insights[0], taxonomy, locale),
        console_cards.queue(CasePage(cases=(detail.case,), next_cursor=None), None, taxonomy, NOW, locale),
        login_page({"zh-CN": WICKED, "en": WICKED}, locale).split("</h1>")[0],
    ]
    for html in shown:
        assert "<script>alert" not in html


def test_a_message_is_one_line_so_that_markdown_leaves_it_alone() -> None:
    reply = a_reply(text="一\n\n二\n- 三", details="| a | b |\n|---|---|\n| 1 | 2 |", citations=(CITATION,))
    html = cards.assistant_message(reply, NOW, "zh-CN")
    assert "\n" not in html
    assert html.startswith("<div")


def test_a_reply_says_that_it_was_generated_and_an_agents_words_do_not() -> None:
    assert "AI生成" in cards.assistant_message(a_reply(), NOW, "zh-CN")
    assert "AI生成" not in cards.assistant_message(a_reply(ai_generated=False), NOW, "zh-CN")
    assert "人工客服 小王" in cards.agent_message("小王", "您好", NOW, "zh-CN")


def test_a_citation_unfolds_to_title_section_version_day_and_clause() -> None:
    html = cards.citation(CITATION.model_copy(update={"effective_to": date(2027, 1, 1)}), "zh-CN")
    assert html.startswith("<details")
    assert "<summary>依据：《提前还款》费用</summary>" in html
    assert "满一期后不收费。<br>未满一期收1%。" in html
    assert "版本 2026.1，2026年1月1日起施行，至2027年1月1日" in html
    assert "in force since 1 Jan 2026" in cards.citation(CITATION, "en")


def test_a_proposal_shows_the_total_and_its_buttons_carry_what_they_confirm() -> None:
    html = cards.proposal_card(PROPOSAL, "zh-CN")
    assert "¥15,378.77" in html
    assert "扣款后不能撤回" in html
    for choice in ("confirm", "cancel"):
        assert re.search(f'data-choice="{choice}" data-proposal="p1" data-digest="ab12"', html)


def test_a_receipt_shows_the_facts_that_are_named_and_no_other() -> None:
    html = cards.receipt(RECEIPT, "zh-CN")
    assert "¥15,378.77" in html
    assert "ER1" in html
    assert "not for the page" not in html


def test_details_become_lists_and_tables() -> None:
    html = prose("步骤：\n1. 打开App\n2. 点“还款”\n\n- 甲\n* 乙\n\n| 期数 | 费用 |\n|---|---|\n| 3 | **1%** |")
    assert html.startswith("<p>步骤：</p><ol><li>打开App</li><li>点“还款”</li></ol><ul><li>甲</li><li>乙</li></ul>")
    assert '<th scope="col">期数</th>' in html
    assert "<td><strong>1%</strong></td>" in html


# --- the customer's screen --------------------------------------------------------------------------------------------


def test_a_new_conversation_begins_with_the_notice_and_questions_to_try() -> None:
    shown = screen("我是AI助手。", (), None, "zh-CN")
    assert len(shown.lines) == 1
    assert len(shown.choices) == 4
    assert all(choice.label == choice.message for choice in shown.choices)


def test_quick_replies_are_those_of_the_last_reply_until_something_else_is_said() -> None:
    events = [said(1, "提前还款"), replied(2, choices=(Choice(label="人工", message="转人工"),))]
    assert [choice.message for choice in screen("n", events, None, "zh-CN").choices] == ["转人工"]
    assert screen("n", [*events, said(3, "好")], None, "zh-CN").choices == ()
    assert screen("n", events, Draft("好", 2, "…"), "zh-CN").choices == ()


def test_the_verification_card_stands_while_the_last_reply_asks_for_it() -> None:
    asked = [said(1, "账单"), replied(2, outcome="awaiting_verification")]
    assert screen("n", asked, None, "zh-CN").wants_verification
    assert not screen("n", [*asked, replied(3, outcome="action_done")], None, "zh-CN").wants_verification


def test_only_the_last_proposal_can_be_confirmed() -> None:
    offered = [replied(1, outcome="awaiting_confirmation", proposal=PROPOSAL)]
    assert screen("n", offered, None, "zh-CN").proposal == PROPOSAL
    assert screen("n", [*offered, replied(2, outcome="action_done", receipt=RECEIPT)], None, "zh-CN").proposal is None


def test_a_message_under_way_is_shown_once() -> None:
    draft = Draft("提前还款", after=0, stage="正在查找规定条文…")
    assert [line.mine for line in screen("n", (), draft, "zh-CN").lines] == [False, True, False]
    arrived = [said(1, "提前还款")]
    assert [line.mine for line in screen("n", arrived, draft, "zh-CN").lines] == [False, True, False]
    done = [*arrived, replied(2)]
    assert [line.mine for line in screen("n", done, draft, "zh-CN").lines] == [False, True, False]


def test_the_banner_says_who_has_the_wheel() -> None:
    view = {"case_id": "c1", "priority": "normal", "queue_position": 3}
    waiting = [replied(1, outcome="escalated", case=view)]
    assert "第3位" in screen("n", waiting, None, "zh-CN").banner
    claimed = [*waiting, moved(2, "claimed", "claimed", "manual", "小王")]
    assert "小王" in screen("n", claimed, None, "zh-CN").banner
    back = [*claimed, moved(3, "released", "open", "bot")]
    assert "排队" in screen("n", back, None, "zh-CN").banner
    assert screen("n", [*back, moved(4, "resolved", "resolved", "bot")], None, "zh-CN").banner == ""


def test_only_replies_and_agents_words_can_be_rated() -> None:
    agent = PublicEvent(
        seq=3, type="agent_message", at=NOW, text="您好", agent_display_name="小王", message_id=MessageId("m3")
    )
    events = [said(1, "好"), replied(2), agent, moved(4, "resolved", "resolved", "bot")]
    assert [line.message_id for line in screen("n", events, None, "zh-CN").lines] == [None, None, "m1", "m3", None]


# --- the agents' queue ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "tone", "text"),
    [(-3, "late", "超时 3小时"), (0.5, "soon", "剩 30分钟"), (5, "", "剩 5小时"), (72, "", "剩 3天")],
)
def test_due_times_are_coloured_and_said_in_words(left: float, tone: str, text: str) -> None:
    html = console_cards.due(a_case(due_at=NOW + timedelta(hours=left)), NOW, "zh-CN")
    assert f'class="due {tone}"' in html
    assert text in html


def test_a_risk_is_shown_with_the_words_it_rests_on() -> None:
    risk = RiskSignal(kind="scam_victim", level="high", evidence="转到安全账户", rule="r1")
    html = console_cards.facts(a_detail(a_case(risks=(risk,))), load_taxonomy(), "zh-CN")
    assert "疑似被骗" in html
    assert "转到安全账户" in html


def test_an_event_of_a_case_is_told_in_the_agents_language() -> None:
    event = AgentEvent(seq=1, type="case", at=NOW, text="claimed 小王")
    assert "接手 小王" in console_cards.transcript(a_detail(a_case(), event), load_taxonomy(), "zh-CN")
    assert "claimed by 小王" in console_cards.transcript(a_detail(a_case(), event), load_taxonomy(), "en")


def test_a_gap_shows_its_wordings_what_is_near_and_the_outline_line_by_line() -> None:
    plain = {"question": "余额宝能还吗", "outline": "---\nid: x\n---\n\n## 余额宝能还吗\n"}
    near = NearestSection(document_id=DocumentId("repay"), version="2026.1", title="还款", section="怎么还")
    gap = GAP.model_copy(update={**plain, "samples": ("零钱能还吗",), "nearest": (near,)})
    html = gap_cards.gap_detail(gap, load_taxonomy(), "zh-CN")
    assert "<li>零钱能还吗</li>" in html
    assert "还款 · 怎么还" in html
    assert "repay@2026.1" in html
    assert "---<br>id: x<br>---<br><br>## 余额宝能还吗</pre>" in html
    table = gap_cards.gap_table(PAGE_OF_GAPS.model_copy(update={"insights": (gap,)}), None, "zh-CN")
    assert 'data-gap="0"' in table
    assert "10月24日（周六）以来 4 次提问没有查到依据，归为 2 类" in table
    assert "问得最多的" in table  # of two groups one is shown
    empty = PAGE_OF_GAPS.model_copy(update={"insights": ()})
    assert "都查到了依据" in gap_cards.gap_table(empty, None, "zh-CN")
    bare = gap_cards.gap_detail(gap.model_copy(update={"samples": (), "nearest": ()}), load_taxonomy(), "zh-CN")
    assert "没有其他问法" in bare
    assert "暂时查不到" in bare


# --- words and colours ------------------------------------------------------------------------------------------------


def test_every_label_is_said_in_both_languages() -> None:
    values = {"n": 1, "institution": "云禾", "agent": "小王"}
    for key in texts():
        for locale in ("zh-CN", "en"):
            names = re.findall(r"{(\w+)}", texts().template(key, locale))
            assert words(locale)(key, **{name: values.get(name, "x") for name in names})


def _luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(
    ("text", "ground"),
    [
        *((text, ground) for text in ("ink", "ink-soft", "ink-faint") for ground in ("paper", "card", "accent-wash")),
        ("accent", "paper"),
        ("accent", "card"),
        ("accent", "accent-wash"),
        ("accent-deep", "accent-wash"),
        ("card", "accent"),
        ("card", "alert"),
        ("card", "amber"),
        ("alert", "paper"),
        ("alert", "card"),
        ("alert", "alert-wash"),
        ("ink", "alert-wash"),
        ("amber", "amber-wash"),
        ("amber", "card"),
        ("ink", "note-wash"),
    ],
)
def test_text_stands_out_from_its_ground(text: str, ground: str) -> None:
    css = (STATIC / "base.css").read_text(encoding="utf-8")
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", css))
    lighter, darker = sorted((_luminance(colours[text]), _luminance(colours[ground])), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


def test_no_style_and_no_script_names_another_host() -> None:
    for path in STATIC.iterdir():
        assert not re.search(r"https?://|@import", path.read_text(encoding="utf-8")), path.name
