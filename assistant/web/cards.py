"""What the customer sees, as escaped HTML on one line each: messages, citations, proposal, receipt, case banner."""

from datetime import date, datetime

from assistant.calendar import local_time
from assistant.catalogue import moment, money
from assistant.types.actions import Receipt
from assistant.types.answers import Citation
from assistant.types.messages import ProposalView, Reply
from assistant.types.value import Locale
from assistant.types.views import CaseNews
from assistant.web.labels import words
from assistant.web.prose import escaped, prose

_FACTS = ("loan_id", "total_fen", "remaining_principal_fen", "card_tail", "reason", "reference")
_CASE_NEWS = {
    "claimed": "case_claimed",
    "released": "case_released",
    "transferred": "case_transferred",
    "resolved": "case_resolved",
    "handed_back": "case_handed_back",
}


def notice(text: str, locale: Locale) -> str:
    """The session notice, first of all messages."""
    return (
        f'<div class="msg notice" lang="{locale}"><p class="who">{words(locale)("notice_title")}</p>{prose(text)}</div>'
    )


def customer_message(text: str, at: datetime | None, locale: Locale) -> str:
    """What the customer wrote, as it was stored."""
    return _message("customer", _who(words(locale)("you"), at), f"<p>{escaped(text)}</p>", None)


def agent_message(agent: str, text: str, at: datetime, locale: Locale) -> str:
    """What a person wrote."""
    name = words(locale)("agent_name", agent=agent)
    return _message("agent", _who(name, at), prose(text), None)


def assistant_message(reply: Reply, at: datetime | None, locale: Locale) -> str:
    """A reply with its label, its details, its sources and its receipt."""
    say = words(locale)
    label = f'<span class="tag">{say("ai_label")}</span>' if reply.ai_generated else ""
    parts = [prose(reply.text)]
    if reply.receipt is not None:
        parts.append(receipt(reply.receipt, locale))
    if reply.details:
        parts.append(f'<details class="more"><summary>{say("details")}</summary>{prose(reply.details)}</details>')
    parts.extend(citation(found, locale) for found in reply.citations)
    tone = "warned" if reply.outcome == "warned" else ""
    return _message(f"assistant {tone}".strip(), _who(say("ai_name"), at, label), "".join(parts), reply.locale)


def draft_message(sentences: str, stage: str, locale: Locale) -> str:
    """The reply that is under way: checked sentences so far, or what is being done."""
    body = f'{prose(sentences)}<p class="stage">{stage}</p>'
    return _message("assistant draft", _who(words(locale)("ai_name"), None), body, None)


def citation(found: Citation, locale: Locale) -> str:
    """A source that unfolds: title, section, version, dates, the clause word for word."""
    say = words(locale)
    title = say("citation", title=escaped(found.title), section=escaped(found.section))
    since = say("citation_version", version=escaped(found.version), from_day=_day(found.effective_from, locale))
    until = say("citation_until", until_day=_day(found.effective_to, locale)) if found.effective_to else ""
    return (
        f'<details class="cite"><summary>{title}</summary><blockquote>{prose(found.quote)}</blockquote>'
        f'<p class="fine">{since}{until}</p></details>'
    )


def proposal_card(proposal: ProposalView, locale: Locale) -> str:
    """What will be done if the customer confirms, the amount first."""
    say = words(locale)
    items = "".join(f"<li>{escaped(line)}</li>" for line in proposal.consequences)
    quote = proposal.arguments.get("quote")
    total = quote.get("total_fen") if isinstance(quote, dict) else None
    amount = ""
    if isinstance(total, int):
        amount = f'<p class="total"><span>{say("proposal_total")}</span><strong>{money(total)}</strong></p>'
    action = say(f"action_{proposal.action}")
    until = say("proposal_expires", at=moment(proposal.expires_at, locale))
    return (
        f'<section class="proposal" lang="{locale}" aria-label="{say("proposal_title")}">'
        f'<h2>{say("proposal_title")}<span class="tag">{action}</span></h2>{amount}<ul>{items}</ul>'
        f'<p class="fine">{until}</p><p class="buttons">'
        f"{_tap('confirm', proposal, locale)}{_tap('cancel', proposal, locale)}</p></section>"
    )


def _tap(choice: str, proposal: ProposalView, locale: Locale) -> str:
    """A button that carries what it confirms, so that a tap means the card it stands on."""
    bound = f'data-proposal="{escaped(proposal.proposal_id)}" data-digest="{escaped(proposal.digest)}"'
    return f'<button type="button" class="{choice}" data-choice="{choice}" {bound}>{words(locale)(choice)}</button>'


def receipt(done: Receipt, locale: Locale) -> str:
    """The bank's word on an action; only the facts named here are shown."""
    say = words(locale)
    rows = [(say(f"fact_{key}"), _fact(key, done.facts[key])) for key in _FACTS if key in done.facts]
    rows += [(say("receipt_at"), moment(done.at, locale)), (say("receipt_id"), escaped(done.receipt_id))]
    body = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in rows)
    title = f'{say("receipt_title")}<span class="tag">{say(f"receipt_{done.status}")}</span>'
    return f'<section class="receipt {done.status}"><h3>{title}</h3><dl>{body}</dl></section>'


def case_line(news: CaseNews, locale: Locale) -> str | None:
    """One line where the case has moved; None where the customer need not be told."""
    key = _CASE_NEWS.get(news.what)
    if key is None:
        return None
    agent = escaped(news.agent_display_name or "")
    text = words(locale)(key, agent=agent) if news.what == "claimed" else words(locale)(key)
    return f'<div class="msg case"><p>{text}</p></div>'


def banner(agent: str | None, waiting: bool, position: int | None, locale: Locale) -> str:
    """Who has the wheel, above the conversation; empty while the assistant has it and nobody is waited for."""
    say = words(locale)
    if agent is not None:
        text, tone = say("case_with_agent", agent=escaped(agent)), "manual"
    elif waiting:
        text = say("case_waiting", position=position) if position else say("case_waiting_next")
        tone = "waiting"
    else:
        return ""
    return f'<p class="banner {tone}" lang="{locale}">{text}</p>'


def clock(at: datetime) -> str:
    """The time of day in Asia/Shanghai."""
    return f"{local_time(at):%H:%M}"


def _day(value: date, locale: Locale) -> str:
    """A day of a rule, always with its year."""
    return f"{value.year}年{value.month}月{value.day}日" if locale == "zh-CN" else f"{value:%d %b %Y}".lstrip("0")


def _fact(key: str, value: str | int) -> str:
    return money(value) if key.endswith("_fen") and isinstance(value, int) else escaped(str(value))


def _who(name: str, at: datetime | None, label: str = "") -> str:
    time = f"<time>{clock(at)}</time>" if at is not None else ""
    return f'<p class="who"><span class="name">{escaped(name)}</span>{label}{time}</p>'


def _message(kind: str, who: str, body: str, lang: Locale | None) -> str:
    spoken = f' lang="{lang}"' if lang else ""
    return f'<div class="msg {kind}"{spoken}>{who}<div class="body">{body}</div></div>'
