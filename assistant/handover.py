"""The summary an agent reads first: what the customer wants in their own masked words, and what has been done."""

from collections.abc import Iterable

from assistant.catalogue import money
from assistant.escalation import EscalationRules
from assistant.types.actions import Receipt
from assistant.types.cases import CaseReason
from assistant.types.events import ActionFinished, Event, EventDraft, IdentityVerified, ReplySent, TurnAccepted
from assistant.types.messages import Said
from assistant.types.understanding import RiskSignal, Slots, Understanding

LATEST = 3
"""How many of the customer's messages and of the bot's replies the summary quotes."""
QUOTE = 80
"""Characters of one quotation; the transcript beside the summary has the rest."""

_OUTCOMES = {
    "answered": "已按条文回答",
    "action_done": "已办理",
    "action_declined": "办理被拒",
    "awaiting_verification": "请客户验证身份",
    "awaiting_confirmation": "请客户确认办理",
    "awaiting_slot": "追问细节",
    "clarifying": "请客户澄清",
    "escalated": "转人工",
    "warned": "已发风险提示",
    "refused": "未受理",
    "social": "寒暄",
    "with_agent": "转交人工客服",
    "degraded": "系统降级，未能回答",
}
_RECEIPTS = {"done": "已完成", "refused": "被拒", "failed": "未成功", "unknown": "结果未知"}
_ACTIONS = {"limit_query": "查额度", "bill_query": "查账单", "early_repay": "提前还款"}


def summary(
    events: Iterable[Event | EventDraft],
    *,
    reason: CaseReason,
    understanding: Understanding | None,
    intent_label: str | None,
    verified: bool,
    book: EscalationRules,
    risks: Iterable[RiskSignal] = (),
) -> str:
    """Lines in Chinese, in the order an agent asks: what, what for, what was done, who, how dangerous.

    `events` are the session's so far, in order, this turn's own message among them; all text in them is masked.
    """
    said, replies, receipts, proved = _read(events)
    if understanding is not None and understanding.text not in said[-1:]:
        said.append(understanding.text)
    signals = tuple(dict.fromkeys((*risks, *(understanding.risks if understanding else ()))))
    lines = [
        f"转人工原因：{book.names.reasons[reason]}",
        f"客户原话：{'；'.join(f'“{_short(text)}”' for text in said[-LATEST:]) or '（没有文字，客户点了“人工”）'}",
        f"识别诉求：{_wish(understanding, intent_label, book)}",
        f"已知信息：{_known(understanding.slots) if understanding else '无'}",
        f"AI助手已做：{'；'.join([*replies[-LATEST:], *map(_result, receipts)]) or '尚未回复'}",
        f"身份：{'已验证' if verified or proved else '未验证'}{'' if verified or not proved else '（验证已过期）'}",
        f"风险：{'；'.join(_danger(signal, book) for signal in signals) or '无'}",
    ]
    return "\n".join(lines)


def _read(events: Iterable[Event | EventDraft]) -> tuple[list[str], list[str], list[Receipt], bool]:
    said: list[str] = []
    replies: list[str] = []
    receipts: list[Receipt] = []
    proved = False
    for event in events:
        body = event.body
        if isinstance(body, TurnAccepted) and isinstance(body.turn.input, Said):
            said.append(body.turn.input.text)
        elif isinstance(body, ReplySent):
            cited = "、".join(dict.fromkeys(f"《{citation.title}》" for citation in body.reply.citations))
            replies.append(f"{_OUTCOMES[body.reply.outcome]}{cited}")
        elif isinstance(body, ActionFinished):
            receipts.append(body.receipt)
        elif isinstance(body, IdentityVerified):
            proved = True
    return said, replies, receipts, proved


def _wish(understanding: Understanding | None, label: str | None, book: EscalationRules) -> str:
    if understanding is None or label is None:
        return label or "未识别"
    prediction = understanding.prediction
    act = f"，{book.names.acts[prediction.act]}" if prediction.act else ""
    sure = "" if prediction.abstained is None and prediction.arbitration is None else "，不确定，请向客户核实"
    return f"{label}{act}（把握{prediction.confidence:.0%}{sure}）"


def _known(slots: Slots) -> str:
    known = [
        f"金额{money(slots.amount_fen)}" if slots.amount_fen is not None else "",
        f"日期{slots.date.isoformat()}" if slots.date else "",
        f"期限{slots.term_months}个月" if slots.term_months else "",
        {"pay_later": "月付类产品", "cash_loan": "现金借款", "merchant_loan": "商户分期"}.get(slots.product or "", ""),
        f"其他机构“{slots.brand}”" if slots.brand else "",
        f"借款指向{slots.loan}" if slots.loan else "",
        f"手机{slots.phone}" if slots.phone else "",
        {"full": "全部", "part": "部分"}.get(slots.part or "", ""),
    ]
    return "，".join(part for part in known if part) or "无"


def _result(receipt: Receipt) -> str:
    return f"{_ACTIONS[receipt.action]}{_RECEIPTS[receipt.status]}（回执{receipt.receipt_id}）"


def _danger(signal: RiskSignal, book: EscalationRules) -> str:
    level = "高" if signal.level == "high" else "提示"
    return f"{book.names.risks[signal.kind]}（{level}）：“{_short(signal.evidence)}”"


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= QUOTE else f"{flat[: QUOTE - 1]}…"
