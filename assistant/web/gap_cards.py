"""What the policies lack, as escaped HTML: the groups of unanswered questions, and one of them with its outline."""

from assistant.catalogue import day, moment
from assistant.taxonomy import Taxonomy
from assistant.types.value import Locale
from assistant.types.views import Insight, InsightPage, NearestSection
from assistant.web.console_cards import intent
from assistant.web.labels import words
from assistant.web.prose import escaped


def gap_table(page: InsightPage, chosen: int | None, locale: Locale) -> str:
    """The groups as a table whose first cell opens one, the most asked first."""
    say = words(locale)
    since = day(page.since, locale)
    if not page.insights:
        return f'<p class="empty" lang="{locale}">{say("gaps_empty", since=since)}</p>'
    names = ("gap_question", "gap_count", "gap_last")
    columns = "".join(f'<th scope="col">{say(name)}</th>' for name in names)
    rows = "".join(_row(gap, place, place == chosen, locale) for place, gap in enumerate(page.insights))
    counts = say("gaps_counts", since=since, questions=page.questions, groups=page.groups)
    more = f'<p class="fine">{say("gaps_more")}</p>' if page.truncated or page.groups > len(page.insights) else ""
    return (
        f'<div lang="{locale}"><p class="counts">{counts}</p><table class="gaps"><caption>{say("gaps_title")}</caption>'
        f"<thead><tr>{columns}</tr></thead><tbody>{rows}</tbody></table>{more}</div>"
    )


def _row(gap: Insight, place: int, chosen: bool, locale: Locale) -> str:
    near = words(locale)("gap_near", title=escaped(gap.nearest[0].title)) if gap.nearest else ""
    return (
        f'<tr class="{"chosen" if chosen else ""}"><td><button type="button" data-gap="{place}"'
        f"{' aria-current=true' if chosen else ''}>{escaped(gap.question)}</button><small>{near}</small></td>"
        f"<td>{gap.count}</td><td>{moment(gap.last_asked, locale)}</td></tr>"
    )


def gap_detail(gap: Insight | None, taxonomy: Taxonomy, locale: Locale) -> str:
    """One group: its other wordings, what it is about, what comes near to it, and the outline of a document."""
    say = words(locale)
    if gap is None:
        return f'<p class="empty" lang="{locale}">{say("pick_gap")}</p>'
    samples = _list([escaped(text) for text in gap.samples]) or f"<p>{say('gap_no_samples')}</p>"
    near = _list([_near(section) for section in gap.nearest]) or f"<p>{say('gap_none_near')}</p>"
    intents = _list([intent(one, taxonomy, locale) for one in gap.intents])
    outline = f'<pre id="outline" tabindex="0" aria-label="{say("gap_outline")}">{escaped(gap.outline)}</pre>'
    parts = {
        "gap_samples": samples,
        "case_intent": intents,
        "gap_nearest": near,
        "gap_outline": f'<p class="fine">{say("gap_outline_note")}</p>{outline}',
    }
    return (
        f'<section class="facts" lang="{locale}"><h2>{escaped(gap.question)}</h2>'
        f"{''.join(f'<h3>{say(key)}</h3>{html}' for key, html in parts.items())}</section>"
    )


def _near(section: NearestSection) -> str:
    name = f"{section.title} · {section.section}"
    return f'{escaped(name)}<span class="tag">{escaped(f"{section.document_id}@{section.version}")}</span>'


def _list(items: list[str]) -> str:
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>" if items else ""
