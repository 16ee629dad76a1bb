"""`assistant chat`: a conversation in the terminal, in this process."""

import re
import secrets
from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from assistant.compose import Application, compose
from assistant.errors import AssistantError, InvalidInput, NotFound
from assistant.library import require_set_up
from assistant.settings import Settings
from assistant.types.messages import ProposalView, Reply
from assistant.types.value import Locale, SessionId
from assistant.types.views import ProvedIdentity

_ADDRESS = "terminal"
"""What counts as the address in verification's quotas."""
_HELP = "/verify PHONE · /code CODE · /confirm · /cancel · /human · /quit"


def converse(settings: Settings, locale: Locale, *, once: str | None, as_json: bool, customer: str | None) -> None:
    """One message and its reply where `once` is given, else a conversation until /quit or end of input.

    `customer` is verified through the real code, read from the sandbox outbox. Raises what the conversation raises.
    """
    require_set_up(settings)
    application = compose(settings)
    try:
        session_id = application.sessions.open(locale, "terminal").session_id
        if customer is not None:
            _verify(application, session_id, _phone_of(settings, customer))
        if once is not None:
            _once(application, session_id, once, as_json=as_json)
        else:
            Terminal(application, session_id, Console(highlight=False)).run()
    finally:
        application.close()


def _once(application: Application, session_id: SessionId, text: str, *, as_json: bool) -> None:
    reply = application.assistant.respond(session_id, text, _new_key())
    if as_json:
        print(reply.model_dump_json())
    else:
        show(reply, Console(highlight=False))


def _phone_of(settings: Settings, customer: str) -> str:
    """A sandbox customer's number: the sandbox numbers its customers' phones as it numbers them."""
    if settings.bank != "sandbox":
        raise InvalidInput("--customer is for the sandbox bank only")
    if not re.fullmatch(r"C\d{4}", customer):
        raise NotFound(f"--customer {customer}: sandbox customers are C0001 to C0050")
    return f"1380000{customer[1:]}"


def _verify(application: Application, session_id: SessionId, phone: str) -> ProvedIdentity:
    before = len(application.sessions.outbox(session_id))
    application.verification.request(session_id, phone, _ADDRESS)
    sent = application.sessions.outbox(session_id)
    if len(sent) == before:
        raise NotFound(f"no sandbox customer has the number {phone}")
    return application.verification.confirm(session_id, max(sent, key=lambda item: item.at).code)


def _new_key() -> str:
    return f"terminal:{secrets.token_hex(8)}"


def show(reply: Reply, console: Console) -> None:
    """A reply as a customer reads it."""
    console.print(Text(reply.text))
    if reply.details:
        console.print(Padding(Text(reply.details), (0, 0, 0, 2)))
    if reply.proposal is not None:
        for line in reply.proposal.consequences:
            console.print(Text(f"  · {line}"))
        console.print(Text("  /confirm · /cancel", style="bold"))
    if reply.receipt is not None:
        console.print(Text(f"  receipt {reply.receipt.receipt_id}: {reply.receipt.status}", style="green"))
    for citation in reply.citations:
        console.print(Text(f"  [{citation.title} · {citation.section}]", style="dim"))
    if reply.choices:
        console.print(Text("  " + " | ".join(choice.label for choice in reply.choices), style="cyan"))


@dataclass
class Terminal:
    """One conversation with a person at a keyboard."""

    application: Application
    session_id: SessionId
    console: Console
    proposal: ProposalView | None = None
    seen: int = 0

    def run(self) -> None:
        """Read lines until /quit or end of input; a refusal is said and the conversation goes on."""
        self._news()
        self.console.print(Text(_HELP, style="dim"))
        while (line := self._ask()) is not None:
            if line == "/quit":
                return
            try:
                if line:
                    self._obey(line)
                self._news()
            except AssistantError as error:
                self.console.print(Text(str(error), style="red"))

    def _ask(self) -> str | None:
        try:
            return self.console.input("[bold]>[/bold] ").strip()
        except EOFError:
            return None

    def _obey(self, line: str) -> None:
        command, _, rest = line.partition(" ")
        verification = self.application.verification
        match command:
            case "/verify":
                verification.request(self.session_id, rest, _ADDRESS)
                for item in self.application.sessions.outbox(self.session_id)[-1:]:
                    self.console.print(Text(f"  sandbox: code {item.code} to {item.masked_phone}", style="dim"))
            case "/code":
                self._hear(verification.confirm(self.session_id, rest).reply)
            case "/confirm" | "/cancel":
                self._tap(confirmed=command == "/confirm")
            case "/human":
                self._hear(self.application.assistant.ask_human(self.session_id, _new_key()))
            case _ if command.startswith("/"):
                self.console.print(Text(_HELP, style="dim"))
            case _:
                self._hear(self.application.assistant.respond(self.session_id, line, _new_key()))

    def _tap(self, *, confirmed: bool) -> None:
        if self.proposal is None:
            raise InvalidInput("there is nothing to confirm or cancel")
        choice: Literal["confirm", "cancel"] = "confirm" if confirmed else "cancel"
        proposal = self.proposal
        self._hear(self.application.assistant.tap(self.session_id, choice, proposal.proposal_id, proposal.digest))

    def _hear(self, reply: Reply) -> None:
        self.proposal = reply.proposal
        show(reply, self.console)

    def _news(self) -> None:
        """What an agent did meanwhile; the conversation's own lines are on the screen already."""
        for event in self.application.sessions.events(self.session_id, self.seen):
            self.seen = event.seq
            if event.type == "agent_message":
                self.console.print(Text(f"{event.agent_display_name}: {event.text}", style="magenta"))
