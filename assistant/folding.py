"""One character for another, so that what looks the same is read the same; offsets into the original are kept."""

import re
import unicodedata
from functools import lru_cache

_DIGITS_ZH = str.maketrans("零〇○一二三四五六七八九幺壹贰叁肆伍陆柒捌玖", "00012345678911" + "23456789")
# Only the traditional forms of characters that the rules and the slot words use; this is no converter.
_TRADITIONAL = str.maketrans(
    "帳戶賬號錢轉殺詐騙幫還貸車費凍結銷園機簽債務辦實說話電腦驗證碼額單據銀壓圖數萬億個兩幾歲網復複徵訴賠償"
    "紅隱開關閉點時間後來從這誰讓給買賣會議遠觀屬親臉國檢際執罰運營繳納綁陸號認識斷絕語氣無盡輕離見為與過"
    "盜匯簡訊唄該聯繫註麼們嗎對應該請問題發現聽誠協調減樓藥體頭臺東馬風飛條"
    "週節農曆陰聖誕勞慶內筆塊圓約餘僅滿連續選換變種樣級剛舊較總團隨雲門購裝遊學習訓醫療傢雙線層張寬準備長邊當禮別沒錯兒",
    "账户账号钱转杀诈骗帮还贷车费冻结销园机签债务办实说话电脑验证码额单据银压图数万亿个两几岁网复复征诉赔偿"
    "红隐开关闭点时间后来从这谁让给买卖会议远观属亲脸国检际执罚运营缴纳绑陆号认识断绝语气无尽轻离见为与过"
    "盗汇简讯呗该联系注么们吗对应该请问题发现听诚协调减楼药体头台东马风飞条"
    "周节农历阴圣诞劳庆内笔块圆约余仅满连续选换变种样级刚旧较总团随云门购装游学习训医疗家双线层张宽准备长边当礼别没错儿",
)
_HAN = range(0x4E00, 0xA000)
_SENTENCE_END = re.compile(r"[。!?\n]|\.(?=\s|$)")
_SENTENCE_REACH = 80
_CLAUSE_MARKS = '，,。.；;！!？?：:\n“”"「」、()（）[]《》'


def fold(text: str) -> str:
    """Full-width forms and the digits of any script as ASCII; the length does not change."""
    return text if text.isascii() else "".join(map(_folded, text))


@lru_cache(maxsize=8192)
def _folded(char: str) -> str:
    code = ord(char)
    if 0xFF01 <= code <= 0xFF5E:
        return chr(code - 0xFEE0)
    if code == 0x3000 or char in "\u00a0\u2002\u2003\u2009\u202f":
        return " "
    if code == 0xFFE5:
        return "\u00a5"
    if 0x2010 <= code <= 0x2015 or code == 0x2212:
        return "-"
    digit = unicodedata.digit(char, None)
    return char if digit is None else str(digit)


def digits_from_chinese(text: str) -> str:
    """Chinese numerals of one digit as ASCII digits, one for one: 一三八 becomes 138."""
    return text.translate(_DIGITS_ZH)


def simplify(text: str) -> str:
    """Traditional forms of the words the rules look for, one for one."""
    return text.translate(_TRADITIONAL)


def caseless(text: str) -> str:
    """Lower case, one for one: the few characters whose lower case is longer stay as they are."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(char.lower() if len(char.lower()) == 1 else char for char in text)


def squeeze(text: str) -> tuple[str, tuple[int, ...]]:
    """Without what stands between two Chinese characters and is neither a letter, a digit nor a clause mark.

    Returns the text and, for each of its characters, the offset in the original: 安 全·账*户 reads 安全账户.
    """
    kept: list[int] = []
    index, length = 0, len(text)
    while index < length:
        kept.append(index)
        after = index + 1
        if ord(text[index]) in _HAN:
            while after < length and _is_noise(text[after]):
                after += 1
            if after < length and ord(text[after]) not in _HAN:
                after = index + 1
        index = after
    return "".join(text[index] for index in kept), tuple(kept)


def _is_noise(char: str) -> bool:
    # Clause marks stay: what one clause denies must not run into the next.
    return not char.isalnum() and char not in _CLAUSE_MARKS


def sentence_round(text: str, start: int, end: int) -> tuple[int, int]:
    """The sentence round a span, as offsets; cut where it is very long, so that the time stays linear."""
    low, high = max(0, start - _SENTENCE_REACH), end + _SENTENCE_REACH
    stops = [stop.end() for stop in _SENTENCE_END.finditer(text, low, start)]
    stop = _SENTENCE_END.search(text, end, high)
    return (stops[-1] if stops else low), (stop.start() if stop else min(len(text), high))
