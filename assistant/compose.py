"""The composition root: from settings to a running application. The only module that knows stations and adapters."""

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from assistant import compliance, escalation, risk
from assistant.accounts import Accounts
from assistant.adapters.banking import SandboxBank
from assistant.adapters.bm25 import PolicyWords
from assistant.adapters.chroma import ChromaVectors
from assistant.adapters.encoders import OnnxEncoder, encoder_folder
from assistant.adapters.keys import load_keys
from assistant.adapters.migrations import migrate
from assistant.adapters.retrieval import UNPUBLISHED, HybridRetriever
from assistant.adapters.search_maps import MappedQuestions, SearchMaps
from assistant.adapters.senders import SandboxSender
from assistant.adapters.sql import SqlStore
from assistant.arbitration import Arbiter
from assistant.assistant import Assistant, Stations
from assistant.carry_out import CarryOut
from assistant.catalogue import load as load_catalogue
from assistant.desk import Desk
from assistant.enquiries import Enquiries
from assistant.errors import AssistantError, ConfigurationError
from assistant.glossary import load_glossary
from assistant.heads import Heads
from assistant.insights import Insights
from assistant.institution import Institution, load_institution
from assistant.intents import IntentClassifier
from assistant.lanes import Lanes
from assistant.passbook import Passbook
from assistant.ports import ChatModel, Clock, CoreBanking, Encoder, Retriever, Store
from assistant.prompts import load_prompts
from assistant.rewriting import Rewriter
from assistant.rules import versions as rule_versions
from assistant.sessions import Sessions
from assistant.settings import Settings
from assistant.signals import Signals
from assistant.switchboard import Switchboard
from assistant.taxonomy import load_taxonomy
from assistant.teller import Teller
from assistant.types.events import Versions
from assistant.types.value import Locale
from assistant.verification import Verification
from assistant.words import load_synonyms


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present instant, UTC."""
        return datetime.now(UTC)


@dataclass(frozen=True)
class Application:
    """Everything an interface needs; nothing else is shared between requests."""

    settings: Settings
    clock: Clock
    assistant: Assistant
    sessions: Sessions
    verification: Verification
    desk: Desk
    signals: Signals
    retriever: Retriever
    institution: Institution
    cookie_secret: str
    checks: dict[str, Callable[[], str]]
    close: Callable[[], None]

    def readiness(self) -> dict[str, str]:
        """Each part with `ok`, or what is missing and the remedy."""
        found: dict[str, str] = {}
        for part, check in self.checks.items():
            try:
                found[part] = check()
            except AssistantError as error:
                found[part] = str(error)
        return found


def compose(
    settings: Settings,
    *,
    clock: Clock | None = None,
    bank: CoreBanking | None = None,
    store: Store | None = None,
    retriever: Retriever | None = None,
    message_encoder: Encoder | None = None,
    search_encoder: Encoder | None = None,
    chat_model: ChatModel | None = None,
) -> Application:
    """The application these settings describe; a part passed in takes the place of the configured one.

    A retriever is passed in with the encoder it searches with; without it the messages' encoder groups what is missing.

    Messages are read with the encoder as it was tuned for that, policies found with the encoder as it came: tuning for
    the one costs the other.

    Raises ConfigurationError naming what is missing and the command that makes it.
    """
    quiet_libraries()
    clock = clock or SystemClock()
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    institution = load_institution(settings.knowledge_dir / "institution.yaml")
    keys = load_keys(settings.keys_dir)
    signals, lanes = Signals(), Lanes()
    own_store: SqlStore | None = None
    if store is None:
        url = database_url(settings)
        migrate(url)
        store = own_store = SqlStore(url, keys.vault, signals.notify)
    own_bank: SandboxBank | None = None
    if bank is None:
        bank = own_bank = SandboxBank(settings.data_dir / "bank.sqlite", clock, institution)
    heads = Heads.load(settings.weights_dir)
    message_encoder = message_encoder or open_encoder(settings, heads.meta.deltas)
    if search_encoder is None:
        # Whoever brings a retriever has opened its encoder already; a second one would only be waited for.
        tuned = heads.meta.deltas is not None and retriever is None
        search_encoder = open_encoder(settings) if tuned else message_encoder
    retriever = retriever or open_retriever(settings, search_encoder, message_encoder)
    classifier = open_classifier(settings, message_encoder, heads)
    stations = _stations(settings, store, bank, classifier, retriever, institution, chat_model)
    assistant = Assistant(store, clock, lanes, stations)
    life = timedelta(hours=settings.session_hours)
    sessions = Sessions(store, clock, stations.catalogue, lanes, life)
    sender = SandboxSender(store, clock)
    verification = Verification(
        store, bank, sender, assistant, clock, lanes, institution.verification, keys.vault, life
    )
    accounts = Accounts(store, clock, timedelta(hours=settings.agent_session_hours))
    insights = Insights(store, search_encoder, retriever, clock)
    desk = Desk(store, bank, clock, lanes, stations.taxonomy, stations.compliance_rules, accounts, insights)

    def close() -> None:
        for part in (own_store, own_bank):
            if part is not None:
                part.close()

    return Application(
        settings=settings,
        clock=clock,
        assistant=assistant,
        sessions=sessions,
        verification=verification,
        desk=desk,
        signals=signals,
        retriever=retriever,
        institution=institution,
        cookie_secret=keys.cookie,
        checks=_checks(store, message_encoder, retriever),
        close=close,
    )


def _stations(
    settings: Settings,
    store: Store,
    bank: CoreBanking,
    classifier: IntentClassifier,
    retriever: Retriever,
    institution: Institution,
    chat_model: ChatModel | None,
) -> Stations:
    taxonomy = load_taxonomy()
    catalogue = load_catalogue().bound(_names(institution))
    risk_rules, compliance_rules, case_rules = risk.load_rules(), compliance.load_rules(), escalation.load_rules()
    prompts = load_prompts(settings.prompts_dir)
    chat_model = chat_model or _chat_model(settings)
    rewriter = Rewriter(chat_model, prompts) if chat_model else None
    teller = Teller(store, bank, institution, _new_id)
    passbook = Passbook(bank, institution)
    switchboard = Switchboard(store, taxonomy, institution, case_rules, _new_id)
    rules = rule_versions(risk_rules, compliance_rules, case_rules)
    model = f"{classifier.encoder_version} {classifier.version}" + (f" {chat_model.version}" if chat_model else "")

    def versions() -> Versions:
        return Versions(
            model=model,
            prompts=f"{prompts.version} {catalogue.version}",
            policy=retriever.version,
            rules=rules,
            taxonomy=str(taxonomy.version),
        )

    return Stations(
        classifier=classifier,
        arbiter=open_arbiter(settings, classifier, chat_model),
        glossary=load_glossary(settings.knowledge_dir / "glossary.yaml"),
        taxonomy=taxonomy,
        catalogue=catalogue,
        risk_rules=risk_rules,
        compliance_rules=compliance_rules,
        carry_out=CarryOut(
            Enquiries(retriever, rewriter, taxonomy, passbook), taxonomy, institution, passbook, teller, switchboard
        ),
        teller=teller,
        patience=case_rules.unknowns_in_a_row,
        versions=versions,
    )


def quiet_libraries() -> None:
    """Nothing goes out to a network unless configured: set before the libraries that would are imported."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("ANONYMIZED_TELEMETRY", "False")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("LANGSMITH_TRACING", "false")


def database_url(settings: Settings) -> str:
    """The configured database, or SQLite in the data directory."""
    return settings.database_url or f"sqlite:///{settings.data_dir / 'assistant.sqlite'}"


def open_encoder(settings: Settings, tuning: str | None = None) -> OnnxEncoder:
    """The converted encoder, or the one tuned by changes of this digest. Raises ConfigurationError before set-up."""
    folder = encoder_folder(settings.data_dir, settings.encoder, tuning)
    return OnnxEncoder(folder, threads=settings.encoder_threads)


def open_classifier(settings: Settings, encoder: Encoder, heads: Heads) -> IntentClassifier:
    """What reads messages. Raises ConfigurationError where the parts do not fit each other."""
    return IntentClassifier(encoder, load_glossary(settings.knowledge_dir / "glossary.yaml"), heads, load_taxonomy())


def open_arbiter(
    settings: Settings, classifier: IntentClassifier, chat_model: ChatModel | None = None
) -> Arbiter | None:
    """What settles unsure messages, where that is on. Raises ConfigurationError where there is no chat model for it."""
    if not settings.arbitration:
        return None
    chat_model = chat_model or _chat_model(settings)
    if chat_model is None:
        raise ConfigurationError("ASSISTANT_ARBITRATION needs a chat model: set ASSISTANT_CHAT_MODEL")
    return Arbiter(chat_model, load_prompts(settings.prompts_dir), load_taxonomy(), classifier.act)


def open_message_encoder(settings: Settings) -> OnnxEncoder:
    """The encoder that reads messages. Raises ConfigurationError before set-up."""
    return open_encoder(settings, Heads.load(settings.weights_dir).meta.deltas)


def open_mapped(settings: Settings, encoder: Encoder, messages: Encoder) -> MappedQuestions | None:
    """What search learnt from questions, where it did with these encoders. Raises ConfigurationError."""
    maps = SearchMaps.load(settings.weights_dir)
    if maps is None or (maps.meta.encoder, maps.meta.message_encoder) != (encoder.version, messages.version):
        return None
    return MappedQuestions(maps, encoder, messages, load_glossary(settings.knowledge_dir / "glossary.yaml"))


def open_retriever(settings: Settings, encoder: Encoder, messages: Encoder) -> HybridRetriever:
    """The policy index, published or not; `messages` is the encoder that reads messages."""
    vectors = ChromaVectors(settings.data_dir / "chroma", settings.chroma_url)
    words = PolicyWords(load_synonyms(settings.knowledge_dir / "glossary.yaml"))
    return HybridRetriever(vectors, encoder, words, mapped=open_mapped(settings, encoder, messages))


def _chat_model(settings: Settings) -> ChatModel | None:
    if settings.chat_model is None:
        return None
    from assistant.adapters.chat_models import open_chat_model

    return open_chat_model(settings)


def _names(institution: Institution) -> dict[Locale, dict[str, str]]:
    locales: tuple[Locale, ...] = ("zh-CN", "en")
    return {
        locale: {
            "institution": institution.short_name.of(locale),
            "institution_full": institution.name.of(locale),
            "app": institution.app.of(locale),
            "hotline": institution.hotline,
        }
        for locale in locales
    }


def _checks(store: Store, encoder: Encoder, retriever: Retriever) -> dict[str, Callable[[], str]]:
    def database() -> str:
        store.ping()
        return "ok"

    def model() -> str:
        encoder.encode(["ready"], "query")
        return "ok"

    def index() -> str:
        return "ok" if retriever.version != UNPUBLISHED else "no policies are published: run `assistant setup`"

    return {"database": database, "encoder": model, "policies": index}


def _new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(10)}"
