"""What a customer and an agent do in front of a browser."""

import re

from playwright.sync_api import Locator, Page, expect

PHONE = "13800000001"
PASSWORD = "a sample password"


class Customer:
    """Someone at the customer's page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.box = page.locator("#box textarea")
        self.verification = page.locator("#verify")
        self.proposal = page.locator("#proposal .proposal")
        self.status = page.locator("#status-live")
        self.banner = page.locator("#banner-live")
        expect(page.locator("#chat .notice")).to_be_visible()

    @property
    def messages(self) -> Locator:
        """Everything in the conversation but the notice."""
        return self.page.locator("#chat .msg:not(.notice)")

    @property
    def replies(self) -> Locator:
        return self.page.locator("#chat .msg.assistant:not(.draft)")

    def say(self, text: str) -> Locator:
        """Type, press Enter, and wait for the reply, which is returned."""
        before = self.replies.count()
        self.box.fill(text)
        self.box.press("Enter")
        return self.reply(before)

    def choose(self, label: str) -> Locator:
        """Tap a quick reply and wait for the reply to it."""
        before = self.replies.count()
        self.page.locator("#chat button.option", has_text=label).first.click()
        return self.reply(before)

    def reply(self, number: int) -> Locator:
        """The reply of this number, counted from 0, once it is whole."""
        found = self.replies.nth(number)
        expect(found).to_be_visible()
        return found

    def verify(self, phone: str = PHONE) -> None:
        """Through the card, with the code from the sandbox's outbox."""
        expect(self.verification).to_be_visible()
        page = self.page
        field = page.locator("#phone input, #phone textarea")
        field.fill(phone)
        page.locator("#send-code").click()
        note = page.locator("#verify-live")
        expect(note).to_contain_text(re.compile("验证码已经发出|a code has been sent"))
        page.locator("#outbox").click()
        expect(note).to_contain_text(re.compile(r"\d{6}\s*$"))
        found = re.search(r"(\d{6})\s*$", note.inner_text())
        assert found is not None
        page.locator("#code input, #code textarea").fill(found[1])
        page.locator("#submit-code").click()
        expect(self.verification).to_be_hidden()


class AgentAtWork:
    """Someone at the agents' console."""

    def __init__(self, page: Page, name: str) -> None:
        self.page = page
        self.status = page.locator("#status-live")
        self.transcript = page.locator(".transcript")
        expect(page).to_have_url(re.compile("/agent-login$"))
        page.get_by_label("用户名").fill(name)
        page.get_by_label("密码").fill(PASSWORD)
        page.get_by_role("button", name="登录").click()
        expect(page).to_have_url(re.compile("/agent/$"))
        expect(page.locator("#counts-live .counts")).to_be_visible()

    def open(self, case_words: str) -> None:
        """The first case whose row says so."""
        self.page.locator("#queue tr", has_text=case_words).first.locator("button").click()
        expect(self.transcript).to_be_visible()

    def do(self, what: str, told: str) -> None:
        """Press a button and wait for the line that says it was done."""
        self.page.locator(f"#do-{what}").click()
        expect(self.status).to_contain_text(told)

    def write(self, field: str, text: str) -> None:
        """Fill a box: reply or note."""
        self.page.locator(f"#{field} textarea").fill(text)
