"""syncd keeps employees' groupware and the activities of a CRM in step."""

__version__ = "0.1.0"
