"""The command line. An error is one line on stderr; exit 2 is bad use, 1 a failure."""

import os
import re
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer import Argument, Option

from assistant.cli_knowledge import knowledge
from assistant.cli_options import PLAIN, Json, Language, Out, read_settings, terminal
from assistant.errors import AssistantError, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator


app = typer.Typer(help="A customer-service assistant for consumer-finance institutions.", **PLAIN)
audit = typer.Typer(help="Evidence that the record is whole.", **PLAIN)
admin = typer.Typer(help="Agents and the database.", **PLAIN)
app.add_typer(knowledge, name="knowledge")
app.add_typer(audit, name="audit")
app.add_typer(admin, name="admin")

_PASSWORD_IN_URL = re.compile(r"(://[^/@\s]*:)[^/@\s]*@")


class Role(StrEnum):
    """What an agent may see."""

    agent = "agent"
    supervisor = "supervisor"
    admin = "admin"


def main() -> NoReturn:
    """Run the command line and exit."""
    from pydantic import ValidationError
    from typer._click.exceptions import ClickException

    try:
        status = app(standalone_mode=False, prog_name="assistant")
        sys.exit(status if isinstance(status, int) else 0)
    except typer.TyperException as error:
        _fail(error.format_message() if isinstance(error, ClickException) else str(error), error.exit_code)
    except typer.Abort:
        sys.exit(130)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read the output has enough; Python would complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except InvalidInput as error:
        _fail(str(error), 2)
    except AssistantError as error:
        _fail(str(error), 1)
    except ValidationError as error:
        _fail("; ".join(_ofsettings(error)), 1)


def _ofsettings(error: Any) -> "Iterator[str]":
    for problem in error.errors(include_url=False, include_input=False):
        name = ".".join(map(str, problem["loc"]))
        where = f"{name if name.isupper() else f'ASSISTANT_{name.upper()}'}: " if name else ""
        yield where + problem["msg"].removeprefix("Value error, ")


def _fail(message: str, status: int) -> NoReturn:
    print("assistant: " + " ".join(message.split()), file=sys.stderr)
    sys.exit(status)


# --- serving ----------------------------------------------------------------------------------------------------------


@app.command()
def serve(
    host: Annotated[str | None, Option(help="Address to listen on (default: ASSISTANT_HOST or HOST).")] = None,
    port: Annotated[int | None, Option(min=0, max=65535, help="Port (default: ASSISTANT_PORT or PORT).")] = None,
    workers: Annotated[int, Option(min=1, help="Processes; this version serves from one.")] = 1,
) -> None:
    """Serve the customer page, the agent console and the API."""
    if workers > 1:
        raise InvalidInput("--workers: this version serves from one process; leave the option out")
    from assistant.server import serve as run

    run(read_settings(host=host, port=port))


@app.command()
def chat(
    once: Annotated[str | None, Option(metavar="TEXT", help="Send one message, print the reply and leave.")] = None,
    as_json: Json = False,
    customer: Annotated[str | None, Option(metavar="ID", help="Begin as this verified sandbox customer.")] = None,
    locale: Annotated[Language, Option(help="Language of the replies.")] = Language.zh,
) -> None:
    """Talk to the assistant in the terminal, without a server."""
    if as_json and once is None:
        raise InvalidInput("--json prints one Reply: give the message with --once")
    from assistant.chat import converse

    converse(read_settings(), locale.value, once=once, as_json=as_json, customer=customer)


@app.command()
def setup() -> None:
    """Convert the encoder, migrate the database, index the policies, make a first agent login."""
    from assistant.setup import set_up

    set_up(read_settings(), terminal())


@app.command()
def settings() -> None:
    """List every setting: value (secrets hidden), meaning, default."""
    from pydantic import SecretStr

    from assistant.settings import Settings

    current = read_settings()
    for name, field in Settings.model_fields.items():
        value = getattr(current, name)
        shown = "(not set)" if value is None else "(secret)" if isinstance(value, SecretStr) else str(value)
        also = [alias for alias in getattr(field.validation_alias, "choices", ()) if not alias.startswith("ASSISTANT_")]
        default = "not set" if field.default is None else field.default
        shown = _PASSWORD_IN_URL.sub(r"\1***@", shown)
        typer.echo(f"ASSISTANT_{name.upper()}={shown}")
        typer.echo(f"    {field.description} Default: {default}." + "".join(f" Also {alias}." for alias in also))


# --- training and measuring -------------------------------------------------------------------------------------------


@app.command()
def train(
    quick: Annotated[bool, Option("--quick", help="Few rows, and the encoder left as it is: two minutes.")] = False,
    data: Annotated[
        Path | None, Option(help="Utterances (a JSONL file or a folder of them) in place of the repository's.")
    ] = None,
    calibration: Annotated[
        Path | None, Option(help="Rows (JSONL) to calibrate on; without it a part is held out.")
    ] = None,
    adapt: Annotated[
        Path | None,
        Option(metavar="MESSAGES", help="Go on from the present models with unlabelled messages, one a line."),
    ] = None,
    with_feedback: Annotated[
        bool, Option("--with-feedback", help="Go on from the present models with the agents' corrections.")
    ] = False,
    corrections: Annotated[Path | None, Option(help="Go on with labelled messages (JSONL) of the house, too.")] = None,
    search: Annotated[
        bool, Option("--search", help="Learn to find policies, from questions (--data) and the sections that answer.")
    ] = False,
    out: Out = None,
) -> None:
    """Train the understanding models; writes weights and a model card. A run that was stopped goes on."""
    from assistant.setup import agents_corrections
    from assistant.training.adaptation import adapt as go_on
    from assistant.training.data import load_corrections
    from assistant.training.trainer import train as fit

    settings, console = read_settings(), terminal()
    if search:
        from assistant.training.search import train_search

        for name, value in train_search(settings, data, out, console).metrics.items():
            typer.echo(f"{name} {value}")
        return
    if adapt or with_feedback or corrections:
        if quick:
            raise InvalidInput("--quick trains anew; leave it out to go on from the present models")
        taught = (
            *(agents_corrections(settings) if with_feedback else ()),
            *(load_corrections(corrections) if corrections else ()),
        )
        meta = go_on(
            settings,
            messages=adapt,
            corrections=taught,
            data=data,
            calibration=calibration,
            out=out,
            console=console,
        )
    else:
        meta = fit(settings, quick=quick, data=data, calibration=calibration, out=out, console=console)
    for name, value in meta.metrics.items():
        typer.echo(f"{name} {value}")


@app.command()
def evaluate(
    suite: Annotated[str, Argument(help="intents, slots, retrieval, dialogues, or all.")],
    data: Annotated[Path | None, Option(help="Cases (JSONL) in place of the repository's.")] = None,
    out: Out = None,
    baseline: Annotated[Path | None, Option(help="Folder of an earlier report to compare with.")] = None,
    fail_under: Annotated[list[str] | None, Option(metavar="KEY=VALUE", help="Exit 1 below this figure.")] = None,
    benchmark: Annotated[str | None, Option(help="banking77 or clinc150: train anew on its split, in --data.")] = None,
    shots: Annotated[int | None, Option(min=1, help="Rows of each label the benchmark learns from.")] = None,
    seeds: Annotated[int, Option(min=1, help="Trainings of the benchmark.")] = 5,
) -> None:
    """Score the assistant on a suite; prints a table and, with --out, writes a report."""
    from eval.suites import Benchmark, run

    trained = Benchmark(benchmark, shots, seeds) if benchmark else None
    raise typer.Exit(run(suite, read_settings(), data, out, baseline, tuple(fail_under or ()), trained))


@app.command()
def bench(
    turns: Annotated[int, Option(min=1, help="Messages at each concurrency.")] = 200,
    concurrency: Annotated[list[int] | None, Option(min=1, help="Customers at once; may be repeated.")] = None,
    url: Annotated[str | None, Option(help="A running server; without it one is started for the purpose.")] = None,
    out: Annotated[Path, Option(help="Folder of the report.")] = Path("eval/reports/bench"),
) -> None:
    """Load on the turn line over HTTP, at 1 and 8 customers unless told otherwise."""
    from eval.bench import run

    raise typer.Exit(run(read_settings(), turns, tuple(concurrency or (1, 8)), url, out))


# --- evidence and operations ------------------------------------------------------------------------------------------


@audit.command("verify")
def audit_verify() -> None:
    """Walk the whole record; exit 1 where it is not what was written."""
    from assistant.setup import verify_audit

    verdict = verify_audit(read_settings())
    for finding in verdict.findings:
        fields = finding.model_dump(exclude_none=True)
        typer.echo(f"{fields.pop('kind')}: " + ", ".join(f"{name} {value}" for name, value in fields.items()))
    typer.echo(
        f"{verdict.events} events of {verdict.sessions} sessions, {verdict.erased} erased; {verdict.heads} heads, "
        f"under a checkpoint up to {verdict.protected_to}; {len(verdict.findings)} findings"
    )
    if not verdict.whole:
        raise typer.Exit(1)


@audit.command("checkpoint")
def audit_checkpoint() -> None:
    """Sign the record as it stands, into the keys folder."""
    from assistant.setup import seal_audit

    signed = seal_audit(read_settings())
    typer.echo(f"head {signed.n} signed: {signed.global_digest}" if signed else "nothing is recorded yet")


@admin.command("create-agent")
def create_agent(
    name: Annotated[str, Argument(help="What the agent logs in with.")],
    display_name: Annotated[str | None, Option(help="What customers see (default: the name).")] = None,
    role: Annotated[Role, Option(help="What the agent may see.")] = Role.agent,
    password: Annotated[str | None, Option(envvar="AGENT_PASSWORD", help="Left out: random, printed once.")] = None,
) -> None:
    """Make an agent login."""
    import secrets

    from assistant.setup import open_accounts

    chosen = password or secrets.token_urlsafe(12)
    with open_accounts(read_settings()) as accounts:
        agent = accounts.create_agent(name, display_name or name, role.value, chosen)
    typer.echo(f"{agent.name} ({agent.role})" + ("" if password else f"  password {chosen}"))


@admin.command("list-agents")
def list_agents() -> None:
    """Name, role, state and display name of every agent."""
    from assistant.setup import open_accounts

    with open_accounts(read_settings()) as accounts:
        for agent in accounts.agents():
            state = "active" if agent.active else "inactive"
            typer.echo(f"{agent.name}\t{agent.role}\t{state}\t{agent.display_name}")


@admin.command("reset-password")
def reset_password(
    name: Annotated[str, Argument(help="The agent.")],
    password: Annotated[str | None, Option(envvar="AGENT_PASSWORD", help="Left out: random, printed once.")] = None,
) -> None:
    """Give an agent a new password."""
    import secrets

    from assistant.setup import open_accounts
    from assistant.types.value import AgentName

    chosen = password or secrets.token_urlsafe(12)
    with open_accounts(read_settings()) as accounts:
        accounts.reset_password(AgentName(name), chosen)
    typer.echo(name + (" has the new password" if password else f"  password {chosen}"))


@admin.command("migrate")
def migrate() -> None:
    """Bring the database up to the tables of this release."""
    from assistant.adapters.migrations import migrate as upgrade
    from assistant.compose import database_url

    upgrade(database_url(read_settings()))
    typer.echo("the database is up to date")
