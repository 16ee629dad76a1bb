"""Every failure the package can raise. A class is a failure that a caller can treat differently.

AssistantError
├── ConfigurationError          a setting, file or model is missing or does not fit; the message names the remedy
├── InvalidInput                what was sent cannot be accepted; nothing was written
├── ModelRegressed              newly trained models are worse than those they would replace; nothing was written
├── NotFound                    no such session, case, proposal, document
├── NotAllowed                  known, but not for this caller
│   ├── TokenExpired
│   └── VerificationRefused     the code was wrong
│       ├── CodeExpired
│       └── TooManyAttempts     locked, or a quota is used up
├── Conflict                    the thing has changed since it was read
│   ├── VersionConflict
│   ├── ProposalNotLive         expired, superseded, cancelled
│   ├── DigestMismatch          the digest is not of the arguments shown
│   └── SessionBusy             another turn of this session is being served
└── DependencyFailure           a part behind a port failed
    ├── EncoderUnavailable
    ├── RetrieverUnavailable
    ├── ChatModelUnavailable
    ├── SenderUnavailable
    ├── StoreUnavailable
    └── BankUnavailable
        └── BankTimeout         the order may or may not have been executed: ask by key
"""


class AssistantError(Exception):
    """The root; `title` is the short, stable name in a problem document."""

    title = "Internal error"
    status = 500


class ConfigurationError(AssistantError):
    title = "Configuration error"


class InvalidInput(AssistantError):
    title = "Invalid input"
    status = 422


class ModelRegressed(AssistantError):
    title = "Model regressed"


class NotFound(AssistantError):
    title = "Not found"
    status = 404


class NotAllowed(AssistantError):
    title = "Not allowed"
    status = 403


class TokenExpired(NotAllowed):
    title = "Token expired"
    status = 401


class VerificationRefused(NotAllowed):
    title = "Wrong code"


class CodeExpired(VerificationRefused):
    title = "Code expired"
    status = 410


class TooManyAttempts(VerificationRefused):
    title = "Too many attempts"
    status = 429


class Conflict(AssistantError):
    title = "Conflict"
    status = 409


class VersionConflict(Conflict):
    title = "Changed meanwhile"


class ProposalNotLive(Conflict):
    title = "Proposal not live"


class DigestMismatch(Conflict):
    title = "Digest mismatch"


class SessionBusy(Conflict):
    title = "Session busy"


class DependencyFailure(AssistantError):
    title = "Dependency failure"
    status = 503


class EncoderUnavailable(DependencyFailure):
    title = "Encoder unavailable"


class RetrieverUnavailable(DependencyFailure):
    title = "Retriever unavailable"


class ChatModelUnavailable(DependencyFailure):
    title = "Chat model unavailable"


class SenderUnavailable(DependencyFailure):
    title = "Sender unavailable"


class StoreUnavailable(DependencyFailure):
    title = "Store unavailable"


class BankUnavailable(DependencyFailure):
    title = "Bank unavailable"


class BankTimeout(BankUnavailable):
    title = "Bank timed out"
