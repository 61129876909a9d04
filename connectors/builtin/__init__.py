"""The built-in CRM as a `Crm` of the engine."""

from connectors.builtin.replica import BuiltinCrm, connector

__all__ = ["BuiltinCrm", "connector"]
