"""The customer's page, in a real browser before the real server."""

import re
from signal import SIGKILL

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Site, Visitors
from tests.browser.people import Customer

pytestmark = pytest.mark.browser


def test_a_chinese_question_is_answered_with_a_citation_that_unfolds(visitors: Visitors) -> None:
    customer = Customer(visitors.person())
    reply = customer.say("提前还款要手续费吗")
    expect(reply).to_contain_text("AI生成")
    expect(reply.locator(".body > p").first).to_contain_text("提前还款")
    source = reply.locator("details.cite").first
    expect(source.locator("summary")).to_contain_text("依据：《")
    expect(source.locator("blockquote")).to_be_hidden()
    source.locator("summary").click()
    expect(source.locator("blockquote")).to_be_visible()
    expect(source).to_contain_text(re.compile(r"版本 .+年\d+月\d+日起施行"))


def test_a_bill_is_shown_after_verification(visitors: Visitors) -> None:
    customer = Customer(visitors.person())
    customer.say("我这期账单要还多少")
    customer.verify()
    expect(customer.reply(1)).to_contain_text(re.compile(r"还需还¥[\d,]+\.\d\d，到期日\d+月\d+日"))


def test_a_wrong_code_is_refused_in_plain_words(visitors: Visitors) -> None:
    customer = Customer(visitors.person())
    customer.say("我这期账单要还多少")
    page = customer.page
    page.locator("#phone input, #phone textarea").fill("12345")
    page.locator("#send-code").click()
    expect(page.locator("#verify-live")).to_contain_text("请填写11位手机号")
    page.locator("#phone input, #phone textarea").fill("13800000002")
    page.locator("#send-code").click()
    expect(page.locator("#verify-live")).to_contain_text("验证码已经发出")
    page.locator("#code input, #code textarea").fill("000000x")
    page.locator("#submit-code").click()
    expect(page.locator("#verify-live")).to_contain_text("验证码不对")
    expect(customer.verification).to_be_visible()


def test_an_early_repayment_tapped_twice_is_executed_once(visitors: Visitors, site: Site) -> None:
    customer = Customer(visitors.person(width=390, height=844))
    loans, orders = site.open_loans("C0001"), site.orders()
    customer.say("我要提前还款")
    customer.verify()
    customer.choose("L000101")
    expect(customer.proposal).to_contain_text("合计扣款")
    expect(customer.proposal).to_contain_text("扣款后不能撤回")
    customer.proposal.locator("button.confirm").dblclick()
    receipt = customer.page.locator("#chat .receipt")
    expect(receipt).to_contain_text("已办好")
    expect(receipt).to_contain_text(re.compile(r"扣款金额\s*¥[\d,]+\.\d\d"))
    expect(customer.proposal).to_be_hidden()
    expect(receipt).to_have_count(1)
    assert site.orders() == orders + 1
    assert set(loans) - set(site.open_loans("C0001")) == {"L000101"}


def test_a_cancelled_proposal_changes_nothing(visitors: Visitors, site: Site) -> None:
    customer = Customer(visitors.person())
    orders = site.orders()
    customer.say("我要提前还款")
    customer.verify("13800000001")
    page = customer.page
    if not customer.proposal.is_visible():  # one open loan is quoted at once, of several one is chosen
        expect(page.locator("#chat button.option").first.or_(customer.proposal)).to_be_visible()
    if not customer.proposal.is_visible():
        customer.choose("L0001")
    customer.proposal.locator("button.cancel").click()
    expect(customer.proposal).to_be_hidden()
    expect(customer.replies.last).to_contain_text("没有扣款")
    assert site.orders() == orders


def test_the_page_speaks_english_and_a_reload_keeps_the_conversation(visitors: Visitors) -> None:
    customer = Customer(visitors.person())
    page = customer.page
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    page.locator("#language").click()
    expect(page.locator("#human")).to_have_text("Person")
    expect(page.locator("#chat .notice")).to_contain_text("AI assistant")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    reply = customer.say("What happens if I pay late?")
    expect(reply).to_contain_text("AI-generated")
    expect(reply.locator("details.cite").first).to_contain_text("Source:")
    words = reply.locator(".body > p").first.inner_text()
    assert re.search("[a-z]{3}", words)
    page.reload()
    again = Customer(page)
    expect(again.messages).to_have_count(2)
    expect(again.replies.first).to_contain_text(words)
    expect(page.locator("#human")).to_have_text("Person")
    expect(page).to_have_title(re.compile("customer service"))


def test_what_cannot_be_sent_is_explained_and_stays_in_the_box(visitors: Visitors) -> None:
    customer = Customer(visitors.person())
    customer.box.press("Enter")
    expect(customer.status).to_contain_text("还没有写内容")
    long = "还款" * 1100
    customer.box.fill(long)
    customer.box.press("Enter")
    expect(customer.status).to_contain_text("2200字")
    assert customer.box.input_value() == long
    customer.say("提前还款要手续费吗")
    expect(customer.status).to_be_empty()
    assert customer.box.input_value() == ""


def test_markup_in_a_message_is_text(visitors: Visitors) -> None:
    customer = Customer(visitors.person())
    wicked = "<img src=x onerror=\"document.title='taken'\"> **粗** $$x$$ {{value}} ${1+1}"
    customer.say(wicked)
    expect(customer.page.locator("#chat .msg.customer .body")).to_have_text(wicked)
    expect(customer.page.locator("#chat .msg img")).to_have_count(0)
    assert customer.page.title() != "taken"


def test_the_page_can_be_used_with_the_keyboard_alone(visitors: Visitors) -> None:
    customer = Customer(visitors.person())
    page = customer.page
    expect(customer.box).to_be_focused()
    page.keyboard.type("提前还款要手续费吗")
    page.keyboard.press("Enter")
    customer.reply(0)
    expect(customer.box).to_be_focused()
    customer.replies.first.locator("summary").last.focus()
    page.keyboard.press("Enter")
    expect(customer.replies.first.locator("blockquote").last).to_be_visible()
    page.locator("#human").focus()
    outline = page.locator("#human").evaluate("(one) => getComputedStyle(one).outlineWidth")
    assert float(outline.removesuffix("px")) >= 2
    page.keyboard.press("Enter")
    expect(customer.banner).to_contain_text("人工排队中")


def test_every_control_has_a_name_and_new_replies_are_read_aloud(visitors: Visitors) -> None:
    customer = Customer(visitors.person())
    page = customer.page
    customer.say("我这期账单要还多少")
    expect(customer.verification).to_be_visible()
    log = page.get_by_role("log", name="对话记录")
    expect(log).to_have_attribute("aria-live", "polite")
    for name in ("输入您的问题", "登记手机号", "六位验证码"):
        expect(page.get_by_role("textbox", name=name)).to_be_visible()
    for name in ("人工", "发送", "English", "获取验证码", "确认身份", "有帮助", "没帮助"):
        expect(page.get_by_role("button", name=name, exact=True).first).to_be_visible()
    nameless = page.locator("button:visible").evaluate_all(
        "(all) => all.filter((one) => !(one.innerText.trim() || one.getAttribute('aria-label'))).length"
    )
    assert nameless == 0


def test_a_rating_is_taken(visitors: Visitors) -> None:
    customer = Customer(visitors.person())
    customer.say("提前还款要手续费吗")
    customer.page.get_by_role("button", name="有帮助", exact=True).click()
    expect(customer.status).to_contain_text("已记下您的评价")


@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_sticks_out_of_the_window(visitors: Visitors, width: int) -> None:
    customer = Customer(visitors.person(width=width, height=844))
    customer.say("提前还款要手续费吗")
    page = customer.page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for control in ("#human", "#language", "#send"):
        box = page.locator(control).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["y"] + box["height"] <= 844
        assert box["height"] >= 40


def test_a_page_goes_on_by_itself_after_the_server_was_killed(visitors: Visitors, site: Site) -> None:
    customer = Customer(visitors.person())
    customer.say("提前还款要手续费吗")
    customer.page.wait_for_timeout(3500)  # younger pages take the end of a stream for that of the first drawing
    customer.box.fill("写了一半")
    site.stop(SIGKILL)
    expect(customer.page.get_by_role("alert").filter(has_text="连接断开了")).to_be_visible()
    site.start()
    expect(customer.page.locator("#lost")).to_have_count(0, timeout=30_000)
    expect(customer.messages).to_have_count(2)
    expect(customer.box).to_have_value("写了一半")
    customer.box.press("Enter")
    customer.reply(1)
