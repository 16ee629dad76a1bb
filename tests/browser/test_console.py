"""A customer and an agent, each in a browser of their own."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visitors
from tests.browser.people import AgentAtWork, Customer

pytestmark = pytest.mark.browser


def test_an_agent_takes_over_answers_and_resolves_while_the_customer_only_watches(visitors: Visitors) -> None:
    customer = Customer(visitors.person())
    agent = AgentAtWork(visitors.person("/agent"), "wang")
    customer.say("提前还款要手续费吗")
    customer.page.locator("#human").click()
    expect(customer.banner).to_contain_text("人工排队中")

    agent.open("客户要求人工")  # the queue was open before the case was: it appeared by itself
    expect(agent.transcript).to_contain_text("提前还款要手续费吗")
    expect(agent.page.locator("#facts")).to_contain_text("身份未验证")
    agent.do("claim", "已接手")
    expect(customer.banner).to_contain_text("小王")

    agent.write("reply", "您好，我看到您问提前还款的费用。")
    agent.do("reply", "已发送")
    said = customer.page.locator("#chat .msg.agent")
    expect(said).to_contain_text("您好，我看到您问提前还款的费用。")
    expect(said).to_contain_text("人工客服 小王")

    customer.box.fill("是的，装修那笔")
    customer.box.press("Enter")
    expect(agent.transcript.locator(".said.customer").last).to_contain_text("是的，装修那笔")

    agent.write("note", "客户问的是装修贷")
    agent.do("note", "备注已记下")
    expect(agent.transcript.locator(".said.note")).to_contain_text("客户问的是装修贷")
    agent.do("resolve", "已办结")
    expect(customer.page.locator("#chat .msg.case").last).to_contain_text("已处理完")
    expect(customer.banner).to_be_empty()
    assert "装修贷" not in customer.page.locator("#chat").inner_text()


def test_a_colleague_who_comes_too_late_is_told_so_and_loses_no_words(visitors: Visitors) -> None:
    customer = Customer(visitors.person())
    customer.page.locator("#human").click()
    expect(customer.banner).to_contain_text("人工排队中")
    first = AgentAtWork(visitors.person("/agent"), "wang")
    first.open("客户要求人工")
    first.do("claim", "已接手")
    first.write("reply", "写了一半的话")
    supervisor = AgentAtWork(visitors.person("/agent"), "li")
    supervisor.page.get_by_label("处理中").check()
    supervisor.open("客户要求人工")
    first.page.context.set_offline(True)  # the first agent's page misses what the supervisor does
    supervisor.write("note", "主管看过")
    supervisor.do("note", "备注已记下")
    supervisor.do("release", "已放回队列")
    first.page.context.set_offline(False)
    first.page.locator("#do-reply").click()
    expect(first.status).to_contain_text(re.compile("刚刚被别人改过|不能做这个操作"))
    assert first.page.locator("#reply textarea").input_value() == "写了一半的话"


def test_words_written_for_one_customer_never_stand_before_another(visitors: Visitors) -> None:
    for text in ("我要投诉你们催收骚扰我", "我失业了，这个月还不上"):
        Customer(visitors.person()).say(text)
    agent = AgentAtWork(visitors.person("/agent"), "wang")
    rows = agent.page.locator("#queue tbody tr")
    expect(rows.nth(1)).to_be_visible()
    first, second = (rows.nth(number).locator("button").get_attribute("data-case") for number in (0, 1))
    box = agent.page.locator("#reply textarea")
    for case, written in ((first, ""), (second, "")):
        agent.page.locator(f"button[data-case='{case}']").click()
        expect(agent.page.locator("#case-head")).to_contain_text(case or "?")
        assert box.input_value() == written
        box.fill(f"写给{case}")
    agent.page.locator(f"button[data-case='{first}']").click()
    expect(agent.page.locator("#case-head")).to_contain_text(first or "?")
    expect(box).to_have_value(f"写给{first}")


def test_a_supervisor_reads_what_the_policies_lack_and_goes_back_to_the_queue(visitors: Visitors) -> None:
    hostile = "借款能送我个手机壳不<img src=x onerror=document.title='broken'>"
    customer = Customer(visitors.person())
    customer.say(hostile)
    expect(customer.banner).to_contain_text("人工排队中")
    assert AgentAtWork(visitors.person("/agent"), "wang").page.locator("#gaps-toggle").is_hidden()

    supervisor = AgentAtWork(visitors.person("/agent"), "li")
    page = supervisor.page
    page.get_by_role("button", name="知识缺口").click()
    row = page.locator("#gaps-table tbody tr", has_text="借款能送我个手机壳不")
    expect(row).to_contain_text(hostile)
    expect(page.locator("#desk")).to_be_hidden()
    row.locator("button").click()
    expect(page.locator("#gap h2")).to_have_text(hostile)
    expect(page.locator("#outline")).to_contain_text(f"## {hostile}")
    expect(page.locator("#gap li .tag").first).to_contain_text("@")
    page.locator("#language").click()
    expect(page.locator("#gaps-toggle")).to_have_text("Back to the queue")
    expect(page.locator("#gap")).to_contain_text("Nearest rules")
    page.locator("#language").click()

    page.get_by_role("button", name="返回队列").click()
    expect(page.locator("#gaps")).to_be_hidden()
    supervisor.open("没有查到依据")
    supervisor.do("claim", "已接手")
    assert page.title() != "broken"


def test_a_wrong_password_and_no_login_stay_outside(visitors: Visitors) -> None:
    page = visitors.person("/agent")
    expect(page).to_have_url(re.compile("/agent-login$"))
    page.get_by_label("用户名").fill("wang")
    page.get_by_label("密码").fill("not the password")
    page.get_by_role("button", name="登录").click()
    expect(page.get_by_role("alert")).to_contain_text("不对")
    assert page.request.get("/agent/config").status == 401
    page.goto("/agent/")
    expect(page).to_have_url(re.compile("/agent-login$"))


def test_an_agent_who_signs_out_is_out(visitors: Visitors) -> None:
    agent = AgentAtWork(visitors.person("/agent"), "wang")
    agent.page.locator("#language").click()
    expect(agent.page.locator("#logout")).to_have_text("Sign out")
    agent.page.locator("#logout").click()
    expect(agent.page).to_have_url(re.compile("/agent-login$"))
    agent.page.goto("/agent/")
    expect(agent.page).to_have_url(re.compile("/agent-login$"))
