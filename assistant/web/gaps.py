"""The console's second view, for those who lead: what the policies left unanswered, in place of the queue."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from assistant.taxonomy import Taxonomy
from assistant.types.value import Locale
from assistant.web import gap_cards
from assistant.web.client import Refused
from assistant.web.labels import words
from assistant.web.shift import Shift
from assistant.web.wiring import QUIET

Updates = list[Any]

_OPEN = """
element.addEventListener('click', (tap) => {
  const button = tap.target.closest('button[data-gap]');
  if (button) trigger('submit', { gap: button.dataset.gap });
});
"""


@dataclass(frozen=True)
class GapParts:
    """The components of the view."""

    toggle: gr.Button
    view: gr.Row
    table: gr.HTML
    detail: gr.HTML

    @property
    def shown(self) -> list[Any]:
        """What depends on the shift, after the queue in `GapEvents.shown`."""
        return [self.toggle, self.view, self.table, self.detail]


def gap_button() -> gr.Button:
    """Changes between the queue and the gaps; drawn for nobody until it is known who looks."""
    return gr.Button(words("zh-CN")("gaps_open"), elem_id="gaps-toggle", size="sm", scale=0, visible=False)


def gap_view(toggle: gr.Button) -> GapParts:
    """The table of groups, and beside it the one that was chosen."""
    with gr.Row(visible=False, elem_id="gaps") as view:
        with gr.Column(elem_id="gaps-left", scale=1, min_width=320):
            table = gr.HTML("", elem_id="gaps-table", js_on_load=_OPEN)
        with gr.Column(elem_id="gaps-right", scale=1, min_width=320):
            detail = gr.HTML("", elem_id="gap", js_on_load=None)
    return GapParts(toggle=toggle, view=view, table=table, detail=detail)


class GapEvents:
    """The handlers; `told` puts a refusal into the words of the console's status line."""

    def __init__(self, taxonomy: Taxonomy, told: Callable[[Refused, Locale], str]) -> None:
        self._taxonomy = taxonomy
        self._told = told

    def shown(self, shift: Shift | None) -> Updates:
        """The view as the shift has it: the queue, and the parts of `GapParts.shown`."""
        if shift is None:
            return [gr.skip()] * 5
        say, page = words(shift.locale), shift.gaps
        label = say("gaps_open" if page is None else "gaps_close")
        gap = None if page is None or shift.gap is None else page.insights[shift.gap]
        return [
            gr.update(visible=page is None),
            gr.update(value=label, visible=shift.may_see_gaps),
            gr.update(visible=page is not None),
            "" if page is None else gap_cards.gap_table(page, shift.gap, shift.locale),
            "" if page is None else gap_cards.gap_detail(gap, self._taxonomy, shift.locale),
        ]

    async def toggle(self, shift: Shift | None) -> Updates:
        """From the queue to the gaps, read anew, or back."""
        if shift is None:
            return [gr.skip(), *self.shown(None)]
        try:
            await shift.toggle_gaps()
        except Refused as refused:
            return [self._told(refused, shift.locale), *self.shown(shift)]
        return ["", *self.shown(shift)]

    def choose(self, shift: Shift | None, chosen: gr.EventData) -> Updates:
        """Open the group of the tapped row."""
        place = str(chosen.gap)
        if shift is not None and shift.gaps is not None and place in map(str, range(len(shift.gaps.insights))):
            shift.gap = int(place)
        return self.shown(shift)


def wire(parts: GapParts, events: GapEvents, shift: gr.State, status: gr.HTML, queue: gr.Row) -> list[Any]:
    """Tie the view together; returns what `GapEvents.shown` updates."""
    shown: list[Any] = [queue, *parts.shown]
    parts.toggle.click(events.toggle, [shift], [status, *shown], **QUIET)
    parts.table.submit(events.choose, [shift], shown, **QUIET)
    return shown
