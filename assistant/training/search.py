"""Learns the maps of search from questions and the sections that answer them; the encoders stay as they are.

Each question is to pick its sections among all that it could be answered from, by softmax over what search adds up
(`HybridRetriever`). Some runs with other seeds are averaged, which maps that start at nought allow.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from assistant.adapters.bm25 import PolicyWords
from assistant.adapters.encoders import OnnxEncoder
from assistant.adapters.passage_index import PassageColumns
from assistant.adapters.passage_index import encoded as plain
from assistant.adapters.policy_files import load_policies
from assistant.adapters.search_maps import MAPS_FILE, META_FILE, Fusion, MapsMeta
from assistant.errors import InvalidInput
from assistant.glossary import load_glossary
from assistant.heads import Floats, Heads, ngram_buckets
from assistant.knowledge import passages_of
from assistant.settings import Settings
from assistant.taxonomy import Taxonomy, load_taxonomy
from assistant.training.assembly import SEED, progress_on
from assistant.training.conversion import ensure_encoder, ensure_message_encoder
from assistant.training.data import files_of, lines_of, sha256_of
from assistant.training.trainer import encoded
from assistant.types.value import IntentId, Locale
from assistant.words import load_synonyms

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

CARD_FILE = "SEARCH_CARD.md"
_HELD_OUT = 20
"""One question in so many is not learnt from, and judged by."""
_LIKELY = 3
"""Intents that a prediction carries."""
_READING = 0.05
"""Size of a standardised reading's parts: about that of the other vector's."""
_SEEDS = 4
_REFUSED = 0.1
"""Share of questions that have an answer which may go to a person instead, so that others do."""
_EPOCHS, _BATCH, _RATE, _DECAY, _DROPOUT = 30, 128, 1e-3, 0.01, 0.7


class Question(BaseModel):
    """One line of a file of questions: the sections are `document#number`, each of which answers it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    query: Annotated[str, Field(min_length=1)]
    sections: Annotated[tuple[str, ...], Field(min_length=1)]
    lang: str = "zh"

    @property
    def language(self) -> Locale:
        """The language it is asked in."""
        return "en" if self.lang == "en" else "zh-CN"


def load_questions(path: Path) -> tuple[Question, ...]:
    """The questions of a JSONL file or of a folder of them. Raises InvalidInput with file and line."""
    found = []
    for file in files_of(path):
        for number, line in lines_of(file):
            try:
                found.append(Question.model_validate_json(line))
            except ValidationError as error:
                raise InvalidInput(f"{file}:{number}: {error}") from error
    if not found:
        raise InvalidInput(f"{path} holds no questions")
    return tuple(found)


@dataclass(frozen=True)
class _Lesson:
    """Everything a step needs, rows by question and columns by passage."""

    came: Floats
    read: Floats
    passages: Floats
    meant: Floats
    words: Floats
    open: NDArray[np.bool_]
    right: NDArray[np.bool_]


def train_search(
    settings: Settings, questions: Path | None = None, out: Path | None = None, console: "Console | None" = None
) -> MapsMeta:
    """Learn the maps and write them with their card; the same questions, policies and encoders give the same files.

    Raises InvalidInput for questions that cannot be read or none of whose sections is in force.
    """
    source = questions or settings.knowledge_dir / "questions"
    asked = load_questions(source)
    came = OnnxEncoder(ensure_encoder(settings, console))
    messages = OnnxEncoder(ensure_message_encoder(settings, console))
    with progress_on(console) as progress:
        lesson, standard = _lesson(settings, asked, came, messages, progress)
        judged = np.arange(len(lesson.came)) % _HELD_OUT == 0
        bar = progress.add_task("learning to search", total=_SEEDS * _EPOCHS)
        runs = [
            _run(lesson, np.flatnonzero(~judged), SEED + seed, lambda: progress.advance(bar)) for seed in range(_SEEDS)
        ]
    maps = tuple(np.mean([run[part] for run in runs], axis=0) for part in range(4))
    near, intents, words = (round(float(value), 2) for value in maps[3])
    meta = MapsMeta(
        encoder=came.version,
        message_encoder=messages.version,
        fusion=Fusion(near=near, intents=intents, words=words, enough=_enough(lesson, maps, np.flatnonzero(judged))),
        questions_sha256=sha256_of(source),
        rows=len(lesson.came),
        metrics=_metrics(lesson, maps, np.flatnonzero(judged)),
    )
    arrays = dict(zip(("question", "reading", "passage"), maps, strict=False))
    _write(out or settings.weights_dir, meta, arrays | standard)
    return meta


def _lesson(
    settings: Settings, asked: Sequence[Question], came: OnnxEncoder, messages: OnnxEncoder, progress: "Progress"
) -> tuple[_Lesson, dict[str, Floats]]:
    """What the questions are learnt from, and the mean and scale that standardise their readings."""
    glossary_path = settings.knowledge_dir / "glossary.yaml"
    glossary, taxonomy, heads = load_glossary(glossary_path), load_taxonomy(), Heads.load(settings.weights_dir)
    passages = passages_of(load_policies(settings.knowledge_dir / "policies"))
    columns = PassageColumns(passages, PolicyWords(load_synonyms(glossary_path)))
    # The day on which the latest of them comes into force.
    day = max(one.effective_from for one in passages)
    languages: tuple[Locale, ...] = ("zh-CN", "en")
    allowed = {language: columns.allowed(day, "customer", None, language) for language in languages}
    names = [f"{one.document_id}#{one.passage_id.rpartition('#')[2]}" for one in passages]
    available = np.stack([allowed[question.language] for question in asked])
    right = np.array([[name in question.sections for name in names] for question in asked]) & available
    kept = np.asarray(right.any(axis=1), np.bool_)
    if not kept.any():
        raise InvalidInput("no section that the questions name is in force")
    rows = [question for question, keep in zip(asked, kept, strict=True) if keep]
    folder = settings.data_dir / "training"
    canonical = [glossary.canonical(question.query) for question in rows]
    read = encoded(canonical, messages, folder, progress)
    mean, scale = read.mean(axis=0), (read.std(axis=0) + np.float32(1e-6)) / np.float32(_READING)
    lesson = _Lesson(
        came=encoded([question.query for question in rows], came, folder, progress),
        read=np.asarray((read - mean) / scale, np.float32),
        passages=plain(passages, came),
        meant=np.stack(
            [
                columns.meant(_likely(heads.intent_probabilities(row, ngram_buckets(text)), taxonomy))
                for row, text in zip(read, canonical, strict=True)
            ]
        ),
        words=np.stack([columns.shares(question.query) for question in rows]),
        open=available[kept],
        right=right[kept],
    )
    return lesson, {"mean": mean, "scale": scale}


def _likely(probabilities: Floats, taxonomy: Taxonomy) -> dict[IntentId, float]:
    """What a prediction carries of them."""
    return {taxonomy.ids[place]: float(probabilities[place]) for place in np.argsort(-probabilities)[:_LIKELY]}


def _run(lesson: _Lesson, rows: NDArray[np.intp], seed: int, after_epoch: Callable[[], None]) -> tuple[Floats, ...]:
    """The three maps and the weights of what is added up, learnt from one seed."""
    import torch
    from torch.nn.functional import dropout, normalize

    torch.manual_seed(seed)
    size = lesson.came.shape[1]
    question, reading, passage = (torch.zeros(size, size, requires_grad=True) for _ in range(3))
    weights = torch.tensor([20.0, 1.0, 1.0], requires_grad=True)
    came, read, passages, meant, words = (
        torch.from_numpy(part) for part in (lesson.came, lesson.read, lesson.passages, lesson.meant, lesson.words)
    )
    closed, wrong = torch.from_numpy(~lesson.open), torch.from_numpy(~lesson.right)
    optimiser = torch.optim.AdamW(
        [
            {"params": [question, reading, passage], "lr": _RATE, "weight_decay": _DECAY},
            {"params": [weights], "lr": 50 * _RATE, "weight_decay": 0.0},
        ]
    )
    steps = _EPOCHS * -(-len(rows) // _BATCH)
    slower = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / steps)
    random = np.random.default_rng(seed)
    for _ in range(_EPOCHS):
        order = random.permutation(rows)
        for start in range(0, len(order), _BATCH):
            some = torch.from_numpy(order[start : start + _BATCH])
            moved = dropout(came[some], _DROPOUT) @ question.T + dropout(read[some], _DROPOUT) @ reading.T
            near = normalize(came[some] + moved, dim=-1) @ normalize(passages + passages @ passage.T, dim=-1).T
            scores = weights[0] * near + weights[1] * meant[some] + weights[2] * words[some]
            scores = scores.masked_fill(closed[some], -torch.inf)
            missed = torch.logsumexp(scores, 1) - torch.logsumexp(scores.masked_fill(wrong[some], -torch.inf), 1)
            optimiser.zero_grad()
            missed.mean().backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            slower.step()
        after_epoch()
    return tuple(part.detach().numpy() for part in (question, reading, passage, weights))


def _metrics(lesson: _Lesson, maps: Sequence[Floats], rows: NDArray[np.intp]) -> dict[str, float]:
    """How often a right section comes first, and among three, of questions that were not learnt from."""
    order = np.argsort(-_scores(lesson, maps, rows), axis=1)[:, :3]
    found = np.take_along_axis(lesson.right[rows], order, axis=1)
    return {
        "rows": float(len(rows)),
        "section_recall_at_1": round(float(found[:, 0].mean()), 4),
        "section_recall_at_3": round(float(found.any(axis=1).mean()), 4),
    }


def _enough(lesson: _Lesson, maps: Sequence[Floats], rows: NDArray[np.intp]) -> float:
    """What all but `_REFUSED` of the questions that find a right section first add up to at least."""
    scores = _scores(lesson, maps, rows)
    best = scores.argmax(axis=1)
    right = np.take_along_axis(lesson.right[rows], best[:, None], axis=1)[:, 0]
    return round(float(np.quantile(scores.max(axis=1)[right], _REFUSED)), 2) if right.any() else 0.0


def _scores(lesson: _Lesson, maps: Sequence[Floats], rows: NDArray[np.intp]) -> Floats:
    """What search adds up for every passage; nothing for those that a question may not be answered from."""
    question, reading, passage, weights = maps
    asked = lesson.came[rows] + lesson.came[rows] @ question.T + lesson.read[rows] @ reading.T
    told = lesson.passages + lesson.passages @ passage.T
    asked /= np.linalg.norm(asked, axis=1, keepdims=True)
    told /= np.linalg.norm(told, axis=1, keepdims=True)
    scores = weights[0] * asked @ told.T + weights[1] * lesson.meant[rows] + weights[2] * lesson.words[rows]
    return np.asarray(np.where(lesson.open[rows], scores, -np.inf), np.float32)


def _write(folder: Path, meta: MapsMeta, arrays: Mapping[str, Floats]) -> None:
    from safetensors.numpy import save

    folder.mkdir(parents=True, exist_ok=True)
    packed = {name: np.ascontiguousarray(values, np.float16) for name, values in arrays.items()}
    (folder / MAPS_FILE).write_bytes(save(packed))
    (folder / META_FILE).write_text(meta.model_dump_json(indent=2) + "\n", encoding="utf-8")
    (folder / CARD_FILE).write_text(_card(meta), encoding="utf-8")


def _card(meta: MapsMeta) -> str:
    found, first = meta.metrics["section_recall_at_3"], meta.metrics["section_recall_at_1"]
    return f"""# Model card: search maps

Three linear maps of the encoders' vectors, in half precision, and the weights of what search adds up:
{meta.fusion.near:g} times the cosine, {meta.fusion.intents:g} times the probability of the passage's intents,
{meta.fusion.words:g} times its share of the best BM25 score. Made by `assistant train --search` from
{meta.rows:,} questions (SHA-256 `{meta.questions_sha256}`),
for the encoders `{meta.encoder}` and `{meta.message_encoder}`.

Of {meta.metrics["rows"]:.0f} questions that were not learnt from, {first:.1%} find a section that answers
them first and {found:.1%} among three. They were written by the hands that wrote the others, about the same
documents. Documents that no question was about gain less:
write questions for your own and train again, it takes minutes.
"""
