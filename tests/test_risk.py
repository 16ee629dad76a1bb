"""Signs of danger, and what only looks like one."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.risk import detect, load_rules
from assistant.types.understanding import RiskKind

RULES = load_rules()


def _high(text: str) -> set[RiskKind]:
    return {signal.kind for signal in detect(text, RULES) if signal.level == "high"}


@pytest.mark.parametrize(
    "text",
    [
        "有人说是你们客服 让我把钱转到安全账户",
        "把 钱 转 到 安 全 账 户 可以吗",
        "把·钱·转到安*全*账*户",
        "把錢轉到安全賬戶",
        "客服打电话说要帮我注销校园贷，不然影响征信",
        "对方让我先交解冻费才能放款",
        "放款前要我先交保证金",
        "让我下载会议软件共享屏幕",
        "民警说我涉嫌洗钱，要核查资金",
        "我刷单被骗了三万",
        "有中介收我3000修复征信",
        "他打电话要我报验证码",
        "我把验证码告诉他了",
        "让我往个人账户还款对吗",
        "I was scammed",
        "They told me to transfer money to a safe account",
        "the caller asked me to share my screen",
        "they want me to pay a deposit before the loan",
    ],
)
def test_somebody_being_deceived_is_noticed(text: str) -> None:
    assert "scam_victim" in _high(text)


@pytest.mark.parametrize(
    "text",
    [
        "我账号被盗刷了",
        "这笔借款不是我借的",
        "我根本没借过钱，怎么有一笔贷款",
        "有人用我的身份证贷款",
        "异地登录了我的账号",
        "我的花唄被盜刷了",
        "Someone used my account to borrow",
        "I never took this loan",
        "my account was hacked",
    ],
)
def test_a_stolen_account_is_noticed(text: str) -> None:
    assert "account_takeover" in _high(text)


@pytest.mark.parametrize(
    "text",
    [
        "我不想活了",
        "不 想 活 了",
        "欠这么多钱真想死",
        "活着没意思",
        "我只能去跳楼了",
        "想一了百了",
        "你们再逼我我就死给你们看",
        "I want to kill myself",
        "I don't want to live",
        "there is no reason to live",
    ],
)
def test_somebody_who_may_hurt_themselves_is_noticed(text: str) -> None:
    assert "self_harm" in _high(text)


def test_abuse_and_complaint_agents_are_noticed() -> None:
    assert _high("你们是傻逼吗") == {"abuse"}
    assert _high("fuck you") == {"abuse"}
    assert _high("我受客户委托，就其借款进行投诉") == {"proxy_complaint"}
    (template,) = detect("根据《银行业保险业消费投诉处理管理办法》第十条，要求贵公司书面答复", RULES)
    assert (template.kind, template.level) == ("proxy_complaint", "warn")


@pytest.mark.parametrize(
    "text",
    [
        "你们公告说谨防转到安全账户的骗局",
        "有安全账户吗",
        "is there a safe account",
        "do you ask customers to move money to a safe account",
        "I'm dying to know my limit",
        "累死了，还要排队",
        "我要投诉你们乱收费",
        "官方客服电话是多少",
        "气死我了",
        "笑死我了",
        "想死你们了",
        "手机死机了",
        "提前还款要交手续费吗",
        "分期是先交手续费吗",
        "花呗收款要交押金吗",
        "你们会让我共享屏幕吗",
        "客服会不会要我的验证码",
        "要我输入验证码但收不到",
        "怕被盗刷怎么办",
        "我没借过款，为什么额度这么低",
        "这家店活不下去了想申请延期",
        "一次性信用修复政策是什么",
        "换了新手机怎么登录",
        "可以让家人登录我的账号吗",
        "我妈的卡能还吗",
        "不是我不想还，是没钱",
        "你们利息太高了简直骗人",
        "I didn't get the code, send it again",
        "我没有操作过分期，怎么取消",
        "我没想死，就是问问",
    ],
)
def test_what_only_sounds_dangerous_interrupts_nobody(text: str) -> None:
    assert _high(text) == set()


def test_the_evidence_is_the_span_as_it_was_written() -> None:
    text = "有人说是你们客服，让我把钱转到安 全 账 户，急"
    (signal,) = detect(text, RULES)
    assert signal.evidence == "转到安 全 账 户"
    assert signal.evidence in text
    assert signal.rule == "scam.safe_account"


def test_each_danger_is_told_once_at_its_highest_level() -> None:
    signals = detect("这是不是诈骗？他让我把钱转到安全账户，还要我共享屏幕", RULES)
    assert [(signal.kind, signal.level) for signal in signals] == [("scam_victim", "high")]


def test_a_denied_sign_does_not_hide_one_in_the_next_sentence() -> None:
    assert _high("我没想死。可是真的活不下去了") == {"self_harm"}


@pytest.mark.parametrize(
    "piece",
    [
        "转",
        "把验证码",
        "我没",
        "让我转",
        "被骗",
        "不想",
        "《",
        "贵司",
        "根据《aa》",
        "transfer ",
        "asked for the ",
        "a",
        "安 ",
        "someone used ",
        "修复征信",
        "有笔",
        "先交",
        "新闻让我转安全账户",
        "你们会",
        "死",
    ],
)
def test_detection_stays_fast_on_hostile_text(piece: str) -> None:
    text = (piece * 2_000)[:2_000]
    best = min(_seconds(text) for _ in range(3))
    assert best < 1


def _seconds(text: str) -> float:
    started = time.perf_counter()
    detect(text, RULES)
    return time.perf_counter() - started


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=80),
    st.sampled_from(["我不想活了", "被盗刷了", "İ 让我转到安全账户", "fuck you"]),
    st.text(max_size=20),
)
def test_evidence_is_always_a_span_of_the_text(before: str, core: str, after: str) -> None:
    text = before + core + after
    for signal in detect(text, RULES):
        assert signal.evidence in text
