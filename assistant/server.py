"""`assistant serve`: one process, from bound port to clean shutdown."""

import signal
import socket
import sys
from types import FrameType
from typing import NoReturn

from assistant.errors import ConfigurationError
from assistant.settings import Settings

_PATIENCE = 2
"""Seconds that open streams are given at shutdown."""


def serve(settings: Settings) -> None:
    """Serve until interrupted or terminated. Raises ConfigurationError where set-up is missing or the port is taken."""
    from assistant.library import require_set_up

    require_set_up(settings)
    # Uvicorn raises the signal again when it has shut down; without this, SIGTERM would skip closing the database.
    signal.signal(signal.SIGTERM, _leave)
    with _listen(settings) as listener:
        _run(settings, listener)


def _run(settings: Settings, listener: socket.socket) -> None:
    # Composing first sets what keeps the libraries below from the network.
    from assistant.compose import compose

    application = compose(settings)
    try:
        import uvicorn

        from assistant.web.app import create_app

        application.assistant.reconcile()
        app = create_app(application)
        config = uvicorn.Config(
            app, log_level="warning", ws="none", server_header=False, timeout_graceful_shutdown=_PATIENCE
        )
        for part, state in application.readiness().items():
            if state != "ok":
                print(f"assistant: not ready: {part}: {state}", file=sys.stderr, flush=True)
        print(_where(settings, listener), flush=True)
        uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        pass  # the way to end it
    finally:
        application.close()


def _listen(settings: Settings) -> socket.socket:
    """Bound before the slow imports, so that a taken port is told at once; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror}; set HOST or PORT"
        ) from error


def _where(settings: Settings, listener: socket.socket) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{host}:{listener.getsockname()[1]}"
    return f"assistant: customers {url}/  agents {url}/agent  API {url}/api/v1  docs {url}/docs"


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)
