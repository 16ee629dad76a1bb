"""Cases and their order."""

from sqlalchemy import ColumnElement, Connection, func, insert, select, tuple_, update

from assistant.adapters.sql_schema import cases, micros
from assistant.errors import NotFound, VersionConflict
from assistant.types.cases import Case, CaseStatus, Priority, Queue
from assistant.types.value import AgentName, CaseId

RANK: dict[Priority, int] = {"urgent": 0, "high": 1, "normal": 2, "low": 3}

_ORDER = (cases.c.rank, cases.c.due_at, cases.c.case_id)


def load(conn: Connection, case_id: CaseId) -> Case:
    """Raises NotFound."""
    body = conn.execute(select(cases.c.body).where(cases.c.case_id == case_id)).scalar()
    if body is None:
        raise NotFound(f"no case {case_id}")
    return Case.model_validate_json(body)


def save(conn: Connection, case: Case) -> None:
    """A new case, or the next version of one. Raises VersionConflict where that is not one above what is stored."""
    values = {
        "session_id": case.session_id,
        "version": case.version,
        "status": case.status,
        "queue": case.queue,
        "assignee": case.assignee,
        "rank": RANK[case.priority],
        "due_at": micros(case.due_at),
        "body": case.model_dump_json(),
    }
    stored = conn.execute(select(cases.c.version).where(cases.c.case_id == case.case_id).with_for_update()).scalar()
    if stored is None:
        conn.execute(insert(cases).values(case_id=case.case_id, **values))
    elif stored == case.version - 1:
        conn.execute(update(cases).where(cases.c.case_id == case.case_id).values(**values))
    else:
        raise VersionConflict(f"case {case.case_id} is at version {stored}, not {case.version - 1}: read it again")


def listed(
    conn: Connection,
    status: CaseStatus | None,
    queue: Queue | None,
    assignee: AgentName | None,
    after: CaseId | None,
    limit: int,
) -> tuple[Case, ...]:
    """Most urgent first, then earliest due; `after` is the last case of the page before. Raises NotFound for it."""
    query = select(cases.c.body).order_by(*_ORDER).limit(limit)
    for column, wanted in ((cases.c.status, status), (cases.c.queue, queue), (cases.c.assignee, assignee)):
        if wanted is not None:
            query = query.where(column == wanted)
    if after is not None:
        place = conn.execute(select(*_ORDER).where(cases.c.case_id == after)).first()
        if place is None:
            raise NotFound(f"no case {after}")
        query = query.where(_place() > tuple_(*place))
    return tuple(Case.model_validate_json(body) for body in conn.execute(query).scalars().all())


def queue_position(conn: Connection, case: Case) -> int | None:
    """1 is next among the open cases of its queue, stored or not yet; None once claimed or resolved."""
    if case.status != "open":
        return None
    before = select(func.count()).select_from(cases)
    before = before.where(cases.c.status == "open", cases.c.queue == case.queue, cases.c.case_id != case.case_id)
    before = before.where(_place() < tuple_(RANK[case.priority], micros(case.due_at), case.case_id))
    return conn.execute(before).scalar_one() + 1


def _place() -> ColumnElement[tuple[int, int, str]]:
    return tuple_(*_ORDER)
