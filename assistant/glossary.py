"""The product and brand words of `knowledge/glossary.yaml`, found in a message and mapped to one word each."""

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from assistant.errors import ConfigurationError
from assistant.folding import fold, simplify
from assistant.types.understanding import Product
from assistant.types.value import Value

NUMBER = "***"
# The words that the utterances use most: heads see these whatever the customer wrote.
_CANONICAL: dict[Product, str] = {"pay_later": "花呗", "cash_loan": "借呗", "merchant_loan": "分期购"}
_INSTALMENTS = ("分期", "instalment")
# Stars that stand for a number, and the placeholders of masked personal data.
_MASKED = r"\*{2,}|\[\w+_[0-9]+\]"
_DIGITS = r"[0-9０-９]+(?:[.,，．][0-9０-９]+)*"
_LATIN = r"[A-Za-z0-9]"
_COUNT = "0-9一二两三四五六七八九十"
_CLAUSE_END = r"(?=[啊呀~,。.!?;\s]|$)"
# Who pays later, or wants to: not the product, which may follow can and will itself.
_PAYERS = (
    *(
        f"{who}{modal}"
        for who in ("I", "we", "you", "they")
        for modal in ("", "'ll", " can", " could", " will", " would")
    ),
    *(f"{wish} to" for wish in ("want", "need", "like", "have", "how", "able", "going", "prefer", "try", "ok")),
    *("just", "rather", "not", "let me", "let us"),
)
# Everyday phrases that happen to hold a product word: nobody who says them names the product.
_EVERYDAY = re.compile(
    "|".join(
        (
            rf"(?<=[每按当月逐包首头隔{_COUNT}])月付|(?<=[{_COUNT}几半每下上哪整]个)月付",
            r"(?:(?<=[这那]个)|(?<=[上下本这次]))月付(?=[不了清完过行吗吧]|几|多少|可以|[0-9])",
            r"月付(?=款|不起|多少(?!额)|几[百千]|[0-9]{3}|[一两二三四五六七八九][百千万])",
            r"(?<![A-Za-z])(?<!my )(?<!the )(?<!your )(?<!with )(?<!use )(?<!of )(?<!by )pay later"
            r"(?= (?:today|tonight|tomorrow|this|next|than|if)\b)",
            *(rf"(?<=\b(?i:{words}) )pay later" for words in _PAYERS),
            "(?<=[没才哪会能要想就])有钱花|有钱花(?=了(?!解)|得|不完)|(?<=还)有钱花(?=[吗么呢,。!?]|$)",
            "(?<=[都钱被])拿去花|拿去花(?=了(?!解)|[掉完光吧呗钱])",
            "(?:(?<=[能敢不才就再很您你都])|(?<=可以)|(?<=^请)|(?<=[^申]请))放心[借花]|放心[借花](?=[钱款着吧])",
            "(?<=[打写])白条|(?<=[打写][个张了])白条|(?<=[打写]了[个张])白条",
            "分期购(?=[买物机车房置])|信用购(?=[买物])|任性付(?=[款钱])|随借(?=随[还用])|小额贷款(?=公司)",
            "(?<=[在从去])网上贷|网上贷(?=[款了过到钱])",
            "(?<=[当留作])备用金|(?<=[有纹满])花臂|(?<=[电说回讲])话呗|(?<=[变简优消强])化呗",
            "(?<=[想再请去要没])借被(?=[拒驳退拦])|借背(?=[后债着上])",
            # A verb and a particle: 明天还呗 is no 还呗.
            f"(?<=[就则先再那])(?:借呗|接呗|解呗|省呗){_CLAUSE_END}",
            f"(?<=[就先再那天日号后晚点慢月底周午早期起资我你他她来{_COUNT}])还呗{_CLAUSE_END}",
            f"(?<=[就先再便着情钱慢意去量你])花吧{_CLAUSE_END}",
        )
    )
)


class Term(BaseModel):
    """A word customers use for a product; `brand` where it belongs to another company."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    term: str
    product: Product
    brand: str | None = None


class Mention(Value):
    """One product word in a text, by character offsets."""

    start: int
    end: int
    text: str
    product: Product
    brand: str | None


class Glossary:
    """Finds product words, longest first."""

    def __init__(self, terms: Sequence[Term]) -> None:
        self.terms = tuple(terms)
        self._by_word = {term.term.casefold(): term for term in terms}
        self._by_reading = {_reading(term.term).casefold(): term for term in terms}

    def mentions(self, text: str) -> tuple[Mention, ...]:
        """Product words from left to right in any script, none inside another or inside an everyday phrase."""
        reading = _reading(text)
        return tuple(
            Mention(
                start=match.start(),
                end=match.end(),
                text=text[match.start() : match.end()],
                product=term.product,
                brand=term.brand,
            )
            for match in self._words.finditer(reading)
            if (term := self._by_reading.get(match[0].casefold())) is not None
            and not _EVERYDAY.match(reading, match.start())
        )

    def canonical(self, text: str) -> str:
        """The text with one word for each product and one token for each number, so that heads see no brands."""

        def replace(match: re.Match[str]) -> str:
            term = self._by_word.get(match[0].casefold())
            if term is None:
                return NUMBER
            return match[0] if _says_what_to_do(term) else _CANONICAL[term.product]

        return self._words_and_numbers.sub(replace, text)

    def stripped(self, text: str) -> str:
        """The text without product words and numbers: what two questions about different products may share."""
        return self._words_and_numbers.sub(" ", text)

    @cached_property
    def _words(self) -> re.Pattern[str]:
        return re.compile(_alternatives(self._by_reading) or r"(?!)", re.IGNORECASE)

    @cached_property
    def _words_and_numbers(self) -> re.Pattern[str]:
        parts = [part for part in (_alternatives(self._by_word), _MASKED, _DIGITS) if part]
        return re.compile("|".join(parts), re.IGNORECASE)


def load_glossary(path: Path) -> Glossary:
    """Read the `products` of a glossary file. Raises ConfigurationError."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Glossary([Term.model_validate(entry) for entry in raw["products"]])
    except (OSError, yaml.YAMLError, ValidationError, KeyError, TypeError) as error:
        raise ConfigurationError(f"the glossary {path} cannot be read: {error}") from error


def _says_what_to_do(term: Term) -> bool:
    """Plain words such as 账单分期 name a product and a wish; the wish must stay readable."""
    return term.brand is None and any(word in term.term.casefold() for word in _INSTALMENTS)


def _reading(text: str) -> str:
    return simplify(fold(text))


def _alternatives(words: Iterable[str]) -> str:
    """A pattern for any of the words, the longest first."""
    return "|".join(_bounded(word) for word in sorted(words, key=lambda word: (-len(word), word)))


def _bounded(word: str) -> str:
    """A Latin word matches whole words only; Chinese has no word boundaries."""
    before = f"(?<!{_LATIN})" if re.match(_LATIN, word[0]) else ""
    after = f"(?!{_LATIN})" if re.match(_LATIN, word[-1]) else ""
    return before + re.escape(word) + after
