"""What the assistant understood of one message."""

import datetime as dt
from typing import Literal

from pydantic import Field

from assistant.types.value import Fen, IntentId, Value

Act = Literal["ask", "status", "do", "report"]
Abstention = Literal["low_confidence", "ambiguous", "out_of_scope", "unclear"]
Language = Literal["zh", "en"]
RiskKind = Literal["scam_victim", "account_takeover", "proxy_complaint", "self_harm", "abuse"]
RiskLevel = Literal["warn", "high"]
ArbitrationOutcome = Literal["chosen", "none_of_these", "person_kept", "invalid", "unavailable"]
Product = Literal["pay_later", "cash_loan", "merchant_loan"]


class Alternative(Value):
    """One candidate intent with its calibrated probability."""

    id: IntentId
    confidence: float = Field(ge=0, le=1)


class Arbitration(Value):
    """What came of asking a chat model which of the leading intents an unsure message has."""

    candidates: tuple[IntentId, ...]
    read: IntentId = Field(description="What the classifier itself took the message for.")
    abstained: Abstention = Field(description="Why the classifier did not act on it.")
    outcome: ArbitrationOutcome = Field(description="Only `chosen` changed the prediction.")


class Prediction(Value):
    """The likeliest of the taxonomy's labels, or the one an arbitration chose; `abstained` is what is acted on."""

    intent: IntentId
    act: Act | None
    confidence: float = Field(ge=0, le=1, description="Calibrated probability of `intent`.")
    secondary: IntentId | None = None
    abstained: Abstention | None = None
    alternatives: tuple[Alternative, ...] = ()
    arbitration: Arbitration | None = Field(None, description="None: no chat model was asked.")


class Slots(Value):
    """What the message names. Absent is None; nothing is guessed."""

    amount_fen: Fen | None = None
    date: dt.date | None = None
    term_months: int | None = None
    product: Product | None = None
    brand: str | None = Field(None, description="Another company's product as the customer wrote it.")
    loan: str | None = Field(None, description="How the customer points at a loan: id, ordinal, size, purpose.")
    phone: str | None = Field(None, description="The vault placeholder, never the number.")
    part: Literal["full", "part"] | None = Field(None, description="Whole or part of a debt.")


class RiskSignal(Value):
    """One sign of danger, with the words it rests on."""

    kind: RiskKind
    level: RiskLevel
    evidence: str = Field(description="The span of the (masked) message.")
    rule: str = Field(description="Id of the rule that fired.")


class PastTime(Value):
    """A past time that the customer speaks of."""

    day: dt.date = Field(description="The last day of the time named.")
    of: Literal["signing", "event"] = Field(description="When a loan was signed, or when what is asked about was.")


class Understanding(Value):
    """Everything the plan may rest on, read from one masked message."""

    text: str
    language: Language
    prediction: Prediction
    slots: Slots = Slots()
    risks: tuple[RiskSignal, ...] = ()
    past: PastTime | None = None
