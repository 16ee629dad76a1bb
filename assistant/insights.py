"""Gaps of the policies: the questions they left unanswered, grouped by meaning, with what an editor needs to begin."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, time, timedelta
from itertools import groupby

import numpy as np
import yaml
from numpy.typing import NDArray

from assistant.calendar import instant_at, local_date
from assistant.errors import EncoderUnavailable, InvalidInput, RetrieverUnavailable
from assistant.ports import Clock, Encoder, Retriever, Store
from assistant.types.questions import AskedQuestion
from assistant.types.value import IntentId, Locale
from assistant.types.views import Insight, InsightPage, NearestSection
from assistant.words import normalise

PERIOD = timedelta(days=30)
LONGEST_PERIOD = timedelta(days=366)
QUESTIONS = 1_000
"""Questions of one look; what was asked earlier in the period is left out, and that is said."""
ALIKE = 0.92
"""Mean cosine from which two groups are one. Unrelated questions reach 0.90 in this encoder."""
SAME_INTENT = 0.03
"""What two questions of one predicted intent are nearer to each other than their words."""
SAMPLES = 5
NEAREST = 3
HEADINGS = 8
LONGEST_HEADING = 80
"""Characters of a heading or title in the outline."""

_PLACEHOLDER = re.compile(r"\[[A-Z_]+_[0-9]+\]")
_UNFIT = re.compile(r"[@#\s]+")
_MARKS = re.compile(r"[\W_]+")

Vectors = NDArray[np.float32]


class Insights:
    """The editors' list of what is missing."""

    def __init__(self, store: Store, encoder: Encoder, retriever: Retriever, clock: Clock) -> None:
        """`encoder` is the one that searches the policies."""
        self._store = store
        self._encoder = encoder
        self._retriever = retriever
        self._clock = clock
        self._vectors: dict[str, Vectors] = {}

    def gaps(self, since: date | None = None, limit: int = 20) -> InsightPage:
        """The largest groups of unanswered questions since a day (default: 30 days ago), the most asked first.

        Raises InvalidInput for a day in the future or more than a year ago.
        """
        today = local_date(self._clock.now())
        first = today - PERIOD if since is None else since
        if not timedelta() <= today - first <= LONGEST_PERIOD:
            raise InvalidInput(f"since must lie within the last {LONGEST_PERIOD.days} days, and {first} does not")
        asked = self._store.unanswered(instant_at(first, time()), QUESTIONS)
        questions = sorted(_wordings(asked), key=lambda wording: wording.text)
        grouped = [_Group([questions[place] for place in places], near) for places, near in self._grouped(questions)]
        grouped.sort(key=lambda group: (-group.count, -group.last_asked.timestamp(), group.question))
        return InsightPage(
            since=first,
            questions=sum(group.count for group in grouped),
            groups=len(grouped),
            truncated=len(asked) == QUESTIONS,
            insights=tuple(self._insight(group, today) for group in grouped[:limit]),
        )

    def _grouped(self, questions: Sequence["_Wording"]) -> Iterator[tuple[list[int], Vectors]]:
        try:
            vectors = self._encoded([wording.searched for wording in questions])
        except EncoderUnavailable:
            vectors = np.eye(len(questions), dtype=np.float32)  # each wording by itself: nothing is known of meaning
        cosines = vectors @ vectors.T
        intents = np.array([wording.intent for wording in questions])
        for places in group(cosines + SAME_INTENT * (intents[:, None] == intents[None, :])):
            yield places, cosines[np.ix_(places, places)]

    def _encoded(self, texts: Sequence[str]) -> Vectors:
        """One row a text. Rows are kept from one look to the next, by digest: what customers wrote is not."""
        names = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
        new = {name: text for name, text in zip(names, texts, strict=True) if name not in self._vectors}
        fresh = dict(zip(new, self._encoder.encode(list(new.values()), "query"), strict=True))
        known = self._vectors | fresh
        self._vectors = {name: known[name] for name in names}
        return np.stack([known[name] for name in names]) if names else np.zeros((0, 0), np.float32)

    def _insight(self, group: "_Group", today: date) -> Insight:
        return Insight(
            question=group.question,
            count=group.count,
            last_asked=group.last_asked,
            samples=group.samples,
            intents=group.intents,
            nearest=self._nearest(group, today),
            outline=outline(group.headings, group.intents, group.language, today),
        )

    def _nearest(self, group: "_Group", today: date) -> tuple[NearestSection, ...]:
        """The best section of each of the nearest documents; none while the index is down."""
        try:
            found = self._retriever.search(group.searched, on=today, language=group.language, limit=4 * NEAREST)
        except RetrieverUnavailable:
            return ()
        best = {scored.passage.document_id: scored.passage for scored in reversed(found)}
        sections = [
            NearestSection(document_id=one.document_id, version=one.version, title=one.title, section=one.section)
            for one in reversed(best.values())
        ]
        return tuple(sections[:NEAREST])


# --- grouping ---------------------------------------------------------------------------------------------------------


class _Wording:
    """One question in one wording, as often as it was asked."""

    def __init__(self, asked: Sequence[AskedQuestion]) -> None:
        """`asked` is newest first; its first member is how the question is shown."""
        self.text = asked[0].text
        self.searched = asked[0].searched
        self.intent = asked[0].intent
        self.intents = Counter(one.intent for one in asked)
        self.last_asked = asked[0].at
        # Two requests of one message are asked for one after the other: it was still asked once.
        self.count = len({(one.session_id, one.at) for one in asked})


def _wordings(asked: Sequence[AskedQuestion]) -> Iterator[_Wording]:
    def words(one: AskedQuestion) -> str:
        return _MARKS.sub("", normalise(one.searched)) or one.searched

    for _, same in groupby(sorted(asked, key=words), key=words):  # sorting is stable: newest first within each
        yield _Wording(list(same))


class _Group:
    """Wordings of one meaning; `cosines` are between them."""

    def __init__(self, wordings: Sequence[_Wording], cosines: Vectors) -> None:
        weights = np.array([wording.count for wording in wordings])
        middle = wordings[int(np.argmax(cosines @ weights))]
        self._others = sorted((one for one in wordings if one is not middle), key=lambda one: -one.count)
        self.question = middle.text
        self.searched = middle.searched
        self.language: Locale = "en" if middle.text.isascii() else "zh-CN"
        self.count = int(weights.sum())
        self.last_asked = max(wording.last_asked for wording in wordings)
        intents = sum((wording.intents for wording in wordings), Counter[IntentId]())
        self.intents = tuple(sorted(intents, key=lambda intent: (-intents[intent], intent)))

    @property
    def samples(self) -> tuple[str, ...]:
        """Other wordings, the most asked first."""
        return tuple(one.text for one in self._others[:SAMPLES])

    @property
    def headings(self) -> tuple[str, ...]:
        """The representative question, and the others that say it differently."""
        return (self.question, *(one.text for one in self._others))


def group(similarity: NDArray[np.floating]) -> tuple[list[int], ...]:
    """Groups of places by average linkage: the two nearest groups become one while they are `ALIKE`.

    Deterministic: of equally near ones the first are joined first.
    """
    near = np.array(similarity, np.float64)
    np.fill_diagonal(near, -np.inf)
    members = [[place] for place in range(len(near))]
    while len(near):
        one, other = sorted(divmod(int(near.argmax()), len(near)))
        if near[one, other] < ALIKE:
            break
        sizes = len(members[one]), len(members[other])
        joined = (sizes[0] * near[one] + sizes[1] * near[other]) / sum(sizes)
        near[one], near[:, one] = joined, joined
        near[other], near[:, other], near[one, one] = -np.inf, -np.inf, -np.inf
        members[one] += members[other]
        members[other] = []
    return tuple(sorted(places) for places in members if places)


# --- a draft ----------------------------------------------------------------------------------------------------------


def outline(questions: Sequence[str], intents: Sequence[IntentId], language: Locale, today: date) -> str:
    """A policy file to be written: front matter, and the questions as headings, the representative one first.

    The id is a proposal. The sections are empty, which `assistant knowledge check` refuses until they are written.
    """
    headings = tuple(dict.fromkeys(filter(None, map(_heading, questions))))[:HEADINGS]
    title = headings[0] if headings else intents[0]
    front: Mapping[str, object] = {
        "id": f"{intents[0].replace('_', '-')}-draft",
        "version": f"{today.year}.1",
        "title": title,
        "products": [],
        "audience": "customer",
        "language": language,
        "effective_from": today.isoformat(),
        "effective_to": None,
        "owner": "",
        "intents": list(intents),
        "sources": [],
    }
    written = yaml.safe_dump(front, allow_unicode=True, sort_keys=False, width=1_000)
    return f"---\n{written}---\n\n" + "\n\n".join(f"## {heading}" for heading in headings) + "\n"


def _heading(question: str) -> str:
    """One line of plain text, without what stood in for personal data and without marks that an id or title forbids."""
    words = _UNFIT.sub(" ", _PLACEHOLDER.sub(" ", question)).strip()
    return words if len(words) <= LONGEST_HEADING else words[: LONGEST_HEADING - 1] + "…"
