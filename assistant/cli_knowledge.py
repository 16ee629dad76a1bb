"""`assistant knowledge`: validate, take in, compare, index and look up the policy documents."""

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer import Argument, Option

from assistant.cli_options import PLAIN, Json, Language, Product, read_settings, terminal
from assistant.errors import InvalidInput

knowledge = typer.Typer(help="The policy documents: validate, take in, compare, index, look up.", **PLAIN)


@knowledge.command()
def check() -> None:
    """Validate the policy documents; exit 1 where one has an error."""
    from datetime import UTC, datetime

    from assistant.calendar import local_date
    from assistant.knowledge import check as findings_of
    from assistant.library import policies
    from assistant.taxonomy import load_taxonomy

    documents, broken = policies(read_settings(), terminal())
    routes: dict[Any, str | None] = {intent.id: intent.route for intent in load_taxonomy().intents}
    findings = (*broken, *findings_of(documents, routes, local_date(datetime.now(UTC))))
    for finding in findings:
        typer.echo(f"{finding.severity}: {finding}")
    errors = sum(finding.severity == "error" for finding in findings)
    typer.echo(f"{len(documents)} documents, {errors} errors, {len(findings) - errors} warnings")
    if errors:
        raise typer.Exit(1)


@knowledge.command()
def add(
    paths: Annotated[list[Path], Argument(help="Files (.md, .html, .docx, .pdf) or folders of them.")],
    owner: Annotated[str | None, Option(help="Who answers for the documents.")] = None,
    effective_from: Annotated[str | None, Option(metavar="DATE", help="First day in force.")] = None,
    effective_to: Annotated[str | None, Option(metavar="DATE", help="Last day in force.")] = None,
    version: Annotated[str | None, Option(help="Version, such as 2026.1.")] = None,
    title: Annotated[str | None, Option(help="Title (default: the file's name).")] = None,
    audience: Annotated[Literal["customer", "staff"] | None, Option(help="Who may read it.")] = None,
    language: Annotated[Language | None, Option(help="Language of the text.")] = None,
    product: Annotated[list[Product] | None, Option(help="Product it is for; repeat for several.")] = None,
    intent: Annotated[list[str] | None, Option(help="Intent it answers; repeat for several.")] = None,
    source: Annotated[list[str] | None, Option(help="Rule it rests on; repeat for several.")] = None,
) -> None:
    """Put files into the policies folder; a file of the same name is replaced. Publish with `knowledge index`.

    Markdown files carry their front matter. Of other files the facts are written beside them, as FILE.yaml. What cannot
    be read is named and left out; then the exit status is 1.
    """
    from assistant.library import add as put

    facts: dict[str, object] = {
        "owner": owner,
        "effective_from": effective_from,
        "effective_to": effective_to,
        "version": version,
        "title": title,
        "audience": audience,
        "language": language.value if language else None,
        "products": [one.value for one in product] if product else None,
        "intents": intent,
        "sources": source,
    }
    added = put(read_settings(), paths, {key: value for key, value in facts.items() if value})
    for document in added.documents:
        typer.echo(f"{document.id}@{document.version}  {document.file}")
    for finding in added.left_out:
        typer.echo(f"left out: {finding}", err=True)
    if added.left_out:
        raise typer.Exit(1)


@knowledge.command()
def index() -> None:
    """Publish the policies as they stand; a running server switches to them by itself.

    What cannot be read is named and left out; then the exit status is 1.
    """
    from assistant.library import publish

    published = publish(read_settings(), terminal())
    for finding in published.left_out:
        typer.echo(f"left out: {finding}", err=True)
    typer.echo(str(published))
    if published.left_out:
        raise typer.Exit(1)


@knowledge.command()
def diff(
    questions: Annotated[
        Path | None,
        Option(metavar="FILE", help="Questions to try, JSONL (question or query, intent), not those of customers."),
    ] = None,
    as_of: Annotated[str | None, Option(metavar="DATE", help="Search as on this day (default: today).")] = None,
    as_json: Json = False,
) -> None:
    """What publishing the policies as they stand would change: documents, and answers to what customers asked.

    Nothing is published. What cannot be read is named and left out; then the exit status is 1.
    """
    from assistant.revision import compare

    revision = compare(read_settings(), questions, _day(as_of), terminal())
    for finding in revision.left_out:
        typer.echo(f"left out: {finding}", err=True)
    typer.echo(revision.model_dump_json(indent=1) if as_json else revision.report())
    if revision.left_out:
        raise typer.Exit(1)


@knowledge.command()
def search(
    query: Annotated[str, Argument(help="What a customer would ask.")],
    as_of: Annotated[str | None, Option(metavar="DATE", help="Policies in force on this day (default: today).")] = None,
    product: Annotated[Product | None, Option(help="Only policies for this product.")] = None,
    as_json: Json = False,
) -> None:
    """The passages that answer a question, best first."""
    from datetime import UTC, datetime

    from assistant.calendar import local_date
    from assistant.library import open_index

    on = _day(as_of) or local_date(datetime.now(UTC))
    english = query.isascii()
    found = open_index(read_settings()).search(
        query, on=on, product=product.value if product else None, language="en" if english else "zh-CN"
    )
    if as_json:
        typer.echo("[" + ",\n ".join(scored.model_dump_json() for scored in found) + "]")
        return
    for scored in found:
        passage = scored.passage
        typer.echo(f"{passage.document_id}@{passage.version}  {passage.title} · {passage.section}")
        typer.echo(f"    {' '.join(passage.text.split())}")


def _day(written: str | None) -> date | None:
    """The day of `--as-of`."""
    try:
        return date.fromisoformat(written) if written else None
    except ValueError:
        raise InvalidInput(f"--as-of {written} is not a date: write 2026-01-31") from None
