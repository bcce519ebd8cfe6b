"""RQ: enqueues JOBS jobs, then one SimpleWorker (no fork a job) does them.

Arguments: path of the Redis socket, jobs, bytes of payload. Prints jobs a second of processing.
"""
import logging
import sys
import time

from redis import Redis
from rq import Queue, SimpleWorker


def main():
    path, count, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    connection = Redis(unix_socket_path=path)
    queue = Queue("bench", connection=connection)
    for _ in range(count):
        queue.enqueue("builtins.len", "x" * size)
    worker = SimpleWorker([queue], connection=connection)
    start = time.monotonic()
    worker.work(burst=True, logging_level=logging.ERROR)
    print(count / (time.monotonic() - start))


main()
