"""Where personal data stands in a text. Every pattern is bounded, so the time grows with the length and no faster."""

import re
from collections.abc import Iterator
from datetime import date
from typing import Literal

from assistant.folding import digits_from_chinese, fold
from assistant.types.value import Value

Kind = Literal["phone", "id_number", "bank_card", "email", "name", "address", "code"]

_GAP = r"[ .\-]{0,2}"
_PHONE = re.compile(rf"(?<![0-9])(?:(?:\+|00)?86{_GAP})?1{_GAP}[3-9](?:{_GAP}[0-9]){{9}}(?![0-9])")
_LANDLINE = re.compile(r"(?<![0-9\-])0[1-9][0-9]{1,2}[ \-]?[2-8][0-9]{6,7}(?![0-9\-])")
_ID = re.compile(rf"(?<![0-9])[1-9](?:{_GAP}[0-9]){{16}}{_GAP}[0-9Xx](?![0-9A-Za-z])")
_CARD = re.compile(r"(?<![0-9])[3-69](?:[ \-]{0,2}[0-9]){12,18}(?![0-9])")
_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+\-])[A-Za-z0-9._%+\-]{1,64}@[A-Za-z0-9\-]{1,63}(?:\.[A-Za-z0-9\-]{1,63}){0,3}\.[A-Za-z]{2,24}"
)
_CODE_WORD = (
    r"(?:验证码|校验码|动态码|动态密码|短信码|verification code|one[- ]time (?:code|password)|passcode|otp|sms code)"
)
_IS = r"(?:是|为|发的是|收到的?是?|is|was|[:： =“\"'「]){0,4}"
_CODE_AFTER = re.compile(rf"(?i:{_CODE_WORD}{_IS})([0-9]{{4,8}})(?![0-9]|\s?[元块分秒])")
_CODE_LOOSE = re.compile(r"(?i:\bcode(?:\s(?:is|was)|[:： ]){0,2}\s?)([0-9]{6})(?![0-9])")
_CODE_BEFORE = re.compile(
    rf"(?i)(?<![0-9])([0-9]{{4,8}})\s?(?:是|就是|is)\s?(?:我的|我收到的|my|the)?\s?(?:{_CODE_WORD}|code\b)"
)
# What is said of a password rather than being one.
_NOT_ONE = (
    r"(?i:forgotten|wrong|incorrect|invalid|expired|locked|lost|needed|required|set|reset|not|never|always|only|too|the)"
    r"\b"
)
_SECRET = re.compile(
    r"(?i:密码(?:是|为|[:：])\s?|password(?: is|[:：])\s?|\bcvv2?(?:是|码|[:： ]){0,3})"
    rf"(?!{_NOT_ONE})([A-Za-z0-9!@#$%^&*]{{3,20}})"
)

_PIN = re.compile(r"密码\s?([0-9]{6})(?![0-9])")

_SURNAMES = (
    "欧阳|司马|上官|诸葛|东方|皇甫|尉迟|公孙|慕容|令狐|司徒|"
    "[赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦许何吕施张孔曹严华金魏陶姜戚谢邹喻柏窦章苏潘葛范彭鲁韦马苗方俞任袁柳"
    "鲍史唐费廉岑薛雷贺倪汤滕殷罗毕郝邬安常乐于时傅卞齐康伍余顾孟平黄穆萧尹姚邵汪祁毛禹狄米贝明臧戴宋茅庞熊纪舒"
    "屈项祝董梁杜阮蓝闵席季贾路娄江童颜郭梅盛林钟徐邱骆高夏蔡田樊胡凌霍虞万支柯管卢莫房解应宗丁宣邓单洪包石崔吉"
    "龚程邢裴陆荣翁段侯全班秋仲伊宫宁仇栾甘武符刘景詹束龙叶幸司黎薄印白怀从鄂索赖卓蔺屠蒙池乔阴胥苍双闻翟谭贡劳"
    "申扶冉宰桂牛寿通边扈燕浦尚农温别庄晏柴瞿阎连艾容向古易慎戈廖终居衡步都耿满弘匡国文寇广东聂曾辛关岳帅涂肖]"
)
# A second or third character that begins the next words rather than ending the name.
_NOT_IN_NAME = (
    "想要的是在，说问来有和现也就今不没已被把我你他她了吗呢吧啊去到借还欠用办查打给跟及与或这那能可会上户个号"
)
_NAME = (
    rf"((?:{_SURNAMES})[^\W\d_的了吗呢吧啊a-zA-Z](?:[^\W\d_{_NOT_IN_NAME}a-zA-Z])?|(?:{_SURNAMES})(?:先生|女士|小姐))"
)
_WHO = r"(?:我|他|她|本人|老公|老婆|爱人|儿子|女儿|爸|妈|朋友|同事)(?:就)?叫(?:做)?"
_LABEL = r"(?:名字|姓名|户名|收款人|联系人|持卡人|真名|本名)(?:姓名)?(?:是|为|叫|[:： ]){1,2}"
_NAMED = re.compile(rf"(?:{_WHO}|{_LABEL})\s?{_NAME}")
_AFTER_NAME = r"(?=$|[，,。.！!？?；;、\s]|身份证|手机|电话|的?借款|的?账)"
_I_AM = re.compile(rf"(?:我是|本人是|这里是){_NAME}{_AFTER_NAME}")
# What begins with a surname after 我是 and is none.
_NO_NAME = re.compile(
    r"高[中级校管三二一考]|白[领金户]|马上|黄[金牛]|金[牌卡融]|方[便才]|常[用客]|江[苏西]|安[徽全心]|于[是昨今]|全[额部款]|"
    r"成[年都]|单[位身亲独]|温[州馨]|时[候间]|支[付持]|任何|应[届该]|从[来前]|向[你您]|平[时台]|明[天年]|国[内企外家]|文[科员]|"
    r"广[东西州]|通过|连续|都[是有]|满[意足]|关[于闭]|双[十休]|终[于身]|居[民住]|农[民村业]|解[除绑]|管[理家]|包[月年]|华[为北南东]|"
    r"乐[意于]|武汉|蓝领|宁[波夏愿]|容易|幸[好运]|索赔|劳[动务]|何[时必]|万[一分]|路过|施工|项目|班[主里]|夏天|秋天|房[东主贷]|石家庄"
)
_MY_NAME_IS = re.compile(
    r"(?i:\b(?:my|his|her|full|real|customer|account|holder)(?:'s)? (?:full |real )?name(?:'s| is|:)\s?)"
    r"([A-Za-z][A-Za-z'\-]{1,20}(?: (?!(?i:and|but|i|from|my|the|please|with|so)\b)[A-Za-z][A-Za-z'\-]{1,20}){0,2})"
)
_I_AM_EN = re.compile(r"\b(?:I am|I'm|[Tt]his is) (?:(?:Mr|Mrs|Ms|Miss|Dr)\.? )?([A-Z][a-z]{1,20} [A-Z][a-z]{1,20})\b")

_HAN_RUN = r"[\u4e00-\u9fffA-Za-z0-9（）()\-]"
_NUMBER = r"[0-9一二三四五六七八九十百甲乙]{1,6}"
_STREET = re.compile(
    rf"{_HAN_RUN}{{2,30}}(?:大道|路|街|巷|弄|胡同|村|镇|小区|花园|公寓|大厦)\s?(?:[东西南北中]段)?\s?"
    rf"(?:{_NUMBER}|[A-Za-z])\s?(?:号楼|号|弄|栋|幢|座|单元|室|楼|组)(?:\s?[0-9A-Za-z\-一二三四五六七八九十]{{1,6}}"
    rf"\s?(?:号楼|号|栋|幢|单元|室|楼|层|座|户|房)?){{0,4}}"
)
_DISTRICTS = re.compile(
    r"[\u4e00-\u9fff]{2,7}(?:省|自治区)[\u4e00-\u9fff]{1,8}?(?:市|州|盟)[\u4e00-\u9fff]{1,8}?(?:区|县|市|旗)"
    rf"(?:{_HAN_RUN}{{1,12}}?(?:镇|乡|街道|村|社区|小区))?"
)
_BEFORE_ADDRESS = re.compile(
    r".*(?:我家|家里|住在|住址|家在|人在|公司在|位于|地址|寄到|寄往|寄给|送到|搬到|改成|改为|变更为|换成|住|在|是|为|到|[:：（(])"
)
_ADDRESS_EN = re.compile(
    r"\b[0-9]{1,5} [A-Z][a-z]{1,20}(?: [A-Z][a-z]{1,20}){0,2} (?:Road|Rd|Street|St|Avenue|Ave|Lane|Drive|Boulevard)\b"
    r"(?:,? (?:Apt|Apartment|Room|Unit|Building)\.? [0-9A-Za-z\-]{1,6})?"
)
_ABOUT_ID = re.compile(r"(?i)身份证|证件|\bid (?:number|card)|\bidentity")
_ABOUT_CARD = re.compile(r"(?i)卡号|账号|银行卡|储蓄卡|信用卡|\bcard")
_CONTEXT = 16


class Span(Value):
    """One piece of personal data, by character offsets."""

    start: int
    end: int
    kind: Kind


def find(text: str) -> tuple[Span, ...]:
    """Personal data from left to right, none inside another; checked digits go before what only looks so."""
    found: list[Span] = []
    taken = bytearray(len(text))
    for span in _candidates(text):
        if not any(taken[span.start : span.end]):
            taken[span.start : span.end] = b"\1" * (span.end - span.start)
            found.append(span)
    return tuple(sorted(found, key=lambda span: span.start))


def _candidates(text: str) -> Iterator[Span]:
    folded = fold(text)
    spoken = digits_from_chinese(folded)
    readings = (folded,) if spoken == folded else (folded, spoken)
    for reading in readings:
        yield from _numbers(reading)
    yield from _spans(_EMAIL, folded, "email")
    for pattern in (_CODE_AFTER, _CODE_LOOSE, _CODE_BEFORE, _SECRET, _PIN):
        yield from _spans(pattern, folded, "code", group=1)
    yield from _addresses(folded)
    yield from _names(folded)


def _numbers(reading: str) -> Iterator[Span]:
    for match in _ID.finditer(reading):
        if is_id_number(match[0]) or (_has_birthday(match[0]) and _near(reading, match, _ABOUT_ID)):
            yield Span(start=match.start(), end=match.end(), kind="id_number")
    for match in _CARD.finditer(reading):
        if is_card_number(match[0]) or (len(_digits(match[0])) >= 16 and _near(reading, match, _ABOUT_CARD)):
            yield Span(start=match.start(), end=match.end(), kind="bank_card")
    yield from _spans(_PHONE, reading, "phone")
    yield from _spans(_LANDLINE, reading, "phone")


def _addresses(folded: str) -> Iterator[Span]:
    for pattern in (_STREET, _DISTRICTS):
        for match in pattern.finditer(folded):
            lead = _BEFORE_ADDRESS.match(match[0])
            start = match.start() + (lead.end() if lead and lead.end() < len(match[0]) - 4 else 0)
            yield Span(start=start, end=match.end(), kind="address")
    yield from _spans(_ADDRESS_EN, folded, "address")


def _names(folded: str) -> Iterator[Span]:
    for pattern in (_NAMED, _I_AM):
        for match in pattern.finditer(folded):
            if pattern is _NAMED or not _NO_NAME.match(match[1]):
                yield Span(start=match.start(1), end=match.end(1), kind="name")
    yield from _spans(_MY_NAME_IS, folded, "name", group=1)
    yield from _spans(_I_AM_EN, folded, "name", group=1)


def _spans(pattern: re.Pattern[str], text: str, kind: Kind, group: int = 0) -> Iterator[Span]:
    for match in pattern.finditer(text):
        yield Span(start=match.start(group), end=match.end(group), kind=kind)


def _near(text: str, match: re.Match[str], words: re.Pattern[str]) -> bool:
    return words.search(text, max(0, match.start() - _CONTEXT), match.end() + _CONTEXT) is not None


def _digits(text: str) -> str:
    return "".join(char for char in text.upper() if char.isdigit() or char == "X")


def _has_birthday(number: str) -> bool:
    digits = _digits(number)
    try:
        born = date(int(digits[6:10]), int(digits[10:12]), int(digits[12:14]))
    except ValueError:
        return False
    return 1900 <= born.year <= 2100


def is_id_number(number: str) -> bool:
    """Whether 18 characters are a mainland identity number: a real birthday and the check digit of GB 11643."""
    digits = _digits(number)
    if len(digits) != 18 or not _has_birthday(digits):
        return False
    total = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(digits[:17]))
    return digits[17] == "10X98765432"[total % 11]


def is_card_number(number: str) -> bool:
    """Whether 13 to 19 digits pass the Luhn check."""
    digits = _digits(number)
    if not (13 <= len(digits) <= 19) or "X" in digits or len(set(digits)) == 1:
        return False
    doubled = (int(digit) * 2 if place % 2 else int(digit) for place, digit in enumerate(reversed(digits)))
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0
