"""Agents' accounts: Argon2 passwords, bearer sessions, a lock after too many wrong passwords."""

import threading
from collections import OrderedDict
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from assistant.errors import InvalidInput, NotAllowed, NotFound, TooManyAttempts
from assistant.ports import Clock, Store
from assistant.sessions import digest_of, new_token
from assistant.types.cases import Agent, Role
from assistant.types.value import AgentName
from assistant.types.views import AgentLogin

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MIN_PASSWORD = 10
WRONG_BEFORE_LOCK = 5
LOCK = timedelta(minutes=15)
REMEMBERED = 10_000
"""Names and addresses whose wrong passwords are counted; the oldest are forgotten first."""


class Accounts:
    """Who may sit at the desk."""

    def __init__(self, store: Store, clock: Clock, life: timedelta) -> None:
        self._store = store
        self._clock = clock
        self._life = life
        self._guard = threading.Lock()
        self._wrong: OrderedDict[str, tuple[int, datetime]] = OrderedDict()

    def login(self, name: AgentName, password: str, address: str) -> AgentLogin:
        """A bearer token for the right password. Raises NotAllowed, TooManyAttempts."""
        now = self._clock.now()
        keys = (f"name:{name}", f"address:{address}")
        self._refuse_locked(keys, now)
        try:
            agent, stored = self._store.agent(name)
        except NotFound:
            agent, stored = None, self._decoy
        if not self._matches(stored, password) or agent is None or not agent.active:
            self._count_wrong(keys, now)
            raise NotAllowed("the name or the password is wrong")
        with self._guard:
            self._wrong.pop(keys[0], None)
        token = new_token("at")
        self._store.open_agent_session(digest_of(token), agent.name, now + self._life)
        return AgentLogin(token=token, agent=agent, expires_at=now + self._life)

    def logout(self, token: str) -> None:
        """End one login."""
        self._store.close_agent_session(digest_of(token))

    def agent_of(self, token: str) -> Agent:
        """Who holds this token. Raises NotAllowed, TokenExpired."""
        agent = self._store.agent_of_token(digest_of(token), self._clock.now())
        if not agent.active:
            raise NotAllowed(f"agent {agent.name} is not active")
        return agent

    def create_agent(self, name: str, display_name: str, role: Role, password: str) -> Agent:
        """A new account. Raises InvalidInput for a taken name or a short password."""
        agent = Agent(name=AgentName(name), display_name=display_name, role=role)
        try:
            self._store.agent(agent.name)
        except NotFound:
            self._store.save_agent(agent, self._hash(password))
            return agent
        raise InvalidInput(f"there is an agent {name!r} already")

    def reset_password(self, name: AgentName, password: str) -> None:
        """Raises NotFound; InvalidInput for a short password."""
        agent, _ = self._store.agent(name)
        self._store.save_agent(agent, self._hash(password))

    def agents(self) -> tuple[Agent, ...]:
        """All accounts."""
        return self._store.agents()

    def _hash(self, password: str) -> str:
        if len(password) < MIN_PASSWORD:
            raise InvalidInput(f"a password has at least {MIN_PASSWORD} characters")
        return self._hasher.hash(password)

    def _matches(self, stored: str, password: str) -> bool:
        from argon2.exceptions import InvalidHashError, VerificationError

        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False

    def _refuse_locked(self, keys: tuple[str, ...], now: datetime) -> None:
        with self._guard:
            for key in keys:
                wrong, last = self._wrong.get(key, (0, now))
                limit = WRONG_BEFORE_LOCK if key.startswith("name:") else WRONG_BEFORE_LOCK * 4
                if wrong >= limit and now < last + LOCK:
                    raise TooManyAttempts("too many wrong passwords; try again in 15 minutes")

    def _count_wrong(self, keys: tuple[str, ...], now: datetime) -> None:
        with self._guard:
            for key in keys:
                wrong, last = self._wrong.pop(key, (0, now))
                self._wrong[key] = (1 if now >= last + LOCK else wrong + 1, now)
            while len(self._wrong) > REMEMBERED:
                self._wrong.popitem(last=False)

    @cached_property
    def _hasher(self) -> "PasswordHasher":
        from argon2 import PasswordHasher

        return PasswordHasher()

    @cached_property
    def _decoy(self) -> str:
        """A hash to spend the same time on for a name that does not exist."""
        return self._hasher.hash("a password of nobody")
