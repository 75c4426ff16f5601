"""Changes 500 messages a second as deliveries do, until its standard input ends."""

import random
import select
import sys
import time

import psycopg

PER_SECOND, AT_ONCE = 500, 10


def main(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute("SELECT id FROM message_queue TABLESAMPLE SYSTEM (2)")
        ids = [row[0] for row in found]
        begun, batches = time.perf_counter(), 0
        while not select.select([sys.stdin], [], [], 0)[0]:
            connection.execute(_CHANGE, {"ids": random.sample(ids, AT_ONCE)})
            batches += 1
            time.sleep(max(0, begun + batches * AT_ONCE / PER_SECOND - time.perf_counter()))
    rate = batches * AT_ONCE / (time.perf_counter() - begun)
    print(f"  {rate:.0f} rows were changed per second", flush=True)


_CHANGE = """
    UPDATE message_queue
    SET status = CASE status WHEN 'delivered' THEN 'deferred' ELSE 'delivered' END,
        num_attempts = num_attempts + 1, last_attempt_at = now(), updated_at = now(),
        next_attempt_at = now() + interval '30 minutes', step = step + 1
    WHERE id = ANY(%(ids)s)
"""

if __name__ == "__main__":
    main(sys.argv[1])
