"""What an agent sees, as escaped HTML: the queue, the case, its facts and its conversation."""

from datetime import datetime, timedelta

from assistant.catalogue import moment
from assistant.taxonomy import Taxonomy
from assistant.types.cases import Agent, Case
from assistant.types.understanding import RiskSignal
from assistant.types.value import IntentId, Locale
from assistant.types.views import AgentEvent, CaseDetail, CasePage, DeskSummary
from assistant.web import cards
from assistant.web.labels import Words, words
from assistant.web.prose import escaped, prose

SOON = timedelta(hours=1)
_SPEAKERS = {"customer_message": "customer", "reply": "assistant", "agent_message": "agent"}
_MOVES = ("opened", "claimed", "released", "transferred", "resolved", "handed_back", "relabelled", "raised")
_SAID = {
    "customer_message": "said_customer",
    "reply": "ai_name",
    "agent_message": "said_agent",
    "case": "said_case",
    "note": "said_note",
    "risk": "said_risk",
    "action": "said_action",
    "verified": "said_verified",
    "rated": "said_rated",
    "blocked": "said_blocked",
}


def head(institution: str, agent: Agent | None, waiting: int, locale: Locale) -> str:
    """The head of the console; the page's script reads language and title from it."""
    say = words(locale)
    who = f"{escaped(agent.display_name)} · {say(f'role_{agent.role}')}" if agent else ""
    title = (f"({waiting}) " if waiting else "") + say("console_title")
    return (
        f'<div id="page-words" class="brand" lang="{locale}" data-lang="{locale}" data-title="{title}" '
        f'data-lost="{say("desk_lost")}" data-reload="{say("reload")}">'
        f'<span class="mark" aria-hidden="true">{escaped(institution[:1])}</span>'
        f"<h1>{say('console_title')}<small>{escaped(institution)}{f' · {who}' if who else ''}</small></h1></div>"
    )


# --- the queue --------------------------------------------------------------------------------------------------------


def counts(summary: DeskSummary, locale: Locale) -> str:
    """How much there is to do."""
    text = words(locale)("counts", open=summary.open, claimed=summary.claimed, overdue=summary.overdue)
    return f'<p class="counts{" late" if summary.overdue else ""}" lang="{locale}">{text}</p>'


def queue(page: CasePage, chosen: str | None, taxonomy: Taxonomy, now: datetime, locale: Locale) -> str:
    """The cases as a table whose first cell opens the case; the colour of the due time is also said in words."""
    say = words(locale)
    if not page.cases:
        return f'<p class="empty" lang="{locale}">{say("queue_empty")}</p>'
    rows = "".join(_row(case, case.case_id == chosen, taxonomy, now, locale) for case in page.cases)
    names = ("case_reason", "filter_queue", "case_due")
    columns = "".join(f'<th scope="col">{say(name)}</th>' for name in names)
    more = f'<p class="fine">{say("more")}</p>' if page.next_cursor else ""
    return (
        f'<table class="queue" lang="{locale}"><caption>{say("queue_title")}</caption>'
        f"<thead><tr>{columns}</tr></thead><tbody>{rows}</tbody></table>{more}"
    )


def _row(case: Case, chosen: bool, taxonomy: Taxonomy, now: datetime, locale: Locale) -> str:
    say = words(locale)
    status = escaped(case.assignee or "") if case.status == "claimed" else say(f"status_{case.status}")
    return (
        f'<tr class="{case.priority}{" chosen" if chosen else ""}"><td><button type="button" '
        f'data-case="{escaped(case.case_id)}"{" aria-current=true" if chosen else ""}>'
        f'<span class="rank {case.priority}">{say(f"priority_{case.priority}")}</span>'
        f"{say(f'reason_{case.reason}')}</button>"
        f"<small>{intent(case.intent, taxonomy, locale)} · {moment(case.opened_at, locale)}</small></td>"
        f"<td>{say(f'queue_{case.queue}')}<small>{status}</small></td><td>{due(case, now, locale)}</td></tr>"
    )


def due(case: Case, now: datetime, locale: Locale) -> str:
    """The time left, red when it has passed and amber in the last hour."""
    say = words(locale)
    if case.status == "resolved":
        closed = say("due_closed", at=moment(case.closed_at, locale)) if case.closed_at else ""
        return f'<span class="due">{closed}</span>'
    left = case.due_at - now
    tone = "late" if left < timedelta() else "soon" if left < SOON else ""
    key = "due_overdue" if left < timedelta() else "due_left"
    return f'<span class="due {tone}">{say(key, span=_span(abs(left), say))}</span>'


def _span(length: timedelta, say: Words) -> str:
    minutes = int(length.total_seconds() // 60)
    if minutes < 60:
        return say("span_minutes", n=minutes)
    hours = minutes // 60
    return say("span_hours", n=hours) if hours < 48 else say("span_days", n=hours // 24)


# --- the case ---------------------------------------------------------------------------------------------------------


def nothing_open(locale: Locale) -> str:
    """What stands in a case's place."""
    return f'<p class="empty" lang="{locale}">{words(locale)("pick_case")}</p>'


def case_head(detail: CaseDetail | None, now: datetime, locale: Locale) -> str:
    """Which case this is, how urgent, and who has the wheel."""
    say = words(locale)
    if detail is None:
        return nothing_open(locale)
    case = detail.case
    return (
        f'<div class="case-head" lang="{locale}"><h2>{say("case_heading", case_id=escaped(case.case_id))}'
        f'<span class="rank {case.priority}">{say(f"priority_{case.priority}")}</span>'
        f'<span class="tag">{say(f"status_{case.status}")}</span></h2>'
        f'<p>{due(case, now, locale)}<span class="mode {detail.mode}">{say(f"mode_{detail.mode}")}</span></p></div>'
    )


def facts(detail: CaseDetail, taxonomy: Taxonomy, locale: Locale) -> str:
    """The hand-over summary first, then who the customer is, the risks with their evidence, and the terms."""
    say = words(locale)
    case = detail.case
    rows = [
        (say("case_customer"), _customer(detail, say)),
        (say("case_language"), say("language_en" if detail.locale == "en" else "language_zh")),
        (say("case_reason"), say(f"reason_{case.reason}")),
        (say("case_intent"), intent(case.intent, taxonomy, locale)),
        (say("case_queue"), say(f"queue_{case.queue}")),
        (say("case_assignee"), escaped(case.assignee or say("unassigned"))),
        (say("case_opened"), moment(case.opened_at, locale)),
        (say("case_due"), moment(case.due_at, locale)),
    ]
    if case.regulatory_due_at:
        rows.append((say("case_regulatory"), moment(case.regulatory_due_at, locale)))
    if case.disposition:
        rows.append((say("case_disposition"), disposition(case.disposition, locale)))
    terms = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in rows)
    shown_risks = f"<h3>{say('case_risks')}</h3>{risks(case.risks, locale)}" if case.risks else ""
    return (
        f'<section class="facts" lang="{locale}"><h3>{say("case_summary")}</h3><div class="summary" lang="zh-CN">'
        f"{prose(case.summary)}</div>{shown_risks}<dl>{terms}</dl></section>"
    )


def risks(signals: tuple[RiskSignal, ...], locale: Locale) -> str:
    """Each danger with the words it rests on."""
    say = words(locale)
    items = "".join(
        f'<li class="{signal.level}"><strong>{say(f"risk_{signal.kind}")}</strong>'
        f'<span class="tag">{say(f"level_{signal.level}")}</span><q>{escaped(signal.evidence)}</q></li>'
        for signal in signals
    )
    return f'<ul class="risks">{items}</ul>'


def suggestion(detail: CaseDetail | None, locale: Locale) -> str:
    """What could be said; taken over only by the agent's own hand."""
    if detail is None or not detail.case.suggested_reply or detail.case.status == "resolved":
        return ""
    title = words(locale)("suggestion")
    return f'<div class="suggestion"><p class="who">{title}</p>{prose(detail.case.suggested_reply)}</div>'


def disposition(code: str, locale: Locale) -> str:
    """How a case ended, in words where the code is one of ours."""
    known = {"answered", "done", "referred", "unreachable", "duplicate"}
    return words(locale)(f"disposition_{code}") if code in known else escaped(code)


def intent(intent_id: IntentId | None, taxonomy: Taxonomy, locale: Locale) -> str:
    """The label of an intent."""
    if intent_id is None or intent_id not in taxonomy:
        return escaped(intent_id or "—")
    label = taxonomy[intent_id]
    return escaped(label.zh if locale == "zh-CN" else label.en)


def _customer(detail: CaseDetail, say: Words) -> str:
    who = say("customer_unknown")
    if detail.customer is not None:
        who = f"{escaped(detail.customer.display_name)} {escaped(detail.customer.masked_phone)}"
    state = "customer_verified" if detail.verified else "customer_unverified"
    return f'{who}<span class="tag {"good" if detail.verified else "open"}">{say(state)}</span>'


# --- the conversation -------------------------------------------------------------------------------------------------


def transcript(detail: CaseDetail | None, taxonomy: Taxonomy, locale: Locale) -> str:
    """Everything that happened, in order."""
    if detail is None:
        return ""
    events = "".join(_event(event, taxonomy, locale) for event in detail.events)
    name = words(locale)("transcript")
    return f'<div class="transcript" role="log" tabindex="0" lang="{locale}" aria-label="{name}">{events}</div>'


def _event(event: AgentEvent, taxonomy: Taxonomy, locale: Locale) -> str:
    say = words(locale)
    text = _text(event, say)
    parts = [prose(text)] if text else []
    if event.risks:
        parts.append(risks(event.risks, locale))
    if event.receipt is not None:
        parts.append(cards.receipt(event.receipt, locale))
    if event.reply is not None:
        parts.extend(_behind(event, taxonomy, locale))
    kind = _SPEAKERS.get(event.type, f"aside {event.type}")
    who = f'<span class="name">{say(_SAID[event.type])}</span><time>{cards.clock(event.at)}</time>'
    return f'<div class="said {kind}"><p class="who">{who}</p><div class="body">{"".join(parts)}</div></div>'


def _text(event: AgentEvent, say: Words) -> str:
    """The event's text; what only names codes is said in words, and what follows as a card is not said twice."""
    if event.risks or event.receipt is not None:
        return ""
    code, _, rest = event.text.partition(" ")
    if event.type == "case" and code in _MOVES:
        return f"{say(f'move_{code}')} {rest}".strip()
    if event.type == "rated" and code in ("up", "down"):
        return f"{say('useful' if code == 'up' else 'not_useful')} {rest}".strip()
    return event.text


def _behind(event: AgentEvent, taxonomy: Taxonomy, locale: Locale) -> list[str]:
    """What a reply rested on: the prediction, what unfolds, the sources."""
    say = words(locale)
    reply = event.reply
    assert reply is not None
    parts = []
    if reply.details:
        parts.append(f"<details><summary>{say('details')}</summary>{prose(reply.details)}</details>")
    parts.extend(cards.citation(found, locale) for found in reply.citations)
    if reply.intent is not None:
        label = intent(reply.intent.id, taxonomy, locale)
        line = say("intent_line", intent=label, confidence=f"{reply.intent.confidence:.0%}")
        parts.append(f'<p class="fine">{line}</p>')
    return parts
