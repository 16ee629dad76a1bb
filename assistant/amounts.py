"""Sums of money as people write them, in digits and in words, in both languages."""

import re
from collections.abc import Iterator
from decimal import Decimal

from assistant.folding import fold, simplify
from assistant.types.value import Fen, Value

_NUMBER = r"(?:[0-9]{1,3}(?:,[0-9]{3}){1,3}|[0-9]{1,10})(?:\.[0-9]{1,4})?"
_SCALES = {"百": 100, "千": 1_000, "k": 1_000, "万": 10_000, "w": 10_000, "亿": 100_000_000}
_DIGITS = {char: value for value, char in enumerate("零一二三四五六七八九")} | {"两": 2, "俩": 2, "〇": 0}
_UNITS = {"十": 10, "百": 100, "千": 1_000}
_FORMAL = str.maketrans("壹贰貳叁參肆伍陆陸柒捌玖拾佰仟", "一二二三三四五六六七八九十百千")
_SPELT_DIGITS = str.maketrans("123456789", "一二三四五六七八九")
_HAN_DIGIT = "[一二两俩三四五六七八九]"
_DIGIT = "[0-9一二两三四五六七八九]"
_HAN = "[零〇一二两俩三四五六七八九十百千万亿]"

# A digit before one of these counts something else. 月底, 年化, 周五 and the like begin the next word instead.
_COUNTED = (
    r"(?:期(?![限间])|个(?!税|人[贷借])|天|次(?![日月])|人(?!民币|工)|笔|号|年(?![底末终化利前])|月(?![底末初供息利付])|日(?![息利])|"
    r"周(?![一二三四五六日天末])|(?:星期|礼拜)(?![一二三四五六日天])|家(?![里人庭装电具])|岁|位|步|火|"
    r"点(?![哪这那击进开])|折|遍|条(?![件款])|名|张|层|楼|倍|斤|字|秒|小时|工作日)"
)
_COUNTED_EN = (
    r"-?(?:days?|weeks?|months?|years?|hours?|min(?:ute)?s?|times|people|instal|payments?|points?|errors?|per ?cent|"
    r"calls|messages|customers|stores|shops|st\b|nd\b|rd\b|th\b|usd|hkd|eur|us dollars?|dollars?|euros?|pounds?|bucks)"
)
_FOREIGN = r"(?:美元|美金|美刀|刀|港币|港元|欧元|日元|英镑|韩元|澳元|加元|新币|台币)"
_NOT_MONEY = (
    r"(?!(?i:\s?(?:[0-9%‰/]|[-:][0-9]|多(?![少久长])|几|来[块元个]|余[块元个]|"
    rf"分(?![0-9一二两三四五六七八九十几期成为开摊批])|{_COUNTED}|{_COUNTED_EN}|{_FOREIGN})))"
)
# What may follow a sum at once: a count of time with its own digits, or 一 as the beginning of another word.
_TIME = r"\s?(?:期|个?月(?![底末初])|年(?![底末终])|天|周|个?星期|个?礼拜|次)"
_ONCE = "一(?:起|下|直|样|共|定|般|旦|些|会|点|律|把|口|并|半)"
_COUNT = rf"(?:(?:[0-9]{{1,3}}|{_HAN_DIGIT}?十{_HAN_DIGIT}?|{_HAN_DIGIT}){_TIME}|{_ONCE})"
_COUNT_AFTER_HAN = (
    rf"(?:[0-9]{{1,3}}{_TIME}|{_ONCE}|(?<=[百千万亿]){_HAN_DIGIT}{_TIME}|"
    rf"(?:(?<=[千万亿])|(?<=[千万]{_HAN_DIGIT}))(?:{_HAN_DIGIT}?十{_HAN_DIGIT}?|{_HAN_DIGIT}){_TIME}|万一)"
)

_START = r"(?<![0-9.A-Za-z_\[#$€£])(?<![0-9],)"
_CURRENCY = r"(?:¥|RMB|CNY|人民币)"
_YUAN_EN = r"(?:yuan|rmb|cny|kuai|renminbi)\b"
_YUAN = rf"(?:元(?![旦宵])|块钱|块|圆|人民币|{_YUAN_EN})"
# In 5000万一 somebody fears the worst.
_SCALE = r"(?:[百千]?亿|[百千]?万(?!(?<=[0-9]{3}万)一)|[百千]|[wk](?![a-z]))"
_TAIL = rf"(?:零?{_DIGIT}[千百十]){{0,3}}(?:零?(?:[0-9]{{1,4}}|{_HAN_DIGIT}))?"
_FRACTION = (
    rf"(?:零?(?P<tenths>{_DIGIT})[毛角](?:零?(?P<hundredths>{_DIGIT})(?:分|(?!\s?{_COUNTED})))?|"
    rf"零?(?P<cents>{_DIGIT})分(?![期利钟])|(?!{_COUNT})(?P<tail>{_DIGIT}|半)(?![0-9十百千万]|\s?{_COUNTED}))?"
)
# 一块还 and 加一块 are together.
_NO_SUM = r"(?!一块(?:[儿还结付交办算扣弄去借提了该]|一共|总共))(?!(?<=[这那哪加在放凑合])一块)"
# 一分钱都没, 没见一毛: nothing at all.
_NOTHING = re.compile(r"一[分毛块]钱?")
_NEGATED_BEFORE = re.compile(r"[没不未无][^,。;!?]{0,5}$")
_NEGATED_AFTER = re.compile(r"[^,。;!?]{0,6}[没不未无]")
_NOT_ORDINAL = rf"(?<![第分几数])(?<!分之)(?<!{_HAN})"

_MARKED = re.compile(rf"(?i){_CURRENCY}\s?({_NUMBER})(?:\s?({_SCALE})({_TAIL}))?")
_WITH_UNIT = re.compile(rf"(?i){_START}({_NUMBER})(?:\s?({_SCALE})({_TAIL}))?\s?{_YUAN}{_FRACTION}")
_SPELT = re.compile(rf"{_NOT_ORDINAL}{_NO_SUM}([零一二两俩三四五六七八九十]{_HAN}{{0,11}}){_YUAN}{_FRACTION}")
_SMALL = re.compile(
    rf"{_START}(?<!{_HAN}){_NO_SUM}(?P<tenths>{_DIGIT})(?:毛(?![病衣巾孩发利线不])|角(?=钱|{_DIGIT}分?))"
    rf"(?:(?P<hundredths>{_DIGIT})(?:分|(?!\s?{_COUNTED})))?"
)
_CENTS = re.compile(rf"{_START}(?<!{_HAN}){_NO_SUM}(?P<cents>{_NUMBER}|{_HAN_DIGIT})分钱")
_SPELT_ROUND = re.compile(
    rf"{_NOT_ORDINAL}({_HAN_DIGIT}{_HAN}{{0,4}}?[百千万亿]{_HAN}{{0,8}}?|十{_HAN}{{0,4}}?[万亿]{_HAN}{{0,8}}?)"
    rf"(?:(?={_COUNT_AFTER_HAN})|(?!{_HAN}){_NOT_MONEY})"
)
_SCALED = re.compile(rf"(?i){_START}({_NUMBER})\s?({_SCALE})(?:(?={_COUNT})|({_TAIL})(?:(?={_COUNT})|{_NOT_MONEY}))")
_FILLER = r"(?:[了个我你您们他先掉款出的给约大到过有是为只才就共得:]|大概|差不多|至少|最多|手续费|利息|违约金|\s){0,4}"
_FILLER_EN = r"(?:(?: (?:me|us|you|back|out|off|up|to|about|around|only|just|exactly|another|an extra)){0,3} )"
_BARE = (
    rf"({_NUMBER}(?![0-9]|[.,][0-9])(?:(?={_COUNT}|万一)|(?!{_HAN}){_NOT_MONEY})|"
    rf"[二三四五六七八九]十{_HAN_DIGIT}?(?!{_HAN}){_NOT_MONEY})"
)
_SPOKEN = re.compile(
    rf"(?:(?:还款|打款|转账|充值|提现|消费|(?<!月)付|[还借取提转扣交存缴欠剩差收充花贷批退返汇刷补赔]){_FILLER}|"
    r"(?i:\b(?:re)?(?:pay|paid)|\bborrow(?:ed)?|\bwithdr[ae]w|\bcharged?|\bowe[ds]?|\btransfer(?:red)?|"
    rf"\bdeduct(?:ed)?|\bdebited|\blend|\brefund(?:ed)?|\bspen[dt]){_FILLER_EN}){_BARE}"
)
_NAMED = re.compile(
    r"(?:[要用][借还个]?\s?|(?:到账|到手|放款|入账|额度|账单|余额|金额|本金|利息|手续费|月供|月付|一共|总共|每[期月]|说的是|我是说|"
    rf"应该是|其实是|改[成为到]?){_FILLER}|"
    r"(?i:\b(?:need|want|take|took|send|sent|deposit(?:ed)?|get|got)"
    rf"{_FILLER_EN}|\b(?:limit|loan|balance|amount|bill|total|fee|sum|instal+ment)(?: (?:of|is|was))? )){_BARE}"
)
# A number stands for a sum where it is lent, split or priced next; a year is none.
_BEFORE_USE = re.compile(
    rf"{_START}(?<![号码尾错型第年分])(?<![A-Za-z] )(?!20[23][0-9](?![0-9]))({_NUMBER})"
    rf"(?=\s?(?:分(?:成|为)?(?:[0-9]|{_HAN})|分期|(?:能|可以|够|想)?(?:不能|不可以)?(?:借(?!条)|贷|提现)|"
    r"的?(?:利息|手续费|额度|月供|本金|借款|贷款|欠款)|够[吗不了]|行[吗不]|以内|左右))"
)
_ALONE = re.compile(
    rf"(?i)^\s*({_NUMBER})\s*(?:吧|左右|就行|就好|就够了?|可以吗?|行吗|行不行|够吗|谢谢|please|is (?:fine|ok))?"
    r"\s*[。.!?]?\s*$"
)

_ONES_EN = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS_EN = "twenty thirty forty fifty sixty seventy eighty ninety"
_WORDS_EN = {word: value for value, word in enumerate(_ONES_EN.split())} | {
    word: 10 * tens for tens, word in enumerate(_TENS_EN.split(), 2)
}
_WORDS_EN["a"] = 1
_SCALES_EN = {"hundred": 100, "thousand": 1_000, "grand": 1_000, "million": 1_000_000}
_WORD_EN = "|".join(_WORDS_EN)
_NEXT_WORD_EN = "|".join([*_WORDS_EN, *_SCALES_EN])
_SPELT_EN = re.compile(
    rf"(?i){_START}\b((?:{_NUMBER}|{_WORD_EN})(?:(?:[ -]|,? and )(?:{_NEXT_WORD_EN})){{0,7}})\b"
    rf"(?P<yuan> {_YUAN_EN})?{_NOT_MONEY}"
)
_NOTHING_REACH = 8
# Longer bare numbers are orders, days and identifiers.
_MOST_BARE = 10**7
_MOST = 10**14


class Amount(Value):
    """One sum, by character offsets; `marked` where a currency stands with it."""

    start: int
    end: int
    fen: Fen
    marked: bool


def find_amounts(text: str) -> tuple[Amount, ...]:
    """Sums from left to right, none inside another. A bare number counts by a word for paying or owing, or alone."""
    found: list[Amount] = []
    taken = bytearray(len(text))
    for amount in _candidates(simplify(fold(text).translate(_FORMAL))):
        if not any(taken[amount.start : amount.end]):
            taken[amount.start : amount.end] = b"\1" * (amount.end - amount.start)
            found.append(amount)
    return tuple(sorted(found, key=lambda amount: amount.start))


def _candidates(text: str) -> Iterator[Amount]:
    for match in _MARKED.finditer(text):
        yield from _amount(match, _value(*match.group(1, 2, 3)), marked=True)
    for match in _WITH_UNIT.finditer(text):
        yield from _amount(match, _value(*match.group(1, 2, 3)), _fraction(match), marked=True)
    for match in _SPELT.finditer(text):
        if not _is_nothing(match):
            yield from _amount(match, _spelt(match[1]), _fraction(match), marked=True)
    for pattern in (_SMALL, _CENTS):
        for match in pattern.finditer(text):
            if not _is_nothing(match):
                yield from _amount(match, Decimal(0), _fraction(match), marked=True)
    for match in _SPELT_ROUND.finditer(text):
        yield from _amount(match, _spelt(match[1]), marked=False)
    for match in _SCALED.finditer(text):
        yield from _amount(match, _value(*match.group(1, 2, 3)), marked=False)
    for match in _SPELT_EN.finditer(text):
        if match["yuan"] or any(scale in match[1].lower() for scale in _SCALES_EN):
            yield from _amount(match, _english(match[1].lower()), marked=match["yuan"] is not None)
    for pattern, least in ((_SPOKEN, 10), (_NAMED, 100), (_BEFORE_USE, 100), (_ALONE, 100)):
        for match in pattern.finditer(text):
            value = _value(match[1]) if match[1][0].isascii() else _spelt(match[1])
            # Next to a word for money a fraction is enough.
            worded = "." in match[1] and pattern in (_SPOKEN, _NAMED)
            if value is not None and (value >= least or worded) and 0 < value < _MOST_BARE:
                yield from _amount(match, value, group=1, marked=False)


def _amount(
    match: re.Match[str], yuan: Decimal | None, fraction: Decimal = Decimal(0), *, group: int = 0, marked: bool
) -> Iterator[Amount]:
    fen = None if yuan is None else (yuan + fraction) * 100
    if fen is not None and fen == fen.to_integral_value() and 0 <= fen < _MOST:
        yield Amount(start=match.start(group), end=match.end(group), fen=int(fen), marked=marked)


def _is_nothing(match: re.Match[str]) -> bool:
    if not _NOTHING.fullmatch(match[0]):
        return False
    before = match.string[max(0, match.start() - _NOTHING_REACH) : match.start()]
    named = before.endswith(("多", "扣", "收", "多了", "扣了", "收了"))
    return bool(_NEGATED_BEFORE.search(before) or (not named and _NEGATED_AFTER.match(match.string, match.end())))


def _value(number: str, scale: str | None = None, tail: str | None = None) -> Decimal | None:
    """1.5 and w make 15,000; in 1w5 and 1万5 the tail counts thousands, in 1万零5 and 1万500 it counts itself."""
    value = Decimal(number.replace(",", ""))
    if not scale:
        return value
    factor = 1
    for char in scale.lower():
        factor *= _SCALES[char]
    if not tail:
        return value * factor
    plain = tail.lstrip("零")
    if plain.isdigit() and len(tail) > 1:
        return value * factor + Decimal(plain)
    whole = chinese_number(f"一{scale.lower().replace('w', '万').replace('k', '千')}{tail.translate(_SPELT_DIGITS)}")
    return None if whole is None else (value - 1) * factor + whole


def _spelt(text: str) -> Decimal | None:
    number = chinese_number(text)
    return None if number is None else Decimal(number)


def _fraction(match: re.Match[str]) -> Decimal:
    """What stands after the yuan: 角, 分, or one digit that counts 角."""
    said = match.groupdict()
    tenths = "5" if said.get("tail") == "半" else said.get("tail") or said.get("tenths")
    value = Decimal(0)
    for digits, worth in ((tenths, 10), (said.get("hundredths"), 100), (said.get("cents"), 100)):
        if digits:
            value += (Decimal(digits) if digits[0].isascii() else Decimal(_DIGITS[digits])) / worth
    return value


def _english(text: str) -> Decimal | None:
    """Two thousand five hundred, 10 thousand, fifteen hundred; None for what is no number, such as two three."""
    total = section = Decimal(0)
    last = 0
    for word in re.split(r",? and |[ -]", text):
        if word == "hundred":
            section, last = (section or Decimal(1)) * 100, 0
        elif word in _SCALES_EN:
            total, section, last = total + (section or Decimal(1)) * _SCALES_EN[word], Decimal(0), 0
        elif word:
            known = _WORDS_EN.get(word)
            value = Decimal(word.replace(",", "")) if known is None else Decimal(known)
            if last and not (last >= 20 and value < 10):
                return None
            section, last = section + value, int(value)
    return total + section


def chinese_number(text: str) -> int | None:
    """三千五 is 3,500 and 一千零五 is 1,005; None for what is no number, such as the range 三五千."""
    total = section = digit = 0
    pending = after_zero = False
    last_unit = 1
    for char in text:
        if char in "零〇":
            after_zero = True
        elif char in _DIGITS:
            if pending:
                return None
            digit, pending = _DIGITS[char], True
        elif char in _UNITS:
            section += (digit if pending else 1) * _UNITS[char]
            digit, pending, after_zero, last_unit = 0, False, False, _UNITS[char]
        elif char in "万亿":
            scale = _SCALES[char]
            total = (total + section + digit) * scale if scale > 10_000 else total + (section + digit) * scale
            section = digit = 0
            pending = after_zero = False
            last_unit = scale
        else:
            return None
    shorthand = last_unit // 10 if pending and not after_zero and last_unit >= 100 else 1
    return total + section + digit * shorthand
