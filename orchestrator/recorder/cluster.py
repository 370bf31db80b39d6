"""Work spread over a Dask cluster: results in the order of what was asked, whoever made them, and a scheduler that is restarted loses none.

Needs the extra ``[cluster]``. Workers read and write the run folders themselves, so they must see the same files.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

LOCAL = "local"
AWAY_FOR_s = 120.0
"""So long a scheduler may be away before we give up."""
RETRY_s = 0.5
CONNECT_WITHIN_s = 5.0
FETCH_WITHIN_s = 60.0
LOOK_s = 0.05
LOCAL_WORKERS = 2
AHEAD = 16
"""So many pieces of work are out or wait to be taken."""


class NoCluster(Exception):
    """No scheduler answers, or the extra is not installed."""


class Cluster:
    """``map`` on a cluster. ``address``: of its scheduler (``tcp://host:8786``), or ``local`` for workers on this computer."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._client: Any = None
        self.came_back = 0
        """So often the scheduler had been away."""

    def map(self, function: Callable[[T], R], asked: Iterable[T]) -> Iterator[R]:
        """``function`` of each, in their order. Raises what a call raised, and NoCluster where the scheduler stays away.

        ``asked`` is read as far as ``AHEAD`` of what was taken here: so much is out, or has come back and waits, and no more.
        """
        waiting = enumerate(asked)
        out: dict[int, T] = {}
        futures: dict[int, Any] = {}
        done: dict[int, R] = {}
        for at in itertools.count():
            out |= itertools.islice(waiting, AHEAD - len(out) - len(done))
            if not out and not done:
                return
            while at not in done:
                self._take(function, out, futures, done)
            yield done.pop(at)

    def _take(self, function: Callable[[T], R], out: dict[int, T], futures: dict[int, Any], done: dict[int, R]) -> None:
        """Hand out what is not yet, and collect what is there.

        A client that has lost its scheduler waits for it and tells nobody; what it had handed out is then lost, so it is looked at.
        """
        client = self._connected()
        try:
            futures |= {n: client.submit(function, out[n], pure=False) for n in out if n not in futures}
            for n, future in list(futures.items()):
                if future.status == "error" and not _gone(future.exception(timeout=RETRY_s)):
                    future.result()
                if future.status == "finished":
                    done[n] = future.result(timeout=FETCH_WITHIN_s)
                    del futures[n], out[n]
                elif future.status != "pending":
                    raise ConnectionError(f"{future.key} was {future.status}")
            if client.status != "running":
                raise ConnectionError(f"the client is {client.status}")
            time.sleep(LOOK_s)
        except _lost():
            self.came_back += 1
            futures.clear()
            self._forget()

    def _connected(self) -> Any:
        if self._client is not None:
            return self._client
        client_of = _client_class()
        by_s = time.monotonic() + AWAY_FOR_s
        while True:
            try:
                if self._address == LOCAL:
                    self._client = client_of(n_workers=LOCAL_WORKERS, threads_per_worker=1, dashboard_address=None)
                else:
                    self._client = client_of(self._address, timeout=CONNECT_WITHIN_s)
            except OSError as error:
                if time.monotonic() > by_s or self._address == LOCAL:
                    raise NoCluster(f"no Dask scheduler answers at {self._address}: {error}") from error
                time.sleep(RETRY_s)
            except ValueError as error:
                raise NoCluster(f"`{self._address}` is no Dask scheduler: write tcp://HOST:8786, or {LOCAL} ({error})") from error
            else:
                return self._client

    def _forget(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close(timeout=RETRY_s)

    def close(self) -> None:
        """Let go of the cluster; a local one ends."""
        client, self._client = self._client, None
        if client is not None:
            client.close()


def _lost() -> tuple[type[BaseException], ...]:
    """What is raised when the scheduler has gone."""
    from distributed.client import FutureCancelledError
    from distributed.comm.core import CommClosedError

    return (ConnectionError, TimeoutError, CommClosedError, FutureCancelledError)


def _gone(error: BaseException | None) -> bool:
    """Was it the workers that went, and not the work that failed?"""
    from distributed.comm.core import CommClosedError
    from distributed.scheduler import KilledWorker

    return error is None or isinstance(error, CommClosedError | KilledWorker)


def _client_class() -> Any:
    try:
        from distributed import Client
    except ImportError as error:
        raise NoCluster("Dask is not installed: pip install 'operando-nmr[cluster]'") from error
    return Client


@contextmanager
def spread(address: str) -> Iterator[Cluster]:
    """A cluster for a while."""
    cluster = Cluster(address)
    try:
        yield cluster
    finally:
        cluster.close()
