"""The contract of the Retriever port: embedded Chroma and its server, a double of the encoder and the real one."""

import contextlib
import multiprocessing
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Literal

import httpx
import numpy as np
import pytest
from chromadb.api.models.Collection import Collection
from numpy.typing import NDArray

from assistant.adapters import chroma
from assistant.adapters.bm25 import PolicyWords
from assistant.adapters.chroma import ChromaVectors, PublishedVectors
from assistant.adapters.retrieval import UNPUBLISHED, HybridRetriever
from assistant.adapters.search_maps import Fusion
from assistant.errors import AssistantError, ConfigurationError, EncoderUnavailable, InvalidInput, RetrieverUnavailable
from assistant.ports import Encoder
from assistant.types.answers import Audience, Passage
from assistant.types.understanding import Product
from assistant.types.value import DocumentId, Locale
from tests.doubles_encoder import HashingEncoder
from tests.real_encoder import real_encoder

TODAY = date(2026, 11, 23)
SYNONYMS = (("提前还款", "早点还完"), ("注销", "close account"))
Opener = Callable[..., HybridRetriever]


def passage(
    document: str,
    section: str,
    text: str,
    *,
    version: str = "1",
    number: int = 1,
    audience: Audience = "customer",
    language: Locale = "zh-CN",
    products: tuple[Product, ...] = (),
    since: date = date(2026, 1, 1),
    until: date | None = None,
) -> Passage:
    return Passage(
        passage_id=f"{document}@{version}#{number}",
        document_id=DocumentId(document),
        version=version,
        title=section,
        section=section,
        text=text,
        products=products,
        audience=audience,
        language=language,
        effective_from=since,
        effective_to=until,
        owner="产品部",
    )


OLD_FEE = passage(
    "early",
    "提前还款收不收手续费",
    "2025年提前还款按提前归还本金的2%收费。",
    version="2025",
    since=date(2025, 1, 1),
    until=date(2025, 12, 31),
)
NEW_FEE = passage("early", "提前还款收不收手续费", "从第一个还款日起，提前还款不收费。", version="2026")
NEW_FEE_EN = passage(
    "early-en",
    "Is there a fee for repaying early",
    "From the first due date on it is free.",
    version="2026",
    language="en",
)
CLOSE = passage("close", "怎么注销账户", "还清全部欠款后，在设置里提交注销账户。")
LIMIT = passage("limit", "怎么查我的额度", "额度在首页的额度卡片里查看。")
SCOPE = passage("scope", "月付能在哪里用", "月付能在合作商家付款。", products=("pay_later",))
LOAN = passage("loan", "随借最少借多少", "随借单笔最少借500元。", products=("cash_loan",))
STAFF = passage("staff", "减免额度审批权限", "坐席单笔减免额度不超过50元。", audience="staff")
ALL = (OLD_FEE, NEW_FEE, NEW_FEE_EN, CLOSE, LIMIT, SCOPE, LOAN, STAFF)


@pytest.fixture(scope="module")
def chroma_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("server")
    # The console script of the same environment; the server keeps its data in `folder`.
    program = [str(Path(sys.executable).parent / "chroma"), "run", "--path", str(folder), "--host", "127.0.0.1"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([*program, "--port", str(port)], stdout=log, stderr=log)
    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/api/v2/heartbeat"))
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=20)


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1).is_success
    except httpx.HTTPError:
        return False


def wait_for(holds: Callable[[], bool], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


@pytest.fixture(params=["embedded, hashing encoder", "embedded, real encoder", "server, hashing encoder"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """Open a reader or writer of the one index of this test."""
    kind: str = request.param
    url = request.getfixturevalue("chroma_server") if kind.startswith("server") else None
    encoder: Encoder = real_encoder() if "real" in kind else HashingEncoder()
    with ExitStack() as stack:

        def open_one(with_encoder: Encoder = encoder, **options: object) -> HybridRetriever:
            vectors = ChromaVectors(tmp_path / "chroma", url)
            retriever = HybridRetriever(
                vectors,
                with_encoder,
                PolicyWords(SYNONYMS),
                **{"refresh_seconds": 0.0, **options},  # type: ignore[arg-type]
            )
            stack.callback(retriever.close)
            return retriever

        yield open_one
        open_one().publish([passage("none", "空", "空")])  # the server outlives the test: leave nothing of it behind


@pytest.fixture
def retriever(opened: Opener) -> HybridRetriever:
    one = opened()
    one.publish(ALL)
    return one


def first(found: Sequence[object]) -> Passage:
    return found[0].passage  # type: ignore[attr-defined, no-any-return]


def ids(found: Sequence[object]) -> list[str]:
    return [one.passage.passage_id for one in found]  # type: ignore[attr-defined]


# --- what is found ----------------------------------------------------------------------------------------------------


def test_the_section_that_was_asked_for_comes_first(retriever: HybridRetriever) -> None:
    assert first(retriever.search("我想注销账户", on=TODAY)) == CLOSE
    assert first(retriever.search("我的额度在哪里查", on=TODAY)) == LIMIT


def test_each_day_gets_the_version_in_force(retriever: HybridRetriever) -> None:
    for day, expected in (
        (date(2025, 12, 31), OLD_FEE),
        (date(2026, 1, 1), NEW_FEE),
        (TODAY, NEW_FEE),
    ):
        found = retriever.search("提前还款要手续费吗", on=day, limit=10)
        assert first(found) == expected
        assert all(one.passage.in_force(day) for one in found)


def test_nothing_is_found_for_a_day_without_policies(retriever: HybridRetriever) -> None:
    assert retriever.search("提前还款要手续费吗", on=date(2020, 1, 1)) == ()


def test_staff_text_never_reaches_a_customer(retriever: HybridRetriever) -> None:
    question = "坐席减免额度审批权限是多少"
    assert "staff@1#1" not in ids(retriever.search(question, on=TODAY, limit=50))
    assert first(retriever.search(question, on=TODAY, audience="staff")) == STAFF


def test_a_product_leaves_out_what_is_for_other_products(retriever: HybridRetriever) -> None:
    found = ids(retriever.search("月付能在哪里用", on=TODAY, product="cash_loan", limit=50))
    assert "scope@1#1" not in found
    assert {"loan@1#1", "limit@1#1"} <= set(found)


def test_a_translation_stands_in_for_its_original(retriever: HybridRetriever) -> None:
    english = ids(retriever.search("is there a fee for repaying early", on=TODAY, language="en", limit=50))
    chinese = ids(retriever.search("提前还款要手续费吗", on=TODAY, limit=50))
    assert english[0] == NEW_FEE_EN.passage_id
    assert NEW_FEE.passage_id not in english
    assert NEW_FEE_EN.passage_id not in chinese


def test_a_document_without_translation_is_found_in_the_other_language(retriever: HybridRetriever) -> None:
    assert first(retriever.search("how do I close my account", on=TODAY, language="en")) == CLOSE
    # The translation was not in force yet: the Chinese version of that day answers.
    assert OLD_FEE.passage_id in ids(retriever.search("early repayment fee", on=date(2025, 6, 1), language="en"))


def test_what_customers_call_a_thing_finds_what_the_policy_calls_it(retriever: HybridRetriever) -> None:
    assert first(retriever.search("早点还完要钱吗", on=TODAY)) == NEW_FEE


def test_no_more_than_the_limit_comes_back_best_first(retriever: HybridRetriever) -> None:
    found = retriever.search("提前还款 注销 额度 月付 随借", on=TODAY, limit=3)
    assert len(found) == 3
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


@pytest.mark.parametrize("query", ["", " ", "？？", "🙂", "x" * 5000])
def test_any_query_is_answered(retriever: HybridRetriever, query: str) -> None:
    assert len(retriever.search(query, on=TODAY)) <= 5


def test_each_half_can_be_asked_alone(retriever: HybridRetriever) -> None:
    for fusion in (Fusion(words=0, intents=0), Fusion(near=0, intents=0)):
        assert CLOSE.passage_id in ids(retriever.fused_by(fusion).search("怎么注销账户", on=TODAY))
    assert retriever.fused_by(Fusion(near=0, intents=0)).search("zzz", on=TODAY) == ()


# --- publishing -------------------------------------------------------------------------------------------------------


def test_an_unpublished_index_says_how_to_publish(tmp_path: Path) -> None:
    retriever = HybridRetriever(ChromaVectors(tmp_path), HashingEncoder(), PolicyWords())
    assert retriever.version == UNPUBLISHED
    with pytest.raises(RetrieverUnavailable, match="assistant knowledge index"):
        retriever.search("额度", on=TODAY)
    retriever.close()


def test_the_version_is_of_the_content(opened: Opener) -> None:
    retriever = opened()
    once = retriever.publish(ALL)
    other = retriever.publish((*ALL[:-1], STAFF.model_copy(update={"text": "坐席单笔减免不超过60元。"})))
    assert once != other
    assert retriever.version == other
    assert retriever.publish(ALL) == once


def test_a_reader_sees_what_another_one_publishes(opened: Opener) -> None:
    writer, reader = opened(), opened()
    writer.publish([CLOSE])
    assert ids(reader.search("额度", on=TODAY)) == ["close@1#1"]
    version = writer.publish([LIMIT])
    assert ids(reader.search("额度", on=TODAY)) == ["limit@1#1"]
    assert reader.version == version


def test_no_search_fails_or_mixes_versions_while_the_index_is_switched(opened: Opener) -> None:
    old = [passage("a", f"额度问题{n}", f"旧的额度规则{n}", number=n) for n in range(1, 6)]
    new = [passage("b", f"额度问题{n}", f"新的额度规则{n}", number=n) for n in range(1, 6)]
    writer, reader = opened(), opened()
    writer.publish(old)
    stop, seen, failures = threading.Event(), set[str](), list[str]()

    def search() -> None:
        while not stop.is_set():
            try:
                documents = {one.passage.document_id for one in reader.search("额度问题", on=TODAY)}
            except AssistantError as error:
                failures.append(str(error))
                return
            if len(documents) != 1:
                failures.append(f"one search saw {documents}")
            seen.update(documents)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(8):
        writer.publish([*(new if number % 2 == 0 else old), passage("extra", "额度", "额度", number=number)][:5])
        wait_for(lambda number=number: bool(failures) or ("b" if number % 2 == 0 else "a") in seen)  # type: ignore[misc]
        seen.clear()
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_reader_that_is_overtaken_answers_from_the_index_it_has(opened: Opener) -> None:
    writer, reader = opened(), opened(refresh_seconds=3600.0)
    writer.publish(ALL)
    before = reader.search("我想注销账户", on=TODAY, limit=50)
    for one in (CLOSE, LIMIT, LOAN):
        writer.publish([one])  # what the reader holds is no longer kept in Chroma after the second
    after = reader.search("我想注销账户", on=TODAY, limit=50)
    assert first(after) == first(before) == CLOSE
    assert set(ids(after)) == set(ids(before))


def test_what_chroma_says_of_a_collection_under_removal_costs_no_search(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, reader = opened(), opened()
    writer.publish(ALL)
    assert first(reader.search("我想注销账户", on=TODAY)) == CLOSE

    def removed(*_: object) -> None:
        raise RetrieverUnavailable("Chroma failed: Missing field: [Missing metadata segment]")

    monkeypatch.setattr(PublishedVectors, "nearest", removed)
    assert first(reader.fused_by(Fusion(words=0, intents=0)).search("我想注销账户", on=TODAY)) == CLOSE
    monkeypatch.undo()
    # Read half-way when the next publication removes it: the pointer has moved, so the next one is opened.
    read = chroma._read

    def overtaken(collection: Collection) -> object:
        monkeypatch.setattr(chroma, "_read", read)
        writer.publish([LOAN])
        return removed()

    writer.publish([LIMIT])
    monkeypatch.setattr(chroma, "_read", overtaken)
    assert ids(reader.search("额度", on=TODAY)) == ["loan@1#1"]


def test_searches_do_not_wait_for_one_that_opens_a_new_index(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, reader = opened(), opened()
    writer.publish([CLOSE])
    reader.search("额度", on=TODAY)
    writer.publish([LIMIT])
    opening, opened_now = threading.Event(), threading.Event()
    open_one = ChromaVectors.open

    def slowly(vectors: ChromaVectors, name: str) -> object:
        opening.set()
        assert opened_now.wait(20)
        return open_one(vectors, name)

    monkeypatch.setattr(ChromaVectors, "open", slowly)
    found: list[str] = []
    first_one = threading.Thread(target=lambda: found.extend(ids(reader.search("额度", on=TODAY))))
    first_one.start()
    assert opening.wait(20)
    assert ids(reader.search("额度", on=TODAY)) == ["close@1#1"]
    opened_now.set()
    first_one.join()
    assert found == ["limit@1#1"]


def test_an_index_that_was_not_written_to_its_end_is_written_again(opened: Opener) -> None:
    retriever = opened()
    version = retriever.publish(ALL)
    client = retriever._vectors._client
    client.get_collection(f"passages-{version}", embedding_function=None).delete(ids=[CLOSE.passage_id])
    assert opened().publish(ALL) == version
    assert first(opened().search("我想注销账户", on=TODAY)) == CLOSE


def test_an_empty_or_ambiguous_publication_is_refused_and_the_index_stays(retriever: HybridRetriever) -> None:
    version = retriever.version
    with pytest.raises(InvalidInput, match="nothing published"):
        retriever.publish([])
    with pytest.raises(InvalidInput, match="close@1#1"):
        retriever.publish([CLOSE, CLOSE])
    assert retriever.version == version


class CountingEncoder(HashingEncoder):
    """Counts what it encodes; `down` makes it fail."""

    def __init__(self, dimension: int = 256) -> None:
        super().__init__(dimension)
        self.encoded = 0
        self.down = False

    def encode(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> NDArray[np.float32]:
        if self.down:
            raise EncoderUnavailable("down on demand")
        self.encoded += len(texts)
        return super().encode(texts, kind)


def test_what_is_published_already_is_not_encoded_again(opened: Opener) -> None:
    encoder = CountingEncoder()
    opened(encoder).publish(ALL)
    encoder.encoded = 0
    opened(encoder).publish(ALL)
    assert encoder.encoded == 0


def test_only_what_changed_is_encoded(opened: Opener) -> None:
    encoder = CountingEncoder()
    retriever = opened(encoder)
    retriever.publish(ALL)
    counted, heard = encoder.encoded, list[tuple[int, int]]()
    dated = CLOSE.model_copy(update={"effective_to": date(2026, 12, 31), "passage_id": "close@2#1", "version": "2"})
    worded = CLOSE.model_copy(update={"text": "注销账户要先还清全部借款，再核验身份。", "passage_id": "close@3#1"})
    others = [one for one in ALL if one != CLOSE]
    retriever.publish([*others, dated, worded], lambda done, passages: heard.append((done, passages)))
    # The heading and the text of the one that is worded anew; other dates alone need no new vector.
    assert encoder.encoded == counted + 2
    assert heard == [(1, 1)]
    again, whole = opened(CountingEncoder()), [*others, dated, worded]
    assert {one.passage.passage_id for one in again.search("注销", on=TODAY, limit=len(whole))} >= {
        "close@2#1",
        "close@3#1",
    }
    # Another encoder's vectors are of no use.
    wider = CountingEncoder(512)
    opened(wider).publish(whole)
    assert wider.encoded == 2 * len({(one.title, one.section, one.text) for one in whole})


def test_an_index_elsewhere_takes_over_the_vectors_it_is_given(opened: Opener, tmp_path: Path) -> None:
    encoder = CountingEncoder()
    published = opened(encoder)
    published.publish(ALL)
    assert published.passages == ALL
    encoder.encoded = 0
    worded = CLOSE.model_copy(update={"text": "注销账户要先还清全部借款，再核验身份。"})
    elsewhere = HybridRetriever(ChromaVectors(tmp_path / "elsewhere"), encoder, PolicyWords(SYNONYMS))
    with contextlib.closing(elsewhere):
        elsewhere.publish([*ALL[:3], worded], known=published.vectors())
        assert encoder.encoded == 2
        assert first(elsewhere.search("怎么注销账户", on=TODAY)) == worded
    assert published.passages == ALL


def test_the_one_index_before_is_kept_and_older_ones_are_removed(opened: Opener) -> None:
    retriever = opened()
    versions = [retriever.publish([one]) for one in (CLOSE, LIMIT, LOAN)]
    names = {collection.name for collection in retriever._vectors._client.list_collections()}
    assert {name for name in names if name.startswith("passages-")} == {f"passages-{one}" for one in versions[1:]}


# --- when parts fail --------------------------------------------------------------------------------------------------


def test_words_alone_are_searched_while_the_encoder_is_down(opened: Opener) -> None:
    encoder = CountingEncoder()
    retriever = opened(encoder)
    retriever.publish(ALL)
    encoder.down = True
    assert first(retriever.search("怎么注销账户", on=TODAY)) == CLOSE


def test_an_index_of_another_encoder_is_not_searched(opened: Opener) -> None:
    opened(HashingEncoder(64)).publish(ALL)
    with pytest.raises(RetrieverUnavailable, match=r"hashing-64.*hashing-32.*assistant knowledge index"):
        opened(HashingEncoder(32)).search("额度", on=TODAY)


def test_a_server_that_is_down_is_a_retriever_that_is_down(tmp_path: Path) -> None:
    with pytest.raises(RetrieverUnavailable, match="Chroma failed"):
        ChromaVectors(tmp_path, "http://127.0.0.1:1")
    with pytest.raises(ConfigurationError, match="CHROMA_URL"):
        ChromaVectors(tmp_path, "localhost:8000")


def publish_elsewhere(folder: Path, passages: Sequence[Passage]) -> None:
    HybridRetriever(ChromaVectors(folder), HashingEncoder(), PolicyWords()).publish(passages)


def test_a_reader_follows_a_publication_of_another_process(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    reader = HybridRetriever(ChromaVectors(tmp_path), HashingEncoder(), PolicyWords(), refresh_seconds=0.0)
    for one in (CLOSE, LIMIT, LOAN):
        process = spawn.Process(target=publish_elsewhere, args=(tmp_path, [one]))
        process.start()
        process.join()
        assert process.exitcode == 0
        assert ids(reader.search("额度", on=TODAY)) == [one.passage_id]
    reader.close()
