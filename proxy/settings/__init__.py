"""The settings of one proxy: what an operator may choose, checked once, then frozen.

`addresses` are the values, `model` is what can be set, `load` is where from. Import from here.
"""

from proxy.settings.addresses import HostPort, UpstreamDsn
from proxy.settings.load import DEFAULT_FILE, SettingsError, load_settings
from proxy.settings.model import (
    AskSettings,
    AuditSettings,
    AuthSettings,
    LlamaCppSettings,
    LogSettings,
    OpenAISettings,
    PoolSettings,
    Settings,
    TlsSettings,
    UpstreamSettings,
)

__all__ = [
    "DEFAULT_FILE",
    "AskSettings",
    "AuditSettings",
    "AuthSettings",
    "HostPort",
    "LlamaCppSettings",
    "LogSettings",
    "OpenAISettings",
    "PoolSettings",
    "Settings",
    "SettingsError",
    "TlsSettings",
    "UpstreamDsn",
    "UpstreamSettings",
    "load_settings",
]
