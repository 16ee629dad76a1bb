"""What a message names: sums, days, terms, products, brands, loans, phone, whole or part. Nothing is guessed."""

import re
from collections.abc import Sequence
from datetime import date
from typing import Literal, Protocol, TypeVar

from assistant.amounts import chinese_number, find_amounts
from assistant.dates import find_dates
from assistant.folding import caseless, fold, simplify
from assistant.types.understanding import Language, Product, Slots

# In 两万五一年 the sum ends in a digit, in 两三年 there is no number.
_N = (
    r"(?:(?<![一二两三四五六七八九十几])|(?<=[万千][一二三四五六七八九]))"
    r"([0-9]{1,3}|[一二三四五六七八九]?十[一二三四五六七八九]?|[一二两三四五六七八九])"
)
# How long something has lasted, is kept or is owed is no term; 分了12期 is one.
_OWED = "最近 过去 逾期 拖欠 提前 连续 已经 超过 至少 已还 还过 先还 剩下 剩余 还剩 每隔"
_LASTING = "工作 上班 入职 注册 开通 使用 保存 保留 记录 效期 失业 毕业 宽限 暂停 延期 推迟 期间 开店 客户 用户"
_NO_TERM = r"(?<!(?<![分办选贷借成点改换不])了)(?<![近前上下这本第每后快晚满隔头欠剩拖停缓.0-9])" + "".join(
    rf"(?<!{word})" for word in _OWED.split()
)
_NO_TIME = _NO_TERM + "".join(rf"(?<!{word})" for word in _LASTING.split())
_STILL_A_TERM = (
    r"(?!之?后|以后|之?前|以前|[之以]?内|没(?!有[吗么呢])|未|了|度|利率|化|费|级|以?来(?![还分付])|多(?!少)|以上|里|间|"
    r"不[还用登动交缴发]|都[没不在]|[还付扣交]?一次(?!性|还|付|结)|"
    r"的?(?:账单|流水|记录|明细|工资|社保|公积金|老|客户|用户|经验|历史))"
)
_TERMS_ZH = (
    (re.compile(rf"{_NO_TERM}{_N}\s?个?期(?!内|间|账单|[没未][还到扣付])|分\s?{_N}其"), 1),
    (re.compile(rf"{_NO_TIME}{_N}\s?个月{_STILL_A_TERM}"), 1),
    (re.compile(rf"{_NO_TIME}{_N}\s?年(?!半|[0-9]|[一二三四五六七八九十]月){_STILL_A_TERM}"), 12),
)
_YEARS_AND_A_HALF = re.compile(rf"{_NO_TIME}{_N}(?:年半|\.5\s?年){_STILL_A_TERM}")
_NUMBERS_EN = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen"
)
_COUNTS_EN = {word: value for value, word in enumerate(_NUMBERS_EN.split(), 1)} | {
    "twenty-four": 24,
    "twenty four": 24,
    "thirty-six": 36,
    "thirty six": 36,
}
_COUNT_EN = rf"([0-9]{{1,3}}|{'|'.join(sorted(_COUNTS_EN, key=len, reverse=True))})"
_STILL_A_TERM_EN = (
    r"\b(?! (?:ago|later?|from|old|overdue|behind|now|straight|in a row|free|running|statements?|history|"
    r"of (?:statements?|bills|history|records)))"
)
_TERMS_EN = (
    (re.compile(rf"(?<!in )(?<![0-9.])\b{_COUNT_EN}[- ]?(?:months?|mths?|mos?){_STILL_A_TERM_EN}"), 1),
    (re.compile(rf"\b{_COUNT_EN}[- ](?:equal |monthly ){{0,2}}instal+e?ments?{_STILL_A_TERM_EN}"), 1),
    (re.compile(rf"\b{_COUNT_EN}[- ](?:equal |monthly ){{1,2}}(?:re)?payments?{_STILL_A_TERM_EN}"), 1),
    (
        re.compile(
            rf"\b(?:split|spread|divide)\b[^.,;!?0-9]{{0,24}}\b(?:in|into|over) {_COUNT_EN}\b(?! ?[a-z%,.]?[a-z])"
        ),
        1,
    ),
    (re.compile(rf"(?<!in )(?<![0-9.])\b{_COUNT_EN}[- ]?(?:years?|yrs?){_STILL_A_TERM_EN}"), 12),
)
_FIXED_TERMS = (
    (re.compile(rf"{_NO_TIME}半年{_STILL_A_TERM}|\bhalf a year\b"), 6),
    (re.compile(rf"\b(?:over|for|within) (?:a|one) month{_STILL_A_TERM_EN}"), 1),
    (re.compile(rf"\b(?:over|for|within) (?:a|one) year{_STILL_A_TERM_EN}(?! and)"), 12),
    (re.compile(r"\b(?:a year and a half|(?:one and a half|1\.5) years)\b"), 18),
)
_LASTING_EN = re.compile(
    r"\b(?:(?:been|haven't|hasn't|without|overdue|late|behind|missed|unpaid|wait(?:ed|ing)|work(?:ed|ing)|employed|"
    r"customer|member|used(?! to)|using|since)\b[^.,;!?]*|"
    r"(?:every|past|last|previous|first|more than|after)(?: the)? )$"
)
# One month or instalment is the current one, unless money is borrowed for it.
_FOR_ONE = re.compile(r"(?:[借贷][了款]?[1一]\s?个月|分成?[1一]\s?期)$|\b(?:over|for|within) (?:a|one|1) month$")
_LONGEST_TERM = 360

# Where several values are named, the words around one may tell which is meant.
_AND = r"(?:到|至|-{1,2}|~|/|、|或者?是?|还是|和|跟|与|以及|or|and|to|vs\.?)"
_JOIN = rf"[,、]?\s?{_AND}\s?(?:第|借|还|分|的|是|for |on |the )?"
_JOINED = re.compile(_JOIN)
_NUMBER_JOINED = re.compile(rf"(?:[0-9一二两三四五六七八九十百千万kw]|\b{_COUNT_EN}){_JOIN}$")
_JOINED_NUMBER = re.compile(rf"(?<=[0-9百千万kw元块]){_JOIN}[0-9]")
_MOVED = re.compile(r"\b(?:change|move|switch|push|shift|extend|reduce|increase|raise|lower|postpone)\b")
_DENIED = re.compile(
    r"(?:(?<![能是要想可行用])不(?:是|要|想|用|能|打算|需要|必)?再?(?:借|还|分|选|办|付|贷|改|提|取|约|说)?[成了的个款]?|"
    r"别再?(?:借|还|分|选|办)?|并非|没(?:说|想|要|打算)(?:要|过|借|还|分){0,2}|取消)$|"
    r"(?:\b(?:not|instead of|rather than)|n't)(?: (?!but\b)[a-z']+){0,4} ?$"
)
_DENIED_AFTER = re.compile(
    r"[^,。;!?]{0,3}(?<![可能行够要])(?:不[行够对]|不可以|[到还付]不了|不要|不用|不能|来不及|不方便|太[多少长短早晚久高]|"
    r"错了|算了|没空|没钱|有事)|"
    r" (?:is |was )?(?:too|wrong|won't|doesn't|isn't|not)\b"
)
# Strongest first: put right, all that is asked for, wished.
_SETTLED = (
    re.compile(
        r"(?:改|换|调整?|挪|推迟?|延)[成为到至回借还分约选要]?[个了]?$|"
        r"(?:而是|应该是|其实是|说的是|我是说|更正[为:]?|"
        r"(?:说错了?|不对|哦不|(?<![只才])算了|要不|干脆|那就)[,。]?(?:还是|应该是|是)?)[借还分要]?$|"
        r"\b(?:but|make (?:it|that)|actually|sorry|i mean)\W{0,2}(?:for |on |the )*$|"
        rf"{_MOVED.pattern}[^.;!?]*\bto (?:the )?$"
    ),
    re.compile(
        r"(?:[只仅就][想要能需用借还分付取提贷拿够]|先[还借付分])[^,。;!?0-9]{0,8}$|"
        r"\b(?:(?:only|just) (?:want|need|borrow|repay|pay|take|use)|(?:want|need|borrow|repay|pay) (?:only|just))\b"
        r"[^,.;!?0-9]*$"
    ),
    re.compile(
        r"(?:想|打算|准备|希望|需要)[^,。;!?0-9]{0,8}$|"
        r"\b(?:want|like|need|plan|hope|let me|can i|could i)\b[^,.;!?0-9]{0,20}$"
    ),
)
_REACH = 30

_PURPOSES = {
    "装修": "装修|装潢|renovation|decoration",
    "手机": "手机|i?phone",
    "家电": "家电|电器|冰箱|空调|电视机?|洗衣机|appliances?",
    "旅行": "旅行|旅游|travel|trip|holiday",
    "进修": "进修|培训|学习|study|training",
    "婚庆": "婚庆|结婚|婚礼|wedding",
    "教育": "教育|学费|留学|education|tuition",
    "医疗": "医疗|看病|手术|medical",
    "购车": "购车|买车|car",
    "电脑": "电脑|笔记本|laptop|computer",
    "家具": "家具|沙发|furniture",
    "租房": "租房|房租|rent",
}
_THAT_LOAN = r"(?:的|用的|借的)?(?:那|这)?(?:一)?(?:笔|个贷款|次)"
_LOAN_ID = re.compile(r"(?<![A-Za-z0-9])[Ll][0-9]{3,10}(?![0-9A-Za-z])")
_PURPOSE = tuple(
    (
        purpose,
        re.compile(
            rf"(?:{words})(?:{_THAT_LOAN}|贷款|的?借款|的?贷)|\b(?:{words}) (?:loan|one)\b|"
            rf"\b(?:the|my) (?:loan|one) for (?:my |the |our |a )?(?:{words})\b"
        ),
    )
    for purpose, words in _PURPOSES.items()
)
# A payment or a bill is pointed at in the same way.
_NO_PAYMENT = r"(?!扣|还款(?![日额计])|付款|支付|交易|消费|账单|订单|支出|流水|转账|退款|提现)"
_ORDINAL = re.compile(rf"(?<!倒数)第{_N}(?:笔{_NO_PAYMENT}|个(?:贷款|借款|[。!?]*$))")
_ORDINAL_EN = re.compile(
    r"\b(?:the )?(first|second|third|fourth|fifth|1st|2nd|3rd|4th|5th) (?:loan|one)\b|"
    r"\bloan (?:#|no\.? ?|number )(1|2|3|4|5|one|two|three|four|five)\b"
)
_ORDINALS_EN = {
    word: place
    for place, words in enumerate(
        ("first 1st 1 one", "second 2nd 2 two", "third 3rd 3 three", "fourth 4th 4 four", "fifth 5th 5 five"), 1
    )
    for word in words.split()
}
_CERTAIN = rf"(?:的(?:那|这)?一?|(?:那|这)一?)笔{_NO_PAYMENT}"
_THAT_ONE = r"的?(?:那|这)个(?=$|[,。!?]|还[了掉清多剩]|先|结|提前|什么|到期|利率)"
_ONE = rf"(?:{_CERTAIN}|一?笔{_NO_PAYMENT}|{_THAT_ONE}|的(?:贷款|借款)(?![额金利期政活产条方]))"
_OF_SIZE = rf"(?:{_ONE}|的(?=$|[,。!?]|先?还[了掉清吧]|结清))"
_ONE_EN = r"(?: (?:loan|one)\b|(?=$|[,.!?]| first\b| please\b))"
_POINTERS = tuple(
    (pointer, re.compile(pattern))
    for pointer, pattern in (
        (
            "newest",
            rf"(?:最近|最新|最后)(?:一次)?借?{_ONE}|(?:刚[刚才]?|上个?月|新)借?{_CERTAIN}|"
            r"(?:最近|刚刚?|上个?月|才|最后)(?:一次)?借的|最新借款(?![额金利期政活产条方])|"
            r"\b(?:most recent|recent|newest|latest|last) (?:loan|one)\b",
        ),
        ("oldest", rf"最[早先老久]借?{_ONE}|(?:最[早先]|第一次)借的|\b(?:oldest|earliest){_ONE_EN}"),
        (
            "largest",
            rf"(?:最大|最多|金额大|大一点|大额|较大|数额大|(?<!利率)(?<!利息)最高){_OF_SIZE}|"
            rf"(?<![最多])大(?:{_CERTAIN}|{_THAT_ONE})|"
            rf"\b(?:bigger|larger) (?:loan|one)\b|\bbig one\b|\b(?:largest|biggest){_ONE_EN}",
        ),
        (
            "smallest",
            rf"(?:最小|最少|金额小|小一点|小额|较小|数额小){_OF_SIZE}|(?<!最)小(?:{_CERTAIN}|{_THAT_ONE})|"
            rf"\b(?:smaller loan|smaller one|small one)\b|\bsmallest{_ONE_EN}",
        ),
    )
)

_ALL_EN = r"(?:(?:it|them|this|that) )?(?:all|everything|in full|the (?:full|whole|entire) \w+|(?:my|the) whole \w+)\b"
_FULL = re.compile(
    r"全部(?:都|一次性?)?(?:还|结|清|提前|付)|全还(?![不有])|全额[还结付]|[全都][都给]?(?:还[掉清了完上]|[结付][掉清完])|"
    r"整笔(?:都|全|一次性?)?[还结付][掉清了完]|一次性(?:全部|全)?[还结付]|一次[还结付][清完掉]|"
    r"[还结付]清|结了吧|还[完光]|^全部[。.!]?$|"
    rf"\b(?:pay(?:ing)?|repay(?:ing)?|clear(?:ing)?|settl(?:e|ing)) (?:off |back )?{_ALL_EN}|"
    r"\bclear(?:ing)? (?:my|the|this) (?:\w+ )?(?:debt|loan|balance)\b|"
    r"\bsettle\b(?! (?:a |the |my |this )?(?:complaint|dispute|issue|matter))|"
    r"\bpay(?:ing)? (?:it |them |this |that )?(?:all )?off|\bin full\b|\bfull amount\b"
)
_NOT_FULL = re.compile(
    r"(?:(?<![能是要想用可])不|[没未别])(?:想|要|用|是|能|打算|需要|说|让)?[要想过]?(?:全部|全|一次性|一次)?[还结付]?清?"
    r"(?:全部|还清|结清|付清|还完|还)|"
    r"(?:还|结|付)清(?:了|过|的|后|之后|以后|证明|多久|没)|(?:刚|已经?|早就?|以)(?:全部|都|全)?还(?:清|完|了)|"
    r"还完(?:了|后|以后|之后|的|才|是|可以|再|这|当天|就)|"
    r"(?:全部|都|全)还[完清掉光上]?了(?:为什么|怎么|咋|还|额度|可[用借]|,)|"
    r"(?:\b(?:not|never|without|already)\b|n't\b)[^.,;!?]{0,24}\b(?:full|off|everything|all|whole|settle)\b"
)
_PART = re.compile(
    r"一部分|部分(?:提前)?[还结]|还部分|还一[点些半]|先还[点些]|先还一|还一半|还(?:个|其中)?[一二两三四五六七八九]分之|"
    r"还(?:百分之|[0-9]{1,2}%|\s?1/[2-9])|"
    r"\b(?:part of|partial(?:ly)?|some of|half of|a (?:third|quarter|portion) of)\b|\bpay (?:back )?half\b"
)
_SOME = re.compile(
    r"先还|(?<![不没])[提体]前[还环]|先付|\b(?:early|ahead of time)\b|\brepay .{0,12}of\b|[0-9k] (?:yuan |rmb )?first\b"
)
_REPAYING = re.compile(r"还|付|\b(?:re)?pay")

_PHONE = re.compile(r"\[PHONE_[0-9]+\]")
_PLACEHOLDER = re.compile(r"\[[A-Z]+_[0-9]+\]")
_HAN = re.compile(r"[\u4e00-\u9fff]")
_LATIN = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")

_T = TypeVar("_T")


class Mention(Protocol):
    """A product word by character offsets: whose product, and which of ours it corresponds to."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def product(self) -> Product: ...
    @property
    def brand(self) -> str | None: ...


class Glossary(Protocol):
    """Knows the product words."""

    def mentions(self, text: str) -> Sequence[Mention]:
        """Product words from left to right."""
        ...


def extract(text: str, on: date, glossary: Glossary) -> Slots:
    """The slots of a masked message read on an Asia/Shanghai day.

    Of several days or terms that nothing decides between the first; of several sums none, since sums move money.
    """
    plain = caseless(simplify(fold(text)))
    amounts = [(amount.start, amount.end, amount.fen) for amount in find_amounts(text)]
    sums = _meant(plain, amounts)
    days = _meant(plain, [(day.start, day.end, day.date) for day in find_dates(text, on)])
    terms = _meant(plain, _terms(plain))
    phones = _PHONE.findall(text)
    product, brand = _product(plain, glossary.mentions(text))
    return Slots(
        amount_fen=sums[0] if len(sums) == 1 else None,
        date=days[0] if days else None,
        term_months=terms[0] if terms else None,
        product=product,
        brand=brand,
        loan=_loan(plain),
        phone=phones[-1] if phones else None,
        part=_part(plain, bool(amounts)),
    )


def language(text: str) -> Language:
    """Chinese unless Latin words outweigh Chinese characters."""
    plain = _PLACEHOLDER.sub(" ", text)
    words, han = len(_LATIN.findall(plain)), len(_HAN.findall(plain))
    return "en" if words > han or (words == han and words > 1) else "zh"


def _meant(text: str, said: Sequence[tuple[int, int, _T]]) -> tuple[_T, ...]:
    """The different values that the words settle on: not a range or an alternative, not denied, best wished for."""
    kept = [one for place, one in enumerate(said) if not _is_alternative(text, said, place)]
    left = [one for one in kept if not _is_denied(text, one[0], one[1])] or kept
    for sign in _SETTLED:
        signed = [one for one in left if sign.search(text, max(0, one[0] - 2 * _REACH), one[0])]
        if len({value for _, _, value in signed}) == 1:
            left = signed
            break
    return tuple(dict.fromkeys(value for _, _, value in left))


def _is_alternative(text: str, said: Sequence[tuple[int, int, _T]], place: int) -> bool:
    """Whether it is one end of a range or one of several to choose from; the other may be a bare number."""
    start, end, _ = said[place]
    if _MOVED.search(text, max(0, start - 2 * _REACH), start):
        return False
    before = said[place - 1][1] if place else None
    after = said[place + 1][0] if place + 1 < len(said) else None
    return bool(
        (before is not None and _JOINED.fullmatch(text, before, start))
        or (after is not None and _JOINED.fullmatch(text, end, after))
        or _NUMBER_JOINED.search(text, max(0, start - _REACH), start)
        or _JOINED_NUMBER.match(text, end)
    )


def _is_denied(text: str, start: int, end: int) -> bool:
    return bool(_DENIED.search(text, max(0, start - _REACH), start) or _DENIED_AFTER.match(text, end))


def _product(text: str, mentions: Sequence[Mention]) -> tuple[Product | None, str | None]:
    """Our own product where it is named at all, otherwise the first; one that is denied only for want of another."""
    wanted = [mention for mention in mentions if not _is_denied(text, mention.start, mention.end)] or mentions
    ours = [mention for mention in wanted if mention.brand is None]
    chosen = next(iter(ours or wanted), None)
    return (chosen.product, chosen.brand) if chosen else (None, None)


def _terms(text: str) -> list[tuple[int, int, int]]:
    found: list[tuple[int, int, int]] = []
    for pattern, months in _FIXED_TERMS:
        found += [(*match.span(), months) for match in pattern.finditer(text)]
    for match in _YEARS_AND_A_HALF.finditer(text):
        found.append((*match.span(), 12 * _number(match[1]) + 6))
    for pattern, months in (*_TERMS_ZH, *_TERMS_EN):
        found += [(*match.span(), months * _number(match[match.lastindex or 0])) for match in pattern.finditer(text)]
    return sorted(
        (start, end, months)
        for start, end, months in found
        if (months > 1 or (months and _FOR_ONE.search(text, max(0, start - _REACH), end)))
        and months <= _LONGEST_TERM
        and not _LASTING_EN.search(text, max(0, start - 2 * _REACH), start)
    )


def _number(text: str) -> int:
    if text.isdigit():
        return int(text)
    return _COUNTS_EN.get(text) or chinese_number(text) or 0


def _loan(text: str) -> str | None:
    if match := _LOAN_ID.search(text):
        return f"id:{match[0].upper()}"
    for purpose, pattern in _PURPOSE:
        if pattern.search(text):
            return f"purpose:{purpose}"
    if match := _ORDINAL.search(text):
        return f"#{_number(match[1])}"
    if match := _ORDINAL_EN.search(text):
        return f"#{_ORDINALS_EN[match[1] or match[2]]}"
    return next((pointer for pointer, pattern in _POINTERS if pattern.search(text)), None)


def _part(text: str, has_amount: bool) -> Literal["full", "part"] | None:
    if _PART.search(text):
        return "part"
    if _FULL.search(text) and not _NOT_FULL.search(text):
        return "full"
    return "part" if has_amount and _SOME.search(text) and _REPAYING.search(text) else None
