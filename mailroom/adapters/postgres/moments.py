"""Steps of the timeline that are no step of a letter."""

# A line of the timeline is unique by its step. By seconds, what happens twice in one would be
# written once, and listeners would miss it; an integer holds the microseconds of half an hour.
THIS_MOMENT = """
    CAST(mod(CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint), 2147483647)
         AS integer)
"""
