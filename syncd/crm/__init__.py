"""The CRM that is built in: activity management as SAP CRM's users know it.

Knows neither the engine nor any connector; the engine treats it like any other CRM.
"""
