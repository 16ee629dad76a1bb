"""Proving who the customer is by a one-time code. Known and unknown numbers look alike from outside."""

import hashlib
import hmac
import re
import secrets
import unicodedata
from datetime import timedelta

from assistant.assistant import Assistant
from assistant.errors import CodeExpired, InvalidInput, NotAllowed, TooManyAttempts, VerificationRefused
from assistant.institution import VerificationRules
from assistant.lanes import Lanes
from assistant.ports import Clock, CodeSender, CodeState, CoreBanking, Store
from assistant.sessions import digest_of, new_token
from assistant.types.actions import VerifiedIdentity
from assistant.types.events import CodeSent, EventDraft
from assistant.types.value import SessionId, TraceId
from assistant.types.views import ProvedIdentity

MAINLAND_MOBILE = re.compile(r"1\d{10}")


class Verification:
    """One-time codes: asked for, sent, checked, locked."""

    def __init__(
        self,
        store: Store,
        bank: CoreBanking,
        sender: CodeSender,
        assistant: Assistant,
        clock: Clock,
        lanes: Lanes,
        terms: VerificationRules,
        pepper: bytes,
        token_life: timedelta,
    ) -> None:
        self._store = store
        self._bank = bank
        self._sender = sender
        self._assistant = assistant
        self._clock = clock
        self._lanes = lanes
        self._terms = terms
        self._pepper = pepper
        self._token_life = token_life

    def request(self, session_id: SessionId, phone: str, address: str) -> None:
        """Send a code where the number is a customer's.

        Raises InvalidInput for what is no number, TooManyAttempts while locked or over a quota, BankUnavailable.
        """
        number = normalised(phone)
        now = self._clock.now()
        with self._lanes.of(session_id):
            state = self._store.code_state(session_id)
            self._refuse_locked(state)
            quotas = (f"phone:{number}", f"session:{session_id}", f"address:{address}")
            limits = (self._terms.codes_per_day, self._terms.codes_per_day, self._terms.codes_per_day * 10)
            for name, limit in zip(quotas, limits, strict=True):
                if self._store.codes_since(self._sealed(name), now - timedelta(days=1)) >= limit:
                    raise TooManyAttempts("too many codes were asked for; try again tomorrow or ask for a person")
            for name in quotas:
                self._store.note_code(session_id, self._sealed(name), now)
            code = f"{secrets.randbelow(10**self._terms.code_digits):0{self._terms.code_digits}d}"
            customer_id = self._bank.customer_by_phone(number)
            fresh = CodeState(
                customer_id=customer_id,
                code_digest=self._sealed(f"{session_id}:{code}"),
                expires_at=now + timedelta(minutes=self._terms.code_minutes),
                wrong=state.wrong if state else 0,
                locked_until=None,
            )
            self._store.save_code(session_id, fresh)
            if customer_id is not None:
                self._sender.send(session_id, number, code)
            trace = TraceId(secrets.token_hex(8))
            self._store.record(session_id, [EventDraft(source="system", trace_id=trace, at=now, body=CodeSent())])

    def confirm(self, session_id: SessionId, code: str) -> ProvedIdentity:
        """Check a code; right: the session is verified, its open request is served and its token replaced.

        Raises VerificationRefused, CodeExpired, TooManyAttempts; NotAllowed where another customer is verified.
        """
        now = self._clock.now()
        with self._lanes.of(session_id):
            state = self._store.code_state(session_id)
            self._refuse_locked(state)
            if state is None:
                raise VerificationRefused("no code was asked for in this session")
            if now >= state.expires_at:
                raise CodeExpired("the code has expired; ask for a new one")
            right = hmac.compare_digest(state.code_digest, self._sealed(f"{session_id}:{_digits(code)}"))
            if not right or state.customer_id is None:
                raise self._refused(session_id, state)
            before = self._store.session(session_id).identity
            if before is not None and before.customer_id != state.customer_id:
                raise NotAllowed("another customer is verified in this session; begin a new session")
            identity = VerifiedIdentity(
                customer_id=state.customer_id,
                level="code",
                verified_at=now,
                expires_at=now + timedelta(minutes=self._terms.step_up_minutes),
            )
            # The turn comes first and is idempotent by the code's digest: a crash before the rotation costs a retry,
            # never the customer's only token.
            reply = self._assistant.identity_proved(session_id, identity, f"verify/{state.code_digest[:32]}")
            token = new_token("st")
            self._store.rotate_token(session_id, digest_of(token), now + self._token_life)
            self._store.save_code(session_id, state.model_copy(update={"expires_at": now, "wrong": 0}))
            return ProvedIdentity(session_token=token, expires_at=now + self._token_life, reply=reply)

    def _refused(self, session_id: SessionId, state: CodeState) -> VerificationRefused:
        wrong = state.wrong + 1
        if wrong < self._terms.max_wrong:
            self._store.save_code(session_id, state.model_copy(update={"wrong": wrong}))
            return VerificationRefused(f"the code is wrong; {self._terms.max_wrong - wrong} tries are left")
        until = self._clock.now() + timedelta(minutes=self._terms.lock_minutes)
        self._store.save_code(session_id, state.model_copy(update={"wrong": 0, "locked_until": until}))
        self._assistant.locked_out(session_id, f"locked/{state.code_digest[:32]}")
        return TooManyAttempts(f"wrong {wrong} times; verification is locked for {self._terms.lock_minutes} minutes")

    def _refuse_locked(self, state: CodeState | None) -> None:
        if state is not None and state.locked_until is not None and self._clock.now() < state.locked_until:
            raise TooManyAttempts(f"verification is locked until {state.locked_until.isoformat()}")

    def _sealed(self, text: str) -> str:
        """A keyed digest: six digits or a phone number could be guessed from a plain one."""
        return hmac.new(self._pepper, text.encode(), hashlib.sha256).hexdigest()


def normalised(phone: str) -> str:
    """Eleven digits of a mainland mobile number, however written. Raises InvalidInput."""
    digits = _digits(phone)
    number = digits[2:] if len(digits) == 13 and digits.startswith("86") else digits
    if not MAINLAND_MOBILE.fullmatch(number):
        raise InvalidInput("that is not an 11-digit mobile number")
    return number


def _digits(text: str) -> str:
    return re.sub(r"\D", "", unicodedata.normalize("NFKC", text[:64]))
