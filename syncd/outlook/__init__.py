"""What Exchange means, however one speaks to it: Windows zones, recurrence patterns, HTML bodies, and the
words for importance, sensitivity, free and busy. Pure; shared by every connector to a Microsoft server.
"""
